/** Moves between xmm registers, memory and general registers; and, or, xor; movmsk, pinsrw, pextrw. */

import { i8x16, i32x4, i64x2, v128 } from '../../base/simd.js';
import { type Code, get, i32, i64, set } from '../../base/wasm.js';
import { field, L, next } from '../engine/kit.js';
import type { Family, Operands, Semantics } from './semantics.js';
import {
  at,
  low,
  onVectors,
  readVector,
  setLow,
  setVector,
  vector,
  vectorForms,
  writeVector,
  ZERO,
} from './semantics-sse.js';

const move = (op: string, patterns: string, emit: (x: Operands) => Code): Semantics => ({
  op,
  forms: vectorForms(patterns),
  flags: 'none',
  traps: true,
  emit: x => [emit(x), next],
});
/** An i64 as the low bytes of a register of zeros. */
const alone = (value: Code): Code => i64x2.replace(ZERO, 0, value);

const whole = (op: string, mustAlign: boolean): Semantics[] => [
  move(op, 'v16v16', x => setVector(x, 0, vector(x, 1))),
  move(op, 'v16M16', x => setVector(x, 0, readVector(x, 1, mustAlign))),
  move(op, 'M16v16', x => writeVector(x, 0, 1, mustAlign)),
];
/** movss and movsd: a load clears the rest of the register, a move between registers keeps it. */
const scalar = (op: string, bytes: 4 | 8): Semantics[] => [
  move(op, `v${bytes}v${bytes}`, x => setLow(x, 0, bytes, low(x, 1, bytes))),
  move(op, `v${bytes}M${bytes}`, x => setVector(x, 0, alone(low(x, 1, bytes)))),
  move(op, `M${bytes}v${bytes}`, x => [set(L.r, low(x, 1, bytes)), x.write(0, get(L.r))]),
];
/** One half of a register and memory of eight bytes. */
const half = (op: string, n: 0 | 1): Semantics[] => [
  move(op, 'v8M8', x => [set(L.r, x.read(1)), setVector(x, 0, i64x2.replace(vector(x, 0), n, get(L.r)))]),
  move(op, 'M8v8', x => [set(L.r, i64.load(at(x, 1), 8 * n)), x.write(0, get(L.r))]),
];
/** movd: a general register or memory, of four bytes or eight. */
const general = (bytes: 4 | 8): Semantics[] => [
  move('movd', `v16r${bytes} v16M${bytes}`, x => setVector(x, 0, alone(x.read(1)))),
  move('movd', `r${bytes}v16 M${bytes}v16`, x => [set(L.r, low(x, 1, bytes)), x.write(0, get(L.r))]),
];
/** A mask of sign bits. */
const mask = (op: string, f: (a: Code) => Code): Semantics =>
  move(op, 'r4v16 r8v16', x => x.write(0, i64.extendU(f(vector(x, 1)))));
/** The address of word imm of an xmm register. */
const wordAt = (x: Operands, n: number): Code =>
  i32.add(at(x, n), i32.shl(i32.and(field.imm32, i32.const(7)), i32.const(1)));

export const SSE_MOVE: Family = {
  semantics: [
    ...['movaps', 'movapd', 'movdqa'].flatMap(op => whole(op, true)),
    ...['movups', 'movupd', 'movdqu'].flatMap(op => whole(op, false)),
    // There are no caches to go around.
    ...['movntps', 'movntpd', 'movntdq'].map(op => move(op, 'M16v16', x => writeVector(x, 0, 1, true))),
    ...scalar('movss', 4),
    ...scalar('movsd', 8),
    ...half('movlps', 0),
    ...half('movlpd', 0),
    ...half('movhps', 1),
    ...half('movhpd', 1),
    move('movhlps', 'v8v8', x => setVector(x, 0, i64x2.replace(vector(x, 0), 0, i64.load(at(x, 1), 8)))),
    move('movlhps', 'v8v8', x => setVector(x, 0, i64x2.replace(vector(x, 0), 1, i64.load(at(x, 1))))),
    ...general(4),
    ...general(8),
    move('movq', 'v8v8 v8M8', x => setVector(x, 0, alone(low(x, 1, 8)))),
    move('movq', 'M8v8', x => [set(L.r, low(x, 1, 8)), x.write(0, get(L.r))]),

    ...['pand', 'andps', 'andpd'].map(op => onVectors(op, v128.and)),
    ...['por', 'orps', 'orpd'].map(op => onVectors(op, v128.or)),
    ...['pxor', 'xorps', 'xorpd'].map(op => onVectors(op, v128.xor)),
    ...['pandn', 'andnps', 'andnpd'].map(op => onVectors(op, (a, b) => v128.andnot(b, a))),

    mask('movmskps', i32x4.bitmask),
    mask('movmskpd', i64x2.bitmask),
    mask('pmovmskb', i8x16.bitmask),
    move('pinsrw', 'v16r4i v16r8i v16M2i', x => [set(L.r, x.read(1)), i64.store16(wordAt(x, 0), get(L.r))]),
    move('pextrw', 'r4v16i r8v16i', x => x.write(0, i64.load16U(wordAt(x, 1)))),
  ],
};
