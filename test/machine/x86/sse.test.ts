/** SSE and SSE2 as a kernel and its programs see them: who may use them, what #XM and mxcsr are like, alignment, watched pages. */
import { describe, expect, it, test } from 'vitest';
import { asFrame, asTicks } from '../../../src/base/brand.js';
import { CR0, CR4 } from '../../../src/machine/x86/cpu.js';
import { XMM_AT } from '../../../src/machine/x86/hidden.js';
import { R } from '../engine/guest.js';
import { AT, faultOf, HALT, kernel, peek, put, run } from './kernel.js';

const ONE = 0x3ff0_0000_0000_0000n;
const NOTHING_MASKED = 0x0000n;
const [UD, NM, XM] = [6, 7, 19].map(vector => faultOf(vector));
const GP = faultOf(13, 0);

function machine(code: string, { cr0 = 0n, cr4 = CR4.OSFXSR | CR4.OSXMMEXCPT } = {}) {
  const { cpu } = kernel({ kernel: code }, { rbx: AT.data });
  cpu.set(R.cr0!, cpu.get(R.cr0!) | CR0.NE | CR0.MP | cr0);
  cpu.set(R.cr4!, cpu.get(R.cr4!) | cr4);
  if (!cr4) cpu.set(R.cr4!, cpu.get(R.cr4!) & ~(CR4.OSFXSR | CR4.OSXMMEXCPT));
  return cpu;
}
type Machine = ReturnType<typeof machine>;
const setLow = (cpu: Machine, n: number, bits: bigint): void => cpu.hidden.set(XMM_AT + 16 * n, bits);
const lowOf = (cpu: Machine, n: number): bigint => cpu.hidden.get(XMM_AT + 16 * n);

describe('who may use xmm registers', () => {
  const each = it.each([
    ['a move', '0f28c1'],
    ['arithmetic', 'f20f58c1'],
    ['an operand in memory', '660f5803'],
    ['a shuffle', '660f70c11b'],
    ['what TypeScript does', '0f53c1'],
    ['ldmxcsr', '0fae13'],
    ['maskmovdqu', '660ff7c1'],
  ]);
  each('%s raises #UD where the system does not save them', (_, code) => {
    expect(run(machine(`${code} f4`, { cr4: 0n }))).toEqual(UD);
  });
  each('%s raises #UD where there is no unit', (_, code) => {
    expect(run(machine(`${code} f4`, { cr0: CR0.EM }))).toEqual(UD);
  });
  each('%s raises #NM where they hold another task’s values, before memory is looked at', (_, code) => {
    const cpu = machine(`${code} f4`, { cr0: CR0.TS });
    cpu.set(R.rbx!, 0x7777_0000_0001n);
    expect(run(cpu)).toEqual(NM);
    expect(cpu.get(R.rip!)).toBe(AT.kernel);
  });
  it('TS is looked at again behind clts, and behind a write of cr0', () => {
    const cpu = machine('0f06 0f28c1 0f20c0 4883c808 0f22c0 0f28c1 f4', { cr0: CR0.TS });
    expect(run(cpu)).toEqual(NM);
    expect(cpu.get(R.rip!)).toBe(AT.kernel + 15n);
  });
  it('prefetches and fences need nothing', () => {
    expect(run(machine('0f180b 0faee8 0faef0 0faef8 f4', { cr0: CR0.EM | CR0.TS, cr4: 0n }))).toEqual(HALT);
  });
});

describe('an exception that is not masked', () => {
  const divide = (cr4?: bigint): Machine => {
    const cpu = machine('f20f5ec1 f4', cr4 === undefined ? {} : { cr4 });
    setLow(cpu, 0, ONE);
    cpu.set(R.mxcsr!, NOTHING_MASKED);
    return cpu;
  };
  it('raises #XM, is noted, and leaves the destination', () => {
    const cpu = divide();
    expect(run(cpu)).toEqual(XM);
    expect([cpu.get(R.rip!), cpu.get(R.mxcsr!), lowOf(cpu, 0)]).toEqual([AT.kernel, 4n, ONE]);
  });
  it('raises #UD where the system does not know #XM', () => {
    expect(run(divide(CR4.OSFXSR))).toEqual(UD);
  });
  it('of one lane keeps all of a packed operation from happening, and hides what the results would have raised', () => {
    const cpu = machine('660f5ec1 f4');
    setLow(cpu, 0, ONE);
    setLow(cpu, 1, 0x4008_0000_0000_0000n); // 1 / 3 is inexact
    cpu.hidden.set(XMM_AT + 8, ONE);
    cpu.hidden.set(XMM_AT + 24, 0n); // 1 / 0
    cpu.set(R.mxcsr!, 0x1d80n); // all but divide by zero masked
    expect(run(cpu)).toEqual(XM);
    expect([cpu.get(R.mxcsr!), lowOf(cpu, 0), cpu.hidden.get(XMM_AT + 8)]).toEqual([0x1d84n, ONE, ONE]);
  });
});

