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
import { unpackBody } from './pieces.js';

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const ZERO_PAGE = new Uint8Array(PAGE_BYTES);
const ZERO_HASH = sha256(ZERO_PAGE);
export const keyOf = (hashes: Uint8Array, i: number): string =>
  Buffer.from(hashes.buffer, hashes.byteOffset + SHA_BYTES * i, SHA_BYTES).toString('latin1');
export const ZERO_KEY = keyOf(ZERO_HASH, 0);

export type Page = readonly [frame: number, bytes: Uint8Array];

interface Content {
  readonly part: number;
  readonly page: number;
}
/** A part's contents, and which of its pages were found to be what their hashes say. */
interface Unpacked {
  readonly body: Body;
  readonly checked: Uint8Array;
}
/** Of unpacked contents: those of a stock kernel's boot, so that only the first re-run inflates them. */
const BYTES_KEPT = 192 * 2 ** 20;

/** The reader's side: pages of checkpoint 0, 1, 2 ..., loaded in that order when one of them is asked for. */
export class Pages {
  private readonly load: (checkpoint: number, part: number) => MemoryPart;
  private readonly partCounts: (checkpoint: number) => number;
  /** Of each loaded checkpoint: hash of every page it lists, by frame number. */
  private readonly lists: Map<number, string>[] = [];
  private readonly contents = new Map<string, Content>();
  private readonly parts: { readonly checkpoint: number; readonly part: number }[] = [];
  /** By part; the one used longest ago comes first. */
  private readonly unpacked = new Map<number, Unpacked>();
  private bytesKept = 0;

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
  *pages(n: number): Generator<Page> {
    this.reach(n);
    for (const [frame, key] of this.lists[n]!)
      yield [frame, key === ZERO_KEY ? ZERO_PAGE.slice() : this.content(this.contents.get(key)!, key).slice()];
  }
  /** Every page that is not zero at checkpoint n, part by part, so that each is unpacked once. The bytes are not to be changed. */
  *memory(n: number): Generator<Page> {
    this.reach(n);
    const frames = new Map<number, string>();
    for (let k = 0; k <= n; k++) for (const [frame, key] of this.lists[k]!) frames.set(frame, key);
    const byPart: { frame: number; key: string; content: Content }[][] = this.parts.map(() => []);
    for (const [frame, key] of frames) {
      const content = this.contents.get(key); // a page of zeros has none
      if (content) byPart[content.part]!.push({ frame, key, content });
    }
    for (const pages of byPart) for (const { frame, key, content } of pages) yield [frame, this.content(content, key)];
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

  private content({ part, page }: Content, key: string): Uint8Array {
    const { body, checked } = this.unpack(part);
    const [from, to] = [PAGE_BYTES * page, PAGE_BYTES * (page + 1)];
    if (to > body.bytes.length) throw new Trouble('a checkpoint lacks a page');
    const bytes = body.bytes.subarray(from, to);
    if (checked[page]) return bytes;
    body.need(from, to);
    if (keyOf(sha256(bytes), 0) !== key) throw new Trouble('a page of a checkpoint is not what its hash says');
    checked[page] = 1;
    return bytes;
  }
  private unpack(part: number): Unpacked {
    let found = this.unpacked.get(part);
    if (found) this.unpacked.delete(part);
    else {
      const at = this.parts[part]!;
      const { fresh, frames } = this.load(at.checkpoint, at.part);
      const body = unpackBody(fresh, PAGE_BYTES * frames.length);
      found = { body, checked: new Uint8Array(frames.length) };
      this.bytesKept += body.bytes.length;
    }
    this.unpacked.set(part, found);
    for (const [oldest, { body }] of this.unpacked) {
      if (this.bytesKept <= BYTES_KEPT || oldest === part) break;
      this.unpacked.delete(oldest);
      this.bytesKept -= body.bytes.length;
    }
    return found;
  }
}
