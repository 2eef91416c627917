/**
 * Xen's own page tables, as far as a PV guest meets them: the M2P, which it may read, and its per-domain area, where the
 * processor finds GDT and LDT. They are in machine memory like any table, so a walk of the guest's addresses shows them;
 * accessed and dirty bits are set from the beginning, so that the processor never writes to them.
 *
 *   L4 slot 256   M2P            read-only, for all
 *   L4 slot 260   GDT, 16 pages: 14 of the guest's frames (or zeros), Xen's descriptors, zeros; LDT, 16 pages on demand
 */
import { asFrame, asPaddr, type Frame, PAGE_BYTES, paddrOf } from '../../../base/brand.js';
import { KIND, SPACES } from '../../../events/kinds.js';
import type { Log } from '../../../events/log.js';
import type { Memory } from '../../../machine/engine/memory.js';
import { FORMAT, PATH } from '../names.js';
import { GDT_PAGES, M2P_TABLES, type MachineLayout, XEN_FRAMES, XEN_SLOTS } from './layout.js';

const PAGE = BigInt(PAGE_BYTES);
const ENTRIES = PAGE_BYTES / 8;
/** PRESENT RW ACCESSED DIRTY: __PAGE_HYPERVISOR, for tables and pages that only Xen and the processor use. */
const XEN_ONLY = 0x63n;
const USER = 4n;
const READ_ONLY = 0x25n; // present, user, accessed

/*
 * Flat segments as in Xen's boot_gdt_table: ring 3, 32-bit code (e023), data (e02b), 64-bit code (e033).
 * SDM 3A, 3.4.5; the drawing is in machine/x86/segments.ts.
 */
const FLAT = new Map([
  [0xe020, 0x00cf_fb00_0000_ffffn],
  [0xe028, 0x00cf_f300_0000_ffffn],
  [0xe030, 0x00af_fb00_0000_ffffn],
]);
export const FLAT_CS = 0xe033n;
export const FLAT_SS = 0xe02bn;
export const GDT_LIMIT = BigInt(GDT_PAGES.all * PAGE_BYTES - 1);
const GUEST_SPACE = SPACES.indexOf('guest');

interface Told {
  readonly ticks: number;
  readonly cause: number;
}

export class XenTables {
  private readonly memory: Memory;
  private readonly layout: MachineLayout;

  constructor(memory: Memory, layout: MachineLayout) {
    this.memory = memory;
    this.layout = layout;
  }
  /** Writes them, before anybody watches; every M2P entry says "none". */
  write(): void {
    const { layout } = this;
    const put = (frame: number, index: number, target: number, flags: bigint): void =>
      this.memory.hostStore(this.slot(frame, index), 8, BigInt(target) * PAGE + flags);
    put(M2P_TABLES.l3, 0, M2P_TABLES.l2, XEN_ONLY | USER);
    for (let n = 0; n < layout.m2pL1s; n++) put(M2P_TABLES.l2, n, M2P_TABLES.l1 + n, XEN_ONLY | USER);
    for (let n = 0; n < layout.m2pFrames; n++)
      put(M2P_TABLES.l1 + Math.floor(n / ENTRIES), n % ENTRIES, layout.m2p + n, READ_ONLY);
    const none = new Uint8Array(layout.m2pFrames * PAGE_BYTES).fill(0xff);
    this.memory.hostWrite(paddrOf(asFrame(layout.m2p)), none);
    put(XEN_FRAMES.perDomainL3, 0, XEN_FRAMES.perDomainL2, XEN_ONLY);
    put(XEN_FRAMES.perDomainL2, 0, XEN_FRAMES.perDomainL1, XEN_ONLY);
    for (let n = 0; n < GDT_PAGES.all; n++)
      put(XEN_FRAMES.perDomainL1, n, n === GDT_PAGES.guest ? XEN_FRAMES.descriptors : XEN_FRAMES.zero, XEN_ONLY);
    for (const [offset, value] of FLAT)
      this.memory.hostStore(asPaddr(XEN_FRAMES.descriptors * PAGE_BYTES + (offset % PAGE_BYTES)), 8, value);
  }
  /** Tells what the tables hold. */
  tell(log: Log, { ticks, cause }: Told): void {
    const tables: [frame: number, level: number][] = [
      [M2P_TABLES.l3, 3],
      [M2P_TABLES.l2, 2],
      ...Array.from({ length: this.layout.m2pL1s }, (_, n): [number, number] => [M2P_TABLES.l1 + n, 1]),
      [XEN_FRAMES.perDomainL3, 3],
      [XEN_FRAMES.perDomainL2, 2],
      [XEN_FRAMES.perDomainL1, 1],
    ];
    for (const [frame, level] of tables)
      log.put({
        kind: 'adopt',
        ticks,
        vcpu: 0,
        cause,
        space: 'guest',
        table: asFrame(frame),
        offset: 0,
        level,
        bytes: 8,
        format: FORMAT.fourLevel,
        entries: Array.from({ length: ENTRIES }, (_, n) => this.memory.read(this.slot(frame, n), 8)),
      });
  }
  /** What slots 256 to 271 of a level-4 table hold. */
  get slots(): readonly bigint[] {
    const slots = new Array<bigint>(XEN_SLOTS.count).fill(0n);
    slots[XEN_SLOTS.m2p - XEN_SLOTS.first] = BigInt(M2P_TABLES.l3) * PAGE + (XEN_ONLY | USER);
    slots[XEN_SLOTS.perDomain - XEN_SLOTS.first] = BigInt(XEN_FRAMES.perDomainL3) * PAGE + XEN_ONLY;
    return slots;
  }

  /** Maps the frames of the guest's GDT, or zeros (pv_set_gdt, pv_destroy_gdt). */
  mapGdt(frames: readonly Frame[], log: Log, told: Told): void {
    for (let n = 0; n < GDT_PAGES.guest; n++)
      this.map(n, BigInt(frames[n] ?? XEN_FRAMES.zero) * PAGE + XEN_ONLY, log, told);
  }
  /** Maps page n of the LDT, or unmaps it. */
  mapLdt(n: number, frame: Frame | undefined, log: Log, told: Told): void {
    this.map(GDT_PAGES.all + n, frame === undefined ? 0n : BigInt(frame) * PAGE + XEN_ONLY, log, told);
  }

  private map(index: number, value: bigint, log: Log, { ticks, cause }: Told): void {
    const at = this.slot(XEN_FRAMES.perDomainL1, index);
    const old = this.memory.read(at, 8);
    if (old === value) return;
    this.memory.hostStore(at, 8, value);
    const row = log.open(KIND.pte, ticks, 0, cause);
    const c = log.col.pte;
    c.space[row] = GUEST_SPACE;
    c.table[row] = XEN_FRAMES.perDomainL1;
    c.offset[row] = 8 * index;
    c.level[row] = 1;
    c.bytes[row] = 8;
    c.path[row] = PATH.xen;
    c.oldLo[row] = Number(old & 0xffff_ffffn);
    c.oldHi[row] = Number(old >> 32n);
    c.newLo[row] = Number(value & 0xffff_ffffn);
    c.newHi[row] = Number(value >> 32n);
    c.stack[row] = 0;
  }
  private slot(frame: number, index: number) {
    return paddrOf(asFrame(frame), 8 * index);
  }
}
