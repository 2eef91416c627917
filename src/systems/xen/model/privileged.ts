/**
 * Instructions of a kernel that ring 3 may not do: they fault with #GP(0), and Xen does those it allows in its own way
 * (pv/emul-priv-op.c). What it does not know stays a #GP for the guest: hlt, invlpg, lgdt, swapgs, cli and sti without
 * IOPL, port access without IOPL.
 */
import { REG } from '../../../isa/x86_64.js';
import { CR0, CR4, isCanonical, RFLAGS } from '../../../machine/x86/control.js';
import { VECTOR } from '../../../machine/x86/fault.js';
import type { Insn } from '../../../machine/x86/insn.js';
import { MSRS, timeStamp } from '../../../machine/x86/msr.js';
import { readOperand, writeRegister } from '../../../machine/x86/operands.js';
import { cpuidOf } from './cpuid.js';
import { prefix } from './crash.js';
import { MSR, readDebugRegister, setDebugRegister, setTaskSwitched } from './registers.js';
import { assists } from './vcpu.js';
import type { Xen } from './xen.js';

/** Does the instruction, or says that it is not allowed. Nothing has changed then. */
type Emulate = (xen: Xen, insn: Insn) => boolean;
const LOW_32 = 0xffff_ffffn;

/** The instruction at pc raised #GP(0). True when it is done instead. */
export function privilegedInstruction(xen: Xen): boolean {
  const insn = xen.cpu.instruction();
  if (!insn || !EMULATED[insn.op]?.(xen, insn)) return false;
  done(xen, insn.length);
  return true;
}
/** ud2; .ascii "xen"; cpuid: so a kernel asks Xen what the processor can do (emulate_forced_invalid_op). */
export function forcedInstruction(xen: Xen): boolean {
  const FORCED = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2];
  const { cpu } = xen;
  const bytes = xen.copyFrom(cpu.machine.pc, FORCED.length);
  if (!bytes || !FORCED.every((byte, n) => bytes[n] === byte)) return false;
  const low = (name: string): number => Number(cpu.get(REG[name]!) & LOW_32);
  const answer = cpuidOf(xen, low('rax'), low('rcx'));
  ['rax', 'rbx', 'rcx', 'rdx'].forEach((name, n) => cpu.set(REG[name]!, BigInt(answer[n]! >>> 0)));
  done(xen, FORCED.length);
  return true;
}
/** It counts as one instruction; a single step shows behind it. */
function done(xen: Xen, length: number): void {
  const behind = xen.cpu.retire(length);
  if (behind?.kind === 'trap') xen.afterwards = behind.trap;
}

/** iopl_ok: a kernel's privilege is 1, or 0 where it asked for the architectural meaning; a user's is 3. */
function ioplAllows(xen: Xen): boolean {
  const cpl = xen.kernelMode ? (assists(xen.vcpu, 'architecturalIopl') ? 0n : 1n) : 3n;
  return cpl << 12n <= (xen.vcpu.iopl & RFLAGS.IOPL);
}

/** Only a kernel: x86_emulate's mode_ring0. */
const kernelOnly =
  (emulate: Emulate): Emulate =>
  (xen, insn) =>
    xen.kernelMode && emulate(xen, insn);
const EMULATED: Readonly<Record<string, Emulate>> = {
  mov: kernelOnly(moveSpecial),
  clts: kernelOnly(xen => {
    setTaskSwitched(xen, false);
    return true;
  }),
  wbinvd: kernelOnly(() => true),
  rdmsr: kernelOnly(readMsr),
  wrmsr: kernelOnly(writeMsr),
  rdtsc: kernelOnly(xen => {
    answer(xen, timeStamp(xen.cpu));
    return true;
  }),
  // Xen answers them, and does nothing: the upcall mask is the guest's own to write.
  cli: ioplAllows,
  sti: ioplAllows,
  in: (xen, insn) => {
    const bytes = insn.size as 1 | 2 | 4;
    // No device is behind any port.
    if (ioplAllows(xen)) writeRegister(xen.cpu, REG.rax!, bytes, (1n << BigInt(8 * bytes)) - 1n);
    return ioplAllows(xen);
  },
  out: ioplAllows,
};
function answer(xen: Xen, value: bigint): void {
  xen.cpu.set(REG.rax!, value & LOW_32);
  xen.cpu.set(REG.rdx!, value >> 32n);
}

