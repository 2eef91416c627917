import { beforeAll, expect, test } from 'vitest';
import { asTicks } from '../../../src/base/brand.js';
import { hex } from '../../../src/base/u64.js';
import { finish } from '../../../src/base/work.js';
import { BLOCK_BYTES, type Block, blockOver, eventAt } from '../../../src/events/block.js';
import { type Event, type EventMap, KIND, type KindName } from '../../../src/events/kinds.js';
import { Log } from '../../../src/events/log.js';
import { lineOf } from '../../../src/events/text.js';
import { REG } from '../../../src/isa/x86_64.js';
import { takeCheckpoint } from '../../../src/machine/engine/checkpoint.js';
import { openRecording, type Recording } from '../../../src/recording/reader.js';
import { type Recorded, record } from '../../../src/session/record.js';
import { BARE } from '../../../src/systems/bare/model/index.js';
import { LEXICON, PATH } from '../../../src/systems/bare/names.js';
import { bytes } from '../../machine/engine/guest.js';
import { eventsOf, freshFile, IMAGE, opened } from '../../session/guests.js';
import { idtOf, imageOf } from './image.js';

const CODE = 0x10_0000;
const IDT = 0x10_2000;
const is =
  <K extends KindName>(kind: K) =>
  (e: Event): e is EventMap[K] =>
    e.kind === kind;

/** Runs code (hex) as a bare guest. */
function guest(
  code: string,
  parts: Record<number, Uint8Array> = {},
  ticks = 1e6,
): { result: Recorded; events: Event[] } {
  const out = freshFile();
  const image = imageOf({ [CODE]: bytes(code), ...parts });
  const limits = { ticks, events: 1e6 };
  const result = finish(record({ system: 'bare', guest: 'test', image, detail: 'mmu', limits, out }));
  return { result, events: eventsOf(openRecording(out)) };
}
const printed = (events: readonly Event[]): string[] => events.filter(is('console')).map(e => e.text);
const lastOf = (events: readonly Event[], register: string): bigint | undefined => {
  let value: bigint | undefined;
  for (const e of events.filter(is('regs'))) {
    let item = 0;
    for (let reg = 0; reg < 64; reg++)
      if ((e.mask >> BigInt(reg)) & 1n) {
        if (reg === REG[register]) value = e.values[item];
        item++;
      }
  }
  return value;
};

// How runs end.

test('hlt ends the run, and says whether the guest would have waited', () => {
  expect(guest('fa f4').result).toMatchObject({ how: 'halted', reason: 'hlt with interrupts off', ticks: 2 });
  expect(guest('fb f4').result).toMatchObject({ how: 'halted', reason: expect.stringMatching(/no device/), ticks: 2 });
});
test('a trap without an interrupt table is a triple fault, and every fault on the way is told', () => {
  const { result, events } = guest('0f0b');
  expect(result).toMatchObject({ how: 'killed', reason: expect.stringMatching(/triple fault/), ticks: 0 });
  const traps = events.filter(is('trap'));
  // #UD, benign, is followed by the #GP of its gate; that of the gate of #GP makes a double fault; then there is nothing left.
  const gate = (vector: number): number => 8 * vector + 3;
  expect(traps.map(e => [e.vector, e.error, e.pc])).toEqual([
    [6, 0, 0x10_0000n],
    [13, gate(6), 0x10_0000n],
    [13, gate(13), 0x10_0000n],
    [8, 0, 0x10_0000n],
    [13, gate(8), 0x10_0000n],
  ]);
  traps.slice(1).forEach((e, n) => expect(e.cause).toBe(traps[n]!.seq));
  expect(events.at(-1)).toMatchObject({ kind: 'end', how: 'killed', cause: traps.at(-1)!.seq });
});
test('a stack that overflows ends in the double fault, whose cause names the address', () => {
  // lidt [rip+4]; xor esp,esp; ud2: the first push would be below address 0.
  const code = '0f011d04000000 31e4 0f0b ff0f0020100000000000 f4';
  const { result, events } = guest(code, { [IDT]: idtOf({ 6: CODE, 14: CODE, 8: CODE + 21 }) });
  expect(result.how).toBe('killed'); // without a stack of its own the double fault cannot be delivered either
  expect(events.filter(is('trap')).map(e => [e.vector, e.at])).toEqual([
    [6, 0n],
    [14, 0xffff_ffff_ffff_fff8n],
    [14, 0xffff_ffff_ffff_fff8n],
    [8, 0n],
    [14, 0xffff_ffff_ffff_fff8n],
  ]);
});
test('a call for a hypervisor is an invalid opcode: there is none', () => {
  expect(guest('0f01c1').events.find(is('trap'))).toMatchObject({ vector: 6, pc: 0x10_0000n });
});
test('what is not implemented ends the run by its name', () => {
  expect(guest('90 d9fe').result).toMatchObject({
    how: 'killed',
    reason: expect.stringMatching(/^not implemented: .*fsin.* at 100001$/),
  });
});
test('an access where there is no memory ends the run with both addresses', () => {
  const reason = 'no memory at physical address 3000000, asked for at 100000';
  expect(guest('488b042500000003').result).toMatchObject({ how: 'killed', reason });
});
test('a processor that only traps and never gets on is stopped', () => {
  const loop = 'bc009000000f011d020000000f0bff0f0020100000000000'; // mov esp,0x9000; lidt; ud2
  const { result, events } = guest(loop, { [IDT]: idtOf({ 6: CODE + 12 }) });
  expect(result).toMatchObject({
    how: 'killed',
    reason: expect.stringMatching(/^256 traps without an instruction/),
    ticks: 2,
  });
  expect(events.filter(is('trap')).length).toBe(256);
});
test('a guest that goes on for ever reaches the limit', () => {
  expect(guest('ebfe').result).toMatchObject({ how: 'limit', ticks: 1e6 });
});

