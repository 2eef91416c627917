/**
 * A recording in memory, with an index that searches by brute force: what state and views are tested against. It decodes
 * nothing, but derives what a decoder must: the old values of registers.
 */
import type { Frame, Paddr, Vaddr } from '../../src/base/brand.js';
import { asPaddr, frameOf, offsetOf, paddrOf } from '../../src/base/brand.js';
import { u64 } from '../../src/base/u64.js';
import type { Work } from '../../src/base/work.js';
import { BLOCK_BYTES, type Block, blockOver, CHUNK_EVENTS, eventAt, listStart } from '../../src/events/block.js';
import {
  type Draft,
  type Event,
  type EventMap,
  FRAME_KINDS,
  KIND,
  KIND_NAMES,
  KINDS,
  SPACES,
  type Space,
} from '../../src/events/kinds.js';
import { EMPTY_LEXICON, type Lexicon } from '../../src/events/lexicon.js';
import { Log } from '../../src/events/log.js';
import { columnSpecs } from '../../src/events/schema.js';
import type { ChunkInfo, FrameSlots, Header, Index, Keyframe, Mappings, Source } from '../../src/recording/source.js';
import { formatOf } from '../../src/state/formats.js';

type Numbers = Uint8Array | Uint16Array | Uint32Array;

/** A copy of a block that is as large as what it holds. */
function compact(block: Block): Block {
  const col = Object.fromEntries(
    KIND_NAMES.map((name, k) => {
      const rows = block.rows[k]!;
      const from = block.col[name] as unknown as Record<string, Numbers>;
      const specs = columnSpecs(KINDS[name].fields).map(s => {
        const beside = (KINDS[name].fields as Record<string, { beside?: string }>)[s.field]!.beside ?? s.field;
        const length = s.per === 'row' ? rows : rows === 0 ? 0 : from[`${beside}End`]![rows - 1]!;
        return [s.name, from[s.name]!.slice(0, length)];
      });
      return [name, Object.fromEntries(specs)];
    }),
  );
  return {
    first: block.first,
    count: block.count,
    kind: block.kind.slice(0, block.count),
    row: block.row.slice(0, block.count),
    ticks: block.ticks.slice(0, block.count),
    vcpu: block.vcpu.slice(0, block.count),
    back: block.back.slice(0, block.count),
    rows: block.rows.slice(),
    col: col as unknown as Block['col'],
  };
}

/** Register values by vcpu, 64 pairs each; `follow` fills in the olds of a block and the mask of its registers. */
class Registers {
  readonly values: Uint32Array[] = [];

  follow(block: Block): bigint {
    let all = 0n;
    const c = block.col.regs;
    for (let i = 0; i < block.count; i++) {
      if (block.kind[i] !== KIND.regs) continue;
      const row = block.row[i]!;
      const words = (this.values[block.vcpu[i]!] ??= new Uint32Array(128));
      const mask = u64(c.maskLo[row]!, c.maskHi[row]!);
      all |= mask;
      let item = listStart(c.valuesEnd, row);
      for (let r = 0; r < 64; r++)
        if ((mask >> BigInt(r)) & 1n) {
          c.oldsLo[item] = words[2 * r]!;
          c.oldsHi[item] = words[2 * r + 1]!;
          words[2 * r] = c.valuesLo[item]!;
          words[2 * r + 1] = c.valuesHi[item++]!;
        }
    }
    return all;
  }
  snapshot(): BigUint64Array[] {
    return Array.from(
      this.values,
      words => new BigUint64Array(words ? words.slice().buffer : new ArrayBuffer(64 * 8)) as BigUint64Array,
    );
  }
}

export interface MemoryOptions {
  /** Events a chunk; as in files unless told. */
  chunkEvents?: number;
  /** A sparse keyframe after each so many chunks; none unless told. */
  keyframeChunks?: number;
  header?: Partial<Header>;
  lexicon?: Lexicon;
  symbols?: Source['symbols'];
  stacks?: readonly (readonly Vaddr[])[];
  details?: readonly Block[];
}
export const GUEST_PAGING: Lexicon = { ...EMPTY_LEXICON, paging: { guest: 'x86-64-4level' } };

