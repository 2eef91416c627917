/**
 * Control and debug registers, flags that only the kernel may change, TLB invalidation, halt. SDM 3A, 2.5 (control
 * registers), 4.10.4.1 (what invalidates translations), 17.2 (debug registers).
 */
import { REG } from '../../isa/x86_64.js';
import type { Exit } from '../engine/exits.js';
import { CR0, CR4, EFER, ioplOf, isCanonical, RFLAGS } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import type { FileOperand, Insn } from './insn.js';
import { memoryAt, readOperand, writeOperand } from './operands.js';
import { PHYSICAL_ADDRESS_BITS } from './paging.js';
import { loadSegment } from './segments.js';
import { type Family, GuestExit, GuestFault } from './semantics.js';

export const invalid = (): GuestFault => new GuestFault(VECTOR.protection, 0);
export function privileged(cpu: Cpu): void {
  if (cpu.cpl !== 0) throw invalid();
}

const CR0_BITS = Object.values(CR0).reduce((all, bit) => all | bit, 0n);
const CR4_BITS = Object.values(CR4).reduce((all, bit) => all | bit, 0n);
/** A change of these forgets all translations, global ones too. */
const CR4_PAGING = CR4.PSE | CR4.PAE | CR4.PGE;
const LOW_32 = 0xffff_ffffn;

function flushAll(cpu: Cpu): void {
  cpu.memory.tlb.flush(false);
  cpu.onFlush('all', 0n);
}

function writeCr0(cpu: Cpu, written: bigint): void {
  const old = cpu.get(REG.cr0!);
  // Of the low half unknown bits are ignored, of the high half none may be set (SDM 2B, MOV to control registers).
  const value = (written & (CR0_BITS | ~LOW_32)) | CR0.ET;
  const has = (bit: bigint): boolean => (value & bit) !== 0n;
  if (value > LOW_32 || (has(CR0.PG) && !has(CR0.PE)) || (has(CR0.NW) && !has(CR0.CD))) throw invalid();
  const efer = cpu.get(REG.efer!);
  if (old & CR0.PG && !has(CR0.PG)) throw invalid(); // in 64-bit mode
  if (!has(CR0.PE)) throw new GuestExit({ kind: 'unimplemented', what: 'real mode (CR0.PE cleared)' });
  if (has(CR0.PG) && !(old & CR0.PG)) {
    if (!(efer & EFER.LME))
      throw new GuestExit({ kind: 'unimplemented', what: 'paging outside long mode (CR0.PG set without EFER.LME)' });
    if (!(cpu.get(REG.cr4!) & CR4.PAE)) throw invalid();
    cpu.set(REG.efer!, efer | EFER.LMA);
  }
  cpu.set(REG.cr0!, value);
  if ((old ^ value) & CR0.PG) flushAll(cpu);
}
function writeCr3(cpu: Cpu, value: bigint): void {
  if (value >> BigInt(PHYSICAL_ADDRESS_BITS)) throw invalid();
  const old = cpu.get(REG.cr3!);
  cpu.set(REG.cr3!, value);
  cpu.memory.tlb.flush(true);
  cpu.onRoot(old, value);
  cpu.onFlush('local', 0n);
}
function writeCr4(cpu: Cpu, value: bigint): void {
  if (value & ~CR4_BITS) throw invalid();
  if (cpu.get(REG.efer!) & EFER.LMA && !(value & CR4.PAE)) throw invalid();
  const old = cpu.get(REG.cr4!);
  cpu.set(REG.cr4!, value);
  if ((old ^ value) & CR4_PAGING) flushAll(cpu);
}
const CONTROL_WRITES: Readonly<Record<number, (cpu: Cpu, value: bigint) => void>> = {
  0: writeCr0,
  2: (cpu, value) => cpu.set(REG.cr2!, value),
  3: writeCr3,
  4: writeCr4,
  8: (cpu, value) => {
    if (value > 15n) throw invalid();
    cpu.set(REG.cr8!, value);
  },
};

/** BD: the debug registers were touched while DR7.GD protects them. */
const DR6_BD = 1n << 13n;
const DR6_FIXED = 0xffff_0ff0n;
const DR6_BITS = 0xe00fn;
const DR7_GD = 1n << 13n;
const DR7_FIXED = 1n << 10n;
const DR7_BITS = 0xffff_23ffn;

