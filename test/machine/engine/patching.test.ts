/**
 * Code that changes while it runs: patched code is seen at the next fetch, wherever the patch came from, and the blocks
 * decoded from the bytes that changed are dropped, and no others.
 */
import { expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import { PAGE_FLAGS } from '../../../src/machine/engine/layout.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { bare, bytes, PRESENT, R, Tables, WRITE } from './guest.js';

const HALT = { kind: 'halt' };
const RW = PRESENT | WRITE;
const PAGES = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000, 0x8000];
/** The frames of PAGES once more. */
const ALIAS = 0x40_0000;

/** Identity pages, with every frame at a second address too. `code`: address to hex. */
function paged(code: Readonly<Record<number, string>>, registers: Record<string, bigint> = {}) {
  const cpu = bare('f4', registers);
  for (const [at, hex] of Object.entries(code)) cpu.memory.hostWrite(asPaddr(Number(at)), bytes(hex));
  const tables = new Tables(cpu);
  for (const page of PAGES) {
    tables.map(BigInt(page), page, RW);
    tables.map(BigInt(page + ALIAS), page, RW);
  }
  tables.enable(0);
  return { cpu, tables };
}
const run = (cpu: Cpu, from = 0x1000) => {
  cpu.set(R.rip!, BigInt(from));
  return cpu.machine.run(asTicks(cpu.machine.ticks + 100_000));
};
const counts = ({ machine: { code } }: Cpu) => ({ decoded: code.decoded, invalidated: code.invalidated });
/** A little-endian u32 in hex. */
const le = (n: number): string => Buffer.from(Int32Array.of(n).buffer).toString('hex');
/** call from an address to another. */
const call = (from: number, to: number): string => `e8${le(to - from - 5)}`;

/** Calls a function at 0x3000 (add eax,1; ret), patches its immediate through `at` to 7, and calls it again. */
const caller = (at: number): Record<number, string> => ({
  4096: `31c0 ${call(0x1002, 0x3000)} c60425${le(at)}07 ${call(0x100f, 0x3000)} f4`,
  12288: '83c001 c3',
});

test.for([
  ['from another page', 0x3002],
  ['through another address of its frame', 0x3002 + ALIAS],
] as const)('a function patched %s is seen by the next call, a direct one', ([, at]) => {
  const { cpu } = paged(caller(at));
  for (const expected of [8n, 14n]) {
    expect(run(cpu)).toEqual(HALT); // the second time it begins patched, and the patch changes nothing
    expect(cpu.get(R.rax!)).toBe(expected);
  }
  expect(cpu.machine.code.invalidated).toBe(2);
});

test('a function that patches its caller returns into the new code', () => {
  // L: call f; add eax,1; hlt     f: mov byte [0x1007],9; ret
  const { cpu } = paged({ 4096: `${call(0x1000, 0x1020)} 83c001 f4`, 4128: 'c604250710000009 c3' });
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.get(R.rax!)).toBe(9n);
});

test('rep stos over itself and what follows executes what it wrote', () => {
  // mov al,0x90; mov ecx,7; mov edi,0x100c; (0x100c) rep stosb; inc ebx; inc ebx; nop; hlt
  const { cpu } = paged({ 4096: 'b090 b907000000 bf0c100000 f3aa ffc3 ffc3 90 f4' });
  expect(run(cpu)).toEqual(HALT);
  expect([cpu.get(R.rbx!), cpu.get(R.rip!), cpu.machine.ticks]).toEqual([0n, 0x1014n, 3 + 1 + 5 + 1]);
});

test('a locked cmpxchg that replaces the next instruction is followed by the new one', () => {
  // mov eax,[0x1013]; mov ecx,0x9005c383 (add ebx,5; nop); lock cmpxchg [0x1015],ecx; add ebx,1; nop; hlt
  const { cpu } = paged({ 4096: `8b0425${le(0x1015)} b983c30590 f00fb10c25${le(0x1015)} 83c301 90 f4` });
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.get(R.rbx!)).toBe(5n);
});

test('a call that pushes onto the instruction it calls executes what it pushed', () => {
  // rsp is behind f: the return address, 0x1007, overwrites f, whose first bytes become "07", which is no instruction.
  const { cpu } = paged({ 4096: `90 90 ${call(0x1002, 0x3000)} f4`, 12288: '83c001 c3 90 90 90 90' }, { rsp: 0x3008n });
  expect(run(cpu, 0x3000)).toMatchObject({ kind: 'trap' }); // decodes it; its ret goes nowhere
  cpu.set(R.rsp!, 0x3008n);
  expect(run(cpu)).toMatchObject({ kind: 'trap', trap: { vector: 6 } });
  expect(cpu.get(R.rip!)).toBe(0x3000n);
});

