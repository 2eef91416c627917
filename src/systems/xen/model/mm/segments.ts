/**
 * Descriptor tables (pv/descriptor-tables.c, pv/mm.c). Frames of a GDT or LDT have a type of their own: the guest may not
 * write to them, since what a descriptor says about privilege must stay what Xen found acceptable.
 *
 *   63      56 55 52 51   48 47 46 45 44 43    40 39           32 31            16 15             0
 *  +----------+-----+-------+--+-----+--+--------+---------------+----------------+---------------+
 *  | base     | ... | limit |P | DPL |S | type   | base          | base (cs)      | limit         |
 *  +----------+-----+-------+--+-----+--+--------+---------------+----------------+---------------+
 *    S: code or data. Of the others, a call gate (type 12) has its target's selector in 31..16.
 */
import { asFrame, asPaddr, type Frame, PAGE_BYTES } from '../../../../base/brand.js';
import { ERRNO, TYPE } from '../../names.js';
import type { Handler } from '../domain.js';
import { answer, type Core, type Rc, u32 } from './core.js';
import { frameIn, isGuestAddress, PRESENT } from './entries.js';
import { getPage, getType, putPage, putPageAndType, putType } from './references.js';
import { kernelEntry } from './walk.js';

/** GDT entries from here on are Xen's (public/arch-x86/xen.h, FIRST_RESERVED_GDT_ENTRY). */
const GDT_ENTRIES_MAX = 7168;
const PER_PAGE = 512;
const LDT_ENTRIES_MAX = 8192;
/** FLAT_KERNEL_CS: Xen's own code segment for guests' kernels. */
const FLAT_KERNEL_CS = 0xe033n;
const GUEST_RPL = 3n;

const SEGMENT = { present: 1n << 47n, dpl: 3n << 45n, code: 1n << 44n, type: 15n << 40n } as const;
const CALL_GATE = 12n << 40n;
const GATE_RESERVED = 0xffn << 32n;

/** check_descriptor: the descriptor as Xen lets it stand, with the guest's privilege; undefined if it does not. */
export function checkedDescriptor(d: bigint): bigint | undefined {
  if (!(d & SEGMENT.present)) return d; // always faults
  if (d & SEGMENT.code) return (d & ~SEGMENT.dpl) | (GUEST_RPL << 45n);
  const type = d & SEGMENT.type;
  if (type === 0n) return d; // the upper half of a call gate
  if (type !== CALL_GATE) return undefined;
  const selector = (d >> 16n) & 0xffffn;
  const isOkay = selector >> 3n < GDT_ENTRIES_MAX || selector === FLAT_KERNEL_CS || (selector & 4n) !== 0n;
  if (!isOkay || d & GATE_RESERVED) return undefined;
  // Privilege 0 makes every use fault, to be emulated; the guest's own is kept in the selector.
  return (d & ~SEGMENT.dpl & ~(3n << 16n)) | (GUEST_RPL << 16n);
}

/** validate_segdesc_page. */
export function validateDescriptors(core: Core, mfn: Frame): Rc {
  core.spend(PER_PAGE);
  for (let i = 0; i < PER_PAGE; i++) {
    const old = core.entry(mfn, i);
    const checked = checkedDescriptor(old);
    if (checked === undefined) return -ERRNO.EINVAL;
    if (checked !== old) core.memory.hostStore(asPaddr(mfn * PAGE_BYTES + 8 * i), 8, checked);
  }
  return 0;
}

/** The descriptor tables the guest has loaded, and the references that holds. */
export interface DescriptorTables {
  gdt: Frame[];
  gdtEntries: number;
  ldtBase: bigint;
  ldtEntries: number;
  /** Frames of the LDT that were used so far, by page of it; -1 for none. */
  ldtPages: number[];
}
export const noTables = (): DescriptorTables => ({
  gdt: [],
  gdtEntries: 0,
  ldtBase: 0n,
  ldtEntries: 0,
  ldtPages: new Array<number>(LDT_ENTRIES_MAX / PER_PAGE).fill(-1),
});

