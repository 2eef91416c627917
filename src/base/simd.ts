/**
 * The assembler's floats and vectors. A v128 is sixteen bytes without a meaning of their own; the shape is in the name of
 * the operation, as in i16x8.add. All of it is exact, with one hole: which NaN an operation makes is left open
 * (WebAssembly 2.0, 4.3.3), so whoever computes must not let a NaN come out of add, sub, mul, div, sqrt or a conversion.
 */
import { binary, type Code, load, store, uleb, unary } from './wasm.js';

/** Bytes of a float constant, low first. */
function bytesOf(value: number, bytes: 4 | 8): readonly number[] {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return [...new Uint8Array(view.buffer)];
}

export const f32 = {
  const: (n: number): Code => [0x43, ...bytesOf(n, 4)],
  load: load(0x2a),
  store: store(0x38),
  eq: binary(0x5b),
  ne: binary(0x5c),
  lt: binary(0x5d),
  gt: binary(0x5e),
  le: binary(0x5f),
  ge: binary(0x60),
  abs: unary(0x8b),
  trunc: unary(0x8f),
  /** To the nearest integer, halfway to the even one. */
  nearest: unary(0x90),
  sqrt: unary(0x91),
  add: binary(0x92),
  sub: binary(0x93),
  mul: binary(0x94),
  div: binary(0x95),
  convert32: unary(0xb2),
  convert64: unary(0xb4),
  demote: unary(0xb6),
  /** The bits of an i32 as a float, and of a float as an i32. */
  ofBits: unary(0xbe),
  bits: unary(0xbc),
} as const;

export const f64 = {
  const: (n: number): Code => [0x44, ...bytesOf(n, 8)],
  load: load(0x2b),
  store: store(0x39),
  eq: binary(0x61),
  ne: binary(0x62),
  lt: binary(0x63),
  gt: binary(0x64),
  le: binary(0x65),
  ge: binary(0x66),
  abs: unary(0x99),
  trunc: unary(0x9d),
  nearest: unary(0x9e),
  sqrt: unary(0x9f),
  add: binary(0xa0),
  sub: binary(0xa1),
  mul: binary(0xa2),
  div: binary(0xa3),
  convert32: unary(0xb7),
  convert64: unary(0xb9),
  promote: unary(0xbb),
  ofBits: unary(0xbf),
  bits: unary(0xbd),
} as const;

/** A float to a signed integer, towards zero; out of range the nearest there is, of a NaN 0. */
export const truncate = {
  i32: { f32: unary(0xfc, 0x00), f64: unary(0xfc, 0x02) },
  i64: { f32: unary(0xfc, 0x04), f64: unary(0xfc, 0x06) },
} as const;

const of = (opcode: number): number[] => [0xfd, ...uleb(opcode)];
const one = (opcode: number) => unary(...of(opcode));
const two = (opcode: number) => binary(...of(opcode));
const extract =
  (opcode: number) =>
  (a: Code, lane: number): Code => [a, of(opcode), lane];
const replace =
  (opcode: number) =>
  (a: Code, lane: number, value: Code): Code => [a, value, of(opcode), lane];

export const v128 = {
  load: load(...of(0x00)),
  /** Four or eight bytes, and zeros above them. */
  load32Zero: load(...of(0x5c)),
  load64Zero: load(...of(0x5d)),
  store: store(...of(0x0b)),
  /** Two u64, the low one first. */
  const: (low: bigint, high: bigint): Code => [
    of(0x0c),
    Array.from({ length: 16 }, (_, n) => Number(((n < 8 ? low : high) >> BigInt(8 * (n & 7))) & 0xffn)),
  ],
  not: one(0x4d),
  and: two(0x4e),
  /** a and not b. */
  andnot: two(0x4f),
  or: two(0x50),
  xor: two(0x51),
  /** Bits of `yes` where mask is 1, of `no` where it is 0. */
  bitselect: (yes: Code, no: Code, mask: Code): Code => [yes, no, mask, of(0x52)],
  anyTrue: one(0x53),
  /** Byte n of the result is byte lanes[n] of a and b, one behind the other. */
  shuffle: (a: Code, b: Code, lanes: readonly number[]): Code => [a, b, of(0x0d), lanes],
  /** Byte n is byte (byte n of `lanes`) of a, or 0 from 16 on. */
  swizzle: two(0x0e),
} as const;

