/** The built-in guests of Xen: what they print, how they end, and that what their prose says happens, happens. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GUESTS, imageOf } from '../../../src/cli/built-in.js';
import { type Event, type EventMap, type KindName, NO_FRAME } from '../../../src/events/kinds.js';
import { openRecording, type Recording } from '../../../src/recording/reader.js';
import type { Recorded } from '../../../src/session/record.js';
import { BATCH, CLASS, HYPERCALL, MMUEXT, PATH } from '../../../src/systems/xen/names.js';
import { eventsOf, recorded } from '../../session/guests.js';

interface Run {
  readonly result: Recorded;
  readonly source: Recording;
  readonly events: readonly Event[];
}
const runs = new Map<string, Run>();
/** A guest's run, recorded once. */
function run(name: string): Run {
  const known = runs.get(name);
  if (known) return known;
  const guest = GUESTS.find(g => g.name === `xen/${name}`)!;
  const { result, file } = recorded({
    system: 'xen',
    guest: name,
    image: readFileSync(imageOf(guest)),
    memoryBytes: guest.memoryBytes,
    detail: 'mmu',
  });
  const source = openRecording(file);
  const made = { result, source, events: eventsOf(source) };
  runs.set(name, made);
  return made;
}
const all = <K extends KindName>(events: readonly Event[], kind: K): EventMap[K][] =>
  events.filter((e): e is EventMap[K] => e.kind === kind);
const consoleOf = ({ events }: Run): string[] =>
  all(events, 'console').map(e => `${e.from === 'host' ? '(XEN) ' : ''}${e.text.replace(/\n$/, '')}`);
const lineIn = (from: Run, text: RegExp): EventMap['console'] => {
  const found = all(from.events, 'console').find(e => text.test(e.text));
  if (!found) throw new Error(`no line ${text} in:\n${consoleOf(from).join('\n')}`);
  return found;
};
/** An event with everything that led to it, innermost first. */
function chainOf({ events }: Run, e: Event): Event[] {
  const chain = [e];
  for (let at = e.cause; at >= 0; at = events[at]!.cause) chain.push(events[at]!);
  return chain;
}
const functionAt = ({ source }: Run, address: bigint): string =>
  source.symbols.findLast(s => s.at <= address)?.name ?? '?';
const stackOf = (from: Run, stack: number): string[] => from.source.stack(stack).map(a => functionAt(from, a - 1n));

test.for(GUESTS.filter(g => g.name.startsWith('xen/')))('$name ends as it is listed', ({ name, ends = 'halted' }) => {
  expect(run(name.slice(4)).result.how).toBe(ends);
});

// Early page tables.

