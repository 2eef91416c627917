/**
 * The frame table: what Xen knows of each machine frame (struct page_info, asm/mm.h).
 *
 * Each frame has two counts. The total counts all references: page-table entries that name or map it, pins, roots, and
 * one for being allocated at all. The type count counts references that need its type. A frame has one type at a time,
 * and can change its type only while its type count is zero: this is all that keeps a guest from writing to its own page
 * tables (mm.c, "Reference counting of pages").
 *
 *   type        none, l1..l4 (page table), seg_desc (GDT, LDT), writable (mapped writable somewhere)
 *   validated   its contents were found fit for the type; page tables lose it when their type count returns to zero
 *   partial     validation or its undoing stopped half way, `entriesDone` says where
 *   pinned      the guest holds one reference by MMUEXT_PIN_*
 *
 * Changes are made quietly and told by `tell`, which the callers run at the end of an entry: one event for each field
 * that really changed, in the order in which frames were touched, all with the same cause (the pte event that made the
 * change necessary, where there is one). What an entry takes and gives back while it works, or takes and gives back since
 * it was refused, is no change. A frame that became a validated table is told as `adopt` and is watched from then on.
 */
import { assert } from '../../../../base/assert.js';
import { asFrame, type Frame, PAGE_BYTES } from '../../../../base/brand.js';
import { listStart } from '../../../../events/block.js';
import { type FrameKind, KIND, SPACES } from '../../../../events/kinds.js';
import { FORMAT, type FrameType, TYPE } from '../../names.js';
import { encodeTypeWord, TYPE_NAMES } from '../../typeword.js';
import type { Domain } from '../domain.js';
import { packFrames, type SavedFrames, unpackFrames } from './saved.js';

const GUEST = SPACES.indexOf('guest');
export const FLAG = {
  pinned: 1,
  validated: 2,
  partial: 4,
  /** The reference for being allocated exists (PGC_allocated). */
  allocated: 8,
  /** Xen's own page, shared with the domain (PGC_xen_heap). */
  xenHeap: 16,
  /** The entry at entriesDone holds a reference to a table that is partial (PTF_partial_set). */
  partialSet: 32,
} as const;
/** Whose a frame is. Xen's and free frames have no owner that could give references. */
export const OWNER = { free: 0, domain: 1, xen: 2 } as const;

/** Flags that are told as events, each by its own kind. */
const TOLD_FLAGS: readonly (readonly [kind: FrameKind, flag: number])[] = [
  ['validated', FLAG.validated],
  ['pinned', FLAG.pinned],
  ['partial', FLAG.partial],
];

/** The arrays of a table, for each frame one element. */
const newColumns = (frames: number) => ({
  type: new Uint8Array(frames),
  typeCount: new Uint32Array(frames),
  total: new Uint32Array(frames),
  flags: new Uint8Array(frames),
  owner: new Uint8Array(frames).fill(OWNER.xen),
  entriesDone: new Uint16Array(frames),
  linear: new Int16Array(frames),
  stamp: new Uint32Array(frames),
});
export type FrameColumns = ReturnType<typeof newColumns>;

export class FrameTable {
  private readonly domain: Pick<Domain, 'log' | 'memory' | 'cpu' | 'frames' | 'cause' | 'generation'>;
  readonly count: number;
  /** TYPE. Change through `setType`. */
  readonly type: Uint8Array;
  readonly typeCount: Uint32Array;
  readonly total: Uint32Array;
  /** FLAG. Change through `setFlag`. */
  readonly flags: Uint8Array;
  /** OWNER. */
  readonly owner: Uint8Array;
  /** Entries that are validated, while a table is partial (nr_validated_ptes). */
  readonly entriesDone: Uint16Array;
  /** Above zero: entries of this table that name tables of its own level; below zero: such entries that name it. */
  readonly linear: Int16Array;
  /** When the type count last became zero, by `clock` (tlbflush_timestamp). */
  readonly stamp: Uint32Array;
  /** Counts flushes of the whole TLB, from 1. */
  clock = 1;
  private readonly columns: FrameColumns;
  /** What events so far say. */
  private readonly told: Pick<FrameColumns, 'type' | 'typeCount' | 'total' | 'flags'>;
  /** Frames that may differ from what was told, in the order in which they were touched. */
  private touched: number[] = [];
  private readonly isTouched: Uint8Array;

  constructor(domain: FrameTable['domain']) {
    this.domain = domain;
    this.count = domain.frames;
    this.columns = newColumns(this.count);
    ({
      type: this.type,
      typeCount: this.typeCount,
      total: this.total,
      flags: this.flags,
      owner: this.owner,
      entriesDone: this.entriesDone,
      linear: this.linear,
      stamp: this.stamp,
    } = this.columns);
    this.told = newColumns(this.count);
    this.isTouched = new Uint8Array(this.count);
  }

  has(mfn: Frame, flag: number): boolean {
    return (this.flags[mfn]! & flag) !== 0;
  }
  /** Frame numbers come out of page-table entries, which the guest writes. */
  exists(mfn: number): mfn is Frame {
    return mfn < this.count;
  }
  /** The level of a validated page table, 0 for everything else. */
  tableLevel(mfn: Frame): number {
    return levelOf(this.type[mfn]!, this.flags[mfn]!);
  }

