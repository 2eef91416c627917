/**
 * Xen's memory management for one PV domain: frame types and counts, and the hypercalls that change page tables. The host
 * makes one Mm, asks it to carry out the calls in `handlers`, and tells it of stores into page tables (`stored`).
 */
import type { Frame, Paddr } from '../../../../base/brand.js';
import type { Via } from '../../../../machine/engine/memory.js';
import type { Domain, Handler } from '../domain.js';

/** A store by the guest that faulted, to be emulated if it is into a page table (ptwr). */
export interface PtwrStore {
  /** The address that faulted. */
  readonly cr2: bigint;
  /** Where the store goes: first byte. */
  readonly at: bigint;
  readonly bytes: number;
  readonly value: bigint;
  /** For a compare and exchange: what must be there. */
  readonly expected?: bigint;
}
/** done; not ours (the guest gets its fault); a read fault at an address; the compare failed and this was there. */
export type PtwrAnswer = 'done' | 'unhandled' | { readonly fault: bigint } | { readonly found: bigint };

export interface Mm {
  /** Hypercalls by number: mmu_update, update_va_mapping, mmuext_op, memory_op, set_gdt, update_descriptor ... */
  readonly handlers: Readonly<Record<number, Handler>>;

  // Building a domain, before the guest runs; all tell their events.
  /** A frame is given to the domain (assign_pages): total count 1. Its M2P entry is the caller's. */
  claim(mfn: Frame): void;
  /** A frame of Xen's is shared with the domain, which may map it (share_xen_page_with_guest). */
  share(mfn: Frame, writable: boolean): void;
  /** Pins a table; its entries are in memory already. False if it is not valid (Xen's messages say why). */
  pin(mfn: Frame, level: 1 | 2 | 3 | 4): boolean;
  /** The root the guest starts on (arch_set_info_guest); takes its references, sets domain.kernelRoot. */
  start(root: Frame): boolean;

  // While the guest runs.
  /** To be told of every store into a watched frame (memory.onWatched). */
  stored(at: Paddr, bytes: number, oldLo: number, oldHi: number, newLo: number, newHi: number, via: Via): void;
  /** Whether a write fault at this address can be a store into a page table that Xen emulates (pv_ro_page_fault). */
  isTableMapping(cr2: bigint): boolean;
  ptwr(store: PtwrStore): PtwrAnswer;
  /** The frame of the guest's LDT at a byte offset, checked and referenced; undefined: the guest gets its fault. */
  ldtPage(offset: number): Frame | undefined;

  /** Everything but machine memory, as plain data. */
  save(): SavedMm;
  restore(saved: SavedMm): void;
}
/** For a checkpoint; JSON can carry it. */
export type SavedMm = Readonly<Record<string, unknown>>;
/** Makes the Mm of a domain. */
export type NewMm = (domain: Domain) => Mm;
