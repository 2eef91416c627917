/** The loops that make columns out of values; column-encode.ts, head.ts and reduce.ts say what for. */
import { f64, i32x4, i64x2, truncate, v128 } from '../../base/simd.js';
import {
  block,
  br,
  brIf,
  type Code,
  get,
  i32,
  i64,
  type Local,
  label,
  loop,
  memoryFill,
  ret,
  set,
  tee,
  when,
} from '../../base/wasm.js';
import { at, each, increase, type Routine, routine, whileTrue } from './kit.js';
import { COUNT, FEW_NIBBLES, FEW_PLACES, FEW_TABLE, RESULTS, SPLIT } from './tables.js';

const c = i32.const;
/** Maps differences to small numbers, whatever their sign. */
const zigzag = (d: Local): Code => v128.xor(i32x4.shl(get(d), c(1)), i32x4.shrS(get(d), c(31)));
const sumOf = (v: Local): Code =>
  [1, 2, 3].reduce<Code>((sum, lane) => i32.add(sum, i32x4.extract(get(v), lane)), i32x4.extract(get(v), 0));

/** 1 if all values, of `step` bytes each, are the first one. */
const alike = routine(
  'alike',
  ['from', 'bytes', 'step'],
  { i: 'i32', end: 'i32' },
  ({ from, bytes, step, i, end }) => {
    const next = i32.add(at(from, i), get(step));
    return [
      set(end, i32.sub(get(bytes), get(step))),
      whileTrue(i32.leS(i32.add(get(i), c(16)), get(end)), [
        when(v128.anyTrue(v128.xor(v128.load(at(from, i)), v128.load(next))), ret(c(0))),
        increase(i, c(16)),
      ]),
      each(i, get(i), get(end), 1, when(i32.ne(i32.load8U(at(from, i)), i32.load8U(next)), ret(c(0)))),
      c(1),
    ];
  },
  'i32',
);

/** All bytes, or-ed. */
const union = routine(
  'union',
  ['from', 'bytes'],
  { i: 'i32', end: 'i32', all: 'i32', v: 'v128', both: 'i64' },
  ({ from, bytes, i, end, all, v, both }) => [
    set(end, i32.and(get(bytes), c(-16))),
    each(i, c(0), get(end), 16, set(v, v128.or(get(v), v128.load(at(from, i))))),
    each(i, get(end), get(bytes), 1, set(all, i32.or(get(all), i32.load8U(at(from, i))))),
    set(both, i64.or(i64x2.extract(get(v), 0), i64x2.extract(get(v), 1))),
    set(both, i64.or(get(both), i64.shrU(get(both), i64.const(32)))),
    set(both, i64.or(get(both), i64.shrU(get(both), i64.const(16)))),
    set(both, i64.or(get(both), i64.shrU(get(both), i64.const(8)))),
    i32.and(i32.or(get(all), i32.wrap(get(both))), c(255)),
  ],
  'i32',
);

/** Writes the lengths of n words, four to a byte; RESULTS: how many words have a byte 1, a byte 2, a byte 3. */
const lengths = routine(
  'lengths',
  ['words', 'n', 'out'],
  {
    i: 'i32',
    w: 'v128',
    two: 'v128',
    three: 'v128',
    four: 'v128',
    n1: 'v128',
    n2: 'v128',
    n3: 'v128',
    a: 'i64',
    b: 'i64',
  },
  ({ words, n, out, i, w, two, three, four, n1, n2, n3, a, b }) => {
    const isAbove = (bits: number): Code => i32x4.ltU(i32x4.splat(c(2 ** bits - 1)), get(w));
    // A comparison gives -1. Two lanes of two bits become four bits: 1 0 -> ..1..0 -> .10
    const pair = (v: Local): Code => i64.and(i64.or(get(v), i64.shrU(get(v), i64.const(30))), i64.const(15));
    return [
      each(i, c(0), get(n), 4, [
        set(w, v128.load(at(words, i, 2))),
        set(two, isAbove(8)),
        set(three, isAbove(16)),
        set(four, isAbove(24)),
        set(n1, i32x4.sub(get(n1), get(two))),
        set(n2, i32x4.sub(get(n2), get(three))),
        set(n3, i32x4.sub(get(n3), get(four))),
        set(w, i32x4.sub(i32x4.splat(c(0)), i32x4.add(get(two), i32x4.add(get(three), get(four))))),
        set(a, i64x2.extract(get(w), 0)),
        set(b, i64x2.extract(get(w), 1)),
        i64.store8(i32.add(get(out), i32.shrU(get(i), c(2))), i64.or(pair(a), i64.shl(pair(b), i64.const(4)))),
      ]),
      [n1, n2, n3].map((sum, k) => i32.store(c(RESULTS), sumOf(sum), 4 * k)),
    ];
  },
);

