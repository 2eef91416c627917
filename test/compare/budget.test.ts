/** Budgets over recordings of built-in guests and over events made by hand; what belongs to a unit is counted here by its causes. */
import { describe, expect, it } from 'vitest';
import { finish } from '../../src/base/work.js';
import { GUESTS, recordingOf } from '../../src/cli/built-in.js';
import { type Budget, findPrinted, type Spent, spend } from '../../src/compare/budget.js';
import type { Draft, Event } from '../../src/events/kinds.js';
import { EMPTY_LEXICON } from '../../src/events/lexicon.js';
import { openRecording } from '../../src/recording/reader.js';
import type { Source } from '../../src/recording/source.js';
import { parsePosition } from '../../src/state/position.js';
import { causesOf } from '../../src/views/at.js';
import { eventsOf } from '../session/guests.js';
import { recordingOf as recordingIn } from '../state/memory-source.js';

const builtIn = openRecording(recordingOf(GUESTS.find(g => g.name === 'xen/user-pagetables')!));
const bare = openRecording(recordingOf(GUESTS.find(g => g.name === 'bare/address-spaces')!));

function* place(source: Source, text: string) {
  yield { done: 0, total: 1 };
  return parsePosition(text, source).seq;
}
const spent = (source: Source, budget: Partial<Budget>): Spent =>
  finish(spend(source, [{ name: 'b', count: 'pte writes', most: 1e9, ...budget }], text => place(source, text)))[0]!;

const head = { ticks: 1, vcpu: 0, cause: -1, stack: 0 };
const SYSCALL = { class: 3 };
const lexicon = {
  ...EMPTY_LEXICON,
  words: { class: ['hypercall', 'mmuext', 'update', 'syscall'] },
  calls: { 0: { 1: 'mmu_update', 26: 'mmuext_op' } },
};
const options = { header: { isa: 'x86_64' }, lexicon, chunkEvents: 3 };
const syscall = (number: number, ...args: bigint[]) => ({ ...head, kind: 'call', ...SYSCALL, number, args });
const pte = (cause: number) => ({
  ...head,
  kind: 'pte',
  space: 'guest',
  table: 1,
  offset: 0,
  level: 1,
  bytes: 8,
  path: 0,
  old: 0n,
  new: 1n,
  cause,
});
const task = (old: number, pid: number, cause = -1) => ({
  ...head,
  kind: 'task',
  old,
  pid,
  oldName: '',
  name: `t${pid}`,
  cause,
});
const made = (...drafts: object[]) => recordingIn(drafts as Draft[], options);

describe('a budget per fork', () => {
  const forks = eventsOf(builtIn).filter(e => e.kind === 'call' && e.class === 3 && e.number === 57);
  const inFork = (e: Event) => causesOf(builtIn, e.seq).some(c => c.seq === forks[0]!.seq);
  it('counts what happens inside the system call, and names the one too many', () => {
    expect(forks.length).toBe(1);
    const writes = eventsOf(builtIn).filter(e => e.kind === 'pte' && inFork(e));
    expect(writes.length).toBeGreaterThan(10);
    expect(spent(builtIn, { per: 'fork' })).toMatchObject({ value: writes.length, seq: -1, units: 1, unit: -1 });
    expect(spent(builtIn, { per: 'fork', most: 5 })).toMatchObject({ seq: writes[5]!.seq, unit: forks[0]!.seq });
    const calls = eventsOf(builtIn).filter(e => e.kind === 'call' && inFork(e));
    expect(spent(builtIn, { per: 'fork', count: 'hypercalls' }).value).toBe(calls.length);
  });
  it('knows clone with memory of its own from threads, and the caller’s work from that of others', () => {
    const source = made(
      task(0, 1),
      syscall(56, 0x11n), // #1 a fork
      pte(1),
      pte(1),
      task(1, 2, 1), // #4 another task, inside the same entry from user code
      pte(1),
      pte(1),
      pte(1),
      task(2, 1, 1), // #8 and back
      pte(1),
      syscall(56, 0x100n | 0x11n), // #10 a thread: shares the memory
      pte(10),
      pte(10),
      pte(10),
      pte(10),
      syscall(57), // #15
      pte(15),
    );
    expect(spent(source, { per: 'fork', most: 2 })).toMatchObject({ value: 3, units: 2, total: 4, seq: 9, unit: 1 });
    expect(spent(source, { per: 'exec' })).toMatchObject({ value: 0, units: 0 });
    expect(spent(source, { per: 'task' })).toMatchObject({ units: 3, value: 6, total: 11 });
  });
  it('takes of a stretch only what began in it', () => {
    const source = made(syscall(57), pte(0), pte(0), syscall(57), pte(3), syscall(57), pte(5), pte(5), pte(5));
    expect(spent(source, { per: 'fork', between: ['#1', '#6'] })).toMatchObject({ units: 2, value: 1, total: 2 });
  });
  it('is refused where no recording could have one', () => {
    expect(() => spent(bare, { per: 'fork' })).toThrow(
      /budget b: fork is known by its system call, and this recording has no/,
    );
  });
});

