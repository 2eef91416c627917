import { expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import { FAST_DATA } from '../../../src/machine/engine/layout.js';
import { VIA } from '../../../src/machine/engine/memory.js';
import { DATA_TAG } from '../../../src/machine/engine/tlb.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { ACCESSED, bare, bytes, DIRTY, GLOBAL, LARGE, NX, PRESENT, R, Tables, USER, WRITE } from './guest.js';

const run = (cpu: Cpu, until = 1e6) => cpu.machine.run(asTicks(until));
const HALT = { kind: 'halt' };
const RW = PRESENT | WRITE | USER;

/** Code at 0x1000 and a stack page, mapped for everybody; the rest is the test's. */
function paged(code: string, ring: 0 | 3 = 0, registers: Record<string, bigint> = {}): { cpu: Cpu; tables: Tables } {
  const cpu = bare(code, registers);
  const tables = new Tables(cpu);
  tables.map(0x1000n, 0x1000, RW);
  tables.map(0x8000n, 0x8000, RW);
  tables.enable(ring);
  return { cpu, tables };
}
const pageFault = (code: number, address: bigint) => ({
  kind: 'trap',
  trap: { vector: 14, code, address, kind: 'fault' },
});

const LOAD = '488b03 f4'; // mov rax,[rbx]; hlt
const STORE = '488903 f4'; // mov [rbx],rax; hlt
const AT = 0x40_0000n;

test.for<[string, string, 0 | 3, bigint | undefined, number | 'works']>([
  ['a read of nothing', LOAD, 0, undefined, 0],
  ['a write to nothing', STORE, 0, undefined, 2],
  ['a user read of nothing', LOAD, 3, undefined, 4],
  ['a write to a read-only page with CR0.WP', STORE, 0, PRESENT, 3],
  ['a user write to a read-only page', STORE, 3, PRESENT | USER, 7],
  ['a user read of a supervisor page', LOAD, 3, PRESENT | WRITE, 5],
  ['a reserved address bit', LOAD, 0, PRESENT | (1n << 50n), 9],
  ['a read of a no-execute page', LOAD, 0, PRESENT | NX, 'works'],
])('%s', ([, code, ring, flags, expected]) => {
  const { cpu, tables } = paged(code, ring, { rbx: AT, rax: 77n });
  if (flags !== undefined) tables.map(AT, 0x3000, flags);
  const exit = run(cpu);
  if (expected === 'works') {
    expect(exit).toEqual(HALT);
    return;
  }
  expect(exit).toEqual(pageFault(expected, AT));
  expect([cpu.get(R.rax!), cpu.get(R.rip!), cpu.machine.ticks]).toEqual([77n, 0x1000n, 0]);
});

test('a fetch from a no-execute page says so, at the target', () => {
  const { cpu, tables } = paged('ffe3', 0, { rbx: AT }); // jmp rbx
  tables.map(AT, 0x3000, RW | NX);
  expect(run(cpu)).toEqual(pageFault(0x11, AT));
  expect([cpu.get(R.rip!), cpu.machine.ticks]).toEqual([AT, 1]);
});

test('the walk sets accessed on a read and dirty on the first write, and tells watchers so', () => {
  const { cpu, tables } = paged(`488b03 90 488903 f4`, 0, { rbx: AT });
  const entry = tables.map(AT, 0x3000, PRESENT | WRITE);
  cpu.memory.watch(asFrame(entry >> 12), true);
  const seen: unknown[] = [];
  cpu.memory.onWatched = (at, size, oldLo, _oldHi, newLo, _newHi, via) =>
    seen.push([at, size, oldLo, newLo, via, cpu.machine.pc, cpu.machine.ticks]);
  expect(run(cpu)).toEqual(HALT);
  const [none, read, written] = [0x3003, 0x3003 | Number(ACCESSED), 0x3003 | Number(ACCESSED | DIRTY)];
  expect(seen).toEqual([
    [entry, 8, none, read, VIA.walker, 0x1000n, 0],
    [entry, 8, read, written, VIA.walker, 0x1004n, 2],
  ]);
});

test('a changed entry is not seen before a flush, and a flush of global pages is separate', () => {
  const { cpu, tables } = paged('488b03 eb fb', 0, { rbx: AT }); // L: mov rax,[rbx]; jmp L
  cpu.memory.hostStore(asPaddr(0x3000), 8, 111n);
  cpu.memory.hostStore(asPaddr(0x4000), 8, 222n);
  const next = (): bigint => {
    run(cpu, cpu.machine.ticks + 2);
    return cpu.get(R.rax!);
  };
  const entry = tables.map(AT, 0x3000, RW | GLOBAL);
  expect(next()).toBe(111n);
  cpu.memory.hostStore(asPaddr(entry), 8, 0x4000n | RW | GLOBAL);
  expect(next()).toBe(111n);
  cpu.memory.tlb.dropFast(); // only a cache: nothing changes
  expect(next()).toBe(111n);
  cpu.memory.tlb.flush(true);
  expect(next()).toBe(111n);
  cpu.memory.tlb.flushPage(AT + 0x10n);
  expect(next()).toBe(222n);
});

test('a large page maps 2 MiB and one flush of it drops every piece', () => {
  const { cpu, tables } = paged('488b03 488b8b00500000 f4', 0, { rbx: 0x80_0000n }); // two pages of it
  tables.map(0x80_0000n, 0x20_0000, RW); // makes the levels above; the table it made is replaced by a large entry
  const l2 =
    Number(cpu.memory.read(asPaddr(Number(cpu.memory.read(asPaddr(0x10_0000), 8) & ~0xfffn)), 8) & ~0xfffn) + 4 * 8;
  cpu.memory.hostStore(asPaddr(l2), 8, 0x20_0000n | RW | LARGE);
  cpu.memory.hostStore(asPaddr(0x20_0000), 8, 1n);
  cpu.memory.hostStore(asPaddr(0x20_5000), 8, 2n);
  expect(run(cpu)).toEqual(HALT);
  expect([cpu.get(R.rax!), cpu.get(R.rcx!)]).toEqual([1n, 2n]);
  cpu.memory.hostStore(asPaddr(l2), 8, 0n);
  cpu.memory.tlb.flushPage(0x80_1000n);
  cpu.set(R.rip!, 0x1003n);
  expect(run(cpu)).toEqual(pageFault(0, 0x80_5000n));
});

test('a watched store tells old and new value, where and when, and others tell nothing', () => {
  // mov [rbx],rax; mov byte [rbx+1],9; add dword [rbx+4],1; mov [rbx+4096],rax
  const { cpu, tables } = paged('488903 c6430109 83430401 48898300100000 f4', 0, {
    rbx: AT,
    rax: 0x1122_3344_5566_7788n,
  });
  tables.map(AT, 0x3000, RW);
  tables.map(AT + 0x1000n, 0x4000, RW);
  cpu.memory.watch(asFrame(3), true);
  const seen: unknown[] = [];
  cpu.memory.onWatched = (at, size, oldLo, oldHi, newLo, newHi, via) =>
    seen.push([at, size, oldLo, oldHi, newLo, newHi, via, cpu.machine.pc, cpu.machine.ticks]);
  expect(run(cpu)).toEqual(HALT);
  expect(seen).toEqual([
    [0x3000, 8, 0, 0, 0x5566_7788, 0x1122_3344, VIA.guest, 0x1000n, 0],
    [0x3001, 1, 0x77, 0, 9, 0, VIA.guest, 0x1003n, 1],
    [0x3004, 4, 0x1122_3344, 0, 0x1122_3345, 0, VIA.guest, 0x1007n, 2],
  ]);
});

test('stores to a watched page ask for permission again after a flush, and are plain when nobody watches', () => {
  const { cpu, tables } = paged('488903 ebfb', 0, { rbx: AT, rax: 5n }); // L: mov [rbx],rax; jmp L
  const entry = tables.map(AT, 0x3000, RW);
  const { memory } = cpu;
  const more = (ticks: number) => run(cpu, cpu.machine.ticks + ticks);
  const writeTag = () =>
    memory.view.getBigUint64(FAST_DATA.supervisor + (Number(AT >> 12n) % 1024) * 32 + DATA_TAG.write, true);
  let told = 0;
  memory.onWatched = () => told++;
  memory.watch(asFrame(3), true);
  more(10);
  expect(told).toBe(5);
  memory.hostStore(asPaddr(entry), 8, 0x3000n | PRESENT | ACCESSED | DIRTY); // read-only, but the TLB does not know yet
  more(10);
  expect(told).toBe(10);
  memory.tlb.flushPage(AT);
  expect(more(10)).toEqual(pageFault(3, AT));
  memory.hostStore(asPaddr(entry), 8, 0x3000n | RW);
  more(10);
  expect([told, writeTag() === AT]).toEqual([15, false]);
  memory.watch(asFrame(3), false);
  more(10);
  expect([told, writeTag() === AT]).toEqual([15, true]);
});

test('an access across two pages that lie apart reads and writes both', () => {
  const { cpu, tables } = paged('488b03 48894318 48874320 f4', 0, { rbx: AT + 0xffdn });
  tables.map(AT, 0x3000, RW);
  tables.map(AT + 0x1000n, 0x5000, RW);
  cpu.memory.hostWrite(asPaddr(0x3ffd), bytes('010203'));
  cpu.memory.hostWrite(asPaddr(0x5000), bytes('0405060708'));
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.memory.read(asPaddr(0x5015), 8)).toBe(0x0807060504030201n);
});

