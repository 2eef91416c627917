/**
 * Hypercalls: which there are, how many arguments each has, and what happens around all of them (pv/hypercall.c). A call
 * is an event, what it does happens inside it, and so does its result; multicall (multicall.ts) carries out entries by the
 * same table.
 */
import { REG } from '../../../isa/x86_64.js';
import { CLASS, ERRNO, HYPERCALL } from '../names.js';
import { iret } from './bounce.js';
import { callbackOp, nmiOp, setCallbacks, setTrapTable } from './callbacks.js';
import { type Answer, failed, type Handler } from './domain.js';
import { eventChannelOp } from './io/evtchn.js';
import { grantTableOp } from './io/grants.js';
import { hvmOp, physdevOp, platformOp, XENPMU_OP, xenpmuOp } from './io/refused.js';
import { setTimerOp, vcpuOp } from './io/vcpu-op.js';
import { fpuTaskswitch, getDebugreg, setDebugreg, setSegmentBase, stackSwitch, vmAssist } from './misc.js';
import { multicall } from './multicall.js';
import { consoleIo, schedOp, schedOpCompat } from './sched.js';
import { xenVersion } from './version.js';
import type { Xen } from './xen.js';

const HANDLERS: Readonly<Record<number, Handler<Xen>>> = {
  [HYPERCALL.set_trap_table]: setTrapTable,
  [HYPERCALL.stack_switch]: stackSwitch,
  [HYPERCALL.set_callbacks]: setCallbacks,
  [HYPERCALL.fpu_taskswitch]: fpuTaskswitch,
  [HYPERCALL.sched_op_compat]: schedOpCompat,
  [HYPERCALL.set_debugreg]: setDebugreg,
  [HYPERCALL.get_debugreg]: getDebugreg,
  [HYPERCALL.multicall]: multicall,
  [HYPERCALL.xen_version]: xenVersion,
  [HYPERCALL.console_io]: consoleIo,
  [HYPERCALL.vm_assist]: vmAssist,
  [HYPERCALL.set_segment_base]: setSegmentBase,
  [HYPERCALL.nmi_op]: nmiOp,
  [HYPERCALL.sched_op]: schedOp,
  [HYPERCALL.callback_op]: callbackOp,
  [HYPERCALL.set_timer_op]: setTimerOp,
  [HYPERCALL.vcpu_op]: vcpuOp,
  [HYPERCALL.event_channel_op]: eventChannelOp,
  [HYPERCALL.physdev_op]: physdevOp,
  [HYPERCALL.grant_table_op]: grantTableOp,
  [HYPERCALL.platform_op]: platformOp,
  [HYPERCALL.hvm_op]: hvmOp,
  [XENPMU_OP]: xenpmuOp,
};

/** Arguments of each call (hypercall_args_table); all five where it is none we know. */
const ARGUMENTS: Readonly<Record<number, number>> = {
  [HYPERCALL.set_trap_table]: 1,
  [HYPERCALL.mmu_update]: 4,
  [HYPERCALL.set_gdt]: 2,
  [HYPERCALL.stack_switch]: 2,
  [HYPERCALL.set_callbacks]: 3,
  [HYPERCALL.fpu_taskswitch]: 1,
  [HYPERCALL.sched_op_compat]: 2,
  [HYPERCALL.platform_op]: 1,
  [HYPERCALL.set_debugreg]: 2,
  [HYPERCALL.get_debugreg]: 1,
  [HYPERCALL.update_descriptor]: 2,
  [HYPERCALL.memory_op]: 2,
  [HYPERCALL.multicall]: 2,
  [HYPERCALL.update_va_mapping]: 3,
  [HYPERCALL.set_timer_op]: 1,
  [HYPERCALL.event_channel_op_compat]: 1,
  [HYPERCALL.xen_version]: 2,
  [HYPERCALL.console_io]: 3,
  [HYPERCALL.physdev_op_compat]: 1,
  [HYPERCALL.grant_table_op]: 3,
  [HYPERCALL.vm_assist]: 2,
  [HYPERCALL.update_va_mapping_otherdomain]: 4,
  [HYPERCALL.iret]: 0,
  [HYPERCALL.vcpu_op]: 3,
  [HYPERCALL.set_segment_base]: 2,
  [HYPERCALL.mmuext_op]: 4,
  [HYPERCALL.xsm_op]: 1,
  [HYPERCALL.nmi_op]: 2,
  [HYPERCALL.sched_op]: 2,
  [HYPERCALL.callback_op]: 2,
  [HYPERCALL.xenoprof_op]: 2,
  [HYPERCALL.event_channel_op]: 2,
  [HYPERCALL.physdev_op]: 2,
  [HYPERCALL.hvm_op]: 2,
  [HYPERCALL.sysctl]: 1,
  [HYPERCALL.domctl]: 1,
  [HYPERCALL.kexec_op]: 2,
  [HYPERCALL.tmem_op]: 1,
  [XENPMU_OP]: 2,
};
const ARGUMENTS_MAX = 5;
/** In the order of the interface; rax has the number, and the result. */
export const ARGUMENT_REGISTERS = [REG.rdi!, REG.rsi!, REG.rdx!, REG.r10!, REG.r8!] as const;
const SYSCALL_BYTES = 2;

/** The number as events have it: 32 bits. No call has a larger one, and one cut short must not look like a call. */
export const shownNumber = (number: bigint): number => Number(number > 0xffff_ffffn ? 0xffff_ffffn : number);
export const argumentsOf = (number: bigint, all: readonly bigint[]): readonly bigint[] =>
  all.slice(0, ARGUMENTS[shownNumber(number)] ?? ARGUMENTS_MAX);
/** Carries out a call, or the entry of a multicall. */
export function carryOut(xen: Xen, number: bigint, args: readonly bigint[]): Answer {
  const n = shownNumber(number);
  const handler = HANDLERS[n] ?? xen.mm.handlers[n];
  return handler ? handler(xen, args) : failed(ERRNO.ENOSYS);
}

/** A syscall in kernel mode. */
export function hypercall(xen: Xen): void {
  const { cpu } = xen;
  const number = cpu.get(REG.rax!);
  const args = argumentsOf(
    number,
    ARGUMENT_REGISTERS.map(register => cpu.get(register)),
  );
  const seq = xen.tell({ kind: 'call', class: CLASS.hypercall, number: shownNumber(number), args, stack: xen.stack() });
  xen.within(seq, () => {
    if (number === BigInt(HYPERCALL.iret)) {
      if (cpu.retire(SYSCALL_BYTES)) xen.afterwards = undefined; // flags come from the frame
      iret(xen);
      return;
    }
    const answer = carryOut(xen, number, args);
    if (typeof answer !== 'bigint') {
      // hypercall_create_continuation: the guest comes to the same instruction again, with these.
      answer.again.forEach((value, n) => cpu.set(ARGUMENT_REGISTERS[n]!, value));
      return;
    }
    const value = BigInt.asUintN(64, answer);
    xen.tell({ kind: 'result', value });
    if (xen.over) return;
    const behind = cpu.retire(SYSCALL_BYTES);
    cpu.set(REG.rax!, value);
    // What syscall and sysret leave there.
    cpu.set(REG.rcx!, cpu.machine.pc);
    cpu.set(REG.r11!, cpu.get(REG.rflags!));
    if (behind?.kind === 'trap') xen.afterwards = behind.trap;
  });
}