test('a store that faults half way leaves the code as it was', () => {
  // At 0x6ff0: mov [0x6ffc],rax (8 bytes, the last 4 in a page that is not there). At 0x6ffc: inc ebx, then ud2.
  const { cpu } = paged({ 28656: `48890425${le(0x6ffc)} ebe6`, 28668: 'ffc3 0f0b' }, { rax: ~0n });
  expect(run(cpu, 0x6ffc)).toMatchObject({ trap: { vector: 6 } });
  const before = counts(cpu);
  expect(run(cpu, 0x6ff0)).toMatchObject({ trap: { vector: 14, address: 0x7000n } });
  expect(counts(cpu)).toEqual({ ...before, decoded: before.decoded + 1 });
  expect(run(cpu, 0x6ffc)).toMatchObject({ trap: { vector: 6 } });
  expect(cpu.get(R.rbx!)).toBe(2n);
});

/** add eax,imm32 with two bytes in each of two pages; hlt. */
const ACROSS = { 8189: '050100', 8192: '0000f4' };

test.for([
  ['the second page', 0x2000, 0x50001n],
  ['the second page through an alias', 0x2000 + ALIAS, 0x50001n],
  ['the first page', 0x1fff, 0x501n],
] as const)('an instruction across pages follows a patch of %s by the guest', ([, at, expected]) => {
  const { cpu } = paged({ ...ACROSS, 12288: `c60425${le(at)}05 31c0 eb${(256 - 12).toString(16)}` });
  cpu.memory.hostWrite(asPaddr(0x300a), bytes(`e9${le(0x1ffd - 0x300f)}`));
  expect(run(cpu, 0x1ffd)).toEqual(HALT);
  expect(cpu.get(R.rax!)).toBe(1n);
  const before = counts(cpu);
  expect(run(cpu, 0x3000)).toEqual(HALT);
  expect(cpu.get(R.rax!)).toBe(expected);
  expect(counts(cpu).invalidated).toBe(before.invalidated + 1);
});

test('an instruction across two pages that are one frame, the only one there, is dropped once', () => {
  // jmp 0x3000, whose last two bytes are at 0x2000, in the frame of 0x1000
  const jump = (to: number): string => `e9${le(to - 0x2002)}`;
  const { cpu, tables } = paged({ 8189: jump(0x3000).slice(0, 6), 12288: 'ffc0 f4', 12544: '83c064 f4' });
  tables.map(0x2000n, 0x1000, RW);
  cpu.memory.hostWrite(asPaddr(0x1000), bytes(jump(0x3000).slice(6)));
  expect([run(cpu, 0x1ffd), cpu.get(R.rax!)]).toEqual([HALT, 1n]);
  const before = counts(cpu);
  cpu.memory.hostWrite(asPaddr(0x1ffd), bytes(jump(0x3100).slice(0, 6)));
  cpu.memory.hostWrite(asPaddr(0x1000), bytes(jump(0x3100).slice(6)));
  expect(counts(cpu).invalidated).toBe(before.invalidated + 1);
  expect([run(cpu, 0x1ffd), cpu.get(R.rax!)]).toEqual([HALT, 101n]);
});

test('an instruction across pages stays decoded when its fast tags are dropped', () => {
  const { cpu } = paged(ACROSS);
  expect(run(cpu, 0x1ffd)).toEqual(HALT);
  const before = counts(cpu);
  for (let turn = 0; turn < 5; turn++) {
    cpu.memory.tlb.dropFast();
    expect(run(cpu, 0x1ffd)).toEqual(HALT);
    cpu.memory.tlb.flush(false);
    expect(run(cpu, 0x1ffd)).toEqual(HALT);
  }
  expect(counts(cpu)).toEqual(before);
});

