/**
 * Pages of checkpoints by what is in them: each distinct page is in the file once, a page of zeros not at all. A checkpoint
 * lists the pages that changed since the one before, by frame number and sha-256; the first frame that lists a hash has its
 * content, in the order of its list, sixteen pages compressed together.
 */
import { createHash } from 'node:crypto';
import { PAGE_BYTES } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import type { Body } from './codec.js';
import { type MemoryPart, SHA_BYTES } from './envelopes.js';
import { type Packed, packBody, unpackBody } from './pieces.js';

const PIECE_BYTES = 16 * PAGE_BYTES;

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const ZERO_PAGE = new Uint8Array(PAGE_BYTES);
const ZERO_HASH = sha256(ZERO_PAGE);
const keyOf = (hashes: Uint8Array, i: number): string =>
  Buffer.from(hashes.buffer, hashes.byteOffset + SHA_BYTES * i, SHA_BYTES).toString('latin1');
const ZERO_KEY = keyOf(ZERO_HASH, 0);

/** The writer's side: knows which contents the file has. */
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

interface Content {
  readonly part: number;
  readonly page: number;
}
const BODIES_KEPT = 4;

/** The reader's side: pages of checkpoint 0, 1, 2 ..., loaded in that order when one of them is asked for. */
export class Pages {
  private readonly load: (checkpoint: number, part: number) => MemoryPart;
  private readonly partCounts: (checkpoint: number) => number;
  /** Of each loaded checkpoint: hash of every page it lists, by frame number. */
  private readonly lists: Map<number, string>[] = [];
  private readonly contents = new Map<string, Content>();
  private readonly parts: { readonly checkpoint: number; readonly part: number }[] = [];
  private readonly bodies = new Map<number, Body>();

  /** @param load reads a part of a checkpoint from the file */
  constructor(partCounts: (checkpoint: number) => number, load: (checkpoint: number, part: number) => MemoryPart) {
    this.partCounts = partCounts;
    this.load = load;
  }

  /** Hash of a page (hex) at checkpoint n: the last one listed up to it; undefined if there is none. */
  hash(n: number, frame: number): string | undefined {
    this.reach(n);
    for (let k = n; k >= 0; k--) {
      const key = this.lists[k]!.get(frame);
      if (key !== undefined) return Buffer.from(key, 'latin1').toString('hex');
    }
    return undefined;
  }

  /** Pages that checkpoint n lists, in order of the file. */
  *pages(n: number): Generator<readonly [number, Uint8Array]> {
    this.reach(n);
    for (const [frame, key] of this.lists[n]!) yield [frame, this.content(key)];
  }

  private reach(n: number): void {
    while (this.lists.length <= n) {
      const checkpoint = this.lists.length;
      const list = new Map<number, string>();
      for (let part = 0; part < this.partCounts(checkpoint); part++) {
        const { frames, hashes } = this.load(checkpoint, part);
        let page = 0;
        frames.forEach((frame, i) => {
          const key = keyOf(hashes, i);
          list.set(frame, key);
          if (key === ZERO_KEY || this.contents.has(key)) return;
          this.contents.set(key, { part: this.parts.length, page: page++ });
        });
        this.parts.push({ checkpoint, part });
      }
      this.lists.push(list);
    }
  }

  private content(key: string): Uint8Array {
    if (key === ZERO_KEY) return ZERO_PAGE.slice();
    const { part, page } = this.contents.get(key)!;
    let body = this.bodies.get(part);
    if (!body) {
      const at = this.parts[part]!;
      const { fresh, frames } = this.load(at.checkpoint, at.part);
      body = unpackBody(fresh, PAGE_BYTES * frames.length);
      if (this.bodies.size >= BODIES_KEPT) this.bodies.delete(this.bodies.keys().next().value!);
      this.bodies.set(part, body);
    }
    const from = PAGE_BYTES * page;
    if (from + PAGE_BYTES > body.bytes.length) throw new Trouble('a checkpoint lacks a page');
    body.need(from, from + PAGE_BYTES);
    const bytes = body.bytes.slice(from, from + PAGE_BYTES);
    if (keyOf(sha256(bytes), 0) !== key) throw new Trouble('a page of a checkpoint is not what its hash says');
    return bytes;
  }
}
