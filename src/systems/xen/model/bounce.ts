/**
 * Into the guest's kernel and back. The processor's own gates lead to Xen; Xen then builds by hand what the processor would
 * have left on a kernel's stack, and a little more (create_bounce_frame, x86_64/entry.S). From low addresses to high:
 *
 *   rsp ->  rcx | r11 | [error code] | rip | cs, saved mask << 32 | rflags | rsp | ss         ss's slot ends at 16 n
 *
 * From user mode it goes on the stack the kernel named (stack_switch), else below the current one. The bits of the frame
 * that are not the processor's: RPL of cs cleared says "from kernel mode"; IF in rflags is the upcall mask, inverted; rcx
 * and r11 are saved because sysret, which Xen returns with, uses them.
 *
 * Back it goes with the iret hypercall (pv/iret.c, do_iret), whose frame the kernel pushes:
 *
 *   rsp ->  rax | r11 | rcx | flags | rip | cs | rflags | rsp | ss                (cs & 3) == 3: to user mode
 */
import { asVaddr } from '../../../base/brand.js';
import { REG } from '../../../isa/x86_64.js';
import type { Trap } from '../../../machine/engine/exits.js';
import { isCanonical, RFLAGS } from '../../../machine/x86/control.js';
import { VECTOR } from '../../../machine/x86/fault.js';
import { checkStackSegment, descriptorOf, markAccessed, refuseCompatibility } from '../../../machine/x86/segments.js';
import { GuestFault } from '../../../machine/x86/semantics.js';
import { CLASS } from '../names.js';
import { domainCrashSync, prefix, showPageWalk } from './crash.js';
import { FLAT_CS, FLAT_SS } from './descriptors.js';
import { injectFault } from './faults.js';
import { XEN_FROM, XEN_TO } from './layout.js';
import { assists } from './vcpu.js';
import type { Xen } from './xen.js';

/** DF: all that the virtual SYSCALL_MASK clears. */
const DF = 1n << 10n;
const SYSCALL_BYTES = 2;
const VGCF_IN_SYSCALL = 1n << 8n;

/** Where the guest's kernel goes on: an address (0: nowhere), and whether upcalls are masked there. */
export interface Target {
  readonly address: bigint;
  readonly masks: boolean;
}
export interface BounceOptions {
  /** The error code, of exceptions that have one. */
  readonly code?: number | undefined;
  /** Flags as they are pushed, where those are not the current ones. */
  readonly rflags?: bigint;
  /** What it is about, should the domain die of it. */
  readonly what?: string;
}

/** Lets the guest's kernel go on at `target` with a frame on its stack. Crashes the domain where that cannot be. */
export function bounce(xen: Xen, target: Target, { code, rflags, what = 'an upcall' }: BounceOptions = {}): void {
  const { cpu, vcpu } = xen;
  const get = (name: string): bigint => cpu.get(REG[name]!);
  const flags = rflags ?? get('rflags');
  let [sp, cs] = [get('rsp'), get('cs')];
  if (xen.kernelMode) cs &= ~3n;
  else {
    toggleMode(xen);
    sp = vcpu.kernelSp;
  }
  sp &= ~15n;
  if (sp > XEN_FROM && sp < XEN_TO + 64n) {
    domainCrashSync(xen, 'create_bounce_frame_bad_sp', `the stack for ${what} is in Xen’s part of the address space`);
    return;
  }
  const wasMasked = xen.upcallMask;
  let pushed = flags & ~(RFLAGS.IF | RFLAGS.IOPL);
  if (!wasMasked) pushed |= RFLAGS.IF;
  if (assists(vcpu, 'architecturalIopl')) pushed |= vcpu.iopl;
  const csWord = (BigInt(xen.cpu.memory.guest[xen.io.vcpuInfoAt + 1]!) << 32n) | cs;
  // From the high end down, as the stores are.
  const frame = [get('ss'), get('rsp'), pushed, csWord, get('rip')];
  if (code !== undefined) frame.push(BigInt(code));
  frame.push(get('r11'), get('rcx'));
  let at = sp;
  for (const value of frame) {
    at = BigInt.asUintN(64, at - 8n);
    if (!xen.guest.putWord(at, value)) {
      if (xen.generation === '4.17') showPageWalk(xen, at);
      domainCrashSync(xen, 'create_bounce_frame', `the stack for ${what} cannot be written`);
      return;
    }
  }
  if (target.masks) xen.upcallMask = true;
  const now = (flags | RFLAGS.IF) & ~(RFLAGS.AC | RFLAGS.VM | RFLAGS.RF | RFLAGS.NT | RFLAGS.TF | RFLAGS.IOPL);
  cpu.set(REG.rflags!, now);
  cpu.set(REG.ss!, FLAT_SS);
  cpu.set(REG.cs!, FLAT_CS);
  cpu.set(REG.rsp!, at);
  if (target.address === 0n) {
    domainCrashSync(xen, 'create_bounce_frame_bad_bounce_ip', `no handler for ${what}`);
    return;
  }
  goTo(xen, target.address);
}
/** Returns with sysret, which leaves where it went, and the flags, in rcx and r11. */
function goTo(xen: Xen, at: bigint): void {
  const { cpu } = xen;
  cpu.machine.pc = at;
  cpu.set(REG.rcx!, at);
  cpu.set(REG.r11!, cpu.get(REG.rflags!));
}

/** Between the guest's kernel and its user code (toggle_guest_mode): the base of gs, and the tables. */
export function toggleMode(xen: Xen): void {
  const { cpu } = xen;
  const gs = cpu.get(REG.gs_base!);
  cpu.set(REG.gs_base!, cpu.get(REG.kernel_gs_base!));
  cpu.set(REG.kernel_gs_base!, gs);
  xen.kernelMode = !xen.kernelMode;
  xen.writeBase(true);
}

