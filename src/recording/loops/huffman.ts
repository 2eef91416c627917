/** The loops of huffman.ts: counts to lengths of codes, and lengths to codes. */
import { type Code, get, i32, type Local, memoryFill, select, set, when } from '../../base/wasm.js';
import { at, each, increase, type Routine, routine, whileTrue } from './kit.js';
import { RESULTS } from './tables.js';

const c = i32.const;
const DIGITS = 256;
/** Bytes of the table that `ascending` counts in. */
export const DIGITS_BYTES = 4 * (DIGITS + 1);

/**
 * The symbols that come, the rarest first, of equally rare ones the smaller: count << 8 | symbol. A radix sort by as many
 * bytes as the counts have. Gives how many these are; RESULTS: where they are, in `keys` or in `others`.
 */
const ascending = routine(
  'ascending',
  ['counts', 'symbols', 'keys', 'others', 'starts'],
  { i: 'i32', n: 'i32', all: 'i32', shift: 'i32', slot: 'i32', swap: 'i32' },
  ({ counts, symbols, keys, others, starts, i, n, all, shift, slot, swap }) => {
    const digitSlot = i32.add(
      get(starts),
      i32.shl(i32.and(i32.shrU(i32.load(at(keys, i, 2)), get(shift)), c(DIGITS - 1)), c(2)),
    );
    return [
      each(i, c(0), get(symbols), 1, [
        set(slot, i32.load(at(counts, i, 2))),
        when(get(slot), [
          i32.store(at(keys, n, 2), i32.or(i32.shl(get(slot), c(8)), get(i))),
          set(all, i32.or(get(all), get(slot))),
          increase(n, c(1)),
        ]),
      ]),
      set(shift, c(8)),
      whileTrue(get(all), [
        memoryFill(get(starts), c(0), c(DIGITS_BYTES)),
        each(i, c(0), get(n), 1, [
          set(slot, digitSlot),
          i32.store(get(slot), i32.add(i32.load(get(slot), 4), c(1)), 4),
        ]),
        each(i, c(0), c(DIGITS - 1), 1, [
          set(slot, at(starts, i, 2)),
          i32.store(get(slot), i32.add(i32.load(get(slot)), i32.load(get(slot), 4)), 4),
        ]),
        each(i, c(0), get(n), 1, [
          set(slot, digitSlot),
          i32.store(i32.add(get(others), i32.shl(i32.load(get(slot)), c(2))), i32.load(at(keys, i, 2))),
          i32.store(get(slot), i32.add(i32.load(get(slot)), c(1))),
        ]),
        set(swap, get(keys)),
        set(keys, get(others)),
        set(others, get(swap)),
        increase(shift, c(8)),
        set(all, i32.shrU(get(all), c(8))),
      ]),
      i32.store(c(RESULTS), get(keys)),
      get(n),
    ];
  },
  'i32',
);

/**
 * Depths of n >= 2 sorted symbols in their Huffman tree, where none counts as less than `least`; gives the greatest, that of
 * the first. In place (Moffat and Katajainen, "In-Place Calculation of Minimum-Redundancy Codes", 1995): each inner node's
 * weight is replaced by its parent's number, then by its depth, and last the leaves take what the inner nodes leave at each depth.
 */
