/**
 * The x87 escape opcodes d8-df (SDM 2D, tables ): ModRM with a memory operand selects by its reg field (m/n),
 * with a register by reg (r/n, the operand is ST(rm)) or by the whole byte (=xx). Undocumented aliases that every
 * processor executes carry the name of what they do: dc d0 is fcom.
 */
const BASIC = ['add', 'mul', 'com', 'comp', 'sub', 'subr', 'div', 'divr'];

/** d8 and dc work on ST and a float in memory, da and de on an integer in memory. */
const basic = BASIC.flatMap((op, n) => [
  `d8 m/${n}  f${op}  Md`,
  `d8 r/${n}  f${op}  ST,STi`,
  `da m/${n}  fi${op} Md`,
  `dc m/${n}  f${op}  Mq`,
  `de m/${n}  fi${op} Mw`,
]);

/** d9 e0 and on: no operands, named by the whole ModRM byte; '-' is invalid. */
const D9_FROM_E0 = `
  fchs  fabs  -      -      ftst    fxam   -       -       fld1  fldl2t  fldl2e fldpi   fldlg2  fldln2 fldz -
  f2xm1 fyl2x fptan  fpatan fxtract fprem1 fdecstp fincstp fprem fyl2xp1 fsqrt  fsincos frndint fscale fsin fcos`;
const constants = D9_FROM_E0.trim()
  .split(/\s+/)
  .flatMap((op, n) => (op === '-' ? [] : [`d9 =${(0xe0 + n).toString(16)}  ${op}`]));

export const X87: readonly string[] = [
  ...basic,
  ...constants,
  ...`
  d9 m/0    fld     Md
  d9 m/2    fst     Md
  d9 m/3    fstp    Md
  d9 m/4    fldenv  Me
  d9 m/5    fldcw   Mw
  d9 m/6    fnstenv Me
  d9 m/7    fnstcw  Mw
  d9 r/0    fld     STi
  d9 r/1    fxch    ST,STi
  d9 =d0    fnop
  d9 r/3    fstpnce STi

  da r/0    fcmovb  ST,STi
  da r/1    fcmove  ST,STi
  da r/2    fcmovbe ST,STi
  da r/3    fcmovu  ST,STi
  da =e9    fucompp

  db m/0    fild    Md
  db m/1    fisttp  Md
  db m/2    fist    Md
  db m/3    fistp   Md
  db m/5    fld     Mt
  db m/7    fstp    Mt
  db r/0    fcmovnb  ST,STi
  db r/1    fcmovne  ST,STi
  db r/2    fcmovnbe ST,STi
  db r/3    fcmovnu  ST,STi
  db =e0    fneni
  db =e1    fndisi
  db =e2    fnclex
  db =e3    fninit
  db =e4    fnsetpm
  db r/5    fucomi  ST,STi
  db r/6    fcomi   ST,STi

  dc r/0    fadd    STi,ST
  dc r/1    fmul    STi,ST
  dc r/2    fcom    ST,STi
  dc r/3    fcomp   ST,STi
  dc r/4    fsubr   STi,ST
  dc r/5    fsub    STi,ST
  dc r/6    fdivr   STi,ST
  dc r/7    fdiv    STi,ST

  dd m/0    fld     Mq
  dd m/1    fisttp  Mq
  dd m/2    fst     Mq
  dd m/3    fstp    Mq
  dd m/4    frstor  Mf
  dd m/6    fnsave  Mf
  dd m/7    fnstsw  Mw
  dd r/0    ffree   STi
  dd r/1    fxch    ST,STi
  dd r/2    fst     STi
  dd r/3    fstp    STi
  dd r/4    fucom   ST,STi
  dd r/5    fucomp  ST,STi

  de r/0    faddp   STi,ST
  de r/1    fmulp   STi,ST
  de r/2    fcomp   ST,STi
  de =d9    fcompp
  de r/4    fsubrp  STi,ST
  de r/5    fsubp   STi,ST
  de r/6    fdivrp  STi,ST
  de r/7    fdivp   STi,ST

  df m/0    fild    Mw
  df m/1    fisttp  Mw
  df m/2    fist    Mw
  df m/3    fistp   Mw
  df m/4    fbld    Mt
  df m/5    fild    Mq
  df m/6    fbstp   Mt
  df m/7    fistp   Mq
  df r/0    ffreep  STi
  df r/1    fxch    ST,STi
  df r/2    fstp    STi
  df r/3    fstp    STi
  df =e0    fnstsw  AX
  df r/5    fucomip ST,STi
  df r/6    fcomip  ST,STi
  `.split('\n'),
];
