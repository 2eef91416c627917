/**
 * The decoder of 64-bit mode: bytes to `Insn`. The bytes of an instruction (SDM 2A, figure 2-1):
 *
 *    legacy prefixes   REX       opcode            ModRM           SIB             displacement   immediate
 *   +----------------+---------+-----------------+---------------+---------------+--------------+-------------+
 *   | f0 f2 f3 66 67 | 0100WRXB| xx, or 0f xx    | mod reg   rm  | ss index base | 0, 1, 4 (8)  | 0, 1, 2, 4, |
 *   | 26 2e .. 64 65 |         |                 |  2   3     3  |  2   3    3   | bytes        | 8 bytes     |
 *   +----------------+---------+-----------------+---------------+---------------+--------------+-------------+
 *
 * The opcode map (opcodes.ts) says what follows the opcode. Bytes past the end read as 0 and are counted: one look at
 * the position, at the end, tells whether all of them were there.
 */
import type { BadInsn, Decoded, FileOperand, Insn, MemOperand, Operand, RegOperand, ShortInsn } from './insn.js';
import { cellOf, type Form, MAP_0F, MAP_ONE, type OperandForm } from './opcodes.js';

/** The longest instruction; a longer one raises #GP whatever it would have been (SDM 3A, 6.15, #GP). */
const LENGTH_MAX = 15;

const SHORT: ShortInsn = { op: '(short)' };
const bad = (length: number): BadInsn => ({ op: '(bad)', length });

/** Register operands are shared: there are few of them, and they never change. */
const general = (bytes: 1 | 2 | 4 | 8): readonly RegOperand[] =>
  Array.from({ length: 16 }, (_, reg): RegOperand => ({ kind: 'reg', reg, bytes, high: false }));
const GENERAL = [[], general(1), general(2), [], general(4), [], [], [], general(8)];
/** ah, ch, dh, bh: numbers 4-7 of a byte operand when there is no REX prefix. */
const HIGH = Array.from({ length: 4 }, (_, reg): RegOperand => ({ kind: 'reg', reg, bytes: 1, high: true }));

const NO_REGISTER = -1;
const RIP = 16;
const FS = 4;
const GS = 5;
/** cr0, cr2, cr3, cr4, cr8 exist; the others raise #UD (SDM 2A, MOV to/from control registers). */
const CONTROL_REGISTERS = 0b1_0001_1101;
const SCALES = [1, 2, 4, 8] as const;

/** What decode() knows so far of the instruction it reads. */
class Reading {
  readonly bytes: Uint8Array;
  readonly end: number;
  pos: number;

  /** 40-4f, or 0 for none. */
  rex = 0;
  segment: -1 | 4 | 5 = -1;
  has66 = false;
  has67 = false;
  lock = false;
  /** The last of f3 and f2, or 0. */
  repeat = 0;

