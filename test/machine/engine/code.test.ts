import { expect, test } from 'vitest';
import { asPaddr, asTicks } from '../../../src/base/brand.js';
import { Cpu } from '../../../src/machine/x86/cpu.js';
import { bare, bytes, PRESENT, R, Tables, WRITE } from './guest.js';
import { CODE_AT, ENTRY, KERNELS } from './kernels.js';

const HALT = { kind: 'halt' };
const RW = PRESENT | WRITE;

test('an instruction that rewrites the next one sees its own work', () => {
  // mov byte [0x100d],0x05; add eax,3 (its immediate is at 0x100a); hlt
  const cpu = bare('c604250a10000005 83c003 f4');
  for (const stepping of [false, true]) {
    cpu.memory.hostWrite(asPaddr(0x1000), bytes('c604250a10000005 83c003 f4'));
    cpu.set(R.rip!, 0x1000n);
    cpu.set(R.rax!, 0n);
    const end = cpu.machine.ticks + 1000;
    let exit = stepping ? cpu.machine.step() : cpu.machine.run(asTicks(end));
    while (exit.kind === 'limit') exit = cpu.machine.step();
    expect(exit).toEqual(HALT);
    expect(cpu.get(R.rax!)).toBe(5n);
  }
  expect(cpu.machine.ticks).toBe(6);
});

test('a loop that patches itself each turn runs the patched code each turn', () => {
  // mov ecx,100; L: add eax,1 (imm at 0x1007); inc byte [0x1007]; dec ecx; jnz L; hlt
  const cpu = bare('b964000000 83c001 fe042507100000 ffc9 75f2 f4');
  expect(cpu.machine.run(asTicks(1e6))).toEqual(HALT);
  let expected = 0;
  for (let n = 1; n <= 100; n++) expected += n;
  expect(cpu.get(R.rax!)).toBe(BigInt(expected));
  expect(cpu.machine.code.invalidated).toBeGreaterThanOrEqual(100);
});

test('host writes to code are seen', () => {
  const cpu = bare('83c001 f4');
  cpu.machine.run(asTicks(100));
  cpu.memory.hostStore(asPaddr(0x1002), 1, 7n);
  cpu.set(R.rip!, 0x1000n);
  cpu.machine.run(asTicks(100));
  expect(cpu.get(R.rax!)).toBe(8n);
});

test('an instruction across two pages follows a change of the second page', () => {
  const cpu = new Cpu(4 << 20);
  const tables = new Tables(cpu);
  tables.map(0x1000n, 0x1000, RW);
  const entry = tables.map(0x2000n, 0x5000, RW);
  // At 0x1ffd: add eax,imm32 (05 + 4 bytes), the last two bytes in the next page; then hlt.
  cpu.memory.hostWrite(asPaddr(0x1ffd), bytes('050100'));
  cpu.memory.hostWrite(asPaddr(0x5000), bytes('0000f4'));
  cpu.memory.hostWrite(asPaddr(0x6000), bytes('0100f4'));
  tables.enable(0);
  const go = (): bigint => {
    cpu.set(R.rip!, 0x1ffdn);
    cpu.set(R.rax!, 0n);
    expect(cpu.machine.run(asTicks(cpu.machine.ticks + 100))).toEqual(HALT);
    return cpu.get(R.rax!);
  };
  expect([go(), go()]).toEqual([1n, 1n]);
  cpu.memory.hostStore(asPaddr(entry), 8, 0x6000n | RW);
  expect(go()).toBe(1n);
  cpu.memory.tlb.flush(false);
  expect([go(), go()]).toEqual([0x10001n, 0x10001n]);
  cpu.memory.hostStore(asPaddr(0x6000), 1, 2n);
  expect(go()).toBe(0x20001n);
  cpu.memory.hostStore(asPaddr(entry), 8, 0n);
  cpu.memory.tlb.flush(false);
  cpu.set(R.rip!, 0x1ffdn);
  expect(cpu.machine.run(asTicks(1e6))).toEqual({
    kind: 'trap',
    trap: { vector: 14, code: 0x10, address: 0x2000n, kind: 'fault' },
  });
  expect(cpu.get(R.rip!)).toBe(0x1ffdn);
});

test('when the arena is full everything is decoded anew and nothing else changes', () => {
  const small = bare('f4', { rdi: 4n, rsi: 500n, rdx: 0x20_0000n }, { arenaBytes: 1 });
  const large = bare('f4', { rdi: 4n, rsi: 500n, rdx: 0x20_0000n });
  for (const cpu of [small, large]) {
    cpu.memory.hostWrite(asPaddr(CODE_AT), bytes(KERNELS));
    cpu.memory.hostWrite(asPaddr(0xa000), bytes('f4'));
    cpu.memory.hostStore(asPaddr(0x9000), 8, 0xa000n);
    cpu.set(R.rip!, BigInt(ENTRY));
  }
  // Single steps and whole blocks use different records: enough of both to fill 64 KiB.
  for (let turn = 0; turn < 40; turn++) {
    for (const cpu of [small, large]) {
      cpu.memory.hostStore(asPaddr(CODE_AT), 1, cpu.memory.read(asPaddr(CODE_AT), 1));
      for (let at = CODE_AT; at < CODE_AT + 741; at += 8)
        cpu.memory.hostStore(asPaddr(at), 1, cpu.memory.read(asPaddr(at), 1));
      cpu.machine.run(asTicks(cpu.machine.ticks + 100));
    }
  }
  for (const cpu of [small, large]) expect(cpu.machine.run(asTicks(1e7))).toEqual(HALT);
  expect(small.machine.code.resets).toBeGreaterThan(0);
  expect(large.machine.code.resets).toBe(0);
  for (let reg = 0; reg < 18; reg++) expect(small.get(reg)).toBe(large.get(reg));
});

test('what is not implemented ends the run, named, with nothing done', () => {
  const cpu = bare('4883c001 d9fe'); // add rax,1; fsin (if somebody implements it: choose another)
  const exit = cpu.machine.run(asTicks(1000));
  expect(exit).toMatchObject({ kind: 'unimplemented', what: expect.stringContaining('fsin') });
  expect([cpu.get(R.rip!), cpu.machine.ticks]).toEqual([0x1004n, 1]);
});

test('bytes that are no instruction raise #UD at it, and a division by zero #DE', () => {
  const trap = (vector: number) => ({
    kind: 'trap',
    trap: { vector, code: undefined, address: undefined, kind: 'fault' },
  });
  expect(bare('0f0b').machine.run(asTicks(9))).toEqual(trap(6));
  expect(bare('06').machine.run(asTicks(9))).toEqual(trap(6));
  const cpu = bare('31c9 f7f1', { rax: 5n });
  expect(cpu.machine.run(asTicks(9))).toEqual(trap(0));
  expect([cpu.get(R.rax!), cpu.get(R.rip!), cpu.machine.ticks]).toEqual([5n, 0x1002n, 1]);
});

test('ring 3 may not halt', () => {
  const cpu = bare('f4', { cs: 0x33n });
  expect(cpu.machine.run(asTicks(9))).toEqual({
    kind: 'trap',
    trap: { vector: 13, code: 0, address: undefined, kind: 'fault' },
  });
});
