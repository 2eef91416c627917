import { describe, expect, it } from 'vitest';
import { asPaddr, type Frame, paddrOf } from '../../../src/base/brand.js';
import { Trouble } from '../../../src/base/trouble.js';
import { finish } from '../../../src/base/work.js';
import { type Block, CHUNK_EVENTS, eventAt } from '../../../src/events/block.js';
import { type Draft, type Event, FRAME_KINDS, SPACES, type Space } from '../../../src/events/kinds.js';
import { createIndexBuilder } from '../../../src/recording/index/builder.js';
import type { OpenIndex, Segment } from '../../../src/recording/index/contract.js';
import { decodeKeyframe } from '../../../src/recording/index/keyframe.js';
import { openIndex } from '../../../src/recording/index/open.js';
import type { Keyframe } from '../../../src/recording/source.js';
import { randomBelow, someDrafts } from '../make.js';
import { Brute, HEADER, isTableEvent, LEXICON, makeWorld, newLog, TARGETS, type World, written } from './world.js';

interface Indexed {
  readonly segments: Segment[];
  readonly payloads: Uint8Array[];
  readonly keyframes: Uint8Array[];
}

/**
 * The payloads of a writer that ends a segment after `perSegment` chunks; chunks from `upTo` on are not in one.
 * @param relay each segment has a builder of its own, which goes on from the one before
 */
function indexed(blocks: readonly Block[], perSegment: number, upTo = blocks.length, relay = false): Indexed {
  let builder = createIndexBuilder(HEADER, LEXICON);
  const out: Indexed = { segments: [], payloads: [], keyframes: [] };
  let firstSeq = 0;
  for (let n = 0; n < upTo; n++) {
    builder.add(blocks[n]!);
    if ((n + 1) % perSegment !== 0) continue;
    const { index, keyframe } = builder.finish();
    const endSeq = blocks[n]!.first + blocks[n]!.count;
    out.segments.push(segmentOf(firstSeq, endSeq, index));
    out.payloads.push(index);
    out.keyframes.push(keyframe);
    firstSeq = endSeq;
    if (!relay) continue;
    const { registers } = builder;
    builder = createIndexBuilder(HEADER, LEXICON);
    builder.registers = structuredClone(registers); // as a message does
  }
  return out;
}
const segmentOf = (firstSeq: number, endSeq: number, index: Uint8Array): Segment => ({
  firstSeq,
  endSeq,
  bytes: index.length,
  // odd places, so that nothing relies on aligned views
  read: (offset, length) => Uint8Array.of(0, ...index.subarray(offset, offset + length)).subarray(1),
});

/** The index over segments, with the blocks after them as the tail. */
function opened(segments: readonly Segment[], blocks: readonly Block[], upTo = blocks.length): OpenIndex {
  const index = openIndex('test.rewalk', HEADER, LEXICON);
  grow(index, segments, blocks, upTo);
  return index;
}
function grow(index: OpenIndex, segments: readonly Segment[], blocks: readonly Block[], upTo: number): void {
  const firstSeq = segments.at(-1)?.endSeq ?? 0;
  const last = blocks[upTo - 1];
  index.update(segments, {
    firstSeq,
    endSeq: last ? last.first + last.count : 0,
    blocks: from => blocks.slice(0, upTo).filter(b => b.first + b.count > from),
  });
}

