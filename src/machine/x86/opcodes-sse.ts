/**
 * MMX, SSE and SSE2 in the two-byte opcode map, 0f xx (SDM 2D, table A-3). The mandatory prefix is part of the opcode
 * here: np, 66, f3 and f2 are four different instructions. SSE3 and later have no rows.
 */

/** np ps, 66 pd, f3 ss, f2 sd: one operation on four float formats. */
const FORMATS = [
  ['np', 'ps', 'Vo,Wo'],
  ['66', 'pd', 'Vo,Wo'],
  ['f3', 'ss', 'Vd,Wd'],
  ['f2', 'sd', 'Vq,Wq'],
] as const;

/** `51 sqrt ps pd ss sd` is one row a format; `more` are operands after the first two. */
const floats = (row: string, more = ''): string[] => {
  const [opcode, op, ...formats] = row.split(' ');
  return FORMATS.filter(([, name]) => formats.includes(name)).map(
    ([prefix, name, operands]) => `${opcode} ${prefix} ${op}${name} ${operands}${more}`,
  );
};

/** `d4 paddq` is the MMX form without prefix and the SSE2 form with 66. */
const both = (rows: string): string[] =>
  rows
    .trim()
    .split(/\s*\n\s*/)
    .flatMap(row => [`${row.slice(0, 2)} np ${row.slice(2)} Pq,Qq`, `${row.slice(0, 2)} 66 ${row.slice(2)} Vo,Wo`]);

