/**
 * Opens a recording. A closed file is opened by its footer, without looking at the rest; one that is not closed, by walking
 * over its frames. What is read later is checked then: a frame whose checksum is wrong is Trouble with file and offset, so
 * no answer ever comes from damaged bytes.
 */
import type { Vaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { u64 } from '../base/u64.js';
import type { Block } from '../events/block.js';
import { KIND_NAMES } from '../events/kinds.js';
import { EMPTY_LEXICON, type Lexicon } from '../events/lexicon.js';
import { isaOf } from '../isa/index.js';
import { type DecodedBlock, decodeBody, type Reading, readingOf } from './codec.js';
import { type ChunkPlace, Directory, type Place } from './directory.js';
import {
  type ChunkEnvelope,
  type ChunkHead,
  unpackChunk,
  unpackLexicon,
  unpackMemory,
  unpackStacks,
  unpackSymbols,
} from './envelopes.js';
import { BODY_MAX, FRAME, FRAME_BYTES } from './frames.js';
import type { OpenIndex, Segment } from './index/contract.js';
import { decodeKeyframe } from './index/keyframe.js';
import { openIndex } from './index/open.js';
import { type Page, Pages } from './memory.js';
import { unpackBody } from './pieces.js';
import { type Damage, RecordingFile, readFooter, Scanner } from './scan.js';
import type {
  CheckpointInfo,
  ChunkInfo,
  Header,
  Index,
  Keyframe,
  KeyframeInfo,
  Symbol as NamedRange,
  Source,
} from './source.js';

export interface OpenOptions {
  /** Walk over all frames and check every checksum, footer or not: `damage` is then exact and the rest is cut off. */
  readonly check?: boolean;
  /** Bytes of decoded chunks to keep. */
  readonly cacheBytes?: number;
}

/** A Source that is a file. */
export interface Recording extends Source {
  /** sha-256 (hex) of what was run: the header's settings. */
  readonly id: string;
  /** sha-256 (hex) chained over all whole chunks: what happened. */
  readonly chain: string;
}

/** Some 35 chunks: what a debugger goes to and fro in. */
const CACHE_BYTES = 32 << 20;

/** @throws Trouble of one line, with the path, if there is no recording to read at all. */
export function openRecording(path: string, options: OpenOptions = {}): Recording {
  const file = new RecordingFile(path);
  try {
    return new FileRecording(file, options);
  } catch (error) {
    file.close();
    throw file.trouble(error);
  }
}

class FileRecording implements Recording {
  readonly name: string;
  readonly header: Header;
  readonly id: string;
  chunks: ChunkInfo[] = [];
  keyframes: readonly KeyframeInfo[] = [];
  private readonly file: RecordingFile;
  private readonly reading: Reading;
  private readonly cacheBytes: number;
  private directory: Directory;
  private scanner: Scanner | undefined;
  /** The tail's events, while no chunk has them. */
  private tail: { readonly head: ChunkHead; readonly block: DecodedBlock } | undefined;
  private readonly cache = new Map<number, DecodedBlock>();
  /** Bytes of the chunk that is only glanced at: memory that is new each time costs as much as reading into it. */
  private glanced = Buffer.alloc(0);
  private lastChunk: { readonly n: number; readonly block: Block } | undefined;
  private stacks: Vaddr[][] = [];
  private stackFrames = 0;
  private words: { readonly place: Place; readonly lexicon: Lexicon } | undefined;
  private symbolList: NamedRange[] | undefined;
  private readonly pages: Pages;
  private opened: OpenIndex | undefined;
  private readonly segments: Segment[] = [];

  constructor(file: RecordingFile, { check = false, cacheBytes = CACHE_BYTES }: OpenOptions) {
    this.file = file;
    this.name = file.path;
    this.header = file.head.header;
    this.id = file.head.id;
    this.reading = readingOf(file.head.layout);
    this.cacheBytes = cacheBytes;
    this.pages = new Pages(
      n => this.directory.checkpoints[n]!.parts.length,
      (n, part) => this.unpackAt(this.directory.checkpoints[n]!.parts[part]!, unpackMemory),
    );
    const directory = check ? undefined : readFooter(file);
    this.directory = directory ?? new Directory();
    if (!directory) {
      this.scanner = new Scanner(file);
      this.directory = this.scanner.directory;
      this.scan();
    }
    this.learn();
  }

  get closed(): boolean {
    return this.scanner ? this.scanner.closed : true;
  }
  get damage(): Damage | undefined {
    return this.scanner?.damage;
  }
  get count(): number {
    return this.directory.events + (this.tail?.block.count ?? 0);
  }
  get endTicks(): number {
    return this.chunks.at(-1)?.lastTicks ?? 0;
  }
  get chain(): string {
    const last = this.directory.chunks.at(-1);
    return last ? Buffer.from(last.chain).toString('hex') : '0'.repeat(64);
  }

  chunkOf(seq: number): number {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.chunks[middle]!.first <= seq) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  chunk(n: number, like?: Block): Block {
    if (this.lastChunk?.n === n) return this.lastChunk.block;
    const place = this.directory.chunks[n];
    const block = place ? this.cached(n, place, like) : this.tail!.block;
    this.lastChunk = { n, block };
    return block;
  }

  glance(n: number): Block {
    const place = this.directory.chunks[n];
    if (!place || this.cache.has(n)) return this.chunk(n);
    if (this.glanced.length < place.place.bytes) this.glanced = Buffer.allocUnsafe(2 * place.place.bytes);
    return this.read(place, { into: this.glanced });
  }

  *details(from: number, to: number): Generator<Block> {
    // Entries that follow event s have s + 1 events before them.
    const all = this.directory.details;
    for (let n = 0; n < all.length; n++)
      if (all[n]!.last > from && all[n]!.first <= to && all[n]!.first <= this.count) yield this.cached(-1 - n, all[n]!);
  }

  get index(): Index {
    if (!this.opened) {
      this.opened = openIndex(this.name, this.header, this.lexicon);
      this.updateIndex();
    }
    return this.opened;
  }
  keyframe(n: number): Keyframe {
    const place = this.directory.of(FRAME.keyframe)[n]!;
    return decodeKeyframe(this.file.payload(place), `${this.name}: damaged at byte ${place.offset}`, this.reading);
  }

  get checkpoints(): readonly CheckpointInfo[] {
    return this.directory.checkpoints.filter(c => c.seq <= this.count).map(({ seq, ticks }) => ({ seq, ticks }));
  }
  checkpoint(n: number): ReturnType<Source['checkpoint']> {
    const { state } = this.unpackAt(this.directory.checkpoints[n]!.parts.at(-1)!, unpackMemory);
    return { state, pages: this.told(this.pages.pages(n)), memory: this.told(this.pages.memory(n)) };
  }
  /** Trouble with a page names the file. */
  private *told(pages: Iterable<Page>): Generator<Page> {
    try {
      yield* pages;
    } catch (error) {
      throw this.file.trouble(error);
    }
  }
  pageHash(n: number, frame: number): string | undefined {
    return this.pages.hash(n, frame);
  }

  get lexicon(): Lexicon {
    const place = this.directory.of(FRAME.lexicon).at(-1);
    if (!place) return EMPTY_LEXICON;
    if (this.words?.place !== place) {
      const registers = isaOf(this.header.isa)?.registers.map(({ name }) => name) ?? [];
      this.words = { place, lexicon: { ...this.unpackAt(place, unpackLexicon), registers } };
    }
    return this.words.lexicon;
  }

  get symbols(): readonly NamedRange[] {
    return (this.symbolList ??= this.directory.of(FRAME.symbols).flatMap(p => this.unpackAt(p, unpackSymbols)));
  }

  stack(id: number): readonly Vaddr[] {
    if (id === 0) return [];
    const frames = this.directory.of(FRAME.stacks);
    while (this.stacks.length < id && this.stackFrames < frames.length) {
      const place = frames[this.stackFrames++]!;
      this.stacks.push(...this.unpackAt(place, bytes => unpackStacks(bytes, place.count)));
    }
    return this.stacks[id - 1] ?? [];
  }

  refresh(): boolean {
    const before = this.count;
    if (!this.scanner || this.scanner.closed) return false;
    this.scan();
    this.learn();
    return this.count > before;
  }

  close(): void {
    this.cache.clear();
    this.lastChunk = undefined;
    this.file.close();
  }

  /** Takes whole frames as far as they go. */
  private scan(): void {
    const scanner = this.scanner!;
    const size = this.file.size();
    while (scanner.next(size));
    const { tail } = scanner;
    if (!tail) this.tail = undefined;
    else if (this.tail?.head !== tail.envelope) this.takeTail(tail.offset, tail.envelope);
  }

  private takeTail(offset: number, envelope: ChunkEnvelope): void {
    try {
      this.tail = { head: envelope, block: this.decode(offset, envelope, true) };
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      this.scanner!.damage = { offset, reason: error.message };
    }
  }

  /** Brings what is kept of the directory up to date. */
  private learn(): void {
    const { chunks, directory } = this;
    const { kindHere } = this.reading;
    if (chunks.length > 0 && chunks.length === directory.chunks.length + 1) chunks.pop();
    while (chunks.length > directory.chunks.length) chunks.pop();
    for (let n = chunks.length; n < directory.chunks.length; n++) chunks.push(new Info(directory.chunks[n]!, kindHere));
    if (this.tail) chunks.push(new Info(this.tail.head, kindHere));
    this.keyframes = directory.of(FRAME.keyframe).map(p => ({ from: p.first, seq: p.first + p.count }));
    this.lastChunk = undefined;
    this.symbolList = undefined;
    if (this.opened) this.updateIndex();
  }

  private updateIndex(): void {
    const places = this.directory.of(FRAME.index);
    while (this.segments.length < places.length)
      this.segments.push(segmentOf(this.file, places[this.segments.length]!));
    const blocks = (from: number): Generator<Block> => this.blocksFrom(from);
    this.opened!.update([...this.segments], { firstSeq: this.directory.indexed, endSeq: this.count, blocks });
  }
  private *blocksFrom(seq: number): Generator<Block> {
    for (let n = this.chunkOf(seq); n < this.chunks.length; n++) yield this.chunk(n);
  }

  private cached(key: number, place: ChunkPlace, like?: Block): Block {
    const { cache } = this;
    let block = cache.get(key);
    if (block) cache.delete(key);
    else {
      block = this.read(place, { like });
      let held = block.held;
      for (const b of cache.values()) held += b.held;
      for (const [oldest, b] of cache) {
        if (held <= this.cacheBytes) break;
        cache.delete(oldest);
        held -= b.held;
      }
    }
    cache.set(key, block);
    return block;
  }

  private read(chunk: ChunkPlace, { like, into }: { like?: Block | undefined; into?: Buffer }): DecodedBlock {
    const { place } = chunk;
    const envelope = this.unpackAt(place, bytes => unpackChunk(bytes, this.reading.layout.length), into);
    if (!sameHead(envelope, chunk))
      throw new Trouble(`${this.name}: damaged at byte ${place.offset}: the chunk is not what the footer says`);
    return this.decode(place.offset, envelope, place.type === FRAME.chunk, like);
  }

  private decode(offset: number, envelope: ChunkEnvelope, causes: boolean, other?: Block): DecodedBlock {
    const where = `${this.name}: damaged at byte ${offset}`;
    const { reading } = this;
    try {
      const like = other && 'origin' in other ? (other as DecodedBlock) : undefined;
      const block = decodeBody(unpackBody(envelope.packed, BODY_MAX), envelope.first, {
        reading,
        causes,
        ticks: [envelope.firstTicks, envelope.lastTicks],
        where,
        like,
      });
      const fits =
        block.count === envelope.count && envelope.rows.every((n, k) => block.rows[reading.kindHere[k]!] === n);
      if (!fits) throw new Trouble(`${where}: a chunk is not what its envelope says`);
      return block;
    } catch (error) {
      if (error instanceof Trouble && !error.message.startsWith(where)) throw new Trouble(`${where}: ${error.message}`);
      throw error;
    }
  }

  private unpackAt<T>(place: Place, unpack: (payload: Uint8Array) => T, into?: Buffer): T {
    const payload = this.file.payload(place, into);
    try {
      return unpack(payload);
    } catch (error) {
      if (error instanceof Trouble)
        throw new Trouble(`${this.name}: damaged at byte ${place.offset}: ${error.message}`);
      throw error;
    }
  }
}

/** Of a thousand chunks somebody asks for the counts of a few. */
class Info implements ChunkInfo {
  readonly first: number;
  readonly count: number;
  readonly firstTicks: number;
  readonly lastTicks: number;
  private readonly head: ChunkHead;
  private readonly kindHere: Uint8Array;
  private made: Uint32Array | undefined;

  constructor(head: ChunkHead, kindHere: Uint8Array) {
    this.first = head.first;
    this.count = head.count;
    this.firstTicks = head.firstTicks;
    this.lastTicks = head.lastTicks;
    this.head = head;
    this.kindHere = kindHere;
  }
  get chain(): string {
    return Buffer.from(this.head.chain).toString('hex');
  }
  get regsMask(): bigint {
    return u64(this.head.regsMask[0], this.head.regsMask[1]);
  }
  get counts(): Uint32Array {
    if (this.made) return this.made;
    this.made = new Uint32Array(KIND_NAMES.length);
    const { rows } = this.head;
    for (let k = 0; k < rows.length; k++) this.made[this.kindHere[k]!] = rows[k]!;
    return this.made;
  }
}

/** An INDEX frame that is read in parts. The checksum is of the whole, so the first part costs reading all of it once. */
function segmentOf(file: RecordingFile, place: Place): Segment {
  let checked = false;
  return {
    firstSeq: place.first,
    endSeq: place.first + place.count,
    bytes: place.bytes,
    read: (offset, length) => {
      if (!checked) file.check(place);
      checked = true;
      const left = Math.max(0, place.bytes - offset);
      return file.read(place.offset + FRAME_BYTES + offset, Math.min(length, left));
    },
  };
}

const sameHead = (a: ChunkHead, b: ChunkHead): boolean =>
  a.first === b.first &&
  a.last === b.last &&
  a.count === b.count &&
  a.firstTicks === b.firstTicks &&
  a.lastTicks === b.lastTicks &&
  a.regsMask[0] === b.regsMask[0] &&
  a.regsMask[1] === b.regsMask[1] &&
  Buffer.compare(a.chain, b.chain) === 0 &&
  Buffer.compare(
    new Uint8Array(a.rows.buffer, a.rows.byteOffset, a.rows.byteLength),
    new Uint8Array(b.rows.buffer, b.rows.byteOffset, b.rows.byteLength),
  ) === 0;
