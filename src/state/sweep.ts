/**
 * Folds stretches of a block. Most kinds touch nothing that another kind touches, so many events are not folded one after
 * the other but kind by kind: entries of tables and numbers of frames in loops over their columns, of registers only the
 * values that stay, and what is left, which is rare, in the order of events.
 */
import { type Block, type BlockColumns, listStart } from '../events/block.js';
import { FRAME_KINDS, type FrameKind, KIND, KIND_NAMES } from '../events/kinds.js';
import { someColumns } from '../recording/codec.js';
import { FOLD_BACKWARD, FOLD_FORWARD, type Place, STATELESS, setEntry } from './fold.js';
import type { Pool } from './pool.js';
import { FRAME_FIELDS, type FrameField, REGISTERS_MAX, registerWord, SECTION } from './words.js';

export type Direction = 'forward' | 'backward';
const { regs: REGS, pte: PTE, adopt: ADOPT, release: RELEASE } = KIND;

/** Fewer events than this are folded one by one. */
const FEW = 32;

/** By kind number: 1 for kinds to be folded in the order of events. Adopt and release touch what entries touch. */
const marked = (kinds: Iterable<number>): Uint8Array => {
  const marks = new Uint8Array(KIND_NAMES.length);
  for (const k of kinds) marks[k] = 1;
  return marks;
};
const WITH_STATE = KIND_NAMES.filter(name => !STATELESS.includes(name)).map(name => KIND[name]);
const IN_COLUMNS = [REGS, PTE, ...FRAME_KINDS.map(name => KIND[name])];
const ALL = marked(WITH_STATE);
const RARE = marked(WITH_STATE.filter(k => !IN_COLUMNS.includes(k)));
const RARE_AND_ENTRIES = marked(WITH_STATE.filter(k => k === PTE || !IN_COLUMNS.includes(k)));

/** What is folded, by kind number: the mark is 1. */
export type Wanted = Readonly<Uint8Array>;
export const EVERYTHING: Wanted = ALL;
/** What page tables hold and where they are, which is all that an address space needs. */
export const TABLES: Wanted = marked([PTE, ADOPT, RELEASE]);

/** The rows of each kind in a stretch, which follow each other: first..end-1. */
function rowsIn(block: Block, from: number, to: number): { first: Uint32Array; end: Uint32Array } {
  const first = new Uint32Array(KIND_NAMES.length);
  // Of a whole block without looking at its events.
  if (from === 0 && to === block.count) return { first, end: block.rows };
  const end = new Uint32Array(KIND_NAMES.length);
  const { kind, row } = block;
  for (let i = from; i < to; i++) {
    const k = kind[i]!;
    if (end[k] === 0) first[k] = row[i]!;
    end[k] = row[i]! + 1;
  }
  return { first, end };
}

/**
 * Folds events from..to-1 of the block in; or, backwards, takes them out again.
 * @param once only the columns that it takes are decoded, and not kept
 */
export function fold(
  pool: Pool,
  block: Block,
  from: number,
  to: number,
  direction: Direction,
  wanted: Wanted,
  once = false,
): void {
  if (to - from < FEW) {
    oneByOne(pool, block, from, to, direction, wanted);
    return;
  }
  const { first, end } = rowsIn(block, from, to);
  const has = (k: number): boolean => wanted[k] === 1 && end[k]! > first[k]!;

  if (has(REGS)) registers(pool, block, from, to, direction);
  for (const name of FRAME_KINDS) {
    const k = KIND[name];
    if (has(k))
      numbers(pool, FRAME_FIELDS[name], numbersOf(block, name, direction, once), first[k]!, end[k]!, direction);
  }
  const tables = has(ADOPT) || has(RELEASE);
  if (has(PTE) && !tables) entries(pool, entriesOf(block, direction, once), first[PTE]!, end[PTE]!, direction);
  const left = (tables ? RARE_AND_ENTRIES : RARE).map((mark, k) => (mark === 1 && has(k) ? 1 : 0));
  if (left.includes(1)) oneByOne(pool, block, from, to, direction, left);
}

/** Folds the events of the marked kinds. */
function oneByOne(pool: Pool, block: Block, from: number, to: number, direction: Direction, marks: Wanted): void {
  const { kind, row, vcpu, col } = block;
  if (direction === 'forward') {
    for (let i = from; i < to; i++) if (marks[kind[i]!] === 1) FOLD_FORWARD[kind[i]!]!(pool, col, row[i]!, vcpu[i]!);
  } else {
    for (let i = to - 1; i >= from; i--)
      if (marks[kind[i]!] === 1) FOLD_BACKWARD[kind[i]!]!(pool, col, row[i]!, vcpu[i]!);
  }
}