/** Differences of n words from the word before, zigzagged. */
const differences = routine(
  'differences',
  ['words', 'n', 'out'],
  { i: 'i32', before: 'v128', now: 'v128', d: 'v128' },
  ({ words, n, out, i, before, now, d }) =>
    each(i, c(0), get(n), 4, [
      set(now, v128.load(at(words, i, 2))),
      // The last of the four words before, and three of these.
      set(d, v128.shuffle(get(before), get(now), [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27])),
      set(d, i32x4.sub(get(now), get(d))),
      v128.store(at(out, i, 2), zigzag(d)),
      set(before, get(now)),
    ]),
);

/** Bits shift..shift+7 of n words. */
const plane = routine('plane', ['words', 'n', 'shift', 'out'], { i: 'i32' }, ({ words, n, shift, out, i }) => {
  const low = v128.const(0xffff_ffff_0c08_0400n, ~0n);
  const shifted = i32x4.shrU(v128.load(at(words, i, 2)), get(shift));
  return each(i, c(0), get(n), 4, i32.store(at(out, i), i32x4.extract(v128.swizzle(shifted, low), 0)));
});

/** Packs n bytes of `width` bits each, lowest first; behind them there are zeros. */
const pack = routine(
  'pack',
  ['from', 'n', 'width', 'out'],
  { i: 'i32', shift: 'i32', packed: 'i32' },
  ({ from, n, width, out, i, shift, packed }) =>
    each(i, c(0), get(n), 1, [
      set(packed, i32.or(get(packed), i32.shl(i32.load8U(at(from, i)), get(shift)))),
      increase(shift, get(width)),
      when(i32.or(i32.eq(get(shift), c(8)), i32.eq(get(i), i32.sub(get(n), c(1)))), [
        i32.store8(get(out), get(packed)),
        increase(out, c(1)),
        set(shift, c(0)),
        set(packed, c(0)),
      ]),
    ]),
);

/**
 * Splits n words into their bytes 0, 1, 2, 3, as far as they have them. Four bytes are written to each plane, and the next
 * turn writes over what was none.
 */
const split = routine(
  'split',
  ['words', 'n', 'lengths', 'p0', 'p1', 'p2', 'p3'],
  { i: 'i32', four: 'i32', bytes: 'v128' },
  ({ words, n, lengths: sizes, p0, p1, p2, p3, i, four, bytes }) =>
    each(i, c(0), get(n), 4, [
      set(four, i32.load8U(i32.add(get(sizes), i32.shrU(get(i), c(2))))),
      set(bytes, v128.swizzle(v128.load(at(words, i, 2)), v128.load(i32.shl(get(four), c(4)), SPLIT))),
      set(four, i32.shl(get(four), c(2))),
      i32.store(at(p0, i), i32x4.extract(get(bytes), 0)),
      [p1, p2, p3].map((p, k) => [
        i32.store(get(p), i32x4.extract(get(bytes), k + 1)),
        increase(p, i32.load8U(get(four), COUNT + k + 1)),
      ]),
    ]),
);

/**
 * Gives each of n words a place in the table of few values, and counts there. Writes their places (u16), and a list of those
 * in use (u16); gives how many these are, or -1 where they are more than `most`.
 */
const tabulate = routine(
  'tabulate',
  ['words', 'n', 'places', 'used', 'most'],
  { i: 'i32', w: 'i32', place: 'i32', slot: 'i32', count: 'i32', k: 'i32' },
  ({ words, n, places, used, most, i, w, place, slot, count, k }) => {
    const [probe, found] = [label('probe'), label('found')];
    return [
      memoryFill(c(FEW_TABLE), c(0), c(8 * FEW_PLACES)),
      each(i, c(0), get(n), 1, [
        set(w, i32.load(at(words, i, 2))),
        set(place, i32.shrU(i32.mul(get(w), c(0x9e37_79b1)), c(32 - Math.log2(FEW_PLACES)))),
        block(
          found,
          loop(probe, [
            set(slot, i32.shl(get(place), c(3))),
            brIf(found, i32.eqz(tee(count, i32.load(get(slot), FEW_TABLE + 4)))),
            brIf(found, i32.eq(i32.load(get(slot), FEW_TABLE), get(w))),
            set(place, i32.and(i32.add(get(place), c(1)), c(FEW_PLACES - 1))),
            br(probe),
          ]),
        ),
        i32.store16(at(places, i, 1), get(place)),
        i32.store(get(slot), i32.add(get(count), c(1)), FEW_TABLE + 4),
        when(i32.eqz(get(count)), [
          i32.store(get(slot), get(w), FEW_TABLE),
          i32.store16(at(used, k, 1), get(place)),
          increase(k, c(1)),
          when(i32.gtU(get(k), get(most)), ret(c(-1))),
        ]),
      ]),
      get(k),
    ];
  },
  'i32',
);

