/** The loops over columns that read: see column-tags.ts for how columns look, and encode.ts for the way there. */
import { i32x4, v128 } from '../../base/simd.js';
import { type Code, get, i32, i64, set, when } from '../../base/wasm.js';
import { CODES_END } from './inflate.js';
import { at, each, increase, type Routine, routine } from './kit.js';

const c = i32.const;
const FOURS = 256;
/*
 * For each byte of four lengths (length - 1 of four words, two bits each, lowest first):
 *
 *   MERGE   which byte of [four of plane 0 | of plane 1 | of plane 2 | of plane 3] goes where: lanes of a swizzle
 *             planes  00 10 20 30 | 01 11 .. | 02 .. | 03 ..    the bytes k there are, one behind the other
 *             words   00 01 02 03 10 11 12 13 ...               byte k of word j, 0 where it has none
 *   COUNT   how many of the four words have a byte 1, 2, 3; byte 0 is unused
 */
const MERGE = CODES_END;
const COUNT = MERGE + 16 * FOURS;
/** What `longer` leaves: i32 each. */
export const LONGER = COUNT + 4 * FOURS;
export const TABLES_END = LONGER + 16;

/** No byte: a swizzle makes 0 of it. */
const NONE = 255;

export function fillTables(bytes: Uint8Array): void {
  bytes.fill(NONE, MERGE, COUNT);
  for (let four = 0; four < FOURS; four++)
    for (let k = 0; k < 4; k++) {
      let place = 4 * k;
      for (let j = 0; j < 4; j++) if (((four >> (2 * j)) & 3) >= k) bytes[MERGE + 16 * four + 4 * j + k] = place++;
      bytes[COUNT + 4 * four + k] = place - 4 * k;
    }
}

/** Counts, of lengths in so many bytes with seven zeros behind, those of words with a byte 1, a byte 2, a byte 3, to LONGER. */
const longer = routine(
  'longer',
  ['lengths', 'bytes'],
  { i: 'i32', n1: 'i32', n2: 'i32', n3: 'i32', low: 'i64', high: 'i64' },
  ({ lengths, bytes, i, n1, n2, n3, low, high }) => {
    const odd = i64.const(0x5555_5555_5555_5555n);
    const count = (bits: Code): Code => i32.wrap(i64.popcnt(bits));
    return [
      each(i, c(0), get(bytes), 8, [
        set(low, i64.load(at(lengths, i))),
        set(high, i64.and(i64.shrU(get(low), i64.const(1)), odd)),
        set(low, i64.and(get(low), odd)),
        increase(n1, count(i64.or(get(low), get(high)))),
        increase(n2, count(get(high))),
        increase(n3, count(i64.and(get(low), get(high)))),
      ]),
      [n1, n2, n3].map((n, k) => i32.store(c(LONGER + 4 * k), get(n))),
    ];
  },
);

/** Words from the bytes of their planes, four a turn. */
const merge = routine(
  'merge',
  ['lengths', 'n', 'p0', 'p1', 'p2', 'p3', 'out'],
  { i: 'i32', four: 'i32', bytes: 'v128' },
  ({ lengths, n, p0, p1, p2, p3, out, i, four, bytes }) =>
    each(i, c(0), get(n), 4, [
      set(four, i32.load8U(i32.add(get(lengths), i32.shrU(get(i), c(2))))),
      set(bytes, v128.load32Zero(at(p0, i))),
      [p1, p2, p3].map((p, k) => set(bytes, i32x4.replace(get(bytes), k + 1, i32.load(get(p))))),
      v128.store(at(out, i, 2), v128.swizzle(get(bytes), v128.load(i32.shl(get(four), c(4)), MERGE))),
      set(four, i32.shl(get(four), c(2))),
      [p1, p2, p3].map((p, k) => increase(p, i32.load8U(get(four), COUNT + k + 1))),
    ]),
);

/** Differences (zigzag) to values, in place. */
const sums = routine('sums', ['words', 'n'], { i: 'i32', w: 'i32', sum: 'i32' }, ({ words, n, i, w, sum }) =>
  each(i, c(0), get(n), 1, [
    set(w, i32.load(at(words, i, 2))),
    increase(sum, i32.xor(i32.shrU(get(w), c(1)), i32.sub(c(0), i32.and(get(w), c(1))))),
    i32.store(at(words, i, 2), get(sum)),
  ]),
);

/** The numbers of words that are not as the one before, the first among them, and those words; gives how many. */
const steps = routine(
  'steps',
  ['words', 'n', 'rows', 'values'],
  { i: 'i32', w: 'i32', last: 'i32', count: 'i32' },
  ({ words, n, rows, values, i, w, last, count }) => [
    set(last, i32.xor(i32.load(get(words)), c(-1))),
    each(i, c(0), get(n), 1, [
      set(w, i32.load(at(words, i, 2))),
      when(i32.ne(get(w), get(last)), [
        i32.store(at(rows, count, 2), get(i)),
        i32.store(at(values, count, 2), get(w)),
        increase(count, c(1)),
        set(last, get(w)),
      ]),
    ]),
    get(count),
  ],
  'i32',
);

export const DECODE: readonly Routine[] = [longer, merge, sums, steps];