  setType(mfn: Frame, type: FrameType): void {
    this.touch(mfn);
    this.type[mfn] = type;
  }
  setFlag(mfn: Frame, flag: number, on: boolean): void {
    this.touch(mfn);
    if (on) this.flags[mfn]! |= flag;
    else this.flags[mfn]! &= ~flag;
  }
  addTypeCount(mfn: Frame, by: 1 | -1): void {
    assert(by > 0 || this.typeCount[mfn]! > 0, 'a type reference that goes was counted');
    this.touch(mfn);
    this.typeCount[mfn]! += by;
  }
  addTotal(mfn: Frame, by: 1 | -1): void {
    assert(by > 0 || this.total[mfn]! > 0, 'a reference that goes was counted');
    this.touch(mfn);
    this.total[mfn]! += by;
  }
  /** No type, no count, no flags of a type: as after validation failed. */
  clearType(mfn: Frame): void {
    this.touch(mfn);
    this.type[mfn] = TYPE.none;
    this.typeCount[mfn] = 0;
    this.flags[mfn]! &= ~(FLAG.pinned | FLAG.validated | FLAG.partial | FLAG.partialSet);
  }

  /** The type word as Xen of the domain's generation has it. `locked`: the frame is the table that is being updated. */
  typeWord(mfn: Frame, locked = false): bigint {
    return encodeTypeWord(this.domain.generation, {
      type: TYPE_NAMES[this.type[mfn]!]!,
      count: BigInt(this.typeCount[mfn]!) + (locked ? 1n : 0n),
      pinned: this.has(mfn, FLAG.pinned),
      validated: this.has(mfn, FLAG.validated),
      partial: this.has(mfn, FLAG.partial),
      locked,
    });
  }
  /** The word of the total count, `caf` in messages: allocated is bit 63, Xen's heap bit 62. */
  countWord(mfn: Frame): bigint {
    return (
      BigInt(this.total[mfn]!) |
      (this.has(mfn, FLAG.allocated) ? 1n << 63n : 0n) |
      (this.has(mfn, FLAG.xenHeap) ? 1n << 62n : 0n)
    );
  }

  /** Tells what changed since the last time, caused by `domain.cause`. */
  tell(): void {
    if (this.touched.length === 0) return;
    const { touched } = this;
    this.touched = [];
    for (const n of touched) {
      this.isTouched[n] = 0;
      this.tellFrame(asFrame(n));
    }
  }
  private tellFrame(mfn: Frame): void {
    const { told } = this;
    const was = levelOf(told.type[mfn]!, told.flags[mfn]!);
    const is = this.tableLevel(mfn);
    if (was !== 0 && was !== is) {
      this.domain.memory.watch(mfn, false);
      this.tellTable('release', mfn, was);
    }
    this.change('type', mfn, told.type[mfn]!, this.type[mfn]!);
    this.change('typecount', mfn, told.typeCount[mfn]!, this.typeCount[mfn]!);
    this.change('total', mfn, told.total[mfn]!, this.total[mfn]!);
    for (const [kind, flag] of TOLD_FLAGS)
      this.change(kind, mfn, told.flags[mfn]! & flag ? 1 : 0, this.flags[mfn]! & flag ? 1 : 0);
    if (is !== 0 && was !== is) {
      this.domain.memory.watch(mfn, true);
      this.tellTable('adopt', mfn, is);
    }
    told.type[mfn] = this.type[mfn]!;
    told.typeCount[mfn] = this.typeCount[mfn]!;
    told.total[mfn] = this.total[mfn]!;
    told.flags[mfn] = this.flags[mfn]!;
  }
  private change(kind: FrameKind, mfn: Frame, old: number, now: number): void {
    if (old === now) return;
    const { log, cpu, cause } = this.domain;
    const row = log.open(KIND[kind], cpu.machine.ticks, 0, cause);
    const c = log.col[kind];
    c.frame[row] = mfn;
    c.old[row] = old;
    c.new[row] = now;
  }
  private tellTable(kind: 'adopt' | 'release', mfn: Frame, level: number): void {
    const { log, cpu, cause, memory } = this.domain;
    const row = log.open(KIND[kind], cpu.machine.ticks, 0, cause);
    const c = log.col[kind];
    c.space[row] = GUEST;
    c.table[row] = mfn;
    c.offset[row] = 0;
    c.level[row] = level;
    c.bytes[row] = 8;
    c.format[row] = FORMAT.fourLevel;
    const { view, layout } = memory;
    const from = layout.guest + mfn * PAGE_BYTES;
    let item = listStart(c.entriesEnd, row);
    for (let at = from; at < from + PAGE_BYTES; at += 8) {
      c.entriesLo[item] = view.getUint32(at, true);
      c.entriesHi[item++] = view.getUint32(at + 4, true);
    }
    c.entriesEnd[row] = item;
  }

  private touch(mfn: Frame): void {
    if (this.isTouched[mfn]) return;
    this.isTouched[mfn] = 1;
    this.touched.push(mfn);
  }

  /** The type count of a frame became zero: the TLB may go on using what it was. */
  idle(mfn: Frame): void {
    this.stamp[mfn] = this.clock;
  }
  /** Whether that was since the last flush. */
  mayLinger(mfn: Frame): boolean {
    return this.stamp[mfn]! >= this.clock;
  }

  /** Everything, for a checkpoint; all changes are told. */
  save(): SavedFrames {
    assert(this.touched.length === 0, 'a checkpoint is not in the midst of an entry');
    return packFrames(this.columns, this.clock);
  }
  /** Takes over what was saved. Throws Trouble if that is no table of this size. */
  restore(saved: unknown): void {
    unpackFrames(saved, this.columns);
    this.clock = 1;
    for (const name of ['type', 'typeCount', 'total', 'flags'] as const) this.told[name].set(this.columns[name]);
    for (let n = 0; n < this.count; n++)
      if (this.tableLevel(asFrame(n)) !== 0) this.domain.memory.watch(asFrame(n), true);
  }
}

const levelOf = (type: number, flags: number): number =>
  type >= TYPE.l1 && type <= TYPE.l4 && flags & FLAG.validated ? type : 0;