test('early-pagetable-crash: refused, a bug, no handler, crashed: the messages of the seed, in their order', () => {
  const lines = consoleOf(run('early-pagetable-crash'));
  const from = lines.findIndex(l => l.includes('Bad type'));
  expect(lines.slice(from, from + 5)).toEqual([
    expect.stringMatching(
      /^\(XEN\) mm\.c:2466:d0 Bad type \(saw 7400000000000001 != exp 1000000000000000\) for mfn [\da-f]+ \(pfn 5fc\)$/,
    ),
    expect.stringMatching(/^\(XEN\) mm\.c:3027:d0 Error while pinning mfn [\da-f]+$/),
    '(XEN) traps.c:481:d0 Unhandled invalid opcode fault/trap [#6] on VCPU 0 [ec=0000]',
    '(XEN) domain_crash_sync called from entry.S',
    '(XEN) Domain 0 (vcpu#0) crashed on cpu#0:',
  ]);
  expect(lines.slice(from).filter(l => !l.startsWith('(XEN)'))).toEqual([]); // the guest says nothing any more
});
test('early-pagetable-crash: the refusal belongs to the pin, the crash to the trap behind it', () => {
  const crash = run('early-pagetable-crash');
  const refused = chainOf(crash, lineIn(crash, /Error while pinning/));
  expect(refused.some(e => e.kind === 'call' && e.class === CLASS.hypercall && e.number === HYPERCALL.mmuext_op)).toBe(
    true,
  );
  const pin = refused.find(e => e.kind === 'call')!;
  expect(stackOf(crash, (pin as EventMap['call']).stack)).toEqual(
    expect.arrayContaining(['pin_pagetable_pfn', 'pmd_populate_kernel', 'phys_pmd_init', 'init_memory_mapping']),
  );
  const crashed = chainOf(crash, lineIn(crash, /Unhandled invalid opcode/));
  const trap = crashed.find(e => e.kind === 'trap')!;
  expect(trap).toMatchObject({ vector: 6, user: false });
  expect(functionAt(crash, (trap as EventMap['trap']).pc)).toBe('pin_pagetable_pfn');
  expect(trap.seq).toBeGreaterThan(pin.seq);
  expect(crash.events.at(-1)).toMatchObject({ kind: 'end', how: 'killed' });
});
test('early-pagetable-reverted: every table is made read-only where it is mapped, and the whole memory can be written', () => {
  const lines = consoleOf(run('early-pagetable-reverted'));
  expect(lines.filter(l => l.startsWith('(XEN)'))).toEqual([]);
  expect(lines.at(-1)).toMatch(/^Memory: \d+ free pages, all writable$/);
});
test('early-pagetable-workaround: what was not used of each range becomes writable again, one range late', () => {
  const lines = consoleOf(run('early-pagetable-workaround'));
  expect(lines.filter(l => l.startsWith('(XEN)'))).toEqual([]);
  const at = (text: RegExp, from = 0): number => lines.findIndex((l, n) => n >= from && text.test(l));
  const second = at(/^init_memory_mapping: 800000/);
  const first = at(/setting RW the range 5fd000 - 600000/);
  expect(first).toBeGreaterThan(second);
  const last = at(/setting RW the range/, first + 1);
  expect(last).toBeGreaterThan(at(/PGTABLE/, second));
  expect(lines.at(-1)).toMatch(/^Memory: \d+ free pages, all writable$/);
});
test('early-pagetable-reuse: the page that faults is free memory, mapped read-only, and no page table', () => {
  const reuse = run('early-pagetable-reuse');
  const fault = all(reuse.events, 'trap').findLast(e => e.vector === 14)!;
  expect(fault).toMatchObject({ at: 0xffff_8800_3fc0_0000n + 0x5f_f000n, error: 3 });
  expect(functionAt(reuse, fault.pc)).toBe('setup_log_buf');
  expect(consoleOf(reuse).slice(-4)).toEqual([
    'log buffer at ffff8800401ff000',
    'BUG: unable to handle kernel paging request at ffff8800401ff000',
    `IP: ${fault.pc.toString(16)}, error code 3`,
    'Kernel panic - not syncing: Fatal exception',
  ]);
});

// User page tables.

/** Every batch with its entries. */
function batchesOf({ events }: Run): { batch: EventMap['batch']; entries: EventMap['entry'][] }[] {
  return all(events, 'batch')
    .filter(b => b.style === BATCH.multicall)
    .map(batch => ({ batch, entries: all(events, 'entry').filter(e => e.cause === batch.seq) }));
}
/** The mmuext operations of an entry: those that it has as events, or the entry itself if there is one alone. */
const opsOf = ({ events }: Run, entries: readonly EventMap['entry'][]): { number: number; arg: bigint }[] =>
  entries.flatMap(entry =>
    events
      .filter((e): e is EventMap['call'] | EventMap['entry'] => e.kind === 'call' || e.kind === 'entry')
      .filter(e => e.class === CLASS.mmuext && chainHas(events, e, entry.seq))
      .map(e => ({ number: e.number, arg: e.args[0]! })),
  );
const chainHas = (events: readonly Event[], e: Event, seq: number): boolean => {
  for (let at = e.cause; at >= 0; at = events[at]!.cause) if (at === seq) return true;
  return false;
};

