/** Small hypercalls about the vcpu: stack, segment bases, debug registers, FPU, assists (pv/misc-hypercalls.c). */
import { REG } from '../../../isa/x86_64.js';
import { isCanonical } from '../../../machine/x86/control.js';
import { loadSegment } from '../../../machine/x86/segments.js';
import { ERRNO } from '../names.js';
import { failed, type Handler } from './domain.js';
import { MSR, readDebugRegister, setDebugRegister, setTaskSwitched } from './registers.js';
import { ASSIST } from './vcpu.js';
import type { Xen } from './xen.js';

const u32 = (value: bigint): number => Number(value & 0xffff_ffffn);

/** do_stack_switch: where traps from user mode find the kernel's stack. */
export const stackSwitch: Handler<Xen> = ({ vcpu }, [ss, sp]) => {
  vcpu.kernelSs = (ss! & 0xffffn) | 3n; // fixup_guest_stack_selector
  vcpu.kernelSp = sp!;
  return 0n;
};

const SEGBASE = { fs: 0, gsUser: 1, gsKernel: 2, gsUserSelector: 3 } as const;
/** Which register, and which MSR people know it by. */
const BASES: Readonly<Record<number, readonly [register: number, msr: number]>> = {
  [SEGBASE.fs]: [REG.fs_base!, MSR.fsBase],
  [SEGBASE.gsUser]: [REG.kernel_gs_base!, MSR.shadowGsBase],
  [SEGBASE.gsKernel]: [REG.gs_base!, MSR.gsBase],
};
/** do_set_segment_base. The kernel runs, so the user's gs base is the one that is not loaded. */
export const setSegmentBase: Handler<Xen> = (xen, [which, value]) => {
  const { cpu } = xen;
  if (u32(which!) === SEGBASE.gsUserSelector) {
    userGs(xen, Number(value! & 0xffffn));
    return 0n;
  }
  const base = BASES[u32(which!)];
  if (!base || !isCanonical(value!)) return failed(ERRNO.EINVAL);
  const [register, msr] = base;
  const old = cpu.get(register);
  cpu.set(register, value!);
  if (old !== value) xen.tell({ kind: 'msr', register: msr, old, new: value! });
  return 0n;
};
/** Loads gs for the user; a selector that cannot be loaded becomes 0, and nobody is told. */
function userGs({ cpu }: Xen, selector: number): void {
  const kernel = cpu.get(REG.gs_base!);
  const load = (n: number): unknown => cpu.attempt(() => loadSegment(cpu, 5, n));
  if (load(selector > 3 ? selector | 3 : selector) !== undefined) load(0);
  cpu.set(REG.kernel_gs_base!, cpu.get(REG.gs_base!));
  cpu.set(REG.gs_base!, kernel);
}

export const fpuTaskswitch: Handler<Xen> = (xen, [set]) => {
  setTaskSwitched(xen, u32(set!) !== 0);
  return 0n;
};

export const setDebugreg: Handler<Xen> = (xen, [number, value]) => {
  const error = setDebugRegister(xen, u32(number!), value!);
  return error === 0 ? 0n : failed(error);
};
export const getDebugreg: Handler<Xen> = (xen, [number]) =>
  readDebugRegister(xen, u32(number!)) ?? failed(ERRNO.ENODEV);

const VM_ASSIST = { enable: 0, disable: 1 } as const;
/** Types a 64-bit PV guest may ask for (NATIVE_VM_ASSIST_VALID); 4.1 knows the first four. */
const VALID = {
  '4.1': [ASSIST.segments4gb, ASSIST.segments4gbNotify, ASSIST.writablePagetables, ASSIST.paeExtendedCr3],
  '4.17': [
    ASSIST.segments4gb,
    ASSIST.segments4gbNotify,
    ASSIST.writablePagetables,
    ASSIST.paeExtendedCr3,
    ASSIST.architecturalIopl,
    ASSIST.runstateUpdateFlag,
    ASSIST.m2pStrict,
  ],
} as const;
/** do_vm_assist. */
export const vmAssist: Handler<Xen> = ({ vcpu, generation }, [command, type]) => {
  const [what, n] = [u32(command!), u32(type!)];
  if (!(VALID[generation] as readonly number[]).includes(n)) return failed(ERRNO.EINVAL);
  if (what === VM_ASSIST.enable) vcpu.assists |= 1n << BigInt(n);
  else if (what === VM_ASSIST.disable) vcpu.assists &= ~(1n << BigInt(n));
  else return failed(ERRNO.ENOSYS);
  return 0n;
};
