import { describe, expect, it } from 'vitest';
import { asFrame, asPaddr, asVaddr, frameOf, type Paddr } from '../../src/base/brand.js';
import { finish } from '../../src/base/work.js';
import { type Draft, type Event, FRAME_KINDS, NO_FRAME } from '../../src/events/kinds.js';
import { ALL_PERMISSIONS, combine, type Permissions } from '../../src/isa/isa.js';
import { LEVEL4 } from '../../src/isa/x86_64.js';
import type { State } from '../../src/state/state.js';
import { createTimeline } from '../../src/state/timeline.js';
import { blameEvent, blameRegister, blameSlot, blameTable, blameVaddr } from '../../src/views/blame.js';
import { frameAt } from '../../src/views/frame.js';
import { ledger } from '../../src/views/ledger.js';
import { mappersAt, mappingsEver } from '../../src/views/mappers.js';
import { lastRegisterWrite, registersAt } from '../../src/views/registers.js';
import { slotAt } from '../../src/views/slots.js';
import { spaceMap } from '../../src/views/spaces.js';
import { callCounts, statsOf } from '../../src/views/stats.js';
import { isCanonical, walk } from '../../src/views/walk.js';
import { consistentDrafts, dice, FIRST_TABLE, NEVER_ADOPTED, TABLE_LEVELS } from '../state/consistent.js';
import { recordingOf } from '../state/memory-source.js';

const SLOTS = [0, 1, 2, 63, 255, 256, 510, 511];

/** A walk from the folded state, the obvious way: the reference for walks from the index. */
function walkState(state: State, root: number, vaddr: bigint): { paddr: number; permissions: Permissions } | string {
  let table = root * 4096;
  let permissions = ALL_PERMISSIONS;
  for (const level of LEVEL4.levels) {
    const index = Number((vaddr >> BigInt(level.shift)) & 511n);
    const entry = level.decode(state.entry('guest', asPaddr(table + index * 8), 8));
    if (entry.kind === 'none') return level.name;
    permissions = combine(permissions, entry.flags);
    if (entry.kind === 'leaf') return { paddr: entry.at + Number(vaddr % BigInt(entry.bytes)), permissions };
    table = entry.at;
  }
  return 'L1';
}

