import { describe, expect, it } from 'vitest';
import { PARTS } from '../../src/state/boundaries.js';
import { SPAN_MIN, Stills } from '../../src/state/stills.js';
import { createTimeline } from '../../src/state/timeline.js';
import { EMPTY_TREE } from '../../src/state/tree.js';
import { consistentDrafts, dice } from './consistent.js';
import { dump } from './dump.js';
import { recordingOf } from './memory-source.js';

const beside = { hosts: EMPTY_TREE.hosts, tasks: EMPTY_TREE.tasks, ending: undefined };
const boundaries = (stills: Stills, n: number): number[] => [...stills.around(n)].map(s => s.boundary);

describe('stills', () => {
  const near = SPAN_MIN;

  it('lie at multiples of sixteen chunks, and the one before the first event is always there', () => {
    expect(near).toBe(16 * PARTS);
    const stills = new Stills(1e6);
    expect(boundaries(stills, 5)).toEqual([0]);
    expect([0, near / 2, near].map(n => stills.wants(n, 64))).toEqual([false, false, true]);
    stills.put({ boundary: near, words: new Uint32Array(64), beside });
    stills.put({ boundary: 3 * near, words: new Uint32Array(64), beside });
    expect(stills.wants(near, 64)).toBe(false);
    expect(boundaries(stills, near - 1)).toEqual([0, near]);
    for (const n of [near, 3 * near - 1]) expect(boundaries(stills, n)).toEqual([near, 3 * near]);
    for (const n of [3 * near, 9 * near]) expect(boundaries(stills, n)).toEqual([3 * near]);
  });

  it('lie twice as far apart where they would take more than the budget', () => {
    const stills = new Stills(4 * 256);
    for (let boundary = near; boundary <= 20 * near; boundary += near) {
      if (stills.wants(boundary, 64)) stills.put({ boundary, words: new Uint32Array(64), beside });
      expect(stills.bytes).toBeLessThanOrEqual(4 * 256);
    }
    expect(stills.count).toBe(2);
    expect(boundaries(stills, 19 * near)).toEqual([16 * near]);
    expect(boundaries(stills, 12 * near)).toEqual([8 * near, 16 * near]);
    expect(stills.wants(32 * near, 257)).toBe(false);
  });

  it('give a seek the same state, whether or not there is room for any', () => {
    const source = recordingOf(consistentDrafts(21, 3000), { chunkEvents: 16 });
    const [rich, poor] = [createTimeline(source), createTimeline(source, { budgetBytes: 20_000 })];
    for (const { first } of source.chunks) rich.seekNow(first);
    expect(rich.usage.stills).toBeGreaterThan(5);
    const roll = dice(22);
    for (let k = 0; k < 60; k++) {
      const seq = roll(source.count + 1) - 1;
      expect(dump(rich.seekNow(seq)), `seed 22, seek ${k}`).toEqual(dump(poor.seekNow(seq)));
    }
    expect(poor.usage.stills).toBe(0);
  });

  it('know nothing of places given out later, which are zero in them', () => {
    const source = recordingOf(consistentDrafts(23, 1600), { chunkEvents: 16 });
    const timeline = createTimeline(source);
    timeline.seekNow(16 * 20);
    timeline.seekNow(16 * 32 - 1);
    timeline.seekNow(source.count - 1);
    expect(timeline.usage.stills).toBeGreaterThan(1);
    for (const seq of [16 * 32 + 1, 16 * 16, 16 * 33])
      expect(dump(timeline.seekNow(seq))).toEqual(dump(createTimeline(source).seekNow(seq)));
  });
});
