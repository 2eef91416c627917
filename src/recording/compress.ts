/** How pieces are stored (see pieces.ts), for those who write. */
import { brotliCompressSync, constants } from 'node:zlib';
import { prepare, writeLiterals } from './literals.js';
import { theRoom } from './loops/writing.js';
import type { Packed } from './pieces.js';

/** Pieces smaller than this are not worth a compressor's call. */
const WORTH_BYTES = 64;
/** And a piece that shrinks by less than a sixteenth is not worth another to read it. */
const WORTH_SHIFT = 4;

/**
 * True if the bytes look random: 256 of them, evenly taken, have nearly as many values as random ones would (162 of 256).
 * The compressor would find out too, but takes its time; what a register held is often random to it.
 */
function looksRandom(bytes: Uint8Array): boolean {
  if (bytes.length < 1024) return false;
  seen.fill(0);
  let values = 0;
  const step = bytes.length >> 8;
  for (let i = 0; i < 256; i++) {
    const b = bytes[i * step]!;
    if (seen[b] === 0) values++;
    seen[b] = 1;
  }
  return values >= 148;
}
const seen = new Uint8Array(256);

/** The bytes as they are stored. */
export function compress(bytes: Uint8Array): Uint8Array {
  if (isRun(bytes)) return bytes.subarray(0, 1);
  if (bytes.length < WORTH_BYTES || looksRandom(bytes)) return bytes;
  const room = theRoom();
  const mark = room.mark();
  const literals = prepare(bytes);
  const most = bytes.length - (bytes.length >> WORTH_SHIFT);
  const matches = !literals || literals.repeats ? withMatches(bytes) : undefined;
  const isLonger = literals && matches && matches.length < literals.size;
  const out = !literals || isLonger ? matches! : literals.size <= most ? writeLiterals(literals) : bytes;
  room.free(mark);
  return out.length <= most ? out : bytes;
}
/**
 * Brotli of quality 3: 2 % smaller than quality 1 for 20 ns an event more; quality 4 takes 1 % more off for another 40. A
 * larger window finds nothing more in pieces of a few KB, and costs 10 ns an event: its memory is new for each call.
 */
const withMatches = (bytes: Uint8Array): Uint8Array =>
  brotliCompressSync(bytes, {
    chunkSize: Math.max(1024, bytes.length + (bytes.length >> 3)),
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 3,
      [constants.BROTLI_PARAM_LGWIN]: 16,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
/** True if there are bytes, and all are the same. */
function isRun(bytes: Uint8Array): boolean {
  let i = 1;
  while (i < bytes.length && bytes[i] === bytes[0]) i++;
  return i === bytes.length;
}

/** Cuts and compresses. */
export function packBody(body: Uint8Array, cuts: readonly number[]): Packed {
  const table = new Uint32Array(2 * (cuts.length + 1));
  const pieces: Uint8Array[] = [];
  [...cuts, body.length].forEach((end, n) => {
    const start = n === 0 ? 0 : cuts[n - 1]!;
    const piece = compress(body.subarray(start, end));
    table[2 * n] = end - start;
    table[2 * n + 1] = piece.length;
    pieces.push(piece);
  });
  return { table: new Uint8Array(table.buffer), stored: Buffer.concat(pieces) };
}
