/** Pages on their way to the file: see memory.ts. */
import { PAGE_BYTES } from '../base/brand.js';
import { packBody } from './compress.js';
import { SHA_BYTES } from './envelopes.js';
import { keyOf, sha256, ZERO_KEY } from './memory.js';
import type { Packed } from './pieces.js';

const PIECE_BYTES = 16 * PAGE_BYTES;

/** Knows which contents the file has. */
export class PageStore {
  private readonly known = new Set([ZERO_KEY]);

  /** Hashes of all given pages and the contents that are new. */
  add(frames: Uint32Array, bytes: Uint8Array): { hashes: Uint8Array; fresh: Packed } {
    const hashes = new Uint8Array(SHA_BYTES * frames.length);
    const fresh: Uint8Array[] = [];
    for (let i = 0; i < frames.length; i++) {
      const page = bytes.subarray(PAGE_BYTES * i, PAGE_BYTES * (i + 1));
      hashes.set(sha256(page), SHA_BYTES * i);
      const key = keyOf(hashes, i);
      if (this.known.has(key)) continue;
      this.known.add(key);
      fresh.push(page);
    }
    const body = Buffer.concat(fresh);
    const cuts = Array.from(
      { length: Math.max(0, Math.ceil(body.length / PIECE_BYTES) - 1) },
      (_, n) => (n + 1) * PIECE_BYTES,
    );
    return { hashes, fresh: packBody(body, cuts) };
  }
}
