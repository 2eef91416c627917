/**
 * SSE and SSE2 conversions: the common case, as in semantics-sse-float.ts. A conversion is common when it is exact, or when
 * its inexact result is already noted and rounded as mxcsr asks, and when the result is in range. NaNs are in no range.
 */

import { f32, f32x4, f64, f64x2, i32x4, i64x2, truncate, v128 } from '../../base/simd.js';
import { brIf, type Code, get, i32, i64, set } from '../../base/wasm.js';
import { L, next, TO } from '../engine/kit.js';
import type { Family, Operands, Semantics } from './semantics.js';
import { at, low, setLow, setVector, vector, vectorForms } from './semantics-sse.js';
import { inexactIsNoted, isCommonMode, SINGLE_BITS, testsOf } from './semantics-sse-float.js';

const conversion = (op: string, patterns: string, emit: (x: Operands) => Code): Semantics => ({
  op,
  forms: vectorForms(patterns),
  flags: 'none',
  traps: true,
  system: true,
  emit: x => [emit(x), next],
});
const uncommon = (condition: Code): Code => brIf(TO.out, condition);
const not = (condition: Code): Code => i32.eqz(condition);
const [a, r] = [get(L.a), get(L.r)];
const [x128, y128] = [get(L.x), get(L.y)];

/** Integers up to 2^24 and 2^53 are floats and doubles exactly. */
const EXACT_BITS = { 4: 24, 8: 53 } as const;
/** A general register or memory to a scalar. */
function fromGeneral(op: string, to: 4 | 8, from: 4 | 8): Semantics {
  const limit = 2 ** EXACT_BITS[to];
  const isExact = i64.leU(i64.add(a, i64.const(limit)), i64.const(2 * limit));
  const float = to === 4 ? i64.extendU(f32.bits(f32.convert64(a))) : f64.bits(f64.convert64(a));
  return conversion(op, `v${to}r${from} v${to}M${from}`, x => [
    set(L.a, from === 4 ? i64.sign32(x.read(1)) : x.read(1)),
    from < to ? [] : uncommon(not(i32.or(isExact, isCommonMode))),
    setLow(x, 0, to, float),
  ]);
}

/** A scalar to a general register. The integer is found as a float, so that the range can be looked at. */
function toGeneral(op: string, from: 4 | 8, to: 4 | 8, cut: boolean): Semantics {
  const wide = f64.ofBits(a);
  const whole = f64.ofBits(r);
  const limit = 2 ** (8 * to - 1);
  const isExact = f64.eq(whole, wide);
  const inRange = i32.and(f64.ge(whole, f64.const(-limit)), f64.lt(whole, f64.const(limit)));
  const integer = to === 4 ? i64.extendU(truncate.i32.f64(whole)) : truncate.i64.f64(whole);
  return conversion(op, `r${to}v${from} r${to}M${from}`, x => [
    set(L.a, from === 8 ? low(x, 1, 8) : f64.bits(f64.promote(f32.ofBits(i32.wrap(low(x, 1, 4)))))),
    set(L.r, f64.bits((cut ? f64.trunc : f64.nearest)(wide))),
    uncommon(not(i32.and(inRange, i32.or(isExact, cut ? inexactIsNoted : isCommonMode)))),
    x.write(0, integer),
  ]);
}

/** A single to a double is exact; NaNs and denormals are exceptions. */
const widen: readonly Semantics[] = [
  conversion('cvtss2sd', 'v8v4 v8M4', x => {
    const t = testsOf(SINGLE_BITS);
    return [
      set(L.a, low(x, 1, 4)),
      uncommon(SINGLE_BITS.anyNegative(t.any(t.isDenormal(a), t.isNaN(a)))),
      setLow(x, 0, 8, f64.bits(f64.promote(f32.ofBits(i32.wrap(a))))),
    ];
  }),
  conversion('cvtps2pd', 'v16v8', x => {
    const least = f32x4.splat(f32.const(2 ** -126));
    const zero = f32x4.splat(f32.const(0));
    // Normal or infinite, or zero: so is the upper half, which is zeros here.
    const isPlain = v128.or(f32x4.le(least, f32x4.abs(x128)), f32x4.eq(x128, zero));
    return [
      set(L.x, v128.load64Zero(at(x, 1))),
      uncommon(i32.ne(i32x4.bitmask(isPlain), i32.const(15))),
      setVector(x, 0, f64x2.promote(x128)),
    ];
  }),
];

