import { describe, expect, it } from 'vitest';
import { type Delta, Deltas, net, SPARSE, scratchOf } from '../../src/state/deltas.js';
import { createTimeline } from '../../src/state/timeline.js';
import { EMPTY_TREE } from '../../src/state/tree.js';
import { consistentDrafts, dice } from './consistent.js';
import { dump } from './dump.js';
import { recordingOf } from './memory-source.js';

const beside = { hosts: EMPTY_TREE.hosts, tasks: EMPTY_TREE.tasks, ending: undefined };
const delta = (from: number, to: number, at: number[], xor: number[]): Delta => ({
  from,
  to,
  at: Uint32Array.from(at),
  xor: Uint32Array.from(xor),
  before: beside,
  after: beside,
});

it('brings a list of changes to one an address, in order, and leaves the scratch as it was', () => {
  const scratch = scratchOf(4);
  const at = Uint32Array.of(200, 3, 200, 64, 3, 255);
  const xor = Uint32Array.of(1, 7, 2, 0x8000_0000, 7, 9);
  const n = net(at, xor, 6, scratch);
  expect([...at.slice(0, n)]).toEqual([64, 200, 255]);
  expect([...xor.slice(0, n)]).toEqual([0x8000_0000, 3, 9]);
  expect(scratch.words.every(w => w === 0) && scratch.leaves.every(l => l === 0)).toBe(true);
});

describe('deltas', () => {
  it('makes one of eight that follow each other, whatever order they come in', () => {
    const deltas = new Deltas(1e9);
    for (const n of [3, 0, 7, 1, 2, 6, 5, 4]) deltas.put(delta(n, n + 1, [5, 70 + n], [1, n + 1]), 0);
    const all = deltas.step(0, 8)!;
    expect([all.from, all.to]).toEqual([0, 8]);
    expect([...all.at]).toEqual([70, 71, 72, 73, 74, 75, 76, 77]); // address 5 changed eight times: back to what it was
    expect([...all.xor]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(deltas.step(8, 0)).toBe(all);
  });

  it('leads towards a boundary by the longest delta that does not pass it', () => {
    const deltas = new Deltas(1e9);
    for (let n = 0; n < 16; n++) deltas.put(delta(n, n + 1, [n], [1]), 0);
    deltas.put(delta(0, 11, [1], [1]), SPARSE);
    const way = (from: number, to: number): number[] => {
      const out = [from];
      for (let at = from; at !== to; out.push(at)) {
        const d = deltas.step(at, to)!;
        at = to > at ? d.to : d.from;
      }
      return out;
    };
    expect(way(0, 13)).toEqual([0, 11, 12, 13]);
    expect(way(1, 10)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(way(16, 6)).toEqual([16, 8, 7, 6]);
    expect(deltas.step(16, 17)).toBeUndefined();
  });

  it('stays within its budget, dropping first what was not used for longest', () => {
    const deltas = new Deltas(20_000);
    for (let n = 0; n < 100; n++) {
      deltas.put(delta(n, n + 1, [n], [1]), 0);
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
