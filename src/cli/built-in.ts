/** The guests that come with the program: images and what they show, in recordings/<system>/. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface BuiltIn {
  /** system/guest */
  readonly name: string;
  readonly summary: string;
  /** Memory of the machine it is recorded on, where the system's own choice would be a waste. */
  readonly memoryBytes?: number;
  /** How its run ends, where that is not `halted`. */
  readonly ends?: 'killed' | 'panic';
}

/** Enough for the domain builder's first mapping, 4 MiB, and as much again that the guests map themselves. */
const XEN_BYTES = 10 * 2 ** 20;

export const GUESTS: readonly BuiltIn[] = [
  {
    name: 'bare/address-spaces',
    summary: 'demand paging, fork, copy on write and two address spaces, in two hundred lines',
  },
  {
    name: 'xen/user-pagetables',
    summary: 'a kernel and a user L4 for every process, kept the same through fork, faults, switches and exit',
    memoryBytes: XEN_BYTES,
  },
  {
    name: 'xen/user-pagetables-broken',
    summary: 'the same with the user half forgotten in one path: a process that faults for ever, and no error',
    memoryBytes: XEN_BYTES,
    ends: 'panic',
  },
  {
    name: 'xen/early-pagetable-crash',
    summary:
      'page tables placed where they get mapped writable: a pin fails, the kernel BUG()s, Xen crashes the domain',
    memoryBytes: XEN_BYTES,
    ends: 'killed',
  },
  {
    name: 'xen/early-pagetable-workaround',
    summary: 'the same placement with mark_rw_past_pgt: the whole range read-only, and writable again later',
    memoryBytes: XEN_BYTES,
  },
  {
    name: 'xen/early-pagetable-reuse',
    summary: 'the objection to the workaround: somebody uses the rest of the range while it is still read-only',
    memoryBytes: XEN_BYTES,
    ends: 'panic',
  },
  {
    name: 'xen/early-pagetable-reverted',
    summary: 'the placement before the offending commit: page tables where mappings can be found, and it boots',
    memoryBytes: XEN_BYTES,
  },
];

/** The package's own folder, from src/cli or dist/cli. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The ELF image of a guest. */
export const imageOf = ({ name }: BuiltIn): string => join(ROOT, 'recordings', `${name}.elf`);
/** The recording of it that comes with the program. */
export const recordingOf = ({ name }: BuiltIn): string => join(ROOT, 'recordings', `${name}.rewalk`);