// The console and other ports.

test('bytes to the console port are lines; an unfinished one is told at the end', () => {
  // lea rsi,[rip+msg]; mov ecx,12; mov edx,0xe9; rep outsb; hlt
  const { result, events } = guest('488d350d000000b90c000000bae9000000f36ef4 6f6e650a74776f0a656e643f');
  expect(printed(events)).toEqual(['one\n', 'two\n', 'end?']);
  expect(result).toMatchObject({ how: 'halted', ticks: 5 });
});
test('a port without a device reads as all ones', () => {
  // mov edx,0x60; xor eax,eax; in al,dx; mov rbx,rax; in eax,dx; out dx,eax; sti; hlt
  const { events } = guest('ba6000000031c0ec4889c3edeffbf4');
  expect(lastOf(events, 'rbx')).toBe(0xffn);
  expect(lastOf(events, 'rax')).toBe(0xffff_ffffn);
});
test('one instruction that prints for ever can be stopped', () => {
  const image = imageOf({ [CODE]: bytes('be00001000 48c7c1ffffffff bae9000000 f36e f4') });
  const abort = new AbortController();
  const limits = { ticks: 1e6, events: 1e6 };
  const work = record({
    system: 'bare',
    guest: 'g',
    image,
    detail: 'mmu',
    limits,
    out: freshFile(),
    signal: abort.signal,
  });
  expect(work.next().done).toBe(false);
  abort.abort();
  expect(work.next().value).toMatchObject({ how: 'stopped', ticks: 3 });
});

// Causes.

test('what happens in a handler has the trap as its cause, until it returns; handlers nest', () => {
  // int 0x30, whose handler does int 0x31; each prints a line: a in the inner, b in the outer, c behind both.
  const code =
    'bc009000000f011d5e000000cd30b063e6e9b00ae6e9f4'.padEnd(128, '0') +
    'cd31b062e6e9b00ae6e948cf'.padEnd(64, '0') +
    'b061e6e9b00ae6e948cfff0f0020100000000000';
  const { events } = guest(code, { [IDT]: idtOf({ 48: CODE + 0x40, 49: CODE + 0x60 }) });
  const [outer, inner] = events.filter(is('trap'));
  expect([outer!.vector, inner!.vector]).toEqual([0x30, 0x31]);
  expect(inner!.cause).toBe(outer!.seq);
  expect(events.filter(is('console')).map(e => [e.text, e.cause])).toEqual([
    ['a\n', inner!.seq],
    ['b\n', outer!.seq],
    ['c\n', -1],
  ]);
  expect(events.filter(is('trapret')).map(e => [e.pc, e.cause, e.user])).toEqual([
    [BigInt(CODE + 0x42), inner!.seq, false],
    [BigInt(CODE + 0xe), outer!.seq, false],
  ]);
});

// The story of address-spaces.

let story: Recording;
let events: Event[];
beforeAll(() => {
  story = opened({ detail: 'full' });
  events = eventsOf(story);
});
const symbolAt = (at: bigint): string | undefined => story.symbols.findLast(s => s.at <= at)?.name;
const namesOf = (stack: number): (string | undefined)[] => story.stack(stack).map(symbolAt);

test('the copy on write of the parent is one store, in a page fault of user code, on a known stack', () => {
  const fault = events.filter(is('trap')).find(e => e.vector === 14 && e.at === 0x60_2000n && e.error === 7)!;
  expect(fault.user).toBe(true);
  const inside = events.filter(e => e.cause === fault.seq);
  const write = inside.filter(is('pte')).find(e => e.path === PATH.store)!;
  expect(write.old & 3n).toBe(1n); // present, read-only: what fork left
  expect(write.new & 3n).toBe(3n);
  expect(write.new >> 12n).not.toBe(write.old >> 12n);
  expect(write).toMatchObject({ level: 1, offset: 8 * ((0x60_2000 >> 12) & 511) });
  expect(namesOf(write.stack)).toEqual(['save']);
  expect(inside.filter(is('flush')).map(e => [e.scope, e.at])).toEqual([['one', 0x60_2000n]]);
  expect(symbolAt(lastOf(events.slice(0, write.seq), 'rip')!)).toBe('trap'); // page_fault and copy_on_write are inlined
});

