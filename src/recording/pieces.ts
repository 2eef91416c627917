/**
 * A body cut in pieces, each compressed on its own. Where to cut is said by the encoder: around long runs of like bytes,
 * and before each kind's part. A piece that hardly shrinks is stored as it is, and one byte again and again as that byte:
 * both ways a call of the compressor costs more than all else that is done with a small piece.
 *
 *   table    per piece: bytes u32 | stored bytes u32        equal: as it is; 1: that byte, repeated; else brotli
 */
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { Trouble } from '../base/trouble.js';
import type { Body } from './codec.js';
import { prepare, writeLiterals } from './literals.js';
import { theRoom } from './loops/room.js';

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

/** Undoes compress; gives exactly `length` bytes or throws Trouble. */
export function decompress(stored: Uint8Array, length: number): Uint8Array {
  if (stored.length === length) return stored;
  if (stored.length === 1) return new Uint8Array(length).fill(stored[0]!);
  let out: Uint8Array | undefined;
  try {
    out = brotliDecompressSync(stored, { chunkSize: Math.max(1024, length), maxOutputLength: length });
  } catch {
    // Not brotli, or longer than it should be: said below.
  }
  if (out?.length !== length) throw new Trouble('compressed bytes are damaged');
  return out;
}

export interface Packed {
  readonly table: Uint8Array;
  readonly stored: Uint8Array;
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

/**
 * The body that packBody packed, inflated where it is needed.
 * @param most the most bytes it may have
 */
export function unpackBody({ table, stored }: Packed, most: number): Body {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const pieces = table.length >> 3;
  const starts = new Float64Array(pieces + 1);
  const places = new Float64Array(pieces + 1);
  for (let n = 0; n < pieces; n++) {
    starts[n + 1] = starts[n]! + view.getUint32(8 * n, true);
    places[n + 1] = places[n]! + view.getUint32(8 * n + 4, true);
  }
  if (table.length % 8 !== 0 || places[pieces] !== stored.length) throw new Trouble('its table of pieces is not valid');
  if (starts[pieces]! > most) throw new Trouble(`a body of ${starts[pieces]} bytes`);
  const bytes = new Uint8Array(starts[pieces]!);
  const done = new Uint8Array(pieces);
  let near = 0; // who reads, reads on
  const need = (from: number, to: number): void => {
    if (from >= to) return;
    while (near > 0 && starts[near]! > from) near--;
    while (near + 1 < pieces && starts[near + 1]! <= from) near++;
    for (let n = near; n < pieces && starts[n]! < to; n++) {
      if (done[n]) continue;
      bytes.set(decompress(stored.subarray(places[n], places[n + 1]), starts[n + 1]! - starts[n]!), starts[n]);
      done[n] = 1;
    }
  };
  const storedAt = (from: number, to: number): StoredPieces => {
    let [first, end] = [0, pieces];
    while (first < pieces && starts[first + 1]! <= from) first++;
    while (end > first && starts[end - 1]! >= to) end--;
    return {
      offset: from - starts[first]!,
      table: table.subarray(8 * first, 8 * end),
      stored: stored.subarray(places[first]!, places[end]!),
    };
  };
  return { bytes, need, storedAt };
}
/** The pieces of a file that hold some bytes of a body, as they are stored. */
export interface StoredPieces {
  /** Bytes of the first piece before those asked for. */
  readonly offset: number;
  readonly table: Uint8Array;
  readonly stored: Uint8Array;
}
/** True if both hold the same bytes, as far as that shows without inflating them: the same compressor made the same of them. */
export const sameStored = (a: StoredPieces, b: StoredPieces): boolean =>
  a.offset === b.offset && Buffer.compare(a.table, b.table) === 0 && Buffer.compare(a.stored, b.stored) === 0;