/** do_set_gdt, pv_set_gdt. */
export const setGdt =
  (core: Core): Handler =>
  (domain, [list = 0n, count]) => {
    core.begin();
    const entries = u32(count);
    if (entries > GDT_ENTRIES_MAX) return answer(-ERRNO.EINVAL);
    const pages = Math.ceil(entries / PER_PAGE);
    const bytes = pages === 0 ? new Uint8Array() : isGuestAddress(list) ? domain.copyFrom(list, 8 * pages) : undefined;
    if (!bytes) return answer(-ERRNO.EFAULT);
    const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const rc = core.entryDone(() => {
      const frames: Frame[] = [];
      for (let i = 0; i < pages; i++) {
        const mfn = Number(numbers.getBigUint64(8 * i, true));
        if (!core.frames.exists(mfn) || !getPage(core, mfn)) return undo(core, frames);
        if (getType(core, mfn, TYPE.seg_desc) !== 0) {
          putPage(core, mfn);
          return undo(core, frames);
        }
        frames.push(mfn);
      }
      for (const mfn of core.tables.gdt) putPageAndType(core, mfn); // pv_destroy_gdt
      core.tables.gdt = frames;
      core.tables.gdtEntries = entries;
      return 0;
    });
    if (rc === 0) {
      core.frames.clock++; // which empties the TLB
      domain.loadGdt(core.tables.gdt, entries);
    }
    return answer(rc);
  };
function undo(core: Core, frames: readonly Frame[]): Rc {
  for (const mfn of frames.toReversed()) putPageAndType(core, mfn);
  return -ERRNO.EINVAL;
}

/** do_update_descriptor: one descriptor in a frame that is part of a table, or may become one. */
export const updateDescriptor =
  (core: Core): Handler =>
  (_, [at = 0n, wanted = 0n]) => {
    core.begin();
    const value = checkedDescriptor(wanted);
    const mfn = Number(at >> 12n);
    if (at % 8n !== 0n || value === undefined) return answer(-ERRNO.EINVAL);
    return core.entryDone(() => {
      if (!getPage(core, mfn)) return answer(-ERRNO.EINVAL);
      const type = core.frames.type[mfn] === TYPE.seg_desc ? TYPE.seg_desc : TYPE.writable;
      const rc = getType(core, mfn, type);
      if (rc === 0) {
        const index = Number(at & 0xfffn) / 8;
        const old = core.entry(mfn, index);
        core.memory.hostStore(asPaddr(Number(at)), 8, value);
        tellDescriptor(core, mfn, index, old, value);
        putType(core, mfn);
      }
      putPage(core, mfn);
      return answer(rc === 0 ? 0 : -ERRNO.EINVAL);
    });
  };
/** A descriptor of a loaded table changed; a frame may be in both, and several times. */
function tellDescriptor({ tables, domain }: Core, mfn: Frame, index: number, old: bigint, value: bigint): void {
  if (old === value) return;
  const lists = [
    ['gdt', tables.gdt, tables.gdtEntries],
    ['ldt', tables.ldtPages, tables.ldtEntries],
  ] as const;
  for (const [table, pages, entries] of lists)
    for (const [n, page] of pages.entries()) {
      const at = n * PER_PAGE + index;
      if (page === mfn && at < entries) domain.tell({ kind: 'descriptor', table, index: at, old, new: value });
    }
}

/** MMUEXT_SET_LDT. Pages are mapped when they are first used (`ldtPage`). */
export function setLdt(core: Core, at: bigint, entries: number): Rc {
  const base = entries ? at : 0n;
  if (entries > LDT_ENTRIES_MAX || (entries && (base % BigInt(PAGE_BYTES) || !isGuestAddress(base)))) {
    core.say('setLdt', base, entries);
    return -ERRNO.EINVAL;
  }
  const { tables, domain } = core;
  if (tables.ldtEntries === entries && tables.ldtBase === base) return 0;
  if (dropLdt(core)) core.flushAll();
  tables.ldtBase = base;
  tables.ldtEntries = entries;
  domain.loadLdt(base, entries);
  return 0;
}
/** pv_destroy_ldt: forgets the pages that were mapped. Returns whether there were any. */
export function dropLdt(core: Core): boolean {
  const pages = core.tables.ldtPages.filter(mfn => mfn >= 0);
  core.tables.ldtPages.fill(-1);
  for (const mfn of pages) putPageAndType(core, asFrame(mfn));
  return pages.length > 0;
}
/** pv_map_ldt_shadow_page: the frame of the LDT at a byte offset, checked and referenced; undefined: the guest faults. */
export function ldtPage(core: Core, offset: number): Frame | undefined {
  const { tables } = core;
  if (offset >>> 3 >= tables.ldtEntries) return undefined;
  const page = Math.floor(offset / PAGE_BYTES);
  if (tables.ldtPages[page]! >= 0) return asFrame(tables.ldtPages[page]!);
  core.begin();
  return core.entryDone(() => {
    const entry = kernelEntry(core, tables.ldtBase + BigInt(page * PAGE_BYTES));
    const mfn = frameIn(entry);
    if (!(entry & PRESENT) || !getPage(core, mfn)) return undefined;
    if (getType(core, mfn, TYPE.seg_desc) !== 0) {
      putPage(core, mfn);
      return undefined;
    }
    tables.ldtPages[page] = mfn;
    return mfn;
  });
}
