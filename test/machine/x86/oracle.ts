/**
 * iced-x86 as a second opinion about instruction bytes: its answer and ours as one line of text each, in one form, so that
 * a comparison is a comparison of strings. Where they may differ stands in differences.ts, with the reason.
 */
import {
  Code,
  ConditionCode,
  type Decoder,
  EncodingKind,
  type Instruction,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
} from 'iced-x86';
import type { Decoded, Operand } from '../../../src/machine/x86/insn.js';

/** iced's mnemonic to our operation where lower case is not enough. Conditions and string instructions are in `opOf`. */
const RENAMED: Readonly<Record<string, string>> = {
  Cbw: 'cbw',
  Cwde: 'cbw',
  Cdqe: 'cbw',
  Cwd: 'cwd',
  Cdq: 'cwd',
  Cqo: 'cwd',
  Sal: 'shl',
  Xlatb: 'xlat',
  Jcxz: 'jrcxz',
  Jecxz: 'jrcxz',
  Pushfq: 'pushf',
  Popfq: 'popf',
  Iretd: 'iret',
  Iretq: 'iret',
  Sysretq: 'sysret',
  Sysexitq: 'sysexit',
  Fxsave64: 'fxsave',
  Fxrstor64: 'fxrstor',
  Xsave64: 'xsave',
  Xrstor64: 'xrstor',
  Xsaveopt64: 'xsaveopt',
  Xsavec64: 'xsavec',
  Xsaves64: 'xsaves',
  Xrstors64: 'xrstors',
  Wbnoinvd: 'wbinvd', // f3 0f 09 is wbinvd where wbnoinvd is missing (SDM 2C, WBNOINVD)
};
/** Hints and instructions that are a nop where their extension is missing; the nop space of SDM 2B, NOP. */
const NOPS =
  /^(Nop|Reservednop|Prefetch|Prefetchw|Prefetchwt1|Prefetchnta|Prefetcht[012]|Prefetchit[01]|Cldemote|Endbr64|Endbr32|Rdsspd|Rdsspq)$/;

/** Operand sizes that are in iced's mnemonic, and mnemonics whose size is in the name of iced's code. */
const SIZES: Readonly<Record<string, number>> = { Cbw: 2, Cwde: 4, Cdqe: 8, Cwd: 2, Cdq: 4, Cqo: 8 };
const STATE = /^(Fxsave|Fxrstor|Xsave|Xrstor|Xsaveopt|Xsavec|Xsaves|Xrstors)(64)?$/;
const STACK = /^(Push|Pop|Pushf|Popf|Enter|Leave|Ret|Retf|Iret|Sysret|Sysexit|Pushfq|Popfq)/;
const CONDITIONAL = /^(J|Set|Cmov)/;

function opOf(i: Instruction, mnemonic: string): string {
  if (NOPS.test(mnemonic)) return 'nop';
  if (i.isStringInstruction) return mnemonic.toLowerCase().replace(/[bwdq]$/, '');
  if (i.conditionCode !== ConditionCode.None && CONDITIONAL.test(mnemonic)) {
    const op = /^J/.test(mnemonic) ? 'jcc' : /^Set/.test(mnemonic) ? 'setcc' : 'cmovcc';
    return `${op}.${i.conditionCode - 1}`;
  }
  if (/^(Call|Jmp|Ret)$/.test(mnemonic) && (i.isCallFarIndirect || i.isJmpFarIndirect))
    return `${mnemonic.toLowerCase()}f`;
  if (mnemonic === 'Movq' && /^Movq_(rm64_(mm|xmm)|(mm|xmm)_rm64)$/.test(Code[i.code]!)) return 'movd'; // one op, two widths
  return RENAMED[mnemonic] ?? mnemonic.toLowerCase();
}

const signed = (n: bigint): string => BigInt.asIntN(64, n).toString();

