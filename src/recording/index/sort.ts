/**
 * A stable radix sort of row numbers by some of their words: no comparisons, and nothing allocated that is not kept. The
 * bits in which rows differ are packed into one number a row, which moves along with the row's: so each pass reads in order,
 * and only what is written is spread.
 *
 * Loops go over slices and words have a sign, for the reasons that column-encode.ts gives.
 */
import type { Rows } from './rows.js';

const DIGIT_BITS = 11;
const counts = new Int32Array(1 << DIGIT_BITS);
const SLICE = 1024;

/** A part of a row: `bits` bits from `shift` on of word `at`. */
export interface Part {
  readonly at: number;
  readonly shift: number;
  readonly bits: number;
}
export const wholeWord = (at: number): Part => ({ at, shift: 0, bits: 32 });

/** A part less the bits that are the same in all rows. */
interface Varying extends Part {
  /** Where it goes in the key. */
  readonly to: number;
}

/** Rows there is room for to begin with: in one piece of memory so large that the system backs what is touched of it. */
const FIRST_ROWS = 2 ** 21;

/** Room for the numbers of rows, used again for each sort. */
export class Sorter {
  private order = new Uint32Array(0);
  private otherOrder = new Uint32Array(0);
  private keys = new Int32Array(0);
  private otherKeys = new Int32Array(0);
  private room = 0;

  /**
   * The numbers 0..n-1 of rows in ascending order of the parts, of which the last decides first; equal rows stay in order.
   * The result is valid until the next call.
   */
  sort(rows: Rows, parts: readonly Part[]): Uint32Array {
    const { n } = rows;
    if (this.room < n) this.makeRoom(Math.max(FIRST_ROWS, 2 * n));
    slices(n, (from, to) => number(this.order, from, to));
    // As many parts as fit into 32 bits at a time.
    let some: Varying[] = [];
    let bits = 0;
    for (const part of parts) {
      const varying = varyingBits(rows, part);
      if (bits + varying.bits > 32) {
        this.byKey(rows, some, bits);
        some = [];
        bits = 0;
      }
      some.push({ ...varying, to: bits });
      bits += varying.bits;
    }
    this.byKey(rows, some, bits);
    return this.order.subarray(0, n);
  }

  private makeRoom(rows: number): void {
    const buffer = new ArrayBuffer(16 * rows);
    this.order = new Uint32Array(buffer, 0, rows);
    this.otherOrder = new Uint32Array(buffer, 4 * rows, rows);
    this.keys = new Int32Array(buffer, 8 * rows, rows);
    this.otherKeys = new Int32Array(buffer, 12 * rows, rows);
    this.room = rows;
  }

  private byKey(rows: Rows, parts: readonly Varying[], bits: number): void {
    if (bits === 0) return;
    const { order, keys } = this;
    const { n } = rows;
    const words = signed(rows);
    keys.fill(0, 0, n);
    for (const part of parts)
      if (part.bits > 0) slices(n, (from, to) => addToKeys(keys, order, words, rows.stride, part, from, to));
    const passes = Math.ceil(bits / DIGIT_BITS);
    const width = Math.ceil(bits / passes);
    for (let p = 0; p < passes; p++) this.pass(n, p * width, maskOf(width));
  }

  private pass(n: number, shift: number, mask: number): void {
    const { order, otherOrder, keys, otherKeys } = this;
    counts.fill(0, 0, mask + 1);
    slices(n, (from, to) => count(keys, from, to, shift, mask));
    let sum = 0;
    for (let d = 0; d <= mask; d++) {
      const rows = counts[d]!;
      counts[d] = sum;
      sum += rows;
    }
    slices(n, (from, to) => spread(keys, order, otherKeys, otherOrder, from, to, shift, mask));
    this.order = otherOrder;
    this.otherOrder = order;
    this.keys = otherKeys;
    this.otherKeys = keys;
  }
}

function slices(n: number, work: (from: number, to: number) => void): void {
  for (let from = 0; from < n; from += SLICE) work(from, Math.min(n, from + SLICE));
}
const signed = ({ words }: Rows): Int32Array => new Int32Array(words.buffer, words.byteOffset, words.length);
const maskOf = (bits: number): number => (bits === 32 ? -1 : (1 << bits) - 1);

function number(order: Uint32Array, from: number, to: number): void {
  for (let i = from; i < to; i++) order[i] = i;
}

function addToKeys(
  keys: Int32Array,
  order: Uint32Array,
  words: Int32Array,
  stride: number,
  { at, shift, bits, to: left }: Varying,
  from: number,
  to: number,
): void {
  const mask = maskOf(bits);
  for (let i = from; i < to; i++) keys[i]! |= ((words[order[i]! * stride + at]! >>> shift) & mask) << left;
}

function count(keys: Int32Array, from: number, to: number, shift: number, mask: number): void {
  for (let i = from; i < to; i++) counts[(keys[i]! >>> shift) & mask]!++;
}

function spread(
  keys: Int32Array,
  order: Uint32Array,
  otherKeys: Int32Array,
  otherOrder: Uint32Array,
  from: number,
  to: number,
  shift: number,
  mask: number,
): void {
  for (let i = from; i < to; i++) {
    const key = keys[i]!;
    const place = counts[(key >>> shift) & mask]!++;
    otherOrder[place] = order[i]!;
    otherKeys[place] = key;
  }
}

/** The bits of a part from the lowest to the highest in which rows differ. */
function varyingBits(rows: Rows, { at, shift, bits }: Part): Part {
  const words = signed(rows);
  const first = words[at]!;
  let differ = 0;
  slices(rows.n, (from, to) => {
    differ |= difference(words, rows.stride, at, first, from, to);
  });
  differ = (differ >>> shift) & maskOf(bits);
  if (differ === 0) return { at, shift, bits: 0 };
  const low = 31 - Math.clz32(differ & -differ);
  return { at, shift: shift + low, bits: 32 - Math.clz32(differ) - low };
}
/** The bits in which some of the rows differ from `first`. */
function difference(words: Int32Array, stride: number, at: number, first: number, from: number, to: number): number {
  let differ = 0;
  for (let i = from, w = from * stride + at; i < to; i++, w += stride) differ |= words[w]! ^ first;
  return differ;
}
