/**
 * A small world of page tables that changes at random, recorded; and the slow and obvious answer to what an index is asked.
 * Every old value is what the entry held: recordings promise that, and the index relies on it.
 */
import { type Frame, frameOf, type Paddr, paddrOf } from '../../../src/base/brand.js';
import { BLOCK_BYTES, type Block, blockOver, CHUNK_TICKS, eventAt } from '../../../src/events/block.js';
import { type Draft, type Event, FRAME_KINDS, SPACES, type Space } from '../../../src/events/kinds.js';
import type { Lexicon } from '../../../src/events/lexicon.js';
import { Log } from '../../../src/events/log.js';
import { pagingOf } from '../../../src/isa/index.js';
import type { Mappings } from '../../../src/recording/source.js';
import { randomBelow } from '../make.js';

export const HEADER = { isa: 'x86_64', vcpus: 2 };
const FORMATS = ['x86-64-4level', 'i386-2level', 'armv7-short', 'i386-pae'];
/** A format for each space. */
export const LEXICON: Lexicon = {
  words: { format: FORMATS },
  calls: {},
  regions: [],
  paging: { guest: FORMATS[0]!, shadow: FORMATS[1]!, master: FORMATS[3]!, host: FORMATS[2]! },
};
const formatNumber = (space: Space): number => FORMATS.indexOf(LEXICON.paging[space]!);

interface Table {
  readonly space: Space;
  readonly table: Frame;
  readonly offset: number;
  readonly level: number;
  readonly bytes: number;
  readonly count: number;
  /** Without adopt and release: it is there from its first write on. */
  readonly wild: boolean;
}

/** 1 KiB and 16 KiB tables, 4- and 8-byte entries, every level. */
const TABLES: readonly Table[] = (SPACES as readonly Space[]).flatMap((space, s) =>
  pagingOf(LEXICON.paging[space]!)!.levels.flatMap((level, n): Table[] => {
    const { entryBytes } = pagingOf(LEXICON.paging[space]!)!;
    const count = Math.min(2 ** level.bits, 4096);
    const common = { space, level: level.number, bytes: entryBytes, count };
    const table = (0x40 * (s + 1) + 8 * n) as Frame;
    const offset = count * entryBytes < 4096 ? 1024 * (n % 4) : 0;
    return [
      { ...common, table, offset, wild: false },
      { ...common, table: (table + 4) as Frame, offset, wild: true },
    ];
  }),
);
/** Frames that entries point to; some contain others. */
export const TARGETS: readonly number[] = [0, 1, 5, 15, 16, 17, 256, 300, 512, 513, 1024, 1500, 4096, 5000, 2 ** 18];

export interface World {
  readonly blocks: readonly Block[];
  readonly events: readonly Event[];
}

