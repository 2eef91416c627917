/**
 * The forms of SSE and SSE2, as data: those on xmm registers. A row is the mandatory prefix (np for none), opcode, mnemonic
 * and operands, as in SDM volume 2D, table A-3: V xmm by modrm reg, W xmm or memory, U xmm only, E G M as in forms.mjs.
 * Each becomes a form for registers and one for memory.
 */

/** @typedef {import('./forms.mjs').Form} Form */
/** What an operand holds: see floats.mjs. @typedef {'f32' | 'f64' | 'i32' | 'count' | 'mask' | 'mxcsr' | 'edges' | ''} Values */

/** @type {Form[]} */
const forms = [];

/**
 * @param {string} family @param {string} rows @param {Values} values what the operands hold
 * @param {import('./forms.mjs').Options} [options] @returns {void}
 */
const add = (family, rows, values, options) => void forms.push(...vectorForms(family, rows, values, options));

/**
 * @param {string} family @param {string} rows @param {Values} values what the operands hold
 * @param {import('./forms.mjs').Options} [options] @returns {Form[]}
 */
export function vectorForms(family, rows, values, options = {}) {
  /** @type {Form[]} */
  const forms = [];
  for (const row of rows.trim().split(/\s*\n\s*/)) {
    const [prefix = '', byte = '', op = '', operands = '', digit = ''] = row.split(/\s+/);
    const list = operands.split(',');
    const hasM = list.some(o => o[0] === 'M');
    const kinds = hasM ? ['mem'] : list.some(o => /^[WEQ]/.test(o)) ? ['reg', 'mem'] : ['reg'];
    const sizes = /** @type {(4 | 8)[]} */ (list.some(o => o[1] === 'y') ? [4, 8] : [4]);
    for (const size of sizes) {
      for (const rm of /** @type {Form['rm'][]} */ (kinds)) {
        forms.push({
          id: [prefix, '0f', byte, digit, op, operands, `${size * 8}`, rm].filter(w => w).join(' '),
          family,
          op,
          opcode: [0x0f, Number.parseInt(byte, 16)],
          digit: digit ? Number(digit.slice(1)) : -1,
          operands: list,
          size,
          rm,
          lock: false,
          options: {
            fx: true,
            values,
            aligned: list.some(o => o === 'Wo' || o === 'Mo') && !/^movup|^movdqu/.test(op),
            ...(prefix === 'np' ? {} : { prefix: Number.parseInt(prefix, 16) }),
            ...options,
          },
        });
      }
    }
  }
  return forms;
}
/** ps, pd, ss, sd: prefix, suffix, operands, values. */
const FORMATS = /** @type {const} */ ([
  ['np', 'ps', 'Vo,Wo', 'f32'],
  ['66', 'pd', 'Vo,Wo', 'f64'],
  ['f3', 'ss', 'Vd,Wd', 'f32'],
  ['f2', 'sd', 'Vq,Wq', 'f64'],
]);
/** @param {string} family @param {string} byte @param {string} op @param {string} formats @param {string} [more] */
function floats(family, byte, op, formats, more = '') {
  for (const [prefix, suffix, operands, values] of FORMATS) {
    if (!formats.split(' ').includes(suffix)) continue;
    add(family, `${prefix} ${byte} ${op}${suffix} ${operands}${more}`, values, {
      mxcsr: true,
      ...(more ? { setup: 'predicate' } : {}),
    });
  }
}