export const SSE: readonly string[] = [
  ...floats('14 unpckl ps pd'),
  ...floats('15 unpckh ps pd'),
  ...floats('51 sqrt ps pd ss sd'),
  ...floats('52 rsqrt ps ss'),
  ...floats('53 rcp ps ss'),
  ...floats('54 and ps pd'),
  ...floats('55 andn ps pd'),
  ...floats('56 or ps pd'),
  ...floats('57 xor ps pd'),
  ...floats('58 add ps pd ss sd'),
  ...floats('59 mul ps pd ss sd'),
  ...floats('5c sub ps pd ss sd'),
  ...floats('5d min ps pd ss sd'),
  ...floats('5e div ps pd ss sd'),
  ...floats('5f max ps pd ss sd'),
  ...floats('c2 cmp ps pd ss sd', ',Ib'),
  ...floats('c6 shuf ps pd', ',Ib'),
  ...both(`
    63 packsswb
    64 pcmpgtb
    65 pcmpgtw
    66 pcmpgtd
    67 packuswb
    68 punpckhbw
    69 punpckhwd
    6a punpckhdq
    6b packssdw
    74 pcmpeqb
    75 pcmpeqw
    76 pcmpeqd
    d1 psrlw
    d2 psrld
    d3 psrlq
    d4 paddq
    d5 pmullw
    d8 psubusb
    d9 psubusw
    da pminub
    db pand
    dc paddusb
    dd paddusw
    de pmaxub
    df pandn
    e0 pavgb
    e1 psraw
    e2 psrad
    e3 pavgw
    e4 pmulhuw
    e5 pmulhw
    e8 psubsb
    e9 psubsw
    ea pminsw
    eb por
    ec paddsb
    ed paddsw
    ee pmaxsw
    ef pxor
    f1 psllw
    f2 pslld
    f3 psllq
    f4 pmuludq
    f5 pmaddwd
    f6 psadbw
    f8 psubb
    f9 psubw
    fa psubd
    fb psubq
    fc paddb
    fd paddw
    fe paddd`),
  ...`
  10 np     movups  Vo,Wo
  10 66     movupd  Vo,Wo
  10 f3     movss   Vd,Wd
  10 f2     movsd   Vq,Wq
  11 np     movups  Wo,Vo
  11 66     movupd  Wo,Vo
  11 f3     movss   Wd,Vd
  11 f2     movsd   Wq,Vq
  12 np     movlps  Vq,Mq
  12 np     movhlps Vq,Uq
  12 66     movlpd  Vq,Mq
  13 np     movlps  Mq,Vq
  13 66     movlpd  Mq,Vq
  16 np     movhps  Vq,Mq
  16 np     movlhps Vq,Uq
  16 66     movhpd  Vq,Mq
  17 np     movhps  Mq,Vq
  17 66     movhpd  Mq,Vq
  28 np     movaps  Vo,Wo
  28 66     movapd  Vo,Wo
  29 np     movaps  Wo,Vo
  29 66     movapd  Wo,Vo
  2a np     cvtpi2ps  Vq,Qq
  2a 66     cvtpi2pd  Vo,Qq
  2a f3     cvtsi2ss  Vd,Ey
  2a f2     cvtsi2sd  Vq,Ey
  2b np     movntps   Mo,Vo
  2b 66     movntpd   Mo,Vo
  2c np     cvttps2pi Pq,Wq
  2c 66     cvttpd2pi Pq,Wo
  2c f3     cvttss2si Gy,Wd
  2c f2     cvttsd2si Gy,Wq
  2d np     cvtps2pi  Pq,Wq
  2d 66     cvtpd2pi  Pq,Wo
  2d f3     cvtss2si  Gy,Wd
  2d f2     cvtsd2si  Gy,Wq
  2e np     ucomiss   Vd,Wd
  2e 66     ucomisd   Vq,Wq
  2f np     comiss    Vd,Wd
  2f 66     comisd    Vq,Wq
  50 np     movmskps  Gy,Uo
  50 66     movmskpd  Gy,Uo
  5a np     cvtps2pd  Vo,Wq
  5a 66     cvtpd2ps  Vo,Wo
  5a f3     cvtss2sd  Vq,Wd
  5a f2     cvtsd2ss  Vd,Wq
  5b np     cvtdq2ps  Vo,Wo
  5b 66     cvtps2dq  Vo,Wo
  5b f3     cvttps2dq Vo,Wo

  60 np     punpcklbw Pq,Qd
  60 66     punpcklbw Vo,Wo
  61 np     punpcklwd Pq,Qd
  61 66     punpcklwd Vo,Wo
  62 np     punpckldq Pq,Qd
  62 66     punpckldq Vo,Wo
  6c 66     punpcklqdq Vo,Wo
  6d 66     punpckhqdq Vo,Wo
  6e np     movd    Pq,Ey
  6e 66     movd    Vo,Ey
  6f np     movq    Pq,Qq
  6f 66     movdqa  Vo,Wo
  6f f3     movdqu  Vo,Wo
  70 np     pshufw  Pq,Qq,Ib
  70 66     pshufd  Vo,Wo,Ib
  70 f3     pshufhw Vo,Wo,Ib
  70 f2     pshuflw Vo,Wo,Ib
  71 np /2  psrlw   Nq,Ib
  71 66 /2  psrlw   Uo,Ib
  71 np /4  psraw   Nq,Ib
  71 66 /4  psraw   Uo,Ib
  71 np /6  psllw   Nq,Ib
  71 66 /6  psllw   Uo,Ib
  72 np /2  psrld   Nq,Ib
  72 66 /2  psrld   Uo,Ib
  72 np /4  psrad   Nq,Ib
  72 66 /4  psrad   Uo,Ib
  72 np /6  pslld   Nq,Ib
  72 66 /6  pslld   Uo,Ib
  73 np /2  psrlq   Nq,Ib
  73 66 /2  psrlq   Uo,Ib
  73 66 /3  psrldq  Uo,Ib
  73 np /6  psllq   Nq,Ib
  73 66 /6  psllq   Uo,Ib
  73 66 /7  pslldq  Uo,Ib
  77 np     emms
  7e np     movd    Ey,Pq
  7e 66     movd    Ey,Vo
  7e f3     movq    Vq,Wq
  7f np     movq    Qq,Pq
  7f 66     movdqa  Wo,Vo
  7f f3     movdqu  Wo,Vo

  c4 np     pinsrw  Pq,RyMw,Ib
  c4 66     pinsrw  Vo,RyMw,Ib
  c5 np     pextrw  Gy,Nq,Ib
  c5 66     pextrw  Gy,Uo,Ib
  d6 66     movq    Wq,Vq
  d6 f3     movq2dq Vo,Nq
  d6 f2     movdq2q Pq,Uq
  d7 np     pmovmskb Gy,Nq
  d7 66     pmovmskb Gy,Uo
  e6 66     cvttpd2dq Vo,Wo
  e6 f3     cvtdq2pd  Vo,Wq
  e6 f2     cvtpd2dq  Vo,Wo
  e7 np     movntq  Mq,Pq
  e7 66     movntdq Mo,Vo
  f7 np     maskmovq   Pq,Nq,rDIq
  f7 66     maskmovdqu Vo,Uo,rDIo
  `.split('\n'),
];
