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

/** Registers of a frame, as far as unwinding follows them. */
export interface OrcFrame {
  readonly pc: bigint;
  readonly sp: bigint;
  readonly bp: bigint;
}
/** The word at a guest address, or undefined where there is none. */
export type ReadWord = (at: bigint) => bigint | undefined;

const ENTRY_BYTES = 6;
/** THREAD_SIZE of x86-64. */
const STACK_BYTES = 16384n;
const REG = { undefined: 0, prevSp: 1, dx: 2, di: 3, bp: 4, sp: 5, r10: 6, r13: 7, bpIndirect: 8, spIndirect: 9 };
const TYPE = { end: 0, call: 1, regs: 2, iret: 3 } as const;
type Type = (typeof TYPE)[keyof typeof TYPE];
const TYPES_BEFORE_64: readonly Type[] = [TYPE.call, TYPE.regs, TYPE.iret];
const TYPES_SINCE_64: readonly Type[] = [TYPE.end, TYPE.end, TYPE.call, TYPE.regs, TYPE.iret];
/** Words of pt_regs (asm/ptrace.h) by their place. */
const PT_REGS = { bp: 4, ip: 16, sp: 19 } as const;
/** Words of an iret frame, from the CFA on. */
const IRET = { ip: 0, sp: 3 } as const;

const word = (base: bigint, n: number): bigint => BigInt.asUintN(64, base + BigInt(8 * n));
const offset = (base: bigint, bytes: number): bigint => BigInt.asUintN(64, base + BigInt(bytes));
const isKernel = (at: bigint): boolean => at >> 63n === 1n;

export class Orc {
  private readonly ip: DataView;
  private readonly entries: DataView;
  private readonly base: bigint;
  private readonly count: number;
  private readonly since64: boolean;

  /** @returns undefined where the image has no such tables */
  static of(sections: readonly Section[]): Orc | undefined {
    const named = (name: string): Section | undefined => sections.find(s => s.name === name);
    const [ip, entries] = [named('.orc_unwind_ip'), named('.orc_unwind')];
    return ip && entries && new Orc(ip, entries.data, named('.orc_header') !== undefined);
  }
  private constructor(ip: Section, entries: Uint8Array, since64: boolean) {
    this.base = ip.at;
    this.ip = new DataView(ip.data.buffer, ip.data.byteOffset, ip.data.length);
    this.entries = new DataView(entries.buffer, entries.byteOffset, entries.length);
    this.count = Math.min(Math.floor(ip.data.length / 4), Math.floor(entries.length / ENTRY_BYTES));
    this.since64 = since64;
  }

  /**
   * Return addresses from `frame` outwards, innermost first, at most `max`; as far as memory and the tables say.
   * `frame.pc` is an instruction about to run, not a return address.
   */
  unwind(frame: OrcFrame, read: ReadWord, max: number): bigint[] {
    const found: bigint[] = [];
    let at: OrcFrame | undefined = frame;
    let returned = false;
    while (found.length < max) {
      const next = this.caller(at, returned, read);
      if (!next || !isKernel(next.frame.pc)) break;
      // On one stack an outer frame lies higher; where it does not, the data are bad. Another stack lies anywhere.
      const inward = at.sp - next.frame.sp;
      if (inward >= 0n && inward < STACK_BYTES) break;
      found.push(next.frame.pc);
      ({ frame: at, returned } = next);
    }
    return found;
  }

  private caller(
    { pc, sp, bp }: OrcFrame,
    returned: boolean,
    read: ReadWord,
  ): { frame: OrcFrame; returned: boolean } | undefined {
    // A return address is behind its call, which may be the last instruction of its range.
    const entry = this.find(returned ? pc - 1n : pc);
    if (!entry || entry.type === TYPE.end) return undefined;
    const cfa = this.cfa(entry, sp, bp, read);
    if (cfa === undefined) return undefined;
    const pick = (at: bigint, outerSp: bigint | undefined, outerBp: bigint | undefined, isReturn: boolean) => {
      const outerPc = read(at);
      if (outerPc === undefined || outerSp === undefined) return undefined;
      return { frame: { pc: outerPc, sp: outerSp, bp: outerBp ?? bp }, returned: isReturn };
    };
    if (entry.type === TYPE.regs)
      return pick(word(cfa, PT_REGS.ip), read(word(cfa, PT_REGS.sp)), read(word(cfa, PT_REGS.bp)), false);
    const outerBp =
      entry.bpReg === REG.prevSp
        ? read(offset(cfa, entry.bpOffset))
        : entry.bpReg === REG.bp
          ? read(offset(bp, entry.bpOffset))
          : bp;
    if (entry.type === TYPE.iret) return pick(word(cfa, IRET.ip), read(word(cfa, IRET.sp)), outerBp, false);
    return pick(word(cfa, -1), cfa, outerBp, true);
  }
  private cfa({ spReg, spOffset }: Entry, sp: bigint, bp: bigint, read: ReadWord): bigint | undefined {
    switch (spReg) {
      case REG.sp:
        return offset(sp, spOffset);
      case REG.bp:
        return offset(bp, spOffset);
      case REG.bpIndirect:
        return read(offset(bp, spOffset));
      case REG.spIndirect: {
        const at = read(sp); // the offset counts behind the load: unwind_orc.c, unwind_next_frame
        return at === undefined ? undefined : offset(at, spOffset);
      }
      default:
        return undefined; // dx, di, r10, r13: only in the first instructions of exception entries
    }
  }

  private ipAt(n: number): bigint {
    return BigInt.asUintN(64, this.base + BigInt(4 * n + this.ip.getInt32(4 * n, true)));
  }
  /** The range that an instruction is in. */
  private find(pc: bigint): Entry | undefined {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ipAt(middle) <= pc) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const at = ENTRY_BYTES * (low - 1);
    const bits = this.entries.getUint16(at + 4, true);
    const type = this.since64 ? TYPES_SINCE_64[(bits >> 8) & 7] : TYPES_BEFORE_64[(bits >> 8) & 3];
    const isEnd = !this.since64 && ((bits >> 10) & 1) !== 0;
    if (type === undefined) return undefined;
    return {
      spOffset: this.entries.getInt16(at, true),
      bpOffset: this.entries.getInt16(at + 2, true),
      spReg: bits & 15,
      bpReg: (bits >> 4) & 15,
      type: isEnd || (bits & 15) === REG.undefined ? TYPE.end : type,
    };
  }
}
interface Entry {
  readonly spOffset: number;
  readonly bpOffset: number;
  readonly spReg: number;
  readonly bpReg: number;
  readonly type: Type;
}
