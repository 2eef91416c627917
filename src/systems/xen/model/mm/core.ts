/**
 * What all parts of the memory management share: the domain, its frame table, entries in memory, what Xen says, and the
 * two things Xen keeps for each vcpu while a call goes in pieces: how much work is left, and a table still to be put.
 *
 * BOUNDED WORK. Xen looks for something more urgent at fixed places (hypercall_preempt_check) and then makes the guest
 * call again. Nothing is ever more urgent here, so instead a call may do a fixed amount of work, counted in entries looked
 * at; what counts and where it is checked follows Xen, and so do the states a table can be left in (partial).
 */
import { assert } from '../../../../base/assert.js';
import { asFrame, asPaddr, type Frame, PAGE_BYTES, PAGE_SHIFT } from '../../../../base/brand.js';
import { type Memory, VIA, type Via } from '../../../../machine/engine/memory.js';
import { PATH } from '../../names.js';
import type { Again, Domain } from '../domain.js';
import { FLAG, FrameTable, OWNER } from './frames.js';
import { type MessageArg, type MessageName, message } from './messages.js';
import { type DescriptorTables, noTables } from './segments.js';

/** Results inside: 0, a negative error number, or ERESTART: work is left, the state says where. */
export type Rc = number;
/** Never seen by a guest (xen/include/xen/errno.h). */
export const ERESTART = -85;
/** Entries looked at before a call gives way: some 256 level-1 tables, about a tenth of a second. */
const WORK_MAX = 2 ** 17;

/** A reference to a table that is yet to be given back (vcpu.arch.old_guest_table). */
export interface Pending {
  readonly mfn: Frame;
  /** The table whose entry held it, -1 for none (old_guest_ptpg). */
  readonly parent: number;
  /** The reference is that of `partial` (old_guest_table_partial). */
  partial: boolean;
  /** What its events will be caused by. */
  readonly cause: number;
}

export class Core {
  readonly domain: Domain;
  readonly frames: FrameTable;
  readonly memory: Memory;
  pending: Pending | undefined;
  /** GDT and LDT. */
  tables: DescriptorTables = noTables();
  /** Frames that Xen keeps a writable reference to (`Mm.hold`). */
  held: Frame[] = [];
  /** Frames the domain has, and may have (tot_pages, max_pages). */
  owned = 0;
  ownedMax = 0;
  /** No frame below is free. */
  freeFrom = 0;
  /** The table that is being updated (page_lock), -1 for none: messages show it so. */
  locked = -1;
  /** Seq of the pte event of the entry at work, -1 for none. */
  private written = -1;
  /** How entries are written just now. */
  private path: number = PATH.xen;
  private work = 0;
  private readonly workMax: number;

  constructor(domain: Domain, workMax = WORK_MAX) {
    this.domain = domain;
    this.memory = domain.memory;
    this.frames = new FrameTable(domain);
    this.workMax = workMax;
  }

  // Work

  /** A call begins, or goes on. */
  begin(): void {
    this.work = this.workMax;
  }
  spend(entries: number): void {
    this.work -= entries;
  }
  /** hypercall_preempt_check: whether the call should give way. */
  get isDue(): boolean {
    return this.work <= 0;
  }

  // Entries

  entry(table: Frame, index: number): bigint {
    return this.memory.view.getBigUint64(this.memory.layout.guest + table * PAGE_BYTES + 8 * index, true);
  }
  /** Whether the entry is present: what most loops over tables want to know first. */
  isPresent(table: Frame, index: number): boolean {
    return (this.memory.view.getUint8(this.memory.layout.guest + table * PAGE_BYTES + 8 * index) & 1) !== 0;
  }
  /** Writes an entry of a table. Where the table is live, a pte event tells it. */
  write(table: Frame, index: number, value: bigint, path: number): void {
    this.path = path;
    if (this.entry(table, index) !== value) this.memory.hostStore(asPaddr(table * PAGE_BYTES + 8 * index), 8, value);
  }
  /** A store into a live table happened: by `write`, by the processor's walk, or by the host on the guest's behalf. */
  stored(at: number, bytes: number, oldLo: number, oldHi: number, via: Via): void {
    // A guest that writes to its own live tables has broken Xen's only promise: our bug, whoever asked for it.
    assert(via !== VIA.guest, 'a page table is mapped writable');
    const table = asFrame(at >>> PAGE_SHIFT);
    const level = this.frames.tableLevel(table);
    const index = (at % PAGE_BYTES) >>> 3;
    const now = this.entry(table, index);
    const shift = BigInt(8 * (at % 8));
    const mask = ((1n << BigInt(8 * bytes)) - 1n) << shift;
    const old = (now & ~mask) | ((((BigInt(oldHi) << 32n) | BigInt(oldLo)) << shift) & mask);
    if (old === now || level === 0) return;
    const { domain } = this;
    const seq = domain.tell({
      kind: 'pte',
      space: 'guest',
      table,
      offset: 8 * index,
      level,
      bytes: 8,
      path: via === VIA.walker ? PATH.walker : this.path,
      old,
      new: now,
      stack: via === VIA.walker ? 0 : domain.stack(),
    });
    if (via !== VIA.walker) this.written = seq;
  }

  // Telling

  /** Does one entry's work, and tells what it changed about frames, caused by the pte event it made, if it made one. */
  entryDone<T>(body: () => T): T {
    this.written = -1;
    const result = body();
    this.tellFrames();
    return result;
  }
  /** Tells what changed about frames, caused by the entry's pte event, else by the entry itself. */
  tellFrames(): void {
    this.domain.within(this.cause, () => this.frames.tell());
  }
  /** The cause for what an entry leaves to be done later. */
  get cause(): number {
    return this.written >= 0 ? this.written : this.domain.cause;
  }
  /** A frame becomes the domain's (assign_pages): one reference for being allocated. */
  claim(mfn: Frame): void {
    const { frames } = this;
    assert(frames.total[mfn] === 0, "a frame that is given away is nobody's");
    frames.owner[mfn] = OWNER.domain;
    frames.addTotal(mfn, 1);
    frames.setFlag(mfn, FLAG.allocated, true);
    this.owned++;
  }

  /** Prints as Xen does. */
  say(name: MessageName, ...args: MessageArg[]): void {
    const { domain } = this;
    const text = message(domain.generation, domain.id, name, args);
    if (text !== undefined) domain.print(text);
  }

  // The TLB

  /** Everything goes, global entries too: FLUSH_TLB does not spare them (flushtlb.c, do_tlb_flush). */
  flushAll(): void {
    this.frames.clock++;
    this.domain.flush('all');
  }
  /** The processor follows new roots, which empties the TLB (write_ptbase). */
  loadRoots(): void {
    this.frames.clock++;
    this.domain.loadRoots();
  }
}

/** A continuation: the same call with other arguments. */
export const again = (args: readonly bigint[]): Again => ({ again: args });
/** An error number, negative, as the guest sees it in a register. */
export const answer = (rc: Rc): bigint => BigInt.asUintN(64, BigInt(rc));
export const u32 = (value: bigint | undefined): number => Number((value ?? 0n) & 0xffff_ffffn);
