/**
 * The numbers of the x87 unit, and rounding. SDM 1, 4.2.2, 4.8 and 8.2.
 *
 *    79  78          64  63  62                    0
 *   | S |   exponent   | J |       fraction         |     extended: 1 + 15 + 64 bits; J is the digit before the point
 *
 *          exponent   J  fraction
 *             0       0     0       zero
 *             0       0   not 0     denormal:        0.f * 2^-16382
 *             0       1    any      pseudo-denormal: 1.f * 2^-16382
 *         1 - 7ffe    1    any      1.f * 2^(exponent - 16383)
 *           7fff      1     0       infinity
 *           7fff      1   0x...     signalling NaN (x not all 0)
 *           7fff      1   1x...     quiet NaN
 *         all others  0    any      unsupported (unnormals, pseudo-infinity, pseudo-NaNs): never made, refused
 *
 * single (1 + 8 + 23) and double (1 + 11 + 52) have no J: it is 1 unless the exponent is 0.
 *
 * Arithmetic happens on what a number is worth, an integer times a power of 2, as exactly as needed; `round` then makes
 * it fit. So there is one place that knows about precision, direction, overflow and underflow. A number's bits are one
 * bigint.
 */
import { assert } from '../../base/assert.js';

export type Sign = 0 | 1;
export interface Value {
  readonly kind: 'zero' | 'finite' | 'infinity' | 'nan' | 'unsupported';
  readonly sign: Sign;
  /** A finite value is significand * 2^exponent. Of a NaN the significand is that of the extended format. */
  readonly significand: bigint;
  readonly exponent: number;
  /** It was a denormal, or a pseudo-denormal, where it came from. */
  readonly denormal: boolean;
  /** A NaN that is to raise an exception. */
  readonly signalling: boolean;
}
export interface Format {
  /** Bits of the significand with the digit before the point. */
  readonly precision: number;
  /** Exponents of the smallest and of the largest normal number. */
  readonly least: number;
  readonly most: number;
  /** All bits but the sign. */
  readonly bits: number;
  /** Whether the digit before the point is stored. */
  readonly explicit: boolean;
}
export const SINGLE: Format = { precision: 24, least: -126, most: 127, bits: 31, explicit: false };
export const DOUBLE: Format = { precision: 53, least: -1022, most: 1023, bits: 63, explicit: false };
export const EXTENDED: Format = { precision: 64, least: -16382, most: 16383, bits: 79, explicit: true };

export const QUIET = 1n << 62n;
const INTEGER = 1n << 63n;
const SIGN = 1n << 79n;
const EXPONENT_MAX = 0x7fff;
/** What an invalid operation gives: a quiet NaN, negative (SDM 1, 4.8.3.7). */
export const INDEFINITE = (0xffffn << 64n) | INTEGER | QUIET;

/** How many bits `n`, not negative, has. */
export function bitLength(n: bigint): number {
  const digits = n.toString(16);
  return digits.length * 4 - Math.clz32(Number.parseInt(digits[0]!, 16)) + 28;
}
const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

const value = (kind: Value['kind'], sign: Sign, significand: bigint, exponent = 0, denormal = false): Value => ({
  kind,
  sign,
  significand,
  exponent,
  denormal,
  signalling: kind === 'nan' && (significand & QUIET) === 0n,
});
export const finite = (sign: Sign, significand: bigint, exponent: number): Value =>
  value(significand === 0n ? 'zero' : 'finite', sign, significand, exponent);

/** What the 80 bits of an extended number say. */
export function decodeExtended(bits: bigint): Value {
  const sign = bits & SIGN ? 1 : 0;
  const exponent = Number((bits >> 64n) & 0x7fffn);
  const significand = bits & ones(64);
  if (exponent === 0) {
    if (significand === 0n) return value('zero', sign, 0n);
    return value('finite', sign, significand, EXTENDED.least - 63, true);
  }
  if (!(significand & INTEGER)) return value('unsupported', sign, significand);
  if (exponent < EXPONENT_MAX) return value('finite', sign, significand, exponent - EXTENDED.most - 63);
  return value(significand === INTEGER ? 'infinity' : 'nan', sign, significand);
}
/** What the bits of a single or double number say. */
export function decode(format: Format, bits: bigint): Value {
  const stored = format.precision - 1;
  const sign = (bits >> BigInt(format.bits)) & 1n ? 1 : 0;
  const exponent = Number((bits >> BigInt(stored)) & ones(format.bits - stored));
  const fraction = bits & ones(stored);
  if (exponent === 0) {
    return fraction === 0n ? value('zero', sign, 0n) : value('finite', sign, fraction, format.least - stored, true);
  }
  const significand = fraction | (1n << BigInt(stored));
  if (exponent < 2 * format.most + 1) return value('finite', sign, significand, exponent - format.most - stored);
  return value(fraction === 0n ? 'infinity' : 'nan', sign, significand << BigInt(63 - stored));
}
/** An integer, exactly. */
export const fromInteger = (n: bigint): Value => (n < 0n ? finite(1, -n, 0) : finite(0, n, 0));

/** 00 nearest, 01 down, 10 up, 11 to zero: RC of fcw. */
export const NEAREST = 0;
const DOWN = 1;
const UP = 2;
export const TO_ZERO = 3;
export type Direction = 0 | 1 | 2 | 3;