/** Where entries are written, and what: words with a sign, which V8 keeps as they are; it makes an object of each above 2^31. */
interface Entries extends Place {
  readonly lo: Int32Array;
  readonly hi: Int32Array;
}
function entriesOf(block: Block, direction: Direction, once: boolean): Entries {
  const [lo, hi] = direction === 'forward' ? (['newLo', 'newHi'] as const) : (['oldLo', 'oldHi'] as const);
  const c = once ? someColumns(block, 'pte', ['space', 'table', 'offset', 'bytes', lo, hi]) : block.col.pte;
  const { space, table, offset, bytes } = c;
  const columns = c as BlockColumns['pte'];
  return { space, table, offset, bytes, lo: signed(columns[lo]), hi: signed(columns[hi]) };
}
const signed = (words: Uint32Array): Int32Array => new Int32Array(words.buffer, words.byteOffset, words.length);

function entries(pool: Pool, c: Entries, first: number, end: number, direction: Direction): void {
  const { lo, hi } = c;
  if (direction === 'forward') for (let r = first; r < end; r++) setEntry(pool, c, r, lo[r]!, hi[r]!);
  else for (let r = end - 1; r >= first; r--) setEntry(pool, c, r, lo[r]!, hi[r]!);
}

interface Numbers {
  readonly frame: Uint32Array;
  readonly value: { readonly [row: number]: number };
}
function numbersOf(block: Block, kind: FrameKind, direction: Direction, once: boolean): Numbers {
  const which = direction === 'forward' ? 'new' : 'old';
  const c = once ? someColumns(block, kind, ['frame', which]) : block.col[kind];
  return { frame: c.frame, value: (c as BlockColumns[FrameKind])[which] };
}
function numbers(
  pool: Pool,
  { section, shift, mask }: FrameField,
  { frame, value }: Numbers,
  first: number,
  end: number,
  direction: Direction,
): void {
  const whole = mask === 0xffff_ffff;
  const [from, to, step] = direction === 'forward' ? [first, end, 1] : [end - 1, first - 1, -1];
  for (let r = from; r !== to; r += step)
    if (whole) pool.set(section, frame[r]!, value[r]!);
    else pool.setBits(section, frame[r]!, shift, mask, value[r]!);
}

/** By vcpu, low and high: registers not met yet. */
const unmet = new Uint32Array(2 * 256);

/** Sets each register once: to its last value in the stretch or, backwards, to what its first event there replaced. */
function registers(pool: Pool, { kind, row, vcpu, col }: Block, from: number, to: number, direction: Direction): void {
  const c = col.regs;
  const { maskLo, maskHi } = c;
  unmet.fill(0xffff_ffff);
  const meet = (i: number, lo: Uint32Array, hi: Uint32Array): void => {
    const r = row[i]!;
    const v = vcpu[i]!;
    const wantedLo = maskLo[r]! & unmet[2 * v]!;
    const wantedHi = maskHi[r]! & unmet[2 * v + 1]!;
    if ((wantedLo | wantedHi) === 0) return;
    unmet[2 * v]! &= ~wantedLo;
    unmet[2 * v + 1]! &= ~wantedHi;
    // Values are in the order of the bits of the row's own mask, from low to high.
    let item = listStart(c.valuesEnd, r);
    const end = c.valuesEnd[r]!;
    for (let half = 0; half < REGISTERS_MAX; half += 32) {
      const wanted = half === 0 ? wantedLo : wantedHi;
      for (let bits = half === 0 ? maskLo[r]! : maskHi[r]!; bits !== 0 && item < end; item++) {
        const bit = bits & -bits;
        bits ^= bit;
        if ((wanted & bit) === 0) continue;
        pool.setPair(SECTION.registers, registerWord(v, half + 31 - Math.clz32(bit)), lo[item]!, hi[item]!);
      }
    }
  };
  if (direction === 'forward') {
    for (let i = to - 1; i >= from; i--) if (kind[i] === REGS) meet(i, c.valuesLo, c.valuesHi);
  } else for (let i = from; i < to; i++) if (kind[i] === REGS) meet(i, c.oldsLo, c.oldsHi);
}