test('text is poked as kernels do it: a breakpoint first, then the tail, then the first byte', () => {
  // f: nop (5 bytes); add eax,1; ret     g: add eax,100; ret. Callers go on between the steps; writes go by the alias.
  const { cpu } = paged({ 4096: `31c0 ${call(0x1002, 0x3000)} f4`, 12288: '0f1f440000 83c001 c3', 16384: '83c064 c3' });
  const poke = (at: number, hex: string): void => {
    // mov byte [at],imm8 for each byte; hlt: by the guest itself
    const stores = [...bytes(hex)].map((b, n) => `c60425${le(at + n + ALIAS)}${b.toString(16).padStart(2, '0')}`);
    cpu.memory.hostWrite(asPaddr(0x5000), bytes(`${stores.join('')} f4`));
    expect(run(cpu, 0x5000)).toEqual(HALT);
  };
  const target = call(0x3000, 0x4000);
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 1n]);
  poke(0x3000, 'cc');
  const breakpoint = { kind: 'trap', trap: { vector: 3, kind: 'trap' } };
  expect(run(cpu)).toMatchObject(breakpoint);
  expect(cpu.get(R.rip!)).toBe(0x3001n);
  poke(0x3001, target.slice(2));
  expect(run(cpu)).toMatchObject(breakpoint);
  poke(0x3000, target.slice(0, 2));
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 101n]);
});

test('a code page that is mapped elsewhere is old code until its translation is flushed, by the guest too', () => {
  // call 0x3000; hlt       call 0x3000; invlpg [0x3000]; call 0x3000; hlt
  const { cpu, tables } = paged({
    4096: `${call(0x1000, 0x3000)} f4`,
    4352: `${call(0x1100, 0x3000)} 0f013c2500300000 ${call(0x110d, 0x3000)} f4`,
    12288: '83c001 c3',
    16384: '83c064 c3',
  });
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 1n]);
  tables.map(0x3000n, 0x4000, RW);
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 2n]);
  cpu.memory.tlb.dropFast(); // a cache of the TLB: nothing the guest sees
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 3n]);
  expect([run(cpu, 0x1100), cpu.get(R.rax!)]).toEqual([HALT, 104n]);
  tables.map(0x3000n, 0x3000, RW);
  cpu.memory.tlb.flush(true);
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 105n]);
});

test('a page of code becomes data, then a page table, then code again', () => {
  // Zeroes the frame of 0x3000 with rep stosq; hlt.
  const { cpu, tables } = paged({ 4096: 'bf00300000 31c0 b900020000 f348ab f4', 12288: '83c001 f4' });
  const flags = (): number => cpu.memory.pageFlags[3]!;
  expect(run(cpu, 0x3000)).toEqual(HALT);
  expect(flags() & PAGE_FLAGS.code).toBe(PAGE_FLAGS.code);
  expect(run(cpu)).toEqual(HALT);
  expect(flags()).toBe(0);
  // As a last-level table it maps 0x60_0000 to the frame of 0x4000; the guest writes that entry and calls there.
  const l2 = tables.map(0x60_0000n, 0, 0n) & ~0xfff;
  const above = [...Array(512).keys()]
    .map(n => 0x10_0000 + n * 8)
    .concat([...Array(4096).keys()].map(n => 0x10_1000 + n * 8))
    .find(at => (cpu.memory.read(asPaddr(at), 8) & ~0xfffn) === BigInt(l2))!;
  cpu.memory.hostStore(asPaddr(above), 8, 0x3000n | RW);
  cpu.memory.watch(asFrame(3), true);
  const seen: number[] = [];
  cpu.memory.onWatched = at => seen.push(at);
  cpu.memory.hostWrite(asPaddr(0x4000), bytes('83c064 c3'));
  // mov dword [0x3000],0x4003; call 0x600000; hlt
  cpu.memory.hostWrite(asPaddr(0x5000), bytes(`c70425${le(0x3000)}${le(0x4003)} ${call(0x500b, 0x60_0000)} f4`));
  cpu.set(R.rax!, 0n);
  expect([run(cpu, 0x5000), cpu.get(R.rax!)]).toEqual([HALT, 100n]);
  expect(seen).toEqual([0x3000, 0x3000]); // the guest's store, and the walker's accessed bit
  cpu.memory.watch(asFrame(3), false);
  cpu.memory.hostWrite(asPaddr(0x3000), bytes('83c009 f4'));
  expect([run(cpu, 0x3000), cpu.get(R.rax!)]).toEqual([HALT, 109n]);
});

