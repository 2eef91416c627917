/** The loops of inflate.ts: lengths of codes, a table of codes by their bits, and the bytes that a stream of codes says. */
import {
  block,
  br,
  brIf,
  type Code,
  get,
  i32,
  i64,
  label,
  loop,
  memoryCopy,
  memoryFill,
  ret,
  set,
  when,
} from '../../base/wasm.js';
import { REPEAT, ZEROS } from '../literal-stream.js';
import { at, each, increase, type Routine, routine, whileTrue } from './kit.js';

const c = i32.const;
/** The longest code that there may be, and what all codes take of the room there is for them: 2^-length each. */
export const LENGTH_MAX = 15;
export const ALL_CODES = 1 << LENGTH_MAX;
/** The longest codes that have places in a table: 2^12 of two bytes, which the processor has at hand. */
export const WIDTH_MAX = 12;
/** Where `decode` has its table, at the start of the memory: a number in the code, since each byte waits for its address. */
export const CODES = 0;
export const CODES_END = CODES + (2 << WIDTH_MAX);
/** Bytes of the counts that `ordered` makes: u32 for each length. */
export const COUNTS_BYTES = 4 * (LENGTH_MAX + 1);

/**
 * Counts lengths, and lists the symbols by length and then by symbol, as canonical codes ascend: `counts` u32 by length,
 * `out` u8. Gives how much of the room for codes these take: ALL_CODES if every row of bits begins with one of them.
 */
const ordered = routine(
  'ordered',
  ['lengths', 'symbols', 'counts', 'places', 'out'],
  { i: 'i32', length: 'i32', slot: 'i32', place: 'i32', taken: 'i32' },
  ({ lengths, symbols, counts, places, out, i, length, slot, place, taken }) => [
    memoryFill(get(counts), c(0), c(COUNTS_BYTES)),
    each(i, c(0), get(symbols), 1, [
      set(slot, i32.add(get(counts), i32.shl(i32.load8U(at(lengths, i)), c(2)))),
      i32.store(get(slot), i32.add(i32.load(get(slot)), c(1))),
    ]),
    i32.store(get(counts), c(0)),
    each(length, c(1), c(LENGTH_MAX + 1), 1, [
      i32.store(at(places, length, 2), get(place)),
      set(slot, i32.load(at(counts, length, 2))),
      increase(place, get(slot)),
      increase(taken, i32.shl(get(slot), i32.sub(c(LENGTH_MAX), get(length)))),
    ]),
    each(i, c(0), get(symbols), 1, [
      set(length, i32.load8U(at(lengths, i))),
      when(get(length), [
        set(slot, at(places, length, 2)),
        set(place, i32.load(get(slot))),
        i32.store8(at(out, place), get(i)),
        i32.store(get(slot), i32.add(get(place), c(1))),
      ]),
    ]),
    get(taken),
  ],
  'i32',
);

/**
 * The table of codes by the next `width` bits of a stream, first bit lowest: u16, length | symbol << 8, 0 for a longer code.
 * For each length more the table is doubled, since what shorter codes say does not depend on the bit behind them.
 */
const table = routine(
  'table',
  ['counts', 'sorted', 'width', 'out'],
  { length: 'i32', size: 'i32', left: 'i32', code: 'i32', bit: 'i32', symbol: 'i32' },
  ({ counts, sorted, width, out, length, size, left, code, bit, symbol }) => [
    i32.store16(get(out), c(0)),
    set(size, c(2)),
    each(length, c(1), i32.add(get(width), c(1)), 1, [
      memoryCopy(i32.add(get(out), get(size)), get(out), get(size)),
      set(size, i32.shl(get(size), c(1))),
      set(left, i32.load(at(counts, length, 2))),
      whileTrue(get(left), [
        i32.store16(at(out, code, 1), i32.or(i32.shl(i32.load8U(at(sorted, symbol)), c(8)), get(length))),
        increase(symbol, c(1)),
        increase(left, c(-1)),
        // The next code, with its first bit lowest: the highest 0 becomes 1, and the ones above it 0.
        set(bit, i32.sub(i32.shrU(get(size), c(1)), c(1))),
        set(bit, i32.shrU(c(1 << 31), i32.clz(i32.xor(get(code), get(bit))))),
        set(code, i32.or(i32.and(get(code), i32.sub(get(bit), c(1))), get(bit))),
      ]),
    ]),
  ],
);

/**
 * Reads the lengths of 256 codes, u8, from bit `bit` behind `from` on. `codes` is a table of five bits: what says a length.
 * Gives the bit behind them, 0 where they are not as literals.ts writes them.
 */