describe('a budget per exec, fault or call', () => {
  it('counts the outermost, with what is inside', () => {
    const trap = (cause: number) => ({
      ...head,
      kind: 'trap',
      vector: 14,
      error: 0,
      at: 0n,
      pc: 0n,
      user: false,
      cause,
    });
    const source = made(syscall(59), trap(0), pte(1), trap(1), pte(3), pte(0), trap(-1), pte(6), syscall(322), pte(8));
    expect(spent(source, { per: 'exec' })).toMatchObject({ units: 2, value: 3, total: 4 });
    expect(spent(source, { per: 'fault', most: 1 })).toMatchObject({ units: 2, value: 2, total: 3, seq: 4, unit: 1 });
    expect(spent(source, { per: 'call:syscall 59' })).toMatchObject({ units: 1, value: 3 });
  });
});

describe('a budget per switch', () => {
  const root = (old: number, to: number, cause: number) => ({
    ...head,
    kind: 'root',
    space: 'guest',
    role: 'kernel',
    old,
    new: to,
    cause,
  });
  const call = (number: number) => ({ ...head, kind: 'call', class: 0, number, args: [] });
  it('takes loads of another root that a change of task follows, and no borrowed ones', () => {
    const source = made(
      task(0, 1),
      call(26), // #1 borrows a root
      root(1, 2, 1),
      call(26), // #3 gives it back
      root(2, 1, 3),
      call(26), // #5 no stack says __schedule, so nothing says that this is a switch
      root(1, 3, 5),
      task(1, 2),
    );
    expect(spent(source, { per: 'switch', count: 'hypercalls' })).toMatchObject({ units: 0 });
  });
  it('where no tasks are told, every load is one, with all that its call does', () => {
    const loads = eventsOf(builtIn).filter(e => e.kind === 'root' && e.role === 'kernel' && e.old !== e.new);
    const found = spent(builtIn, { per: 'switch', count: 'hypercalls' });
    const callOf = (e: Event) => causesOf(builtIn, e.seq).findLast(c => c.kind === 'call' && c.class !== SYSCALL.class);
    expect(found.units).toBe(new Set(loads.map(e => callOf(e)?.seq ?? e.seq)).size);
    expect(found.units).toBeGreaterThan(3);
    expect(found.value).toBe(1);
    const bareLoads = eventsOf(bare).filter(e => e.kind === 'root' && e.old !== e.new);
    expect(spent(bare, { per: 'switch', count: 'flushes' }).units).toBe(bareLoads.length);
  });
});

describe('a text that was printed', () => {
  const says = (from: string, text: string) => ({ ...head, kind: 'console', from, text });
  const source = made(
    says('guest', 'one t'),
    says('host', 'two\n'),
    says('guest', 'wo three\n'),
    pte(-1),
    says('guest', 'two'),
  );
  const printed = (text: string, after = -1) => finish(findPrinted(source, text, after));
  it('is found where it ends, though it comes in pieces and another speaks between', () => {
    expect(printed('one two')).toBe(2);
    expect(printed('two')).toBe(1);
    expect(printed('two', 1)).toBe(2);
    expect(printed('two', 2)).toBe(4);
    expect(printed('three two')).toBe(-1);
  });
});
