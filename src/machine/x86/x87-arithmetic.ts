/**
 * Arithmetic of the x87 unit: values in, a rounded value and the exceptions it raises out. What becomes of both is the
 * business of x87-unit.ts. SDM 1, 8.3 and 8.5 (exceptions), 4.8.3 (NaNs); SDM 2A, each instruction.
 *
 * Every operation looks first for what has no number as its answer, in this order: an unsupported operand, a NaN, an
 * operation without meaning (each invalid), then the infinities and zeros, and computes last. A denormal operand raises
 * DE unless the operation is invalid.
 */
import {
  bitLength,
  EXTENDED,
  type Format,
  finite,
  fromInteger,
  infinity,
  NAN_INDEFINITE,
  QUIET,
  type Result,
  type Rounding,
  round,
  roundBits,
  type Sign,
  type Value,
  X,
  zero,
} from './x87-format.js';

/** Rounding, and the precision that PC of fcw asks of add, subtract, multiply, divide and square root. */
export interface Control extends Rounding {
  readonly precision: number;
  /** Of the result, if it is not the extended format: SSE computes in single and double (sse-float.ts). */
  readonly format?: Format;
}

const exactly = (v: Value, flags = 0): Result => ({ value: v, flags, up: false });
const INVALID: Result = exactly(NAN_INDEFINITE, X.IE);
const opposite = (sign: Sign): Sign => (sign ? 0 : 1);
export const negated = (v: Value): Value => ({ ...v, sign: opposite(v.sign) });
const denormals = (...values: readonly Value[]): number => (values.some(v => v.denormal) ? X.DE : 0);
/** A NaN as an operation gives it: quiet. Other values are what they are. */
export const quieted = (v: Value): Value =>
  v.kind === 'nan' ? { ...v, significand: v.significand | QUIET, signalling: false } : v;

/**
 * The answer where an operand is a NaN or unsupported; undefined where none is. Of two NaNs the quiet one, of two alike
 * the one with the larger significand, and of equal ones the positive (SDM 1, table 4-7).
 */
export function special(a: Value, b: Value = a): Result | undefined {
  if (a.kind === 'unsupported' || b.kind === 'unsupported') return INVALID;
  if (a.kind !== 'nan' && b.kind !== 'nan') return undefined;
  return exactly(quieted(chosen(a, b)), a.signalling || b.signalling ? X.IE : 0);
}
function chosen(a: Value, b: Value): Value {
  if (b.kind !== 'nan') return a;
  if (a.kind !== 'nan') return b;
  if (a.signalling !== b.signalling) return a.signalling ? b : a;
  if (a.significand !== b.significand) return a.significand > b.significand ? a : b;
  return a.sign ? b : a;
}

/** A result with the precision that was asked for. */
function rounded(v: Value, control: Control, flags: number, more = false): Result {
  const result = round(v, control.format ?? EXTENDED, control.precision, control, more);
  return { ...result, flags: result.flags | flags };
}

/**
 * A value so far below another counts only as something that is not zero. More bits than a sum and its rounding can
 * need.
 */
const FAR = 200;
const DOWN = 1;

export function add(a: Value, b: Value, control: Control): Result {
  const odd = special(a, b);
  if (odd) return odd;
  if (a.kind === 'infinity' && b.kind === 'infinity') return a.sign === b.sign ? exactly(a) : INVALID;
  const flags = denormals(a, b);
  if (a.kind === 'infinity') return exactly(a, flags);
  if (b.kind === 'infinity') return exactly(b, flags);
  const nothing = zero(a.sign === b.sign ? a.sign : control.direction === DOWN ? 1 : 0);
  if (a.kind === 'zero') return b.kind === 'zero' ? exactly(nothing) : rounded(b, control, flags);
  if (b.kind === 'zero') return rounded(a, control, flags);
  const [high, low] = a.exponent >= b.exponent ? [a, b] : [b, a];
  const gap = Math.min(high.exponent - low.exponent, FAR);
  const small = high.exponent - low.exponent > FAR ? 1n : low.significand;
  const large = high.significand << BigInt(gap);
  const sum = (high.sign ? -large : large) + (low.sign ? -small : small);
  if (sum === 0n) return exactly(zero(control.direction === DOWN ? 1 : 0), flags);
  return rounded(finite(sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, high.exponent - gap), control, flags);
}
/** A NaN keeps its sign, so b is negated only where it is a number. */
export const subtract = (a: Value, b: Value, control: Control): Result => special(a, b) ?? add(a, negated(b), control);

