import { describe, expect, it } from 'vitest';
import type { Source } from '../../src/recording/source.js';
import { type Changes, changesOf, flip, joined, LINE_WORDS } from '../../src/state/changes.js';
import { type Delta, Deltas, SPANS } from '../../src/state/deltas.js';
import { createTimeline } from '../../src/state/timeline.js';
import { EMPTY_TREE } from '../../src/state/tree.js';
import { consistentDrafts, dice } from './consistent.js';
import { dump } from './dump.js';
import { recordingOf } from './memory-source.js';

const beside = { hosts: EMPTY_TREE.hosts, tasks: EMPTY_TREE.tasks, ending: undefined };
/** The changes that turn words of zero into these. */
const changes = (given: Record<number, number>, length = 256): Changes => {
  const words = new Uint32Array(length);
  for (const [at, word] of Object.entries(given)) words[Number(at)] = word;
  const copyOf = new Uint32Array(length / LINE_WORDS).fill(1); // one copy for all, of zeros
  return changesOf({ words, copies: new Uint32Array(LINE_WORDS), copyOf }, copyOf.length);
};
/** What words of zero become by these changes. */
const wordsOf = (c: Changes): Record<number, number> => {
  const words = new Uint32Array(c.end);
  flip(words, [c]);
  return Object.fromEntries([...words.entries()].filter(([, word]) => word !== 0));
};
const delta = (from: number, to: number, words: Record<number, number>): Delta => ({
  ...changes(words),
  from,
  to,
  before: beside,
  after: beside,
});

describe('changes', () => {
  it('names each word that differs once, however far apart they are', () => {
    const far = { 3: 7, 4: 1, 65279: 5, 65280: 5, 200000: 9, 600001: 0x8000_0000 };
    const c = changes(far, 600_016);
    expect(wordsOf(c)).toEqual(far);
    expect(c.gaps.length).toBeLessThan(6 + 10); // some more steps for what is far
    expect(c.end).toBe(600_002);
  });

  it('leads from either moment to the other', () => {
    const words = new Uint32Array(256).fill(5);
    const c = changes({ 70: 3, 255: 1 });
    flip(words, [c]);
    expect([words[70], words[255], words[0]]).toEqual([6, 4, 5]);
    flip(words, [c]);
    expect(words.every(w => w === 5)).toBe(true);
  });

  it('joins what follows each other without what cancels out, and leaves the scratch as it was', () => {
    const scratch = new Uint32Array(256);
    const parts = [changes({ 3: 7, 200: 1 }), changes({ 64: 0x8000_0000, 200: 2 }), changes({ 3: 7, 255: 9 })];
    expect(wordsOf(joined(parts, scratch))).toEqual({ 64: 0x8000_0000, 200: 3, 255: 9 });
    expect(scratch.every(w => w === 0)).toBe(true);
  });

  it('is the same for random changes, joined or one after the other', () => {
    const roll = dice(77);
    const size = 1 << 18;
    for (let k = 0; k < 20; k++) {
      const parts = Array.from({ length: 4 }, () =>
        changes(Object.fromEntries(Array.from({ length: 60 }, () => [roll(size), roll(2) + 1])), size),
      );
      const [apart, together] = [new Uint32Array(size), new Uint32Array(size)];
      for (const part of parts) flip(apart, [part]);
      flip(together, [joined(parts, new Uint32Array(size))]);
      expect(Buffer.compare(Buffer.from(together.buffer), Buffer.from(apart.buffer)), `seed 77, round ${k}`).toBe(0);
    }
  });
});