  opcode = 0;
  modrm = 0;
  /** What the x87 unit remembers of an opcode d8 - df, or -1 (SDM 1, 8.1.9). */
  fop = -1;
  size: 1 | 2 | 4 | 8 = 4;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.pos = at;
    this.end = end;
  }

  u8(): number {
    const at = this.pos++;
    return at < this.end ? this.bytes[at]! : 0;
  }
  i8(): number {
    return (this.u8() << 24) >> 24;
  }
  u16(): number {
    return this.u8() | (this.u8() << 8);
  }
  i32(): number {
    return this.u16() | (this.u16() << 16);
  }
  /** A little-endian integer of 1, 2, 4 or 8 bytes, sign-extended. */
  signed(bytes: number): bigint {
    if (bytes === 1) return BigInt(this.i8());
    if (bytes === 2) return BigInt((this.u16() << 16) >> 16);
    if (bytes === 4) return BigInt(this.i32());
    const low = BigInt(this.i32() >>> 0);
    return (BigInt(this.i32()) << 32n) | low;
  }

  get wide(): number {
    return (this.rex >> 3) & 1;
  }
  /** ModRM.reg with REX.R. */
  get reg(): number {
    return ((this.modrm >> 3) & 7) | ((this.rex & 4) << 1);
  }
  /** ModRM.rm with REX.B. */
  get rm(): number {
    return (this.modrm & 7) | ((this.rex & 1) << 3);
  }
  get isRegister(): boolean {
    return this.modrm >= 0xc0;
  }

  /** Reads prefixes up to the opcode. REX counts only right before it (SDM 2A, 2.2.1). */
  prefixes(): void {
    for (;;) {
      const byte = this.u8();
      if (byte >= 0x40 && byte <= 0x4f) {
        this.rex = byte;
        continue;
      }
      switch (byte) {
        case 0x66:
          this.has66 = true;
          break;
        case 0x67:
          this.has67 = true;
          break;
        case 0xf0:
          this.lock = true;
          break;
        case 0xf2:
        case 0xf3:
          this.repeat = byte;
          break;
        case 0x64:
          this.segment = FS;
          break;
        case 0x65:
          this.segment = GS;
          break;
        // es, cs, ss, ds: null prefixes in 64-bit mode; they do not undo fs or gs (SDM 1, 3.4.2.1).
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
          break;
        default:
          this.opcode = byte;
          return;
      }
      this.rex = 0;
    }
  }

  /** The row of the opcode map, or undefined for #UD. */
  form(): Form | undefined {
    const isTwoByte = this.opcode === 0x0f;
    if (isTwoByte) this.opcode = this.u8();
    const slot = (isTwoByte ? MAP_0F : MAP_ONE)[this.opcode];
    if (!slot) return undefined;
    if (slot.hasModrm) this.modrm = this.u8();
    if (!isTwoByte && this.opcode >> 3 === 0x1b) this.fop = ((this.opcode & 7) << 8) | this.modrm;
    if (slot.cells.length === 0) return slot.forms[1];
    const prefix = this.repeat === 0xf3 ? 2 : this.repeat === 0xf2 ? 3 : this.has66 ? 1 : 0;
    return slot.forms[slot.cells[cellOf(prefix, this.wide, slot.hasModrm ? this.modrm : this.rex & 1)]!];
  }

  generalRegister(reg: number, bytes: number): RegOperand {
    return bytes === 1 && reg >= 4 && reg < 8 && this.rex === 0 ? HIGH[reg - 4]! : GENERAL[bytes]![reg]!;
  }

  /** Memory by ModRM and SIB (SDM 2A, tables 2-2 and 2-3). `bytes` are accessed. */
  memory(bytes: number): MemOperand {
    const mod = this.modrm >> 6;
    let base = this.rm;
    let index = NO_REGISTER;
    let scale: MemOperand['scale'] = 1;
    if ((this.modrm & 7) === 4) {
      const sib = this.u8();
      scale = SCALES[sib >> 6]!;
      index = ((sib >> 3) & 7) | ((this.rex & 2) << 2);
      if (index === 4) index = NO_REGISTER;
      base = (sib & 7) | ((this.rex & 1) << 3);
      if ((sib & 7) === 5 && mod === 0) base = NO_REGISTER;
    } else if ((this.modrm & 7) === 5 && mod === 0) {
      base = RIP;
    }
    const hasDisp32 = mod === 2 || (mod === 0 && (base === NO_REGISTER || base === RIP));
    const disp = mod === 1 ? BigInt(this.i8()) : hasDisp32 ? BigInt(this.i32()) : 0n;
    return { kind: 'mem', base, index, scale, disp, segment: this.segment, bytes };
  }

  /** The operand, or undefined where the register it names does not exist. */
  operand({ place, width, memory, reg, noSegment }: OperandForm): Operand | undefined {
    const bytes = width[this.size]!;
    switch (place) {
      case 'general-rm':
        return this.isRegister ? this.generalRegister(this.rm, bytes) : this.memory(memory[this.size]!);
      case 'general-reg':
        return this.generalRegister(this.reg, bytes);
      case 'general-opcode':
        return this.generalRegister((this.opcode & 7) | ((this.rex & 1) << 3), bytes);
      case 'general-only':
        return this.generalRegister(this.rm, bytes);
      case 'general-fixed':
        return GENERAL[bytes]![reg]!;
      case 'memory':
        return this.memory(memory[this.size]!);
      case 'xmm-rm':
        return this.isRegister ? file('xmm', this.rm, bytes) : this.memory(memory[this.size]!);
      case 'xmm-reg':
        return file('xmm', this.reg, bytes);
      case 'mm-rm':
        return this.isRegister ? file('mm', this.modrm & 7, bytes) : this.memory(memory[this.size]!);
      case 'mm-reg':
        return file('mm', this.reg & 7, bytes);
      case 'segment-reg':
        return file('seg', this.reg & 7, bytes);
      case 'segment-fixed':
        return file('seg', reg, bytes);
      case 'control-reg':
        return (CONTROL_REGISTERS >> this.reg) & 1 ? file('cr', this.reg, bytes) : undefined;
      case 'debug-reg':
        return this.reg < 8 ? file('dr', this.reg, bytes) : undefined;
      case 'st-fixed':
        return file('st', reg, bytes);
      case 'st-rm':
        return file('st', this.modrm & 7, bytes);
      case 'immediate': {
        const value = BigInt.asUintN(8 * bytes, this.signed(bytes));
        return { kind: 'imm', value, bytes: bytes as 1 | 2 | 4 | 8 };
      }
      case 'immediate-signed':
        return { kind: 'imm', value: BigInt.asUintN(8 * this.size, this.signed(bytes)), bytes: this.size };
      case 'one':
        return { kind: 'imm', value: 1n, bytes: 1 };
      case 'relative':
        return { kind: 'rel', disp: BigInt(bytes === 1 ? this.i8() : this.i32()) };
      case 'absolute': {
        const disp = this.has67 ? BigInt(this.i32() >>> 0) : this.signed(8);
        const segment = this.segment;
        return { kind: 'mem', base: NO_REGISTER, index: NO_REGISTER, scale: 1, disp, segment, bytes };
      }
      case 'string': {
        const segment = noSegment ? -1 : this.segment;
        return { kind: 'mem', base: reg, index: NO_REGISTER, scale: 1, disp: 0n, segment, bytes: memory[this.size]! };
      }
    }
  }
}

