/**
 * Checks a whole recording: every checksum, that chunks follow each other and hash to the chain, that each body is the one
 * its events encode to, that indexes and keyframes are those of its events, that pages are what their hashes say, and that
 * the footer tells what is there.
 */
import { createHash } from 'node:crypto';
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { KIND_NAMES } from '../events/kinds.js';
import { EMPTY_LEXICON, type Lexicon } from '../events/lexicon.js';
import { encodeBody } from './body-encode.js';
import { Sink } from './bytes.js';
import { decodeBody, type Reading, readingOf } from './codec.js';
import type { Directory } from './directory.js';
import {
  type ChunkEnvelope,
  SHA_BYTES,
  unpackChunk,
  unpackLexicon,
  unpackMemory,
  unpackStacks,
  unpackSymbols,
} from './envelopes.js';
import { BODY_MAX, FRAME, FRAME_NAMES, INDEXES_SINCE } from './frames.js';
import { keyframeBody } from './index/keyframe.js';
import { type Payloads, Segments } from './index/segments.js';
import { LAYOUT, packLayout } from './layout.js';
import { Pages } from './memory.js';
import { unpackBody } from './pieces.js';
import { Registers } from './register-file.js';
import { type Damage, RecordingFile, readFooter, Scanner } from './scan.js';

export interface Verdict {
  /** Events that are good. */
  readonly events: number;
  readonly chunks: number;
  /** Bytes of the file that are good. */
  readonly bytes: number;
  /** The writer closed the file. Not being closed is no damage. */
  readonly closed: boolean;
  /** The first thing that is wrong. */
  readonly damage: Damage | undefined;
  /** False where bodies could not be compared with what their events encode to, since an older version wrote them. */
  readonly reencoded: boolean;
  /** False where indexes and keyframes were not made again: when told so, or since an older version wrote the recording. */
  readonly reindexed: boolean;
  readonly id: string;
  readonly chain: string;
}

export interface VerifyOptions {
  /** Do not make the indexes again, which is most of the time: a wrong one is then not found, if its checksum is right. */
  readonly quick?: boolean;
}

/** @throws Trouble if there is no recording at all; everything else is in the verdict. */
export function* verify(path: string, { quick = false }: VerifyOptions = {}): Work<Verdict> {
  const file = new RecordingFile(path);
  try {
    const check = new Check(file, !quick);
    const scanner = new Scanner(file);
    const size = file.size();
    let damage: Damage | undefined;
    while (!damage && scanner.next(size)) {
      yield { done: scanner.at, total: size };
      damage = check.last(scanner.directory);
    }
    damage ??= scanner.damage ?? (scanner.closed ? check.footer(scanner) : undefined);
    const good = damage
      ? scanner.directory.chunks.filter(c => c.place.offset < damage.offset)
      : scanner.directory.chunks;
    const last = good.at(-1);
    return {
      events: last ? last.first + last.count : 0,
      chunks: good.length,
      bytes: damage?.offset ?? size,
      closed: scanner.closed,
      damage,
      reencoded: check.reencodes,
      reindexed: check.reindexes,
      id: file.head.id,
      chain: last ? Buffer.from(last.chain).toString('hex') : '0'.repeat(2 * SHA_BYTES),
    };
  } finally {
    file.close();
  }
}

/** Of no events: no payload is like these. */
const NO_PAYLOADS: Payloads = { index: new Uint8Array(0), keyframe: new Uint8Array(4) };

class Check {
  readonly reencodes: boolean;
  private seen = 0;
  private readonly file: RecordingFile;
  private readonly reading: Reading;
  private readonly out = new Sink();
  private readonly streams = {
    [FRAME.chunk]: { chain: new Uint8Array(SHA_BYTES), registers: new Registers() },
    [FRAME.detail]: { chain: new Uint8Array(SHA_BYTES), registers: new Registers() },
  };

  readonly reindexes: boolean;
  private words: Lexicon = EMPTY_LEXICON;
  private segments: Segments | undefined;
  /** What came of the last chunk. */
  private payloads: Payloads | undefined;

  constructor(file: RecordingFile, reindexes: boolean) {
    this.file = file;
    this.reading = readingOf(file.head.layout);
    this.reencodes = JSON.stringify(packLayout(file.head.layout)) === JSON.stringify(packLayout(LAYOUT));
    this.reindexes = reindexes && this.reencodes && file.head.header.version >= INDEXES_SINCE;
  }

