/**
 * The MMX instruction forms, with those of SSE and SSE2 that work on MMX registers. P is an mm register by modrm reg, Q
 * one by modrm rm or memory, N only a register; the rest as in forms-sse.mjs.
 */
import { vectorForms } from './forms-sse.mjs';
import { FX } from './layout.mjs';

/** @typedef {import('./forms.mjs').Form} Form */
/** @typedef {import('./draft.mjs').Draft} Draft */

const BINARY = `63 packsswb, 64 pcmpgtb, 65 pcmpgtw, 66 pcmpgtd, 67 packuswb, 68 punpckhbw, 69 punpckhwd, 6a punpckhdq,
  6b packssdw, 74 pcmpeqb, 75 pcmpeqw, 76 pcmpeqd, d1 psrlw, d2 psrld, d3 psrlq, d4 paddq, d5 pmullw, d8 psubusb,
  d9 psubusw, da pminub, db pand, dc paddusb, dd paddusw, de pmaxub, df pandn, e0 pavgb, e1 psraw, e2 psrad, e3 pavgw,
  e4 pmulhuw, e5 pmulhw, e8 psubsb, e9 psubsw, ea pminsw, eb por, ec paddsb, ed paddsw, ee pmaxsw, ef pxor, f1 psllw,
  f2 pslld, f3 psllq, f4 pmuludq, f5 pmaddwd, f6 psadbw, f8 psubb, f9 psubw, fa psubd, fb psubq, fc paddb, fd paddw,
  fe paddd, 6f movq`;
const OPTIONS = { setup: 'mmx' };
const binary = BINARY.split(',').map(row => `np ${row.trim()} Pq,Qq`);
const shifts = [
  '71 2 psrlw',
  '71 4 psraw',
  '71 6 psllw',
  '72 2 psrld',
  '72 4 psrad',
  '72 6 pslld',
  '73 2 psrlq',
  '73 6 psllq',
];

/** @type {readonly Form[]} */
export const MMX_FORMS = [
  ...vectorForms('mmx', binary.join('\n'), '', OPTIONS),
  ...vectorForms('mmx', 'np 60 punpcklbw Pq,Qd\n np 61 punpcklwd Pq,Qd\n np 62 punpckldq Pq,Qd', '', OPTIONS),
  ...vectorForms('mmx', shifts.map(s => `np ${s.slice(0, 2)} ${s.slice(5)} Nq,Ib /${s[3]}`).join('\n'), '', OPTIONS),
  ...vectorForms('mmx', 'np 7f movq Qq,Pq\n np 6e movd Pq,Ey\n np 7e movd Ey,Pq\n np 70 pshufw Pq,Qq,Ib', '', OPTIONS),
  ...vectorForms(
    'mmx',
    'np c4 pinsrw Pq,Ew,Ib\n np c5 pextrw Gd,Nq,Ib\n np d7 pmovmskb Gd,Nq\n np e7 movntq Mq,Pq',
    '',
    OPTIONS,
  ),
  ...vectorForms('mmx', 'f3 d6 movq2dq Vo,Nq\n f2 d6 movdq2q Pq,Uq', 'edges', OPTIONS),
  ...vectorForms('mmx', 'np f7 maskmovq Pq,Nq', '', { setup: 'maskmovq' }),
  ...vectorForms('mmx', 'np 2a cvtpi2ps Vq,Qq\n 66 2a cvtpi2pd Vo,Qq', '', { ...OPTIONS, mxcsr: true }),
  ...vectorForms('mmx', 'np 2c cvttps2pi Pq,Wq\n np 2d cvtps2pi Pq,Wq', 'f32', { ...OPTIONS, mxcsr: true }),
  ...vectorForms('mmx', '66 2c cvttpd2pi Pq,Wo\n 66 2d cvtpd2pi Pq,Wo', 'f64', { ...OPTIONS, mxcsr: true }),
  ...vectorForms('mmx', 'np 77 emms', '', OPTIONS).map(form => ({
    ...form,
    id: 'np 0f 77 emms',
    rm: /** @type {const} */ (''),
    operands: [],
  })),
];

/** Lanes at the ends of their ranges, counts of shifts, or any. @param {Draft} d @returns {bigint} */
function value({ random: r }) {
  switch (r.below(5)) {
    case 0:
      return r.u64();
    case 1:
      return BigInt(r.pick([0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255]));
    default: {
      const bytes = r.pick([1, 2, 4]);
      let all = 0n;
      for (let at = 0; at < 8; at += bytes) {
        const bits = BigInt(8 * bytes);
        const top = 1n << (bits - 1n);
        const lane = r.pick([0n, 1n, 2n, top - 1n, top, top + 1n, 2n * top - 1n, 2n * top - 2n, r.u64(), r.u64()]);
        all |= BigInt.asUintN(Number(bits), lane) << BigInt(8 * at);
      }
      return all;
    }
  }
}

const ALL_MASKED = 0x3f;
/** @param {Draft} d any state of the x87 unit, sometimes with an exception pending */
export function mmxBefore(d) {
  const { random: r, fx } = d;
  if (!fx) throw new Error(`${d.form.id} has no image`);
  const view = new DataView(fx.buffer, fx.byteOffset);
  fx[FX.ftw] = r.pick([0, 0xff, r.below(256)]);
  const isPending = r.chance(5);
  view.setUint16(FX.fcw, 0x300 | (isPending ? 0x40 : 0x7f), true);
  const flags = isPending ? 0x8080 | (1 + r.below(ALL_MASKED)) : r.chance(30) ? r.below(0x40) : 0;
  view.setUint16(FX.fsw, (r.below(8) << 11) | (r.u32() & 0x4700) | flags, true);
}
/** @param {Draft} d values of mm registers and of the memory they meet */
export function mmxAfter(d) {
  const { random: r, fx, form } = d;
  if (!fx) return;
  const view = new DataView(fx.buffer, fx.byteOffset);
  const top = ((fx[FX.fsw + 1] ?? 0) >> 3) & 7;
  const put = (/** @type {number} */ reg) => view.setBigUint64(FX.st + 16 * ((reg - top) & 7), value(d), true);
  for (const operand of form.operands) {
    const inMemory = form.rm === 'mem' && /[QM]/.test(operand[0] ?? '');
    if (inMemory) {
      if (d.linear !== undefined && r.chance(80)) d.patchValue(d.linear, value(d), operand[1] === 'd' ? 4 : 8);
    } else if (operand[0] === 'P') put((d.g = r.below(16)) & 7);
    else if (operand[0] === 'Q' || operand[0] === 'N') put((d.rm = r.below(16)) & 7);
  }
}
const RDI = 7;
/** @param {Draft} d bytes that go to [rdi] */
export function maskmovqBefore(d) {
  mmxBefore(d);
  d.pin(RDI, d.target(8));
}
