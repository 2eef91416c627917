import { describe, expect, it } from 'vitest';
import { asFrame, asPaddr } from '../../src/base/brand.js';
import { finish } from '../../src/base/work.js';
import { compareSpaces, type Difference } from '../../src/compare/moments.js';
import { LEVEL4 } from '../../src/isa/x86_64.js';
import type { State } from '../../src/state/state.js';
import { createTimeline } from '../../src/state/timeline.js';
import { spaceMap } from '../../src/views/spaces.js';
import { consistentDrafts, dice, FIRST_TABLE } from '../state/consistent.js';
import { recordingOf } from '../state/memory-source.js';

/** Each mapped range of a state as page -> what it means; small spaces only: large pages stand for themselves. */
function pages(state: State, root: number, lexicon: Parameters<typeof spaceMap>[4]): Map<string, string> {
  const map = finish(spaceMap(state, 'guest', LEVEL4, asFrame(root), lexicon, { frames: true }));
  const out = new Map<string, string>();
  for (const r of map.ranges)
    for (let k = 0n; k < r.bytes / BigInt(r.pageBytes); k++) {
      const frame = r.frame + (Number(k) * r.pageBytes) / 4096;
      out.set(`${r.from + k * BigInt(r.pageBytes)} ${r.level}`, `${JSON.stringify(r.permissions)} ${frame}`);
    }
  return out;
}
const PAGE_BYTES = [0n, 0x1000n, 0x20_0000n, 0x4000_0000n];
/** The pages that a list of differences speaks of, by sign; `~` between levels cannot happen. */
function spoken(differences: readonly Difference[]): string[] {
  return differences.flatMap(d => {
    const level = (d.before ?? d.after)!.level;
    const each = PAGE_BYTES[level]!;
    return Array.from({ length: Number(d.bytes / each) }, (_, k) => `${d.sign} ${d.from + BigInt(k) * each} ${level}`);
  });
}

describe.each([21, 22, 23])('two moments and two spaces of a random recording, seed %i', seed => {
  const source = recordingOf(consistentDrafts(seed, 1500), { chunkEvents: 64 });
  const timeline = createTimeline(source);
  const roll = dice(seed);

  it('differ exactly where their maps differ, page by page', () => {
    let differences = 0;
    for (let k = 0; k < 20; k++) {
      const [s, t] = [finish(timeline.snapshot(roll(source.count))), finish(timeline.snapshot(roll(source.count)))];
      const roots = [FIRST_TABLE + roll(2), FIRST_TABLE + roll(2)] as const;
      const [a, b] = [pages(s, roots[0], source.lexicon), pages(t, roots[1], source.lexicon)];
      const expected = [
        ...[...a].flatMap(([at, v]) => (b.has(at) ? (b.get(at) === v ? [] : [`~ ${at}`]) : [`- ${at}`])),
        ...[...b.keys()].flatMap(at => (a.has(at) ? [] : [`+ ${at}`])),
      ];
      const result = finish(
        compareSpaces(
          source,
          LEVEL4,
          { state: s, space: 'guest', root: asFrame(roots[0]) },
          { state: t, space: 'guest', root: asFrame(roots[1]) },
        ),
      );
      expect(result.truncated).toBe(false);
      expect(spoken(result.differences).sort(), `#${s.seq} against #${t.seq}`).toEqual(expected.sort());
      differences += expected.length;
      for (const d of result.differences) {
        const writer = source.index.lastSlotWrite('guest', d.slot, t.seq + 1);
        expect(d.writer).toBe(writer);
        expect(d.slot % 8).toBe(0);
      }
    }
    expect(differences).toBeGreaterThan(0);
  });

  it('finds no difference between a moment and itself', () => {
    const s = finish(timeline.snapshot(900));
    const side = { state: s, space: 'guest' as const, root: { at: asPaddr(FIRST_TABLE * 4096) } };
    expect(finish(compareSpaces(source, LEVEL4, side, side)).differences).toEqual([]);
  });
});
