import { describe, expect, it } from 'vitest';
import { asFrame, asPaddr } from '../../src/base/brand.js';
import { finish } from '../../src/base/work.js';
import { type Draft, FRAME_KINDS, KIND_NAMES, NO_FRAME } from '../../src/events/kinds.js';
import { STATELESS } from '../../src/state/fold.js';
import { nextTree } from '../../src/state/next-tree.js';
import { Pool } from '../../src/state/pool.js';
import { State } from '../../src/state/state.js';
import { createTimeline, Timeline } from '../../src/state/timeline.js';
import { differingWords, EMPTY_TREE, type Group, type Tree } from '../../src/state/tree.js';
import { SECTION } from '../../src/state/words.js';
import { consistentDrafts, dice } from './consistent.js';
import { dump } from './dump.js';
import { type MemorySource, recordingOf } from './memory-source.js';

const SEEDS = [1, 2, 3, 4];
const EVENTS = 1500;

/** The state at every event by plain folding from the start, no keyframes at all. */
function reference(source: MemorySource): unknown[] {
  const pool = new Pool();
  const state = new State(pool);
  const all = [dump(state)];
  for (let n = 0; n < source.chunks.length; n++) {
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) {
      pool.forward(block, i, i + 1);
      all.push(dump(state));
    }
  }
  return all;
}