const TABLE_KINDS = ['pte', 'adopt', 'release'] as const;
type TableEvent = EventMap[(typeof TABLE_KINDS)[number]];

/** The writer's end: `log` takes events, `source()` ends the recording and gives it back. */
export class MemoryRecorder {
  readonly log: Log;
  readonly blocks: Block[] = [];
  private readonly chunkEvents: number;
  private readonly options: MemoryOptions;

  constructor(options: MemoryOptions = {}) {
    this.options = options;
    this.chunkEvents = options.chunkEvents ?? CHUNK_EVENTS;
    const swap = (full: Block): Block => {
      this.blocks.push(compact(full));
      return full;
    };
    this.log = new Log({ swap }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
  }
  put(draft: Draft): number {
    if (this.log.current.count === this.chunkEvents) this.log.flush();
    return this.log.put(draft);
  }
  source(): MemorySource {
    this.log.flush();
    return new MemorySource(this.blocks, this.options);
  }
}
/** A recording of these events. */
export function recordingOf(drafts: Iterable<Draft>, options: MemoryOptions = {}): MemorySource {
  const recorder = new MemoryRecorder(options);
  for (const draft of drafts) recorder.put(draft);
  return recorder.source();
}

export class MemorySource implements Source {
  readonly name = 'memory';
  readonly header: Header;
  readonly lexicon: Lexicon;
  readonly chunks: ChunkInfo[] = [];
  readonly count: number;
  readonly endTicks: number;
  readonly closed = true;
  readonly damage = undefined;
  readonly index: Index;
  readonly keyframes: readonly Keyframe[];
  readonly checkpoints = [];
  readonly symbols: Source['symbols'];
  /** How often chunk() was called: for tests of what a view decodes. */
  decoded = 0;
  private readonly blocks: readonly Block[];
  private readonly options: MemoryOptions;

  constructor(blocks: readonly Block[], options: MemoryOptions) {
    this.blocks = blocks;
    this.options = options;
    const registers = new Registers();
    const keyframes: Keyframe[] = [];
    let from = 0;
    let seq = 0;
    let ticks = 0;
    blocks.forEach((block, n) => {
      this.chunks.push({
        first: block.first,
        count: block.count,
        firstTicks: block.ticks[0]!,
        lastTicks: (ticks = block.ticks[block.count - 1]!),
        chain: `${n}`,
        regsMask: registers.follow(block),
        counts: block.rows,
      });
      seq = block.first + block.count;
      if (options.keyframeChunks && (n + 1) % options.keyframeChunks === 0) {
        keyframes.push(sparseKeyframe(blocks, from, seq, ticks, registers.snapshot()));
        from = seq;
      }
    });
    this.header = {
      version: 1,
      system: 'test',
      guest: 'test',
      isa: 'x86_64',
      vcpus: 1,
      memoryBytes: 2 ** 24,
      detail: 'mmu',
      config: {},
      images: [],
      ...options.header,
    };
    this.lexicon = options.lexicon ?? GUEST_PAGING;
    this.count = seq;
    this.endTicks = ticks;
    this.keyframes = keyframes;
    this.index = new BruteIndex(this);
    this.symbols = options.symbols ?? [];
  }

  chunkOf(seq: number): number {
    const n = this.chunks.findIndex(c => seq >= c.first && seq < c.first + c.count);
    if (n < 0) throw new Error(`internal error: no chunk has event ${seq}`);
    return n;
  }
  chunk(n: number): Block {
    this.decoded++;
    return this.blocks[n]!;
  }
  glance(n: number): Block {
    return this.chunk(n);
  }
  keyframe(n: number): Keyframe {
    return this.keyframes[n]!;
  }
  checkpoint(): never {
    throw new Error('no checkpoints');
  }
  pageHash(): undefined {
    return undefined;
  }
  stack(id: number): readonly Vaddr[] {
    return this.options.stacks?.[id] ?? [];
  }
  details(from: number, to: number): Iterable<Block> {
    return (this.options.details ?? []).filter(
      b => b.first + b.back[b.count - 1]! > from && b.first + b.back[0]! <= to,
    );
  }
  refresh(): boolean {
    return false;
  }
  close(): void {}