/** Asks everything at random and compares with the slow answers. */
function compare(index: OpenIndex, { events }: Pick<World, 'events'>, seed: number, questions: number): void {
  const brute = new Brute(events);
  const below = randomBelow(seed);
  const tables = events.filter(isTableEvent);
  for (let q = 0; q < questions; q++) {
    const before = below(4) === 0 ? events.length : below(events.length + 1);
    const e = tables[below(tables.length)]!;
    const entry = e.kind === 'pte' || below(2) ? 0 : below(Math.max(1, e.entries.length));
    const at = asPaddr(paddrOf(e.table, e.offset) + entry * e.bytes);
    const space: Space = below(8) === 0 ? SPACES[below(4)]! : e.space;
    const table = (e.table + (below(4) === 0 ? below(4) : 0)) as Frame;
    const frame = TARGETS[below(TARGETS.length)]! as Frame;
    const limit = 1 + below(9);
    const kind = FRAME_KINDS[below(FRAME_KINDS.length)]!;
    const place = `${space} ${at} frame ${frame} before ${before}`;

    const writes = brute.slotWrites(space, at, before);
    expect(index.lastSlotWrite(space, at, before), place).toBe(writes[0] ?? -1);
    expect([...finish(index.slotWrites(space, at, before))], place).toEqual(writes);
    expect([...index.tableWrites(space, table, before, limit)], place).toEqual(
      brute.tableWrites(space, table, before, limit),
    );
    expect(finish(index.mappers(space, frame, before)), place).toEqual(brute.mappers(space, frame, before));
    expect([...finish(index.mappingHistory(space, frame, before))], place).toEqual(
      brute.mappingHistory(space, frame, before),
    );
    expect([...finish(index.frameChanges(frame, before))], place).toEqual(brute.frameChanges(frame, before));
    expect(index.lastFrameChange(kind, frame, before), place).toBe(brute.lastFrameChange(kind, frame, before));
  }
}

describe('the index of a recording', () => {
  it.each([21, 22])('is the same where one builder goes on between two segments from another (seed %i)', seed => {
    const { blocks } = makeWorld(seed, 1600, 130);
    const [one, many] = [false, true].map(relay => indexed(blocks, 2, 10, relay));
    expect(many!.payloads).toEqual(one!.payloads);
    expect(many!.keyframes).toEqual(one!.keyframes);
  });

  it.each([1, 2, 3, 4])('answers as a scan of all events does, over segments and a tail (seed %i)', seed => {
    const world = makeWorld(seed, 1600, 130);
    const { segments } = indexed(world.blocks, 3, 9);
    expect(segments.length).toBe(3);
    compare(opened(segments, world.blocks), world, seed, 60);
  });

  it('answers the same from one segment, from many, and from the tail alone', () => {
    const world = makeWorld(5, 1200, 100);
    compare(opened(indexed(world.blocks, world.blocks.length).segments, world.blocks), world, 5, 25);
    compare(opened(indexed(world.blocks, 1).segments, world.blocks), world, 5, 25);
    compare(opened([], world.blocks), world, 5, 25);
  });

  it('follows a recording that grows, chunk by chunk and segment by segment', () => {
    const world = makeWorld(6, 1000, 50);
    const all = indexed(world.blocks, 8).segments;
    const index = opened([], world.blocks, 0);
    for (let n = 1; n <= world.blocks.length; n++) {
      const last = world.blocks[n - 1]!;
      const end = last.first + last.count;
      const segments = all.filter(s => s.endSeq <= end - 80);
      grow(index, segments, world.blocks, n);
      compare(index, { events: world.events.slice(0, end) }, n, 5);
    }
  });

  it('follows a provisional chunk that is replaced by a longer one', () => {
    const world = makeWorld(7, 400, 400);
    const block = world.blocks[0]!;
    const index = openIndex('test.rewalk', HEADER, LEXICON);
    for (const count of [100, 101, 250, block.count]) {
      const rows = new Uint32Array(block.rows.length);
      for (const kind of block.kind.subarray(0, count)) rows[kind]!++;
      index.update([], { firstSeq: 0, endSeq: count, blocks: () => [{ ...block, first: 0, count, rows }] });
      compare(index, { events: world.events.slice(0, count) }, count, 20);
    }
  });

  it('finds the writers in a recording of anything at all, and never throws', () => {
    const drafts = someDrafts(8, 800);
    const { log, blocks } = newLog();
    for (const draft of drafts) log.put(draft as Draft);
    log.flush();
    const index = opened([], blocks);
    const events: Event[] = blocks.flatMap(b => Array.from({ length: b.count }, (_, i) => eventAt(b, i)));
    const brute = new Brute(events);
    for (const e of events) {
      if ('frame' in e && (FRAME_KINDS as readonly string[]).includes(e.kind))
        expect([...finish(index.frameChanges(e.frame, e.seq + 1))]).toEqual(brute.frameChanges(e.frame, e.seq + 1));
      if (!isTableEvent(e)) continue;
      const at = paddrOf(e.table, e.offset);
      if (at >= 2 ** 44) continue; // an offset beyond the last frame that has a number
      const writes = brute.slotWrites(e.space, at, events.length);
      expect([...finish(index.slotWrites(e.space, at, events.length))]).toEqual(writes);
      finish(index.mappers(e.space, e.table, events.length));
      finish(index.mappingHistory(e.space, e.table, events.length));
    }
  });

  it('finds the last of a hundred thousand writes to one entry', () => {
    const { log, blocks } = newLog();
    const pte = (n: number) =>
      ({
        kind: 'pte',
        space: 'guest',
        table: 7 as Frame,
        offset: 16,
        level: 1,
        bytes: 8,
        path: 0,
        old: (BigInt(n & 1) << 12n) | 1n,
        new: (BigInt((n + 1) & 1) << 12n) | 1n,
        stack: 0,
        ticks: n,
        vcpu: 0,
        cause: -1,
      }) as Draft;
    const count = 6 * CHUNK_EVENTS;
    for (let n = 0; n < count; n++) log.put(pte(n));
    log.flush();
    const index = opened(indexed(blocks, 2).segments, blocks);
    for (const before of [0, 1, 5000, CHUNK_EVENTS * 2, CHUNK_EVENTS * 2 + 1, count]) {
      expect(index.lastSlotWrite('guest', paddrOf(7 as Frame, 16), before)).toBe(before - 1);
      const one = finish(index.mappers('guest', ((before + 1) & 1) as Frame, before));
      expect(one.at).toHaveLength(0);
      const live = finish(index.mappers('guest', (before & 1) as Frame, before));
      expect([...live.since]).toEqual(before > 0 ? [before - 1] : []);
    }
  });
});