export const i8x16 = {
  splat: one(0x0f),
  extract: extract(0x16),
  eq: two(0x23),
  gtS: two(0x27),
  bitmask: one(0x64),
  /** Of two vectors of words, clamped. */
  narrowS: two(0x65),
  narrowU: two(0x66),
  add: two(0x6e),
  addSatS: two(0x6f),
  addSatU: two(0x70),
  sub: two(0x71),
  subSatS: two(0x72),
  subSatU: two(0x73),
  minU: two(0x77),
  maxU: two(0x79),
  /** (a + b + 1) / 2. */
  averageU: two(0x7b),
} as const;

export const i16x8 = {
  splat: one(0x10),
  extract: extract(0x19),
  replace: replace(0x1a),
  eq: two(0x2d),
  gtS: two(0x31),
  /** Sums of neighbours, each a word. */
  addPairsU: one(0x7d),
  narrowS: two(0x85),
  shl: two(0x8b),
  shrS: two(0x8c),
  shrU: two(0x8d),
  add: two(0x8e),
  addSatS: two(0x8f),
  addSatU: two(0x90),
  sub: two(0x91),
  subSatS: two(0x92),
  subSatU: two(0x93),
  mul: two(0x95),
  minS: two(0x96),
  maxS: two(0x98),
  averageU: two(0x9b),
} as const;

export const i32x4 = {
  splat: one(0x11),
  extract: extract(0x1b),
  replace: replace(0x1c),
  eq: two(0x37),
  gtS: two(0x3b),
  ltU: two(0x3a),
  addPairsU: one(0x7f),
  bitmask: one(0xa4),
  shl: two(0xab),
  shrS: two(0xac),
  shrU: two(0xad),
  add: two(0xae),
  sub: two(0xb1),
  mul: two(0xb5),
  /** Products of words, and sums of two neighbours. */
  dot: two(0xba),
  /** Products of the low or the high four words of each. */
  mulLowS: two(0xbc),
  mulHighS: two(0xbd),
  mulLowU: two(0xbe),
  mulHighU: two(0xbf),
  /** Towards zero; out of range the nearest there is. */
  truncateF32: one(0xf8),
  /** Of two doubles; the upper half becomes 0. */
  truncateF64: one(0xfc),
} as const;

export const i64x2 = {
  splat: one(0x12),
  extract: extract(0x1d),
  replace: replace(0x1e),
  bitmask: one(0xc4),
  shl: two(0xcb),
  shrU: two(0xcd),
  add: two(0xce),
  sub: two(0xd1),
  /** Products of the low two double words of each, 64 bits wide. */
  mulLowU: two(0xde),
} as const;

export const f32x4 = {
  splat: one(0x13),
  extract: extract(0x1f),
  replace: replace(0x20),
  eq: two(0x41),
  ne: two(0x42),
  lt: two(0x43),
  gt: two(0x44),
  le: two(0x45),
  trunc: one(0x69),
  nearest: one(0x6a),
  abs: one(0xe0),
  sqrt: one(0xe3),
  add: two(0xe4),
  sub: two(0xe5),
  mul: two(0xe6),
  div: two(0xe7),
  /** b < a ? b : a, and a < b ? b : a, with nothing said about NaNs and zeros. */
  pmin: two(0xea),
  pmax: two(0xeb),
  convert32: one(0xfa),
  /** Of two doubles; the upper half becomes 0. */
  demote: one(0x5e),
} as const;

export const f64x2 = {
  splat: one(0x14),
  extract: extract(0x21),
  replace: replace(0x22),
  eq: two(0x47),
  ne: two(0x48),
  lt: two(0x49),
  gt: two(0x4a),
  le: two(0x4b),
  trunc: one(0x7a),
  nearest: one(0x94),
  abs: one(0xec),
  sqrt: one(0xef),
  add: two(0xf0),
  sub: two(0xf1),
  mul: two(0xf2),
  div: two(0xf3),
  pmin: two(0xf6),
  pmax: two(0xf7),
  /** Of the low two double words or floats. */
  convert32: one(0xfe),
  promote: one(0x5f),
} as const;