const file = (kind: FileOperand['kind'], reg: number, bytes: number): FileOperand => ({ kind, reg, bytes });

/**
 * Decodes the instruction whose bytes begin at `bytes[at]`; bytes from `limit` on are not there yet.
 * @returns the instruction; '(bad)' when executing it raises #UD, with `gp` when it is longer than 15 bytes and raises
 *   #GP; '(short)' when it goes on past `limit` and fewer than 15 bytes were there. Never throws.
 */
export function decode(bytes: Uint8Array, at: number, limit: number): Decoded {
  const r = new Reading(bytes, at, Math.min(limit, at + LENGTH_MAX));
  r.prefixes();
  const form = r.form();
  if (!form) return unfinished(r, at) ?? bad(r.pos - at);

  r.size = form.sizes[r.wide * 2 + (r.has66 ? 1 : 0)]!;
  const operands: Operand[] = [];
  let exists = true;
  for (const operandForm of form.operands) {
    const operand = r.operand(operandForm);
    if (operand) operands.push(operand);
    else exists = false;
  }
  const torn = unfinished(r, at);
  if (torn) return torn;
  const destination = operands[0];
  if (r.lock && !(form.lockable && destination?.kind === 'mem')) exists = false;
  if (!exists) return bad(r.pos - at);

  const insn: Insn = {
    op: form.op,
    length: r.pos - at,
    size: r.size,
    addressBytes: r.has67 ? 4 : 8,
    cc: form.conditional ? r.opcode & 15 : 0,
    lock: r.lock,
    rep: !form.repeatable || r.repeat === 0 ? '' : r.repeat === 0xf3 ? 'rep' : 'repne',
    operands,
  };
  return r.fop < 0 ? insn : { ...insn, fop: r.fop };
}

/** What to say when the instruction reached past the bytes there are: too few so far, or too many in any case. */
function unfinished({ pos, end }: Reading, at: number): BadInsn | ShortInsn | undefined {
  if (pos <= end) return undefined;
  return end - at < LENGTH_MAX ? SHORT : { op: '(bad)', length: LENGTH_MAX, gp: true };
}
