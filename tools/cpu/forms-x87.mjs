/**
 * The x87 instruction forms, and what their cases have in the unit: control words of every precision and direction,
 * masks, tags, flags, and numbers at every edge of the formats. Transcendental instructions are missing: processors
 * differ in their last bits. `T` is a register of the stack; the letters behind M are those of forms.mjs, and t 10
 * bytes, e and f environment and state.
 */
import { FX } from './layout.mjs';

/** @typedef {import('./draft.mjs').Draft} Draft */
/** @typedef {import('./layout.mjs').Random} Random */
/** @typedef {(op: string, encoding: string, operands?: string, options?: import('./forms.mjs').Options) => void} Add */

const BASIC = ['add', 'mul', 'com', 'comp', 'sub', 'subr', 'div', 'divr'];
const X87 = { fx: true, setup: 'x87', sizes: /** @type {(1 | 2 | 4 | 8)[]} */ ([4]) };

/** @param {Add} add */
export function addX87(add) {
  const memory = (/** @type {string} */ rows) => each(rows, ([opcode, op, operand]) => add(op, opcode, operand, X87));
  const stack = (/** @type {string} */ rows) => each(rows, ([opcode, op]) => add(op, opcode, 'T', X87));
  BASIC.forEach((op, n) => {
    memory(`d8 /${n},f${op},Md; dc /${n},f${op},Mq; da /${n},fi${op},Md; de /${n},fi${op},Mw`);
    stack(`d8 /${n},f${op}`);
  });
  stack('dc /0,fadd; dc /1,fmul; dc /2,fcom; dc /3,fcomp; dc /4,fsubr; dc /5,fsub; dc /6,fdivr; dc /7,fdiv');
  stack('de /0,faddp; de /1,fmulp; de /2,fcomp; de /4,fsubrp; de /5,fsubp; de /6,fdivrp; de /7,fdivp');
  memory('d9 /0,fld,Md; dd /0,fld,Mq; db /5,fld,Mt; df /0,fild,Mw; db /0,fild,Md; df /5,fild,Mq; df /4,fbld,Mt');
  memory('d9 /2,fst,Md; dd /2,fst,Mq; d9 /3,fstp,Md; dd /3,fstp,Mq; db /7,fstp,Mt; df /6,fbstp,Mt');
  memory('df /2,fist,Mw; db /2,fist,Md; df /3,fistp,Mw; db /3,fistp,Md; df /7,fistp,Mq');
  stack('d9 /0,fld; dd /2,fst; dd /3,fstp; d9 /3,fstpnce; df /2,fstp; df /3,fstp');
  stack('d9 /1,fxch; dd /1,fxch; df /1,fxch; dd /0,ffree; df /0,ffreep');
  stack('dd /4,fucom; dd /5,fucomp; db /5,fucomi; db /6,fcomi; df /5,fucomip; df /6,fcomip');
  ['b', 'e', 'be', 'u'].forEach((cc, n) => {
    stack(`da /${n},fcmov${cc}; db /${n},fcmovn${cc}`);
  });
  memory('d9 /5,fldcw,Mw; d9 /7,fnstcw,Mw; dd /7,fnstsw,Mw');
  for (const size of /** @type {const} */ ([2, 4])) {
    const options = { ...X87, sizes: [size], safe: true };
    add('fldenv', 'd9 /4', 'Me', options);
    add('fnstenv', 'd9 /6', 'Me', options);
    add('frstor', 'dd /4', 'Mf', options);
    add('fnsave', 'dd /6', 'Mf', options);
  }
  for (const size of /** @type {const} */ ([4, 8])) {
    const options = { ...X87, sizes: [size], aligned: true };
    add('fxsave', '0f ae /0', 'Mx', options);
    add('fxrstor', '0f ae /1', 'Mx', options);
  }
  each(
    `d9 d0,fnop; d9 e0,fchs; d9 e1,fabs; d9 e4,ftst; d9 e5,fxam; d9 e8,fld1; d9 e9,fldl2t; d9 ea,fldl2e; d9 eb,fldpi;
     d9 ec,fldlg2; d9 ed,fldln2; d9 ee,fldz; d9 f4,fxtract; d9 f5,fprem1; d9 f6,fdecstp; d9 f7,fincstp; d9 f8,fprem;
     d9 fa,fsqrt; d9 fc,frndint; d9 fd,fscale; da e9,fucompp; de d9,fcompp; db e0,fneni; db e1,fndisi; db e2,fnclex;
     db e3,fninit; db e4,fnsetpm; df e0,fnstsw; 9b,wait`,
    ([opcode, op]) => add(op, opcode, '', X87),
  );
}
/** @param {string} rows @param {(words: [string, string, string]) => void} row */
function each(rows, row) {
  for (const text of rows.split(';')) row(/** @type {[string, string, string]} */ (text.trim().split(',')));
}

