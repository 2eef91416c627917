/** Payloads of frames to bytes: see envelopes.ts. The order of keys is in the bytes. */
import { hi32, lo32 } from '../base/u64.js';
import type { Lexicon } from '../events/lexicon.js';
import { compress } from './compress.js';
import { type ChunkEnvelope, type MemoryPart, rawBytes } from './envelopes.js';
import { msgpack } from './frames.js';
import type { Symbol as NamedRange } from './source.js';

export const packChunk = (c: ChunkEnvelope): Uint8Array =>
  msgpack.pack({
    first: c.first,
    last: c.last,
    count: c.count,
    firstTicks: c.firstTicks,
    lastTicks: c.lastTicks,
    chain: c.chain,
    regsMask: rawBytes(Uint32Array.from(c.regsMask)),
    rows: rawBytes(c.rows),
    pieces: c.packed.table,
    stored: c.packed.stored,
  });

/** Any value, compressed: for lists that may be long. */
export function packLarge(value: unknown): Uint8Array {
  const raw = msgpack.pack(value);
  return msgpack.pack({ bytes: raw.length, stored: compress(raw) });
}

export const packLexicon = ({ words, calls, regions, paging }: Lexicon): Uint8Array =>
  packLarge({ words, calls, regions: regions.map(({ name, from, to }) => ({ name, from, to })), paging });

const u64sOf = (values: readonly bigint[]): Uint8Array => {
  const words = new Uint32Array(2 * values.length);
  values.forEach((v, i) => {
    words[2 * i] = lo32(v);
    words[2 * i + 1] = hi32(v);
  });
  return rawBytes(words);
};

export const packSymbols = (symbols: readonly NamedRange[]): Uint8Array =>
  packLarge({
    at: u64sOf(symbols.map(s => s.at)),
    bytes: rawBytes(Uint32Array.from(symbols, s => s.bytes)),
    names: symbols.map(s => s.name),
  });

export const packStacks = (stacks: readonly (readonly bigint[])[]): Uint8Array =>
  packLarge({ depths: Uint8Array.from(stacks, s => s.length), addresses: u64sOf(stacks.flat()) });

export function packMemory(p: MemoryPart): Uint8Array {
  return msgpack.pack({
    seq: p.seq,
    ticks: p.ticks,
    stateBytes: p.state.length,
    state: compress(p.state),
    frames: rawBytes(p.frames),
    hashes: p.hashes,
    pieces: p.fresh.table,
    stored: p.fresh.stored,
  });
}
