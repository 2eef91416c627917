/** A fault leaves nothing half done: registers, flags and memory are those before the instruction. */
import { describe, expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { bare, bytes, NX, PRESENT, R, Tables, USER, WRITE } from '../engine/guest.js';

const RW = PRESENT | WRITE | USER;
const AT = 0x40_0000n;
const SECOND = AT + 0x1000n;
const STACK = 0x8800n;
/** Little room for decoded code: a machine is made in a millisecond. */
const SMALL = { arenaBytes: 1 << 18 };
const run = (cpu: Cpu) => cpu.machine.run(asTicks(cpu.machine.ticks + 100));
const pageFault = (code: number, address: bigint) => ({
  kind: 'trap',
  trap: { vector: 14, code, address, kind: 'fault' },
});
const fault = (vector: number) => ({ kind: 'trap', trap: { vector, code: 0, address: undefined, kind: 'fault' } });
const all = (cpu: Cpu): bigint[] => Array.from({ length: 18 }, (_, n) => cpu.get(n));

/** Ring 3, rbx 3 bytes before the end of a page that is there; the page behind it is the test's. */
function crossing(code: string, second: bigint | undefined, registers: Record<string, bigint> = {}) {
  const initial = {
    rbx: SECOND - 3n,
    rsi: SECOND - 3n,
    rdi: SECOND - 3n,
    rsp: STACK,
    rax: 0x8877_6655_4433_2211n,
    rcx: 5n,
    rflags: 0x8d7n,
    ...registers,
  };
  const cpu = bare(`${code} f4`, initial, SMALL);
  const tables = new Tables(cpu);
  tables.map(0x1000n, 0x1000, RW);
  tables.map(0x8000n, 0x8000, RW);
  tables.map(AT, 0x3000, RW);
  if (second !== undefined) tables.map(SECOND, 0x5000, second);
  cpu.memory.hostWrite(asPaddr(0x3ff0), bytes('00112233445566778899aabbccddeeff'));
  cpu.memory.hostWrite(asPaddr(0x5000), bytes('0123456789abcdef'));
  tables.enable(3);
  return cpu;
}

const STORES: readonly (readonly [string, string, Record<string, bigint>?])[] = [
  ['mov [rbx],rax', '488903'],
  ['mov [rbx],eax', '8903'],
  ['movnti [rbx],rax', '480fc303'],
  ['add [rbx],rax', '480103'],
  ['adc dword [rbx],1', '831301'],
  ['not qword [rbx]', '48f713'],
  ['shl dword [rbx],cl', 'd323'],
  ['rcr qword [rbx],1', '48d11b'],
  ['shld [rbx],rax,cl', '480fa503'],
  ['bts dword [rbx],1', '0fba2b01'],
  ['btc [rbx-8],rax', '480fbb43f8', { rax: 64n }],
  ['xchg [rbx],rax', '488703'],
  ['lock xadd [rbx],rax', 'f0480fc103'],
  ['lock cmpxchg [rbx],rcx', 'f0480fb10b'],
  ['lock cmpxchg8b [rbx]', 'f00fc70b'],
  ['lock dec qword [rbx]', 'f048ff0b'],
  ['movsq', '48a5', { rsi: AT }],
  ['stosq', '48ab'],
  ['rep stosd', 'f3ab'],
  ['pop qword [rbx]', '8f03'],
  ['push rax', '50', { rsp: SECOND + 5n }],
  ['push qword [rbx]', 'ff33', { rbx: AT, rsp: SECOND + 5n }],
  ['pushf', '9c', { rsp: SECOND + 5n }],
  ['call', 'e800000000', { rsp: SECOND + 5n }],
  ['call rcx', 'ffd1', { rsp: SECOND + 5n, rcx: 0x1000n }],
  ['enter 0,0', 'c8000000', { rsp: SECOND + 5n }],
  ['push fs', '0fa0', { rsp: SECOND + 5n }],
];
const LOADS: readonly (readonly [string, string, Record<string, bigint>?])[] = [
  ['mov rax,[rbx]', '488b03'],
  ['cmp [rbx],rax', '483903'],
  ['imul eax,[rbx]', '0faf03'],
  ['bt dword [rbx],1', '0fba2301'],
  ['bsf rax,[rbx]', '480fbc03'],
  ['cmpsq', '48a7', { rdi: AT }],
  ['scasd', 'af'],
  ['rep lodsd', 'f3ad'],
  ['lodsd', 'ad'],
  ['pop rax', '58', { rsp: SECOND - 3n }],
  ['popf', '9d', { rsp: SECOND - 3n }],
  ['ret', 'c3', { rsp: SECOND - 3n }],
  ['leave', 'c9', { rbp: SECOND - 3n }],
  ['jmp [rbx]', 'ff23'],
];

describe('across into a page that is', () => {
  const cases = (list: typeof STORES, second: bigint | undefined, code: number) =>
    list.map(([name, hex, registers]) => [name, hex, registers ?? {}, second, code] as const);
  test.for([
    ...cases(STORES, undefined, 6),
    ...cases(STORES, PRESENT | USER, 7),
    ...cases(STORES, PRESENT | WRITE, 7),
    ...cases(LOADS, undefined, 4),
    ...cases(LOADS, PRESENT | WRITE, 5),
  ])('absent, read-only or not ours, nothing is done: %s', ([, hex, registers, second, code]) => {
    const cpu = crossing(hex, second, registers);
    const before = all(cpu);
    const memory = cpu.memory.guest.slice(0x3000, 0x9000);
    expect(run(cpu)).toEqual(pageFault(code, SECOND));
    expect(all(cpu)).toEqual(before);
    expect([cpu.get(R.rip!), cpu.machine.ticks]).toEqual([0x1000n, 0]);
    expect(cpu.memory.guest.slice(0x3000, 0x9000)).toEqual(memory);
  });

  test.for(STORES)('there, it does what it does elsewhere: %s', ([, hex, registers]) => {
    const cpu = crossing(hex, RW, registers);
    // The same with all addresses moved, so that nothing crosses.
    const elsewhere = crossing(hex, RW, registers);
    const moved = SECOND - (AT + 0x200n);
    for (let reg = 0; reg < 16; reg++) {
      const value = elsewhere.get(reg);
      if (value > SECOND - 0x20n && value < SECOND + 0x20n) elsewhere.set(reg, value - moved);
    }
    elsewhere.memory.hostWrite(asPaddr(0x31f0), bytes('00112233445566778899aabbccddeeff 0123456789abcdef'));
    for (const c of [cpu, elsewhere]) expect(c.machine.step()).toEqual({ kind: 'limit' });
    const { guest } = cpu.memory;
    const written = [...guest.slice(0x3ff0, 0x4000), ...guest.slice(0x5000, 0x5010)];
    expect(written).toEqual([...elsewhere.memory.guest.slice(0x31f0, 0x3210)]);
    for (let reg = 0; reg < 18; reg++) {
      const value = cpu.get(reg);
      expect([value, value - moved]).toContain(elsewhere.get(reg));
    }
  });
});

test('a bit far from its memory operand: the access is where the bit is, and faults there', () => {
  // bts qword [rbx],rcx with the bit 5 quadwords below, then in a page that is not there
  const cpu = crossing('480fab0b', RW, { rbx: SECOND + 0x40n, rcx: BigInt(-5 * 64 + 1) & ((1n << 64n) - 1n) });
  cpu.machine.step();
  expect(cpu.memory.read(asPaddr(0x5018), 8)).toBe(2n);
  const missing = crossing('480fab0b', RW, { rbx: SECOND + 0x40n, rcx: 0x1_0000n });
  expect(run(missing)).toEqual(pageFault(6, SECOND + 0x40n + 0x2000n));
});

test('cmpxchg16b wants 16 bytes aligned, and a page it may write even if it does not', () => {
  expect(run(crossing('480fc70b', RW, { rbx: AT + 8n }))).toEqual(fault(13));
  const cpu = crossing('480fc70b', PRESENT | USER, { rbx: SECOND });
  expect(run(cpu)).toEqual(pageFault(7, SECOND));
});

test('a failed cmpxchg on a page that may not be written faults', () => {
  expect(run(crossing('0fb10b', PRESENT | USER, { rbx: SECOND }))).toEqual(pageFault(7, SECOND));
});

test('a call into a page that is not there has pushed and counted; the fault is of the target', () => {
  for (const [second, code] of [
    [undefined, 0x14],
    [RW | NX, 0x15],
    [PRESENT, 0x15],
  ] as const) {
    const cpu = crossing('ffd3', second, { rbx: SECOND });
    expect(run(cpu)).toEqual(pageFault(code, SECOND));
    expect([cpu.get(R.rip!), cpu.machine.ticks, cpu.get(R.rsp!)]).toEqual([SECOND, 1, STACK - 8n]);
    expect(cpu.memory.read(asPaddr(Number(STACK) - 8), 8)).toBe(0x1002n);
  }
});

test.for([
  ['push rax', '50', { rsp: 1n << 62n }, 12],
  ['push qword [rax]', 'ff30', { rax: 1n << 47n }, 13],
  ['push qword [rbx]', 'ff33', { rbx: AT, rsp: 1n << 62n }, 12],
  ['push qword [rbp+8]', 'ff7508', { rbp: 1n << 47n }, 12],
  ['pop qword [rax]', '8f00', { rax: 1n << 47n }, 13],
  ['call [rbp]', 'ff5500', { rbp: 1n << 47n }, 12],
  ['call rcx to nowhere', 'ffd1', { rcx: 1n << 47n }, 13],
  ['jmp [rax]', 'ff20', { rax: 1n << 47n }, 13],
  ['ret', 'c3', { rsp: 1n << 47n }, 12],
  ['leave', 'c9', { rbp: 1n << 47n }, 12],
  ['pushf', '9c', { rsp: 1n << 62n }, 12],
  ['mov rax,[rbp+rcx*8]', '488b44cd00', { rbp: 1n << 47n, rcx: 1n }, 12],
  ['mov rax,gs:[rbp]', '65488b4500', { rbp: 1n << 47n }, 13],
  ['mov eax,[rsp+0x7fffffff]', '8b8424ffffff7f', { rsp: 1n << 47n }, 12],
  ['stosb', 'aa', { rdi: 1n << 47n }, 13],
  ['xlat', 'd7', { rbx: 1n << 47n }, 13],
] as const)('an address that is not canonical is #SS by rsp or rbp, else #GP: %s', ([, hex, registers, vector]) => {
  const cpu = crossing(hex, undefined, registers);
  const before = all(cpu);
  expect(run(cpu)).toEqual(fault(vector));
  expect(all(cpu)).toEqual(before);
});

test('popf: ring 3 changes neither IF nor IOPL, IOPL 3 frees IF, ring 0 changes both, 16 bits leave the rest', () => {
  const popf = (hex: string, ring: 0 | 3, flags: bigint, image: bigint): bigint => {
    const cpu = crossing(hex, undefined, { rflags: flags });
    cpu.set(R.cs!, ring === 3 ? 0x33n : 0x10n);
    cpu.memory.hostStore(asPaddr(Number(STACK)), 8, image);
    expect(cpu.machine.step()).toEqual({ kind: 'limit' });
    return cpu.get(R.rflags!);
  };
  const [IF, IOPL3, AC, ID, NT, DF] = [0x200n, 0x3000n, 1n << 18n, 1n << 21n, 1n << 14n, 0x400n];
  const everything = 0x8d5n | IF | IOPL3 | AC | ID | NT | DF;
  expect(popf('9d', 3, 2n, everything)).toBe((everything | 2n) & ~IF & ~IOPL3);
  expect(popf('9d', 3, 2n | IF, 0n)).toBe(2n | IF);
  expect(popf('9d', 3, 2n | IF | IOPL3, 0n)).toBe(2n | IOPL3);
  expect(popf('9d', 0, 2n, everything)).toBe(everything | 2n);
  expect(popf('669d', 0, 2n | AC | ID, 0x8d5n)).toBe(0x8d7n | AC | ID);
});

test('bswap of 16 bits, which has no defined result, clears them as processors do', () => {
  const cpu = crossing('660fc8', undefined);
  cpu.machine.step();
  expect(cpu.get(R.rax!)).toBe(0x8877_6655_4433_0000n);
});

test('a watched page is told of each half of a locked store, in order', () => {
  const cpu = crossing('f0480fc103', RW, { rax: 1n }); // lock xadd [rbx],rax
  cpu.memory.watch(asFrame(3), true);
  cpu.memory.watch(asFrame(5), true);
  const seen: number[] = [];
  cpu.memory.onWatched = (at, size) => seen.push(at, size);
  cpu.machine.step();
  expect(seen).toEqual([0x3ffd, 1, 0x3ffe, 1, 0x3fff, 1, 0x5000, 1, 0x5001, 1, 0x5002, 1, 0x5003, 1, 0x5004, 1]);
});
