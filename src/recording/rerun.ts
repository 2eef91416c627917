/** What a recording does not hold and running it again tells. The live half does that; where it is missing, a view says why. */
import type { Paddr, Vaddr } from '../base/brand.js';
import type { Progress } from '../base/work.js';

/** One entry of detail, as a re-run gives it: what happened after main-stream event `seq`, as its entry `sub` (from 1). */
export interface Detail {
  readonly seq: number;
  readonly sub: number;
  readonly ticks: number;
  readonly vcpu: number;
  /** The instruction. */
  readonly pc: Vaddr;
  readonly what:
    | { readonly kind: 'step'; readonly registers: readonly (readonly [register: number, value: bigint])[] }
    | {
        readonly kind: 'store';
        readonly at: Vaddr;
        readonly physical: bigint;
        readonly bytes: number;
        readonly old: bigint;
        readonly new: bigint;
      }
    | {
        readonly kind: 'fill';
        readonly at: Vaddr;
        readonly frame: number;
        readonly bytes: bigint;
        readonly flags: number;
      };
}
export interface RerunOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (p: Progress) => void;
}
/** A store of the guest, found by running again. */
export interface RerunStore {
  readonly seq: number;
  readonly sub: number;
  readonly ticks: number;
  /** The address that was written to. */
  readonly to: bigint;
  readonly old: bigint;
  readonly new: bigint;
  /** The storing instruction. */
  readonly pc: bigint;
}
export interface Rerun {
  /** Detail after events from .. to-1. */
  detail(from: number, to: number, options?: RerunOptions): AsyncIterable<Detail>;
  /** The last store of the guest into the eight bytes at `at`, after event `from` and before event `before`, that no event told of. */
  store(at: Paddr, from: number, before: number, options?: RerunOptions): Promise<RerunStore | undefined>;
  /** The guest's callers, innermost first, at an instruction after event `seq`: where `ticks` have gone by. */
  stack(seq: number, ticks: number, options?: RerunOptions): Promise<readonly bigint[]>;
}
