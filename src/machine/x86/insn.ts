/**
 * A decoded x86 instruction: what the bytes say, before anybody executes them. The decoder makes it, the semantics
 * read it; neither knows the other. Everything here is plain data.
 */

/** A general register operand: number 0-15; `high` is ah, ch, dh, bh (number 0-3) of an 8-bit operand without REX. */
export interface RegOperand {
  readonly kind: 'reg';
  readonly reg: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly high: boolean;
}
/** Memory: segment base + base + index * scale + disp, cut to the address size. -1 where a register is absent. */
export interface MemOperand {
  readonly kind: 'mem';
  /** 0-15, -1 for none, 16 for rip (disp is then relative to the NEXT instruction). */
  readonly base: number;
  readonly index: number;
  readonly scale: 1 | 2 | 4 | 8;
  /** Sign-extended to 64 bits; an absolute moffs address may use all of them. */
  readonly disp: bigint;
  /** The segment whose base counts in 64-bit mode: 4 fs, 5 gs, -1 for the flat ones. */
  readonly segment: -1 | 4 | 5;
  /** Bytes accessed; 0 where no access is implied (lea, invlpg). */
  readonly bytes: number;
}
/** An immediate, already sign- or zero-extended to the operand size and then cut to 64 bits (u64). */
export interface ImmOperand {
  readonly kind: 'imm';
  readonly value: bigint;
  readonly bytes: 1 | 2 | 4 | 8;
}
/** A near branch target as displacement from the NEXT instruction, sign-extended. */
export interface RelOperand {
  readonly kind: 'rel';
  readonly disp: bigint;
}
/** Any other register file: segment registers 0-5, control 0-15, debug 0-15, xmm 0-15, mmx 0-7, x87 0-7 (st(i)). */
export interface FileOperand {
  readonly kind: 'seg' | 'cr' | 'dr' | 'xmm' | 'mm' | 'st';
  readonly reg: number;
  /** Bytes of it that take part (xmm: 4, 8 or 16). */
  readonly bytes: number;
}
export type Operand = RegOperand | MemOperand | ImmOperand | RelOperand | FileOperand;

export interface Insn {
  /** Intel's mnemonic, lower case, without size suffix; conditions apart: 'jcc', 'setcc', 'cmovcc'. */
  readonly op: string;
  /** Bytes of the whole instruction, 1-15. */
  readonly length: number;
  /** Operand size in bytes after prefixes and REX.W (1 for the byte forms). */
  readonly size: 1 | 2 | 4 | 8;
  /** Address size in bytes: 8, or 4 with the 67 prefix in 64-bit mode. */
  readonly addressBytes: 4 | 8;
  /** The low four bits of the opcode for jcc, setcc, cmovcc (0 o, 1 no, 2 b ... 15 nle); else 0. */
  readonly cc: number;
  readonly lock: boolean;
  /** F3 and F2 where they mean repetition; only string instructions carry it. */
  readonly rep: '' | 'rep' | 'repne';
  /**
   * Destination first, as Intel writes them; implicit operands (flags, stack, rdx:rax of mul) are not listed. String
   * instructions, xlat and maskmov list their memory, for its segment and size: movs is [rdi], [rsi]; stos is [rdi], rax.
   */
  readonly operands: readonly Operand[];
  /** Of the x87 instructions: the low three bits of the opcode and the ModRM byte, as fop holds them. */
  readonly fop?: number;
}

/** Bytes that are no instruction (or one with an illegal lock prefix): executing them raises #UD. */
export interface BadInsn {
  readonly op: '(bad)';
  readonly length: number;
  /** Longer than 15 bytes: raises #GP(0) instead. */
  readonly gp?: true;
}
/** The bytes end before the instruction does: the next page must be fetched too. */
export interface ShortInsn {
  readonly op: '(short)';
}
export type Decoded = Insn | BadInsn | ShortInsn;
