/** Why, of what Xen's memory management really refuses: each time its own events, without a guest. */
import { describe, expect, test } from 'vitest';
import { Trouble } from '../../../../src/base/trouble.js';
import { finish } from '../../../../src/base/work.js';
import type { Draft } from '../../../../src/events/kinds.js';
import type { Source } from '../../../../src/recording/source.js';
import type { Why } from '../../../../src/rules/system.js';
import { LEXICON, MMUEXT } from '../../../../src/systems/xen/names.js';
import { check } from '../../../../src/systems/xen/rules/check.js';
import { why } from '../../../../src/systems/xen/rules/why.js';
import { consistentDrafts, dice } from '../../../state/consistent.js';
import { recordingOf } from '../../../state/memory-source.js';
import { P, ptr, RW, to, US, type World, type WorldOptions, world } from '../mm/world.js';

/** What a world did so far, as a recording. */
const recordingOfWorld = (w: World): Source =>
  recordingOf(
    w.taken().map(({ seq: _, ...e }) => e as Draft),
    { lexicon: LEXICON },
  ) as Source;

/** A live tree: root 20 over 21, 22 and the level-1 table 23, which maps 30 writable. */
function live(options: WorldOptions = {}): World {
  const w = world(options);
  w.set(20, 0, to(21, P | RW | US));
  w.set(21, 0, to(22, P | RW | US));
  w.set(22, 0, to(23, P | RW | US));
  w.set(23, 0, to(30, P | RW | US));
  expect(w.ext([[MMUEXT.pin_l4_table, 20]])).toBe(0);
  return w;
}
const asked = (w: World, seq?: number): Why => finish(why(recordingOfWorld(w), seq))!;
const holders = ({ holders }: Why): string[] => holders.map(h => h.text);

for (const generation of ['4.1', '4.17'] as const)
  describe(`Xen ${generation} refuses`, () => {
    test('to pin what is mapped writable: by that entry, which may be made read-only before', () => {
      const w = live({ generation });
      w.ext([[MMUEXT.pin_l1_table, 30]]);
      const y = asked(w);
      expect(y.what).toBe('pin_l1_table of frame 1e was refused: EINVAL');
      expect(y.messages[0]!.text).toMatch(/Bad type/);
      expect(y.because[0]).toMatch(
        /frame 1e is writable and 1 reference holds it so; it was asked for as a page table of level 1/,
      );
      expect(holders(y)).toEqual([expect.stringMatching(/^entry 0 of the L1 table in frame 17 maps it writable/)]);
      expect(y.holders[0]).toMatchObject({ arrived: true, at: 0x17000 });
      expect(y.before).toHaveLength(2);
    });
    test('to map a page table writable: by what makes it one', () => {
      const w = live({ generation });
      w.update([[ptr(23, 5), to(20, P | RW | US)]]);
      const y = asked(w);
      expect(y.what).toMatch(/^normal update of the entry at 17028 to 14007 was refused: E(INVAL|BUSY)$/);
      expect(y.because[0]).toMatch(
        /frame 14 is a page table of level 4 and 1 reference holds it so; it was asked for as writable/,
      );
      expect(holders(y)).toEqual(['it is pinned as a page table of level 4']);
      expect(y.before.join()).toMatch(/frame 14 unpinned.*page tables are changed by hypercall/);
    });
    test('to pin a table that maps a page table writable: the frame is the one that the message names, not the table', () => {
      const w = live({ generation });
      w.set(40, 7, to(22, P | RW));
      w.ext([[MMUEXT.pin_l1_table, 40]]);
      const y = asked(w);
      expect(y.what).toMatch(/^pin_l1_table of frame 28 was refused: E(INVAL|BUSY)$/);
      expect(y.because[0]).toMatch(/frame 16 is a page table of level 2 .* asked for as writable/);
      expect(holders(y)).toEqual([expect.stringMatching(/^entry 0 of the L3 table in frame 15 names it as a table/)]);
    });
    test('a frame that is not the domain’s, and says what that means', () => {
      const w = live({ generation });
      w.ext([[MMUEXT.pin_l1_table, 3]]);
      const y = asked(w);
      expect(y.because.join()).toMatch(/frame 3 is not the domain’s|not the domain’s own/);
      expect(y.holders).toEqual([]);
    });
    test('an entry with flags it keeps for itself: the explanation of its message', () => {
      const w = live({ generation });
      w.update([[ptr(22, 3), to(31, P | RW | US | 0x80n)]]);
      const y = asked(w);
      expect(y.messages.some(m => /Bad L2 flags/.test(m.text))).toBe(true);
      expect(y.because.join()).toMatch(/flags that a guest may not set/);
    });
  });