describe('deltas', () => {
  const [, some, many] = SPANS;

  it('makes one of all that follow each other from one multiple of a span to the next, whatever order they come in', () => {
    const deltas = new Deltas(1e9);
    const order = Array.from({ length: some }, (_, n) => n).sort((a, b) => (a % 7) - (b % 7));
    for (const n of order) deltas.put(delta(n, n + 1, { 5: 1, [70 + n]: n + 1 }));
    const all = deltas.step(0, some)!;
    expect([all.from, all.to]).toEqual([0, some]);
    // Word 5 changed an even number of times: back to what it was.
    expect(wordsOf(all)).toEqual(Object.fromEntries(order.map(n => [70 + n, n + 1])));
    expect(deltas.step(some, 0)).toBe(all);
  });

  it('makes larger ones of any that have the right ends', () => {
    const deltas = new Deltas(1e9);
    for (let n = 0; n < many - some; n++) deltas.put(delta(n, n + 1, n < 200 ? { [n]: 1 } : {}));
    expect(deltas.has(0, many)).toBe(false);
    deltas.put(delta(many - some, many, { 240: 1 }));
    expect(Object.keys(wordsOf(deltas.step(0, many)!))).toHaveLength(201);
  });

  it('leads towards a boundary by the longest delta that does not pass it', () => {
    const deltas = new Deltas(1e9);
    for (let n = 0; n < 2 * some + 3; n++) deltas.put(delta(n, n + 1, { [n]: 1 }));
    deltas.put(delta(0, 11, { 1: 1 }));
    const way = (from: number, to: number): number[] => {
      const out = [from];
      for (let at = from; at !== to; out.push(at)) {
        const d = deltas.step(at, to)!;
        at = to > at ? d.to : d.from;
      }
      return out;
    };
    expect(way(0, 13)).toEqual([0, 11, 12, 13]);
    const over = [some - 1, some, 2 * some, 2 * some + 1, 2 * some + 2];
    expect(way(over[0]!, over[4]!)).toEqual(over);
    expect(way(over[3]!, some - 2)).toEqual([over[3], over[2], over[1], over[0], some - 2]);
    expect(deltas.step(2 * some + 3, 2 * some + 4)).toBeUndefined();
  });

  it('stays within its budget, dropping first what was not used for longest', () => {
    const deltas = new Deltas(20_000);
    for (let n = 0; n < 100; n++) {
      deltas.put(delta(n, n + 1, { [n]: 1 }));
      if (deltas.has(0, 1)) deltas.touch(deltas.step(0, 1)!);
      expect(deltas.bytes).toBeLessThanOrEqual(20_000);
    }
    expect(deltas.has(0, 1)).toBe(true);
    expect(deltas.has(1, 2)).toBe(false);
    expect(deltas.has(99, 100)).toBe(true);
  });
});

it('decodes at most one chunk for any seek once the recording was passed through', () => {
  const source = recordingOf(consistentDrafts(11, 4000), { chunkEvents: 16 });
  const timeline = createTimeline(source);
  for (const { first, count } of source.chunks) timeline.seekNow(first + count - 1);
  const roll = dice(5);
  for (let k = 0; k < 200; k++) {
    source.decoded = 0;
    timeline.seekNow(roll(source.count + 1) - 1);
    expect(source.decoded, `seek ${k}`).toBeLessThanOrEqual(1);
  }
});

it.each([1, 2, 3, 5])('is the same where chunks are cut in more parts than their %i events', chunkEvents => {
  const source = recordingOf(consistentDrafts(13, 150), { chunkEvents });
  const timeline = createTimeline(source);
  const roll = dice(chunkEvents);
  for (let k = 0; k < 60; k++) {
    const seq = roll(source.count + 1) - 1;
    expect(dump(timeline.seekNow(seq)), `seek ${k} to ${seq}`).toEqual(dump(createTimeline(source).seekNow(seq)));
    for (let n = roll(4); n > 0; n--) timeline.step(-1);
  }
});

it('is the same in a recording that grows while it is looked at', () => {
  const whole = recordingOf(consistentDrafts(14, 400), { chunkEvents: 16 });
  let there = 1;
  const growing: Source = Object.create(whole, {
    closed: { get: () => false },
    chunks: { get: () => whole.chunks.slice(0, there) },
    count: { get: () => whole.chunks[there - 1]!.first + whole.chunks[there - 1]!.count },
  });
  const timeline = createTimeline(growing);
  const roll = dice(15);
  for (; there <= whole.chunks.length; there++)
    for (let k = 0; k < 6; k++) {
      // Mostly in the last two chunks, of which one has just become whole.
      const seq = k < 4 ? growing.count - 1 - roll(Math.min(32, growing.count)) : roll(growing.count + 1) - 1;
      expect(dump(timeline.seekNow(seq)), `${there} chunks, to ${seq}`).toEqual(
        dump(createTimeline(whole).seekNow(seq)),
      );
    }
});

it('is the same after any mix of steps over boundaries and seeks', () => {
  const source = recordingOf(consistentDrafts(12, 1200), { chunkEvents: 16 });
  const timeline = createTimeline(source, { budgetBytes: 100_000 });
  const roll = dice(6);
  for (let k = 0; k < 60; k++) {
    timeline.seekNow(roll(source.count + 1) - 1);
    const direction = roll(2) === 0 ? 1 : -1;
    for (let n = roll(40); n > 0; n--) timeline.step(direction);
    expect(dump(timeline.state), `walk ${k}`).toEqual(dump(createTimeline(source).seekNow(timeline.seq)));
    expect(timeline.usage.bytes).toBeLessThanOrEqual(100_000);
  }
});