/** Records about `events` events in chunks of about `perChunk`. */
export function makeWorld(seed: number, events: number, perChunk: number): World {
  const below = randomBelow(seed);
  const memory = new Map<string, bigint>();
  const numbers = new Map<string, number>();
  const adopted = new Set<Table>();
  const { log, blocks } = newLog();
  let skipped = 0;
  const put = (draft: Record<string, unknown>): void => {
    if (log.seq > 0 && log.seq % perChunk === 0) skipped += CHUNK_TICKS;
    log.put({ ticks: 3 * log.seq + skipped, vcpu: below(2), cause: -1, ...draft } as unknown as Draft);
  };
  const entryFor = (t: Table): bigint => {
    const level = pagingOf(LEXICON.paging[t.space]!)!.levels.find(l => l.number === t.level)!;
    const roll = below(10);
    if (roll < 3) return 0n;
    const frame = BigInt(TARGETS[below(TARGETS.length)]!);
    if (roll === 3) return (BigInt(below(2 ** 31)) << 1n) & 0xfff0_0000n; // not present, not zero
    if (t.space === 'host') {
      const at = frame << 12n;
      if (level.number === 1) return below(3) === 0 ? (at & 0xffff_0000n) | 1n : at | 2n;
      return below(2) ? at | 1n : below(2) ? (at & 0xfff0_0000n) | 2n : (at & 0xff00_0000n) | 0x4_0002n;
    }
    const large = below(3) === 0 && (level.number === 2 || (level.number === 3 && t.space === 'guest'));
    const value = (frame << 12n) | 1n | (large ? 0x80n : 0n) | (below(2) ? 0x20n : 0n);
    return BigInt.asUintN(8 * t.bytes, value);
  };
  const at = (t: Table, i: number) => `${t.space} ${paddrOf(t.table, t.offset + i * t.bytes)}`;
  const { floor } = Math;

  while (log.seq < events) {
    const roll = below(100);
    const t = TABLES[below(TABLES.length)]!;
    const about = { space: t.space, table: t.table, level: t.level, bytes: t.bytes };
    if (roll < 50) {
      if (!t.wild && !adopted.has(t)) continue;
      const i = floor(t.count * (below(4) / 4)) + below(Math.min(4, t.count));
      if (i >= t.count) continue;
      const old = memory.get(at(t, i)) ?? 0n;
      const value = below(4) === 0 && old & 1n ? old ^ 0x40n : entryFor(t);
      memory.set(at(t, i), value);
      put({ kind: 'pte', ...about, offset: t.offset + i * t.bytes, path: 0, old, new: value, stack: 0 });
    } else if (roll < 56) {
      if (t.wild) continue;
      const how = { ...about, offset: t.offset, format: formatNumber(t.space) };
      if (adopted.has(t)) {
        adopted.delete(t);
        const entries = Array.from({ length: t.count }, (_, i) => memory.get(at(t, i)) ?? 0n);
        for (let i = 0; i < t.count; i++) memory.set(at(t, i), 0n);
        put({ kind: 'release', ...how, entries });
      } else {
        adopted.add(t);
        const entries = Array.from({ length: t.count }, () => (below(16) === 0 ? entryFor(t) : 0n));
        for (let i = 0; i < t.count; i++) memory.set(at(t, i), entries[i]!);
        put({ kind: 'adopt', ...how, entries });
      }
    } else if (roll < 80) {
      const kind = FRAME_KINDS[below(FRAME_KINDS.length)]!;
      const frame = TARGETS[floor(below(TARGETS.length ** 2) / TARGETS.length)]!;
      const old = numbers.get(`${kind} ${frame}`) ?? 0;
      const flag = kind !== 'type' && kind !== 'typecount' && kind !== 'total';
      const value = flag ? 1 - old : below(200);
      numbers.set(`${kind} ${frame}`, value);
      put({ kind, frame, old: flag ? old === 1 : old, new: flag ? value === 1 : value });
    } else if (roll < 90) {
      const low = 1n << BigInt(below(17));
      const high = 1n << BigInt(17 + below(33));
      put({
        kind: 'regs',
        mask: low | high,
        values: [BigInt(below(2 ** 31)), BigInt(below(2 ** 31)) << 32n],
        olds: [],
      });
    } else if (roll < 92) put({ kind: 'root', space: t.space, role: 'user', old: 0, new: t.table });
    else if (roll < 93) put({ kind: 'msr', register: below(3), old: 0n, new: BigInt(below(9)) });
    else if (roll < 94) put({ kind: 'p2m', guest: below(9), old: 0, new: below(9) });
    else if (roll < 95) put({ kind: 'pending', port: below(4), old: false, new: true });
    else if (roll < 96) put({ kind: 'unmap', process: 1, at: 4096n, length: 4096n, was: [1n, 2n, 3n, 4n, 5n] });
    else put({ kind: 'flush', scope: 'all', at: 0n });
  }
  log.flush();
  return { blocks, events: blocks.flatMap(b => Array.from({ length: b.count }, (_, i) => eventAt(b, i))) };
}

/** A log whose blocks are kept. */
export function newLog(): { log: Log; blocks: Block[] } {
  const blocks: Block[] = [];
  const fresh = () => blockOver(new ArrayBuffer(BLOCK_BYTES));
  const swap = (full: Block): Block => {
    blocks.push(full);
    return fresh();
  };
  return { log: new Log({ swap }, fresh()), blocks };
}

type TableEvent = Extract<Event, { kind: 'pte' | 'adopt' | 'release' }>;
export const isTableEvent = (e: Event): e is TableEvent =>
  e.kind === 'pte' || e.kind === 'adopt' || e.kind === 'release';
