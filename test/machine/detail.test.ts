import { expect, test } from 'vitest';
import { asTicks } from '../../src/base/brand.js';
import { BLOCK_BYTES, type Block, blockOver, eventAt } from '../../src/events/block.js';
import type { Event } from '../../src/events/kinds.js';
import { Log } from '../../src/events/log.js';
import { REG } from '../../src/isa/x86_64.js';
import { Detail, FILL } from '../../src/machine/detail.js';
import { takeCheckpoint } from '../../src/machine/engine/checkpoint.js';
import { calling } from './engine/calling.js';
import { bare, PRESENT, R, Tables, USER, WRITE } from './engine/guest.js';

const SHELL_SORT = 2;
/** A log whose blocks are turned into events as they fill. */
function listening(anchor?: { before: number }): { log: Log; events: Event[] } {
  const events: Event[] = [];
  const drain = (block: Block): Block => {
    for (let i = 0; i < block.count; i++) events.push(eventAt(block, i));
    return block;
  };
  return { log: new Log({ swap: drain }, blockOver(new ArrayBuffer(BLOCK_BYTES)), anchor), events };
}
const text = (e: Event): string =>
  e.kind === 'step'
    ? `@${e.ticks} step ${changes(e.mask, e.values)}`
    : e.kind === 'store'
      ? `@${e.ticks} store ${e.bytes} at ${e.at.toString(16)} = ${e.physical.toString(16)}: ${e.old.toString(16)} -> ${e.new.toString(16)}`
      : e.kind === 'fill'
        ? `@${e.ticks} fill ${e.at.toString(16)} -> ${e.frame.toString(16)} ${e.bytes} ${e.flags & FILL.code ? 'code' : 'data'}`
        : e.kind;
function changes(mask: bigint, values: readonly bigint[]): string {
  const names = Object.keys(REG).filter(name => (mask >> BigInt(REG[name]!)) & 1n);
  return names.map((name, i) => `${name}=${values[i]!.toString(16)}`).join(' ');
}

test('every instruction, store and TLB entry is told, a step behind what it did', () => {
  // push rax; add rax, 1; mov [0x3000], al; hlt
  const cpu = bare('50 4883c001 88042500300000 f4', { rax: 0x41n });
  const tables = new Tables(cpu);
  for (const page of [1, 3, 8]) tables.map(BigInt(page * 4096), page * 4096, PRESENT | WRITE | USER | 0x60n);
  tables.enable(0);
  cpu.set(R.rip!, 0x1000n);
  const main = listening();
  const { log, events } = listening({ before: 0 });
  const detail = new Detail(cpu.machine, cpu, log, main.log);
  expect(detail.run(asTicks(100))).toEqual({ kind: 'halt' });
  log.flush();
  const first = events.shift()!; // all registers that are not zero
  expect(text(first)).toMatch(
    /^@0 step rax=41 rsp=9000 rip=1000 rflags=2 cs=10 cr0=80010\w+ cr3=100000 cr4=a0 efer=d01/,
  );
  expect(events.map(text)).toEqual([
    '@0 store 8 at 0 = 100000: 101007 -> 101027', // accessed bits, set by the walk: at no virtual address
    '@0 store 8 at 0 = 101000: 102007 -> 102027',
    '@0 store 8 at 0 = 102000: 103007 -> 103027',
    '@0 fill 1000 -> 1 4096 code',
    '@0 fill 8000 -> 8 4096 data',
    '@0 store 8 at 8ff8 = 8ff8: 0 -> 41',
    '@1 step rsp=8ff8 rip=1001',
    '@2 step rax=42 rip=1005 rflags=6',
    '@2 fill 3000 -> 3 4096 data',
    '@2 store 1 at 3000 = 3000: 0 -> 42',
    '@3 step rip=100c',
    '@4 step rip=100d',
  ]);
});

test('a run in full detail leaves registers, memory, TLB and clock as a quick one', () => {
  const quick = calling(SHELL_SORT, 300);
  expect(quick.machine.run(asTicks(1e9))).toEqual({ kind: 'halt' });
  const slow = calling(SHELL_SORT, 300);
  const { log, events } = listening({ before: 0 });
  const detail = new Detail(slow.machine, slow, log, listening().log);
  expect(detail.run(asTicks(1e9))).toEqual({ kind: 'halt' });
  log.flush();
  expect(events.filter(e => e.kind === 'step').length).toBe(1 + quick.machine.ticks);
  expect(slow.machine.ticks).toBe(quick.machine.ticks);
  const [a, b] = [takeCheckpoint(slow), takeCheckpoint(quick)];
  expect(Buffer.compare(a.state, b.state)).toBe(0);
  expect(a.pages.map(([frame]) => frame)).toEqual(b.pages.map(([frame]) => frame));
  expect(Buffer.compare(slow.memory.guest, quick.memory.guest)).toBe(0);
});

test('steps and stores are enough to rebuild registers and memory', () => {
  const cpu = calling(SHELL_SORT, 200);
  const before = cpu.memory.guest.slice();
  const registers = Array.from({ length: cpu.count }, () => 0n);
  const { log, events } = listening({ before: 0 });
  const detail = new Detail(cpu.machine, cpu, log, listening().log);
  detail.run(asTicks(5_000));
  detail.stop();
  cpu.machine.run(asTicks(6_000)); // is not traced any more
  log.flush();
  const last = events.findLast(e => e.kind === 'step');
  expect(last?.ticks).toBe(5_000);
  const view = new DataView(before.buffer);
  for (const e of events) {
    if (e.kind === 'store')
      for (let n = 0; n < e.bytes; n++) view.setUint8(Number(e.physical) + n, Number((e.new >> BigInt(8 * n)) & 0xffn));
    if (e.kind !== 'step') continue;
    let item = 0;
    for (let reg = 0; reg < cpu.count; reg++)
      if ((e.mask >> BigInt(reg)) & 1n) {
        expect(e.olds[item]).toBe(registers[reg]);
        registers[reg] = e.values[item++]!;
      }
  }
  const again = calling(SHELL_SORT, 200);
  again.machine.run(asTicks(5_000));
  expect(registers).toEqual(Array.from({ length: cpu.count }, (_, reg) => again.get(reg)));
  expect(Buffer.compare(before, again.memory.guest)).toBe(0);
});
