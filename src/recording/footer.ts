/** The directory to the payload of a FOOTER: see directory.ts for the way back. */
import { type Directory, EXTRA_WORDS, TRAILER_BYTES, TRAILER_MAGIC } from './directory.js';
import { rawBytes, SHA_BYTES } from './envelopes.js';
import { packLarge } from './envelopes-pack.js';

/** The directory as the payload of a FOOTER at `offset`; its last 16 bytes lead back to it from the end of the file. */
export function packFooter(d: Directory, kinds: number, offset: number): Uint8Array {
  const heads = [...d.chunks, ...d.details];
  const words = new Uint32Array((EXTRA_WORDS + kinds) * heads.length);
  const chains = new Uint8Array(SHA_BYTES * heads.length);
  heads.forEach((h, i) => {
    words.set(h.regsMask, i * (EXTRA_WORDS + kinds));
    words.set(h.rows, i * (EXTRA_WORDS + kinds) + EXTRA_WORDS);
    chains.set(h.chain, SHA_BYTES * i);
  });
  const f64s = (list: readonly number[]): Uint8Array => rawBytes(Float64Array.from(list));
  const u32s = (list: readonly number[]): Uint8Array => rawBytes(Uint32Array.from(list));
  const map = packLarge({
    types: Uint8Array.from(d.places, p => p.type),
    offsets: f64s(d.places.map(p => p.offset)),
    bytes: u32s(d.places.map(p => p.bytes)),
    counts: u32s(d.places.map(p => p.count)),
    firsts: f64s(d.places.map(p => p.first)),
    flags: u32s(d.places.map(p => p.flags)),
    heads: f64s(heads.flatMap(h => [h.first, h.last, h.firstTicks, h.lastTicks])),
    words: rawBytes(words),
    chains,
    checkpoints: f64s(d.checkpoints.map(c => c.ticks)),
  });
  const payload = new Uint8Array(map.length + TRAILER_BYTES);
  payload.set(map);
  new DataView(payload.buffer).setFloat64(map.length, offset, true);
  payload.set(TRAILER_MAGIC, map.length + 8);
  return payload;
}
