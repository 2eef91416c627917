/**
 * The one who writes the file: takes full blocks and everything else of a recording, in order, and appends frames. It runs
 * in the worker of a threaded writer, or in place; the bytes are the same, since nothing here knows which.
 *
 * Order decides the bytes. A frame stands before what needs it: stacks before the chunk that names them, an index and a
 * keyframe after each 64 chunks (or when their builder has enough) and at the end.
 */
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writevSync } from 'node:fs';
import { reasonOf, Trouble } from '../base/trouble.js';
import type { Block } from '../events/block.js';
import { EMPTY_LEXICON, type Lexicon } from '../events/lexicon.js';
import { encodeBody } from './body-encode.js';
import { Sink } from './bytes.js';
import { packBody } from './compress.js';
import { Directory, type Extra, placeOf } from './directory.js';
import { type ChunkEnvelope, SHA_BYTES } from './envelopes.js';
import { packChunk, packLexicon, packMemory, packStacks, packSymbols } from './envelopes-pack.js';
import { packFooter } from './footer.js';
import { FORMAT_VERSION, FRAME, FRAME_BYTES, type FrameType, frameHead, headerBytes, idOf, MORE } from './frames.js';
import type { Payloads } from './index/segments.js';
import { type Indexer, type MakeIndexer, placedIndexer } from './indexer.js';
import { LAYOUT } from './layout.js';
import { PageStore } from './page-store.js';
import { Registers } from './register-file.js';
import type { Header, Symbol as NamedRange } from './source.js';

/** What makes a run repeatable, as the machine's owner gives it: the version is the writer's own. */
export type HeaderGiven = Omit<Header, 'version'>;

export type Stream = 'main' | 'detail';
/** Some of the pages of a checkpoint, at most MEMORY_FRAMES; `more` when others follow. */
export interface PagesGiven {
  readonly seq: number;
  readonly ticks: number;
  readonly frames: Uint32Array;
  /** 4096 bytes for each of `frames`. */
  readonly bytes: Uint8Array;
  readonly more: boolean;
  /** With the last part, else empty. */
  readonly state: Uint8Array;
}

export interface Summary {
  readonly events: number;
  readonly bytes: number;
  /** sha-256 (hex) of what was run: header without layout. */
  readonly id: string;
  /** sha-256 (hex) chained over the bodies of all chunks: what happened. */
  readonly chain: string;
}

/** A frame to be written. */
interface Frame {
  readonly type: FrameType;
  readonly count: number;
  readonly first: number;
  readonly payload: Uint8Array;
  readonly flags: number;
  readonly extra: Extra;
}
/** The place of an index and a keyframe, if a segment ends there. */
const INDEX_HERE = 'index';
/** More than this is not held back: then writing waits for the index. */
const HELD_BYTES = 32 << 20;

export class Scribe {
  private readonly path: string;
  private readonly fd: number;
  private readonly header: Header;
  private readonly directory = new Directory();
  private readonly out = new Sink();
  private readonly pages = new PageStore();
  private readonly streams = {
    main: { chain: new Uint8Array(SHA_BYTES), registers: new Registers() },
    detail: { chain: new Uint8Array(SHA_BYTES), registers: new Registers() },
  };
  private words: Lexicon = EMPTY_LEXICON;
  private readonly makeIndexer: MakeIndexer;
  private indexer: Indexer | undefined;
  /** What comes after a block of which it is not known yet whether a segment ends with it. */
  private readonly held: (Frame | typeof INDEX_HERE)[] = [];
  private heldBytes = 0;
  private detailEntries = 0;
  private at = 0;
  /** True while a TAIL stands at `at`, to be replaced by what comes next. */
  private tailed = false;

  /** @param makeIndexer who makes the indexes; in place, unless told */
  constructor(path: string, header: HeaderGiven, makeIndexer: MakeIndexer = placedIndexer) {
    this.path = path;
    this.makeIndexer = makeIndexer;
    this.header = { ...header, version: FORMAT_VERSION };
    const bytes = headerBytes(this.header, LAYOUT);
    this.fd = this.io(() => openSync(path, 'w'));
    this.put(bytes);
    this.at = bytes.length;
  }

  lexicon(lexicon: Lexicon): void {
    this.words = lexicon;
    this.append(FRAME.lexicon, 1, 0, packLexicon(lexicon));
  }

  symbols(symbols: readonly NamedRange[]): void {
    this.append(FRAME.symbols, symbols.length, 0, packSymbols(symbols));
  }

  /** Stacks number `first` and on. */
  stacks(first: number, stacks: readonly (readonly bigint[])[]): void {
    this.append(FRAME.stacks, stacks.length, first, packStacks(stacks));
  }