/**
 * Writes the nibbles of n words by their places, and lists the words whose nibble is 15; gives how many these are. Behind n
 * places there is one that no word has, whose nibble is 0.
 */
const sortOut = routine(
  'sortOut',
  ['words', 'n', 'places', 'out', 'rest'],
  { i: 'i32', low: 'i32', high: 'i32', r: 'i32' },
  ({ words, n, places, out, rest, i, low, high, r }) => {
    const nibble = (offset: number): Code => i32.load8U(i32.load16U(at(places, i, 1), offset), FEW_NIBBLES);
    const keep = (word: number, value: Local): Code => [
      i32.store(at(rest, r, 2), i32.load(at(words, i, 2), 4 * word)),
      increase(r, i32.shrU(i32.add(get(value), c(1)), c(4))),
    ];
    return [
      each(i, c(0), get(n), 2, [
        set(low, nibble(0)),
        keep(0, low),
        set(high, nibble(2)),
        keep(1, high),
        i32.store8(i32.add(get(out), i32.shrU(get(i), c(1))), i32.or(get(low), i32.shl(get(high), c(4)))),
      ]),
      get(r),
    ];
  },
  'i32',
);

/** Differences of n ticks (f64, none below the one before) from the one before, 0 for the first: low words and high words. */
const ticks = routine(
  'ticks',
  ['from', 'n', 'low', 'high'],
  { i: 'i32', before: 'f64', now: 'f64', passed: 'i64' },
  ({ from, n, low, high, i, before, now, passed }) => [
    set(before, f64.load(get(from))),
    each(i, c(0), get(n), 1, [
      set(now, f64.load(at(from, i, 3))),
      set(passed, truncate.i64.f64(f64.sub(get(now), get(before)))),
      set(before, get(now)),
      i64.store32(at(low, i, 2), get(passed)),
      i64.store32(at(high, i, 2), i64.shrU(get(passed), i64.const(32))),
    ]),
  ],
);

/** Sets flags[kind] of each of n events that has a cause. */
const caused = routine(
  'caused',
  ['kinds', 'back', 'n', 'flags'],
  { i: 'i32', flag: 'i32' },
  ({ kinds, back, n, flags, i, flag }) =>
    each(i, c(0), get(n), 1, [
      set(flag, i32.add(get(flags), i32.load8U(at(kinds, i)))),
      i32.store8(get(flag), i32.or(i32.load8U(get(flag)), i32.ne(i32.load(at(back, i, 2)), c(0)))),
    ]),
);

/** Lists which of n events are of a kind that is flagged (1, else 0); gives how many these are. No branch: nobody could foresee it. */
const flagged = routine(
  'flagged',
  ['kinds', 'n', 'flags', 'places'],
  { i: 'i32', k: 'i32' },
  ({ kinds, n, flags, places, i, k }) => [
    each(i, c(0), get(n), 1, [
      i32.store(at(places, k, 2), get(i)),
      increase(k, i32.load8U(i32.add(get(flags), i32.load8U(at(kinds, i))))),
    ]),
    get(k),
  ],
  'i32',
);

/** Runs of events at n places that have one cause, or none: writes the length and the distance to it of each; gives how many. */
const runs = routine(
  'runs',
  ['places', 'n', 'back', 'lengths', 'distances'],
  {
    i: 'i32',
    place: 'i32',
    b: 'i32',
    none: 'i32',
    wasNone: 'i32',
    cause: 'i32',
    before: 'i32',
    start: 'i32',
    k: 'i32',
  },
  ({ places, n, back, lengths: sizes, distances, i, place, b, none, wasNone, cause, before, start, k }) => {
    const endRun = i32.store(i32.sub(at(sizes, k, 2), c(4)), i32.sub(get(i), get(start)));
    const isNew = i32.or(i32.ne(get(none), get(wasNone)), i32.and(i32.eqz(get(none)), i32.ne(get(cause), get(before))));
    return [
      set(wasNone, c(-1)),
      each(i, c(0), get(n), 1, [
        set(b, i32.load(i32.add(get(back), i32.shl(tee(place, i32.load(at(places, i, 2))), c(2))))),
        set(none, i32.eqz(get(b))),
        set(cause, i32.sub(get(place), get(b))),
        when(isNew, [
          when(get(k), endRun),
          i32.store(at(distances, k, 2), get(b)),
          increase(k, c(1)),
          set(start, get(i)),
          set(wasNone, get(none)),
          set(before, get(cause)),
        ]),
      ]),
      when(get(k), endRun),
      get(k),
    ];
  },
  'i32',
);

