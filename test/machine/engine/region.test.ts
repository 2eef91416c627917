/**
 * Regions of hot code are a cache like decoded blocks: with them, made as early and as often as can be, programs give the
 * same registers, memory, TLBs, ticks, ends of runs and watched stores as without.
 */
import { expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { calling } from './calling.js';
import { bare, bytes, PRESENT, R, Tables, WRITE } from './guest.js';
import { RESULTS } from './kernels.js';
import { Random, runTo, whole, worldOf } from './patching-program.js';

const SEED = Number(process.env.REWALK_SEED ?? 1);
const HALT = { kind: 'halt' };

/** From now on every place where a run stops between blocks becomes a region; or none does. */
function regions(cpu: Cpu, every: number | 'never'): Cpu {
  cpu.machine.hot.often = 1;
  cpu.machine.hot.sampleTicks = every === 'never' ? Number.POSITIVE_INFINITY : every;
  return cpu;
}
function same(one: Cpu, other: Cpu, where = ''): void {
  const [a, b] = [whole(one), whole(other)];
  expect(a.ticks, where).toBe(b.ticks);
  expect(Buffer.compare(a.state, b.state), `${where} registers or TLB`).toBe(0);
  expect(Buffer.compare(a.memory, b.memory), `${where} memory`).toBe(0);
}
const run = (cpu: Cpu, ticks = 1e9) => cpu.machine.run(asTicks(cpu.machine.ticks + ticks));

test.for(RESULTS.map((r, what) => ({ ...r, what })))(
  '$name gives in regions what the real processor gave',
  ({ what, n, result }) => {
    const cpu = regions(calling(what, n), 5000);
    expect(run(cpu)).toEqual(HALT);
    expect(cpu.get(R.rax!)).toBe(result);
    expect(cpu.machine.hot.made).toBeGreaterThan(0);
  },
);

test('a run in regions can stop at any tick, and is where a run without them is', () => {
  for (const [what, n] of [
    [2, 300],
    [3, 12],
    [4, 500],
  ] as const) {
    const [plain, hot] = [regions(calling(what, n), 'never'), regions(calling(what, n), 50)];
    run(hot); // makes the regions
    const again = regions(calling(what, n), 50);
    for (const cpu of [plain, again]) {
      const random = new Random(SEED + what);
      for (let exit = run(cpu, 1 + random.below(300)); exit.kind === 'limit'; ) exit = run(cpu, 1 + random.below(300));
    }
    expect(again.machine.hot.made).toBeGreaterThan(0);
    same(again, plain);
    same(hot, plain);
  }
});

test('random programs that patch themselves do the same in regions', () => {
  let made = 0;
  let dropped = 0;
  for (let n = 0; n < 40; n++) {
    const seed = SEED * 5000 + n;
    const [plain, hot] = [worldOf(seed, 400), worldOf(seed, 400)];
    regions(plain.cpu, 'never');
    regions(hot.cpu, 40);
    for (const world of [plain, hot]) world.run(6000, until => runTo(world.cpu, until));
    const where = `program ${seed}`;
    expect(hot.story, where).toEqual(plain.story);
    same(hot.cpu, plain.cpu, where);
    made += hot.cpu.machine.hot.made;
    dropped += hot.cpu.machine.hot.dropped;
  }
  expect(made).toBeGreaterThan(100);
  expect(dropped).toBeGreaterThan(50);
});

/** Loops over a dozen random instructions on registers, whose flags are read at once, later or never, by every condition. */
function arithmetic(seed: number): string {
  const r = new Random(seed);
  const reg = (): number => r.of([0, 2, 3, 6, 7]); // not rcx, which counts, and not rsp, rbp
  const modrm = (): number => 0xc0 | (reg() << 3) | reg();
  const digit = (n: number): number => 0xc0 | (n << 3) | reg();
  const prefix = (): number[] => r.of([[], [], [0x48], [0x66]]);
  const one = (): number[] =>
    r.of<() => number[]>([
      () => [...prefix(), r.of([0x01, 0x03, 0x29, 0x31, 0x21, 0x09, 0x39, 0x85, 0x11, 0x19, 0x13, 0x1b]), modrm()],
      () => [r.of([0x00, 0x28, 0x30, 0x20, 0x38, 0x84, 0x10, 0x18]), modrm()], // bytes, ah and dh among them
      () => [...prefix(), 0x83, digit(r.below(8)), r.below(256)],
      () => [...prefix(), 0xc1, digit(r.of([0, 1, 2, 3, 4, 5, 7])), r.below(70)],
      () => [...prefix(), 0xd1, digit(r.of([0, 1, 4, 5, 7]))],
      () => [...prefix(), 0xd3, digit(r.of([0, 1, 2, 3, 4, 5, 7]))], // by cl
      () => [...prefix(), 0xff, digit(r.below(2))], // inc, dec
      () => [...prefix(), 0xf7, digit(r.of([2, 3, 4, 5]))], // not, neg, mul, imul
      () => [0x0f, 0x90 | r.below(16), 0xc0 | r.of([0, 2, 3])], // setcc
      () => [0x0f, 0x90 | r.below(16), 0xc0 | r.of([0, 2, 3])],
      () => [...r.of([[], [0x48]]), 0x0f, 0x40 | r.below(16), modrm()], // cmovcc
      ...Array<() => number[]>(4).fill(() => {
        // A comparison, of a register with itself or an equal one in half of the cases, and setcc or cmovcc behind it.
        const a = reg();
        const equal = r.below(2) ? [0x89, 0xc0 | (a << 3) | ((a + 3) & 7 & ~4)] : [];
        const b = equal.length > 0 ? equal[1]! & 7 : r.below(2) ? a : reg();
        const compare = [...prefix(), r.of([0x39, 0x29, 0x85, 0x01, 0x31]), 0xc0 | (a << 3) | b];
        const reader = r.below(2)
          ? [0x0f, 0x90 | r.below(16), 0xc0 | r.of([0, 2, 3])]
          : [0x0f, 0x40 | r.below(16), modrm()];
        return b === 1 ? [] : [...equal, ...compare, ...reader];
      }),
      () => [0x70 | r.below(16), 2, 0xff, digit(0)], // jcc over an inc
      () => [0x70 | r.below(16), 2, 0xff, digit(1)],
      () => [0x0f, r.of([0xaf, 0xb6, 0xb7, 0xbe, 0xbf, 0xa3, 0xbc, 0xbd, 0xc1, 0xb1]), modrm()],
      () => [0x0f, r.of([0xa4, 0xac]), modrm(), r.below(40)],
      () => [r.of([0xf5, 0xf8, 0xf9, 0x9f, 0x9e, 0x98, 0x99])], // cmc, clc, stc, lahf, sahf, cwde, cdq
      () => [0x50 | reg(), 0x58 | reg()],
      () => [0x9c, 0x58 | reg()], // pushf; pop
    ])();
  const body = Array.from({ length: 14 }, one).flat();
  return Buffer.from([...body, 0xff, 0xc9, 0x0f, 0x85, ...le32(-(body.length + 8)), 0xf4]).toString('hex');
}
const le32 = (n: number): number[] => [0, 8, 16, 24].map(shift => (n >> shift) & 0xff);

test('random arithmetic has the same registers and flags in a region, instruction by instruction', () => {
  let made = 0;
  for (let n = 0; n < 50; n++) {
    const seed = SEED * 7000 + n;
    const [plain, hot] = (['never', 60] as const).map(every => {
      const registers = { rax: BigInt(seed) * 0x9e3779b97f4a7c15n, rdx: 0x8000_0000n, rbx: ~0n, rsi: 1n, rcx: 60n };
      const cpu = regions(bare(arithmetic(seed), registers), every);
      for (let exit = run(cpu, 97); exit.kind === 'limit'; ) exit = run(cpu, 97);
      return cpu;
    }) as [Cpu, Cpu];
    same(hot, plain, `program ${seed}: ${arithmetic(seed)}`);
    made += hot.machine.hot.made;
  }
  expect(made).toBeGreaterThan(40);
});

/** L: add [rbx],rcx; add rbx,8; dec ecx; jnz L; hlt: sums into the pages from rbx on. */
const SUMS = '48010b 4883c308 ffc9 75f5 f4';
const AT = 0x40_0000n;
function summing(every: number | 'never') {
  const cpu = regions(bare(SUMS, { rbx: AT, rcx: 2000n }), every);
  const tables = new Tables(cpu);
  tables.map(0x1000n, 0x1000, PRESENT | WRITE);
  for (let n = 0; n < 4; n++) tables.map(AT + 0x1000n * BigInt(n), 0x3000 + 0x1000 * n, PRESENT | WRITE);
  tables.enable(0);
  return { cpu, tables };
}

test('a page fault in the middle of a region has the registers, flags and tick of the instruction', () => {
  const [plain, hot] = [summing('never'), summing(100)].map(({ cpu, tables }) => {
    tables.map(AT + 0x2000n, 0, 0n);
    expect(run(cpu)).toMatchObject({ kind: 'trap', trap: { vector: 14, address: AT + 0x2000n } });
    return cpu;
  }) as [Cpu, Cpu];
  expect(hot.machine.hot.made).toBe(1);
  expect([hot.get(R.rip!), hot.get(R.rflags!)]).toEqual([plain.get(R.rip!), plain.get(R.rflags!)]);
  same(hot, plain);
});

test('a watched store in a region is told as without: old and new value, tick, address, registers', () => {
  const seen = [summing('never'), summing(100)].map(({ cpu }) => {
    const told: unknown[] = [];
    cpu.memory.onWatched = (at, size, oldLo, oldHi, newLo, newHi) =>
      told.push([
        at,
        size,
        oldLo,
        oldHi,
        newLo,
        newHi,
        cpu.machine.ticks,
        cpu.machine.pc,
        cpu.get(R.rbx!),
        cpu.get(R.rcx!),
        cpu.get(R.rflags!),
      ]);
    cpu.memory.watch(asFrame(4), true);
    expect(run(cpu)).toEqual(HALT);
    return told;
  });
  expect(seen[1]).toHaveLength(512);
  expect(seen[1]).toEqual(seen[0]);
});

test('a region ends with the code it was made of: by a patch, by a page mapped elsewhere, by a flush', () => {
  const { cpu, tables } = summing(100);
  const go = (): bigint => {
    cpu.set(R.rip!, 0x1000n);
    cpu.set(R.rbx!, AT);
    cpu.set(R.rcx!, 1000n);
    expect(run(cpu)).toEqual(HALT);
    return cpu.memory.read(asPaddr(0x3000), 8);
  };
  const { hot } = cpu.machine;
  expect([go(), go(), go(), go(), hot.made, hot.dropped]).toEqual([1000n, 2000n, 3000n, 4000n, 1, 0]);
  cpu.memory.hostStore(asPaddr(0x1001), 1, 0x29n); // sub
  expect([go(), hot.made, hot.dropped]).toEqual([3000n, 2, 1]);
  cpu.memory.hostStore(asPaddr(0x1fff), 1, 0x90n); // elsewhere in the page
  expect([go(), hot.made, hot.dropped]).toEqual([2000n, 2, 1]);
  cpu.memory.hostWrite(asPaddr(0x7000), bytes(SUMS));
  tables.map(0x1000n, 0x7000, PRESENT | WRITE);
  expect(go()).toBe(1000n); // the old translation still
  cpu.memory.tlb.flushPage(0x1000n);
  expect([go(), go(), hot.made]).toEqual([2000n, 3000n, 3]);
  tables.map(0x1000n, 0x1000, PRESENT | WRITE);
  cpu.memory.tlb.flush(false);
  expect([go(), hot.made]).toEqual([2000n, 3]); // the first region is still there
});

test('regions survive the arena, and are made anew behind it', () => {
  const { cpu } = summing(100);
  run(cpu, 1000);
  expect(cpu.machine.hot.made).toBe(1);
  cpu.machine.code.reset();
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.machine.hot.made).toBe(2);
  const { cpu: plain } = summing('never');
  run(plain);
  same(cpu, plain);
});
