/**
 * Where a region is left again and again, it calls what the interpreter would call and goes on. Whoever hears of a store from
 * in there sees what they always see, and may do what they always may, also to the region itself.
 */
import { expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import { BLOCK_BYTES, type Block, blockOver, eventAt } from '../../../src/events/block.js';
import type { Event } from '../../../src/events/kinds.js';
import { Log } from '../../../src/events/log.js';
import { VIA } from '../../../src/machine/engine/memory.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { BARE } from '../../../src/systems/bare/model/index.js';
import { PATH } from '../../../src/systems/bare/names.js';
import { imageOf } from '../../systems/bare/image.js';
import { bare, bytes, PRESENT, Tables, WRITE } from './guest.js';
import { whole } from './patching-program.js';

const HALT = { kind: 'halt' };
const DATA = 0x2_0000;

/** Every place where a run stops between blocks becomes a region, and every record where one is left calls; or none does. */
function regions(cpu: Cpu, hot: boolean): Cpu {
  cpu.machine.hot.often = 1;
  cpu.machine.hot.sampleTicks = hot ? 100 : Number.POSITIVE_INFINITY;
  return cpu;
}
function same(one: Cpu, other: Cpu): void {
  const [a, b] = [whole(one), whole(other)];
  expect(a.ticks).toBe(b.ticks);
  expect(Buffer.compare(a.state, b.state), 'registers or TLB').toBe(0);
  expect(Buffer.compare(a.memory, b.memory), 'memory').toBe(0);
}
/** Runs a guest to its hlt without regions and with them: the same is told, and all is the same in the end. Returns the second. */
function both(make: () => Cpu, heard: (cpu: Cpu, at: number, count: number, via: number) => void = () => {}): Cpu {
  const [plain, hot] = [false, true].map(isHot => {
    const cpu = regions(make(), isHot);
    const told: unknown[] = [];
    const registers = new Uint32Array(2 * cpu.count);
    const all = Array.from({ length: cpu.count }, (_, reg) => reg);
    cpu.memory.onWatched = (...store) => {
      cpu.readRegisters(registers, all);
      told.push([...store, cpu.machine.ticks, cpu.machine.pc, registers.join()]);
      heard(cpu, store[0], told.length, store[6]);
    };
    expect(cpu.machine.run(asTicks(1e9))).toEqual(HALT);
    return { cpu, told };
  }) as [{ cpu: Cpu; told: unknown[] }, { cpu: Cpu; told: unknown[] }];
  expect(hot.told.length).toBeGreaterThan(1000);
  expect(hot.told).toEqual(plain.told);
  same(hot.cpu, plain.cpu);
  return hot.cpu;
}

// L: mov [rbx],rcx; add [rbx+8],rcx; mov [rbx+0x10],cx; mov [rbx+0x13],cl; xchg [rbx+0x18],rdx; push rcx; pop rsi
//    mov [rbx+0xffd],rcx (over the end of the page); mov [0x1800],ecx (data in the page of the code); add rax,rcx
//    dec ecx; jnz L; hlt
const STORES = `48890b 48014b08 66894b10 884b13 48875318 51 5e 48898bfd0f0000 890c2500180000 4801c8 ffc9 75d7 f4`;
/** Where the opcode of the add is. */
const ADD = 0x1000 + 0x23;
function storing(rounds = 2000n): Cpu {
  const cpu = bare(STORES, { rbx: BigInt(DATA), rcx: rounds, rdx: 77n, rbp: 5n });
  cpu.memory.watch(asFrame(DATA / 4096), true);
  return cpu;
}

test('watched stores of every form are told from inside a region as by the interpreter: values, ticks, registers', () => {
  const { hot } = both(() => storing()).machine;
  expect(hot.calling.size).toBeGreaterThan(4);
  expect(hot.dropped).toBe(0);
});

test('who hears of a store may patch the code of the region behind it, and it is seen at once', () => {
  // Seldom enough that in between the region is made, and learns to call.
  const patch = (cpu: Cpu, _at: number, count: number, via: number): void => {
    if (count % 1511 === 0 && via === VIA.guest)
      cpu.memory.hostStore(asPaddr(ADD), 1, count % 3022 === 0 ? 0x01n : 0x29n); // add, sub
  };
  const { hot } = both(() => storing(6000n), patch).machine;
  expect(hot.calling.size).toBeGreaterThan(40);
  expect(hot.dropped).toBeGreaterThan(20);
});

test('who hears of a store may watch the page of the region itself, or no longer, and flush the TLB', () => {
  const frame = asFrame(1);
  const { hot } = both(
    () => storing(),
    (cpu, _at, count) => {
      if (count % 400 === 100) cpu.memory.watch(frame, true);
      if (count % 400 === 300) cpu.memory.watch(frame, false);
      if (count % 300 === 0) cpu.memory.tlb.flush(false);
    },
  ).machine;
  expect(hot.calling.size).toBeGreaterThan(4);
});

test('the page walk of an access inside a region tells its accessed and dirty bits as by the interpreter', () => {
  // L: mov rax,[0x200000]; mov [0x600008],rcx (at the same place of the TLB); add rdx,rax; mov [rbx],rcx; dec ecx; jnz L; hlt
  const make = (): Cpu => {
    const cpu = bare('488b042500002000 48890c2508006000 4801c2 48890b ffc9 75e6 f4', { rbx: 0x20_2000n, rcx: 1500n });
    const tables = new Tables(cpu);
    tables.map(0x1000n, 0x1000, PRESENT | WRITE);
    tables.map(0x20_0000n, DATA, PRESENT | WRITE);
    tables.map(0x20_2000n, DATA + 0x2000, PRESENT | WRITE);
    tables.map(0x60_0000n, DATA + 0x1000, PRESENT | WRITE);
    tables.enable(0);
    for (let table = 0x100; table < 0x106; table++) cpu.memory.watch(asFrame(table), true);
    cpu.memory.watch(asFrame(DATA / 4096 + 2), true);
    return cpu;
  };
  let walked = 0;
  const { hot } = both(make, (cpu, at, _count, via) => {
    if (via === VIA.walker) walked++;
    if (at !== DATA + 0x2000) return;
    // All three leaves are as new again.
    const { memory } = cpu;
    for (const [va, pa] of [
      [0x20_0000, DATA],
      [0x60_0000, DATA + 0x1000],
    ] as const)
      new Tables(cpu).map(BigInt(va), pa, PRESENT | WRITE);
    expect(memory.read(asPaddr(DATA), 8)).toBe(0n);
  }).machine;
  expect(walked).toBeGreaterThan(2 * 2 * 1400);
  expect(hot.calling.size).toBeGreaterThan(1);
});

test('a fault in the midst of calls is that of the instruction', () => {
  // L: mov [rbx],rcx; mov [rbx+rsi],rcx; add rsi,8; dec ecx; jnz L: the second store runs into a page that is not there.
  const [plain, hot] = [false, true].map(isHot => {
    const cpu = regions(bare('48890b 48890c33 4883c608 ffc9 75f1 f4', { rbx: BigInt(DATA), rcx: 5000n }), isHot);
    const tables = new Tables(cpu);
    for (const page of [0x1000, DATA, DATA + 0x1000, DATA + 0x2000]) tables.map(BigInt(page), page, PRESENT | WRITE);
    tables.enable(0);
    for (const page of [0, 1, 2]) cpu.memory.watch(asFrame(DATA / 4096 + page), true);
    const exit = cpu.machine.run(asTicks(1e9));
    expect(exit).toMatchObject({ kind: 'trap', trap: { vector: 14, address: BigInt(DATA + 0x3000) } });
    expect(cpu.machine.hot.calling.size).toBe(isHot ? 2 : 0);
    return cpu;
  }) as [Cpu, Cpu];
  same(hot, plain);
});

test('a bare guest in regions has the events of one without: ticks, registers, stacks', () => {
  // mov rsp,0x800000; xor ebp,ebp; call F; cli; hlt;   F: push rbp; mov rbp,rsp; mov ecx,3000
  // L: mov rax,rcx; shl rax,21; or al,0x83; mov [0x3fa0],rax (an entry of level 2); dec ecx; jnz L; pop rbp; ret
  const code = `48c7c400008000 31ed e802000000 faf4 55 4889e5 b9b80b0000
    4889c8 48c1e015 0c83 48890425a03f0000 ffc9 75eb 5d c3`;
  const image = imageOf({ 1048576: bytes(code) });
  const told = [false, true].map(isHot => {
    const events: Event[] = [];
    const stacks: string[] = [''];
    const take = (block: Block): Block => {
      for (let n = 0; n < block.count; n++) events.push(eventAt(block, n));
      return block;
    };
    const log = new Log({ swap: take }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
    const intern = (addresses: readonly bigint[]): number => {
      const text = addresses.join();
      if (!stacks.includes(text)) stacks.push(text);
      return stacks.indexOf(text);
    };
    const host = BARE.boot({ image, name: 'test', guest: 'test', memoryBytes: 16 << 20 }).start({ log, intern });
    const { hot } = host.owner.machine;
    regions(host.owner as Cpu, isHot);
    expect(host.run(asTicks(1e6))).toMatchObject({ how: 'halted' });
    log.flush();
    expect(hot.calling.size).toBe(isHot ? 1 : 0);
    expect(stacks).toContain(String(0x10_000en));
    return events;
  });
  expect(told[1]!.filter(e => e.kind === 'pte' && e.path === PATH.store)).toHaveLength(3000);
  expect(told[1]).toEqual(told[0]);
});