  /** Every event, as objects. */
  *events(): Generator<Event> {
    for (const block of this.blocks) for (let i = 0; i < block.count; i++) yield eventAt(block, i);
  }
  eventAt(seq: number): Event {
    const block = this.blocks[this.chunkOf(seq)]!;
    return eventAt(block, seq - block.first);
  }
}

const isTableEvent = (e: Event): e is TableEvent => (TABLE_KINDS as readonly string[]).includes(e.kind);
const firstByte = (e: TableEvent): number => paddrOf(e.table, e.offset);
const bytesOf = (e: TableEvent): number => (e.kind === 'pte' ? e.bytes : e.entries.length * e.bytes);
const covers = (e: TableEvent, at: number): boolean => at >= firstByte(e) && at < firstByte(e) + bytesOf(e);
/** The entries an event leaves behind: [byte address, value]. */
function* written(e: TableEvent): Generator<readonly [at: number, value: bigint]> {
  if (e.kind === 'pte') yield [firstByte(e), e.new];
  else for (const [i, v] of e.entries.entries()) yield [firstByte(e) + i * e.bytes, e.kind === 'adopt' ? v : 0n];
}

const slotColumns = (slots: readonly { readonly at: number; readonly value: bigint }[]): FrameSlots => ({
  offset: Uint16Array.from(slots, s => offsetOf(asPaddr(s.at))),
  lo: Uint32Array.from(slots, s => Number(s.value & 0xffff_ffffn)),
  hi: Uint32Array.from(slots, s => Number(s.value >> 32n)),
});

/** What changed in events from..seq-1, the slow and obvious way. */
function sparseKeyframe(
  blocks: readonly Block[],
  from: number,
  seq: number,
  ticks: number,
  registers: BigUint64Array[],
): Keyframe {
  const slots = new Map<string, { space: number; at: number; value: bigint }>();
  const frames = new Map<string, { kind: number; frame: number; value: number }>();
  const others = new Map<string, Event>();
  for (const block of blocks)
    for (let i = 0; i < block.count; i++) {
      if (block.first + i < from || block.first + i >= seq) continue;
      const e = eventAt(block, i);
      const kind = (FRAME_KINDS as readonly string[]).indexOf(e.kind);
      if (kind >= 0) {
        const f = e as EventMap['typecount'];
        frames.set(`${kind} ${f.frame}`, { kind, frame: f.frame, value: Number(f.new) });
      }
      if (isTableEvent(e))
        for (const [at, value] of written(e)) {
          const space = SPACES.indexOf(e.space);
          slots.set(`${space} ${at}`, { space, at, value });
        }
      const key = otherKey(e);
      if (key === undefined) continue;
      others.delete(key);
      others.set(key, 'entries' in e ? { ...e, entries: [] } : e);
    }
  const sorted = [...slots.values()].sort((a, b) => a.space - b.space || a.at - b.at);
  const recorder = new MemoryRecorder({ chunkEvents: CHUNK_EVENTS });
  for (const e of others.values()) recorder.put({ ...e, cause: -1 } as Draft);
  recorder.log.flush();
  const block = recorder.blocks[0] ?? compact(blockOver(new ArrayBuffer(BLOCK_BYTES)));
  return {
    from,
    seq,
    ticks,
    slots: {
      count: sorted.length,
      space: Uint8Array.from(sorted, s => s.space),
      frame: Uint32Array.from(sorted, s => frameOf(asPaddr(s.at))),
      ...slotColumns(sorted),
      inFrame: (space, frame) => slotColumns(sorted.filter(s => s.space === space && frameOf(asPaddr(s.at)) === frame)),
    },
    frames: {
      kind: Uint8Array.from(frames.values(), f => f.kind),
      frame: Uint32Array.from(frames.values(), f => f.frame),
      value: Uint32Array.from(frames.values(), f => f.value),
    },
    others: { block, seqs: Float64Array.from(others.values(), e => e.seq) },
    registers,
  };
}
/** What thing an event sets, for the kinds of `others`. */
function otherKey(e: Event): string | undefined {
  switch (e.kind) {
    case 'adopt':
    case 'release':
      return `table ${e.space} ${firstByte(e)}`;
    case 'root':
      return `root ${e.vcpu} ${e.space} ${e.role}`;
    case 'descriptor':
      return `descriptor ${e.vcpu} ${e.table} ${e.index}`;
    case 'msr':
      return `msr ${e.vcpu} ${e.register}`;
    case 'pending':
    case 'mask':
      return `${e.kind} ${e.port}`;
    case 'task':
      return `task ${e.vcpu}`;
    case 'm2p':
      return `m2p ${e.machine}`;
    case 'p2m':
      return `p2m ${e.guest}`;
    case 'map':
    case 'unmap':
    case 'protect':
    case 'end':
      return `event ${e.seq}`;
    default:
      return undefined;
  }
}

class BruteIndex implements Index {
  private readonly source: MemorySource;