test('user code touches eight pages: eight faults, each answered by one entry', () => {
  const faults = events.filter(is('trap')).filter(e => e.vector === 14 && e.error === 6);
  expect(faults.map(e => e.at)).toEqual(Array.from({ length: 8 }, (_, n) => 0x60_0000n + 4096n * BigInt(n)));
  for (const fault of faults) {
    const stores = events
      .filter(is('pte'))
      .filter(e => e.cause === fault.seq && e.path === PATH.store && e.level === 1);
    expect(stores.map(e => [e.old, e.new & 7n])).toEqual([[0n, 7n]]);
  }
});

test('roots follow cr3, and every table of the guest is known before it is used', () => {
  const pgds = events.filter(is('root')).map(e => hex(e.new));
  expect(pgds).toEqual(['1', '1000', '1005', '1013', '1000']);
  const tables = new Set<number>();
  for (const e of events) {
    if (e.kind === 'adopt') tables.add(e.table);
    else if (e.kind === 'release') tables.delete(e.table);
    else if (e.kind === 'pte') expect(tables.has(e.table), `#${e.seq}`).toBe(true);
  }
});

test('adopted entries and every write since give the tables as they are in memory at a checkpoint', () => {
  const source = opened({ checkpointTicks: 10_000 });
  const last = source.checkpoints.length - 1;
  const { seq } = source.checkpoints[last]!;
  const tables = new Map<number, bigint[]>();
  for (const e of eventsOf(source).slice(0, seq)) {
    if (e.kind === 'adopt') tables.set(e.table, [...e.entries]);
    else if (e.kind === 'release') tables.delete(e.table);
    else if (e.kind === 'pte') {
      const entries = tables.get(e.table)!;
      expect(entries[e.offset / 8]).toBe(e.old);
      entries[e.offset / 8] = e.new;
    }
  }
  expect(tables.size).toBeGreaterThan(10);
  const memory = new Map<number, Uint8Array>();
  for (let n = 0; n <= last; n++) for (const [frame, page] of source.checkpoint(n).pages) memory.set(frame, page);
  for (const [frame, entries] of tables) {
    const page = memory.get(frame)!;
    const view = new DataView(page.buffer, page.byteOffset);
    entries.forEach((entry, i) => expect(view.getBigUint64(8 * i, true), `${frame}[${i}]`).toBe(entry));
  }
});

test('who wrote an entry that arrived with adopt: at full detail the store is there', () => {
  // The entry of the user page in the first process's tables, written before cr3 made them tables.
  const adopted = events.filter(is('adopt')).find(e => e.level === 1 && e.entries[0] === 0x10_1005n)!;
  expect(adopted).toBeDefined();
  const at = BigInt(adopted.table) * 4096n;
  const stores: [bigint, number][] = [];
  for (const block of story.details(0, adopted.seq)) {
    const { store } = block.col;
    for (let row = 0; row < block.rows[KIND.store]!; row++)
      if (BigInt(store.physicalLo[row]!) === at && store.newLo[row]) stores.push([BigInt(store.newLo[row]!), row]);
  }
  expect(stores.map(([value]) => value)).toEqual([0x10_1005n]);
});

test.for([1, 7, 997, 30_011])('pauses of %i ticks leave no trace in events, registers or memory', stride => {
  const run = (slice: number) => {
    const blocks: string[] = [];
    const drain = (block: Block): Block => {
      for (let i = 0; i < block.count; i++) blocks.push(lineOf(eventAt(block, i), LEXICON));
      return block;
    };
    const log = new Log({ swap: drain }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
    const host = BARE.boot({ image: IMAGE, name: 'g', guest: 'g', memoryBytes: BARE.memoryBytes }).start({
      log,
      intern: addresses => addresses.length,
    });
    let until = slice;
    let paused = host.run(asTicks(until));
    while (typeof paused === 'string') paused = host.run(asTicks((until += slice)));
    log.flush();
    const { state } = takeCheckpoint(host.owner);
    return { events: blocks, state, saved: host.save(), memory: host.owner.machine.memory.guest };
  };
  const [whole, cut] = [run(1e9), run(stride)];
  expect(cut.events).toEqual(whole.events);
  expect(Buffer.compare(cut.state, whole.state)).toBe(0);
  expect(Buffer.compare(cut.saved, whole.saved)).toBe(0);
  expect(Buffer.compare(cut.memory, whole.memory)).toBe(0);
});
