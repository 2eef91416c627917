/** Exact floats next to JavaScript's, which are the host processor's doubles; and what is said of approximations. */
import { describe, expect, it } from 'vitest';
import {
  approximate,
  type Binary,
  binary,
  fromInt,
  modeOf,
  root,
  toFloat,
  toInt,
} from '../../../src/machine/x86/sse-float.js';

const view = new DataView(new ArrayBuffer(8));
const bits64 = (x: number): bigint => {
  view.setFloat64(0, x);
  return view.getBigUint64(0);
};
const double = (bits: bigint): number => {
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
};
const bits32 = (x: number): bigint => {
  view.setFloat32(0, x);
  return BigInt(view.getUint32(0));
};
const single = (bits: bigint): number => {
  view.setUint32(0, Number(bits));
  return view.getFloat32(0);
};
/** xorshift32: the same numbers on every machine. */
function random(seed: number): () => number {
  let x = seed >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}
const SEED = Number(process.env.REWALK_SEED ?? 1);
const TRIES = 20_000;
const NEAREST = modeOf(0x1f80);
const INEXACT = 0x20;
const OF = {
  add: (a: number, b: number) => a + b,
  sub: (a: number, b: number) => a - b,
  mul: (a: number, b: number) => a * b,
  div: (a: number, b: number) => a / b,
} as const;

/** Doubles of every magnitude, and often of one that meets the other's. */
function doubles(next: () => number): () => readonly [number, number] {
  const one = (exponent: number): number =>
    double(
      (BigInt(next() & 1) << 63n) | (BigInt(exponent) << 52n) | (BigInt(next() & 0xfffff) << 32n) | BigInt(next()),
    );
  return () => {
    const exponent = next() % 2047;
    const near = Math.max(0, Math.min(2046, exponent + (next() % 110) - 55));
    return [one(exponent), one(next() & 1 ? near : next() % 2047)];
  };
}
const expected = (value: number): bigint | 'NaN' => (Number.isNaN(value) ? 'NaN' : bits64(value));
const got = (bits: bigint): bigint | 'NaN' => (Number.isNaN(double(bits)) ? 'NaN' : bits);

describe(`rounded to nearest, floats are those of JavaScript (seed ${SEED})`, () => {
  it.each(Object.keys(OF) as Binary[])('%s of doubles', op => {
    const draw = doubles(random(SEED));
    for (let n = 0; n < TRIES; n++) {
      const [a, b] = draw();
      const lane = binary(op, 8, bits64(a), bits64(b), NEAREST);
      if (got(lane.bits) !== expected(OF[op](a, b))) expect.fail(`${a} ${op} ${b} (seed ${SEED}, ${n})`);
    }
  });
  // A double has more than twice the bits of a single, so rounding twice is rounding once (but for tiny results).
  it.each(Object.keys(OF) as Binary[])('%s of singles', op => {
    const draw = doubles(random(SEED));
    for (let n = 0; n < TRIES; n++) {
      const [a, b] = draw().map(x => Math.fround(x * 2 ** -Math.trunc(Math.log2(Math.abs(x) || 1) * 0.9))) as [
        number,
        number,
      ];
      const want = Math.fround(OF[op](a, b));
      if (Math.abs(want) < 2 ** -125) continue;
      const lane = binary(op, 4, bits32(a), bits32(b), NEAREST);
      if (single(lane.bits) !== want && !Number.isNaN(want)) expect.fail(`${a} ${op} ${b} (seed ${SEED}, ${n})`);
    }
  });
  it('roots and conversions', () => {
    const draw = doubles(random(SEED));
    for (let n = 0; n < TRIES; n++) {
      const [a] = draw();
      const where = `${a} (seed ${SEED}, ${n})`;
      expect(got(root(8, bits64(a), NEAREST).bits), where).toBe(expected(Math.sqrt(a)));
      expect(single(toFloat(8, 4, bits64(a), NEAREST).bits), where).toBe(Math.fround(a));
      expect(double(toFloat(4, 8, bits32(a), NEAREST).bits), where).toBe(Math.fround(a));
      const whole = a >= -(2 ** 63) && a < 2 ** 63 ? BigInt(Math.trunc(a)) : 1n << 63n;
      expect(toInt(8, 8, bits64(a), NEAREST, true).bits, where).toBe(BigInt.asUintN(64, whole));
      const integer = BigInt.asIntN(64, bits64(a) * 0x9e37_79b9_7f4a_7c15n);
      expect(double(fromInt(8, integer, NEAREST).bits), where).toBe(Number(integer));
    }
  });
});

it(`the other directions are on their side of the exact result, one step apart where it is inexact (seed ${SEED})`, () => {
  const draw = doubles(random(SEED));
  const [down, up, toZero] = [0x3f80, 0x5f80, 0x7f80].map(modeOf);
  for (let n = 0; n < TRIES; n++) {
    const [a, b] = draw().map(bits64) as [bigint, bigint];
    for (const op of Object.keys(OF) as Binary[]) {
      const nearest = binary(op, 8, a, b, NEAREST);
      if (!Number.isFinite(double(nearest.bits)) || double(nearest.bits) === 0) continue;
      const [low, high, zero] = [down, up, toZero].map(mode => binary(op, 8, a, b, mode!));
      const step = (nearest.flags & INEXACT) !== 0 ? 1n : 0n;
      const negative = double(nearest.bits) < 0;
      const where = `${op} of ${a.toString(16)} and ${b.toString(16)} (seed ${SEED}, ${n})`;
      expect(negative ? low!.bits - high!.bits : high!.bits - low!.bits, where).toBe(step);
      expect([low!.bits, high!.bits], where).toContain(nearest.bits);
      expect(zero!.bits, where).toBe(negative ? high!.bits : low!.bits);
    }
  }
});

describe('approximations', () => {
  const LIMIT = 1.5 * 2 ** -12;
  it.each([
    ['rcp', (x: number) => 1 / x],
    ['rsqrt', (x: number) => 1 / Math.sqrt(x)],
  ] as const)(`%sss is within 1.5 * 2^-12 of the exact answer (seed ${SEED})`, (op, exact) => {
    const next = random(SEED);
    let worst = 0;
    for (let n = 0; n < TRIES; n++) {
      const x = single(BigInt(next() % 0x7e80_0000) + 0x80_0000n);
      const want = exact(x);
      if (!Number.isFinite(x) || want < 2 ** -125) continue;
      const answer = single(approximate(op, bits32(x)).bits);
      worst = Math.max(worst, Math.abs(answer - want) / want);
    }
    expect(worst).toBeLessThan(LIMIT);
    expect(worst).toBeGreaterThan(2 ** -15); // they are approximations
  });
});
