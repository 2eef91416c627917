/**
 * Exceptions of the guest. All of them come to Xen first, which mends some and hands the rest to the guest's kernel:
 *
 *   #PF   write to a page table it may write: Xen does the store (ptwr, table-store.ts); access to the LDT: maps it
 *   #GP   int n with a gate the guest may use; a privileged instruction: Xen does it (privileged.ts)
 *   #UD   ud2 followed by "xen": the next instruction is Xen's (cpuid)
 *   #NM   the FPU was taken from the guest by itself (fpu_taskswitch)
 *
 * arch/x86/traps.c: do_page_fault, do_general_protection, do_invalid_op, do_device_not_available; pv/traps.c.
 */
import { asVaddr } from '../../../base/brand.js';
import { REG } from '../../../isa/x86_64.js';
import type { Trap } from '../../../machine/engine/exits.js';
import { CR0, RFLAGS } from '../../../machine/x86/control.js';
import { VECTOR } from '../../../machine/x86/fault.js';
import { bounce } from './bounce.js';
import { exceptionName, printUnhandled } from './crash.js';
import { isXenAddress } from './guest-memory.js';
import { GDT_AT, GDT_PAGES, LDT_AT } from './layout.js';
import { forcedInstruction, privilegedInstruction } from './privileged.js';
import { storeToTable } from './table-store.js';
import { assists, GATE } from './vcpu.js';
import type { Xen } from './xen.js';

/** Error code of a page fault: SDM 3A, figure 4-12. */
const PF = { present: 1, write: 2, user: 4, reserved: 8, fetch: 16 } as const;
/** In the error code of #GP: it is about a gate of the IDT. */
const IDT = 2;
const INT_80 = 0x80;
const ARCH_CR2 = 16;
/** The guest's handler gets these error codes (TRAP_HAVE_EC). */
const WITH_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);
const AREA_BYTES = BigInt(GDT_PAGES.all * 4096);

/** A trap that ended the run. */
export function handleTrap(xen: Xen, trap: Trap): void {
  const { software, vector } = trap;
  // int3 and into, or int 3 and int 4, have handlers of their own, and nobody checks the guest's gate.
  const checked = software !== undefined && vector !== VECTOR.breakpoint && vector !== VECTOR.overflow;
  if (checked) softwareInterrupt(xen, trap, software);
  else if (trap.vector === VECTOR.page) pageFault(xen, trap);
  else raise(xen, trap);
}

/** What Xen does about an exception instead of handing it on. True: the guest goes on, or another fault came of it. */
type Mend = (xen: Xen, trap: Trap) => boolean;
const MENDS: Readonly<Record<number, Mend>> = {
  [VECTOR.page]: mendPageFault,
  [VECTOR.protection]: (xen, trap) => trap.code === 0 && privilegedInstruction(xen),
  [VECTOR.invalidOpcode]: forcedInstruction,
  [VECTOR.noDevice]: restoreFpu,
};