describe.each([11, 12, 13])('a random consistent recording, seed %i', seed => {
  const source = recordingOf(consistentDrafts(seed, 1500), { chunkEvents: 64 });
  const timeline = createTimeline(source);
  const events = [...source.events()];
  const roll = dice(seed * 31);
  const places = (n: number): number[] => Array.from({ length: n }, () => roll(source.count));
  const vaddrs = (n: number): bigint[] =>
    Array.from({ length: n }, () => {
      const low = [0, 9, 18, 27].reduce((v, s) => v | (BigInt(SLOTS[roll(8)]!) << BigInt(12 + s)), BigInt(roll(4096)));
      return BigInt.asUintN(64, BigInt.asIntN(48, low));
    });

  it('reads any slot from the index as the fold has it', () => {
    for (const seq of places(60)) {
      const state = timeline.seekNow(seq);
      const frame = roll(8) === 0 ? NEVER_ADOPTED : FIRST_TABLE + roll(TABLE_LEVELS.length);
      const at = asPaddr(frame * 4096 + SLOTS[roll(8)]! * 8);
      expect(slotAt(source, 'guest', at, seq).value, `${at} at #${seq}`).toBe(state.entry('guest', at, 8));
    }
  });

  it('walks from the index as one walks the folded state, and names each writer', () => {
    let mapped = 0;
    for (const seq of places(30)) {
      const state = timeline.seekNow(seq);
      const root = state.root('guest', 'kernel', 0);
      for (const vaddr of vaddrs(8)) {
        const w = finish(walk(source, asVaddr(vaddr), seq, { space: 'guest' }));
        expect(w.root.frame).toBe(root);
        const expected = root === NO_FRAME ? 'root' : walkState(state, root, vaddr);
        if (typeof expected === 'string') expect(w.verdict).toMatchObject({ kind: 'stops', level: expected });
        else {
          mapped++;
          expect(w.verdict).toMatchObject({ kind: 'mapped', ...expected });
        }
        for (const s of w.steps)
          expect(s.writer).toBe(events.findLast(e => e.seq <= seq && coversSlot(e, s.slot))?.seq ?? -1);
      }
    }
    expect(mapped).toBeGreaterThan(0);
  });

  it('gives registers with the event that set each, without folding', () => {
    for (const seq of places(40)) {
      const state = timeline.seekNow(seq);
      const vcpu = roll(2);
      const values = registersAt(source, { seq }, vcpu);
      for (const { number, value, asOf } of values) {
        expect(value).toBe(state.register(vcpu, number));
        const last = events.findLast(
          e => e.kind === 'regs' && e.vcpu === vcpu && e.seq <= seq && (e.mask >> BigInt(number)) & 1n,
        );
        expect(asOf).toBe(last?.seq);
        const again = lastRegisterWrite(source, vcpu, number, asOf - 1);
        expect(again === undefined || again.asOf < asOf).toBe(true);
      }
      const seen = new Set(values.map(v => v.number));
      for (let r = 0; r < 64; r++) if (!seen.has(r)) expect(state.register(vcpu, r)).toBe(0n);
    }
  });

  it('gives all numbers of a frame as the fold has them', () => {
    for (const seq of places(40)) {
      const frame = asFrame(64 + roll(10));
      const numbers = Object.fromEntries(frameAt(source, frame, seq).map(n => [n.kind, n.value]));
      expect(numbers).toEqual(timeline.seekNow(seq).frame(frame));
    }
  });

  it('lists every entry that points to a frame, and every event that made or ended one', () => {
    let seen = 0;
    for (const seq of places(12)) {
      const state = timeline.seekNow(seq);
      const frame = asFrame(roll(2) ? FIRST_TABLE + roll(10) : 64 + roll(32));
      const expected: number[] = [];
      for (const [i, number] of [...TABLE_LEVELS, 1].entries()) {
        const table = i < TABLE_LEVELS.length ? FIRST_TABLE + i : NEVER_ADOPTED;
        const level = LEVEL4.levels.find(l => l.number === number)!;
        for (let slot = 0; slot < 512; slot++) {
          const entry = level.decode(state.entry('guest', asPaddr(table * 4096 + slot * 8), 8));
          if (entry.kind !== 'none' && frameOf(entry.at) === frame) expected.push(table * 4096 + slot * 8);
        }
      }
      const found = finish(mappersAt(source, 'guest', frame, seq));
      seen += found.length;
      expect(found.map(m => m.at)).toEqual(expected.sort((a, b) => a - b));
      for (const m of found) expect(m.value).toBe(state.entry('guest', m.at, 8));

      const open = new Set<Paddr>();
      for (const c of finish(mappingsEver(source, 'guest', frame, seq))) {
        if (c.what === 'made') open.add(c.at);
        if (c.what === 'ended') expect(open.delete(c.at)).toBe(true);
      }
      expect([...open].sort((a, b) => a - b)).toEqual(expected);
    }
    expect(seen).toBeGreaterThan(0);
  });

  it('keeps a ledger that balances, and flags exactly what was never repaid', () => {
    const frame = asFrame(65);
    const entries = finish(ledger(source, frame, source.count - 1));
    const balance: Record<string, number> = {};
    for (const e of entries) {
      expect(e.old).toBe(balance[e.kind] ?? 0);
      balance[e.kind] = e.new;
      expect(e.causes.map(c => c.seq)).toEqual(causeChain(events, e.seq));
      const later = entries.filter(x => x.seq > e.seq && x.kind === e.kind).map(x => x.new);
      const owed = e.kind !== 'type' && e.new > e.old && later.every(v => v >= e.new);
      expect(e.neverRepaid, `#${e.seq} ${e.kind}`).toBe(owed);
    }
    expect(new Set(entries.map(e => e.kind)).size).toBeGreaterThan(3);
    expect(entries.some(e => e.neverRepaid) && entries.some(e => !e.neverRepaid)).toBe(true);
    const last = timeline.seekNow(source.count - 1);
    for (const kind of FRAME_KINDS) expect(balance[kind] ?? 0).toBe(last.frameNumber(kind, frame));
  });

  it('blames the last writer, again and again further back', () => {
    const at = asPaddr((FIRST_TABLE + 6) * 4096);
    const writes = events.filter(e => coversSlot(e, at)).map(e => e.seq);
    const found: number[] = [];
    for (let b = blameSlot(source, 'guest', at, source.count); b; b = blameSlot(source, 'guest', at, b.event.seq)) {
      found.unshift(b.event.seq);
      expect(b.value).toBe(timeline.seekNow(b.event.seq).entry('guest', at, 8));
      expect(b.arrivedWithAdopt).toBe(b.event.kind === 'adopt');
    }
    expect(found).toEqual(writes);
    const table = blameTable(source, 'guest', asFrame(FIRST_TABLE + 6), source.count);
    expect(table!.event.seq).toBeGreaterThanOrEqual(writes.at(-1)!);
    const register = blameRegister(source, 0, 1, source.count)!;
    expect(register.event).toMatchObject({ kind: 'regs', vcpu: 0 });
  });

  it('prints a space as ranges that say of each page what a walk says, and no more', () => {
    for (const seq of places(6)) {
      const state = timeline.seekNow(seq);
      for (const root of [FIRST_TABLE, FIRST_TABLE + 1]) {
        const map = finish(spaceMap(state, 'guest', LEVEL4, asFrame(root), source.lexicon));
        for (const [i, r] of map.ranges.entries()) {
          for (const at of [r.from, r.from + r.bytes - 1n])
            expect(walkState(state, root, BigInt.asUintN(64, at))).toMatchObject({ permissions: r.permissions });
          expect(walkState(state, root, r.from)).toMatchObject({ paddr: r.frame * 4096 });
          const next = map.ranges[i + 1];
          if (next && next.from === BigInt.asUintN(64, r.from + r.bytes))
            expect([next.level, next.permissions, next.pageBytes]).not.toEqual([r.level, r.permissions, r.pageBytes]);
        }
        for (const vaddr of vaddrs(30)) {
          const inside = map.ranges.some(r => vaddr >= r.from && vaddr < r.from + r.bytes);
          expect(inside, `${vaddr.toString(16)} at #${seq}`).toBe(typeof walkState(state, root, vaddr) !== 'string');
        }
      }
    }
  });

  it('counts kinds from the directory and calls by name', () => {
    const stats = statsOf(source);
    for (const { kind, count } of stats.byKind) expect(count).toBe(events.filter(e => e.kind === kind).length);
    expect(stats.byKind.reduce((n, k) => n + k.count, 0)).toBe(source.count);
    const calls = finish(callCounts(source));
    expect(calls.reduce((n, c) => n + c.calls, 0)).toBe(events.filter(e => e.kind === 'call').length);
  });
});