describe.each(SEEDS)('a random consistent recording, seed %i', seed => {
  const drafts = consistentDrafts(seed, EVENTS);
  const source = recordingOf(drafts, { chunkEvents: 64 });
  const expected = reference(source);

  it('has every kind of event of the main stream', () => {
    const kinds = new Set(drafts.map(d => d.kind));
    expect(KIND_NAMES.filter(k => !kinds.has(k))).toEqual(['step', 'fill', 'store']);
  });

  it('folds backwards to exactly what it was forwards, at every event', () => {
    const pool = new Pool();
    for (let n = 0; n < source.chunks.length; n++) pool.forward(source.chunk(n), 0, source.chunks[n]!.count);
    for (let n = source.chunks.length - 1; n >= 0; n--)
      for (let i = source.chunks[n]!.count - 1; i >= 0; i--) {
        pool.backward(source.chunk(n), i, i + 1);
        expect(dump(new State(pool)), `before event ${pool.applied}`).toEqual(expected[pool.applied]);
      }
  });

  it.each([
    ['with dense keyframes', {}, undefined],
    ['with a budget for hardly any', { budgetBytes: 60_000 }, undefined],
    ['with sparse keyframes in the file', { budgetBytes: 200_000 }, 3],
  ])('gives the same state at random positions as folding from the start, %s', (_, options, keyframeChunks) => {
    const s = recordingOf(drafts, { chunkEvents: 64, ...(keyframeChunks && { keyframeChunks }) });
    const timeline = createTimeline(s, options);
    const roll = dice(seed + 99);
    for (let k = 0; k < 150; k++) {
      const seq = k === 0 ? s.count - 1 : roll(s.count + 1) - 1;
      expect(dump(timeline.seekNow(seq)), `at event ${seq}, seek ${k}`).toEqual(expected[seq + 1]);
    }
  });

  it('lays sparse keyframes over any state in or before their span', () => {
    const s = recordingOf(drafts, { chunkEvents: 64, keyframeChunks: 2 });
    const roll = dice(seed + 7);
    class Jumpy extends Timeline {
      protected override readonly sparseWorth = 1;
    }
    for (let k = 0; k < 40; k++) {
      const timeline = new Jumpy(s);
      for (const seq of [roll(s.count), roll(s.count), s.count - 1])
        expect(dump(timeline.seekNow(seq)), `at event ${seq}`).toEqual(expected[seq + 1]);
    }
  });

  it('has page tables and nothing else where only these are folded', () => {
    const s = recordingOf(drafts, { chunkEvents: 64, keyframeChunks: 3 });
    const timeline = createTimeline(s, { tablesOnly: true });
    const isTables = (word: string): boolean => Number(word.split(':')[0]) < SECTION.frames;
    const roll = dice(seed + 3);
    for (let k = 0; k < 40; k++) {
      const seq = roll(s.count + 1) - 1;
      const { words } = expected[seq + 1] as { words: string[] };
      expect(dump(timeline.seekNow(seq)), `at event ${seq}`).toEqual({
        words: words.filter(isTables),
        hosts: [],
        tasks: [],
        ending: undefined,
        seq,
      });
    }
  });

  it('steps one event on and back, and stays at the ends', () => {
    const timeline = createTimeline(source);
    timeline.seekNow(100);
    for (const [direction, at] of [
      [1, 101],
      [-1, 100],
      [-1, 99],
    ] as const)
      expect(dump(timeline.step(direction))).toEqual(expected[at + 1]);
    timeline.seekNow(-1);
    expect(timeline.step(-1).seq).toBe(-1);
    timeline.seekNow(source.count - 1);
    expect(timeline.step(1).seq).toBe(source.count - 1);
  });

  it('keeps frozen states as they were, whatever the timeline does next', () => {
    const timeline = createTimeline(source);
    const roll = dice(seed);
    const frozen = Array.from({ length: 12 }, () => finish(timeline.snapshot(roll(source.count))));
    for (let k = 0; k < 12; k++) timeline.seekNow(roll(source.count));
    for (const f of frozen) expect(dump(f)).toEqual(expected[f.seq + 1]);
  });

  it('finds differing words of two trees exactly where they differ', () => {
    const timeline = createTimeline(source);
    const sections = Array.from({ length: 18 }, (_, s) => s);
    const [a, b] = [finish(timeline.snapshot(300)), finish(timeline.snapshot(1200))];
    const found: string[] = [];
    differingWords(a.tree, b.tree, sections, (s, word, x, y) => found.push(`${s}:${word} ${x} ${y}`));
    const words = (o: unknown): Map<string, number> =>
      new Map(
        (o as { words: string[] }).words.map(w => {
          const [k, v] = w.split('=');
          return [k!, Number.parseInt(v!, 16)];
        }),
      );
    const [wa, wb] = [words(expected[301]), words(expected[1201])];
    const differ = [...new Set([...wa.keys(), ...wb.keys()])].filter(k => wa.get(k) !== wb.get(k));
    expect(found.sort()).toEqual(differ.map(k => `${k} ${wa.get(k) ?? 0} ${wb.get(k) ?? 0}`).sort());
    expect(found.length).toBeGreaterThan(50);
  });

  it('finds the next and previous event of a kind, decoding only chunks that have one', () => {
    const timeline = createTimeline(source);
    timeline.seekNow(700);
    const descriptors = drafts.flatMap((d, i) => (d.kind === 'descriptor' && d.index === 300 ? [i] : []));
    const match = {
      kinds: ['descriptor' as const],
      where: (b: { col: any; row: Uint16Array }, i: number) => b.col.descriptor.index[b.row[i]!] === 300,
    };
    expect(finish(timeline.find(1, match))).toBe(descriptors.find(i => i > 700));
    expect(finish(timeline.find(-1, match))).toBe(descriptors.findLast(i => i < 700));
    source.decoded = 0;
    expect(finish(timeline.find(1, { kinds: ['end'] }))).toBe(source.count - 1);
    expect(source.decoded).toBe(1);
    expect(finish(timeline.find(1, { kinds: ['step'] }))).toBe(-1);
  });
});

it('shares leaves that did not change and drops leaves that became zero', () => {
  const leaf = (v: number): Uint32Array => new Uint32Array(64).fill(v);
  const beside = { hosts: new Map(), tasks: new Map(), ending: undefined };
  const put = (tree: Tree, number: number, leaves: Group): Tree =>
    nextTree(tree, [new Map([[number, { leaves: [...leaves] }]])], beside);
  const one = put(put(EMPTY_TREE, 0, [leaf(1), leaf(4)]), 1, [leaf(2), leaf(5)]);
  const shared = one.sections[0]!.get(1)![0]!;
  const two = put(one, 1, [shared, leaf(3)]);
  expect(two.sections[0]!.get(0)).toBe(one.sections[0]!.get(0));
  expect(two.sections[0]!.get(1)![0]).toBe(shared);
  expect([one, two].map(t => t.sections[0]!.get(1)![1]![0])).toEqual([5, 3]);
  expect(put(two, 1, [leaf(0), leaf(0)]).sections[0]!.has(1)).toBe(false);
  expect(put(two, 1, [shared, leaf(0)]).sections[0]!.get(1)![1]).toBeUndefined();
});

