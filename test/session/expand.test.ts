import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Trouble } from '../../src/base/trouble.js';
import { finish } from '../../src/base/work.js';
import { openRecording } from '../../src/recording/reader.js';
import type { Source } from '../../src/recording/source.js';
import { verify } from '../../src/recording/verify.js';
import { expand } from '../../src/session/expand.js';
import { eventsIn, eventsOf, freshFile, opened } from './guests.js';

/** Detail entries with where they stand, but for what the first of a stream is compared with. */
function detailOf(source: Source, from: number, to: number): object[] {
  const found: object[] = [];
  for (const block of source.details(from, to + 1))
    eventsIn(block).forEach(({ seq: _, cause: __, ...e }, i) => {
      const after = block.first + block.back[i]! - 1;
      if (after >= from && after <= to) found.push({ after, ...e, olds: [] });
    });
  return found;
}

test('an expanded recording has the same events, stacks and checkpoints, and the detail of its window as a full one', () => {
  const mmu = opened({ checkpointTicks: 30_000 });
  const full = opened({ detail: 'full' });
  const file = freshFile();
  const { entries } = finish(expand(mmu, 210, 220, file));
  expect(finish(verify(file)).damage).toBeUndefined();
  const copy = openRecording(file);
  expect(copy.chain).toBe(mmu.chain);
  expect(eventsOf(copy)).toEqual(eventsOf(mmu));
  expect(copy.stack(7)).toEqual(mmu.stack(7));
  expect(copy.checkpoints).toEqual(mmu.checkpoints);
  copy.checkpoints.forEach((_, n) => {
    expect([...copy.checkpoint(n).pages]).toEqual([...mmu.checkpoint(n).pages]);
    expect(copy.checkpoint(n).state).toEqual(mmu.checkpoint(n).state);
  });
  const detail = detailOf(copy, 0, copy.count);
  expect(detail).toEqual(detailOf(full, 210, 220));
  expect(detail.length).toBe(entries);
  expect(entries).toBeGreaterThan(100);

  const twice = freshFile();
  finish(expand(copy, 100, 102, twice));
  const both = openRecording(twice);
  expect(detailOf(both, 0, both.count)).toEqual([...detailOf(full, 100, 102), ...detailOf(full, 210, 220)]);
});

test('an interrupted expansion leaves no file; full detail is not expanded again', () => {
  const mmu = opened();
  const file = freshFile();
  const work = expand(mmu, 0, mmu.count - 1, file);
  for (let n = 0; n < 3; n++) expect(work.next().done).toBe(false);
  expect(existsSync(file)).toBe(true);
  work.return(undefined as never);
  expect(existsSync(file)).toBe(false);
  expect(() => finish(expand(opened({ detail: 'full' }), 0, 5, freshFile()))).toThrow(Trouble);
});
