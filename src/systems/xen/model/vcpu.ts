/** What Xen keeps of a virtual processor and of its domain besides registers and memory (struct pv_vcpu). Plain data. */

/** A gate of the virtual interrupt table (struct trap_info). */
export interface TrapGate {
  readonly cs: number;
  readonly address: bigint;
  /** Bits 0, 1: who may enter by int n; bit 2: upcalls are masked on entry. */
  readonly flags: number;
}
export const GATE = { dpl: 3, masks: 4 } as const;
/** A callback the guest registered; address 0 for none. */
export interface Callback {
  readonly address: bigint;
  readonly masks: boolean;
}

export interface Vcpu {
  /** By vector; without the ones that have no handler. */
  traps: Map<number, TrapGate>;
  event: Callback;
  failsafe: Callback;
  syscall: Callback;
  /** Registered, and never entered: they are for 32-bit user code. */
  syscall32: Callback;
  sysenter: Callback;
  /** The stack for entries from user mode (stack_switch). */
  kernelSs: bigint;
  kernelSp: bigint;
  /** CR4 as the guest sees it. Of CR0 only TS is its own, and that is in the real register. */
  cr4: bigint;
  /** VM_ASSIST bits. */
  assists: bigint;
  /** The virtual IOPL, 0 to 3, in its place in the flags. */
  iopl: bigint;
  ldt: { readonly at: bigint; readonly entries: number };
}

export const ASSIST = {
  segments4gb: 0,
  segments4gbNotify: 1,
  writablePagetables: 2,
  paeExtendedCr3: 3,
  architecturalIopl: 4,
  runstateUpdateFlag: 5,
  m2pStrict: 32,
} as const;

const NONE: Callback = { address: 0n, masks: false };
export const newVcpu = (kernelSs: bigint, kernelSp: bigint, cr4: bigint): Vcpu => ({
  traps: new Map(),
  event: NONE,
  failsafe: NONE,
  syscall: NONE,
  syscall32: NONE,
  sysenter: NONE,
  kernelSs,
  kernelSp,
  cr4,
  assists: 0n,
  iopl: 0n,
  ldt: { at: 0n, entries: 0 },
});
export const assists = (vcpu: Vcpu, type: keyof typeof ASSIST): boolean =>
  ((vcpu.assists >> BigInt(ASSIST[type])) & 1n) !== 0n;