/** mov to and from control and debug registers. */
function moveSpecial(xen: Xen, insn: Insn): boolean {
  const { cpu } = xen;
  const [to, from] = insn.operands;
  if (to?.kind === 'cr') return writeControl(xen, to.reg, readOperand(cpu, insn, 1));
  if (to?.kind === 'dr') return setDebugRegister(xen, to.reg, readOperand(cpu, insn, 1)) === 0;
  if (to?.kind !== 'reg' || !from) return false;
  if (from.kind !== 'cr' && from.kind !== 'dr') return false;
  const value = from.kind === 'cr' ? readControl(xen, from.reg) : readDebugRegister(xen, from.reg);
  if (value === undefined) return false;
  writeRegister(cpu, to.reg, 8, value);
  return true;
}
function readControl(xen: Xen, number: number): bigint | undefined {
  const { cpu } = xen;
  switch (number) {
    case 0:
      return cpu.get(REG.cr0!);
    case 2:
      return cpu.get(REG.cr2!);
    case 3:
      return BigInt(xen.kernelRoot) << 12n;
    case 4:
      return xen.vcpu.cr4;
  }
  return undefined;
}
/** What of CR4 a PV guest may choose (pv_fixup_guest_cr4). */
const GUEST_CR4 = CR4.TSD | CR4.DE;
function writeControl(xen: Xen, number: number, value: bigint): boolean {
  const { cpu, vcpu } = xen;
  switch (number) {
    case 0:
      if ((value ^ cpu.get(REG.cr0!)) & ~CR0.TS) {
        xen.print(`${prefix(xen, 'traps.c:2304')}Attempt to change unmodifiable CR0 flags`);
        return false;
      }
      setTaskSwitched(xen, (value & CR0.TS) !== 0n);
      return true;
    case 2:
      cpu.set(REG.cr2!, value);
      return true;
    case 3:
      return xen.mm.newBaseptr(value >> 12n);
    case 4:
      vcpu.cr4 = (vcpu.cr4 & ~GUEST_CR4) | (value & GUEST_CR4);
      cpu.set(REG.cr4!, (cpu.get(REG.cr4!) & ~GUEST_CR4) | (value & GUEST_CR4));
      return true;
  }
  return false;
}
/** Registers that Xen shows a guest in its own way (read_msr, write_msr); write undefined: as it is, or #GP. */
interface GuestMsr {
  read(xen: Xen): bigint;
  /** False: #GP. */
  write?(xen: Xen, value: bigint): boolean;
}
const base = (name: string): GuestMsr => ({
  read: xen => xen.cpu.get(REG[name]!),
  write: (xen, value) => {
    if (!isCanonical(value)) return false;
    xen.cpu.set(REG[name]!, value);
    return true;
  },
});
const fixed = (value: bigint): GuestMsr => ({ read: () => value, write: (_, written) => written === value });
const GUEST_MSRS: ReadonlyMap<number, GuestMsr> = new Map<number, GuestMsr>([
  [MSR.fsBase, base('fs_base')],
  [MSR.gsBase, base('gs_base')],
  [MSR.shadowGsBase, base('kernel_gs_base')],
  // Linux writes EFER back as it is.
  [0xc000_0080, { read: xen => xen.cpu.get(REG.efer!), write: (xen, v) => v === xen.cpu.get(REG.efer!) }],
  [0x10, { read: xen => timeStamp(xen.cpu) }],
  [0x1b, { read: () => 0xfee0_0900n }], // the APIC is on, this is the boot processor
  [0x277, { read: () => 0x0005_0100_0704_06n }], // XEN_MSR_PAT
  [0x1a0, fixed(0x1800n)], // no branch trace store, no precise sampling
  [0x345, { read: () => 0n }],
]);
const msrNumber = (xen: Xen): number => Number(xen.cpu.get(REG.rcx!) & LOW_32);

function readMsr(xen: Xen): boolean {
  const number = msrNumber(xen);
  const msr = GUEST_MSRS.get(number);
  if (msr) answer(xen, msr.read(xen));
  else if (MSRS.has(number) && !xen.vcpu.traps.has(VECTOR.protection)) {
    xen.print(`d${xen.id}v0 faking RDMSR 0x${number.toString(16).padStart(8, '0')}`);
    answer(xen, 0n);
  } else {
    xen.print(`${prefix(xen, 'traps.c:2595')}RDMSR 0x${number.toString(16).padStart(8, '0')} unimplemented`);
    return false;
  }
  return true;
}
function writeMsr(xen: Xen): boolean {
  const { cpu } = xen;
  const number = msrNumber(xen);
  const msr = GUEST_MSRS.get(number);
  const value = ((cpu.get(REG.rdx!) & LOW_32) << 32n) | (cpu.get(REG.rax!) & LOW_32);
  if (!msr?.write) {
    const shown = `0x${number.toString(16).padStart(8, '0')} val 0x${value.toString(16).padStart(16, '0')}`;
    xen.print(`${prefix(xen, 'traps.c:2499')}WRMSR ${shown} unimplemented`);
    return false;
  }
  const old = msr.read(xen);
  if (!msr.write(xen, value)) return false;
  if (old !== value) xen.tell({ kind: 'msr', register: number, old, new: value });
  return true;
}