const lengths = routine(
  'lengths',
  ['from', 'bit', 'codes', 'out'],
  { i: 'i32', word: 'i32', entry: 'i32', symbol: 'i32', left: 'i32', zeros: 'i32' },
  ({ from, bit, codes, out, i, word, entry, symbol, left, zeros }) => [
    memoryFill(get(out), c(0), c(256)),
    set(left, c(ALL_CODES)),
    whileTrue(i32.and(i32.gtS(get(left), c(0)), i32.ltU(get(i), c(256))), [
      set(word, i32.load(i32.add(get(from), i32.shrU(get(bit), c(3))))),
      set(word, i32.shrU(get(word), i32.and(get(bit), c(7)))),
      set(entry, i32.load16U(i32.add(get(codes), i32.shl(i32.and(get(word), c(31)), c(1))))),
      set(symbol, i32.shrU(get(entry), c(8))),
      set(entry, i32.and(get(entry), c(255))),
      increase(bit, get(entry)),
      when(
        i32.eq(get(symbol), c(ZEROS)),
        [
          // A run behind a run would be a longer one, which is not written.
          when(get(zeros), ret(c(0))),
          set(zeros, c(1)),
          increase(i, i32.add(c(3), i32.and(i32.shrU(get(word), get(entry)), c(7)))),
          increase(bit, c(3)),
        ],
        [
          when(i32.eq(get(symbol), c(REPEAT)), ret(c(0))),
          set(zeros, c(0)),
          i32.store8(at(out, i), get(symbol)),
          increase(i, c(1)),
          when(get(symbol), set(left, i32.sub(get(left), i32.shrU(c(ALL_CODES), get(symbol))))),
        ],
      ),
    ]),
    i32.mul(get(bit), i32.and(i32.eqz(get(left)), i32.leU(get(i), c(256)))),
  ],
  'i32',
);

/**
 * Reads n codes from bit `bit` behind `from` on and writes what they stand for: u8, of which there is room for three more.
 * The table at CODES has 2^width places. Gives the bit behind the codes, 0 where the bytes before `end` are too few.
 *
 * Each code waits for the length of the one before it, so that way is as short as can be: the bits at hand are `bits` above a
 * bit that does not count, which makes those of a code the address of its entry; and they are shifted by all of the entry, of
 * which a shift takes the low six bits. 56 are there each time, enough for three codes: what is there is or-ed with the eight
 * bytes that follow, of which as many count as make it 56, and those above are the same when they come again.
 */
const decode = routine(
  'decode',
  ['from', 'bit', 'end', 'n', 'width', 'counts', 'sorted', 'out'],
  {
    bits: 'i64',
    there: 'i32',
    next: 'i32',
    stop: 'i32',
    mask: 'i32',
    entry: 'i32',
    length: 'i32',
    count: 'i32',
    code: 'i32',
    first: 'i32',
    before: 'i32',
  },
  v => {
    const { from, bit, end, n, width, counts, sorted, out, bits, there, next, stop, mask } = v;
    const { entry, length, count, code, first, before } = v;
    // A code that is not in the table, bit by bit: of each length the codes follow each other, behind twice the one before them.
    const [top, found] = [label('top'), label('found')];
    const nextBit = i32.and(i32.wrap(i64.shrU(get(bits), i64.extendU(get(length)))), c(1));
    const longer: Code = [
      ...[code, first, before].map(local => set(local, c(0))),
      set(length, c(1)),
      block(
        found,
        loop(top, [
          set(code, i32.or(i32.shl(get(code), c(1)), nextBit)),
          set(first, i32.shl(get(first), c(1))),
          set(count, i32.load(at(counts, length, 2))),
          brIf(found, i32.ltS(i32.sub(get(code), get(first)), get(count))),
          increase(before, get(count)),
          increase(first, get(count)),
          increase(length, c(1)),
          br(top),
        ]),
      ),
      set(entry, i32.sub(i32.add(get(before), get(code)), get(first))),
      set(entry, i32.or(i32.shl(i32.load8U(at(sorted, entry)), c(8)), get(length))),
    ];
    const one = (k: number): Code => [
      set(entry, i32.load16U(i32.and(i32.wrap(get(bits)), get(mask)), CODES)),
      when(i32.eqz(get(entry)), longer),
      set(bits, i64.shrU(get(bits), i64.extendU(get(entry)))),
      i32.store8(get(out), i32.shrU(get(entry), c(8)), k),
      set(there, i32.sub(get(there), i32.and(get(entry), c(255)))),
    ];
    const fill: Code = [
      set(bits, i64.or(get(bits), i64.shl(i64.load(get(next)), i64.extendU(i32.add(get(there), c(1)))))),
      increase(next, i32.shrU(i32.sub(c(63), get(there)), c(3))),
      set(there, i32.or(get(there), c(56))),
    ];
    const more = i32.leU(get(next), i32.add(get(end), c(8))); // bits at hand are of bytes before `next`
    return [
      set(mask, i32.sub(i32.shl(c(2), get(width)), c(2))),
      set(next, i32.add(get(from), i32.shrU(get(bit), c(3)))),
      set(bits, i64.shl(i64.shrU(i64.load(get(next)), i64.extendU(i32.and(get(bit), c(7)))), i64.const(1))),
      set(there, i32.sub(c(56), i32.and(get(bit), c(7)))),
      increase(next, c(7)),
      set(stop, i32.add(get(out), i32.sub(get(n), i32.remU(get(n), c(3))))),
      whileTrue(i32.and(i32.ltU(get(out), get(stop)), more), [fill, one(0), one(1), one(2), increase(out, c(3))]),
      set(stop, i32.add(get(stop), i32.remU(get(n), c(3)))),
      whileTrue(i32.and(i32.ltU(get(out), get(stop)), more), [fill, one(0), increase(out, c(1))]),
      i32.mul(i32.sub(i32.shl(i32.sub(get(next), get(from)), c(3)), get(there)), i32.eq(get(out), get(stop))),
    ];
  },
  'i32',
);

export const INFLATE: readonly Routine[] = [ordered, table, lengths, decode];