it('counts answers that are error numbers, for calls and for entries of batches, across chunks', () => {
  const call = (number: number) => ({ ...head, kind: 'call' as const, class: 0, number, args: [], stack: 0 });
  const entry = (index: number, number: number, cause: number) => ({
    ...head,
    ...{ kind: 'entry' as const, index, class: 0, number, args: [], queued: 0n, stack: 0, cause },
  });
  const result = (value: bigint, cause: number) => ({
    ...head,
    kind: 'result' as const,
    value: BigInt.asUintN(64, value),
    cause,
  });
  const drafts: Draft[] = [
    call(13), // 0
    entry(0, 1, 0), // 1
    result(-22n, 1),
    entry(1, 1, 0), // 3
    result(-22n, 3),
    entry(2, 5, 0), // 5
    result(-38n, 5),
    result(0n, 0),
    call(1), // 8
    result(-14n, 8),
    call(2), // 10
    result(-4096n, 10), // no error number
  ];
  const counted = finish(callCounts(recordingOf(drafts, { chunkEvents: 5 })));
  const refused = Object.fromEntries(counted.map(c => [c.number, c.refused]));
  expect(refused).toEqual({
    1: [
      { error: 14, count: 1 },
      { error: 22, count: 2 },
    ],
    2: [],
    5: [{ error: 38, count: 1 }],
    13: [],
  });
});

it('says of each of hundreds of entries that point to a frame what it holds and when it was written', () => {
  const roll = dice(5);
  const table = asFrame(40);
  const values = Array.from({ length: 512 }, () => 0n);
  const since = values.map(() => ({ seq: 0, ticks: 1 }));
  const entry = (): bigint => (BigInt(roll(4) ? 7 : 8) << 12n) | BigInt(roll(4096)) | 1n;
  for (let slot = 0; slot < 512; slot += 3) values[slot] = entry();
  const head = { table, space: 'guest', offset: 0, level: 1, bytes: 8, vcpu: 0, cause: -1, stack: 0 } as const;
  const drafts: Draft[] = [{ kind: 'adopt', ...head, ticks: 1, format: 0, entries: [...values] }];
  for (let seq = 1; seq < 900; seq++) {
    const slot = roll(512);
    const ticks = 5 * seq;
    const now = roll(9) ? entry() : 0n;
    drafts.push({ kind: 'pte', ...head, offset: 8 * slot, ticks, path: 0, old: values[slot]!, new: now });
    values[slot] = now;
    since[slot] = { seq, ticks };
  }
  const found = finish(mappersAt(recordingOf(drafts, { chunkEvents: 64 }), 'guest', asFrame(7), drafts.length - 1));
  const expected = values.flatMap((value, slot) => (value >> 12n === 7n ? [{ value, slot, ...since[slot]! }] : []));
  expect(expected.length).toBeGreaterThan(100);
  expect(found.map(m => ({ value: m.value, slot: (m.at % 4096) / 8, seq: m.since, ticks: m.sinceTicks }))).toEqual(
    expected,
  );
});

