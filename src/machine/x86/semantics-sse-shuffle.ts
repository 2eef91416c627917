/**
 * Interleaving (punpck, unpck) and shuffles by an immediate. A shuffle reads each lane from where imm says: two bits, or
 * one of shufpd, choose it. Its source is in memory in any case, so this costs a load for each lane.
 */

import { i64x2, v128 } from '../../base/simd.js';
import { type Code, get, i32, i64, set } from '../../base/wasm.js';
import { field, L, next } from '../engine/kit.js';
import type { Family, Semantics } from './semantics.js';
import { at, onVectors, setVector, vectorForms } from './semantics-sse.js';

/** Bytes of dst (0-15) and src (16-31), lane by lane in turn, from a half of each. */
const interleaved = (bytes: 1 | 2 | 4 | 8, from: 0 | 8): readonly number[] =>
  Array.from({ length: 8 / bytes }, (_, lane) =>
    [0, 16].flatMap(source => Array.from({ length: bytes }, (_, n) => source + from + lane * bytes + n)),
  ).flat();
const interleave = (op: string, bytes: 1 | 2 | 4 | 8, from: 0 | 8): Semantics => {
  const lanes = interleaved(bytes, from);
  return onVectors(op, (a, b) => v128.shuffle(a, b, lanes));
};

/** The address of the lane of `bytes` at `source` that `bits` bits of imm from `shift` on choose. */
const chosen = (source: Code, bytes: 2 | 4 | 8, shift: number): Code => {
  const lane = i32.and(i32.shrU(field.imm32, i32.const(shift)), i32.const(bytes === 8 ? 1 : 3));
  return i32.add(source, i32.shl(lane, i32.const(Math.log2(bytes))));
};
/** Two double words as an i64. */
const pair = (source: Code, shift: number): Code =>
  i64.or(i64.load32U(chosen(source, 4, shift)), i64.shl(i64.load32U(chosen(source, 4, shift + 2)), i64.const(32)));
/** Four words of the half at `source` as an i64. */
const words = (source: Code): Code =>
  [0, 1, 2, 3]
    .map(n => i64.shl(i64.load16U(chosen(source, 2, 2 * n)), i64.const(16 * n)))
    .reduce((a, b) => i64.or(a, b));

/** Two halves, computed before either is written: dst may be src. */
const shuffle = (op: string, halves: (dst: Code, src: Code) => readonly [low: Code, high: Code]): Semantics => ({
  op,
  forms: vectorForms('v16v16i'),
  flags: 'none',
  traps: true,
  emit: x => {
    const [first, second] = halves(at(x, 0), at(x, 1));
    return [
      set(L.a, first),
      set(L.b, second),
      setVector(x, 0, i64x2.replace(i64x2.splat(get(L.a)), 1, get(L.b))),
      next,
    ];
  },
});
const behind = (source: Code): Code => i32.add(source, i32.const(8));

export const SSE_SHUFFLE: Family = {
  semantics: [
    interleave('punpcklbw', 1, 0),
    interleave('punpcklwd', 2, 0),
    interleave('punpckldq', 4, 0),
    interleave('punpcklqdq', 8, 0),
    interleave('punpckhbw', 1, 8),
    interleave('punpckhwd', 2, 8),
    interleave('punpckhdq', 4, 8),
    interleave('punpckhqdq', 8, 8),
    interleave('unpcklps', 4, 0),
    interleave('unpcklpd', 8, 0),
    interleave('unpckhps', 4, 8),
    interleave('unpckhpd', 8, 8),
    shuffle('pshufd', (_, src) => [pair(src, 0), pair(src, 4)]),
    shuffle('pshuflw', (_, src) => [words(src), i64.load(src, 8)]),
    shuffle('pshufhw', (_, src) => [i64.load(src), words(behind(src))]),
    shuffle('shufps', (dst, src) => [pair(dst, 0), pair(src, 4)]),
    shuffle('shufpd', (dst, src) => [i64.load(chosen(dst, 8, 0)), i64.load(chosen(src, 8, 1))]),
  ],
};
