/** Registers of the processor that the guest changes through Xen, by a hypercall or by an instruction Xen does for it. */
import { REG } from '../../../isa/x86_64.js';
import { CR0, CR4 } from '../../../machine/x86/control.js';
import { ERRNO } from '../names.js';
import { isGuestAddress } from './guest-memory.js';
import type { Xen } from './xen.js';

export const MSR = { fsBase: 0xc000_0100, gsBase: 0xc000_0101, shadowGsBase: 0xc000_0102 } as const;
const LOW_32 = 0xffff_ffffn;

/** do_fpu_taskswitch: the one bit of CR0 that is the guest's. */
export function setTaskSwitched({ cpu }: Xen, on: boolean): void {
  const cr0 = cpu.get(REG.cr0!);
  cpu.set(REG.cr0!, on ? cr0 | CR0.TS : cr0 & ~CR0.TS);
}

const DR6 = { zero: 0x1000n, one: 0xffff_0ff0n } as const;
const DR7 = { zero: 0xd800n, one: 0x400n, generalDetect: 0x2000n, active: 0xffn } as const;
/**
 * set_debugreg, for the hypercall and for mov: 0, or an error number. Breakpoints on ports are refused outright: nothing is
 * behind any port.
 */
export function setDebugRegister({ cpu, vcpu }: Xen, number: number, value: bigint): number {
  if (number < 4) {
    if (!isGuestAddress(value)) return ERRNO.EPERM;
    cpu.set(REG.dr0! + number, value);
    return 0;
  }
  if (number > 7 || (number < 6 && vcpu.cr4 & CR4.DE)) return ERRNO.ENODEV;
  if (value > LOW_32) return ERRNO.EINVAL;
  if (number % 2 === 0) {
    cpu.set(REG.dr6!, (value & ~DR6.zero) | DR6.one);
    return 0;
  }
  const set = (value & ~DR7.zero) | DR7.one;
  if (set & DR7.generalDetect) return ERRNO.EPERM;
  const onPort = [16n, 20n, 24n, 28n].some(shift => ((set >> shift) & 3n) === 2n);
  if (set & DR7.active && onPort) return ERRNO.EPERM;
  cpu.set(REG.dr7!, set);
  return 0;
}
/** x86emul_read_dr: 4 and 5 are 6 and 7 unless CR4.DE. */
export function readDebugRegister({ cpu, vcpu }: Xen, number: number): bigint | undefined {
  if (number < 4) return cpu.get(REG.dr0! + number);
  if (number > 7 || (number < 6 && vcpu.cr4 & CR4.DE)) return undefined;
  return cpu.get(number % 2 === 0 ? REG.dr6! : REG.dr7!);
}