/** The entries an event leaves: [byte address, value]. */
export function* written(e: TableEvent): Generator<readonly [at: number, value: bigint]> {
  const at = paddrOf(e.table, e.offset);
  if (e.kind === 'pte') yield [at, e.new];
  else for (const [i, v] of e.entries.entries()) yield [at + i * e.bytes, e.kind === 'adopt' ? v : 0n];
}

/** The slow and obvious answers. */
export class Brute {
  private readonly events: readonly Event[];
  constructor(events: readonly Event[]) {
    this.events = events;
  }
  private *tables(space: Space, before: number): Generator<TableEvent> {
    for (const e of this.events) if (e.seq < before && isTableEvent(e) && e.space === space) yield e;
  }
  slotWrites(space: Space, at: Paddr, before: number): number[] {
    const hits: number[] = [];
    for (const e of this.tables(space, before)) {
      const first = paddrOf(e.table, e.offset);
      const bytes = e.kind === 'pte' ? 1 : e.entries.length * e.bytes;
      if (at >= first && at < first + bytes) hits.unshift(e.seq);
    }
    return hits;
  }
  tableWrites(space: Space, table: Frame, before: number, limit: number): number[] {
    const hits: number[] = [];
    for (const e of this.tables(space, before)) {
      const first = paddrOf(e.table, e.offset);
      const bytes = e.kind === 'pte' ? 1 : e.entries.length * e.bytes;
      if (first < (table + 1) * 4096 && first + bytes > table * 4096) hits.unshift(e.seq);
    }
    return hits.slice(0, limit);
  }
  /** Whether an entry points to the frame or to memory that contains it. */
  private hits(space: Space, levelNumber: number, value: bigint, frame: number): boolean {
    const entry = pagingOf(LEXICON.paging[space] ?? '')
      ?.levels.find(l => l.number === levelNumber)
      ?.decode(value);
    if (!entry || entry.kind === 'none') return false;
    const first = frameOf(entry.at);
    return entry.kind === 'table' ? frame === first : frame >= first && frame < first + entry.bytes / 4096;
  }
  mappers(space: Space, frame: Frame, before: number): Mappings {
    const now = new Map<number, { at: number; since: number; level: number; hit: boolean }>();
    for (const e of this.tables(space, before))
      for (const [at, value] of written(e))
        now.set(at, { at, since: e.seq, level: e.level, hit: this.hits(space, e.level, value, frame) });
    const found = [...now.values()].filter(m => m.hit).sort((a, b) => a.at - b.at);
    return {
      at: Float64Array.from(found, m => m.at),
      since: Float64Array.from(found, m => m.since),
      levels: Uint8Array.from(found, m => m.level),
    };
  }
  mappingHistory(space: Space, frame: Frame, before: number): number[] {
    // What an entry points to is a thing of its own: changing from one large page to the small one in it ends and begins.
    const now = new Map<number, string>();
    const out: number[] = [];
    for (const e of this.tables(space, before)) {
      let hit = false;
      for (const [at, value] of written(e)) {
        const to = this.hits(space, e.level, value, frame) ? this.shape(space, e.level, value) : '';
        if (to !== (now.get(at) ?? '')) hit = true;
        now.set(at, to);
      }
      if (hit) out.push(e.seq);
    }
    return out;
  }
  private shape(space: Space, levelNumber: number, value: bigint): string {
    const level = pagingOf(LEXICON.paging[space]!)!.levels.find(l => l.number === levelNumber)!;
    const entry = level.decode(value);
    return entry.kind === 'leaf' ? `${entry.at} ${entry.bytes}` : entry.kind === 'table' ? `${entry.at} 4096` : '';
  }
  frameChanges(frame: Frame, before: number): number[] {
    return this.events
      .filter(
        e => e.seq < before && (FRAME_KINDS as readonly string[]).includes(e.kind) && 'frame' in e && e.frame === frame,
      )
      .map(e => e.seq);
  }
  lastFrameChange(kind: string, frame: Frame, before: number): number {
    return this.events.findLast(e => e.seq < before && e.kind === kind && 'frame' in e && e.frame === frame)?.seq ?? -1;
  }
}