test.for([
  ['mov', '488903 f4'],
  ['add', '480103 f4'],
  ['xchg', '488703 f4'],
  ['pop', '8f03 f4'],
])('%s across into a missing page changes nothing at all', ([, code]) => {
  const { cpu, tables } = paged(code!, 0, { rbx: AT + 0xffdn, rax: ~0n, rsp: 0x8800n, rflags: 0x8d5n });
  tables.map(AT, 0x3000, RW);
  const before = Array.from({ length: 18 }, (_, n) => cpu.get(n));
  expect(run(cpu)).toEqual(pageFault(2, AT + 0x1000n));
  expect(Array.from({ length: 18 }, (_, n) => cpu.get(n))).toEqual(before);
  expect(cpu.memory.read(asPaddr(0x3ff8), 8)).toBe(0n);
});

test('push and call fault before rsp moves, and a non-canonical stack is #SS', () => {
  for (const code of ['50', 'e800000000', 'ffd3']) {
    const { cpu } = paged(code, 0, { rsp: AT, rbx: 0x1000n });
    expect(run(cpu)).toEqual(pageFault(2, AT - 8n));
    expect([cpu.get(R.rsp!), cpu.get(R.rip!)]).toEqual([AT, 0x1000n]);
  }
  const { cpu } = paged('50', 0, { rsp: (1n << 47n) | 0x100n });
  expect(run(cpu)).toEqual({ kind: 'trap', trap: { vector: 12, code: 0, address: undefined, kind: 'fault' } });
  const other = paged('488b00', 0, { rax: 1n << 47n }).cpu;
  expect(run(other)).toEqual({ kind: 'trap', trap: { vector: 13, code: 0, address: undefined, kind: 'fault' } });
});

test('a physical address without memory ends the run and is named', () => {
  const { cpu, tables } = paged(LOAD, 0, { rbx: AT + 8n });
  tables.map(AT, 0xfee0_0000, RW);
  expect(run(cpu)).toEqual({ kind: 'bus', address: 0xfee0_0008 });
});
