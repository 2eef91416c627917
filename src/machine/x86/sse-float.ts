/**
 * Floats of SSE and SSE2, exactly: one lane at a time, bits in, bits and exceptions out. The numbers and their arithmetic
 * are those of the x87 unit (x87-format.ts, x87-arithmetic.ts) in single and double; what differs is here:
 *
 *   of two NaNs the answer is the first operand, made quiet (SDM 1, table 4-7)
 *   DAZ takes denormal operands for zeros, and FZ makes tiny results zeros (SDM 1, 10.2.3)
 *   minimum and maximum give the second operand where they cannot decide
 *
 *    31   16 15 14 13 12          7  6  5          0
 *   |   0   |FZ|  RC | masks P..I |DAZ|flags P..I  |     mxcsr; exceptions I D Z O U P are bits 0 - 5
 */
import { add, type Control, compare, divide, multiply, squareRoot, subtract } from './x87-arithmetic.js';
import {
  type Direction,
  DOUBLE,
  decode,
  encode,
  type Format,
  fromInteger,
  type Result,
  round,
  roundBits,
  SINGLE,
  TO_ZERO,
  type Value,
  X,
  zero,
} from './x87-format.js';

/** What mxcsr asks for. */
export interface Mode {
  readonly direction: Direction;
  /** Exceptions that are masked. */
  readonly masks: number;
  readonly denormalsAreZeros: boolean;
  readonly flushToZero: boolean;
}
export const modeOf = (mxcsr: number): Mode => ({
  direction: ((mxcsr >> 13) & 3) as Direction,
  masks: (mxcsr >> 7) & 0x3f,
  denormalsAreZeros: (mxcsr & 0x40) !== 0,
  flushToZero: (mxcsr & 0x8000) !== 0,
});

/** What a lane becomes; it means nothing where an exception is raised that is not masked. */
export interface Lane {
  readonly bits: bigint;
  /** Exceptions, as in mxcsr. */
  readonly flags: number;
}
export type FloatBytes = 4 | 8;
const FORMAT: Readonly<Record<FloatBytes, Format>> = { 4: SINGLE, 8: DOUBLE };

const signBit = (bytes: FloatBytes): bigint => 1n << BigInt(8 * bytes - 1);
/** The least normal single. */
const LEAST = 0x80_0000n;
const quietBit = (bytes: FloatBytes): bigint => 1n << BigInt(FORMAT[bytes].precision - 2);
const INFINITE: Readonly<Record<FloatBytes, bigint>> = { 4: 0x7f80_0000n, 8: 0x7ff0_0000_0000_0000n };
/** What an invalid operation gives: a quiet NaN, negative (SDM 1, 4.8.3.7). */
const indefinite = (bytes: FloatBytes): bigint => signBit(bytes) | INFINITE[bytes] | quietBit(bytes);

function operand(bytes: FloatBytes, bits: bigint, mode: Mode): Value {
  const v = decode(FORMAT[bytes], bits);
  return v.denormal && mode.denormalsAreZeros ? zero(v.sign) : v;
}
/** The answer where an operand is a NaN: the first one of those, quiet. */
function nanOf(bytes: FloatBytes, ...operands: readonly (readonly [bits: bigint, v: Value])[]): Lane | undefined {
  const nan = operands.find(([, v]) => v.kind === 'nan');
  if (!nan) return undefined;
  return { bits: nan[0] | quietBit(bytes), flags: operands.some(([, v]) => v.signalling) ? X.IE : 0 };
}
const control = (bytes: FloatBytes, mode: Mode): Control => ({
  direction: mode.direction,
  masks: mode.masks,
  precision: FORMAT[bytes].precision,
  format: FORMAT[bytes],
});
/**
 * A result as bits; tiny ones as zeros where FZ asks for that. Whether a result is tiny, exact or not, the rounding says when
 * underflow is not masked.
 */
function laneOf(bytes: FloatBytes, compute: (control: Control) => Result, mode: Mode): Lane {
  const how = control(bytes, mode);
  if (mode.flushToZero && mode.masks & X.UE) {
    const { value, flags } = compute({ ...how, masks: how.masks & ~X.UE });
    if (flags & X.UE) {
      const bits = value.sign ? signBit(bytes) : 0n;
      return { bits, flags: (flags & (X.IE | X.DE)) | X.UE | X.PE };
    }
  }
  const { value, flags } = compute(how);
  if (flags & X.IE) return { bits: indefinite(bytes), flags };
  if (flags & (X.OE | X.UE) & ~mode.masks) return { bits: 0n, flags };
  return { bits: encode(value, FORMAT[bytes]), flags };
}

const BINARY = { add, sub: subtract, mul: multiply, div: divide } as const;
export type Binary = keyof typeof BINARY;

export function binary(op: Binary, bytes: FloatBytes, a: bigint, b: bigint, mode: Mode): Lane {
  const [va, vb] = [operand(bytes, a, mode), operand(bytes, b, mode)];
  return nanOf(bytes, [a, va], [b, vb]) ?? laneOf(bytes, how => BINARY[op](va, vb, how), mode);
}
export function root(bytes: FloatBytes, a: bigint, mode: Mode): Lane {
  const v = operand(bytes, a, mode);
  return nanOf(bytes, [a, v]) ?? laneOf(bytes, how => squareRoot(v, how), mode);
}

