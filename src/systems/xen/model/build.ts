/**
 * The domain builder: puts a kernel where it wants to be and gives it what every PV guest starts with. The toolstack does
 * this in life; order and contents are those of tools/libs/guest/xg_dom_core.c (xc_dom_build_image) and xg_dom_x86.c.
 *
 *   virtual, from virtBase (pfn 0)                                                       physical, by pfn
 *   kernel | [P2M] | start_info | xenstore | console | page tables | boot stack | padding || ramdisk | P2M
 *                                                              512 KiB at least, to 4 MiB ++           (if not before)
 *
 * What is left of || is mapped by the first page tables, page tables read-only; the ramdisk is named by its pfn
 * (SIF_MOD_START_PFN); a P2M outside is mapped where the image asks for it (INIT_P2M), with tables of its own behind it.
 */
import { asFrame, asPaddr, type Frame, PAGE_BYTES } from '../../../base/brand.js';
import { Trouble } from '../../../base/trouble.js';
import { hex } from '../../../base/u64.js';
import type { Memory } from '../../../machine/engine/memory.js';
import type { XenImage } from './image.js';
import { arrange, type MachineLayout, XEN_FROM, XEN_TO } from './layout.js';

const PAGE = BigInt(PAGE_BYTES);
/** Entries as the toolstack makes them (lvl_prot): Xen adds USER and the rest when it validates. */
const LEAF = 0x23n; // present, writable, accessed
const TABLE = 0x67n; // and user, dirty
const WRITABLE = 2n;
const INITIAL_ALIGN = 1n << 22n;
const PADDING_PAGES = (512 * 1024) / PAGE_BYTES;
const SIF_MOD_START_PFN = 8;
/** Event channels of xenstore and console, in the order in which the toolstack makes them. */
export const PORTS = { xenstore: 1, console: 2 } as const;
const COMMAND_LINE_MAX = 1024;
/** Offsets in start_info (public/xen.h). */
const START_INFO = {
  nrPages: 32,
  sharedInfo: 40,
  flags: 48,
  storeMfn: 56,
  storePort: 64,
  consoleMfn: 72,
  consolePort: 80,
  ptBase: 88,
  nrPtFrames: 96,
  mfnList: 104,
  modStart: 112,
  modLen: 120,
  commandLine: 128,
  firstP2mPfn: 1152,
  nrP2mFrames: 1160,
} as const;
const VCPUS = 32;
const VCPU_INFO_BYTES = 64;
export const UPCALL_MASK = 1;

export interface BuildInput {
  readonly ramdisk?: Uint8Array | undefined;
  readonly commandLine?: string | undefined;
}
/** A domain in memory, before its first instruction. */
export interface BuiltDomain {
  readonly mfns: Uint32Array;
  /** The first L4; its tables are in memory, and nobody validated them yet. */
  readonly root: Frame;
  readonly entry: bigint;
  readonly stack: bigint;
  readonly startInfo: bigint;
  /** Machine frames of the two pages that are shared with back ends. */
  readonly console: number;
  readonly xenstore: number;
}

/** A range of the guest's addresses with the page tables for it, the top one of the first mapping included. */
interface Mapping {
  readonly from: bigint;
  /** The last page. */
  readonly to: bigint;
  /** Of the first page; the others follow. */
  readonly pfn: number;
  /** Of its first table; the others follow. */
  readonly tablesPfn: number;
  /** By level 1 to 4: which tables, by (address >> shift of the level above), and their pfns. */
  readonly tables: ReadonlyMap<string, number>;
}
const VADDR_BITS = 48;
/** Which table of a level an address needs: its bits above what the table covers. */
const tableKey = (level: number, at: bigint): string =>
  `${level}:${hex(BigInt.asUintN(VADDR_BITS, at) >> BigInt(12 + 9 * level))}`;

/** The tables for from..to, top down, each level from `pfn` on; those in `known` are there already (count_pgtables). */
function tablesFor(from: bigint, to: bigint, first: number, known: ReadonlyMap<string, number>): Map<string, number> {
  const tables = new Map<string, number>();
  for (let level = 4; level >= 1; level--) {
    const shift = BigInt(12 + 9 * level);
    for (let n = BigInt.asUintN(48, from) >> shift; n <= BigInt.asUintN(48, to) >> shift; n++) {
      const key = `${level}:${hex(n)}`;
      if (!known.has(key)) tables.set(key, first + tables.size);
    }
  }
  return tables;
}

/**
 * Builds the domain in `memory`, which is zero: its pages and the shared page, no table of Xen's.
 * @throws Trouble when the image does not fit
 */