  constructor(source: MemorySource) {
    this.source = source;
  }
  private known: readonly Event[] | undefined;
  private get events(): readonly Event[] {
    return (this.known ??= [...this.source.events()]);
  }
  private *tableEvents(space: Space, before: number): Generator<TableEvent> {
    for (const e of this.events) if (e.seq < before && isTableEvent(e) && e.space === space) yield e;
  }
  lastSlotWrite(space: Space, at: Paddr, before: number): number {
    return (
      this.events.findLast(e => e.seq < before && isTableEvent(e) && e.space === space && covers(e, at))?.seq ?? -1
    );
  }
  private writes(space: Space, at: Paddr, before: number): number[] {
    return [...this.tableEvents(space, before)]
      .filter(e => covers(e, at))
      .map(e => e.seq)
      .reverse();
  }
  *slotWrites(space: Space, at: Paddr, before: number): Work<Float64Array> {
    yield { done: 0, total: before };
    return Float64Array.from(this.writes(space, at, before));
  }
  tableWrites(space: Space, table: Frame, before: number, limit: number): Float64Array {
    const hits = [...this.tableEvents(space, before)].filter(
      e => firstByte(e) < (table + 1) * 4096 && firstByte(e) + bytesOf(e) > table * 4096,
    );
    return Float64Array.from(
      hits
        .map(e => e.seq)
        .reverse()
        .slice(0, limit),
    );
  }
  private target(space: Space, level: number, value: bigint): number {
    const l = formatOf(this.source, space)?.levels.find(l => l.number === level);
    const entry = l?.decode(value);
    return !entry || entry.kind === 'none' ? -1 : frameOf(entry.at);
  }
  *mappers(space: Space, frame: Frame, before: number): Work<Mappings> {
    yield { done: 0, total: before };
    const now = new Map<number, { at: number; since: number; level: number; to: number }>();
    for (const e of this.tableEvents(space, before))
      for (const [at, value] of written(e))
        now.set(at, { at, since: e.seq, level: e.level, to: this.target(space, e.level, value) });
    const found = [...now.values()].filter(m => m.to === frame).sort((a, b) => a.at - b.at);
    return {
      at: Float64Array.from(found, m => m.at),
      since: Float64Array.from(found, m => m.since),
      levels: Uint8Array.from(found, m => m.level),
    };
  }
  *mappingHistory(space: Space, frame: Frame, before: number): Work<Float64Array> {
    yield { done: 0, total: before };
    const now = new Map<number, number>();
    const out: number[] = [];
    for (const e of this.tableEvents(space, before)) {
      let hit = false;
      for (const [at, value] of written(e)) {
        const to = this.target(space, e.level, value);
        if ((to === frame) !== (now.get(at) === frame)) hit = true;
        now.set(at, to);
      }
      if (hit) out.push(e.seq);
    }
    return Float64Array.from(out);
  }
  *frameChanges(frame: Frame, before: number): Work<Float64Array> {
    yield { done: 0, total: before };
    const hits = this.events.filter(
      e => e.seq < before && 'frame' in e && e.frame === frame && (FRAME_KINDS as readonly string[]).includes(e.kind),
    );
    return Float64Array.from(hits, e => e.seq);
  }
  lastFrameChange(kind: (typeof FRAME_KINDS)[number], frame: Frame, before: number): number {
    return this.events.findLast(e => e.seq < before && e.kind === kind && e.frame === frame)?.seq ?? -1;
  }
}