test('of several refusals the last is explained, and each of them where it is asked for', () => {
  const w = live();
  w.ext([[MMUEXT.pin_l1_table, 30]]);
  w.update([[ptr(23, 5), to(21, P | RW | US)]]);
  const source = recordingOfWorld(w);
  const last = finish(why(source, undefined))!;
  expect(last.what).toMatch(/^normal update of the entry at 17028 to 15007 was refused: E/);
  const first = [...Array(source.count).keys()].map(seq => finish(why(source, seq))).find(y => y && y.seq < last.seq);
  expect(first?.what).toBe('pin_l1_table of frame 1e was refused: EINVAL');
  expect(finish(why(source, first!.seq))).toEqual(first);
});
test('where nothing failed there is nothing to explain', () => {
  const w = live();
  expect(finish(why(recordingOfWorld(w), undefined))).toBeUndefined();
});

test('whatever a recording says, check and why come to an end without an error of ours', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const drafts = consistentDrafts(seed, 1500);
    const roll = dice(seed);
    const source = recordingOf(drafts, { lexicon: LEXICON }) as Source;
    const ask = (seq: number | undefined): void => {
      try {
        finish(why(source, seq));
        finish(check(source, true));
      } catch (error) {
        if (!(error instanceof Trouble)) throw new Error(`seed ${seed}, event ${seq}`, { cause: error });
      }
    };
    ask(undefined);
    for (let n = 0; n < 4; n++) ask(roll(source.count));
  }
});

test('no rule is broken by any sequence of requests to Xen’s memory management, granted or refused, in pieces or at once', () => {
  let refused = 0;
  for (let seed = 1; seed <= 24; seed++) {
    const w = live({ generation: seed % 2 ? '4.1' : '4.17', ...(seed % 3 === 0 ? { workMax: 40 } : {}) });
    const roll = dice(seed);
    const frame = (): number => 16 + roll(40);
    const flags = (): bigint => [P | RW | US, P | US, P | RW, P, 0n, P | RW | 0x80n][roll(6)]!;
    for (let n = 0; n < 80; n++) {
      const how = roll(6);
      const answer =
        how === 0
          ? w.ext([[roll(5), frame()]])
          : how === 1
            ? w.ext([
                [roll(4), frame()],
                [MMUEXT.unpin_table, frame()],
              ])
            : how === 2 && w.mm.frames.tableLevel(frame() as never) === 0
              ? fill(w, roll, frame(), flags())
              : w.update([
                  [ptr([20, 21, 22, 23, frame()][roll(5)]!, roll(8)), to(frame(), flags())],
                  [ptr(23, roll(512)), to(frame(), flags())],
                ]);
      if (answer < 0) refused++;
    }
    const checked = finish(check(recordingOfWorld(w), true));
    expect(checked.violations, `seed ${seed}`).toEqual([]);
    expect(checked.events).toBeGreaterThan(500);
  }
  expect(refused).toBeGreaterThan(100);
});
/** The guest writes into memory of its own that is no page table. */
function fill(w: World, roll: (n: number) => number, frame: number, flags: bigint): number {
  if (w.mm.frames.tableLevel(frame as never) === 0) w.set(frame, roll(8), to(16 + roll(40), flags));
  return 0;
}
