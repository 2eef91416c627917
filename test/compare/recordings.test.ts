import { describe, expect, it } from 'vitest';
import { finish } from '../../src/base/work.js';
import { compareRecordings, type RecordingDiff } from '../../src/compare/recordings.js';
import { NOTHING_IGNORED } from '../../src/compare/side.js';
import { randomBelow } from '../recording/make.js';
import { recordingOf } from '../state/memory-source.js';
import { inOrder, mirrored } from './mirror.js';
import { EDITS, type Edit, type Planted, plant } from './planted.js';

const CASES = Number(process.env.REWALK_CASES ?? 1000);
const diff = ({ a, b }: Planted): RecordingDiff => finish(compareRecordings(a.source, b.source));

/** What is wrong with what was found: an edit without a difference, a difference of another class or at another place. */
function faults({ a, b, edits }: Planted, { differences }: RecordingDiff): string[] {
  const out: string[] = [];
  const found = new Set<number>();
  for (const d of differences) {
    const inside = (seq: number, range: readonly [number, number] | undefined): boolean =>
      range !== undefined && seq >= range[0] && seq <= range[1];
    const edit = edits.findIndex(
      (_, n) =>
        d.a.seqs.every(s => inside(s, a.ranges.get(n))) &&
        d.b.seqs.every(s => inside(s, b.ranges.get(n))) &&
        d.a.seqs.length + d.b.seqs.length > 0,
    );
    if (edit < 0) out.push(`${d.class} at A ${d.a.seqs} B ${d.b.seqs}: nothing was planted there`);
    else if (edits[edit] !== d.class)
      out.push(`${edits[edit]} was found as ${d.class} ${d.fields} A ${d.a.seqs} B ${d.b.seqs}`);
    else found.add(edit);
  }
  for (const [n, what] of edits.entries()) if (!found.has(n)) out.push(`${what} (edit ${n}) was not found`);
  return out;
}

describe('two recordings', () => {
  it('that say the same with other frames, ticks and registers do not differ', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const found = diff(plant(seed, [], true));
      expect(found.differences, `seed ${seed}`).toEqual([]);
      expect(found.renamed).toBe(true);
    }
  });
  it.for(EDITS)(`differ by a planted edit, found and classified, and by nothing else: %s`, (edit: Edit) => {
    for (let seed = 1; seed <= CASES / EDITS.length / 2; seed++)
      for (const renamed of [false, true]) {
        const planted = plant(seed, [edit], renamed);
        expect(faults(planted, diff(planted)), `seed ${seed} renamed ${renamed}`).toEqual([]);
      }
  });
  it('differ by several edits, each found and classified, and by nothing else', () => {
    const below = randomBelow(99);
    for (let seed = 1; seed <= CASES / 10; seed++) {
      const edits = Array.from({ length: 2 + below(5) }, () => EDITS[below(EDITS.length)]!);
      const planted = plant(seed, edits, seed % 2 === 0);
      expect(faults(planted, diff(planted)), `seed ${seed} ${edits}`).toEqual([]);
    }
  });
  it('give the mirror image when they are swapped: every event, class, place and field', () => {
    const below = randomBelow(7);
    for (let seed = 1; seed <= CASES / 10; seed++) {
      const edits = Array.from({ length: 1 + below(4) }, () => EDITS[below(EDITS.length)]!);
      const { a, b } = plant(seed, edits, seed % 2 === 0);
      const there = diff({ a, b, edits });
      const back = diff({ a: b, b: a, edits });
      expect(inOrder(back.differences.map(mirrored)), `seed ${seed} ${edits}`).toEqual(inOrder(there.differences));
      expect(back.renamed).toBe(there.renamed);
    }
  });
  it('differ in nothing that is ignored, and only then', () => {
    const planted = plant(5, ['other effect', 'extra'], false);
    const ignored = {
      ...NOTHING_IGNORED,
      kinds: ['total', 'pinned', 'call', 'pte', 'result', 'entry', 'batch'] as never,
    };
    expect(finish(compareRecordings(planted.a.source, planted.b.source, { ignored })).differences).toEqual([]);
    expect(diff(planted).differences.length).toBeGreaterThan(1);
  });
  it('that have nothing in common are told apart in time', () => {
    const unlike = (kind: 'pending' | 'msr') =>
      recordingOf(
        Array.from({ length: 60_000 }, (_, n) =>
          kind === 'msr'
            ? { kind, ticks: n, vcpu: 0, cause: -1, register: n, old: 0n, new: BigInt(n) << 40n }
            : { kind, ticks: n, vcpu: 0, cause: -1, port: n, old: false, new: true },
        ) as never,
        { header: { images: [{ name: kind, sha256: kind }] } },
      );
    const began = performance.now();
    const { counted } = finish(compareRecordings(unlike('msr'), unlike('pending')));
    expect(counted['other effect']).toBeGreaterThan(0);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
  it('are compared up to the first difference where that is asked for', () => {
    const planted = plant(6, ['value', 'value', 'value'], false);
    const found = finish(compareRecordings(planted.a.source, planted.b.source, { first: true }));
    expect(found).toMatchObject({ complete: false, differences: [{ class: 'value' }] });
  });
  it('have a moment in common for every moment of one of them', () => {
    const planted = plant(8, ['extra', 'missing'], true);
    const [, end] = planted.a.ranges.get(1)!;
    const { moment } = finish(compareRecordings(planted.a.source, planted.b.source, { moment: end + 20 }));
    const [ra, rb] = [planted.a.source.count, planted.b.source.count];
    // Behind the last edit the two go on alike, so what is left is as long on both sides; registers before an event belong to it.
    expect(Math.abs(ra - moment!.a - (rb - moment!.b))).toBeLessThanOrEqual(1);
  });
});