describe('mxcsr', () => {
  it('takes what exists and refuses the rest, from memory and from an fxsave image', () => {
    const cpu = machine('0fae13 0fae5b08 0fae13 f4');
    put(cpu, AT.data, 0xffffn);
    expect(run(cpu)).toEqual(HALT);
    expect(peek(cpu, AT.data + 8n) & 0xffff_ffffn).toBe(0xffffn);
    const bad = machine('0fae13 f4');
    put(bad, AT.data, 0x1_0000n);
    expect(run(bad)).toEqual(GP);
    expect(bad.get(R.mxcsr!)).toBe(0x1f80n);
  });
  it('notes an inexact result once, and later ones the same whether it was noted before or not', () => {
    const third = 0x4008_0000_0000_0000n;
    const quotient = (mxcsr: bigint): readonly bigint[] => {
      const cpu = machine('f20f5ec1 f20f59c0 f20f51c0 f20f58c1 f4');
      setLow(cpu, 0, ONE);
      setLow(cpu, 1, third);
      cpu.set(R.mxcsr!, mxcsr);
      expect(run(cpu)).toEqual(HALT);
      return [lowOf(cpu, 0), cpu.get(R.mxcsr!)];
    };
    expect(quotient(0x1f80n)).toEqual(quotient(0x1fa0n));
  });
  it('rounds where it says', () => {
    const third = (rounding: bigint): bigint => {
      const cpu = machine('f20f5ec1 f4');
      setLow(cpu, 0, ONE);
      setLow(cpu, 1, 0x4008_0000_0000_0000n);
      cpu.set(R.mxcsr!, 0x1fa0n | (rounding << 13n));
      run(cpu);
      return lowOf(cpu, 0) & 0xfn;
    };
    expect([0n, 1n, 2n, 3n].map(third)).toEqual([5n, 5n, 6n, 5n]);
  });
});

describe('memory', () => {
  it.each([
    ['movaps', '0f2803'],
    ['movntdq', '660fe703'],
    ['addpd', '660f5803'],
    ['pand', '660fdb03'],
    ['sqrtps', '0f5103'],
  ])('%s raises #GP(0) where it is not aligned', (_, code) => {
    const cpu = machine(`${code} f4`);
    cpu.set(R.rbx!, AT.data + 8n);
    expect(run(cpu)).toEqual(GP);
  });
  it.each([
    ['movups', '0f1003'],
    ['movdqu', 'f30f7f03'],
    ['movhps', '0f1603'],
    ['addsd', 'f20f5803'],
    ['cvtps2pd', '0f5a03'],
  ])('%s takes any address', (_, code) => {
    const cpu = machine(`${code} f4`);
    cpu.set(R.rbx!, AT.data + 3n);
    expect(run(cpu)).toEqual(HALT);
  });
  test('a store of sixteen bytes into a watched page is told as two, in order', () => {
    const cpu = machine('0f1103 f4');
    cpu.set(R.rbx!, AT.data + 4n);
    setLow(cpu, 0, 0x1122_3344_5566_7788n);
    const seen: unknown[] = [];
    cpu.memory.onWatched = (at, bytes, _oldLo, _oldHi, lo, hi) => seen.push([at - Number(AT.data), bytes, lo, hi]);
    cpu.memory.watch(asFrame(Number(AT.data) / 4096), true);
    expect(run(cpu)).toEqual(HALT);
    expect(seen).toEqual([
      [4, 8, 0x5566_7788, 0x1122_3344],
      [12, 8, 0, 0],
    ]);
  });
});

test('a block of 32 vector instructions with operands in memory and address prefixes is decoded and done', () => {
  // fs: addps xmm0, [rbx + rcx * 8]: an address record, a load record and the instruction, thirty-two times.
  const cpu = machine(`${'64660ffe04cb '.repeat(40)} f4`);
  put(cpu, AT.data, 0x0000_0003_0000_0001n);
  const start = cpu.machine.ticks;
  expect(run(cpu)).toEqual(HALT);
  expect(cpu.machine.ticks - start).toBe(41);
  expect(lowOf(cpu, 0)).toBe((120n << 32n) | 40n);
});

test('wherever a run is cut into pieces, floats come out the same', () => {
  const code = 'f20f58c1 f20f5ec1 f20f51d0 660f5ad2 f30f5ad2 f20f59c2 f20f2dc2 ffc9 75e0 f4'.replaceAll(' ', '');
  const outcome = (piece: number): readonly unknown[] => {
    const cpu = machine(code);
    setLow(cpu, 0, ONE);
    setLow(cpu, 1, 0x3ffb_0000_0000_0001n);
    cpu.set(R.rcx!, 50n);
    for (;;) {
      const exit = cpu.machine.run(asTicks(cpu.machine.ticks + piece));
      if (exit.kind !== 'limit' && exit.kind !== 'busy') {
        const vectors = Array.from({ length: 8 }, (_, n) => cpu.hidden.get(XMM_AT + 8 * n));
        return [exit, cpu.machine.ticks, cpu.get(R.rax!), cpu.get(R.mxcsr!), ...vectors];
      }
    }
  };
  const whole = outcome(10_000);
  expect(whole[0]).toEqual({ kind: 'halt' });
  for (const piece of [1, 3, 31, 32, 33, 100]) expect(outcome(piece)).toEqual(whole);
});
