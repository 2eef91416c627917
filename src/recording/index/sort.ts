/**
 * A stable radix sort of row numbers by some of their words: no comparisons, and nothing allocated that is not kept. The
 * bits in which rows differ are packed into one number a row, which moves along with the row's: so each pass reads in order,
 * and only what is written is spread.
 */
import type { Rows } from './rows.js';

const DIGIT_BITS = 11;
const counts = new Uint32Array(1 << DIGIT_BITS);

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

/** Room for the numbers of rows, used again for each sort. */
export class Sorter {
  private order = new Uint32Array(0);
  private otherOrder = new Uint32Array(0);
  private keys = new Uint32Array(0);
  private otherKeys = new Uint32Array(0);

  /**
   * The numbers 0..n-1 of rows in ascending order of the parts, of which the last decides first; equal rows stay in order.
   * The result is valid until the next call.
   */
  sort(rows: Rows, parts: readonly Part[]): Uint32Array {
    const { n } = rows;
    if (this.order.length < n)
      for (const name of ['order', 'otherOrder', 'keys', 'otherKeys'] as const) this[name] = new Uint32Array(2 * n);
    for (let i = 0; i < n; i++) this.order[i] = i;
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

  private byKey({ n, words, stride }: Rows, parts: readonly Varying[], bits: number): void {
    if (bits === 0) return;
    const { order, keys } = this;
    keys.fill(0, 0, n);
    for (const { at, shift, bits: width, to } of parts) {
      const mask = maskOf(width);
      for (let i = 0; i < n; i++) keys[i]! |= ((words[order[i]! * stride + at]! >>> shift) & mask) << to;
    }
    const passes = Math.ceil(bits / DIGIT_BITS);
    const width = Math.ceil(bits / passes);
    for (let p = 0; p < passes; p++) this.pass(n, p * width, maskOf(width));
  }

  private pass(n: number, shift: number, mask: number): void {
    const { order, otherOrder, keys, otherKeys } = this;
    counts.fill(0, 0, mask + 1);
    for (let i = 0; i < n; i++) counts[(keys[i]! >>> shift) & mask]!++;
    let sum = 0;
    for (let d = 0; d <= mask; d++) {
      const count = counts[d]!;
      counts[d] = sum;
      sum += count;
    }
    for (let i = 0; i < n; i++) {
      const key = keys[i]!;
      const to = counts[(key >>> shift) & mask]!++;
      otherOrder[to] = order[i]!;
      otherKeys[to] = key;
    }
    this.order = otherOrder;
    this.otherOrder = order;
    this.keys = otherKeys;
    this.otherKeys = keys;
  }
}

const maskOf = (bits: number): number => (bits === 32 ? 0xffff_ffff : (1 << bits) - 1);

/** The bits of a part from the lowest to the highest in which rows differ. */
function varyingBits({ n, words, stride }: Rows, { at, shift, bits }: Part): Part {
  const mask = maskOf(bits);
  let ones = 0;
  let zeros = 0;
  for (let i = 0, w = at; i < n; i++, w += stride) {
    ones |= words[w]!;
    zeros |= ~words[w]!;
  }
  const differ = ((ones & zeros) >>> shift) & mask;
  if (differ === 0) return { at, shift, bits: 0 };
  const low = 31 - Math.clz32(differ & -differ);
  return { at, shift: shift + low, bits: 32 - Math.clz32(differ) - low };
}