/** Doubles that are singles when rounded, normal ones, with room to spare; or zero. */
const SINGLE_LEAST = 2 ** -125;
const SINGLE_MOST = 2 ** 127;
const narrow: readonly Semantics[] = [
  conversion('cvtsd2ss', 'v4v8 v4M8', x => {
    const value = f64.ofBits(a);
    const fits = i32.and(
      f64.le(f64.const(SINGLE_LEAST), f64.abs(value)),
      f64.le(f64.abs(value), f64.const(SINGLE_MOST)),
    );
    return [
      set(L.a, low(x, 1, 8)),
      uncommon(not(i32.or(fits, f64.eq(value, f64.const(0))))),
      uncommon(not(i32.or(isCommonMode, f64.eq(f64.promote(f32.demote(value)), value)))),
      setLow(x, 0, 4, i64.extendU(f32.bits(f32.demote(value)))),
    ];
  }),
  conversion('cvtpd2ps', 'v16v16', x => {
    const all = (n: number): Code => f64x2.splat(f64.const(n));
    const fits = v128.and(f64x2.le(all(SINGLE_LEAST), f64x2.abs(x128)), f64x2.le(f64x2.abs(x128), all(SINGLE_MOST)));
    return [
      set(L.x, vector(x, 1)),
      uncommon(
        not(
          i32.or(isCommonMode, i32.eq(i64x2.bitmask(f64x2.eq(f64x2.promote(f32x4.demote(x128)), x128)), i32.const(3))),
        ),
      ),
      uncommon(i32.ne(i64x2.bitmask(v128.or(fits, f64x2.eq(x128, all(0)))), i32.const(3))),
      setVector(x, 0, f32x4.demote(x128)),
    ];
  }),
];

/** Packed floats to double words. The least integer is left to the SystemOp with what is out of range. */
function toPacked(op: string, from: 4 | 8, cut: boolean): Semantics {
  const f = from === 4 ? f32x4 : f64x2;
  const bitmask = from === 4 ? i32x4.bitmask : i64x2.bitmask;
  const lanes = i32.const(from === 4 ? 15 : 3);
  // The largest float of each kind below 2^31 that is an integer.
  const limit = from === 4 ? f32x4.splat(f32.const(2 ** 31 - 128)) : f64x2.splat(f64.const(2 ** 31 - 1));
  const holds = (condition: Code): Code => i32.eq(bitmask(condition), lanes);
  return conversion(op, 'v16v16', x => [
    set(L.x, vector(x, 1)),
    set(L.y, (cut ? f.trunc : f.nearest)(x128)),
    uncommon(not(holds(f.le(f.abs(y128), limit)))),
    uncommon(not(i32.or(cut ? inexactIsNoted : isCommonMode, holds(f.eq(x128, y128))))),
    setVector(x, 0, from === 4 ? i32x4.truncateF32(y128) : i32x4.truncateF64(y128)),
  ]);
}

export const SSE_CONVERT: Family = {
  semantics: [
    ...([4, 8] as const).flatMap(general => [
      fromGeneral('cvtsi2ss', 4, general),
      fromGeneral('cvtsi2sd', 8, general),
      ...[true, false].flatMap(cut => [
        toGeneral(cut ? 'cvttss2si' : 'cvtss2si', 4, general, cut),
        toGeneral(cut ? 'cvttsd2si' : 'cvtsd2si', 8, general, cut),
      ]),
    ]),
    ...widen,
    ...narrow,
    conversion('cvtdq2pd', 'v16v8', x => setVector(x, 0, f64x2.convert32(v128.load64Zero(at(x, 1))))),
    conversion('cvtdq2ps', 'v16v16', x => {
      const limit = 2 ** EXACT_BITS[4];
      const all = (n: number): Code => i32x4.splat(i32.const(n));
      const areExact = i32x4.bitmask(i32x4.ltU(i32x4.add(x128, all(limit)), all(2 * limit)));
      return [
        set(L.x, vector(x, 1)),
        uncommon(not(i32.or(isCommonMode, i32.eq(areExact, i32.const(15))))),
        setVector(x, 0, f32x4.convert32(x128)),
      ];
    }),
    toPacked('cvtps2dq', 4, false),
    toPacked('cvttps2dq', 4, true),
    toPacked('cvtpd2dq', 8, false),
    toPacked('cvttpd2dq', 8, true),
  ],
};
