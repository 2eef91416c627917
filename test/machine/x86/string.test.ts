import { describe, expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import type { Exit } from '../../../src/machine/engine/exits.js';
import type { Cpu } from '../../../src/machine/x86/cpu.js';
import { bare, bytes, PRESENT, R, Tables, USER, WRITE } from '../engine/guest.js';

const RW = PRESENT | WRITE | USER;
const HALT = { kind: 'halt' };
const AT = 0x40_0000n;
const SMALL = { arenaBytes: 1 << 18 };
const UP = 2n;
const DOWN = 0x402n;
const run = (cpu: Cpu): Exit => cpu.machine.run(asTicks(cpu.machine.ticks + 1000));
const progress = (cpu: Cpu): bigint[] => ['rsi', 'rdi', 'rcx'].map(name => cpu.get(R[name]!));
const pageFault = (code: number, address: bigint) => ({
  kind: 'trap',
  trap: { vector: 14, code, address, kind: 'fault' },
});
/** Code at 0x1000, and pages from AT on: a physical address for each, or nothing. */
function paged(code: string, pages: readonly (number | undefined)[], registers: Record<string, bigint>) {
  const cpu = bare(code, registers, SMALL);
  const tables = new Tables(cpu);
  tables.map(0x1000n, 0x1000, RW);
  for (const [n, at] of pages.entries()) if (at) tables.map(AT + BigInt(n) * 4096n, at, RW);
  tables.enable(0);
  return { cpu, tables };
}
/** Small numbers from a seed: a linear congruential generator (Numerical Recipes). */
const random = (seed: number) => (below: number) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};

const encode = (byte: number, size: number, rep = ''): string =>
  (size === 2 ? '66' : '') + rep + (size === 8 ? '48' : '') + (size === 1 ? byte : byte + 1).toString(16);

