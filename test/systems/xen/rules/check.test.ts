import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { finish } from '../../../../src/base/work.js';
import { type Draft, type Event, NO_FRAME } from '../../../../src/events/kinds.js';
import type { Source } from '../../../../src/recording/source.js';
import type { Checked } from '../../../../src/rules/system.js';
import { BATCH, CLASS, HYPERCALL, LEXICON, PATH, TYPE } from '../../../../src/systems/xen/names.js';
import { check } from '../../../../src/systems/xen/rules/check.js';
import { eventsOf, opened, RECORDINGS } from '../../../session/guests.js';
import { dice } from '../../../state/consistent.js';
import { recordingOf } from '../../../state/memory-source.js';

const judge = (drafts: readonly Draft[], all = true): Checked =>
  finish(check(recordingOf(drafts, { lexicon: LEXICON }) as Source, all));

/** A domain told by hand: frames 1..60 are its own; frame n is guest frame n + 1000. */
class Story {
  readonly drafts: Draft[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly tables = new Map<number, { level: number; entries: bigint[] }>();
  cause = -1;

  constructor() {
    this.add({ kind: 'start', text: 'story' });
    for (let n = 1; n <= 60; n++) {
      this.add({ kind: 'm2p', machine: n, old: NO_FRAME, new: n + 1000 });
      this.add({ kind: 'p2m', guest: n + 1000, old: NO_FRAME, new: n });
      this.raise('total', n, 1);
    }
  }
  add(event: object): number {
    this.drafts.push({ ticks: this.drafts.length, vcpu: 0, cause: this.cause, ...event } as unknown as Draft);
    return this.drafts.length - 1;
  }
  set(kind: string, frame: number, value: number): void {
    const old = this.numbers.get(`${kind} ${frame}`) ?? 0;
    this.numbers.set(`${kind} ${frame}`, value);
    const flag = kind === 'pinned' || kind === 'validated' || kind === 'partial';
    this.add({ kind, frame, old: flag ? old === 1 : old, new: flag ? value === 1 : value });
  }
  raise(kind: string, frame: number, by: number): void {
    this.set(kind, frame, (this.numbers.get(`${kind} ${frame}`) ?? 0) + by);
  }
  /** Runs `body` inside a call of the guest. */
  call(body: () => void, name: keyof typeof HYPERCALL = 'mmu_update'): void {
    this.cause = -1;
    const call = this.add({ kind: 'call', class: CLASS.hypercall, number: HYPERCALL[name], args: [], stack: 0 });
    this.cause = call;
    body();
    this.cause = call;
    this.add({ kind: 'result', value: 0n });
    this.cause = -1;
  }
  /** Entries of one batch, each in its own turn. */
  batch(...entries: (() => void)[]): void {
    this.call(() => {
      const batch = this.add({ kind: 'batch', style: BATCH.multicall, count: entries.length });
      entries.forEach((body, index) => {
        this.cause = batch;
        const number = HYPERCALL.mmu_update;
        const head = { index, class: CLASS.hypercall, number, args: [], queued: 0n, stack: 0 };
        this.cause = this.add({ kind: 'entry', ...head });
        body();
      });
    }, 'multicall');
  }
  /** One more reference to a frame from an entry, as Xen counts it. */
  private refer(level: number, value: bigint, by: 1 | -1): void {
    if (!(value & 1n)) return;
    const frame = Number(value >> 12n) & 0xff_ffff;
    this.raise('total', frame, by);
    if (level === 1 && !(value & 2n)) return;
    if (level === 1) this.set('type', frame, TYPE.writable);
    this.raise('typecount', frame, by);
  }
  /** A frame becomes a validated table with these entries. */
  table(frame: number, level: number, entries: Readonly<Record<number, bigint>> = {}): void {
    const all = Array.from({ length: 512 }, (_, i) => entries[i] ?? 0n);
    this.tables.set(frame, { level, entries: all });
    this.set('type', frame, level);
    this.set('validated', frame, 1);
    this.add({ kind: 'adopt', space: 'guest', table: frame, offset: 0, level, bytes: 8, format: 0, entries: [...all] });
    for (const value of all) this.refer(level, value, 1);
  }
  pin(frame: number): void {
    this.set('pinned', frame, 1);
    this.raise('total', frame, 1);
    this.raise('typecount', frame, 1);
  }
  root(role: 'kernel' | 'user', frame: number): void {
    const old = this.numbers.get(role) ?? NO_FRAME;
    this.numbers.set(role, frame);
    this.add({ kind: 'root', space: 'guest', role, old, new: frame });
    for (const [n, by] of [
      [old, -1],
      [frame, 1],
    ] as const) {
      if (n === NO_FRAME) continue;
      this.raise('total', n, by);
      this.raise('typecount', n, by);
    }
  }
  /** An entry of a live table changes; counts follow unless told otherwise. */
  pte(table: number, slot: number, value: bigint, options: { counts?: false; path?: number } = {}): number {
    const t = this.tables.get(table)!;
    const old = t.entries[slot]!;
    t.entries[slot] = value;
    const head = {
      space: 'guest',
      table,
      offset: slot * 8,
      level: t.level,
      bytes: 8,
      path: options.path ?? PATH.update,
    };
    const seq = this.add({ kind: 'pte', ...head, old, new: value, stack: 0 });
    if (options.counts === false) return seq;
    this.refer(t.level, value, 1);
    this.refer(t.level, old, -1);
    return seq;
  }
}
const entry = (frame: number, flags = 0x67n): bigint => (BigInt(frame) << 12n) | flags;
const RO = 0x25n;
const RW = 0x67n;

/** Kernel L4 4 and user L4 5 over L3 3 over L2 2 over L1 1, loaded together. */
function pair(): Story {
  const s = new Story();
  s.call(() => {
    s.table(1, 1, { 0: entry(30, RW), 1: entry(1, RO) });
    s.table(2, 2, { 0: entry(1) });
    s.table(3, 3, { 0: entry(2) });
    s.table(4, 4, { 0: entry(3) });
    s.table(5, 4, { 0: entry(3, 0x47n) }); // accessed or not is no difference
    s.pin(4);
    s.pin(5);
  });
  s.batch(
    () => s.root('kernel', 4),
    () => s.root('user', 5),
  );
  return s;
}
const brief = (c: Checked): string[] => c.violations.map(v => `${v.rule} #${v.seq}`);

describe('told by hand,', () => {
  test('a domain in order breaks no rule', () => {
    expect(brief(judge(pair().drafts))).toEqual([]);
  });
  test('a page table that is mapped writable is found at the entry that mapped it', () => {
    const s = pair();
    let seq = -1;
    s.call(() => {
      seq = s.pte(1, 7, entry(1, RW), { counts: false });
    });
    expect(brief(judge(s.drafts))).toContain(`writable-table #${seq}`);
    expect(judge(s.drafts).violations[0]!.text).toMatch(/frame 1 is an l1 page table and mapped writable by 1 entry/);
  });
  test('counts that do not follow their references are found, whichever way', () => {
    for (const [kind, by] of [
      ['typecount', 1],
      ['total', 1],
      ['typecount', -1],
      ['total', -1],
    ] as const)
      for (const frame of [1, 30]) {
        const s = pair();
        s.call(() => s.raise(kind, frame, by));
        expect(brief(judge(s.drafts)), `${kind} ${by} of ${frame}`).toHaveLength(1);
        expect(judge(s.drafts).violations[0]).toMatchObject({ rule: 'counts', frame });
      }
    const s = pair();
    s.call(() => s.pte(1, 9, entry(31, RW), { counts: false }));
    expect(judge(s.drafts).violations[0]).toMatchObject({ rule: 'counts', frame: 31 });
  });
  test('what has a frame as part of a descriptor table counts in both numbers alike', () => {
    const s = pair();
    const load = (by: number, typeBy = by): void =>
      s.call(() => {
        s.set('type', 40, TYPE.seg_desc);
        s.raise('total', 40, by);
        s.raise('typecount', 40, typeBy);
      }, 'set_gdt');
    load(2);
    load(-1);
    expect(brief(judge(s.drafts))).toEqual([]);
    load(1, 0);
    expect(judge(s.drafts).violations).toMatchObject([{ rule: 'counts', frame: 40 }]);
  });
  test('while something is partially validated counts are not judged, and afterwards they are', () => {
    const s = pair();
    s.call(() => {
      s.set('partial', 40, 1);
      s.raise('total', 30, 1);
    });
    s.call(() => {});
    expect(brief(judge(s.drafts))).toEqual([]);
    s.call(() => s.set('partial', 40, 0));
    s.call(() => {});
    expect(judge(s.drafts).violations).toMatchObject([{ rule: 'counts', frame: 30 }]);
  });
  test('a pinned frame that is no validated table', () => {
    const s = pair();
    s.call(() => s.pin(31));
    expect(judge(s.drafts).violations.map(v => v.rule)).toContain('pinned');
  });
  test('an entry set in one L4 of a pair is a violation, set in both in one batch a window', () => {
    const window = pair();
    window.batch(
      () => window.pte(4, 2, entry(3)),
      () => window.pte(5, 2, entry(3)),
    );
    expect(brief(judge(window.drafts))).toEqual([]);
    expect(judge(window.drafts).windows).toMatchObject([{ rule: 'user-l4', frame: 5 }]);

    const broken = pair();
    let seq = -1;
    broken.batch(() => {
      seq = broken.pte(4, 2, entry(3));
    });
    broken.call(() => {});
    expect(brief(judge(broken.drafts))).toEqual([`user-l4 #${seq}`]);
    expect(judge(broken.drafts).violations[0]!.text).toBe('entry 2 is 3067 in kernel L4 4 and 0 in its user L4 5');
  });
  test('above the limit the two may differ, and accessed and dirty bits are no difference', () => {
    const s = pair();
    s.call(() => {
      s.pte(4, 300, entry(3));
      s.pte(4, 0, entry(3, 0x07n), { path: PATH.walker, counts: false });
    });
    s.call(() => {});
    expect(brief(judge(s.drafts))).toEqual([]);
  });
  test('one half of a pair unpinned', () => {
    const s = pair();
    s.call(() => {
      s.set('pinned', 5, 0);
      s.raise('total', 5, -1);
      s.raise('typecount', 5, -1);
    });
    s.call(() => {});
    expect(judge(s.drafts).violations[0]).toMatchObject({
      rule: 'user-l4',
      text: expect.stringMatching(/kernel L4 is pinned and its user L4 is not/),
    });
  });
  test('a slot of Xen’s, changed by the guest; by Xen it may be', () => {
    const s = pair();
    s.call(() => s.pte(4, 258, entry(4), { path: PATH.xen, counts: false }));
    expect(brief(judge(s.drafts))).toEqual([]);
    let seq = -1;
    s.call(() => {
      seq = s.pte(4, 259, entry(4), { counts: false });
    });
    s.call(() => {});
    expect(brief(judge(s.drafts))).toEqual([`xen-slots #${seq}`]);
  });
  test('M2P and P2M that disagree', () => {
    const s = pair();
    s.call(() => s.add({ kind: 'm2p', machine: 20, old: 1020, new: 1021 }));
    s.call(() => {});
    expect(judge(s.drafts).violations).toMatchObject([{ rule: 'm2p-p2m', frame: 20 }]);
  });
  test('the first violation ends the check, unless all are wanted', () => {
    const s = pair();
    for (const frame of [30, 31, 32]) s.call(() => s.raise('total', frame, 1));
    s.call(() => {});
    expect(judge(s.drafts, false).violations).toHaveLength(1);
    expect(judge(s.drafts, true).violations).toHaveLength(3);
  });
});

const GUESTS = {
  'early-pagetable-crash': [],
  'early-pagetable-workaround': [],
  'early-pagetable-reuse': [],
  'early-pagetable-reverted': [],
  'user-pagetables': [],
  'user-pagetables-broken': ['user-l4'],
} as const;
const run = (guest: string): Source =>
  opened({ system: 'xen', guest, image: readFileSync(`${RECORDINGS}xen/${guest}.elf`) });

describe('of the built-in guests,', () => {
  for (const [guest, rules] of Object.entries(GUESTS))
    test(`${guest} breaks ${rules.length === 0 ? 'none' : rules.join(' and ')}`, () => {
      const checked = finish(check(run(guest), true));
      expect(checked.events).toBeGreaterThan(10_000);
      expect([...new Set(checked.violations.map(v => v.rule))]).toEqual(rules);
    });

  test('what user-pagetables-broken forgot is one entry, set in set_pgd; the batches of the other one are windows only', () => {
    const broken = finish(check(run('user-pagetables-broken'), true));
    expect(broken.violations).toHaveLength(1);
    expect(broken.violations[0]!.text).toMatch(/^entry 2 is [0-9a-f]+ in kernel L4 [0-9a-f]+ and 0 in its user L4/);
    const good = finish(check(run('user-pagetables'), true));
    expect(good.windows.length).toBeGreaterThan(0);
    expect(new Set(good.windows.map(w => w.rule))).toEqual(new Set(['user-l4']));
  });

  test('a recording in which any one count or pin is off by one from some moment on, or an entry is left out, is caught', () => {
    const events = eventsOf(run('user-pagetables')).map(({ seq: _, ...e }) => e as Draft);
    const kinds = new Set<Event['kind']>(['typecount', 'total', 'pinned', 'pte']);
    const late = events.flatMap((e, i) => (i > 16_410 && kinds.has(e.kind) ? [i] : []));
    const seed = 41;
    const roll = dice(seed);
    const tried = new Set<string>();
    for (let n = 0; n < 24; n++) {
      const at = late[roll(late.length)]!;
      const e = events[at]!;
      if (e.kind === 'pte' && ((e.old ^ e.new) & ~0x60n) === 0n) continue;
      const wrong = events.map((other, i): Draft => {
        if (i < at || other.kind !== e.kind) return other;
        if (other.kind === 'pte' || other.kind === 'pinned')
          return i === at ? ({ ...other, kind: 'console', from: 'host', text: 'left out' } as unknown as Draft) : other;
        if (other.kind !== 'typecount' && other.kind !== 'total') return other;
        return other.frame === (e as { frame: number }).frame ? { ...other, new: other.new + 1 } : other;
      });
      tried.add(e.kind);
      const { violations } = judge(wrong, false);
      expect(violations.length, `seed ${seed}: #${at} ${e.kind}`).toBeGreaterThan(0);
    }
    expect(tried.size).toBeGreaterThan(2);
  });
});