/** Entries, numbers, registers and the rest after some events, by folding them. */
function folded(events: readonly Event[]) {
  const slots = new Map<string, bigint>();
  const numbers = new Map<string, number>();
  const registers = [0, 1].map(() => new BigUint64Array(53));
  for (const e of events) {
    if (isTableEvent(e))
      for (const [at, value] of written(e)) {
        const slot = `${SPACES.indexOf(e.space)} ${at}`;
        // In the first keyframe an entry that only ever came as zero is not there: it was zero before.
        if (events[0]!.seq > 0 || e.kind !== 'adopt' || value !== 0n || slots.has(slot)) slots.set(slot, value);
      }
    if ((FRAME_KINDS as readonly string[]).includes(e.kind)) {
      const f = e as Event & { frame: number; new: number };
      numbers.set(`${FRAME_KINDS.indexOf(e.kind as never)} ${f.frame}`, Number(f.new));
    }
    if (e.kind === 'regs') {
      let value = 0;
      for (let r = 0; r < 64; r++) if ((e.mask >> BigInt(r)) & 1n) registers[e.vcpu]![r] = e.values[value++]!;
    }
  }
  return { slots, numbers, registers };
}

/** The entries in these places' frames and in those beside them, asked for frame by frame. */
function inFrames({ slots }: Keyframe, places: Iterable<string>): Map<string, bigint> {
  const frames = new Set<string>();
  for (const place of places) {
    const [space, at] = place.split(' ').map(Number) as [number, number];
    for (const d of [-1, 0, 1]) frames.add(`${space} ${Math.floor(at / 4096) + d}`);
    frames.add(`${(space + 1) % SPACES.length} ${Math.floor(at / 4096)}`);
  }
  const found = new Map<string, bigint>();
  for (const name of frames) {
    const [space, frame] = name.split(' ').map(Number) as [number, number];
    const some = slots.inFrame(space, frame);
    some?.offset.forEach((offset, i) => {
      found.set(`${space} ${frame * 4096 + offset}`, (BigInt(some.hi[i]!) << 32n) | BigInt(some.lo[i]!));
    });
  }
  return found;
}