export function multiply(a: Value, b: Value, control: Control): Result {
  const odd = special(a, b);
  if (odd) return odd;
  const sign: Sign = a.sign === b.sign ? 0 : 1;
  const isInfinite = a.kind === 'infinity' || b.kind === 'infinity';
  const isZero = a.kind === 'zero' || b.kind === 'zero';
  if (isInfinite && isZero) return INVALID;
  const flags = denormals(a, b);
  if (isInfinite) return exactly(infinity(sign), flags);
  if (isZero) return exactly(zero(sign), flags);
  return rounded(finite(sign, a.significand * b.significand, a.exponent + b.exponent), control, flags);
}

/** Bits of a quotient or root: those that are kept, those that say how to round, and some more. */
const QUOTIENT_BITS = 68;

export function divide(a: Value, b: Value, control: Control): Result {
  const odd = special(a, b);
  if (odd) return odd;
  const sign: Sign = a.sign === b.sign ? 0 : 1;
  if (a.kind === b.kind && (a.kind === 'infinity' || a.kind === 'zero')) return INVALID;
  const flags = denormals(a, b);
  if (a.kind === 'infinity') return exactly(infinity(sign), flags);
  if (b.kind === 'zero') return exactly(infinity(sign), X.ZE);
  if (b.kind === 'infinity' || a.kind === 'zero') return exactly(zero(sign), flags);
  const shift = Math.max(0, QUOTIENT_BITS + bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(shift);
  const quotient = dividend / b.significand;
  const v = finite(sign, quotient, a.exponent - b.exponent - shift);
  return rounded(v, control, flags, quotient * b.significand !== dividend);
}

export function squareRoot(a: Value, control: Control): Result {
  const odd = special(a);
  if (odd) return odd;
  if (a.kind === 'zero') return exactly(a);
  if (a.sign) return INVALID;
  if (a.kind === 'infinity') return exactly(a);
  // The exponent under the root is even.
  let shift = Math.max(0, 2 * QUOTIENT_BITS - bitLength(a.significand));
  if ((a.exponent - shift) % 2 !== 0) shift++;
  const radicand = a.significand << BigInt(shift);
  const root = integerRoot(radicand);
  return rounded(finite(0, root, (a.exponent - shift) / 2), control, denormals(a), root * root !== radicand);
}
/** The largest integer whose square is not above n: Newton's iteration, from above. */
function integerRoot(n: bigint): bigint {
  let root = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** frndint: to an integer, in the direction of fcw, whatever the precision. */
export function toIntegral(a: Value, control: Rounding): Result {
  const odd = special(a);
  if (odd) return odd;
  if (a.kind !== 'finite') return exactly(a);
  const flags = denormals(a);
  if (a.exponent >= 0) return exactly(a, flags);
  const { significand, inexact, up } = roundBits(a.sign, a.significand, -a.exponent, control.direction);
  return { value: finite(a.sign, significand, 0), flags: flags | (inexact ? X.PE : 0), up };
}

/** The order of two numbers, NaNs apart. */
export type Order = 'less' | 'equal' | 'greater' | 'unordered';
/** @param quietly a quiet NaN is no reason for an exception (fucom) */
export function compare(a: Value, b: Value, quietly: boolean): { order: Order; flags: number } {
  const odd = special(a, b);
  if (odd) return { order: 'unordered', flags: quietly ? odd.flags : X.IE };
  const flags = denormals(a, b);
  const difference = key(a, b);
  return { order: difference < 0n ? 'less' : difference > 0n ? 'greater' : 'equal', flags };
}
/** Negative, zero or positive as a is below, equal to or above b. */
function key(a: Value, b: Value): bigint {
  const sign = (v: Value): bigint => (v.kind === 'zero' ? 0n : v.sign ? -1n : 1n);
  if (sign(a) !== sign(b)) return sign(a) - sign(b);
  return sign(a) * magnitude(a, b);
}
function magnitude(a: Value, b: Value): bigint {
  if (a.kind === 'zero') return 0n;
  if (a.kind === 'infinity' || b.kind === 'infinity')
    return BigInt(Number(a.kind === 'infinity')) - BigInt(Number(b.kind === 'infinity'));
  const leading = (v: Value): number => v.exponent + bitLength(v.significand);
  if (leading(a) !== leading(b)) return BigInt(leading(a) - leading(b));
  const least = Math.min(a.exponent, b.exponent);
  return (a.significand << BigInt(a.exponent - least)) - (b.significand << BigInt(b.exponent - least));
}

/** fscale moves no exponent by more: beyond is infinity or zero in any case. */
const SCALE_MAX = 0x1_0000;

/** fscale: a * 2^(b, cut to an integer). */
export function scale(a: Value, b: Value, control: Rounding): Result {
  const odd = special(a, b);
  if (odd) return odd;
  if (b.kind === 'infinity') {
    if (b.sign ? a.kind === 'infinity' : a.kind === 'zero') return INVALID;
    return exactly(b.sign ? zero(a.sign) : infinity(a.sign), denormals(a));
  }
  const flags = denormals(a, b);
  if (a.kind !== 'finite') return exactly(a, flags);
  const by = integerPart(b);
  return rounded({ ...a, exponent: a.exponent + by }, { ...control, precision: EXTENDED.precision }, flags);
}
/** The integer in a number, at most SCALE_MAX either way. */
function integerPart(v: Value): number {
  if (v.kind === 'zero' || v.exponent + bitLength(v.significand) <= 0) return 0;
  if (v.exponent + bitLength(v.significand) > 17) return v.sign ? -SCALE_MAX : SCALE_MAX;
  const whole = Number(v.exponent >= 0 ? v.significand << BigInt(v.exponent) : v.significand >> BigInt(-v.exponent));
  return v.sign ? -whole : whole;
}

/** fxtract: exponent and significand, each a number. */
export function extract(a: Value): { exponent: Result; significand: Result } {
  const odd = special(a);
  if (odd) return { exponent: odd, significand: odd };
  if (a.kind === 'zero') return { exponent: exactly(infinity(1), X.ZE), significand: exactly(a) };
  if (a.kind === 'infinity') return { exponent: exactly(infinity(0)), significand: exactly(a) };
  const length = bitLength(a.significand);
  const flags = denormals(a);
  return {
    exponent: exactly(fromInteger(BigInt(a.exponent + length - 1)), flags),
    significand: exactly(finite(a.sign, a.significand, 1 - length), flags),
  };
}

export interface Remainder extends Result {
  /** The low three bits of the quotient. Partial: the reduction is not complete. None: there is nothing to divide. */
  readonly quotient: number | 'partial' | 'none';
}
/** A reduction takes at most so much off the distance of the exponents. */
const REDUCTION = 64;

/**
 * fprem and fprem1: what a division of integers leaves, cut to zero, or to nearest (ties to even). Always exact. Where
 * the exponents are 64 or more apart, only a part of the reduction is done, and the program goes on until it is
 * complete.
 */
export function remainder(a: Value, b: Value, toNearest: boolean, masks: number): Remainder {
  const odd = special(a, b);
  if (odd) return { ...odd, quotient: 'none' };
  if (a.kind === 'infinity' || b.kind === 'zero') return { ...INVALID, quotient: 'none' };
  const flags = denormals(a, b);
  if (a.kind === 'zero') return { ...exactly(a, flags), quotient: 0 };
  // Exact, but a tiny one is an underflow where that is not masked.
  const exact = (v: Value): Result => rounded(v, { direction: 0, masks, precision: EXTENDED.precision }, flags);
  if (b.kind === 'infinity') return { ...exact(a), quotient: 0 };
  const distance = a.exponent + bitLength(a.significand) - (b.exponent + bitLength(b.significand));
  if (distance < (toNearest ? -1 : 0)) return { ...exact(a), quotient: 0 };
  const isPartial = distance >= REDUCTION;
  // A partial reduction subtracts b * 2^shift as often as it fits.
  const shift = isPartial ? distance - (32 + (distance % 32)) : 0;
  const exponent = Math.min(a.exponent, b.exponent + shift);
  const dividend = a.significand << BigInt(a.exponent - exponent);
  const divisor = b.significand << BigInt(b.exponent + shift - exponent);
  let quotient = dividend / divisor;
  let rest = dividend % divisor;
  let { sign } = a;
  if (toNearest && !isPartial && (rest * 2n > divisor || (rest * 2n === divisor && quotient & 1n))) {
    quotient++;
    rest = divisor - rest;
    sign = opposite(sign);
  }
  const result = rest === 0n ? exactly(zero(a.sign), flags) : exact(finite(sign, rest, exponent));
  return { ...result, quotient: isPartial ? 'partial' : Number(quotient & 7n) };
}
