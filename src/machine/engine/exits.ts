/**
 * Why a run ended. Everything a guest can do to end one is here; the caller decides what it means (deliver a trap, emulate,
 * record an event, kill the guest). Registers are those before the instruction for traps and refusals, with pc at it.
 */
import type { Vaddr } from '../../base/brand.js';

/** An exception or software interrupt, before anybody delivers it. */
export interface Trap {
  readonly vector: number;
  /** The error code, of the vectors that have one. */
  readonly code: number | undefined;
  /** The address a page fault is about. */
  readonly address: Vaddr | undefined;
  /**
   * fault: pc is at the instruction, which did not retire. trap: it retired and pc is behind it (int n, int3, single
   * step).
   */
  readonly kind: 'fault' | 'trap';
  /** Bytes of the instruction that asked for it (int n, int3), which is checked; not there for what just happens. */
  readonly software?: number;
}

export type Exit =
  /** The tick asked for is reached, exactly. */
  | { readonly kind: 'limit' }
  /**
   * In the middle of a long repeated instruction, before the tick asked for. To be run on; the guest cannot notice. It
   * is there for the host, which gets a look in however much one instruction is asked to do.
   */
  | { readonly kind: 'busy' }
  | { readonly kind: 'trap'; readonly trap: Trap }
  /** hlt: pc is behind it. */
  | { readonly kind: 'halt' }
  /** An instruction the host must do: syscall, in, out, vmcall ... pc is at it; `name` is its mnemonic. */
  | { readonly kind: 'call'; readonly name: string; readonly length: number }
  /** The guest would take an interrupt now; only for a host that said it wants to know. */
  | { readonly kind: 'window' }
  /** The processor shut down: no way to deliver a double fault. */
  | { readonly kind: 'shutdown' }
  /** We do not emulate this. `what` names the instruction and says what is missing. */
  | { readonly kind: 'unimplemented'; readonly what: string }
  /** An access to a physical address where there is no memory. */
  | { readonly kind: 'bus'; readonly address: number };