describe('a keyframe', () => {
  it('leaves out zeros of tables that were there from the beginning, but none that anything came before', () => {
    const { log, blocks } = newLog();
    let ticks = 0;
    const put = (draft: object): number =>
      log.put({ space: 'guest', ticks: ticks++, vcpu: 0, cause: -1, bytes: 8, ...draft } as unknown as Draft);
    const adopt = (table: number, offset: number, ...entries: bigint[]): number =>
      put({ kind: 'adopt', table, offset, level: 1, format: 0, entries });
    adopt(16, 0, 0x1001n, 0n);
    adopt(17, 0, 0x2001n, 0n);
    adopt(17, 0, 0n, 0n); // the same table anew: zero where something was
    adopt(18, 4088, 0n, 0x3001n); // reaches into 19
    adopt(19, 0, 0n, 0n);
    put({ kind: 'pte', table: 20, offset: 8, level: 1, path: 0, stack: 0, old: 0n, new: 0x4001n });
    adopt(20, 0, 0x5001n, 0n);
    adopt(21, 0, 0n, 0x6001n);
    log.flush();
    const { keyframes } = indexed(blocks, 1);
    const { frame, offset, lo } = decodeKeyframe(keyframes[0]!).slots;
    expect(Array.from(frame, (f, i) => [f, offset[i], lo[i]])).toEqual([
      [16, 0, 0x1001],
      [17, 0, 0],
      [19, 0, 0],
      [20, 0, 0x5001],
      [20, 8, 0],
      [21, 8, 0x6001],
    ]);
  });

  it.each([11, 12, 13])('is what folding its span changes (seed %i)', seed => {
    const { blocks, events } = makeWorld(seed, 1000, 120);
    const { keyframes, segments } = indexed(blocks, 2);
    keyframes.forEach((bytes, n) => {
      const { firstSeq, endSeq } = segments[n]!;
      const k = decodeKeyframe(bytes);
      const span = events.slice(firstSeq, endSeq);
      const want = folded(span);
      expect([k.from, k.seq, k.ticks]).toEqual([firstSeq, endSeq, span.at(-1)!.ticks]);
      const slots = new Map<string, bigint>();
      for (let i = 0; i < k.slots.frame.length; i++) {
        const at = k.slots.frame[i]! * 4096 + k.slots.offset[i]!;
        slots.set(`${k.slots.space[i]} ${at}`, (BigInt(k.slots.hi[i]!) << 32n) | BigInt(k.slots.lo[i]!));
      }
      expect(slots).toEqual(want.slots);
      expect(inFrames(decodeKeyframe(bytes), slots.keys())).toEqual(slots);
      const numbers = new Map<string, number>();
      for (let i = 0; i < k.frames.frame.length; i++)
        numbers.set(`${k.frames.kind[i]} ${k.frames.frame[i]}`, k.frames.value[i]!);
      expect(numbers).toEqual(want.numbers);
      expect(k.registers).toEqual(folded(events.slice(0, endSeq)).registers);
      expect(othersOf(k)).toEqual(rareOnes(span));
    });
  });

  it('holds more host mappings than a chunk has events', () => {
    const { log, blocks } = newLog();
    const count = CHUNK_EVENTS + 700;
    for (let n = 0; n < count; n++)
      log.put({
        kind: 'unmap',
        process: n,
        at: 0n,
        length: 4096n,
        was: [BigInt(n), 2n],
        ticks: n,
        vcpu: 0,
        cause: -1,
      } as unknown as Draft);
    log.flush();
    const builder = createIndexBuilder(HEADER, LEXICON);
    builder.add(blocks[0]!);
    expect(builder.full).toBe(true);
    builder.add(blocks[1]!);
    const k = decodeKeyframe(builder.finish().keyframe);
    expect(builder.full).toBe(false);
    expect(k.others.block.count).toBe(count);
    for (const i of [0, CHUNK_EVENTS - 1, CHUNK_EVENTS, count - 1])
      expect(eventAt(k.others.block, i)).toMatchObject({ process: i, was: [BigInt(i), 2n] });
  });
});

