/**
 * Between the extended format and what memory holds: single, double, integers and packed decimals. SDM 2A, FST, FIST,
 * FBLD, FBSTP.
 *
 *    79  78     72 71                                   0
 *   | S |    0    | 18 decimal digits, four bits each    |     packed decimal
 */
import { special } from './x87-arithmetic.js';
import {
  DOUBLE,
  decode,
  encode,
  type Format,
  finite,
  fromInteger,
  NAN_INDEFINITE,
  type Rounding,
  round,
  roundBits,
  SINGLE,
  type Value,
  X,
} from './x87-format.js';

/** A number in memory. */
export interface MemoryFormat {
  readonly bytes: 2 | 4 | 8 | 10;
  read(bits: bigint): Value;
  /** The nearest this format has, and the exceptions of the conversion. */
  write(v: Value, rounding: Rounding): Converted;
  /** The bits of what an invalid operation gives. */
  readonly indefinite: bigint;
}
export interface Converted {
  readonly bits: bigint;
  readonly flags: number;
  readonly up: boolean;
}

const float = (format: Format, bytes: 4 | 8): MemoryFormat => ({
  bytes,
  read: bits => decode(format, bits),
  write(v, rounding) {
    const result =
      special(v) ??
      (v.kind === 'finite' ? round(v, format, format.precision, rounding) : { value: v, flags: 0, up: false });
    // A wrapped result is not stored, and fits no format.
    const isStored = (result.flags & (X.OE | X.UE) & ~rounding.masks) === 0;
    return { bits: isStored ? encode(result.value, format) : 0n, flags: result.flags, up: result.up };
  },
  indefinite: encode(NAN_INDEFINITE, format),
});

/** The integer nearest to a value; undefined where there is none (a NaN), or where it is far too large. */
function toInteger(v: Value, { direction }: Rounding): { n: bigint; inexact: boolean; up: boolean } | undefined {
  if (v.kind === 'zero') return { n: 0n, inexact: false, up: false };
  if (v.kind !== 'finite' || v.exponent > 64) return undefined;
  const { significand, inexact, up } = roundBits(v.sign, v.significand, -v.exponent, direction);
  return { n: v.sign ? -significand : significand, inexact, up };
}
/** An integer format with numbers from `least` to `most`. */
const integral = (
  bytes: MemoryFormat['bytes'],
  [least, most]: readonly [bigint, bigint],
  indefinite: bigint,
  read: (bits: bigint) => Value,
  bitsOf: (n: bigint, v: Value) => bigint,
): MemoryFormat => ({
  bytes,
  read,
  write(v, rounding) {
    const integer = toInteger(v, rounding);
    if (!integer || integer.n < least || integer.n > most) return { bits: indefinite, flags: X.IE, up: false };
    return { bits: bitsOf(integer.n, v), flags: integer.inexact ? X.PE : 0, up: integer.up };
  },
  indefinite,
});
const signed = (bytes: 2 | 4 | 8): MemoryFormat => {
  const bits = 8 * bytes;
  const limit = 1n << BigInt(bits - 1);
  return integral(
    bytes,
    [-limit, limit - 1n],
    limit,
    n => fromInteger(BigInt.asIntN(bits, n)),
    n => BigInt.asUintN(bits, n),
  );
};

const DECIMAL_MAX = 10n ** 18n - 1n;
const DECIMAL_SIGN = 1n << 79n;
const DECIMAL_INDEFINITE = 0xffff_c000_0000_0000_0000n;
const DECIMAL = integral(
  10,
  [-DECIMAL_MAX, DECIMAL_MAX],
  DECIMAL_INDEFINITE,
  bits => {
    let n = 0n;
    for (let digit = 17n; digit >= 0n; digit--) n = n * 10n + ((bits >> (4n * digit)) & 15n);
    return finite(bits & DECIMAL_SIGN ? 1 : 0, n, 0);
  },
  (n, v) => BigInt(`0x${n < 0n ? -n : n}`) | (v.sign ? DECIMAL_SIGN : 0n),
);
/** An extended number goes through memory as it is. */
export const EXTENDED_BYTES = 10;

export const FLOATS = { 4: float(SINGLE, 4), 8: float(DOUBLE, 8) } as const;
export const INTEGERS = { 2: signed(2), 4: signed(4), 8: signed(8) } as const;
export const PACKED_DECIMAL = DECIMAL;