test('neighbours of patched code in the same line of memory stay decoded', () => {
  // f, g, h: add eax,imm8; ret, four bytes each, without a gap; called in turn.
  const callers = [0, 4, 8].map((n, i) => call(0x1000 + 5 * i, 0x3000 + n)).join('');
  const { cpu } = paged({ 4096: `${callers} f4`, 12288: '83c001c3 83c002c3 83c004c3' });
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 7n]);
  const before = counts(cpu);
  cpu.memory.hostStore(asPaddr(0x3006), 1, 3n); // g
  expect(counts(cpu).invalidated).toBe(before.invalidated + 1);
  expect([run(cpu), cpu.get(R.rax!)]).toEqual([HALT, 15n]);
  expect(counts(cpu)).toEqual({ decoded: before.decoded + 1, invalidated: before.invalidated + 1 });
  for (const at of [0x2fff, 0x300c]) cpu.memory.hostStore(asPaddr(at), 1, 0xccn); // right before f, right behind h
  expect(counts(cpu).invalidated).toBe(before.invalidated + 1);
  cpu.memory.hostStore(asPaddr(0x3003), 2, 0x83c3n); // the last byte of f and the first of g: unchanged, but who knows
  expect(counts(cpu).invalidated).toBe(before.invalidated + 3);
});

test('data beside code costs no decoded block, unless a store reaches into it', () => {
  // L: mov [0x3ff0],rcx; add [0x3080],rcx; dec ecx; jnz L; hlt, all in the page of the data
  const { cpu } = paged({ 12288: `48890c25${le(0x3ff0)} 48010c25${le(0x3080)} ffc9 75ec f4` }, { rcx: 1000n });
  expect(run(cpu, 0x3000)).toEqual(HALT);
  expect(cpu.memory.read(asPaddr(0x3080), 8)).toBe(500_500n);
  expect(counts(cpu)).toEqual({ decoded: 2, invalidated: 0 });
  // mov [0x2ffc],rax: the last four bytes are the first of L
  cpu.memory.hostWrite(asPaddr(0x1000), bytes(`48890425${le(0x303c)} f4`));
  cpu.memory.hostWrite(asPaddr(0x3040), bytes('ffc3 f4'));
  expect(run(cpu, 0x3040)).toEqual(HALT);
  cpu.set(R.rax!, 0x00f4_90f4_9090_9090n);
  expect(run(cpu)).toEqual(HALT);
  expect(counts(cpu).invalidated).toBe(1);
  expect(run(cpu, 0x3040)).toEqual(HALT);
  expect([cpu.get(R.rbx!), cpu.get(R.rip!)]).toEqual([1n, 0x3041n]);
});

test('14,500 patches decode only what they changed, and the arena stays within bounds', () => {
  // 290 pages of 50 sites: add eax,imm8; ret. Each is called, patched and called again, by a loop over [rbx], [rbp].
  const cpu = bare('f4', {}, { arenaBytes: 1 << 20 });
  const SITES = 50;
  const sites: number[] = [];
  for (let page = 0; page < 290; page++) for (let n = 0; n < SITES; n++) sites.push(0x1_0000 + page * 0x1000 + n * 73);
  for (const at of sites) cpu.memory.hostWrite(asPaddr(at), bytes('83c001 c3'));
  const table = 0x20_0000;
  sites.forEach((at, n) => {
    cpu.memory.hostStore(asPaddr(table + 8 * n), 8, BigInt(at));
  });
  // L: mov rdx,[rbx]; call rdx; inc byte [rdx+2]; call rdx; add rbx,8; dec ecx; jnz L; hlt
  const loop = '488b13 ffd2 fe4202 ffd2 4883c308 ffc9 75ee f4';
  const go = (): void => {
    cpu.memory.hostWrite(asPaddr(0x1000), bytes(loop));
    for (const [name, value] of Object.entries({ rip: 0x1000, rbx: table, rcx: sites.length, rax: 0, rsp: 0x9000 }))
      cpu.set(R[name]!, BigInt(value));
    expect(cpu.machine.run(asTicks(1e9))).toEqual(HALT);
  };
  go();
  expect(cpu.get(R.rax!)).toBe(BigInt(3 * sites.length));
  const { code } = cpu.machine;
  expect(code.invalidated).toBe(sites.length);
  // A megabyte holds some 10,000 such blocks: it was full now and then, and what was forgotten was decoded again.
  expect(code.resets).toBeLessThan(6);
  expect(code.decoded).toBeLessThan(2 * sites.length + 10 * (code.resets + 1));
  go();
  expect(cpu.get(R.rax!)).toBe(BigInt(5 * sites.length));
});