const ALL_MASKED = 0x3f;
const SUMMARY = 0x8080;
/** @param {Draft} d the unit as the case begins */
export function x87Before(d) {
  const { random: r, fx } = d;
  if (!fx) throw new Error(`${d.form.id} has no image`);
  const view = new DataView(fx.buffer, fx.byteOffset);
  d.rm = r.below(8);
  const masks = r.chance(70) ? ALL_MASKED : r.below(64);
  view.setUint16(FX.fcw, 0x40 | masks | (r.pick([0, 1, 2, 2, 3, 3, 3]) << 8) | (r.below(4) << 10), true);
  const top = r.below(8);
  let fsw = (top << 11) | (r.chance(50) ? r.u32() & 0x4700 : 0);
  if (r.chance(25)) fsw |= r.below(0x80) & (r.chance(70) ? masks | 0x40 : 0x7f);
  const pending = (fsw & ALL_MASKED & ~masks) !== 0;
  if (pending) {
    fsw |= SUMMARY;
    view.setUint16(FX.fop, r.below(0x800), true);
    view.setBigUint64(FX.fip, BigInt(r.u32()), true);
    view.setBigUint64(FX.fdp, BigInt(r.u32()), true);
  }
  view.setUint16(FX.fsw, fsw, true);
  // By number in the stack: mostly the operands are there and the place for one more is free.
  const full = r.chance(75) ? (1 | 2 | (1 << d.rm) | r.below(256)) & (d.rm === 7 ? 0xff : 0x7f) : r.below(256);
  for (let n = 0; n < 8; n++) {
    if ((full >> n) & 1) fx[FX.ftw] = (fx[FX.ftw] ?? 0) | (1 << ((top + n) & 7));
    if (n < 2 || n === d.rm || r.chance(5)) putExtended(view, FX.st + 16 * n, extended(r));
  }
  relate(d, view);
}
/** Sometimes two operands that have to do with each other. @param {Draft} d @param {DataView} view */
function relate(d, view) {
  const { random: r } = d;
  const st = (/** @type {number} */ n) => FX.st + 16 * n;
  if (!r.chance(30)) return;
  const other = d.form.operands[0] === 'T' ? d.rm : 1;
  const exponent = view.getUint16(st(0) + 8, true) & 0x7fff;
  const near = Math.min(0x7fff, Math.max(0, exponent + r.pick([0, 0, 1, -1, 2, 63, 64, -64, 65, -65, 31, -33, 100])));
  view.setUint16(st(other) + 8, near | (r.below(2) << 15), true);
  if (r.chance(20)) view.setBigUint64(st(other), view.getBigUint64(st(0), true), true);
  if (d.form.op === 'fscale') putExtended(view, st(1), scaleCount(r));
  if (d.form.op.startsWith('fi') || d.form.op.startsWith('fb')) {
    // Around the ends of the integer formats.
    view.setUint16(
      st(0) + 8,
      (0x3fff + r.pick([-2, -1, 0, 1, 8, 14, 15, 30, 31, 58, 59, 60, 62, 63])) | (r.below(2) << 15),
      true,
    );
  }
}
/** @param {Draft} d the memory operand, as a number of its format */
export function x87After(d) {
  if (d.linear === undefined) return;
  const operand = d.form.operands[0];
  const r = d.random;
  const value = {
    Md: () => (d.form.op.startsWith('fi') ? d.value(4) : float(r, 8, 23)),
    Mq: () => (d.form.op.startsWith('fi') ? d.value(8) : float(r, 11, 52)),
    Mw: () => BigInt(r.chance(50) ? 0x40 | r.below(0x2000) : r.below(0x10000)),
    Mt: () => (d.form.op === 'fbld' ? decimal(r) : packed(extended(r))),
  }[operand ?? ''];
  const bytes = { Md: 4, Mq: 8, Mw: 2, Mt: 10 }[operand ?? ''] ?? 0;
  if (value && r.chance(90)) d.patchValue(d.linear, value(), bytes);
  if (d.form.op === 'fldenv' || d.form.op === 'frstor') environment(d, d.linear);
  if (d.form.op === 'fxrstor') image(d, d.linear);
}
/** An environment with words that mean something. @param {Draft} d @param {bigint} at */
function environment(d, at) {
  const { random: r } = d;
  const bytes = d.form.size;
  const masks = r.chance(60) ? ALL_MASKED : r.below(64);
  const words = [masks | (r.below(16) << 8), r.u32() & 0x7fff & (r.chance(60) ? ~ALL_MASKED : -1), r.below(0x10000)];
  words.forEach((word, n) => {
    d.patchValue(at + BigInt(n * bytes), BigInt(word), 2);
  });
  if (d.form.op === 'frstor') d.patchValue(at + BigInt(7 * bytes + 10 * r.below(8)), packed(extended(r)), 10);
}

