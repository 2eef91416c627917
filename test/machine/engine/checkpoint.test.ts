import { expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import { Trouble } from '../../../src/base/trouble.js';
import { type Page, restoreCheckpoint, takeCheckpoint } from '../../../src/machine/engine/checkpoint.js';
import { Cpu } from '../../../src/machine/x86/cpu.js';
import { calling } from './calling.js';
import { bare, MIB, R } from './guest.js';

const SHELL_SORT = 2;
/** A checkpoint that outlives the run: its pages are copies. */
const keep = (cpu: Cpu) => {
  const { ticks, state, pages } = takeCheckpoint(cpu);
  return { ticks, state, pages: pages.map(([frame, bytes]): Page => [frame, bytes.slice()]) };
};
const registers = (cpu: Cpu): bigint[] => Array.from({ length: cpu.count }, (_, reg) => cpu.get(reg));
const tlb = (cpu: Cpu): Buffer => Buffer.from(cpu.memory.wasm.buffer.slice(0x2_8000, 0x3_8000));

test.for([1, 1_000, 33_333, 150_000])('restored at tick %i, a run ends as if it had not stopped', at => {
  const whole = calling(SHELL_SORT, 3000);
  expect(whole.machine.run(asTicks(1e9))).toEqual({ kind: 'halt' });

  const first = calling(SHELL_SORT, 3000);
  const loaded = keep(first);
  first.machine.run(asTicks(at));
  const then = keep(first);
  expect(then.ticks).toBe(at);

  const second = new Cpu(32 * MIB);
  second.memory.hostStore(asPaddr(5 * MIB), 8, 0xdeadn); // what is not in the checkpoint must go
  restoreCheckpoint(second, then.state, [...loaded.pages, ...then.pages]);
  expect(registers(second)).toEqual(registers(first));
  expect(second.machine.run(asTicks(1e9))).toEqual({ kind: 'halt' });
  expect(second.machine.ticks).toBe(whole.machine.ticks);
  expect(registers(second)).toEqual(registers(whole));
  expect(Buffer.compare(second.memory.guest, whole.memory.guest)).toBe(0);
  expect(tlb(second).equals(tlb(whole))).toBe(true);
});

test('the bytes of a checkpoint do not depend on how the run was cut into pieces', () => {
  const cut = (stride: number) => {
    const cpu = calling(SHELL_SORT, 3000);
    takeCheckpoint(cpu);
    for (let until = stride; until < 100_000; until += stride) cpu.machine.run(asTicks(until));
    cpu.machine.run(asTicks(100_000));
    return keep(cpu);
  };
  const whole = cut(100_000);
  for (const stride of [1, 17, 32, 999]) expect(cut(stride)).toEqual(whole);
});

test('checkpoints every 1,000 ticks, every 100,000 and never give the same memory, registers and TLB', () => {
  const every = (ticks: number) => {
    const cpu = calling(SHELL_SORT, 2000);
    let exit = cpu.machine.run(asTicks(ticks));
    for (let until = ticks; exit.kind === 'limit'; exit = cpu.machine.run(asTicks((until += ticks))))
      takeCheckpoint(cpu);
    expect(exit.kind).toBe('halt');
    return cpu;
  };
  const never = every(1e9);
  for (const spacing of [1_000, 100_000]) {
    const cpu = every(spacing);
    expect(cpu.machine.ticks).toBe(never.machine.ticks);
    expect(registers(cpu)).toEqual(registers(never));
    expect(tlb(cpu).equals(tlb(never))).toBe(true);
    expect(Buffer.compare(cpu.memory.guest, never.memory.guest)).toBe(0);
  }
});

test('lists exactly the pages written since the one before, by the guest, the host or both', () => {
  // mov [0x5000], rax; mov [0x7ffc], rax (into 0x8000); hlt
  const cpu = bare('48890425 00500000  48890425 fc7f0000 f4', { rax: ~0n });
  const frames = () => takeCheckpoint(cpu).pages.map(([frame]) => frame);
  expect(frames()).toEqual([1]);
  expect(frames()).toEqual([]);
  cpu.memory.hostStore(asPaddr(0x3_0000), 1, 1n);
  cpu.memory.hostWrite(asPaddr(0x3_1ffe), Uint8Array.of(1, 2, 3));
  cpu.memory.watch(asFrame(0x8), true);
  cpu.machine.run(asTicks(2));
  expect(frames()).toEqual([0x5, 0x7, 0x8, 0x30, 0x31, 0x32]);
  cpu.set(R.rip!, 0x1000n);
  cpu.machine.run(asTicks(4));
  expect(frames()).toEqual([0x5, 0x7, 0x8]);
});

test('taking one of 128 MiB with a tenth written stays near 20 ms', () => {
  const cpu = new Cpu(128 * MIB);
  takeCheckpoint(cpu);
  const warm = new Uint8Array(128 * MIB).fill(1);
  const best = Math.min(
    ...[1, 2, 3].map(() => {
      for (let frame = 0; frame < 32_768; frame += 10) cpu.memory.hostStore(asPaddr(frame * 4096), 8, 1n);
      const began = performance.now();
      let at = 0;
      for (const [, page] of takeCheckpoint(cpu).pages) warm.set(page, (at += 4096) - 4096);
      expect(at).toBe(3277 * 4096);
      return performance.now() - began;
    }),
  );
  process.stderr.write(`checkpoint of 128 MiB, 10 % dirty: ${best.toFixed(1)} ms\n`);
  expect(best).toBeLessThan(60); // three times what is meant, for noisy machines
});

test('refuses a state that no machine of this kind left', () => {
  const cpu = new Cpu(4 * MIB);
  const { state } = takeCheckpoint(cpu);
  const bad = (change: (s: Uint8Array, view: DataView) => Uint8Array | undefined, why: RegExp) => {
    const copy = state.slice();
    const changed = change(copy, new DataView(copy.buffer)) ?? copy;
    expect(() => restoreCheckpoint(cpu, changed, [])).toThrow(Trouble);
    expect(() => restoreCheckpoint(cpu, changed, [])).toThrow(why);
  };
  bad(s => s.subarray(1), /bytes, not/);
  bad((_, view) => void view.setFloat64(0, Number.NaN, true), /clock/);
  bad((_, view) => void view.setFloat64(0, -5, true), /clock/);
  bad((s, view) => void view.setBigUint64(s.length - 24, 0x1001n, true), /TLB/);
  expect(() => restoreCheckpoint(cpu, state, [[1024, new Uint8Array(4096)]])).toThrow(/page 1024/);
  expect(() => restoreCheckpoint(cpu, state, [[1, new Uint8Array(4095)]])).toThrow(/page 1/);
});