/** A syscall of user code (switch_to_kernel): the guest's own business, by the callback it registered. */
export function systemCall(xen: Xen): void {
  const { cpu, vcpu } = xen;
  if (vcpu.syscall.address === 0n) {
    injectFault(xen, { vector: VECTOR.invalidOpcode, code: undefined, address: undefined, kind: 'fault' });
    return;
  }
  const get = (name: string): bigint => cpu.get(REG[name]!);
  const seq = xen.tell({
    kind: 'call',
    class: CLASS.syscall,
    number: Number(get('rax') & 0xffff_ffffn),
    args: ['rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'].map(get),
    stack: xen.stack(),
  });
  xen.within(seq, () => {
    const behind = cpu.retire(SYSCALL_BYTES);
    // What syscall itself does, and the selectors that Xen's entry assumes (lstar_enter).
    cpu.set(REG.rcx!, cpu.machine.pc);
    cpu.set(REG.r11!, get('rflags') & ~RFLAGS.RF);
    cpu.set(REG.cs!, FLAT_CS);
    cpu.set(REG.ss!, FLAT_SS);
    bounce(xen, vcpu.syscall, { what: 'a system call' });
    cpu.set(REG.rflags!, get('rflags') & ~DF);
    if (!xen.over) cpu.set(REG.r11!, get('rflags'));
    if (behind?.kind === 'trap') xen.afterwards = behind.trap;
  });
  xen.handlerEntered(seq);
}

/** An upcall is due (test_guest_events). */
export function upcall(xen: Xen): void {
  const seq = xen.tell({ kind: 'interrupt', vector: 0, pc: asVaddr(xen.cpu.machine.pc), user: !xen.kernelMode });
  xen.within(seq, () => bounce(xen, { address: xen.vcpu.event.address, masks: true }));
  xen.handlerEntered(seq);
}

/** The iret hypercall: goes on where the frame on the stack says. The result for rax is in the frame, too. */
export function iret(xen: Xen): void {
  const { cpu, vcpu } = xen;
  const frame = xen.guest.words(cpu.get(REG.rsp!), 9);
  if (!frame) {
    fatal(xen, 'traps.c:277', 'Fault while reading IRET context from guest stack');
    return;
  }
  const [rax, r11, rcx, flags, rip, cs, rflags, rsp, ss] = frame as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const toUser = (cs & 3n) === 3n;
  if (toUser) {
    if (xen.userRoot === 0) {
      fatal(xen, 'traps.c:287', 'Guest switching to user mode with no user page tables');
      return;
    }
    toggleMode(xen);
  }
  if (assists(vcpu, 'architecturalIopl')) vcpu.iopl = rflags & RFLAGS.IOPL;
  const bySysret = (flags & VGCF_IN_SYSCALL) !== 0n && isCanonical(rip);
  const [codeSegment, stackSegment] = [(cs & 0xffffn) | 3n, (ss & 0xffffn) | 3n];
  const loaded = (rflags & ~(RFLAGS.IOPL | RFLAGS.VM)) | RFLAGS.IF;
  const KEPT = 0x3f_7fd7n; // bits that flags have
  xen.upcallMask = (rflags & RFLAGS.IF) === 0n;
  cpu.set(REG.rax!, rax);
  cpu.set(REG.rflags!, loaded & KEPT);
  cpu.set(REG.rsp!, rsp);
  cpu.set(REG.cs!, bySysret ? FLAT_CS : codeSegment);
  cpu.set(REG.ss!, bySysret ? FLAT_SS : stackSegment);
  if (bySysret) goTo(xen, rip);
  else {
    cpu.machine.pc = rip;
    cpu.set(REG.rcx!, rcx);
    cpu.set(REG.r11!, r11);
  }
  xen.handlerLeft(toUser);
  xen.tell({ kind: 'trapret', pc: asVaddr(rip), user: toUser });
  if (!bySysret) checkReturn(xen, rip, codeSegment, stackSegment);
}
/** What iretq itself refuses happens to the guest at the place it wanted to return to (.Lft0 in entry.S). */
function checkReturn(xen: Xen, rip: bigint, cs: bigint, ss: bigint): void {
  const { cpu } = xen;
  if (cs === FLAT_CS && ss === FLAT_SS && isCanonical(rip)) return;
  const failed = cpu.attempt(() => {
    const code = descriptorOf(cpu, Number(cs));
    const selector = Number(cs) & 0xfffc;
    if (!code.isCode || (code.isConforming ? code.dpl > 3 : code.dpl !== 3))
      throw new GuestFault(VECTOR.protection, selector);
    if (!code.isPresent) throw new GuestFault(VECTOR.notPresent, selector);
    if (!code.isLong) throw refuseCompatibility(Number(cs));
    const stack = checkStackSegment(cpu, Number(ss), 3);
    if (!isCanonical(rip)) throw new GuestFault(VECTOR.protection, 0);
    markAccessed(cpu, code);
    markAccessed(cpu, stack);
  });
  if (failed === undefined) return;
  if (failed.kind === 'trap') injectFault(xen, failed.trap satisfies Trap);
  else if (failed.kind === 'unimplemented') xen.stop({ how: 'killed', reason: `not implemented: ${failed.what}` });
  else throw new Error(`internal error: ${failed.kind} while returning to the guest`);
}

function fatal(xen: Xen, place: string, message: string): void {
  xen.print(`${prefix(xen, place)}${message}`);
  xen.print(
    xen.generation === '4.1'
      ? `${prefix(xen, 'traps.c:317')}Fatal error`
      : 'domain_crash called from arch/x86/pv/iret.c:104',
  );
  xen.crash(message);
}