  /** Looks into the frame that was added last, if one was (a footer is not): its checksum is known to be right. */
  last(directory: Directory): Damage | undefined {
    const place = directory.places[this.seen];
    if (!place) return undefined;
    this.seen++;
    try {
      const payload = this.file.payload(place);
      if (place.type === FRAME.chunk || place.type === FRAME.detail)
        this.chunk(place.type, unpackChunk(payload, this.reading.layout.length));
      else if (place.type === FRAME.lexicon) this.words = unpackLexicon(payload);
      else if (place.type === FRAME.index || place.type === FRAME.keyframe) this.made(place.type, payload);
      else if (place.type === FRAME.symbols) unpackSymbols(payload);
      else if (place.type === FRAME.stacks) unpackStacks(payload, place.count);
      return undefined;
    } catch (error) {
      if (error instanceof Trouble) return { offset: place.offset, reason: error.message };
      throw error;
    }
  }

  private chunk(type: 1 | 3, envelope: ChunkEnvelope): void {
    const { chain, registers } = this.streams[type];
    const body = unpackBody(envelope.packed, BODY_MAX);
    body.need(0, body.bytes.length);
    const hash = createHash('sha256').update(chain).update(body.bytes).digest();
    if (Buffer.compare(hash, envelope.chain) !== 0) throw new Trouble('the chain of hashes is broken');
    chain.set(hash);
    const block = decodeBody(body, envelope.first, {
      reading: this.reading,
      causes: type === FRAME.chunk,
      ticks: [envelope.firstTicks, envelope.lastTicks],
    });
    for (const name of KIND_NAMES) void block.col[name];
    for (const name of ['kind', 'ticks', 'vcpu', 'back'] as const) void block[name];
    if (!this.reencodes) return;
    if (type === FRAME.chunk && this.reindexes) {
      if (this.payloads) throw new Trouble('the index of the events before it is missing');
      this.segments ??= new Segments(this.file.head.header, this.words);
      this.payloads = this.segments.add(block);
    }
    this.out.clear();
    encodeBody(this.out, block, registers);
    if (Buffer.compare(this.out.bytes.subarray(0, this.out.at), body.bytes) !== 0)
      throw new Trouble('its events encode to other bytes');
  }

  /** An index, or the keyframe that follows it, must be what the writer would have made of the events before it. */
  private made(type: 4 | 8, payload: Buffer): void {
    if (!this.reindexes) return;
    // The last segment of a recording ends with it, and only its index says so.
    if (type === FRAME.index) this.payloads ??= this.segments?.end();
    const { index, keyframe } = this.payloads ?? NO_PAYLOADS;
    const same =
      type === FRAME.index
        ? Buffer.compare(index, payload) === 0
        : Buffer.compare(keyframeBody(keyframe), keyframeBody(payload)) === 0;
    if (!same) throw new Trouble(`the ${FRAME_NAMES[type]} is not that of its events`);
    if (type === FRAME.keyframe) this.payloads = undefined;
  }

  /** Compares the footer with what the walk found, and reads all pages. */
  footer(scanner: Scanner): Damage | undefined {
    const { directory } = scanner;
    const said = readFooter(this.file);
    const plain = (d: Directory): string =>
      JSON.stringify([d.places, d.checkpoints, [...d.chunks, ...d.details].map(c => ({ ...c, chain: [...c.chain] }))]);
    const end = directory.places.at(-1);
    const offset = end ? end.offset + 32 + end.bytes : this.file.head.bytes;
    if (!said || plain(said) !== plain(directory))
      return { offset, reason: 'the footer does not tell what is in the file' };
    const { checkpoints } = directory;
    const pages = new Pages(
      n => checkpoints[n]!.parts.length,
      (n, part) => unpackMemory(this.file.payload(checkpoints[n]!.parts[part]!)),
    );
    for (let n = 0; n < checkpoints.length; n++) {
      try {
        for (const _ of pages.pages(n));
      } catch (error) {
        if (error instanceof Trouble) return { offset: checkpoints[n]!.parts[0]!.offset, reason: error.message };
        throw error;
      }
    }
    return undefined;
  }
}