/** Tells the exception, and what comes of it happens inside it: Xen mends it, or the guest's handler gets it. */
function raise(xen: Xen, trap: Trap): void {
  const seq = told(xen, trap);
  const mended = xen.within(seq, () => MENDS[trap.vector]?.(xen, trap) ?? false);
  if (mended) {
    if (!xen.over) xen.within(seq, () => xen.tell({ kind: 'trapret', pc: xen.cpu.machine.pc, user: !xen.kernelMode }));
    return;
  }
  deliver(xen, trap, seq);
}
/** An exception that Xen itself makes: it is the guest's, with nothing to mend. */
export function injectFault(xen: Xen, trap: Trap): void {
  deliver(xen, trap, told(xen, trap));
}
function told(xen: Xen, { vector, code, address }: Trap): number {
  return xen.tell({
    kind: 'trap',
    vector,
    error: code ?? 0,
    at: asVaddr(address ?? 0n),
    pc: xen.cpu.machine.pc,
    user: !xen.kernelMode,
    stack: xen.stack(),
  });
}
/** pv_inject_event: into the guest's handler, or the end of the domain. */
function deliver(xen: Xen, { vector, code, address, kind }: Trap, seq: number): void {
  const { cpu, vcpu } = xen;
  xen.within(seq, () => {
    const gate = vcpu.traps.get(vector);
    if (vector === VECTOR.page && address !== undefined) {
      cpu.set(REG.cr2!, address);
      xen.setVcpuWord(ARCH_CR2, address);
    }
    if (!gate) printUnhandled(xen, vector, code ?? 0, vector === VECTOR.page ? address : undefined);
    const flags = cpu.get(REG.rflags!);
    bounce(
      xen,
      { address: gate?.address ?? 0n, masks: ((gate?.flags ?? 0) & GATE.masks) !== 0 },
      {
        code: WITH_CODE.has(vector) ? (code ?? 0) : undefined,
        // A fault is pushed with RF, so that a breakpoint on its instruction does not stop it again (SDM 3B, 17.3.1.1).
        what: exceptionName(vector),
        rflags: kind === 'fault' && vector !== VECTOR.debug ? flags | RFLAGS.RF : flags,
      },
    );
  });
  xen.handlerEntered(seq);
}

/**
 * int n. The IDT lets only int3 and int 0x80 through; others are #GP with the vector in the error code, and the guest's
 * own gate says who may. pc is behind the instruction.
 */
function softwareInterrupt(xen: Xen, trap: Trap, length: number): void {
  const { vector } = trap;
  const gate = xen.vcpu.traps.get(vector);
  const dpl = (gate?.flags ?? 0) & GATE.dpl;
  const permitted = gate && (vector === INT_80 || dpl >= (xen.kernelMode ? 1 : 3));
  if (permitted) {
    deliver(xen, trap, told(xen, trap));
    return;
  }
  xen.cpu.machine.pc -= BigInt(length);
  injectFault(xen, { vector: VECTOR.protection, code: (vector << 3) | IDT, address: undefined, kind: 'fault' });
}

/** The real privilege level is always 3; the guest is told who it was (pv_inject_event). */
function pageFault(xen: Xen, trap: Trap): void {
  raise(xen, { ...trap, code: guestCode(xen, trap.code) });
}
const guestCode = ({ kernelMode }: Xen, code = 0): number => (code & ~PF.user) | (kernelMode ? 0 : PF.user);
/** fixup_page_fault. */
function mendPageFault(xen: Xen, { code = 0, address = asVaddr(0n) }: Trap): boolean {
  if (code & PF.reserved) throw new Error('internal error: a reserved bit in a validated page table');
  if (isXenAddress(address)) return descriptorFault(xen, address);
  const store = PF.write | PF.present;
  if (!xen.kernelMode || (code & (store | PF.fetch)) !== store || !assists(xen.vcpu, 'writablePagetables'))
    return false;
  return xen.mm.isTableMapping(address) && storeToTable(xen, address);
}
/** The processor wants a descriptor: handle_gdt_ldt_mapping_fault. Others get the fault of an address they may not use. */
function descriptorFault(xen: Xen, address: bigint): boolean {
  if (address < GDT_AT || address >= LDT_AT + AREA_BYTES || address < LDT_AT) return false;
  const offset = Number(address - LDT_AT);
  if (xen.vcpu.ldt.entries === 0 || offset >= 8 * xen.vcpu.ldt.entries) return false;
  const frame = xen.mm.ldtPage(offset);
  if (frame !== undefined) {
    xen.mapLdt(offset >>> 12, frame);
    return true;
  }
  // It is the guest's own table that is not there.
  injectFault(xen, {
    vector: VECTOR.page,
    code: guestCode(xen),
    address: asVaddr(xen.vcpu.ldt.at + BigInt(offset)),
    kind: 'fault',
  });
  return true;
}
/** Only the guest itself takes the FPU away, with TS; its handler finds TS clear. */
function restoreFpu(xen: Xen): boolean {
  xen.cpu.set(REG.cr0!, xen.cpu.get(REG.cr0!) & ~CR0.TS);
  return false;
}
