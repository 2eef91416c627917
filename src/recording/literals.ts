/**
 * Bytes as literals alone (literal-stream.ts). Most pieces are planes of numbers in which nothing repeats: a general compressor
 * looks for matches in them, makes codes for what it does not find, and clears its tables, for three times the time and the
 * same bytes.
 */
import { codeLengths, codesOf, LENGTH_MAX } from './huffman.js';
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
  ZEROS,
} from './literal-stream.js';
import { CENSUS_BYTES, SEEN_BYTES } from './loops/literals.js';
import { theRoom } from './loops/writing.js';

/** Bits, the first one lowest. */
class Bits {
  readonly bytes = new Uint8Array(512);
  at = 0;
  acc = 0;
  used = 0;
  clear(): void {
    this.at = this.acc = this.used = 0;
  }
  /** @param n at most 16 */
  put(value: number, n: number): void {
    this.acc |= value << this.used;
    this.used += n;
    for (; this.used >= 8; this.used -= 8, this.acc >>>= 8) this.bytes[this.at++] = this.acc;
  }
}

/** Matches are looked for where they might take off a tenth of the bytes. Looking where it is a 32nd takes off 0.2 %. */
const WORTH_TRYING = 10;

const bits = new Bits();

/** What `prepare` found out. */
export interface Prepared {
  /** Where the bytes lie in the room. */
  readonly from: number;
  readonly n: number;
  /** Where the lengths of their codes lie. */
  readonly lengths: number;
  /** Bytes of the stream. */
  readonly size: number;
  /** True if saying where bytes were before might take off so much that it is worth trying. */
  readonly repeats: boolean;
}

/**
 * Copies bytes to the room, which the caller frees, and makes their codes; there are at least two different ones.
 * Undefined where they are more than BYTES_MAX.
 */
export function prepare(bytes: Uint8Array): Prepared | undefined {
  const n = bytes.length;
  if (n > BYTES_MAX) return undefined;
  const room = theRoom();
  const from = room.copy(bytes, n);
  const counts = room.take(CENSUS_BYTES);
  room.loops.census(from, n, counts);
  const lengths = room.take(BYTES);
  const total = codeLengths(counts, BYTES, LENGTH_MAX, lengths);
  bits.clear();
  writeHead(n, lengths);
  const size = Math.ceil((8 * bits.at + bits.used + total) / 8);
  const perByte = Math.ceil((16 * total) / n);
  const enough = Math.floor((16 * 8 * size) / WORTH_TRYING);
  const saved = room.loops.repeats(from, n, room.take(SEEN_BYTES), perByte, enough);
  return { from, n, size, lengths, repeats: saved > enough };
}

/** The stream of what was prepared last. */
export function writeLiterals({ from, n, size, lengths }: Prepared): Uint8Array {
  const room = theRoom();
  const codes = room.take(4 * BYTES);
  const out = room.take(size + 8);
  codesOf(lengths, BYTES, codes);
  room.bytes.set(bits.bytes.subarray(0, bits.at), out);
  const end = room.loops.emit(from, n, codes, out + bits.at, bits.acc, bits.used);
  return room.bytes.slice(out, end);
}

function writeHead(n: number, lengths: number): void {
  for (const [value, width] of introOf(n)) bits.put(value, width);
  writeCode(lengths);
  for (const [value, width] of commandOf(n)) bits.put(value, width);
}

const symbols = new Uint8Array(BYTES);
const extras = new Uint8Array(BYTES);

/** Writes the code of the literals, by its lengths (3.5). */
function writeCode(at: number): void {
  const room = theRoom();
  const counts = room.zeros(4 * LENGTHS);
  const ownLengths = room.take(LENGTHS);
  const codes = room.take(4 * LENGTHS);
  const n = inRuns(room.bytes.subarray(at, at + BYTES), room.u32.subarray(counts >> 2, (counts >> 2) + LENGTHS));
  codeLengths(counts, LENGTHS, LENGTHS_BITS, ownLengths);
  const own = room.bytes.subarray(ownLengths, ownLengths + LENGTHS);
  const isOnly = own.filter(length => length > 0).length === 1;
  let last = STORED.length;
  if (!isOnly) while (own[STORED[last - 1]!] === 0) last--;
  bits.put(...SKIP);
  for (let k = 0; k < last; k++) {
    const [value, width] = LENGTH_OF_LENGTH[own[STORED[k]!]!]!;
    bits.put(value, width);
  }
  if (isOnly) return; // it takes no bits to say it again and again
  codesOf(ownLengths, LENGTHS, codes);
  for (let k = 0; k < n; k++) {
    const code = room.u32[(codes >> 2) + symbols[k]!]!;
    bits.put(code & 0xffff, code >>> 16);
    if (symbols[k] === ZEROS) bits.put(extras[k]!, 3);
  }
}

/** Lengths as they are, zeros in runs: writes `symbols` and `extras`, counts, and gives how many these are. */
function inRuns(lengths: Uint8Array, counts: Uint32Array): number {
  let end = BYTES;
  while (lengths[end - 1] === 0) end--;
  let n = 0;
  for (let i = 0; i < end; n++) {
    let zeros = 0;
    while (zeros < 10 && lengths[i + zeros] === 0) zeros++;
    // Three to ten of them. Two runs in a row would mean a longer one, so a zero goes between.
    const isRun = zeros >= 3 && (n === 0 || symbols[n - 1] !== ZEROS);
    symbols[n] = isRun ? ZEROS : lengths[i]!;
    extras[n] = zeros - 3;
    i += isRun ? zeros : 1;
    counts[symbols[n]!]!++;
  }
  return n;
}