add(
  'sse-move',
  `np 10 movups Vo,Wo
   np 11 movups Wo,Vo
   66 10 movupd Vo,Wo
   66 11 movupd Wo,Vo
   f3 10 movss Vd,Wd
   f3 11 movss Wd,Vd
   f2 10 movsd Vq,Wq
   f2 11 movsd Wq,Vq
   np 12 movlps Vq,Mq
   np 12 movhlps Vq,Uq
   66 12 movlpd Vq,Mq
   np 13 movlps Mq,Vq
   66 13 movlpd Mq,Vq
   np 16 movhps Vq,Mq
   np 16 movlhps Vq,Uq
   66 16 movhpd Vq,Mq
   np 17 movhps Mq,Vq
   66 17 movhpd Mq,Vq
   np 28 movaps Vo,Wo
   66 28 movapd Vo,Wo
   np 29 movaps Wo,Vo
   66 29 movapd Wo,Vo
   66 6f movdqa Vo,Wo
   66 7f movdqa Wo,Vo
   f3 6f movdqu Vo,Wo
   f3 7f movdqu Wo,Vo
   np 2b movntps Mo,Vo
   66 2b movntpd Mo,Vo
   66 e7 movntdq Mo,Vo
   66 6e movd Vo,Ey
   66 7e movd Ey,Vo
   f3 7e movq Vq,Wq
   66 d6 movq Wq,Vq
   np 50 movmskps Gy,Uo
   66 50 movmskpd Gy,Uo
   66 d7 pmovmskb Gy,Uo
   66 c5 pextrw Gy,Uo,Ib
   np 54 andps Vo,Wo
   66 54 andpd Vo,Wo
   np 55 andnps Vo,Wo
   66 55 andnpd Vo,Wo
   np 56 orps Vo,Wo
   66 56 orpd Vo,Wo
   np 57 xorps Vo,Wo
   66 57 xorpd Vo,Wo
   66 db pand Vo,Wo
   66 df pandn Vo,Wo
   66 eb por Vo,Wo
   66 ef pxor Vo,Wo`,
  '',
);
add('sse-move', '66 c4 pinsrw Vo,Ed,Ib', '', { reg: true });
add('sse-move', '66 c4 pinsrw Vo,Mw,Ib', '');
add('sse-move', '66 f7 maskmovdqu Vo,Uo', 'mask', { setup: 'maskmov' });
add('sse-move', 'np ae ldmxcsr Md /2', 'mxcsr', { mxcsr: true });
add('sse-move', 'np ae stmxcsr Md /3', '', { mxcsr: true });

add(
  'sse-shuffle',
  `np 14 unpcklps Vo,Wo
   66 14 unpcklpd Vo,Wo
   np 15 unpckhps Vo,Wo
   66 15 unpckhpd Vo,Wo
   66 60 punpcklbw Vo,Wo
   66 61 punpcklwd Vo,Wo
   66 62 punpckldq Vo,Wo
   66 68 punpckhbw Vo,Wo
   66 69 punpckhwd Vo,Wo
   66 6a punpckhdq Vo,Wo
   66 6c punpcklqdq Vo,Wo
   66 6d punpckhqdq Vo,Wo
   66 70 pshufd Vo,Wo,Ib
   f3 70 pshufhw Vo,Wo,Ib
   f2 70 pshuflw Vo,Wo,Ib
   np c6 shufps Vo,Wo,Ib
   66 c6 shufpd Vo,Wo,Ib`,
  '',
);

