/**
 * A Linux kernel that runs, seen from outside: its symbols, its call stacks, and which task is running. What is needed is
 * found in the image once (`linuxIn`) and is little enough to be kept with checkpoints (`LinuxFacts`); the tables
 * themselves are read from the running kernel's own memory, which has them all.
 */
import { asVaddr } from '../../base/brand.js';
import type { Region } from '../../events/lexicon.js';
import type { Elf } from '../../isa/elf.js';
import type { NamedRange } from '../../machine/system.js';
import { Btf } from './btf.js';
import { type KernelSymbol, readKallsyms } from './kallsyms.js';
import { Orc, type OrcFrame, orcTables, type SignedAddress, signed, unsigned } from './orc.js';

/** Where a running kernel has what; addresses as hex. */
export interface LinuxFacts {
  readonly orc:
    | {
        readonly ip: bigint;
        readonly ipBytes: number;
        readonly entries: bigint;
        readonly entriesBytes: number;
        readonly since64: boolean;
      }
    | undefined;
  /** Where a processor keeps its current task, from the base of gs; and the offsets in a task. */
  readonly task: { readonly current: number; readonly pid: number; readonly comm: number } | undefined;
}
export interface LinuxImage {
  readonly facts: LinuxFacts;
  readonly symbols: readonly NamedRange[];
  readonly regions: readonly Region[];
}

/** Addresses of the kernel's half. Below are per-cpu offsets and constants. */
const KERNEL_HALF = 1n << 63n;
/** TASK_COMM_LEN. */
const COMM_BYTES = 16;
/** What no symbol is longer than. */
const SYMBOL_BYTES_MAX = 2 ** 24;

/**
 * Where 4-level kernels have what (Documentation/x86/x86_64/mm.rst), without randomisation, which a PV kernel has not; and
 * the P2M, where Xen is asked to put it.
 */
const REGIONS: readonly Region[] = [
  { name: 'user', from: '0', to: '8000000000' },
  { name: 'initial p2m', from: '8000000000', to: '10000000000' },
  { name: 'direct mapping', from: 'ffff888000000000', to: 'ffffc88000000000' },
  { name: 'vmalloc', from: 'ffffc90000000000', to: 'ffffe90000000000' },
  { name: 'vmemmap', from: 'ffffea0000000000', to: 'ffffeb0000000000' },
  { name: 'cpu entry area', from: 'fffffe0000000000', to: 'fffffe8000000000' },
  { name: 'kernel image', from: 'ffffffff80000000', to: 'ffffffffa0000000' },
  { name: 'modules', from: 'ffffffffa0000000', to: 'ffffffffff000000' },
  { name: 'fixmap', from: 'ffffffffff000000', to: 'ffffffffffe00000' },
];

/** What an image says of itself, if it is a Linux kernel with a symbol table. */
export function linuxIn(elf: Elf): LinuxImage | undefined {
  const section = (name: string) => elf.sections.find(s => s.name === name);
  const rodata = section('.rodata');
  const symbols = rodata && readKallsyms(rodata.data);
  if (!symbols) return undefined;
  const [ip, entries] = [section('.orc_unwind_ip'), section('.orc_unwind')];
  const tables = orcTables(elf.sections);
  return {
    facts: {
      orc:
        ip && entries && tables
          ? {
              ip: ip.at,
              ipBytes: ip.data.length,
              entries: entries.at,
              entriesBytes: entries.data.length,
              since64: tables.since64,
            }
          : undefined,
      task: taskOffsets(elf, symbols),
    },
    symbols: rangesOf(symbols),
    regions: REGIONS,
  };
}
function taskOffsets(elf: Elf, symbols: readonly KernelSymbol[]): LinuxFacts['task'] {
  const section = elf.sections.find(s => s.name === '.BTF');
  const btf = section && Btf.of(section.data);
  // Since 6.2 the current task is the first member of a per-cpu structure of its own.
  const current = symbols.find(s => s.name === 'current_task' || s.name === 'pcpu_hot');
  const [pid, comm] = [btf?.offsetOf('task_struct', 'pid'), btf?.offsetOf('task_struct', 'comm')];
  if (!current || pid === undefined || comm === undefined || current.at >= 1n << 31n) return undefined;
  return { current: Number(current.at), pid, comm };
}
/** Symbols of the kernel's half by address, each as long as it is to the next one. */
function rangesOf(symbols: readonly KernelSymbol[]): NamedRange[] {
  const sorted = symbols.filter(s => s.at >= KERNEL_HALF).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return sorted.map(({ at, name }, n) => {
    let next = n + 1;
    while (next < sorted.length && sorted[next]!.at === at) next++;
    const bytes = next < sorted.length ? Math.min(Number(sorted[next]!.at - at), SYMBOL_BYTES_MAX) : 0;
    return { at: asVaddr(at), bytes, name };
  });
}

/** The kernel's memory, through its own tables. */
export interface KernelMemory {
  /** The address in the word at `at`; NaN where nothing is mapped or no address is there. */
  readonly address: (at: SignedAddress) => SignedAddress;
  /** Bytes; undefined where they are not all mapped. */
  readonly bytes: (at: bigint, count: number) => Uint8Array | undefined;
}
export interface Task {
  readonly pid: number;
  readonly name: string;
}

export class Linux {
  private readonly facts: LinuxFacts;
  private readonly memory: KernelMemory;
  /** Made when first asked for: false, if the kernel's memory has not what it should. */
  private orc: Orc | false | undefined;

  constructor(facts: LinuxFacts, memory: KernelMemory) {
    this.facts = facts;
    this.memory = memory;
  }
  /** Return addresses of the kernel's stack, innermost first; empty where its tables cannot be read. */
  stack(frame: OrcFrame, max: number): readonly SignedAddress[] {
    this.orc ??= this.tables() ?? false;
    return this.orc ? this.orc.unwind(frame, this.memory.address, max) : [];
  }
  private tables(): Orc | undefined {
    const { orc } = this.facts;
    const ip = orc && this.memory.bytes(orc.ip, orc.ipBytes);
    const entries = orc && this.memory.bytes(orc.entries, orc.entriesBytes);
    return orc && ip && entries ? new Orc({ ipAt: signed(orc.ip), ip, entries, since64: orc.since64 }) : undefined;
  }
  /** The task that runs on the processor whose per-cpu area is at `gs`; undefined before there is one. */
  task(gs: bigint): Task | undefined {
    const { task } = this.facts;
    const at = task ? this.memory.address(signed(gs) + task.current) : Number.NaN;
    if (!task || !(at < 0)) return undefined;
    const pid = this.memory.bytes(unsigned(at + task.pid), 4);
    const comm = this.memory.bytes(unsigned(at + task.comm), COMM_BYTES);
    if (!pid || !comm) return undefined;
    const end = comm.indexOf(0);
    return {
      pid: new DataView(pid.buffer, pid.byteOffset).getUint32(0, true),
      name: Buffer.from(comm.subarray(0, end < 0 ? COMM_BYTES : end)).toString('latin1'),
    };
  }
}
