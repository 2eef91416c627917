/**
 * Payloads of frames: msgpack maps, each built here and nowhere else, since the order of keys is in the bytes. What comes
 * out of a file is checked here for types and lengths before anything uses it.
 */

import { asVaddr, type Vaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { u64 } from '../base/u64.js';
import type { Lexicon } from '../events/lexicon.js';
import { unpack } from './frames.js';
import { decompress, type Packed } from './pieces.js';
import type { Symbol as NamedRange } from './source.js';

type Loose = Record<string, unknown>;
const bad = (what: string): never => {
  throw new Trouble(`${what} is not valid`);
};
const mapIn = (bytes: Uint8Array, what: string): Loose => {
  const v = unpack(bytes);
  return typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Loose) : bad(what);
};
const wholeIn = (v: unknown, what: string): number =>
  Number.isSafeInteger(v) && (v as number) >= 0 ? (v as number) : bad(what);
const bytesIn = (v: unknown, what: string, length?: number): Uint8Array =>
  v instanceof Uint8Array && (length === undefined || v.length === length) ? v : bad(what);

/** The bytes of a typed array, as they are in the file. */
export const rawBytes = (a: Uint32Array | Float64Array): Uint8Array =>
  new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
/** A copy of `bytes`, aligned. */
const alignedCopy = (bytes: Uint8Array): ArrayBuffer => {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy.buffer;
};
export function u32sIn(v: unknown, what: string, length?: number): Uint32Array {
  const bytes = bytesIn(v, what, length === undefined ? undefined : 4 * length);
  return bytes.length % 4 === 0 ? new Uint32Array(alignedCopy(bytes)) : bad(what);
}
export function f64sIn(v: unknown, what: string, length?: number): Float64Array {
  const bytes = bytesIn(v, what, length === undefined ? undefined : 8 * length);
  return bytes.length % 8 === 0 ? new Float64Array(alignedCopy(bytes)) : bad(what);
}

export const SHA_BYTES = 32;
/** What a chunk says of itself without being decompressed. */
export interface ChunkHead {
  /** Seq of event 0; for details, events of the main stream before entry 0. */
  readonly first: number;
  /** For details, events of the main stream before the last entry; else seq of the last event. */
  readonly last: number;
  readonly count: number;
  readonly firstTicks: number;
  readonly lastTicks: number;
  /** sha-256 over the chain of the chunk before it and the body. */
  readonly chain: Uint8Array;
  readonly regsMask: readonly [number, number];
  /** Events by kind, by the number in the file. */
  readonly rows: Uint32Array;
}
export interface ChunkEnvelope extends ChunkHead {
  readonly packed: Packed;
}

/** @param kinds how many kinds of events the file has */
export function unpackChunk(payload: Uint8Array, kinds: number): ChunkEnvelope {
  const m = mapIn(payload, 'a chunk');
  const first = wholeIn(m.first, 'first of a chunk');
  const count = wholeIn(m.count, 'count of a chunk');
  const rows = u32sIn(m.rows, 'rows of a chunk', kinds);
  if (rows.reduce((a, b) => a + b, 0) !== count) bad('rows of a chunk');
  const mask = u32sIn(m.regsMask, 'regsMask of a chunk', 2);
  return {
    first,
    last: wholeIn(m.last, 'last of a chunk'),
    count,
    firstTicks: wholeIn(m.firstTicks, 'ticks of a chunk'),
    lastTicks: wholeIn(m.lastTicks, 'ticks of a chunk'),
    chain: bytesIn(m.chain, 'chain of a chunk', SHA_BYTES).slice(),
    regsMask: [mask[0]!, mask[1]!],
    rows,
    packed: { table: bytesIn(m.pieces, 'pieces of a chunk'), stored: bytesIn(m.stored, 'body of a chunk') },
  };
}

