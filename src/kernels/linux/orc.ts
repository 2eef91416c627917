/**
 * Call stacks of a Linux kernel, which has no frame pointers, by its ORC tables. For ranges of instructions they say where
 * the stack pointer was when the function was called (CFA, canonical frame address) and where the caller's rbp was saved.
 *
 *   .orc_unwind_ip   i32[n]     from the word itself to the first instruction of range k, ascending
 *   .orc_unwind      6 bytes    i16 sp_offset, i16 bp_offset, then 16 bits:
 *
 *     until 6.3   | - | end | type 2 | bp_reg 4 | sp_reg 4 |     type: 0 call, 1 regs, 2 part of regs
 *     since 6.4   | - | signal | type 3 | bp_reg 4 | sp_reg 4 |  type: 0 undefined, 1 end, 2 call, 3 regs, 4 part of regs
 *
 * Since 6.4 there is a section .orc_header, by which we tell the two apart.
 * In a range of type `call` the return address is below the CFA. In one of type `regs` the CFA points to a pt_regs, which
 * is how the stack goes on through an exception's frame; of `part of regs` only its iret frame is there.
 * Source: arch/x86/include/asm/orc_types.h, arch/x86/kernel/unwind_orc.c.
 */
import type { Section } from '../../isa/elf.js';

/**
 * An address as a signed number: those of a kernel are negative, and exact. Anything that is no address of the 48 bits a
 * processor has is NaN, and ends a stack.
 */
export type SignedAddress = number;
export const signed = (at: bigint): SignedAddress => {
  const value = Number(BigInt.asIntN(64, at));
  return Math.abs(value) < 2 ** 48 ? value : Number.NaN;
};
export const unsigned = (at: SignedAddress): bigint => BigInt.asUintN(64, BigInt(at));

/** Registers of a frame, as far as unwinding follows them. */
export interface OrcFrame {
  readonly pc: SignedAddress;
  readonly sp: SignedAddress;
  readonly bp: SignedAddress;
}
/** The address in the word at a guest address; NaN where there is none. */
export type ReadWord = (at: SignedAddress) => SignedAddress;

/** The two tables: where they are and what is in them. */
export interface OrcTables {
  readonly ipAt: SignedAddress;
  readonly ip: Uint8Array;
  readonly entries: Uint8Array;
  readonly since64: boolean;
}
/** The tables of an image; undefined where it has none. */
export function orcTables(sections: readonly Section[]): OrcTables | undefined {
  const named = (name: string): Section | undefined => sections.find(s => s.name === name);
  const [ip, entries] = [named('.orc_unwind_ip'), named('.orc_unwind')];
  if (!ip || !entries) return undefined;
  return { ipAt: signed(ip.at), ip: ip.data, entries: entries.data, since64: named('.orc_header') !== undefined };
}

const ENTRY_BYTES = 6;
const WORD = 8;
/** THREAD_SIZE of x86-64. */
const STACK_BYTES = 16384;
const REG = { undefined: 0, prevSp: 1, dx: 2, di: 3, bp: 4, sp: 5, r10: 6, r13: 7, bpIndirect: 8, spIndirect: 9 };
const TYPE = { end: 0, call: 1, regs: 2, iret: 3 } as const;
const TYPES_BEFORE_64 = [TYPE.call, TYPE.regs, TYPE.iret] as const;
const TYPES_SINCE_64 = [TYPE.end, TYPE.end, TYPE.call, TYPE.regs, TYPE.iret] as const;
/** Bytes from a pt_regs (asm/ptrace.h), and from an iret frame. */
const PT_REGS = { bp: 4 * WORD, ip: 16 * WORD, sp: 19 * WORD } as const;
const IRET = { ip: 0, sp: 3 * WORD } as const;

export class Orc {
  private readonly base: SignedAddress;
  /** First instruction of each range, counted from `base`. */
  private readonly starts: Int32Array;
  private readonly entries: DataView;
  private readonly since64: boolean;