const KEYS: Partial<Record<string, (e: never) => unknown[]>> = {
  root: (e: Extract<Event, { kind: 'root' }>) => [e.vcpu, e.space, e.role],
  msr: (e: Extract<Event, { kind: 'msr' }>) => [e.vcpu, e.register],
  p2m: (e: Extract<Event, { kind: 'p2m' }>) => [e.guest],
  pending: (e: Extract<Event, { kind: 'pending' }>) => [e.port],
  adopt: (e: Extract<Event, { kind: 'adopt' }>) => [e.space, e.table, e.offset],
  release: (e: Extract<Event, { kind: 'release' }>) => [e.space, e.table, e.offset],
  unmap: (e: Event) => [e.seq],
};
/** The last event for each thing, as a fold in the test sees them. */
function rareOnes(span: readonly Event[]): unknown[] {
  const last = new Map<string, Event>();
  for (const e of span) {
    const key = KEYS[e.kind];
    if (!key) continue;
    last.set(
      `${e.kind === 'release' ? 'adopt' : e.kind} ${key(e as never)}`,
      'entries' in e ? { ...e, entries: [] } : e,
    );
  }
  return [...last.values()].sort((a, b) => a.seq - b.seq).map(e => ({ ...e, cause: -1 }));
}
const othersOf = ({ others }: Keyframe): unknown[] =>
  Array.from({ length: others.block.count }, (_, i) => ({ ...eventAt(others.block, i), seq: others.seqs[i] }));

describe('damaged bytes', () => {
  const world = makeWorld(20, 1500, 250);
  const { payloads, keyframes, segments } = indexed(world.blocks, 3);

  /** Runs it; an error must be a Trouble. True if there was one. */
  function trouble(run: () => void): boolean {
    try {
      run();
      return false;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      return true;
    }
  }

  it('of an index end in an answer or in Trouble', () => {
    const below = randomBelow(21);
    let troubles = 0;
    for (let n = 0; n < 400; n++) {
      const bytes = payloads[0]!.slice();
      const flips = 1 + below(3);
      // the head and the fences more often than their size would have it
      for (let f = 0; f < flips; f++) bytes[below(below(2) ? bytes.length : 200)]! ^= 1 << below(8);
      const cut = below(4) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
      const broken = [segmentOf(segments[0]!.firstSeq, segments[0]!.endSeq, cut)];
      const asked = trouble(() => {
        const index = openIndex('test.rewalk', HEADER, LEXICON);
        index.update(broken, { firstSeq: segments[0]!.endSeq, endSeq: segments[0]!.endSeq, blocks: () => [] });
        for (const frame of TARGETS as Frame[]) {
          finish(index.mappers('guest', frame, 1e9));
          finish(index.mappingHistory('shadow', frame, 1e9));
          finish(index.frameChanges(frame, 1e9));
        }
        for (const e of world.events.slice(0, 300)) {
          if (!isTableEvent(e)) continue;
          finish(index.slotWrites(e.space, paddrOf(e.table, e.offset), 1e9));
          index.tableWrites(e.space, e.table, 1e9, 5);
        }
      });
      if (asked) troubles++;
    }
    expect(troubles).toBeGreaterThan(100);
  });

  it('of a keyframe end in a keyframe or in Trouble that says where', () => {
    const below = randomBelow(22);
    let troubles = 0;
    for (let n = 0; n < 1000; n++) {
      const bytes = keyframes[0]!.slice();
      bytes[below(below(2) ? bytes.length : 60)]! ^= 1 << below(8);
      const cut = below(3) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
      const asked = trouble(() => {
        const k = decodeKeyframe(cut, 'f.rewalk: keyframe 0');
        if (below(2)) k.slots.inFrame(0, 20);
        void [k.slots.frame, k.frames, k.registers];
        for (let i = 0; i < k.others.block.count; i++) eventAt(k.others.block, i);
      });
      if (asked) troubles++;
    }
    expect(troubles).toBeGreaterThan(300);
    expect(() => decodeKeyframe(new Uint8Array(3), 'f.rewalk: keyframe 0')).toThrow(/^f\.rewalk: keyframe 0: /);
  });
});