/** The register behind a debug register's number: 4 and 5 are 6 and 7 unless CR4.DE (SDM 3B, 17.2.2). */
function debugRegister(cpu: Cpu, number: number): number {
  privileged(cpu);
  const isAlias = number === 4 || number === 5;
  if (isAlias && cpu.get(REG.cr4!) & CR4.DE) throw new GuestFault(VECTOR.invalidOpcode);
  if (cpu.get(REG.dr7!) & DR7_GD) {
    cpu.set(REG.dr6!, cpu.get(REG.dr6!) | DR6_BD);
    throw new GuestFault(VECTOR.debug);
  }
  const real = isAlias ? number + 2 : number;
  return real < 4 ? REG.dr0! + real : real === 6 ? REG.dr6! : REG.dr7!;
}
function writeDebug(cpu: Cpu, number: number, value: bigint): void {
  const register = debugRegister(cpu, number);
  if (register < REG.dr6!) {
    cpu.set(register, value);
    return;
  }
  if (value > LOW_32) throw invalid();
  cpu.set(register, register === REG.dr6 ? (value & DR6_BITS) | DR6_FIXED : (value & DR7_BITS) | DR7_FIXED);
}

const fileOf = (insn: Insn, n: number): FileOperand | undefined => {
  const operand = insn.operands[n];
  return operand && (operand.kind === 'seg' || operand.kind === 'cr' || operand.kind === 'dr') ? operand : undefined;
};
/** mov where one side is a segment, control or debug register. All other moves are generated code. */
function mov(cpu: Cpu, insn: Insn): Exit | undefined {
  const [to, from] = [fileOf(insn, 0), fileOf(insn, 1)];
  if (to?.kind === 'seg') {
    loadSegment(cpu, to.reg, Number(readOperand(cpu, insn, 1) & 0xffffn));
    if (to.reg === 2) cpu.shadow(true);
  } else if (from?.kind === 'seg') writeOperand(cpu, insn, 0, readOperand(cpu, insn, 1));
  else if (to?.kind === 'cr') {
    privileged(cpu);
    CONTROL_WRITES[to.reg]!(cpu, readOperand(cpu, insn, 1));
  } else if (from?.kind === 'cr') {
    privileged(cpu);
    writeOperand(cpu, insn, 0, cpu.get(REG[`cr${from.reg}`]!));
  } else if (to?.kind === 'dr') writeDebug(cpu, to.reg, readOperand(cpu, insn, 1));
  else if (from?.kind === 'dr') writeOperand(cpu, insn, 0, cpu.get(debugRegister(cpu, from.reg)));
  else return { kind: 'unimplemented', what: `mov between ${insn.operands.map(o => o.kind).join(' and ')}` };
  return undefined;
}

function invlpg(cpu: Cpu, insn: Insn): undefined {
  privileged(cpu);
  const va = memoryAt(cpu, insn);
  if (!isCanonical(va)) return; // does nothing (SDM 2A, INVLPG)
  cpu.memory.tlb.flushPage(BigInt.asIntN(64, va));
  cpu.onFlush('page', va);
}
/** cli, sti: IOPL decides who may (SDM 2A, CLI). Behind sti one more instruction goes before any interrupt. */
function setInterruptFlag(cpu: Cpu, on: boolean): void {
  const rflags = cpu.get(REG.rflags!);
  if (cpu.cpl > ioplOf(rflags)) throw invalid();
  if (on && !(rflags & RFLAGS.IF)) cpu.shadow(false);
  cpu.set(REG.rflags!, on ? rflags | RFLAGS.IF : rflags & ~RFLAGS.IF);
}
function swapgs(cpu: Cpu): void {
  privileged(cpu);
  const gs = cpu.get(REG.gs_base!);
  cpu.set(REG.gs_base!, cpu.get(REG.kernel_gs_base!));
  cpu.set(REG.kernel_gs_base!, gs);
}
/** lmsw: the low four bits of cr0, but it cannot clear PE (SDM 2A, LMSW). */
function lmsw(cpu: Cpu, insn: Insn): void {
  privileged(cpu);
  const cr0 = cpu.get(REG.cr0!);
  const value = readOperand(cpu, insn, 0) & 0xfn;
  cpu.set(REG.cr0!, (cr0 & ~0xen) | value | (cr0 & CR0.PE));
}

const does = (op: string, what: (cpu: Cpu, insn: Insn) => void) => ({
  op,
  run: (cpu: Cpu, insn: Insn): undefined => {
    what(cpu, insn);
  },
});

export const CONTROL_FAMILY: Family = {
  system: [
    { op: 'mov', run: mov },
    { op: 'invlpg', run: invlpg },
    does('clts', cpu => {
      privileged(cpu);
      cpu.set(REG.cr0!, cpu.get(REG.cr0!) & ~CR0.TS);
    }),
    does('lmsw', lmsw),
    does('smsw', (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.cr0!))),
    // There are no caches to write back.
    does('wbinvd', privileged),
    does('invd', privileged),
    does('cli', cpu => setInterruptFlag(cpu, false)),
    does('sti', cpu => setInterruptFlag(cpu, true)),
    does('swapgs', swapgs),
    {
      op: 'hlt',
      run: cpu => {
        privileged(cpu);
        // The single-step trap behind it would end the halt at once.
        return cpu.isStepping ? undefined : { kind: 'halt' };
      },
    },
  ],
};