export function unpackLarge(payload: Uint8Array, most: number, what: string): Loose {
  const m = mapIn(payload, what);
  const bytes = wholeIn(m.bytes, what);
  if (bytes > most) bad(what);
  return mapIn(decompress(bytesIn(m.stored, what), bytes), what);
}
const LARGE_MAX = 256 * (1 << 20);

export function unpackLexicon(payload: Uint8Array): Lexicon {
  const { words, calls, regions, paging } = unpackLarge(payload, LARGE_MAX, 'the lexicon');
  const isMap = (v: unknown): v is Loose => typeof v === 'object' && v !== null && !Array.isArray(v);
  const text = (v: unknown): boolean => typeof v === 'string';
  const ok =
    isMap(words) &&
    Object.values(words).every(w => Array.isArray(w) && w.every(text)) &&
    isMap(calls) &&
    Object.values(calls).every(c => isMap(c) && Object.values(c).every(text)) &&
    Array.isArray(regions) &&
    regions.every(r => isMap(r) && text(r.name) && /^[0-9a-f]{1,16}$/i.test(String(r.from).replace(/^0x/, ''))) &&
    regions.every(r => /^[0-9a-f]{1,17}$/i.test(String(r.to).replace(/^0x/, ''))) &&
    isMap(paging) &&
    Object.values(paging).every(text);
  return ok ? ({ words, calls, regions, paging } as unknown as Lexicon) : bad('the lexicon');
}

export function unpackSymbols(payload: Uint8Array): NamedRange[] {
  const m = unpackLarge(payload, LARGE_MAX, 'a list of symbols');
  const names = m.names;
  if (!Array.isArray(names) || !names.every(n => typeof n === 'string')) return bad('a list of symbols');
  const at = u32sIn(m.at, 'a list of symbols', 2 * names.length);
  const bytes = u32sIn(m.bytes, 'a list of symbols', names.length);
  return names.map((name, i) => ({ at: asVaddr(u64(at[2 * i]!, at[2 * i + 1]!)), bytes: bytes[i]!, name }));
}

export function unpackStacks(payload: Uint8Array, count: number): Vaddr[][] {
  const m = unpackLarge(payload, LARGE_MAX, 'a list of stacks');
  const depths = bytesIn(m.depths, 'a list of stacks', count);
  let at = 0;
  const words = u32sIn(m.addresses, 'a list of stacks', 2 * depths.reduce((a, b) => a + b, 0));
  return Array.from(depths, depth => Array.from({ length: depth }, () => asVaddr(u64(words[at++]!, words[at++]!))));
}

/** Part of a checkpoint: at most MEMORY_FRAMES pages. State is in the last part and empty in the others. */
export interface MemoryPart {
  readonly seq: number;
  readonly ticks: number;
  readonly state: Uint8Array;
  /** Frame numbers of the pages that changed, ... */
  readonly frames: Uint32Array;
  /** ... the sha-256 of each, one after the other, ... */
  readonly hashes: Uint8Array;
  /** ... and the contents of those that the file had not yet, in order of `hashes`, cut in pieces. */
  readonly fresh: Packed;
}
export const MEMORY_FRAMES = 1024;
const STATE_MAX = 32 * (1 << 20);

export function unpackMemory(payload: Uint8Array): MemoryPart {
  const m = mapIn(payload, 'a checkpoint');
  const frames = u32sIn(m.frames, 'a checkpoint');
  const stateBytes = wholeIn(m.stateBytes, 'a checkpoint');
  if (frames.length > MEMORY_FRAMES || stateBytes > STATE_MAX) bad('a checkpoint');
  return {
    seq: wholeIn(m.seq, 'a checkpoint'),
    ticks: wholeIn(m.ticks, 'a checkpoint'),
    state: decompress(bytesIn(m.state, 'a checkpoint'), stateBytes),
    frames,
    hashes: bytesIn(m.hashes, 'a checkpoint', SHA_BYTES * frames.length),
    fresh: { table: bytesIn(m.pieces, 'a checkpoint'), stored: bytesIn(m.stored, 'a checkpoint') },
  };
}
