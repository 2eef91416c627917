/**
 * A body cut in pieces, each compressed on its own. Where to cut is said by the encoder: around long runs of like bytes,
 * and before each kind's part. A piece that hardly shrinks is stored as it is, and one byte again and again as that byte:
 * both ways a call of the compressor costs more than all else that is done with a small piece.
 *
 *   table    per piece: bytes u32 | stored bytes u32        equal: as it is; 1: that byte, repeated; else brotli
 */
import { brotliDecompressSync } from 'node:zlib';
import { Trouble } from '../base/trouble.js';
import type { Body } from './codec.js';

/** The bytes of a stream of literals, which hold until the next call; undefined for any other stream. */
type LiteralReader = (stored: Uint8Array, length: number) => Uint8Array | undefined;
let literalsIn: LiteralReader = () => undefined;
/** Gives this thread a reader of its own for streams of literals; until then all are left to brotli. See inflate.ts. */
export const useForLiterals = (reader: LiteralReader): void => {
  literalsIn = reader;
};

function brotliIn(stored: Uint8Array, length: number): Uint8Array {
  let out: Uint8Array | undefined;
  try {
    out = brotliDecompressSync(stored, { chunkSize: Math.max(1024, length), maxOutputLength: length });
  } catch {
    // Not brotli, or longer than it should be: said below.
  }
  if (out?.length !== length) throw new Trouble('compressed bytes are damaged');
  return out;
}

/** Undoes compress; gives exactly `length` bytes or throws Trouble. */
export function decompress(stored: Uint8Array, length: number): Uint8Array {
  if (stored.length === length) return stored;
  if (stored.length === 1) return new Uint8Array(length).fill(stored[0]!);
  return literalsIn(stored, length)?.slice() ?? brotliIn(stored, length);
}
/** The same into the place of the bytes. */
function decompressTo(into: Uint8Array, stored: Uint8Array): void {
  if (stored.length === into.length) into.set(stored);
  else if (stored.length === 1) into.fill(stored[0]!);
  else into.set(literalsIn(stored, into.length) ?? brotliIn(stored, into.length));
}

export interface Packed {
  readonly table: Uint8Array;
  readonly stored: Uint8Array;
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
      decompressTo(bytes.subarray(starts[n], starts[n + 1]), stored.subarray(places[n], places[n + 1]));
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
  return { bytes, need, kept: stored.length, storedAt };
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