  block(stream: Stream, block: Block): void {
    const { chain, registers } = this.streams[stream];
    const envelope = this.chunk(stream, block, chain, registers);
    chain.set(envelope.chain);
    if (stream === 'detail') {
      this.append(FRAME.detail, block.count, this.detailEntries, packChunk(envelope), 0, envelope);
      this.detailEntries += block.count;
      return;
    }
    this.append(FRAME.chunk, block.count, block.first, packChunk(envelope), 0, envelope);
    this.indexer ??= this.makeIndexer(this.header, this.words);
    this.indexer.add(block);
    this.held.push(INDEX_HERE);
    this.settle(false);
  }

  /** Writes a provisional chunk; whatever is written next takes its place. */
  tail(block: Block): void {
    const { chain, registers } = this.streams.main;
    const envelope = this.chunk('main', block, chain, registers.copy());
    const payload = packChunk(envelope);
    this.settle(true);
    this.replaceTail();
    this.put(frameHead(FRAME.tail, block.count, block.first, 0, payload), payload);
    this.tailed = true;
  }

  memory({ seq, ticks, frames, bytes, more, state }: PagesGiven): void {
    const { hashes, fresh } = this.pages.add(frames, bytes);
    const payload = packMemory({ seq, ticks, state, frames, hashes, fresh });
    this.append(FRAME.memory, frames.length, seq, payload, more ? MORE : 0, { seq, ticks });
  }

  /** Ends the file. */
  close(): Summary {
    if (this.indexer) {
      this.indexer.add(undefined);
      this.held.push(INDEX_HERE);
    }
    this.settle(true);
    const payload = packFooter(this.directory, LAYOUT.length, this.at);
    this.replaceTail();
    this.put(frameHead(FRAME.footer, this.directory.places.length, 0, 0, payload), payload);
    this.io(() => closeSync(this.fd));
    return {
      events: this.directory.events,
      bytes: this.at + FRAME_BYTES + payload.length,
      id: idOf(this.header),
      chain: Buffer.from(this.streams.main.chain).toString('hex'),
    };
  }

  /** Leaves the file as it is. */
  abort(): void {
    closeSync(this.fd);
  }

  private chunk(stream: Stream, block: Block, chain: Uint8Array, registers: Registers): ChunkEnvelope {
    const { out } = this;
    out.clear();
    const { regsMask } = encodeBody(out, block, registers);
    const body = out.bytes.subarray(0, out.at);
    const { first, count } = block;
    return {
      first,
      last: stream === 'main' ? first + count - 1 : first + block.back[count - 1]!,
      count,
      firstTicks: block.ticks[0]!,
      lastTicks: block.ticks[count - 1]!,
      chain: createHash('sha256').update(chain).update(body).digest(),
      regsMask,
      rows: block.rows.slice(),
      packed: packBody(body, out.cuts),
    };
  }

  private append(type: FrameType, count: number, first: number, payload: Uint8Array, flags = 0, extra?: Extra): void {
    this.held.push({ type, count, first, payload, flags, extra });
    this.heldBytes += payload.length;
    this.settle(false);
  }

  /** Writes what is held back, as far as the indexes before it are known. @param all wait until they are */
  private settle(all: boolean): void {
    for (let next = this.held[0]; next; next = this.held[0]) {
      if (next !== INDEX_HERE) this.write(next);
      else {
        const result = this.indexer!.result(all || this.heldBytes > HELD_BYTES);
        if (result === undefined) return;
        if (result !== 'nothing') this.segment(result);
      }
      this.held.shift();
      if (next !== INDEX_HERE) this.heldBytes -= next.payload.length;
    }
  }

  private segment({ index, keyframe }: Payloads): void {
    const first = this.directory.indexed;
    const count = this.directory.events - first;
    this.write({ type: FRAME.index, count, first, payload: index, flags: 0, extra: undefined });
    this.write({ type: FRAME.keyframe, count, first, payload: keyframe, flags: 0, extra: undefined });
  }

  private write({ type, count, first, payload, flags, extra }: Frame): void {
    this.replaceTail();
    const frame = { type, bytes: payload.length, payloadCrc: 0, count, first, flags };
    this.directory.add(placeOf(frame, this.at), extra);
    this.put(frameHead(type, count, first, flags, payload), payload);
    this.at += FRAME_BYTES + payload.length;
  }

  private replaceTail(): void {
    if (!this.tailed) return;
    this.io(() => ftruncateSync(this.fd, this.at));
    this.tailed = false;
  }

  /** Writes one after the other, from `at` on. */
  private put(...parts: Uint8Array[]): void {
    this.io(() => {
      let { at } = this;
      for (let next = parts[0]; next; next = parts[0]) {
        let done = writevSync(this.fd, parts, at);
        at += done;
        for (; parts[0] && done >= parts[0].length; parts.shift()) done -= parts[0].length;
        if (parts[0]) parts[0] = parts[0].subarray(done);
      }
    });
  }

  private io<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new Trouble(`${this.path}: cannot write the recording: ${reasonOf(error)}`);
    }
  }
}