describe('a repeated instruction', () => {
  test('counts once, at its end, however it is cut', () => {
    const cpu = bare('f348a5 f4', { rsi: 0x2000n, rdi: 0x10_0000n, rcx: 100_000n, rflags: UP });
    expect(run(cpu)).toEqual(HALT);
    expect(progress(cpu)).toEqual([0x2000n + 800_000n, 0x10_0000n + 800_000n, 0n]);
    expect(cpu.machine.ticks).toBe(2);

    const single = bare('f348a5 f4', { rsi: 0x2000n, rdi: 0x10_0000n, rcx: 100_000n, rflags: UP });
    expect(single.machine.step()).toEqual({ kind: 'limit' });
    expect([single.machine.ticks, single.get(R.rip!), single.get(R.rcx!)]).toEqual([1, 0x1003n, 0n]);
  });

  test('with rcx = 0 does nothing and touches nothing', () => {
    for (const code of ['f3a4', 'f3aa', 'f3ac', 'f3a6', 'f2ae']) {
      const { cpu } = paged(`${code} f4`, [], { rsi: AT, rdi: AT, rcx: 0n, rflags: 0x8d7n });
      expect(run(cpu)).toEqual(HALT);
      expect([...progress(cpu), cpu.get(R.rflags!)]).toEqual([AT, AT, 0n, 0x8d7n]);
    }
  });

  // Two pages of which the second (upwards) or the first (downwards) is missing.
  test.for([
    ['rep movsb', encode(0xa4, 1, 'f3'), 1],
    ['rep movsw', encode(0xa4, 2, 'f3'), 2],
    ['rep movsq', encode(0xa4, 8, 'f3'), 8],
    ['rep stosb', encode(0xaa, 1, 'f3'), 1],
    ['rep stosd', encode(0xaa, 4, 'f3'), 4],
    ['rep stosq', encode(0xaa, 8, 'f3'), 8],
  ] as const)('%s faults in the middle with the progress in the registers, and goes on', ([name, code, size]) => {
    const moves = name.includes('movs');
    for (const [flags, start, page, missing] of [
      [UP, AT + 4096n - 100n, [0x3000, undefined], AT + 4096n],
      [DOWN, AT + 4096n + 100n, [undefined, 0x4000], undefined],
    ] as const) {
      const { cpu, tables } = paged(`${code} f4`, [...page, 0x8000], {
        rsi: AT + 8192n + 2048n,
        rdi: start,
        rcx: 150n,
        rax: 0x1122_3344_5566_7788n,
        rflags: flags,
      });
      cpu.memory.hostWrite(
        asPaddr(0x8000),
        Uint8Array.from({ length: 4096 }, (_, i) => i * 7 + 1),
      );
      const exit = run(cpu);
      // Elements that lie wholly in the mapped page; the next one is told at the first byte that is not there.
      const step = flags === UP ? size : -size;
      let done = 0;
      const fits = (n: number): boolean => {
        const first = start + BigInt(n * step);
        return flags === UP ? first + BigInt(size) <= AT + 4096n : first >= AT + 4096n;
      };
      while (fits(done)) done++;
      expect(done).toBeLessThan(150);
      const at = start + BigInt(done * step);
      expect(exit).toEqual(pageFault(2, missing ?? at));
      const source = AT + 8192n + 2048n + (moves ? BigInt(done * step) : 0n);
      expect(progress(cpu)).toEqual([source, at, BigInt(150 - done)]);
      expect([cpu.get(R.rip!), cpu.machine.ticks]).toEqual([0x1000n, 0]);
      // Nothing of the element that faulted is there: what it would have begun with is still 0.
      if (flags === UP && at < AT + 4096n)
        expect(cpu.memory.guest.slice(0x3000 + Number(at - AT), 0x4000).every(byte => byte === 0)).toBe(true);

      tables.map(flags === UP ? AT + 4096n : AT, 0x5000, RW);
      expect(run(cpu)).toEqual(HALT);
      expect([cpu.get(R.rcx!), cpu.machine.ticks]).toEqual([0n, 2]);
      expect(cpu.get(R.rdi!)).toBe(start + BigInt(150 * step));
    }
  });

  test('a comparison that faults in the middle leaves the flags of before', () => {
    const { cpu } = paged('f3a6 f4', [0x3000, undefined, 0x3000], {
      rsi: AT + 8192n + 100n,
      rdi: AT + 4000n,
      rcx: 200n,
      rflags: 0x8d7n,
    });
    expect(run(cpu)).toEqual(pageFault(0, AT + 4096n));
    expect([...progress(cpu), cpu.get(R.rflags!)]).toEqual([AT + 8192n + 196n, AT + 4096n, 104n, 0x8d7n]);
  });

  test('tells every watched store, with the address of the instruction and the ticks before it', () => {
    for (const code of ['f348ab', 'f348a5']) {
      const { cpu } = paged(`90 ${code} f4`, [0x3000, 0x4000, 0x8000], {
        rsi: AT + 8192n,
        rdi: AT + 4096n - 16n,
        rcx: 4n,
        rax: 5n,
        rflags: UP,
      });
      for (let n = 0; n < 4; n++) cpu.memory.hostStore(asPaddr(0x8000 + 8 * n), 8, 5n);
      cpu.memory.watch(asFrame(4), true);
      const seen: unknown[] = [];
      cpu.memory.onWatched = (at, size, oldLo, _oldHi, newLo) =>
        seen.push([at, size, oldLo, newLo, cpu.machine.pc, cpu.machine.ticks]);
      expect(run(cpu)).toEqual(HALT);
      expect(seen).toEqual([
        [0x4000, 8, 0, 5, 0x1001n, 1],
        [0x4008, 8, 0, 5, 0x1001n, 1],
      ]);
    }
  });

  test('that would take for ever gives the host a look in, again and again, and goes on', () => {
    // From 512 GiB on, every entry of every level leads to one page.
    const far = 1n << 39n;
    const { cpu } = paged('f3aa f4', [], { rdi: far, rcx: 1n << 38n, rax: 0x5an, rflags: UP });
    const table = 0x20_0000;
    for (let level = 0; level < 3; level++)
      for (let n = 0; n < 512; n++) {
        const to = level === 2 ? 0x30_0000 : table + (level + 1) * 4096;
        cpu.memory.hostStore(asPaddr(table + level * 4096 + n * 8), 8, BigInt(to) | RW);
      }
    cpu.memory.hostStore(asPaddr(0x10_0008), 8, BigInt(table) | RW);
    let before = cpu.get(R.rcx!);
    for (let n = 0; n < 3; n++) {
      expect(run(cpu)).toEqual({ kind: 'busy' });
      const left = cpu.get(R.rcx!);
      expect(left).toBeLessThan(before);
      expect(cpu.get(R.rdi!) - far).toBe((1n << 38n) - left);
      expect([cpu.machine.ticks, cpu.get(R.rip!)]).toEqual([0, 0x1000n]);
      before = left;
    }
    cpu.set(R.rcx!, 5n);
    expect(run(cpu)).toEqual(HALT);
    expect(cpu.machine.ticks).toBe(2);
  });

  test('that overwrites the instruction behind it: the new one is executed', () => {
    // mov byte pairs over "inc eax" (ff c0): becomes "dec eax" (ff c8)
    const cpu = bare('f3a4 ffc0 f4', { rsi: 0x2000n, rdi: 0x1002n, rcx: 3n, rax: 10n, rflags: UP });
    cpu.memory.hostWrite(asPaddr(0x2000), bytes('ffc8f4'));
    expect(cpu.machine.run(asTicks(1))).toEqual({ kind: 'limit' });
    expect(run(cpu)).toEqual(HALT);
    expect(cpu.get(R.rax!)).toBe(9n);
  });
});

