/** The loops of literals.ts: what bytes are there, what repeats, and their codes one behind the other. */
import { i32x4, v128 } from '../../base/simd.js';
import { block, br, brIf, type Code, get, i32, i64, label, loop, memoryFill, set, when } from '../../base/wasm.js';
import { at, each, increase, type Routine, routine } from './kit.js';

const c = i32.const;

const TABLE = 1024;
/** Bytes that `census` needs for its counts. */
export const CENSUS_BYTES = 4 * TABLE;

/**
 * Counts how often each byte comes: 256 u32. Four bytes go to four tables, since a count that was just written is slow to
 * read again; they are added up in the first.
 */
const census = routine('census', ['from', 'n', 'counts'], { i: 'i32', slot: 'i32' }, ({ from, n, counts, i, slot }) => {
  const count = (k: number): Code => [
    set(slot, i32.add(get(counts), i32.shl(i32.load8U(at(from, i), k), c(2)))),
    i32.store(get(slot), i32.add(i32.load(get(slot), k * TABLE), c(1)), k * TABLE),
  ];
  return [
    memoryFill(get(counts), c(0), c(CENSUS_BYTES)),
    each(i, c(0), i32.and(get(n), c(-4)), 4, [0, 1, 2, 3].map(count)),
    each(i, get(i), get(n), 1, count(0)),
    each(i, c(0), c(TABLE), 16, [
      set(slot, at(counts, i)),
      v128.store(
        get(slot),
        [1, 2, 3].reduce<Code>((sum, k) => i32x4.add(sum, v128.load(get(slot), k * TABLE)), v128.load(get(slot))),
      ),
    ]),
  ];
});

/** Places of the table that `repeats` remembers four bytes by. */
const SEEN_BITS = 11;
export const SEEN_BYTES = 4 << SEEN_BITS;
/** Bits that it takes to say a match, but for those of its distance: a guess of what brotli needs. */
const MATCH_BITS = 16;
const PATIENCE_BITS = 6;

/**
 * About how many sixteenths of a bit would be saved by saying where bytes were before, if a byte takes `each` sixteenths of
 * a bit: matches of four bytes and more, found as a quick compressor finds them. Stops where it is more than `enough`.
 */
const repeats = routine(
  'repeats',
  ['from', 'n', 'seen', 'each', 'enough'],
  {
    i: 'i32',
    start: 'i32',
    last: 'i32',
    end: 'i32',
    w: 'i32',
    slot: 'i32',
    before: 'i32',
    length: 'i32',
    gain: 'i32',
    saved: 'i32',
  },
  ({ from, n, seen, each: bits, enough, i, start, last, end, w, slot, before, length, gain, saved }) => {
    const [top, done, more, matched] = [label('top'), label('done'), label('more'), label('matched')];
    return [
      memoryFill(get(seen), c(0), c(SEEN_BYTES)),
      // Byte 0 is never the start of a match: 0 says that there is none.
      set(end, i32.sub(get(n), c(4))),
      set(i, c(1)),
      block(
        done,
        loop(top, [
          brIf(done, i32.gtS(get(i), get(end))),
          set(w, i32.load(at(from, i))),
          set(slot, i32.shrU(i32.mul(get(w), c(0x9e37_79b1)), c(32 - SEEN_BITS))),
          set(slot, i32.add(get(seen), i32.shl(get(slot), c(2)))),
          set(before, i32.load(get(slot))),
          i32.store(get(slot), get(i)),
          // The longer nothing was found, the fewer places are looked at.
          set(start, get(i)),
          increase(i, i32.add(c(1), i32.shrU(i32.sub(get(i), get(last)), c(PATIENCE_BITS)))),
          brIf(top, i32.eqz(get(before))),
          brIf(top, i32.ne(i32.load(at(from, before)), get(w))),
          set(length, c(4)),
          block(
            matched,
            loop(more, [
              brIf(matched, i32.geS(i32.add(get(start), get(length)), get(n))),
              brIf(
                matched,
                i32.ne(
                  i32.load8U(i32.add(at(from, start), get(length))),
                  i32.load8U(i32.add(at(from, before), get(length))),
                ),
              ),
              increase(length, c(1)),
              br(more),
            ]),
          ),
          // The distance takes as many bits as it has, about.
          set(gain, i32.sub(c(MATCH_BITS + 32), i32.clz(i32.sub(get(start), get(before))))),
          set(gain, i32.sub(i32.mul(get(length), get(bits)), i32.shl(get(gain), c(4)))),
          when(i32.gtS(get(gain), c(0)), [
            increase(saved, get(gain)),
            set(i, i32.add(get(start), get(length))),
            set(last, get(i)),
            brIf(done, i32.gtS(get(saved), get(enough))),
          ]),
          br(top),
        ]),
      ),
      get(saved),
    ];
  },
  'i32',
);

/**
 * Writes the codes of n bytes: `codes` has 256 u32, code | length << 16, first bit lowest. Begins with the `used` bits of
 * `acc` that are there already (below 8); gives where the bytes end. Three codes fit in what is left of 64 bits.
 */
const emit = routine(
  'emit',
  ['from', 'n', 'codes', 'out', 'acc', 'used'],
  { i: 'i32', code: 'i32', bits: 'i64' },
  ({ from, n, codes, out, acc, used, i, code, bits }) => {
    const add = (k: number): Code => [
      set(code, i32.load(i32.add(get(codes), i32.shl(i32.load8U(at(from, i), k), c(2))))),
      set(bits, i64.or(get(bits), i64.shl(i64.extendU(i32.and(get(code), c(0xffff))), i64.extendU(get(used))))),
      increase(used, i32.shrU(get(code), c(16))),
    ];
    // All are written, and those go that fill a byte.
    const write: Code = [
      i64.store(get(out), get(bits)),
      increase(out, i32.shrU(get(used), c(3))),
      set(bits, i64.shrU(get(bits), i64.extendU(i32.and(get(used), c(-8))))),
      set(used, i32.and(get(used), c(7))),
    ];
    return [
      set(bits, i64.extendU(get(acc))),
      each(i, c(0), i32.sub(get(n), i32.remU(get(n), c(3))), 3, [add(0), add(1), add(2), write]),
      each(i, get(i), get(n), 1, [add(0), write]),
      i32.add(get(out), i32.ne(get(used), c(0))),
    ];
  },
  'i32',
);

export const LITERALS: readonly Routine[] = [census, repeats, emit];