const depths = routine(
  'depths',
  ['keys', 'n', 'least', 'a'],
  { i: 'i32', root: 'i32', leaf: 'i32', weight: 'i32', depth: 'i32', places: 'i32', used: 'i32' },
  ({ keys, n, least, a, i, root, leaf, weight, depth, places, used }) => {
    const of = (index: Local): Code => i32.load(at(a, index, 2));
    const put = (index: Local, value: Code): Code => i32.store(at(a, index, 2), value);
    const down = (v: Local): Code => increase(v, c(-1));
    // The lighter one of the next leaf and the next inner node becomes a child of node i.
    const child: Code = when(
      i32.or(i32.geU(get(leaf), get(n)), i32.and(i32.ltU(get(root), get(i)), i32.ltU(of(root), of(leaf)))),
      [increase(weight, of(root)), put(root, get(i)), increase(root, c(1))],
      [increase(weight, of(leaf)), increase(leaf, c(1))],
    );
    return [
      each(i, c(0), get(n), 1, [
        set(weight, i32.shrU(i32.load(at(keys, i, 2)), c(8))),
        put(i, select(get(weight), get(least), i32.gtU(get(weight), get(least)))),
      ]),
      each(i, c(0), i32.sub(get(n), c(1)), 1, [set(weight, c(0)), child, child, put(i, get(weight))]),
      set(root, i32.sub(get(n), c(2))),
      put(root, c(0)),
      set(i, i32.sub(get(n), c(3))),
      whileTrue(i32.geS(get(i), c(0)), [
        put(i, i32.add(i32.load(i32.add(get(a), i32.shl(of(i), c(2)))), c(1))),
        down(i),
      ]),
      set(places, c(1)),
      set(i, i32.sub(get(n), c(1))),
      whileTrue(i32.gtS(get(places), c(0)), [
        set(used, c(0)),
        whileTrue(i32.and(i32.geS(get(root), c(0)), i32.eq(of(root), get(depth))), [increase(used, c(1)), down(root)]),
        whileTrue(i32.gtS(get(places), get(used)), [put(i, get(depth)), down(i), down(places)]),
        set(places, i32.shl(get(used), c(1))),
        increase(depth, c(1)),
      ]),
      i32.load(get(a)),
    ];
  },
  'i32',
);

/** Writes the depth of each of n sorted symbols to its place in `lengths` (u8); gives the bits that all take. */
const assign = routine(
  'assign',
  ['keys', 'n', 'a', 'lengths'],
  { i: 'i32', key: 'i32', depth: 'i32', bits: 'i32' },
  ({ keys, n, a, lengths, i, key, depth, bits }) => [
    each(i, c(0), get(n), 1, [
      set(key, i32.load(at(keys, i, 2))),
      set(depth, i32.load(at(a, i, 2))),
      i32.store8(i32.add(get(lengths), i32.and(get(key), c(255))), get(depth)),
      increase(bits, i32.mul(get(depth), i32.shrU(get(key), c(8)))),
    ]),
    get(bits),
  ],
  'i32',
);

/**
 * Codes by length and then by symbol, turned round, as they are written from the lowest bit on: code | length << 16, 0 for
 * none. `next` has room for 17 u32.
 */
const canonical = routine(
  'canonical',
  ['lengths', 'symbols', 'codes', 'next'],
  { i: 'i32', k: 'i32', length: 'i32', slot: 'i32', code: 'i32', turned: 'i32' },
  ({ lengths, symbols, codes, next, i, k, length, slot, code, turned }) => [
    memoryFill(get(next), c(0), c(4 * 17)),
    each(i, c(0), get(symbols), 1, [
      set(slot, i32.add(get(next), i32.shl(i32.load8U(at(lengths, i)), c(2)))),
      i32.store(get(slot), i32.add(i32.load(get(slot), 4), c(1)), 4),
    ]),
    // Those of length 0, which have no code.
    i32.store(get(next), c(0), 4),
    each(k, c(1), c(17), 1, [
      set(slot, at(next, k, 2)),
      i32.store(get(slot), i32.shl(i32.add(i32.load(i32.sub(get(slot), c(4))), i32.load(get(slot))), c(1))),
    ]),
    each(i, c(0), get(symbols), 1, [
      set(length, i32.load8U(at(lengths, i))),
      set(slot, at(next, length, 2)),
      set(code, i32.load(get(slot))),
      i32.store(get(slot), i32.add(get(code), c(1))),
      set(turned, c(0)),
      each(k, c(0), get(length), 1, [
        set(turned, i32.or(i32.shl(get(turned), c(1)), i32.and(get(code), c(1)))),
        set(code, i32.shrU(get(code), c(1))),
      ]),
      i32.store(at(codes, i, 2), i32.or(get(turned), i32.shl(get(length), c(16)))),
    ]),
  ],
);

export const HUFFMAN: readonly Routine[] = [ascending, depths, assign, canonical];