it('reads every part of the state by name', () => {
  const at = { ticks: 1, vcpu: 0, cause: -1 };
  const drafts = [
    { ...at, kind: 'adopt', space: 'shadow', table: 7, offset: 1024, level: 1, bytes: 4, format: 2, entries: [5n, 6n] },
    {
      ...at,
      kind: 'pte',
      space: 'shadow',
      table: 7,
      offset: 1028,
      level: 1,
      bytes: 4,
      path: 0,
      old: 6n,
      new: 9n,
      stack: 0,
    },
    {
      ...at,
      kind: 'pte',
      space: 'guest',
      table: 0xfffffff0,
      offset: 8,
      level: 1,
      bytes: 8,
      path: 0,
      old: 0n,
      new: 1n << 63n,
      stack: 0,
    },
    { ...at, kind: 'root', vcpu: 3, space: 'guest', role: 'user', old: NO_FRAME, new: 0 },
    { ...at, kind: 'typecount', frame: 9, old: 0, new: 0xffff_ffff },
    { ...at, kind: 'type', frame: 9, old: 0, new: 200 },
    { ...at, kind: 'pinned', frame: 9, old: false, new: true },
    { ...at, kind: 'm2p', machine: 5, old: NO_FRAME, new: 0 },
    { ...at, kind: 'mask', port: 70, old: false, new: true },
    { ...at, kind: 'task', vcpu: 1, old: 0, oldName: '', pid: 12, name: 'init' },
    { ...at, kind: 'regs', vcpu: 1, mask: (1n << 63n) | 2n, values: [3n, 4n], olds: [] },
    { ...at, kind: 'msr', vcpu: 2, register: 0xc000_0101, old: 0n, new: 0xffff_8880_0000_0000n },
  ] as unknown as Draft[];
  const state = createTimeline(recordingOf(drafts)).seekNow(drafts.length - 1);
  expect(state.tables('shadow')).toEqual([{ space: 'shadow', at: 7 * 4096 + 1024, level: 1, bytes: 4, format: 2 }]);
  expect(state.entry('shadow', asPaddr(7 * 4096 + 1024), 4)).toBe(5n);
  expect(state.entry('shadow', asPaddr(7 * 4096 + 1028), 4)).toBe(9n);
  expect(state.entry('guest', asPaddr(0xfffffff0 * 4096 + 8), 8)).toBe(1n << 63n);
  expect(state.tables('guest')).toEqual([]);
  expect(state.root('guest', 'user', 3)).toBe(0);
  expect(state.root('guest', 'kernel', 3)).toBe(NO_FRAME);
  const zero = { type: 0, typecount: 0, total: 0, pinned: 0, validated: 0, partial: 0 };
  expect(state.frame(asFrame(9))).toEqual({ ...zero, type: 200, typecount: 0xffff_ffff, pinned: 1 });
  expect(state.frame(asFrame(10))).toEqual(zero);
  expect([state.guestFrame(asFrame(5)), state.guestFrame(asFrame(6))]).toEqual([0, NO_FRAME]);
  expect(state.port(70)).toEqual({ pending: false, masked: true });
  expect(state.task(1)).toEqual({ pid: 12, name: 'init' });
  expect([state.register(1, 1), state.register(1, 63), state.register(0, 1)]).toEqual([3n, 4n, 0n]);
  expect(state.msr(2, 0xc000_0101)).toBe(0xffff_8880_0000_0000n);
});

it('says of each kind whether it is state', () => {
  expect(STATELESS).toContain('console');
  for (const kind of [...FRAME_KINDS, 'pte', 'regs', 'end', 'task', 'map'] as const)
    expect(STATELESS).not.toContain(kind);
});