export function build(memory: Memory, layout: MachineLayout, image: XenImage, input: BuildInput = {}): BuiltDomain {
  const { name, virtBase } = image;
  const bad = (why: string): never => {
    throw new Trouble(`${name}: ${why}`);
  };
  const pages = layout.domainFrames;
  const mfns = arrange(layout);
  const vaddr = (pfn: number): bigint => BigInt.asUintN(64, virtBase + BigInt(pfn) * PAGE);
  const at = (pfn: number, offset = 0): number => mfns[pfn]! * PAGE_BYTES + offset;
  const fits = (end: number, what: string): void => {
    if (end > pages) bad(`${what} needs ${end} pages from ${hex(virtBase)} on; the domain has ${pages}`);
  };
  const put = (pfn: number, offset: number, value: bigint, bytes: 4 | 8 = 8): void =>
    memory.hostStore(asPaddr(at(pfn, offset)), bytes, value);
  /** Bytes that lie one behind the other for the guest. */
  const write = (from: number, data: Uint8Array): void => {
    for (let done = 0; done < data.length; ) {
      const offset = (from + done) % PAGE_BYTES;
      const piece = data.subarray(done, done + PAGE_BYTES - offset);
      memory.hostWrite(asPaddr(at(Math.floor((from + done) / PAGE_BYTES), offset)), piece);
      done += piece.length;
    }
  };

  // The kernel. Its physical addresses count (elf_load_binary): virtual ones may be anything, like those of per-cpu data.
  let end = 0;
  for (const { physical, data, memoryBytes } of image.elf.segments) {
    const from = physical - image.paddrOffset;
    if (from < 0n) bad(`a segment at physical address ${hex(physical)} is below its offset ${hex(image.paddrOffset)}`);
    const last = from + BigInt(memoryBytes);
    if (last > BigInt(pages) * PAGE) bad(`a segment up to ${hex(last)} does not fit into ${pages} pages of memory`);
    write(Number(from), data); // the rest is zero already
    end = Math.max(end, Math.ceil(Number(last) / PAGE_BYTES));
  }
  const take = (count: number): number => {
    end += count;
    return end - count;
  };
  const p2mPages = Math.ceil(pages / 512);
  const p2mInside = image.initP2m === undefined ? take(p2mPages) : undefined;
  const [startInfo, xenstore, consolePage] = [take(1), take(1), take(1)];

  // Page tables: how many depends on how much they map, which includes themselves (alloc_pgtables_pv).
  const alloc = vaddr(end);
  let [tables, last]: [Map<string, number>, bigint] = [new Map(), 0n];
  for (let needed = PADDING_PAGES + 1; ; ) {
    last = (alloc + BigInt(needed) * PAGE) | (INITIAL_ALIGN - 1n);
    tables = tablesFor(virtBase, last, end, new Map());
    needed = tables.size + PADDING_PAGES + 1;
    if (alloc + BigInt(needed) * PAGE <= last + 1n) break;
  }
  const mappedEnd = Number((last + 1n - virtBase) / PAGE);
  fits(mappedEnd + 1, 'the initial mapping');
  if (last >= 1n << 64n || (virtBase < XEN_TO && last >= XEN_FROM))
    bad(`its virtual base ${hex(virtBase)} leads into what is not its own`);
  const first: Mapping = { from: virtBase, to: last, pfn: 0, tablesPfn: end, tables };
  const ptBase = take(tables.size);
  const stack = take(1);
  end = mappedEnd;

  let ramdiskPfn = 0;
  if (input.ramdisk) {
    ramdiskPfn = take(Math.ceil(input.ramdisk.length / PAGE_BYTES));
    fits(end, 'the ramdisk');
    if (!image.modStartPfn) bad('it cannot be given a ramdisk: it has no note MOD_START_PFN');
    write(ramdiskPfn * PAGE_BYTES, input.ramdisk);
  }
  const mappings = [first];
  let p2m = p2mInside ?? 0;
  if (image.initP2m !== undefined) {
    const [from, to] = [image.initP2m, image.initP2m + BigInt(p2mPages) * PAGE - 1n];
    p2m = take(p2mPages);
    const more = tablesFor(from, to, end, tables);
    mappings.push({ from, to, pfn: p2m, tablesPfn: end, tables: more });
    take(more.size);
    fits(end, 'the P2M');
  }
  for (let pfn = 0; pfn < pages; pfn++) put(p2m + (pfn >>> 9), (pfn % 512) * 8, BigInt(mfns[pfn]!));
  writeTables(mappings, mfns, (table, index, value) => put(table, 8 * index, value));

  memory.hostWrite(asPaddr(at(startInfo)), Buffer.from('xen-3.0-x86_64', 'latin1'));
  const info = (field: keyof typeof START_INFO, value: bigint | number, bytes: 4 | 8 = 8): void =>
    put(startInfo, START_INFO[field], BigInt(value), bytes);
  info('nrPages', pages);
  info('sharedInfo', layout.sharedInfo * PAGE_BYTES);
  info('flags', input.ramdisk ? SIF_MOD_START_PFN : 0, 4);
  info('storeMfn', mfns[xenstore]!);
  info('storePort', PORTS.xenstore, 4);
  info('consoleMfn', mfns[consolePage]!);
  info('consolePort', PORTS.console, 4);
  info('ptBase', vaddr(ptBase));
  info('nrPtFrames', tables.size);
  info('mfnList', image.initP2m ?? vaddr(p2m));
  if (input.ramdisk) {
    info('modStart', ramdiskPfn);
    info('modLen', Math.ceil(input.ramdisk.length / PAGE_BYTES) * PAGE_BYTES);
  }
  if (image.initP2m !== undefined) {
    info('firstP2mPfn', p2m);
    info('nrP2mFrames', end - p2m);
  }
  const line = Buffer.from(input.commandLine ?? '', 'latin1');
  if (line.length >= COMMAND_LINE_MAX) bad(`a command line of ${line.length} characters; ${COMMAND_LINE_MAX - 1} fit`);
  memory.hostWrite(asPaddr(at(startInfo, START_INFO.commandLine)), line);

  for (let vcpu = 0; vcpu < VCPUS; vcpu++)
    memory.hostStore(asPaddr(layout.sharedInfo * PAGE_BYTES + vcpu * VCPU_INFO_BYTES + UPCALL_MASK), 1, 1n);
  if (image.hypercallPage !== undefined) {
    const pfn = Number((image.hypercallPage - virtBase) / PAGE);
    if (!(pfn >= 0 && pfn < mappedEnd)) bad(`its hypercall page ${hex(image.hypercallPage)} is not in its memory`);
    memory.hostWrite(asPaddr(at(pfn)), hypercallPage());
  }
  return {
    mfns,
    root: asFrame(mfns[ptBase]!),
    entry: image.entry,
    stack: vaddr(stack + 1),
    startInfo: vaddr(startInfo),
    console: mfns[consolePage]!,
    xenstore: mfns[xenstore]!,
  };
}