test('gs and fs move the source and xlat, and never the destination', () => {
  const cpu = bare('65a4 64d7 f4', { rsi: 0x10n, rdi: 0x3000n, rbx: 0x20n, rax: 3n, rflags: UP });
  cpu.set(R.gs_base!, 0x2000n);
  cpu.set(R.fs_base!, 0x2800n);
  cpu.memory.hostStore(asPaddr(0x2010), 1, 0x77n);
  cpu.memory.hostStore(asPaddr(0x2823), 1, 0x99n);
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.memory.read(asPaddr(0x3000), 1)).toBe(0x77n);
  expect(cpu.get(R.rax!)).toBe(0x99n);
});

test('moves and fills do what one element after another would: overlapping, backwards, across pages', () => {
  const BASE = 0x8000;
  const ROOM = 0x6000;
  const cpu = bare('f4', {}, SMALL);
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed);
    const size = [1, 2, 4, 8][next(4)]!;
    const moves = next(2) === 0;
    const down = next(4) === 0;
    const count = next(2) === 0 ? next(40) : next(0x2000 / size);
    const inside = (): number => 0x2000 + next(0x2000);
    const from = inside();
    // Often near the source, so that they overlap.
    const to = next(2) === 0 ? from + next(64) - 32 : inside();
    const rax = BigInt(next(2 ** 32)) * 0x1_0001_0001n * BigInt(next(3));
    const code = `${encode(moves ? 0xa4 : 0xaa, size, 'f3')} f4`;
    cpu.memory.hostWrite(asPaddr(0x1000), bytes(code));
    const registers = { rip: 0x1000, rsi: BASE + from, rdi: BASE + to, rcx: count, rflags: Number(down ? DOWN : UP) };
    for (const [name, value] of Object.entries(registers)) cpu.set(R[name]!, BigInt(value));
    cpu.set(R.rax!, rax);
    const memory = Uint8Array.from({ length: ROOM }, () => next(256));
    cpu.memory.hostWrite(asPaddr(BASE), memory);
    expect(run(cpu)).toEqual(HALT);

    const value = new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, rax)).buffer);
    for (let n = 0; n < count; n++) {
      const offset = (down ? -size : size) * n;
      const element = moves ? memory.slice(from + offset, from + offset + size) : value.subarray(0, size);
      memory.set(element, to + offset);
    }
    const actual = cpu.memory.guest.slice(BASE, BASE + ROOM);
    const differs = actual.findIndex((byte, at) => byte !== memory[at]);
    expect(differs, `seed ${seed}: first byte that differs`).toBe(-1);
    const moved = BigInt((down ? -size : size) * count);
    expect(progress(cpu), `seed ${seed}`).toEqual([
      BigInt(BASE + from) + (moves ? moved : 0n),
      BigInt(BASE + to) + moved,
      0n,
    ]);
  }
});
