/**
 * Xen's memory management for one PV domain: frame types and counts, and the hypercalls that change page tables. The host
 * makes one Mm, asks it to carry out the calls in `handlers`, and tells it of stores into page tables (`stored`).
 *
 *   frames.ts      the frame table: types, counts, events about them
 *   references.ts  taking and giving back references and types
 *   promote.ts     tables that become page tables, and cease to be; entry by entry
 *   modify.ts      one entry of a live table changes
 *   update.ts mmuext.ts memory-op.ts segments.ts ptwr.ts      the calls, and emulated stores
 */
import type { Frame, Paddr } from '../../../../base/brand.js';
import type { Via } from '../../../../machine/engine/memory.js';
import { type FrameType, HYPERCALL, TYPE } from '../../names.js';
import type { Domain, Handler } from '../domain.js';
import { Core, ERESTART } from './core.js';
import { FLAG, type FrameTable, OWNER } from './frames.js';
import { memoryOp } from './memory-op.js';
import { mmuextOp, newBaseptr, pin } from './mmuext.js';
import { type PtwrAnswer, type PtwrStore, ptwr, tableAt } from './ptwr.js';
import { getPageAndType, putPageAndType, putPending } from './references.js';
import { packMm, type SavedMm, unpackMm } from './saved.js';
import { ldtPage, setGdt, updateDescriptor } from './segments.js';
import { mmuUpdate, updateVaMapping, updateVaMappingOtherdomain } from './update.js';

export type { PtwrAnswer, PtwrStore } from './ptwr.js';
export type { SavedMm } from './saved.js';

export class Mm {
  private readonly core: Core;
  /** Hypercalls by number. */
  readonly handlers: Readonly<Record<number, Handler>>;

  /** @param workMax entries looked at before a call gives way, for tests */
  constructor(domain: Domain, workMax?: number) {
    const core = new Core(domain, workMax);
    this.core = core;
    this.handlers = {
      [HYPERCALL.mmu_update]: mmuUpdate(core),
      [HYPERCALL.mmuext_op]: mmuextOp(core),
      [HYPERCALL.update_va_mapping]: updateVaMapping(core),
      [HYPERCALL.update_va_mapping_otherdomain]: updateVaMappingOtherdomain(core),
      [HYPERCALL.memory_op]: memoryOp(core),
      [HYPERCALL.set_gdt]: setGdt(core),
      [HYPERCALL.update_descriptor]: updateDescriptor(core),
    };
  }
  /** To be read only. */
  get frames(): FrameTable {
    return this.core.frames;
  }

  // Building a domain, before the guest runs. Frames are Xen's own until they are given away.

  /** A frame is given to the domain (assign_pages). Its M2P entry is the caller's. */
  claim(mfn: Frame): void {
    this.core.claim(mfn);
    this.core.ownedMax = this.core.owned;
    this.core.frames.tell();
  }
  /** A frame is nobody's: what populate_physmap takes from. */
  free(mfn: Frame): void {
    this.core.frames.owner[mfn] = OWNER.free;
    this.core.freeFrom = 0;
  }
  /** A frame of Xen's is shared with the domain, which may map it (share_xen_page_with_guest). */
  share(mfn: Frame, writable: boolean): void {
    const { frames } = this.core;
    frames.owner[mfn] = OWNER.domain;
    frames.setFlag(mfn, FLAG.xenHeap | FLAG.allocated, true);
    frames.addTotal(mfn, 1);
    // This reference keeps the type as it is, for good.
    frames.setType(mfn, writable ? TYPE.writable : TYPE.none);
    frames.addTypeCount(mfn, 1);
    frames.setFlag(mfn, FLAG.validated, true);
    frames.tell();
  }
  /** Xen maps a frame of the domain's and writes to it from now on (map_vcpu_info). False if it cannot be writable. */
  hold(mfn: Frame): boolean {
    const isHeld = this.whole(() => getPageAndType(this.core, mfn, TYPE.writable)) === 0;
    if (isHeld) this.core.held.push(mfn);
    return isHeld;
  }
  /** Xen does so no more. */
  letGo(mfn: Frame): void {
    this.whole(() => {
      putPageAndType(this.core, mfn);
      return 0;
    });
  }
  /**
   * Pins a table, with what is in memory then.
   * @returns whether it is valid; if not, Xen's messages say why
   */
  pin(mfn: Frame, level: 1 | 2 | 3 | 4): boolean {
    return this.whole(() => pin(this.core, BigInt(mfn), level as FrameType)) === 0;
  }
  /** The root the guest starts on (arch_set_info_guest). Takes its references and sets domain.kernelRoot. */
  start(root: Frame): boolean {
    return this.newBaseptr(BigInt(root));
  }

  // While the guest runs

  /** The guest's write to cr3 (new_guest_cr3). False if that frame cannot be a root. */
  newBaseptr(mfn: bigint): boolean {
    return this.whole(() => newBaseptr(this.core, mfn)) === 0;
  }
  /** To be told of every store into a watched frame (memory.onWatched). */
  stored(at: Paddr, bytes: number, oldLo: number, oldHi: number, _newLo: number, _newHi: number, via: Via): void {
    this.core.stored(at, bytes, oldLo, oldHi, via);
  }
  /** Whether a write fault of the guest's kernel at this address may be a store into a page table that Xen does for it. */
  isTableMapping(cr2: bigint): boolean {
    return tableAt(this.core, cr2) !== undefined;
  }
  /** Carries out a guest's store into a level-1 table. */
  ptwr(store: PtwrStore): PtwrAnswer {
    return ptwr(this.core, store);
  }
  /** The frame of the guest's LDT at a byte offset, checked and referenced; undefined: the guest gets its fault. */
  ldtPage(offset: number): Frame | undefined {
    return ldtPage(this.core, offset);
  }

  /** Everything but machine memory, as JSON can carry it. */
  save(): SavedMm {
    return packMm(this.core);
  }
  /** Takes over what was saved; memory is as it was then. Throws Trouble where it is not what `save` makes. */
  restore(saved: unknown): void {
    unpackMm(this.core, saved);
  }

  /** Runs something to its end, however much work that is. */
  private whole(body: () => number): number {
    const { core } = this;
    for (;;) {
      core.begin();
      let rc = putPending(core);
      if (rc === 0) rc = core.entryDone(body);
      while (core.pending) {
        core.begin();
        putPending(core);
      }
      if (rc !== ERESTART) return rc;
    }
  }
}

/** Makes the Mm of a domain. */
export type NewMm = (domain: Domain) => Mm;