  constructor({ ipAt, ip, entries, since64 }: OrcTables) {
    const count = Math.min(Math.floor(ip.length / 4), Math.floor(entries.length / ENTRY_BYTES));
    const view = new DataView(ip.buffer, ip.byteOffset, ip.length);
    this.base = ipAt;
    this.starts = Int32Array.from({ length: count }, (_, n) => 4 * n + view.getInt32(4 * n, true));
    this.entries = new DataView(entries.buffer, entries.byteOffset, entries.length);
    this.since64 = since64;
  }

  /**
   * Return addresses from `frame` outwards, innermost first, at most `max`; as far as memory and the tables say.
   * `frame.pc` is an instruction about to run, not a return address.
   */
  unwind({ pc: fromPc, sp: fromSp, bp: fromBp }: OrcFrame, read: ReadWord, max: number): SignedAddress[] {
    const found: SignedAddress[] = [];
    let [pc, sp, bp] = [fromPc, fromSp, fromBp];
    let returned = false;
    while (found.length < max) {
      // A return address is behind its call, which may be the last instruction of its range.
      const at = this.find(returned ? pc - 1 : pc);
      if (at < 0) break;
      const bits = this.entries.getUint16(at + 4, true);
      const type = this.typeOf(bits);
      const cfa = this.cfa(bits & 15, this.entries.getInt16(at, true), sp, bp, read);
      if (type === TYPE.end || Number.isNaN(cfa)) break;
      const outer =
        type === TYPE.call
          ? { pc: read(cfa - WORD), sp: cfa }
          : type === TYPE.regs
            ? { pc: read(cfa + PT_REGS.ip), sp: read(cfa + PT_REGS.sp) }
            : { pc: read(cfa + IRET.ip), sp: read(cfa + IRET.sp) };
      if (type === TYPE.regs) bp = read(cfa + PT_REGS.bp);
      else bp = this.callersBp((bits >> 4) & 15, this.entries.getInt16(at + 2, true), cfa, bp, read);
      if (!(outer.pc < 0)) break; // not the kernel's
      // On one stack an outer frame lies higher; where it does not, the data are bad. Another stack lies anywhere.
      const inward = sp - outer.sp;
      if (!(inward < 0 || inward >= STACK_BYTES)) break;
      found.push(outer.pc);
      ({ pc, sp } = outer);
      returned = type === TYPE.call;
    }
    return found;
  }

  private typeOf(bits: number): number {
    if ((bits & 15) === REG.undefined) return TYPE.end;
    if (this.since64) return TYPES_SINCE_64[(bits >> 8) & 7] ?? TYPE.end;
    return (bits >> 10) & 1 ? TYPE.end : (TYPES_BEFORE_64[(bits >> 8) & 3] ?? TYPE.end);
  }
  private cfa(register: number, offset: number, sp: SignedAddress, bp: SignedAddress, read: ReadWord): SignedAddress {
    switch (register) {
      case REG.sp:
        return sp + offset;
      case REG.bp:
        return bp + offset;
      case REG.bpIndirect:
        return read(bp + offset);
      case REG.spIndirect:
        return read(sp) + offset; // the offset counts behind the load: unwind_orc.c, unwind_next_frame
      default:
        return Number.NaN; // dx, di, r10, r13: only in the first instructions of exception entries
    }
  }
  private callersBp(
    register: number,
    offset: number,
    cfa: SignedAddress,
    bp: SignedAddress,
    read: ReadWord,
  ): SignedAddress {
    if (register === REG.prevSp) return read(cfa + offset);
    return register === REG.bp ? read(bp + offset) : bp;
  }

  /** Where the entry of the range that an instruction is in is, or -1. */
  private find(pc: SignedAddress): number {
    const { starts } = this;
    const offset = pc - this.base;
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return ENTRY_BYTES * (low - 1);
  }
}
