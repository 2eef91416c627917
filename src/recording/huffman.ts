/** Huffman codes as brotli has them (RFC 7932, 3.2): canonical ones, so that their lengths say all. */
import { DIGITS_BYTES } from './loops/huffman.js';
import { RESULTS } from './loops/tables.js';
import { theRoom } from './loops/writing.js';

/** The longest code that there may be. */
export const LENGTH_MAX = 15;

/**
 * Lengths of the codes of symbols that come so often, none longer than `most`: u8 for each, 0 where one never comes, and the
 * bits that all take. One symbol alone has the length 1.
 * @param counts where they are in the room, u32 below 2^24
 * @param symbols at most 256 of them
 * @param lengths where to write
 */
export function codeLengths(counts: number, symbols: number, most: number, lengths: number): number {
  const room = theRoom();
  const { loops } = room;
  const mark = room.mark();
  const [keys, others, weights] = [room.take(4 * symbols), room.take(4 * symbols), room.take(4 * symbols)];
  const n = loops.ascending(counts, symbols, keys, others, room.take(DIGITS_BYTES));
  const sorted = room.u32[RESULTS >> 2]!;
  if (n === 1) room.u32[weights >> 2] = 1;
  // Where codes are too long, rare symbols count as less rare ones.
  else for (let least = 1; loops.depths(sorted, n, least, weights) > most; ) least *= 2;
  room.bytes.fill(0, lengths, lengths + symbols);
  const bits = loops.assign(sorted, n, weights, lengths);
  room.free(mark);
  return bits;
}

/** The codes of lengths: u32 for each symbol, code | length << 16, to be written from the lowest bit on. */
export function codesOf(lengths: number, symbols: number, codes: number): void {
  const room = theRoom();
  const mark = room.mark();
  room.loops.canonical(lengths, symbols, codes, room.take(4 * (LENGTH_MAX + 2)));
  room.free(mark);
}
