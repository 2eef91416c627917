import { expect, test } from 'vitest';
import { asTicks } from '../../../src/base/brand.js';
import { calling } from './calling.js';
import { R } from './guest.js';
import { RESULTS } from './kernels.js';

test.for(RESULTS.map((r, what) => ({ ...r, what })))(
  '$name gives what the real processor gave',
  ({ what, n, result }) => {
    const cpu = calling(what, n);
    expect(cpu.machine.run(asTicks(1e10))).toEqual({ kind: 'halt' });
    expect(cpu.get(R.rax!)).toBe(result);
  },
);

test('stopping at any tick and going on changes nothing', () => {
  const whole = calling(4, 3000);
  whole.machine.run(asTicks(1e9));
  for (const stride of [1, 7, 31, 33, 1000]) {
    const cpu = calling(4, 3000);
    let exit = cpu.machine.run(asTicks(stride));
    for (let until = stride; exit.kind === 'limit'; exit = cpu.machine.run(asTicks((until += stride))))
      expect(cpu.machine.ticks).toBe(until);
    expect(exit.kind).toBe('halt');
    expect(cpu.machine.ticks).toBe(whole.machine.ticks);
    for (let reg = 0; reg < 53; reg++) expect(cpu.get(reg), `register ${reg}, stride ${stride}`).toBe(whole.get(reg));
    expect(Buffer.compare(cpu.memory.guest, whole.memory.guest)).toBe(0);
  }
});