test('user-pagetables: two processes say what they should', () => {
  expect(consoleOf(run('user-pagetables')).slice(3)).toEqual([
    'init[1]: hello from ring 3',
    'init[1]: wrote at 1 TiB',
    'init[2]: child: sees what its parent wrote',
    'init[2]: exits',
    'init[1]: parent: its memory is its own',
    'init[1]: exits',
    expect.stringMatching(/^all processes are gone; (\d+) pages free, \1 at the start$/),
  ]);
});
test('user-pagetables: pinned and unpinned together, in one batch', () => {
  const guest = run('user-pagetables');
  for (const [command, times] of [
    [MMUEXT.pin_l4_table, 2],
    [MMUEXT.unpin_table, 2],
  ] as const) {
    const batches = batchesOf(guest)
      .map(({ entries }) => opsOf(guest, entries).filter(op => op.number === command))
      .filter(ops => ops.length >= 2);
    expect(batches.length).toBe(times);
  }
});
test('user-pagetables: while nothing is pinned both halves are set by plain stores, and are the same when Xen sees them', () => {
  const guest = run('user-pagetables');
  const adopted = all(guest.events, 'adopt').filter(e => e.level === 4 && e.entries[0]! !== 0n);
  expect(adopted.length).toBe(4); // two processes
  for (const n of [0, 2]) {
    const [kernel, user] = [adopted[n]!, adopted[n + 1]!];
    const set = kernel.entries.slice(0, 256).filter(entry => entry !== 0n);
    expect(set.length).toBe(n === 0 ? 2 : 3); // code and stack, and what the child inherits at 1 TiB
    expect(user.entries.slice(0, 256)).toEqual(kernel.entries.slice(0, 256));
    expect(user.entries.slice(272).filter(entry => entry !== 0n)).toEqual([]);
    expect(kernel.entries.slice(272).filter(entry => entry !== 0n).length).toBe(3); // direct mapping, vmalloc, kernel
    const stores = all(guest.events, 'pte').filter(e => e.table === user.table && e.seq < user.seq);
    expect(stores).toEqual([]);
  }
});
test('user-pagetables: both base pointers are loaded in one multicall; the init page table has no user half', () => {
  const guest = run('user-pagetables');
  const loads = batchesOf(guest)
    .map(({ entries }) =>
      opsOf(guest, entries).filter(op => [MMUEXT.new_baseptr, MMUEXT.new_user_baseptr].includes(op.number as 5 | 15)),
    )
    .filter(ops => ops.length > 0);
  expect(loads.map(ops => ops.map(op => op.number))).toEqual([
    [MMUEXT.new_baseptr], // early in the boot: the kernel's alone
    ...Array.from({ length: 4 }, () => [MMUEXT.new_baseptr, MMUEXT.new_user_baseptr]),
  ]);
  const roots = all(guest.events, 'root');
  expect(roots.findLast(e => e.role === 'user')!.new).toBe(NO_FRAME);
});
test('user-pagetables: a user entry of a pinned L4 is set in both halves by one batch, to the same value', () => {
  const guest = run('user-pagetables');
  const l4 = all(guest.events, 'pte').filter(e => e.level === 4 && e.path === PATH.update && e.offset < 256 * 8);
  expect(l4.map(e => [e.offset, e.new])).toEqual([
    [16, l4[0]!.new],
    [16, l4[0]!.new],
  ]);
  expect(l4[0]!.table).not.toBe(l4[1]!.table);
  const batch = (e: Event): Event => chainOf(guest, e).find(c => c.kind === 'batch' && c.style === BATCH.multicall)!;
  expect(batch(l4[0]!).seq).toBe(batch(l4[1]!).seq);
});
test('user-pagetables: an entry says who queued it and when, which the hypercall cannot', () => {
  const guest = run('user-pagetables');
  const { batch, entries } = batchesOf(guest).find(b => b.entries.length > 10)!; // the pin of a whole address space
  entries.forEach((e, n) => {
    expect(e.queued > (entries[n - 1]?.queued ?? 0n)).toBe(true);
    expect(e.queued < BigInt(batch.ticks)).toBe(true);
  });
  expect(stackOf(guest, entries[0]!.stack)).toEqual(expect.arrayContaining(['pin_page', 'walk', 'xen_pgd_pin']));
});
test('user-pagetables-broken: no call fails, and user code faults again at an address that the kernel maps', () => {
  const broken = run('user-pagetables-broken');
  const faults = all(broken.events, 'trap').filter(e => e.vector === 14 && e.at === 0x100_0000_0000n);
  expect(faults.length).toBe(4); // one that was handled, and three with nothing to do
  expect(faults.every(e => e.user)).toBe(true);
  const l4 = all(broken.events, 'pte').filter(e => e.level === 4 && e.offset === 16);
  expect(l4.length).toBe(1); // the kernel's; the user's is never written
  expect(stackOf(broken, l4[0]!.stack)).toContain('set_pgd');
  expect(all(broken.events, 'result').filter(e => BigInt.asIntN(64, e.value) < 0n)).toEqual([]);
  expect(consoleOf(broken).at(-1)).toBe('Kernel panic - not syncing: Attempted to kill init!');
});