/** The head of an fxsave image, and mostly an mxcsr that exists. @param {Draft} d @param {bigint} at */
function image(d, at) {
  const { random: r } = d;
  const put = (/** @type {number} */ offset, /** @type {number} */ value, /** @type {number} */ bytes) =>
    d.patchValue(at + BigInt(offset), BigInt(value), bytes);
  const masks = r.chance(60) ? ALL_MASKED : r.below(64);
  put(FX.fcw, masks | (r.below(1024) << 6), 2);
  put(FX.fsw, r.u32() & 0xffff & (r.chance(60) ? ~ALL_MASKED : -1), 2);
  // Canonical for 48 bits of virtual addresses too: how many there are, processors differ in.
  for (const offset of [FX.fip, FX.fdp])
    d.patchValue(at + BigInt(offset), BigInt.asUintN(64, BigInt.asIntN(48, r.u64())), 8);
  put(FX.mxcsr, r.chance(90) ? r.below(0x10000) : 1 << r.pick([16, 18, 24, 31]), 4);
}

/** @typedef {[sign: number, exponent: number, significand: bigint]} Extended */
const J = 1n << 63n;
/** @param {Random} r @returns {bigint} bits of a fraction, often at an edge: few bits, or halfway of some precision */
function fraction(r) {
  const low = r.u64() & (J - 1n);
  switch (r.below(9)) {
    case 0:
      return 0n;
    case 1:
      return J - 1n;
    case 2: // ends with a tie of 24 or 53 bits, or a little beside
      return ((low >> 40n) << 40n) | ((1n << 39n) + BigInt(r.pick([0, 0, 1, -1])));
    case 3:
      return ((low >> 11n) << 11n) | ((1n << 10n) + BigInt(r.pick([0, 0, 1, -1])));
    case 4:
      return (low >> BigInt(r.pick([40, 52, 60]))) << BigInt(r.pick([40, 52, 60]));
    case 5:
      return (((J - 1n) >> 40n) << 40n) | (low & ((1n << 40n) - 1n));
    case 6:
      return BigInt(r.below(16));
    default:
      return low;
  }
}
/** @param {Random} r @returns {Extended} */
function extended(r) {
  const sign = r.below(2);
  const f = fraction(r);
  const dice = r.below(100);
  if (dice < 8) return [sign, 0, 0n];
  if (dice < 12) return [sign, 0, f]; // denormal
  if (dice < 15) return [sign, 0, J | f];
  if (dice < 18) return [sign, r.pick([1, 0x3fff, 0x7ffe, 0x7fff]), f]; // unsupported
  if (dice < 23) return [sign, 0x7fff, J];
  if (dice < 31) return [sign, 0x7fff, J | (1n << 62n) | f | BigInt(r.below(2))];
  if (dice < 36) return [sign, 0x7fff, J | (f & ~(1n << 62n)) | 1n];
  if (dice < 41) return [sign, r.pick([1, 2, 64, 65]), J | f];
  if (dice < 46) return [sign, 0x7ffe - r.pick([0, 1, 63]), J | f];
  if (dice < 52) return [sign, 0x3fff + r.pick([-127, -126, -150, 127, 128, -149]), J | f]; // the ends of single
  if (dice < 58) return [sign, 0x3fff + r.pick([-1023, -1022, -1075, 1023, 1024, -1074]), J | f]; // and of double
  if (dice < 64) return [sign, r.below(0x8000), J | f];
  if (dice < 70) return [sign, 0x3fff, J];
  if (dice < 80) return [sign, 0x3fff + r.below(64), J | f];
  return [sign, 0x3fff + r.below(8) - 4, J | f];
}
/** @param {Random} r @returns {Extended} something to scale by */
function scaleCount(r) {
  const [sign, , significand] = extended(r);
  return [sign, 0x3fff + r.pick([-1, 0, 1, 4, 5, 12, 13, 14, 15, 16, 40]), significand | J];
}
/** @param {Extended} number @returns {bigint} */
const packed = ([sign, exponent, significand]) => (BigInt((sign << 15) | exponent) << 64n) | significand;
/** @param {DataView} view @param {number} at @param {Extended} number */
function putExtended(view, at, [sign, exponent, significand]) {
  view.setBigUint64(at, significand, true);
  view.setUint16(at + 8, (sign << 15) | exponent, true);
}
/**
 * A single or double. @param {Random} r @param {number} exponentBits @param {number} bits of the fraction @returns
 * {bigint}
 */