export interface Rounded {
  readonly significand: bigint;
  /** It is not the exact value. */
  readonly inexact: boolean;
  /** It is larger than the exact value, signs apart. */
  readonly up: boolean;
}
/**
 * Drops the low `drop` bits of a significand (drop <= 0: adds zeros).
 * @param more whether the exact value is a little above the significand, by less than its last bit; drop >= 2 then
 */
export function roundBits(sign: Sign, significand: bigint, drop: number, direction: Direction, more = false): Rounded {
  assert(drop >= 2 || !more, 'what is above the significand is below what is kept');
  if (drop <= 0) return { significand: significand << BigInt(-drop), inexact: false, up: false };
  const kept = significand >> BigInt(drop);
  const rest = significand & ones(drop);
  if (rest === 0n && !more) return { significand: kept, inexact: false, up: false };
  const half = 1n << BigInt(drop - 1);
  const up =
    direction === NEAREST
      ? rest > half || (rest === half && (more || (kept & 1n) === 1n))
      : direction === UP
        ? sign === 0
        : direction === DOWN && sign === 1;
  return { significand: up ? kept + 1n : kept, inexact: true, up };
}

/** Exceptions, as in fsw and fcw. */
export const X = { IE: 1, DE: 2, ZE: 4, OE: 8, UE: 0x10, PE: 0x20 } as const;

export interface Rounding {
  readonly direction: Direction;
  /** Exceptions that are masked. */
  readonly masks: number;
}
export interface Result {
  readonly value: Value;
  /** Exceptions it raises. */
  readonly flags: number;
  readonly up: boolean;
}
/** By so much the exponent of a result is moved into range when overflow or underflow is not masked (SDM 1, 8.5.4). */
const WRAP = 24576;

/**
 * Makes a finite value fit a format. Where overflow or underflow is not masked the result is that of the extended
 * format with its exponent wrapped, and where that is not enough (only fscale goes so far) infinity or zero; it means
 * nothing for the others, which are not stored then.
 * @param precision bits of the significand, at most the format's
 * @param more as for roundBits; the significand has at least two bits more than `precision` then
 */
export function round(
  v: Value,
  format: Format,
  precision: number,
  { direction, masks }: Rounding,
  more = false,
): Result {
  const { sign, significand } = v;
  const drop = bitLength(significand) - precision;
  const plain = roundBits(sign, significand, drop, direction, more);
  // Rounding up may carry into one bit more: the last bit is 0 then, and nothing is lost below.
  const leading = v.exponent + drop + bitLength(plain.significand) - 1;
  const inexact = plain.inexact ? X.PE : 0;
  const moved = (by: number): Value => finite(sign, plain.significand, v.exponent + drop + by);
  if (leading > format.most) {
    const isMasked = (masks & X.OE) !== 0;
    if (!isMasked && leading - WRAP <= format.most) return { value: moved(-WRAP), flags: X.OE | inexact, up: plain.up };
    const toInfinity = !isMasked || direction === NEAREST || direction === (sign ? DOWN : UP);
    const largest = finite(sign, ones(precision), format.most - precision + 1);
    return { value: toInfinity ? value('infinity', sign, 0n) : largest, flags: X.OE | X.PE, up: toInfinity };
  }
  // Tiny is what would be below the least normal number if exponents had no end (SDM 1, 4.9.1.5).
  if (leading < format.least) {
    if (!(masks & X.UE)) {
      if (leading + WRAP < format.least) return { value: zero(sign), flags: X.UE | X.PE, up: false };
      return { value: moved(WRAP), flags: X.UE | inexact, up: plain.up };
    }
    const last = format.least - precision + 1;
    const coarse = roundBits(sign, significand, last - v.exponent, direction, more);
    const flags = coarse.inexact ? X.UE | X.PE : 0;
    return { value: finite(sign, coarse.significand, last), flags, up: coarse.up };
  }
  return { value: moved(0), flags: inexact, up: plain.up };
}

/** The bits of a value that fits the format, as from `round`. A NaN keeps the high bits of its significand. */
export function encode(v: Value, format: Format): bigint {
  const { precision, bits, explicit } = format;
  const stored = explicit ? precision : precision - 1;
  const special = ones(bits - stored) << BigInt(stored);
  const sign = BigInt(v.sign) << BigInt(bits);
  switch (v.kind) {
    case 'zero':
      return sign;
    case 'infinity':
      return sign | special | (explicit ? INTEGER : 0n);
    case 'nan':
      return sign | special | ((v.significand >> BigInt(64 - precision)) & ones(stored));
    case 'unsupported':
      throw new Error('internal error: an unsupported number is not to be encoded');
  }
  const length = bitLength(v.significand);
  const leading = v.exponent + length - 1;
  const isNormal = leading >= format.least;
  const last = isNormal ? leading - precision + 1 : format.least - precision + 1;
  const shift = v.exponent - last;
  const significand = shift >= 0 ? v.significand << BigInt(shift) : v.significand >> BigInt(-shift);
  const exponent = isNormal ? BigInt(leading + format.most) : 0n;
  return sign | (exponent << BigInt(stored)) | (significand & ones(stored));
}
export const NAN_INDEFINITE: Value = decodeExtended(INDEFINITE);
export const infinity = (sign: Sign): Value => value('infinity', sign, 0n);
export const zero = (sign: Sign): Value => value('zero', sign, 0n);
