/**
 * Whether a sum, product, quotient or root of normal numbers is exact: asked while mxcsr has no inexact result noted, that is
 * by programs that compute with small integers and halves. Yes is always right; a few exact results get a no, and are
 * computed by the SystemOp.
 *
 *   sum        what rounding lost is again a float, and these six operations find it (Knuth, TAOCP 2, 4.2.2, theorem B)
 *   product    of odd numbers of m and n bits has m + n bits or one less; up to the format's precision it is exact
 *   quotient   if quotient times divisor is exact, and is the dividend; a root likewise
 *
 * Singles go by double, where a product of two singles always fits.
 */
import { f32, f64, i32x4, i64x2 } from '../../base/simd.js';
import { type Code, call, type Func, get, i32, i64, type Local, set, type ValueType } from '../../base/wasm.js';

export type Exactly = 'add' | 'sub' | 'mul' | 'div' | 'sqrt';
/** The function that says 1 if r is exactly a op b (of sqrt, the root of b), three v128, for ss, sd, ps or pd. */
export const exactName = (op: Exactly, format: string): string => `exact_${op}${format}`;

const local = (index: number, type: ValueType): Local => ({ index, type });
const [a, b, r] = [0, 1, 2].map(n => get(local(n, 'i64'))) as [Code, Code, Code];
type Unary = (bits: Code) => Code;
const double: Unary = bits => f64.ofBits(bits);
const single: Unary = bits => f32.ofBits(i32.wrap(bits));
const wide: Unary = bits => f64.promote(single(bits));

const FRACTION_BITS = 52;
/** Significant bits of a normal double. */
const bitsOf: Unary = bits =>
  i64.sub(i64.const(FRACTION_BITS + 1), i64.ctz(i64.or(bits, i64.const(1n << BigInt(FRACTION_BITS)))));
const fits = (x: Code, y: Code): Code => i64.leS(i64.add(bitsOf(x), bitsOf(y)), i64.const(FRACTION_BITS + 1));

/** With the other sign, for a difference. */
const lostBySum = (f: typeof f32 | typeof f64, value: Unary, zero: Code, minus: boolean, type: 'f32' | 'f64'): Code => {
  const y = local(3, type);
  const part = local(4, type);
  const negated = f.sub(zero, value(b));
  return [
    set(y, minus ? negated : value(b)),
    set(part, f.sub(value(r), value(a))),
    f.eq(f.add(f.sub(value(a), f.sub(value(r), get(part))), f.sub(get(y), get(part))), zero),
  ];
};
const DOUBLE: Readonly<Record<Exactly, Code>> = {
  add: lostBySum(f64, double, f64.const(0), false, 'f64'),
  sub: lostBySum(f64, double, f64.const(0), true, 'f64'),
  mul: fits(a, b),
  div: i32.and(fits(r, b), f64.eq(f64.mul(double(r), double(b)), double(a))),
  sqrt: i32.and(fits(r, r), f64.eq(f64.mul(double(r), double(r)), double(b))),
};
const SINGLE: Readonly<Record<Exactly, Code>> = {
  add: lostBySum(f32, single, f32.const(0), false, 'f32'),
  sub: lostBySum(f32, single, f32.const(0), true, 'f32'),
  mul: f64.eq(f64.mul(wide(a), wide(b)), wide(r)),
  div: f64.eq(f64.mul(wide(r), wide(b)), wide(a)),
  sqrt: f64.eq(f64.mul(wide(r), wide(r)), wide(b)),
};
const onLane = (format: string, type: 'f32' | 'f64', ops: Readonly<Record<Exactly, Code>>): readonly Func[] =>
  Object.entries(ops).map(([op, body]) => ({
    name: exactName(op as Exactly, format),
    params: ['i64', 'i64', 'i64'],
    result: 'i32',
    locals: [type, type],
    body,
  }));
/** All lanes that take part. */
const onVectors = (format: string, lanes: number, lane: (v: Code, n: number) => Code, of: string): readonly Func[] =>
  (Object.keys(DOUBLE) as Exactly[]).map(op => ({
    name: exactName(op, format),
    params: ['v128', 'v128', 'v128'],
    result: 'i32',
    body: Array.from({ length: lanes }, (_, n) =>
      call(exactName(op, of), ...[0, 1, 2].map(v => lane(get(local(v, 'v128')), n))),
    ).reduce((all, one) => i32.and(all, one)),
  }));

const doubleAt = i64x2.extract;
const singleAt = (v: Code, n: number): Code => i64.extendU(i32x4.extract(v, n));
export const EXACT_FUNCTIONS: readonly Func[] = [
  ...onLane('_double', 'f64', DOUBLE),
  ...onLane('_single', 'f32', SINGLE),
  ...onVectors('sd', 1, doubleAt, '_double'),
  ...onVectors('pd', 2, doubleAt, '_double'),
  ...onVectors('ss', 1, singleAt, '_single'),
  ...onVectors('ps', 4, singleAt, '_single'),
];
