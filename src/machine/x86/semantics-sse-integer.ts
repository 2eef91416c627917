/**
 * SSE2 on integers. Most is one vector instruction of WebAssembly: `PACKED` says which. Shifts differ in their counts:
 * from the lane's width on, everything is shifted out (SDM 2B, PSLLW), where WebAssembly would take the count modulo.
 */

import { i8x16, i16x8, i32x4, i64x2, v128 } from '../../base/simd.js';
import { type Code, choose, get, i32, i64, select, set } from '../../base/wasm.js';
import { field, L, next } from '../engine/kit.js';
import type { Family, Semantics } from './semantics.js';
import { at, onVectors, setVector, vector, vectorForms, ZERO } from './semantics-sse.js';

type OnTwo = (a: Code, b: Code) => Code;

/** The upper words of four and four products of 32 bits. */
const HIGH_WORDS = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31];
/** Double words 0 and 2, side by side. */
const EVEN = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
/** Sums of absolute differences, one for each half: differences, then sums of 2, 4 and 8 of them. */
const sumOfDifferences: OnTwo = (a, b) => {
  const byFour = i32x4.addPairsU(i16x8.addPairsU(v128.or(i8x16.subSatU(a, b), i8x16.subSatU(b, a))));
  return [set(L.z, byFour), v128.and(i64x2.add(get(L.z), i64x2.shrU(get(L.z), i32.const(32))), LOW_WORDS)];
};
const LOW_WORDS = v128.const(0xffff_ffffn, 0xffff_ffffn);

/** What becomes of dst and src. Both are cheap to compute twice. */
export const PACKED: Readonly<Record<string, OnTwo>> = {
  paddb: i8x16.add,
  paddw: i16x8.add,
  paddd: i32x4.add,
  paddq: i64x2.add,
  psubb: i8x16.sub,
  psubw: i16x8.sub,
  psubd: i32x4.sub,
  psubq: i64x2.sub,
  paddsb: i8x16.addSatS,
  paddsw: i16x8.addSatS,
  paddusb: i8x16.addSatU,
  paddusw: i16x8.addSatU,
  psubsb: i8x16.subSatS,
  psubsw: i16x8.subSatS,
  psubusb: i8x16.subSatU,
  psubusw: i16x8.subSatU,
  pcmpeqb: i8x16.eq,
  pcmpeqw: i16x8.eq,
  pcmpeqd: i32x4.eq,
  pcmpgtb: i8x16.gtS,
  pcmpgtw: i16x8.gtS,
  pcmpgtd: i32x4.gtS,
  pminub: i8x16.minU,
  pmaxub: i8x16.maxU,
  pminsw: i16x8.minS,
  pmaxsw: i16x8.maxS,
  pavgb: i8x16.averageU,
  pavgw: i16x8.averageU,
  pmullw: i16x8.mul,
  pmulhw: (a, b) => v128.shuffle(i32x4.mulLowS(a, b), i32x4.mulHighS(a, b), HIGH_WORDS),
  pmulhuw: (a, b) => v128.shuffle(i32x4.mulLowU(a, b), i32x4.mulHighU(a, b), HIGH_WORDS),
  pmuludq: (a, b) => i64x2.mulLowU(v128.shuffle(a, a, EVEN), v128.shuffle(b, b, EVEN)),
  pmaddwd: i32x4.dot,
  psadbw: sumOfDifferences,
  packsswb: i8x16.narrowS,
  packuswb: i8x16.narrowU,
  packssdw: i16x8.narrowS,
};

interface Shift {
  readonly bits: 16 | 32 | 64;
  readonly by: OnTwo;
  /** What is shifted in is the sign, not zeros. */
  readonly arithmetic?: boolean;
}
export const SHIFTS: Readonly<Record<string, Shift>> = {
  psllw: { bits: 16, by: i16x8.shl },
  pslld: { bits: 32, by: i32x4.shl },
  psllq: { bits: 64, by: i64x2.shl },
  psrlw: { bits: 16, by: i16x8.shrU },
  psrld: { bits: 32, by: i32x4.shrU },
  psrlq: { bits: 64, by: i64x2.shrU },
  psraw: { bits: 16, by: i16x8.shrS, arithmetic: true },
  psrad: { bits: 32, by: i32x4.shrS, arithmetic: true },
};
/** `a` shifted by the count in L.c, an i64. */
export function shifted({ bits, by, arithmetic }: Shift, a: Code): Code {
  const tooFar = i64.gtU(get(L.c), i64.const(bits - 1));
  if (arithmetic) return by(a, select(i32.const(bits - 1), i32.wrap(get(L.c)), tooFar));
  return choose('v128', tooFar, ZERO, by(a, i32.wrap(get(L.c))));
}

/** By an immediate, or by the low half of an xmm register or of memory. */
const shift = (op: string, how: Shift): Semantics => ({
  op,
  forms: vectorForms('v16i v16v16'),
  flags: 'none',
  traps: true,
  emit: x => [
    set(L.c, x.form.operands[1]!.kind === 'i' ? i64.and(field.imm, i64.const(0xff)) : i64.load(at(x, 1))),
    setVector(x, 0, shifted(how, vector(x, 0))),
    next,
  ],
});

/** Numbers 0 to 15, one a byte. */
const IOTA = v128.const(0x0706_0504_0302_0100n, 0x0f0e_0d0c_0b0a_0908n);
/** All sixteen bytes moved by imm bytes. Byte n comes from byte n + imm or n - imm; what is not there is 0. */
const shiftBytes = (op: string, direction: OnTwo): Semantics => ({
  op,
  forms: vectorForms('v16i'),
  flags: 'none',
  traps: true,
  emit: x => {
    const count = i32.and(field.imm32, i32.const(0xff));
    const clamped = select(i32.const(16), count, i32.gtU(count, i32.const(16)));
    return [setVector(x, 0, v128.swizzle(vector(x, 0), direction(IOTA, i8x16.splat(clamped)))), next];
  },
});

export const SSE_INTEGER: Family = {
  semantics: [
    ...Object.entries(PACKED).map(([op, f]) => onVectors(op, f)),
    ...Object.entries(SHIFTS).map(([op, how]) => shift(op, how)),
    shiftBytes('psrldq', i8x16.add),
    shiftBytes('pslldq', i8x16.sub),
  ],
};
