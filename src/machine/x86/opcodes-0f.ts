/**
 * The two-byte opcode map, 0f xx, in 64-bit mode: integer and system instructions (SDM 2D, table A-3). MMX and SSE are in
 * opcodes-sse.ts. 0f 38 and 0f 3a (SSSE3 and later, movbe, crc32, adcx, invpcid), 3DNow!, VMX, SMX and MPX have no rows.
 */
export const TWO_BYTE: readonly string[] = `
  00 /0     sldt    RvMw
  00 /1     str     RvMw
  00 /2     lldt    Ew
  00 /3     ltr     Ew
  00 /4     verr    Ew
  00 /5     verw    Ew

  01 /0     sgdt    Ms      f64
  01 /1     sidt    Ms      f64
  01 /2     lgdt    Ms      f64
  01 /3     lidt    Ms      f64
  01 /4     smsw    RvMw
  01 /6     lmsw    Ew
  01 /7     invlpg  M
  01 =c1    np vmcall
  01 =c8    np monitor
  01 =c9    np mwait
  01 =ca    np clac
  01 =cb    np stac
  01 =d0    np xgetbv
  01 =d1    np xsetbv
  01 =d9    np vmmcall
  01 =ee    np rdpkru
  01 =ef    np wrpkru
  01 =f8    swapgs
  01 =f9    rdtscp

  02        lar     Gv,Ew
  03        lsl     Gv,Ew
  05        syscall
  06        clts
  07        sysret          no16
  08        invd
  09        wbinvd
  0b        ud2
  0d        nop     E
  18-1f     nop     E

  20        mov     Rq,Cq   f64
  21        mov     Rq,Dq   f64
  22        mov     Cq,Rq   f64
  23        mov     Dq,Rq   f64

  30        wrmsr
  31        rdtsc
  32        rdmsr
  33        rdpmc
  34        sysenter
  35        sysexit         no16
  40-4f     cmovcc  Gv,Ev
  80-8f     jcc     Jz      f64
  90-9f     setcc   Eb

  a0        push    FS      d64
  a1        pop     FS      d64
  a2        cpuid
  a3        bt      Ev,Gv
  a4        shld    Ev,Gv,Ib
  a5        shld    Ev,Gv,CL
  a8        push    GS      d64
  a9        pop     GS      d64
  aa        rsm
  ab        bts     Ev,Gv
  ac        shrd    Ev,Gv,Ib
  ad        shrd    Ev,Gv,CL
  ae np /0  fxsave    Mx
  ae np /1  fxrstor   Mx
  ae np /2  ldmxcsr   Md
  ae np /3  stmxcsr   Md
  ae np /4  xsave     M
  ae np /5  xrstor    M
  ae np /6  xsaveopt  M
  ae np /7  clflush   Mb
  ae np r/5 lfence
  ae np r/6 mfence
  ae np r/7 sfence
  ae 66 /6  clwb        Mb
  ae 66 /7  clflushopt  Mb
  ae f3 r/0 rdfsbase  Ry
  ae f3 r/1 rdgsbase  Ry
  ae f3 r/2 wrfsbase  Ry
  ae f3 r/3 wrgsbase  Ry
  af        imul    Gv,Ev

  b0        cmpxchg Eb,Gb
  b1        cmpxchg Ev,Gv
  b2        lss     Gv,Mp
  b3        btr     Ev,Gv
  b4        lfs     Gv,Mp
  b5        lgs     Gv,Mp
  b6        movzx   Gv,Eb
  b7        movzx   Gv,Ew
  b8 f3     popcnt  Gv,Ev
  b9        ud1     Gv,Ev
  ba /4     bt      Ev,Ib
  ba /5     bts     Ev,Ib
  ba /6     btr     Ev,Ib
  ba /7     btc     Ev,Ib
  bb        btc     Ev,Gv
  bc        bsf     Gv,Ev
  bc f3     tzcnt   Gv,Ev
  bd        bsr     Gv,Ev
  bd f3     lzcnt   Gv,Ev
  be        movsx   Gv,Eb
  bf        movsx   Gv,Ew

  c0        xadd    Eb,Gb
  c1        xadd    Ev,Gv
  c3 np     movnti  My,Gy
  c7 m/1    cmpxchg8b  Mq   w0
  c7 m/1    cmpxchg16b Mo   w1
  c7 np m/3 xrstors M
  c7 np m/4 xsavec  M
  c7 np m/5 xsaves  M
  c7 r/6    rdrand  Rv
  c7 r/7    rdseed  Rv
  c7 f3 r/6 (bad)
  c7 f2 r/6-7 (bad)
  c7 f3 r/7 rdpid   Rq      f64
  c8-cf     bswap   Zv
  ff        ud0     Gv,Ev
`.split('\n');