/** One register of iced's numbering. */
function registerText(r: Register): string {
  if (r >= Register.AH && r <= Register.BH) return `reg1h:${r - Register.AH}`;
  if (r >= Register.AL && r <= Register.BL) return `reg1:${r - Register.AL}`;
  if (r >= Register.SPL && r <= Register.R15L) return `reg1:${r - Register.SPL + 4}`;
  if (r >= Register.AX && r <= Register.R15W) return `reg2:${r - Register.AX}`;
  if (r >= Register.EAX && r <= Register.R15D) return `reg4:${r - Register.EAX}`;
  if (r >= Register.RAX && r <= Register.R15) return `reg8:${r - Register.RAX}`;
  if (r >= Register.ES && r <= Register.GS) return `seg:${r - Register.ES}`;
  if (r >= Register.CR0 && r <= Register.CR15) return `cr:${r - Register.CR0}`;
  if (r >= Register.DR0 && r <= Register.DR15) return `dr:${r - Register.DR0}`;
  if (r >= Register.XMM0 && r <= Register.XMM15) return `xmm:${r - Register.XMM0}`;
  if (r >= Register.MM0 && r <= Register.MM7) return `mm:${r - Register.MM0}`;
  if (r >= Register.ST0 && r <= Register.ST7) return `st:${r - Register.ST0}`;
  return Register[r]!;
}
/** A register of an address: its number and the address size it implies. */
function baseOf(r: Register): [reg: number, bytes: 4 | 8 | 0] {
  if (r >= Register.EAX && r <= Register.R15D) return [r - Register.EAX, 4];
  if (r >= Register.RAX && r <= Register.R15) return [r - Register.RAX, 8];
  if (r === Register.EIP) return [16, 4];
  if (r === Register.RIP) return [16, 8];
  return [-1, 0];
}
const memoryText = (
  bytes: number,
  segment: number,
  base: number,
  index: number,
  scale: number,
  disp: bigint,
  address: number,
): string => `mem${bytes}@${address}[${segment}:${base}+${index}*${index < 0 ? 1 : scale}+${signed(disp)}]`;

/** Registers of which only 16 bits are read: iced writes r32m16, we say 2 bytes. */
const READS_16 = /^(Lldt|Ltr|Verr|Verw|Lmsw|Lar|Lsl)$/;

function operandText(i: Instruction, n: number, mnemonic: string, has67: boolean): string {
  const kind = i.opKind(n);
  const bytes = MemorySizeExt.size(i.memorySize);
  const fsOrGs = i.memorySegment === Register.FS ? 4 : i.memorySegment === Register.GS ? 5 : -1;
  const address = has67 ? 4 : 8;
  switch (kind) {
    case OpKind.Register: {
      const text = registerText(i.opRegister(n));
      const toSegment = mnemonic === 'Mov' && n === 1 && registerText(i.opRegister(0)).startsWith('seg');
      const narrow = toSegment || (READS_16.test(mnemonic) && n === i.opCount - 1);
      return narrow ? text.replace(/^reg[48]:/, 'reg2:') : text;
    }
    case OpKind.NearBranch16:
    case OpKind.NearBranch32:
    case OpKind.NearBranch64:
      return `rel:${signed(i.nearBranchTarget - i.nextIP)}`;
    case OpKind.Immediate8:
    case OpKind.Immediate8_2nd:
      return `imm1:${BigInt.asUintN(8, i.immediate(n))}`;
    case OpKind.Immediate16:
    case OpKind.Immediate8to16:
      return `imm2:${BigInt.asUintN(16, i.immediate(n))}`;
    case OpKind.Immediate32:
    case OpKind.Immediate8to32:
      return `imm4:${BigInt.asUintN(32, i.immediate(n))}`;
    case OpKind.Immediate64:
    case OpKind.Immediate8to64:
    case OpKind.Immediate32to64:
      return `imm8:${BigInt.asUintN(64, i.immediate(n))}`;
    case OpKind.MemorySegRSI:
    case OpKind.MemorySegESI:
      return memoryText(bytes, fsOrGs, 6, -1, 1, 0n, kind === OpKind.MemorySegESI ? 4 : 8);
    case OpKind.MemorySegRDI:
    case OpKind.MemorySegEDI:
      return memoryText(bytes, fsOrGs, 7, -1, 1, 0n, kind === OpKind.MemorySegEDI ? 4 : 8);
    case OpKind.MemoryESRDI:
    case OpKind.MemoryESEDI:
      return memoryText(bytes, -1, 7, -1, 1, 0n, kind === OpKind.MemoryESEDI ? 4 : 8);
    case OpKind.Memory: {
      const [base, baseBytes] = baseOf(i.memoryBase);
      const [index, indexBytes] = baseOf(i.memoryIndex);
      const isXlat = mnemonic === 'Xlatb';
      const raw = i.memoryDisplacement;
      const disp = base === 16 ? i.ipRelMemoryAddress - i.nextIP : raw;
      const wrap = base === 16 && baseBytes === 4 ? BigInt.asIntN(32, disp) : disp;
      const cut = (baseBytes || indexBytes || address) === 4 ? BigInt.asIntN(32, wrap) : wrap;
      return memoryText(
        bytes,
        fsOrGs,
        base,
        isXlat ? -1 : index,
        i.memoryIndexScale,
        cut,
        baseBytes || indexBytes || address,
      );
    }
    default:
      return OpKind[kind]!;
  }
}