add(
  'sse-integer',
  `66 63 packsswb Vo,Wo
   66 67 packuswb Vo,Wo
   66 6b packssdw Vo,Wo
   66 64 pcmpgtb Vo,Wo
   66 65 pcmpgtw Vo,Wo
   66 66 pcmpgtd Vo,Wo
   66 74 pcmpeqb Vo,Wo
   66 75 pcmpeqw Vo,Wo
   66 76 pcmpeqd Vo,Wo
   66 d4 paddq Vo,Wo
   66 d5 pmullw Vo,Wo
   66 d8 psubusb Vo,Wo
   66 d9 psubusw Vo,Wo
   66 da pminub Vo,Wo
   66 dc paddusb Vo,Wo
   66 dd paddusw Vo,Wo
   66 de pmaxub Vo,Wo
   66 e0 pavgb Vo,Wo
   66 e3 pavgw Vo,Wo
   66 e4 pmulhuw Vo,Wo
   66 e5 pmulhw Vo,Wo
   66 e8 psubsb Vo,Wo
   66 e9 psubsw Vo,Wo
   66 ea pminsw Vo,Wo
   66 ec paddsb Vo,Wo
   66 ed paddsw Vo,Wo
   66 ee pmaxsw Vo,Wo
   66 f4 pmuludq Vo,Wo
   66 f5 pmaddwd Vo,Wo
   66 f6 psadbw Vo,Wo
   66 f8 psubb Vo,Wo
   66 f9 psubw Vo,Wo
   66 fa psubd Vo,Wo
   66 fb psubq Vo,Wo
   66 fc paddb Vo,Wo
   66 fd paddw Vo,Wo
   66 fe paddd Vo,Wo`,
  'edges',
);
add(
  'sse-integer',
  `66 d1 psrlw Vo,Wo
   66 d2 psrld Vo,Wo
   66 d3 psrlq Vo,Wo
   66 e1 psraw Vo,Wo
   66 e2 psrad Vo,Wo
   66 f1 psllw Vo,Wo
   66 f2 pslld Vo,Wo
   66 f3 psllq Vo,Wo
   66 71 psrlw Uo,Ib /2
   66 71 psraw Uo,Ib /4
   66 71 psllw Uo,Ib /6
   66 72 psrld Uo,Ib /2
   66 72 psrad Uo,Ib /4
   66 72 pslld Uo,Ib /6
   66 73 psrlq Uo,Ib /2
   66 73 psrldq Uo,Ib /3
   66 73 psllq Uo,Ib /6
   66 73 pslldq Uo,Ib /7`,
  'count',
  { setup: 'vectorCount' },
);

for (const [byte, op] of [
  ['58', 'add'],
  ['59', 'mul'],
  ['5c', 'sub'],
  ['5e', 'div'],
])
  floats('sse-arithmetic', byte ?? '', op ?? '', 'ps pd ss sd');
floats('sse-arithmetic', '51', 'sqrt', 'ps pd ss sd');
floats('sse-compare', '5d', 'min', 'ps pd ss sd');
floats('sse-compare', '5f', 'max', 'ps pd ss sd');
floats('sse-compare', 'c2', 'cmp', 'ps pd ss sd', ',Ib');
floats('sse-approximate', '52', 'rsqrt', 'ps ss');
floats('sse-approximate', '53', 'rcp', 'ps ss');
for (const [byte, op] of [
  ['2e', 'ucomi'],
  ['2f', 'comi'],
]) {
  add('sse-compare', `np ${byte} ${op}ss Vd,Wd`, 'f32', { mxcsr: true });
  add('sse-compare', `66 ${byte} ${op}sd Vq,Wq`, 'f64', { mxcsr: true });
}
const converts = (/** @type {string} */ rows, /** @type {Values} */ values) =>
  add('sse-convert', rows, values, { mxcsr: true });
converts('f3 2a cvtsi2ss Vd,Ey\n f2 2a cvtsi2sd Vq,Ey', 'f64');
converts('f3 2c cvttss2si Gy,Wd\n f3 2d cvtss2si Gy,Wd', 'f32');
converts('f2 2c cvttsd2si Gy,Wq\n f2 2d cvtsd2si Gy,Wq', 'f64');
converts('np 5a cvtps2pd Vo,Wq\n f3 5a cvtss2sd Vq,Wd\n 66 5b cvtps2dq Vo,Wo\n f3 5b cvttps2dq Vo,Wo', 'f32');
converts('66 5a cvtpd2ps Vo,Wo\n f2 5a cvtsd2ss Vd,Wq\n 66 e6 cvttpd2dq Vo,Wo\n f2 e6 cvtpd2dq Vo,Wo', 'f64');
converts('np 5b cvtdq2ps Vo,Wo\n f3 e6 cvtdq2pd Vo,Wq', 'i32');

/** @type {readonly Form[]} */
export const SSE_FORMS = forms.filter(f => !(f.options.reg && f.rm === 'mem'));