function coversSlot(e: Event, at: number): boolean {
  if (e.kind !== 'pte' && e.kind !== 'adopt' && e.kind !== 'release') return false;
  const start = e.table * 4096 + e.offset;
  return e.space === 'guest' && at >= start && at < start + (e.kind === 'pte' ? 8 : e.entries.length * e.bytes);
}
function causeChain(events: readonly Event[], seq: number): number[] {
  const out: number[] = [];
  for (let at = events[seq]!.cause; at >= 0 && out.length < 64; at = events[at]!.cause) out.push(at);
  return out;
}

const head = { ticks: 1, vcpu: 0, cause: -1 } as const;
const table = (frame: number, level: number, slots: Record<number, bigint>) => ({
  ...head,
  kind: 'adopt' as const,
  space: 'guest' as const,
  table: asFrame(frame),
  offset: 0,
  level,
  bytes: 8,
  format: 0,
  entries: Array.from({ length: 512 }, (_, i) => slots[i] ?? 0n),
});
const rootLoad = (frame: number) => ({
  ...head,
  kind: 'root' as const,
  space: 'guest' as const,
  role: 'kernel' as const,
  old: asFrame(NO_FRAME),
  new: asFrame(frame),
});

it('stops at an address that is not canonical, and where no event wrote the entry', () => {
  const source = recordingOf([rootLoad(1)]);
  const at = (v: bigint) => finish(walk(source, asVaddr(v), 0, { space: 'guest' })).verdict;
  expect(at(0x8000_0000_0000n)).toEqual({
    kind: 'stops',
    level: 'root',
    why: 'the address is not canonical (48 bits)',
  });
  expect(at(0n)).toEqual({ kind: 'stops', level: 'L4', why: 'no recorded event wrote the entry' });
  expect(isCanonical(LEVEL4, asVaddr(0xffff_8000_0000_0000n))).toBe(true);
});

it('cuts a space that contains itself short, and says so', () => {
  const self = Object.fromEntries(Array.from({ length: 512 }, (_, i) => [i, 0x1067n]));
  const source = recordingOf([table(1, 4, self)]);
  const map = finish(spaceMap(createTimeline(source).seekNow(0), 'guest', LEVEL4, asFrame(1), source.lexicon));
  expect(map.truncated).toBe(true);
});

it('shows a table that is its own child once as tables and once as memory, as the processor does', () => {
  const source = recordingOf([table(1, 4, { 510: 0x1063n })]);
  const map = finish(spaceMap(createTimeline(source).seekNow(0), 'guest', LEVEL4, asFrame(1), source.lexicon));
  expect(map).toMatchObject({ truncated: false, bytes: 4096n });
  expect(map.ranges[0]!.from).toBe(asVaddr(0xffff_ff7f_bfdf_e000n));
});

it('names the stack of the nearest cause that has one, by symbol and offset', () => {
  const call = { ...head, kind: 'call' as const, class: 0, number: 1, args: [], stack: 1 };
  const write = { ...head, kind: 'pte' as const, space: 'guest' as const, table: asFrame(1), offset: 8, level: 4 };
  const source = recordingOf([call, { ...write, bytes: 8, path: 0, old: 0n, new: 0x2067n, stack: 0, cause: 0 }], {
    stacks: [[], [asVaddr(0x1005n), asVaddr(0x2000n), asVaddr(0x9_0000_0000n)]],
    symbols: [
      { at: asVaddr(0x2000n), bytes: 16, name: 'start_kernel' },
      { at: asVaddr(0x1000n), bytes: 16, name: 'xen_set_pgd' },
    ],
  });
  const blame = blameEvent(source, 1);
  expect(blame.stack.map(s => s.text)).toEqual(['xen_set_pgd+5', 'start_kernel', '900000000']);
  expect([blame.stackOf, blame.causes.map(c => c.kind)]).toEqual([0, ['call']]);
  const { walk: w, blame: b } = finish(blameVaddr(source, asVaddr(1n << 39n), 2, { space: 'guest', root: asFrame(1) }));
  expect(w.steps[0]).toMatchObject({ writer: 1, value: 0x2067n });
  expect(b!.event.seq).toBe(1);
});