/** Every entry of the first tables (setup_pgtables_pv): tables of any mapping are mapped read-only. */
function writeTables(
  mappings: readonly Mapping[],
  mfns: Uint32Array,
  put: (table: number, index: number, value: bigint) => void,
): void {
  const all = new Map(mappings.flatMap(m => [...m.tables]));
  const isTable = (pfn: number): boolean => mappings.some(m => pfn >= m.tablesPfn && pfn < m.tablesPfn + m.tables.size);
  const entry = (pfn: number, flags: bigint): bigint => BigInt(mfns[pfn]!) * PAGE + flags;
  for (const { from, to, pfn: first } of mappings)
    for (let at = from, pfn = first; at <= to; at += PAGE, pfn++) {
      for (let level = 4; level >= 1; level--) {
        const table = all.get(tableKey(level, at))!;
        const index = Number((at >> BigInt(12 + 9 * (level - 1))) & 511n);
        if (level === 1) put(table, index, entry(pfn, isTable(pfn) ? LEAF & ~WRITABLE : LEAF));
        else if (at === from || (at >> 12n) % (1n << BigInt(9 * (level - 1))) === 0n)
          put(table, index, entry(all.get(tableKey(level - 1, at))!, TABLE));
      }
    }
}

const HYPERCALL_IRET = 23;
const STUB_BYTES = 32;
/**
 * The page of stubs, one for each call (pv_ring3_init_hypercall_page):
 *
 *   push %rcx; push %r11; mov $call,%eax; syscall; pop %r11; pop %rcx; ret        iret: push rcx, r11, rax; mov; syscall
 */
export function hypercallPage(): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  for (let call = 0; call < PAGE_BYTES / STUB_BYTES; call++) {
    const number = [call, 0, 0, 0];
    const stub =
      call === HYPERCALL_IRET
        ? [0x51, 0x41, 0x53, 0x50, 0xb8, ...number, 0x0f, 0x05]
        : [0x51, 0x41, 0x53, 0xb8, ...number, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3];
    page.set(stub, call * STUB_BYTES);
  }
  return page;
}
