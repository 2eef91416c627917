/**
 * The one-byte opcode map in 64-bit mode (SDM 2D, table A-2). opcodes.ts says how to read a row. What has no row is
 * invalid in 64-bit mode: push es, daa, pusha, bound, into, far calls with an immediate, VEX (c4, c5), EVEX (62) ...
 */

/** Eight operations share one pattern at 00, 08, 10 ... 38, and the groups 80, 81 and 83. */
const ARITHMETIC = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'];
const SHIFTS = ['rol', 'ror', 'rcl', 'rcr', 'shl', 'shr', 'shl', 'sar'];

const hex = (opcode: number): string => opcode.toString(16).padStart(2, '0');

const arithmetic = ARITHMETIC.flatMap((op, n) => [
  `${hex(8 * n)}     ${op}  Eb,Gb`,
  `${hex(8 * n + 1)} ${op}  Ev,Gv`,
  `${hex(8 * n + 2)} ${op}  Gb,Eb`,
  `${hex(8 * n + 3)} ${op}  Gv,Ev`,
  `${hex(8 * n + 4)} ${op}  AL,Ib`,
  `${hex(8 * n + 5)} ${op}  rAX,Iz`,
  `80 /${n}          ${op}  Eb,Ib`,
  `81 /${n}          ${op}  Ev,Iz`,
  `83 /${n}          ${op}  Ev,Ibs`,
]);

const shifts = SHIFTS.flatMap((op, n) => [
  `c0 /${n} ${op}  Eb,Ib`,
  `c1 /${n} ${op}  Ev,Ib`,
  `d0 /${n} ${op}  Eb,1`,
  `d1 /${n} ${op}  Ev,1`,
  `d2 /${n} ${op}  Eb,CL`,
  `d3 /${n} ${op}  Ev,CL`,
]);

export const ONE_BYTE: readonly string[] = [
  ...arithmetic,
  ...shifts,
  ...`
  50-57     push    Zv      d64
  58-5f     pop     Zv      d64
  63        movsxd  Gv,Ez
  68        push    Iz      d64
  69        imul    Gv,Ev,Iz
  6a        push    Ibs     d64
  6b        imul    Gv,Ev,Ibs
  6c        ins     Yb,DX   byte
  6d        ins     Yz,DX   no64
  6e        outs    DX,Xb   byte
  6f        outs    DX,Xz   no64
  70-7f     jcc     Jb      f64

  84        test    Eb,Gb
  85        test    Ev,Gv
  86        xchg    Eb,Gb
  87        xchg    Ev,Gv
  88        mov     Eb,Gb
  89        mov     Ev,Gv
  8a        mov     Gb,Eb
  8b        mov     Gv,Ev
  8c /0-5   mov     RvMw,Sw
  8d        lea     Gv,M
  8e /0     mov     Sw,Ew
  8e /2-5   mov     Sw,Ew
  8f /0     pop     Ev      d64

  90        nop
  90 b      xchg    Zv,rAX
  90 f3     pause
  91-97     xchg    Zv,rAX
  98        cbw
  99        cwd
  9b        wait
  9c        pushf           d64
  9d        popf            d64
  9e        sahf
  9f        lahf

  a0        mov     AL,Ob
  a1        mov     rAX,Ov
  a2        mov     Ob,AL
  a3        mov     Ov,rAX
  a4        movs    Yb,Xb   byte
  a5        movs    Yv,Xv
  a6        cmps    Xb,Yb   byte
  a7        cmps    Xv,Yv
  a8        test    AL,Ib
  a9        test    rAX,Iz
  aa        stos    Yb,AL   byte
  ab        stos    Yv,rAX
  ac        lods    AL,Xb   byte
  ad        lods    rAX,Xv
  ae        scas    AL,Yb   byte
  af        scas    rAX,Yv

  b0-b7     mov     Zb,Ib
  b8-bf     mov     Zv,Iv
  c2        ret     Iw      f64
  c3        ret             f64
  c6 /0     mov     Eb,Ib
  c7 /0     mov     Ev,Iz
  c8        enter   Iw,Ib   d64
  c9        leave           d64
  ca        retf    Iw
  cb        retf
  cc        int3
  cd        int     Ib
  cf        iret
  d7        xlat    rBX     byte

  e0        loopne  Jb      f64
  e1        loope   Jb      f64
  e2        loop    Jb      f64
  e3        jrcxz   Jb      f64
  e4        in      AL,Ib
  e5        in      eAX,Ib  no64
  e6        out     Ib,AL
  e7        out     Ib,eAX  no64
  e8        call    Jz      f64
  e9        jmp     Jz      f64
  eb        jmp     Jb      f64
  ec        in      AL,DX
  ed        in      eAX,DX  no64
  ee        out     DX,AL
  ef        out     DX,eAX  no64

  f1        int1
  f4        hlt
  f5        cmc
  f6 /0     test    Eb,Ib
  f6 /1     test    Eb,Ib
  f6 /2     not     Eb
  f6 /3     neg     Eb
  f6 /4     mul     Eb
  f6 /5     imul    Eb
  f6 /6     div     Eb
  f6 /7     idiv    Eb
  f7 /0     test    Ev,Iz
  f7 /1     test    Ev,Iz
  f7 /2     not     Ev
  f7 /3     neg     Ev
  f7 /4     mul     Ev
  f7 /5     imul    Ev
  f7 /6     div     Ev
  f7 /7     idiv    Ev
  f8        clc
  f9        stc
  fa        cli
  fb        sti
  fc        cld
  fd        std
  fe /0     inc     Eb
  fe /1     dec     Eb
  ff /0     inc     Ev
  ff /1     dec     Ev
  ff /2     call    Ev      f64
  ff /3     callf   Mp
  ff /4     jmp     Ev      f64
  ff /5     jmpf    Mp
  ff /6     push    Ev      d64
  `.split('\n'),
];
