/**
 * Decoded instructions, 32 bytes each, in the order of execution. A block is a header, its records, and behind the last
 * record, if that one branches, an exit. Operands are addresses in linear memory, so a handler needs no decoding at all.
 *
 *            0        2        4        8        12       16     18    19     20       24                 32
 *   record  | handler| place  | dst    | src    | base   | index|scale|length| disp   | imm               |
 *   header  | first  | entry  |entries | address of the block (+8) | frame    | region | instructions      |
 *   exit    | -      | count  | fall   | taken  |linkable| fall-through address (+16) | target address    |
 *
 *   place   slots back to the header: the header of a record is at record - 32 * place
 *   dst,src addresses of the operands' registers;   base, index  the same for a memory operand (index u16)
 *   scale   log2;   length  bytes of the instruction, 0 in a micro-record that only prepares the next one
 *   fall, taken   in an exit: the records to go on with, 0 until first used
 *   linkable      bit 0 for fall, bit 1 for taken: set where the target is in the page of the branch (its last byte).
 *           Only there a link is safe: while the branch executes, the page's translation cannot change unnoticed
 *   first ... in a block that is part of a region (region/): the handler of its first record, where REGION is now; which
 *           block of which region it is; and in the region's first block how often it was entered and what it did
 *   count   instructions of the block, subtracted from the budget by the branch
 *
 * No record holds its own address or number: when a fault needs them, `placeOf` adds up the lengths from the header.
 */
export const SLOT_BYTES = 32;
export const RECORD = {
  handler: 0,
  place: 2,
  dst: 4,
  src: 8,
  base: 12,
  index: 16,
  scale: 18,
  length: 19,
  disp: 20,
  imm: 24,
} as const;
export const HEADER = { first: 0, entry: 2, entries: 4, pc: 8, frame: 16, region: 20, instructions: 24 } as const;
export const EXIT = { count: 2, fall: 4, taken: 8, linkable: 12, fallPc: 16, takenPc: 24 } as const;

/** No block has more instructions than this; a run stops exactly by going one by one when less is left. */
export const BLOCK_INSTRUCTIONS_MAX = 32;
/** An instruction may need two micro-records, and a block a header, two guards, a last record and an exit. */
export const BLOCK_SLOTS_MAX = 3 * BLOCK_INSTRUCTIONS_MAX + 5;

/** Handlers every machine has, at fixed numbers; the processor's own follow. */
export const STALE = 0;
export const GUARD = 1;
export const OUT = 2;
export const GOTO = 3;
export const REGION = 4;

/** The handler of a record, also where a region has taken its place. */
export function handlerOf(view: DataView, record: number): number {
  const handler = view.getUint16(record + RECORD.handler, true);
  return handler === REGION ? view.getUint16(record - SLOT_BYTES + HEADER.first, true) : handler;
}

/** Where an instruction is; to be filled in, since it is asked for at every event. */
export interface Place {
  /** Its virtual address, as two words. */
  pcLo: number;
  pcHi: number;
  /** Instructions of the block before it. */
  before: number;
}
export const newPlace = (): Place => ({ pcLo: 0, pcHi: 0, before: 0 });

/** Which instruction a record is. `view` covers the linear memory. */
export function findPlace(view: DataView, record: number, into: Place): void {
  const header = record - SLOT_BYTES * view.getUint16(record + RECORD.place, true);
  let length = 0;
  let before = 0;
  for (let at = header + SLOT_BYTES; at < record; at += SLOT_BYTES) {
    const bytes = view.getUint8(at + RECORD.length);
    length += bytes;
    if (bytes) before++;
  }
  const lo = view.getUint32(header + HEADER.pc, true) + length;
  const hi = view.getUint32(header + HEADER.pc + 4, true);
  into.pcLo = lo >>> 0;
  into.pcHi = lo > 0xffff_ffff ? (hi + 1) >>> 0 : hi;
  into.before = before;
}
