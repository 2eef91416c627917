/**
 * What the parts of the Xen model share: one PV domain with one vcpu on the emulated processor. The host (xen.ts) makes
 * it; the MMU (mm/) and the handlers of calls work on it.
 *
 * Guest memory of the machine is all of the host's memory: physical frame number and mfn are the same thing. Some frames
 * are the domain's (pfn to mfn is not the identity), some are Xen's own (M2P, shared info, Xen's tables).
 */
import type { Frame, Vaddr } from '../../../base/brand.js';
import type { Draft, KindName } from '../../../events/kinds.js';
import type { Log } from '../../../events/log.js';
import type { Memory } from '../../../machine/engine/memory.js';
import type { Cpu } from '../../../machine/x86/cpu.js';

/** Whose interface and words: 4.1 (2011, the seeds) or 4.17 (today's kernels). */
export type Generation = '4.1' | '4.17';

type WithoutHead<D> = D extends { kind: KindName } ? Omit<D, 'ticks' | 'vcpu' | 'cause'> : never;
export type Body = WithoutHead<Draft>;

export interface Domain {
  readonly id: number;
  readonly generation: Generation;
  readonly cpu: Cpu;
  readonly memory: Memory;
  readonly log: Log;
  /** Frames of the whole machine; every mfn below it exists. */
  readonly frames: number;
  /** M2P: the guest frame of a machine frame, INVALID_M2P where there is none. Kept in machine memory, told as m2p events. */
  pfnOf(mfn: Frame): bigint;
  setPfn(mfn: Frame, pfn: bigint): void;

  /** Roots that are loaded: 0 for no user table. The MMU changes them, `loadRoots` makes the processor follow. */
  kernelRoot: Frame;
  userRoot: Frame;
  /** Xen's TF_kernel_mode: the guest's kernel runs, not its user code. Both are in ring 3. */
  kernelMode: boolean;
  /** Makes the processor follow kernelRoot, userRoot and kernelMode: cr3, the whole TLB (write_ptbase), `root` events. */
  loadRoots(): void;
  /** userRoot changed; the processor does not run on it now: a `root` event. */
  userRootChanged(): void;
  /** VM_ASSIST(m2p_strict): user tables do not see the M2P. */
  readonly m2pStrict: boolean;
  /** What Xen puts into slots 256 to 271 of the level-4 table in frame `l4`, in order (init_xen_l4_slots). M2P included. */
  xenSlots(l4: Frame): readonly bigint[];
  /**
   * The guest's GDT changed: map these frames (checked, referenced) and load it, with an empty TLB; the entries are told as
   * descriptor events.
   */
  loadGdt(frames: readonly Frame[], entries: number): void;
  /** The guest's LDT is now at this linear address, none of its pages mapped yet. 0 entries for none. */
  loadLdt(at: bigint, entries: number): void;

  /** The cause of events told now: the innermost call, entry, batch or trap at work. */
  cause: number;
  /** Tells an event that happened at the guest's instruction of now. Returns its seq. Writes `regs` before it where due. */
  tell(body: Body): number;
  /** Number of the guest's call stack as it is now, for events with a `stack`. */
  stack(): number;
  /** Runs `body` with `cause` as the cause of what it tells. */
  within<T>(cause: number, body: () => T): T;
  /** Prints one line as Xen does on its console (a console event from the host): "mm.c:2466:d0 Bad type ...". */
  print(text: string): void;
  /** Ends the domain, as domain_crash does; the first reason counts. The handler returns normally. */
  crash(reason: string): void;

  /**
   * The guest's memory at a virtual address of the current address space, as copy_from_guest and copy_to_guest see it:
   * only addresses the guest itself may use (not Xen's part). Undefined or false where that faults: the caller answers
   * -EFAULT. At most 64 KiB at once.
   */
  copyFrom(at: bigint, bytes: number): Uint8Array | undefined;
  copyTo(at: bigint, data: Uint8Array): boolean;
  /** Flushes the architectural TLB and tells a flush event: all, all but global, or one page. */
  flush(scope: 'all' | 'space' | 'one', at?: Vaddr): void;
}

/** What a call answers: a u64 for rax (negative error numbers wrapped), or that it is not done yet. */
export type Answer = bigint | Again;
/**
 * A continuation (hypercall_create_continuation): work goes in bounded pieces, and the call is made again with these
 * arguments, instead of the guest's, once the host had a look. The host puts them where the guest's were: registers, or
 * the entry of a multicall.
 */
export interface Again {
  readonly again: readonly bigint[];
}
/** Carries out a hypercall. `args` are rdi, rsi, rdx, r10, r8 (or the entry of a multicall), u64. */
export type Handler<D extends Domain = Domain> = (domain: D, args: readonly bigint[]) => Answer;

export const INVALID_M2P = 0xffff_ffff_ffff_ffffn;
export const failed = (errno: number): bigint => BigInt.asUintN(64, BigInt(-errno));