/** The operand size where no operand shows it, or 0. */
function sizeOf(i: Instruction, mnemonic: string): number {
  if (STATE.test(mnemonic)) return mnemonic.endsWith('64') ? 8 : 4;
  if (!STACK.test(mnemonic)) return SIZES[mnemonic] ?? 0;
  const suffix = /^[A-Z][a-z]*?(w|d|q)?(_|$)/.exec(Code[i.code]!)?.[1];
  return { w: 2, d: 4, q: 8 }[suffix ?? ''] ?? 0;
}

export interface Opinion {
  readonly text: string;
  readonly length: number;
  /** The text tells the operand size. */
  readonly sized: boolean;
}

/**
 * What iced says about the bytes at the decoder's position. VEX, EVEX, XOP and 3DNow! are as bad to it as they are to us.
 * `has67` because iced does not tell the address size of moffs. The instruction stays in `scratch`.
 */
export function icedOpinion(decoder: Decoder, at: number, scratch: Instruction, has67: boolean): Opinion {
  decoder.position = at;
  decoder.ip = 0n;
  decoder.decodeOut(scratch);
  const i = scratch;
  if (i.isInvalid || i.encoding !== EncodingKind.Legacy) return { text: '(bad)', length: i.length, sized: false };
  const mnemonic = Mnemonic[i.mnemonic]!;
  const op = opOf(i, mnemonic);
  const operands: string[] = [];
  if (op !== 'nop') for (let n = 0; n < i.opCount; n++) operands.push(operandText(i, n, mnemonic, has67));
  // iced lists the implicit memory of maskmov first, we last.
  if (op.startsWith('maskmov')) operands.push(operands.shift()!);
  const lock = i.hasLockPrefix ? ' lock' : '';
  const rep = !i.isStringInstruction ? '' : i.hasRepnePrefix ? ' repne' : i.hasRepPrefix ? ' rep' : '';
  const bytes = sizeOf(i, mnemonic);
  const size = bytes ? ` size${bytes}` : '';
  return { text: `${i.length}${lock}${rep} ${op}${size} ${operands.join(' ')}`, length: i.length, sized: bytes > 0 };
}

function ourOperand(o: Operand, addressBytes: number): string {
  switch (o.kind) {
    case 'reg':
      return `reg${o.bytes}${o.high ? 'h' : ''}:${o.reg}`;
    case 'mem':
      return memoryText(
        o.bytes,
        o.segment,
        o.base,
        o.index,
        o.scale,
        addressBytes === 4 ? BigInt.asIntN(32, o.disp) : o.disp,
        addressBytes,
      );
    case 'imm':
      return `imm${o.bytes}:${o.value}`;
    case 'rel':
      return `rel:${o.disp}`;
    default:
      return `${o.kind}:${o.reg}`;
  }
}

/** Our decoder's answer in the same form. `withSize` as iced showed it. */
export function ourText(d: Decoded, withSize: boolean): string {
  if (!('operands' in d)) return d.op;
  const cc = d.op.endsWith('cc') ? `.${d.cc}` : '';
  const operands = d.op === 'nop' ? [] : d.operands.map(o => ourOperand(o, d.addressBytes));
  const size = withSize ? ` size${d.size}` : '';
  return `${d.length}${d.lock ? ' lock' : ''}${d.rep ? ` ${d.rep}` : ''} ${d.op}${cc}${size} ${operands.join(' ')}`;
}