/** `a` if it is less than `b` (min) or greater (max), else `b` as it is: also of NaNs and of two zeros (SDM 2B, MINSD). */
export function extreme(op: 'min' | 'max', bytes: FloatBytes, a: bigint, b: bigint, mode: Mode): Lane {
  const [va, vb] = [operand(bytes, a, mode), operand(bytes, b, mode)];
  const { order, flags } = compare(va, vb, false);
  const first = order === (op === 'min' ? 'less' : 'greater');
  const [bits, v] = first ? [a, va] : [b, vb];
  return { bits: v.kind === 'zero' ? bits & signBit(bytes) : bits, flags };
}

/** Whether predicate 0-7 of cmpps holds; the upper four negate the lower four (SDM 2A, CMPPD, table 3-1). */
export function predicate(n: number, bytes: FloatBytes, a: bigint, b: bigint, mode: Mode): Lane {
  // eq, unord and their negations do not mind quiet NaNs.
  const kind = n & 3;
  const { order, flags } = compare(operand(bytes, a, mode), operand(bytes, b, mode), kind === 0 || kind === 3);
  const holds = [order === 'equal', order === 'less', order === 'less' || order === 'equal', order === 'unordered'][
    kind
  ];
  return { bits: holds === n < 4 ? (1n << BigInt(8 * bytes)) - 1n : 0n, flags };
}
/** The order of two lanes, for comiss (noisily: a quiet NaN is invalid) and ucomiss. */
export const orderOf = (bytes: FloatBytes, a: bigint, b: bigint, mode: Mode, quietly: boolean) =>
  compare(operand(bytes, a, mode), operand(bytes, b, mode), quietly);

/** A float as the other kind of float. */
export function toFloat(from: FloatBytes, to: FloatBytes, a: bigint, mode: Mode): Lane {
  const v = operand(from, a, mode);
  if (v.kind === 'nan') return { bits: encode(v, FORMAT[to]) | quietBit(to), flags: v.signalling ? X.IE : 0 };
  const flags = v.denormal ? X.DE : 0;
  if (v.kind !== 'finite') return { bits: encode(v, FORMAT[to]), flags };
  const lane = laneOf(to, how => round(v, FORMAT[to], how.precision, how), mode);
  return { bits: lane.bits, flags: lane.flags | flags };
}
/** A signed integer as a float. */
export function fromInt(to: FloatBytes, n: bigint, mode: Mode): Lane {
  const v = fromInteger(n);
  if (v.kind === 'zero') return { bits: 0n, flags: 0 };
  return laneOf(to, how => round(v, FORMAT[to], how.precision, how), mode);
}
/**
 * A float as a signed integer of 4 or 8 bytes. What does not fit, and a NaN, is invalid and gives the least integer
 * (SDM 1, 4.8.3.7). A denormal operand is no exception here.
 */
export function toInt(from: FloatBytes, to: 4 | 8, a: bigint, mode: Mode, truncate: boolean): Lane {
  const v = operand(from, a, mode);
  const invalid = { bits: 1n << BigInt(8 * to - 1), flags: X.IE };
  if (v.kind === 'zero') return { bits: 0n, flags: 0 };
  if (v.kind !== 'finite' || v.exponent > 64) return invalid;
  const { significand, inexact } = roundBits(v.sign, v.significand, -v.exponent, truncate ? TO_ZERO : mode.direction);
  const n = v.sign ? -significand : significand;
  if (BigInt.asIntN(8 * to, n) !== n) return invalid;
  return { bits: BigInt.asUintN(8 * to, n), flags: inexact ? X.PE : 0 };
}

/**
 * rcpss and rsqrtss: an approximation with an error of at most 1.5 * 2^-12, relative. Processors differ in its bits; this
 * one is the exact answer cut to twelve significant bits after the first, halfway up. No exceptions, denormals are zeros,
 * and so are tiny results (SDM 2B, RCPSS, RSQRTSS).
 */
export function approximate(op: 'rcp' | 'rsqrt', a: bigint): Lane {
  const v = operand(4, a, { direction: 0, masks: 0x3f, denormalsAreZeros: true, flushToZero: true });
  const lane = (bits: bigint): Lane => ({ bits, flags: 0 });
  const sign = a & signBit(4);
  if (v.kind === 'nan') return lane(a | quietBit(4));
  if (v.kind === 'zero') return lane(sign | INFINITE[4]);
  if (op === 'rsqrt' && v.sign) return lane(indefinite(4));
  if (v.kind === 'infinity') return lane(sign);
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, Number(a));
  const x = view.getFloat32(0);
  view.setFloat32(0, op === 'rcp' ? 1 / x : 1 / Math.sqrt(x));
  const bits = BigInt(view.getUint32(0));
  if ((bits & ~signBit(4)) <= LEAST) return lane(sign); // tiny, or may have been
  return lane((bits + 0x400n) & ~0x7ffn);
}