/** Words of a list at n places. */
const pick = routine('pick', ['places', 'n', 'from', 'out'], { i: 'i32' }, ({ places, n, from, out, i }) =>
  each(
    i,
    c(0),
    get(n),
    1,
    i32.store(at(out, i, 2), i32.load(i32.add(get(from), i32.shl(i32.load(at(places, i, 2)), c(2))))),
  ),
);

/** Mixes n words into hashes. */
const mixIn = routine(
  'mixIn',
  ['hashes', 'words', 'n', 'mask'],
  { i: 'i32', h: 'v128' },
  ({ hashes, words, n, mask, i, h }) =>
    each(i, c(0), get(n), 4, [
      set(h, v128.xor(v128.load(at(hashes, i, 2)), v128.load(at(words, i, 2)))),
      set(h, i32x4.mul(get(h), i32x4.splat(c(0x9e37_79b1)))),
      set(h, v128.xor(get(h), i32x4.shrU(get(h), c(15)))),
      v128.store(at(hashes, i, 2), v128.and(get(h), i32x4.splat(get(mask)))),
    ]),
);

/** n words xor what the table has at their places, which then has the words that follow them. */
const xorLast = routine(
  'xorLast',
  ['places', 'n', 'olds', 'news', 'last', 'out'],
  { i: 'i32', slot: 'i32' },
  ({ places, n, olds, news, last, out, i, slot }) =>
    each(i, c(0), get(n), 1, [
      set(slot, i32.add(get(last), i32.shl(i32.load(at(places, i, 2)), c(2)))),
      i32.store(at(out, i, 2), i32.xor(i32.load(at(olds, i, 2)), i32.load(get(slot)))),
      i32.store(get(slot), i32.load(at(news, i, 2))),
    ]),
);

/** Zigzagged differences of n words from n others. */
const subtract = routine(
  'subtract',
  ['words', 'others', 'n', 'out'],
  { i: 'i32', d: 'v128' },
  ({ words, others, n, out, i, d }) =>
    each(i, c(0), get(n), 4, [
      set(d, i32x4.sub(v128.load(at(words, i, 2)), v128.load(at(others, i, 2)))),
      v128.store(at(out, i, 2), zigzag(d)),
    ]),
);

/**
 * Values of rows from..to-1, of the registers in their masks, as zigzagged differences from what the register was, which
 * `file` has: 64 low words, then 64 high words. `k` is the number of the first value; gives that of the next.
 */
const registers = routine(
  'registers',
  ['masksLo', 'masksHi', 'from', 'to', 'lo', 'hi', 'outLo', 'outHi', 'k', 'file'],
  { r: 'i32', mask: 'i64', reg: 'i32', v: 'i32', d: 'i32' },
  ({ masksLo, masksHi, from, to, lo, hi, outLo, outHi, k, file, r, mask, reg, v, d }) => {
    const half = (values: Local, out: Local, offset: number): Code => [
      set(v, i32.load(at(values, k, 2))),
      set(d, i32.sub(get(v), i32.load(get(reg), offset))),
      i32.store(at(out, k, 2), i32.xor(i32.shl(get(d), c(1)), i32.shrS(get(d), c(31)))),
      i32.store(get(reg), get(v), offset),
    ];
    return [
      each(r, get(from), get(to), 1, [
        set(mask, i64.or(i64.load32U(at(masksLo, r, 2)), i64.shl(i64.load32U(at(masksHi, r, 2)), i64.const(32)))),
        whileTrue(i64.ne(get(mask), i64.const(0)), [
          set(reg, i32.add(get(file), i32.shl(i32.wrap(i64.ctz(get(mask))), c(2)))),
          set(mask, i64.and(get(mask), i64.sub(get(mask), i64.const(1)))),
          half(lo, outLo, 0),
          half(hi, outHi, 256),
          increase(k, c(1)),
        ]),
      ]),
      get(k),
    ];
  },
  'i32',
);

export const ENCODE: readonly Routine[] = [
  alike,
  union,
  lengths,
  differences,
  plane,
  pack,
  split,
  tabulate,
  sortOut,
  ticks,
  caused,
  flagged,
  runs,
  pick,
  mixIn,
  xorLast,
  subtract,
  registers,
];
