/**
 * Folds stretches of a block. Most kinds touch nothing that another kind touches, so many events are not folded one after
 * the other but kind by kind: entries of tables and numbers of frames in loops over their columns, of registers only the
 * values that stay, and what is left, which is rare, in the order of events.
 */
import { type Block, type BlockColumns, listStart } from '../events/block.js';
import { FRAME_KINDS, KIND, KIND_NAMES } from '../events/kinds.js';
import { FOLD_BACKWARD, FOLD_FORWARD, STATELESS, setEntry } from './fold.js';
import type { Pool } from './pool.js';
import { FRAME_FIELDS, REGISTERS_MAX, registerWord, SECTION } from './words.js';

type Direction = 'forward' | 'backward';
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

/** Folds events from..to-1 of the block in; or, backwards, takes them out again. */
export function fold(pool: Pool, block: Block, from: number, to: number, direction: Direction, wanted: Wanted): void {
  if (to - from < FEW) {
    oneByOne(pool, block, from, to, direction, wanted);
    return;
  }
  const { col } = block;
  const { first, end } = rowsIn(block, from, to);
  const has = (k: number): boolean => wanted[k] === 1 && end[k]! > first[k]!;

  if (has(REGS)) registers(pool, block, from, to, direction);
  for (const name of FRAME_KINDS) {
    const k = KIND[name];
    if (has(k)) numbers(pool, FRAME_FIELDS[name], col[name], first[k]!, end[k]!, direction);
  }
  const tables = has(ADOPT) || has(RELEASE);
  if (has(PTE) && !tables) entries(pool, col.pte, first[PTE]!, end[PTE]!, direction);
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

/** As words with a sign, which V8 hands over as they are: of each that is 2^31 and more it would make an object. */
const signed = (words: Uint32Array): Int32Array => new Int32Array(words.buffer, words.byteOffset, words.length);

function entries(pool: Pool, c: BlockColumns['pte'], first: number, end: number, direction: Direction): void {
  if (direction === 'forward') {
    const [lo, hi] = [signed(c.newLo), signed(c.newHi)];
    for (let r = first; r < end; r++) setEntry(pool, c, r, lo[r]!, hi[r]!);
  } else {
    const [lo, hi] = [signed(c.oldLo), signed(c.oldHi)];
    for (let r = end - 1; r >= first; r--) setEntry(pool, c, r, lo[r]!, hi[r]!);
  }
}

type Numbers = Pick<BlockColumns['total'], 'frame'> & {
  readonly [V in 'old' | 'new']: { readonly [row: number]: number };
};
function numbers(
  pool: Pool,
  { section, shift, mask }: (typeof FRAME_FIELDS)['type'],
  { frame, old, new: now }: Numbers,
  first: number,
  end: number,
  direction: Direction,
): void {
  const whole = mask === 0xffff_ffff;
  const forward = direction === 'forward';
  const values = forward ? now : old;
  const step = forward ? 1 : -1;
  for (let r = forward ? first : end - 1, left = end - first; left > 0; r += step, left--)
    if (whole) pool.set(section, frame[r]!, values[r]!);
    else pool.setBits(section, frame[r]!, shift, mask, values[r]!);
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
