/**
 * A kernel image for Xen: an ELF file with notes that say how it wants to be started. public/elfnote.h for the notes,
 * common/libelf/libelf-dominfo.c (elf_xen_parse) for what is made of them.
 */
import { Trouble } from '../../../base/trouble.js';
import { hex } from '../../../base/u64.js';
import { type Elf, type Note, parseElf } from '../../../isa/elf.js';
import type { Generation } from './domain.js';

const NOTE = { entry: 1, hypercallPage: 2, virtBase: 3, paddrOffset: 4, initP2m: 15, modStartPfn: 16 } as const;
/** Notes of our own guests: which Xen's words they are about, and where they say how their multicalls were queued. */
const OURS = { owner: 'rewalk', generation: 1, queue: 2 } as const;

export interface XenImage {
  readonly elf: Elf;
  readonly name: string;
  readonly generation: Generation;
  readonly entry: bigint;
  readonly virtBase: bigint;
  /** What is to be subtracted from an ELF physical address to get the offset from virtBase. */
  readonly paddrOffset: bigint;
  readonly hypercallPage: bigint | undefined;
  /** Where the P2M is to be mapped; undefined: inside the initial mapping. */
  readonly initP2m: bigint | undefined;
  /** The ramdisk may stay unmapped, named by its pfn. */
  readonly modStartPfn: boolean;
  readonly queue: QueueRecords | undefined;
}
/** Where the guest keeps multicall entries, and beside each 128 bytes on when and by whom it was queued. */
export interface QueueRecords {
  readonly entries: bigint;
  readonly records: bigint;
}

const X86_64_MACHINE = 62;
const PAGE_MASK = 4095n;

/** @throws Trouble naming the file and why Xen would not take it */
export function parseImage(image: Uint8Array, name: string): XenImage {
  const elf = parseElf(image, name);
  const bad = (why: string): never => {
    throw new Trouble(`${name}: ${why}`);
  };
  if (elf.bits !== 64 || elf.machine !== X86_64_MACHINE) bad('a guest of xen is a 64-bit x86 image');
  if (elf.segments.length === 0) bad('the image has nothing to load');
  const xen = elf.notes.filter(n => n.owner === 'Xen');
  if (xen.length === 0) bad('the image has no note for Xen, so it is no kernel for it');
  const number = (type: number): bigint | undefined => {
    const note = xen.find(n => n.type === type);
    if (!note) return undefined;
    if (![1, 2, 4, 8].includes(note.data.length)) return bad(`its Xen note ${type} has ${note.data.length} bytes`);
    return note.data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  };
  const virtBase = number(NOTE.virtBase) ?? 0n;
  if (virtBase & PAGE_MASK) bad(`its virtual base ${hex(virtBase)} is not at the start of a page`);
  const hypercallPage = number(NOTE.hypercallPage);
  if (hypercallPage !== undefined && hypercallPage & PAGE_MASK)
    bad(`its hypercall page ${hex(hypercallPage)} is not at the start of a page`);
  const p2m = number(NOTE.initP2m);
  return {
    elf,
    name,
    generation: generationOf(elf.notes),
    entry: number(NOTE.entry) ?? elf.entry,
    virtBase,
    paddrOffset: number(NOTE.paddrOffset) ?? 0n,
    hypercallPage,
    // As xc_dom_build_image: one above the kernel or not at the start of a page does not count.
    initP2m: p2m === undefined || p2m >= virtBase || p2m & PAGE_MASK ? undefined : p2m,
    modStartPfn: (number(NOTE.modStartPfn) ?? 0n) !== 0n,
    queue: queueOf(elf.notes),
  };
}
const ours = (notes: readonly Note[], type: number): Note | undefined =>
  notes.find(n => n.owner === OURS.owner && n.type === type);
function generationOf(notes: readonly Note[]): Generation {
  const note = ours(notes, OURS.generation);
  return note && Buffer.from(note.data).toString('latin1').startsWith('xen-4.1') ? '4.1' : '4.17';
}
function queueOf(notes: readonly Note[]): QueueRecords | undefined {
  const note = ours(notes, OURS.queue);
  if (note?.data.length !== 16) return undefined;
  const view = new DataView(note.data.buffer, note.data.byteOffset, 16);
  return { entries: view.getBigUint64(0, true), records: view.getBigUint64(8, true) };
}