export function float(r, exponentBits, bits) {
  const most = (1 << exponentBits) - 1;
  const bias = most >> 1;
  const f = fraction(r) >> BigInt(63 - bits);
  const quiet = 1n << BigInt(bits - 1);
  const make = (/** @type {number} */ exponent, /** @type {bigint} */ fractionBits) =>
    (BigInt(r.below(2)) << BigInt(exponentBits + bits)) | (BigInt(exponent) << BigInt(bits)) | fractionBits;
  const dice = r.below(100);
  if (dice < 8) return make(0, 0n);
  if (dice < 16) return make(0, f | BigInt(r.below(2)));
  if (dice < 22) return make(most, 0n);
  if (dice < 29) return make(most, f | quiet);
  if (dice < 36) return make(most, (f & ~quiet) | 1n);
  if (dice < 42) return make(1 + r.below(2), f);
  if (dice < 48) return make(most - 1, f);
  if (dice < 60) return make(r.below(most), f);
  if (dice < 66) return make(bias, 0n);
  return make(bias + r.below(16) - 8, f);
}
/** @param {Random} r @returns {bigint} eighteen digits and a sign; the other bits of the last byte are ignored */
function decimal(r) {
  let n = 0n;
  const digits = r.pick([0, 1, 9, 17, 18, 18]);
  for (let i = 0; i < digits; i++) n = (n << 4n) | BigInt(r.chance(10) ? 9 : r.below(10));
  return n | (BigInt(r.pick([0, 0x80, r.below(256)])) << 72n);
}
