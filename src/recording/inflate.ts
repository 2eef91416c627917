/**
 * Reads the streams that literals.ts writes, in less than half the time that brotli takes for them: it makes its tables and its
 * window for each call, and pieces are small. What differs in anything from what literals.ts would write is not read, and
 * left to brotli: it knows what is valid.
 */
import {
  BYTES,
  BYTES_MAX,
  commandOf,
  introOf,
  LENGTH_OF_LENGTH,
  LENGTHS,
  LENGTHS_BITS,
  SKIP,
  STORED,
} from './literal-stream.js';
import { ALL_CODES, CODES, COUNTS_BYTES, LENGTH_MAX, WIDTH_MAX } from './loops/inflate.js';
import { theRoom } from './loops/reading.js';
import { useForLiterals } from './pieces.js';

/** Lengths are read without looking whether bytes are left: so many may be gone over at most. */
const OVER = 512;

/** Bits out of bytes, the lowest first; zeros behind the end. */
class BitReader {
  at = 0;
  private readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  peek(n: number): number {
    const k = this.at >>> 3;
    const word = (this.bytes[k] ?? 0) | ((this.bytes[k + 1] ?? 0) << 8) | ((this.bytes[k + 2] ?? 0) << 16);
    return (word >>> (this.at & 7)) & ((1 << n) - 1);
  }
  take(n: number): number {
    const value = this.peek(n);
    this.at += n;
    return value;
  }
}
const isNext = (bits: BitReader, fields: readonly (readonly [number, number])[]): boolean =>
  fields.every(([value, n]) => bits.take(n) === value);

/**
 * Tells that this thread will inflate many pieces: from now on they are read here where they can be. Who reads few is better
 * off without, since a new process takes 7 ms to load this file and to make its loops.
 */
export const expectPieces = (): void => useForLiterals(inflateLiterals);

/** The n bytes of a stream, which hold until the next call; undefined where it is not one that literals.ts writes. */
export function inflateLiterals(stored: Uint8Array, n: number): Uint8Array | undefined {
  if (n < 2 || n > BYTES_MAX || stored.length > n + OVER) return undefined;
  const room = theRoom();
  const mark = room.mark();
  const out = inflated(stored, n);
  room.free(mark);
  return out < 0 ? undefined : room.bytes.subarray(out, out + n);
}
/** Where in the room the bytes are, -1 for nowhere. */
function inflated(stored: Uint8Array, n: number): number {
  const bits = new BitReader(stored);
  if (!isNext(bits, introOf(n)) || !isNext(bits, [SKIP])) return -1;
  const room = theRoom();
  const from = room.take(stored.length + OVER);
  room.bytes.set(stored, from);
  const lengths = room.take(BYTES);
  if (!readLengths(bits, from, lengths)) return -1;
  const code = codeOf(lengths, BYTES);
  if (!code || !isNext(bits, commandOf(n))) return -1;
  const width = Math.min(code.width, WIDTH_MAX);
  room.loops.table(code.counts, code.sorted, width, CODES);
  const out = room.take(n);
  const end = room.loops.decode(from, bits.at, from + stored.length, n, width, code.counts, code.sorted, out);
  // What is left of the last byte is zeros.
  const isAll = (end + 7) >>> 3 === stored.length && stored.at(-1)! >>> (((end - 1) & 7) + 1) === 0;
  return isAll ? out : -1;
}

/** Reads the lengths of the literals' codes to `lengths`; false where they are not as literals.ts writes them. */
function readLengths(bits: BitReader, from: number, lengths: number): boolean {
  const room = theRoom();
  readOwnLengths(bits, lengths);
  const own = room.bytes.subarray(lengths, lengths + LENGTHS);
  const only = own.findIndex(length => length > 0);
  if (own.findLastIndex(length => length > 0) === only) {
    // All are of one length, and it takes no bits to say that.
    if (only < 1 || only > 8) return false;
    room.bytes.fill(0, lengths, lengths + BYTES);
    room.bytes.fill(only, lengths, lengths + (1 << only));
    return true;
  }
  const code = codeOf(lengths, LENGTHS);
  if (!code || code.width > LENGTHS_BITS) return false;
  const codes = room.take(2 << LENGTHS_BITS);
  room.loops.table(code.counts, code.sorted, LENGTHS_BITS, codes);
  bits.at = room.loops.lengths(from, bits.at, codes, lengths);
  return bits.at > 0;
}
/** Reads the lengths of the codes that say lengths. */
function readOwnLengths(bits: BitReader, at: number): void {
  const { bytes } = theRoom();
  bytes.fill(0, at, at + LENGTHS);
  for (let k = 0, left = 1 << LENGTHS_BITS; k < LENGTHS && left > 0; k++) {
    const [length, width] = OWN_LENGTH[bits.peek(4)]!;
    bits.at += width;
    bytes[at + STORED[k]!] = length;
    if (length > 0) left -= 1 << (LENGTHS_BITS - length);
  }
}
/** Length and bits that say it, by the next four bits. */
const OWN_LENGTH = Array.from({ length: 16 }, (_, next) => {
  const length = LENGTH_OF_LENGTH.findIndex(([value, width]) => (next & ((1 << width) - 1)) === value);
  return [length, LENGTH_OF_LENGTH[length]![1]] as const;
});

/** A canonical code: how many there are by length, and the symbols in their order. */
interface HuffmanCode {
  readonly counts: number;
  readonly sorted: number;
  /** The longest code. */
  readonly width: number;
}
/** The code of these lengths; undefined where some rows of bits would be none, or two. */
function codeOf(lengths: number, symbols: number): HuffmanCode | undefined {
  const room = theRoom();
  const counts = room.take(COUNTS_BYTES);
  const sorted = room.take(symbols);
  if (room.loops.ordered(lengths, symbols, counts, room.take(COUNTS_BYTES), sorted) !== ALL_CODES) return undefined;
  let width = LENGTH_MAX;
  while (room.u32[(counts >> 2) + width] === 0) width--;
  return { counts, sorted, width };
}
