/**
 * ARMv7-A with short descriptors: registers, status bits, vectors and its two-level paging, as data.
 * Source: ARM ARM (DDI 0406C) B3.5 (short-descriptor format), B1.3 (modes and registers), B1.8 (exceptions).
 */
import { asPaddr, PAGE_BYTES, type Paddr } from '../base/brand.js';
import { lo32 } from '../base/u64.js';
import type { Entry, Isa, Level, PagingFormat, Permissions, Register } from './isa.js';

const of = (group: Register['group'], bits: Register['bits'], names: string): Register[] =>
  names.split(' ').map(name => ({ name, bits, group }));

/** Register numbers. The first sixteen are the hardware's own; numbers are in recordings, so append only. */
const registers: readonly Register[] = [
  ...of('general', 32, 'r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 sp lr pc'), // 0-15
  ...of('flags', 32, 'cpsr'), // 16
  ...of('system', 32, 'sp_usr lr_usr sp_svc lr_svc spsr_svc sp_abt lr_abt spsr_abt'), // 17-24
  ...of('system', 32, 'sp_und lr_und spsr_und sp_irq lr_irq spsr_irq sp_fiq lr_fiq spsr_fiq'), // 25-33
  ...of('control', 32, 'sctlr ttbr0 ttbr1 ttbcr dacr dfsr ifsr dfar ifar vbar contextidr'), // 34-44
  ...of('system', 32, 'tpidrurw tpidruro tpidrprw'), // 45-47
];
/** Register name to number: REG_ARM.pc is 15. */
export const REG_ARM: Readonly<Record<string, number>> = Object.fromEntries(registers.map((r, n) => [r.name, n]));

/*
 * First level, 4,096 entries of 1 MiB (ARM ARM B3.5.1); the low two bits say what it is:
 *
 *   31            24 23     20 19 18 17 16 15   14:12  11:10   9  8:5   4 3 2  1 0
 *  +---------------------------------------------+--+-----------------------+-----+
 *  | table base, 1 KiB aligned (31:10)           |..| 9  domain    sbz NS PXN| 0 1 |  table
 *  +----------------+--------+--+--+--+--+--+-------+-------+-+-------+--+-+-+-----+
 *  | section base (31:20)    |NS| 0|nG| S|AP2| TEX  | AP1:0 | | domain|XN|C|B| 1 P |  section, 1 MiB
 *  | base 31:24     |PA 35:32|NS| 1|nG| S|AP2| TEX  | AP1:0 | |PA39:36|XN|C|B| 1 P |  supersection, 16 MiB
 *  +----------------+--------+--+--+--+--+--+-------+-------+-+-------+--+-+-+-----+
 */
const SUPERSECTION = 1 << 18;
const isTable = (e: number): boolean => (e & 3) === 1;
const isSection = (e: number): boolean => (e & 2) !== 0; // bit 0 is PXN of a section

/** AP[2:0] as the manual's table B3-8 has it, with SCTLR.AFE off: [read and write in PL1, in PL0]. */
function access(ap: number): Pick<Permissions, 'write' | 'user'> {
  const writable = ap === 1 || ap === 2 || ap === 3; // 2: PL0 may only read, which a single `write` cannot say
  return { write: writable, user: ap === 2 || ap === 3 || ap === 6 || ap === 7 };
}

/** What the entry of a table allows is said by its leaves (and by the domain, which is a register). */
const EVERYTHING: Permissions = { write: true, user: true, execute: true, global: false };

const section: Level = {
  name: 'L1',
  number: 2,
  shift: 20,
  bits: 12,
  flags: [
    [2, 'B'],
    [3, 'C'],
    [4, 'XN'],
    [10, 'AP0'],
    [11, 'AP1'],
    [15, 'AP2'],
    [16, 'SHARED'],
    [17, 'NG'],
    [18, 'SUPER'],
    [19, 'NS'],
  ],
  target(lo) {
    if (isTable(lo)) return lo >>> 12;
    if (!isSection(lo)) return -1;
    if (!(lo & SUPERSECTION)) return (lo >>> 20) * 2 ** 8;
    return ((lo >>> 5) & 0xf) * 2 ** 24 + ((lo >>> 20) & 0xf) * 2 ** 20 + (lo >>> 24) * 2 ** 12;
  },
  span: lo => (!isSection(lo) ? 0 : lo & SUPERSECTION ? 12 : 8),
  decode(entry): Entry {
    const e = lo32(entry);
    if (isTable(e)) return { kind: 'table', at: asPaddr((e & 0xffff_fc00) >>> 0), flags: EVERYTHING };
    if (!isSection(e)) return { kind: 'none' };
    const flags = {
      ...access(((e >>> 13) & 4) | ((e >>> 10) & 3)),
      execute: (e & 0x10) === 0,
      global: (e & 0x2_0000) === 0,
    };
    return {
      kind: 'leaf',
      at: asPaddr(section.target(e, 0) * PAGE_BYTES),
      bytes: PAGE_BYTES * 2 ** section.span(e, 0),
      flags,
    };
  },
};

/*
 * Second level, 256 entries (1 KiB) of 4 KiB; a 64 KiB page fills sixteen equal entries:
 *
 *   31               16 15 14:12  11 10  9  8:6    5:4  3 2 1 0
 *  +-------------------+--+------+--+--+---+-----+-----+-+-+---+
 *  | large base (31:16)|XN| TEX  |nG|S |AP2| sbz |AP1:0|C|B|0 1|  large, 64 KiB
 *  +-------------------+--+------+--+--+---+-----+-----+-+-+---+
 *  | small base (31:12)          |nG|S |AP2| TEX |AP1:0|C|B|1 X|  small, 4 KiB; X is XN
 *  +-----------------------------+--+--+---+-----+-----+-+-+---+
 */
const page: Level = {
  name: 'L2',
  number: 1,
  shift: 12,
  bits: 8,
  flags: [
    [2, 'B'],
    [3, 'C'],
    [4, 'AP0'],
    [5, 'AP1'],
    [9, 'AP2'],
    [10, 'SHARED'],
    [11, 'NG'],
  ],
  target: lo => ((lo & 3) === 0 ? -1 : (lo & 3) === 1 ? (lo >>> 16) * 16 : lo >>> 12),
  span: lo => ((lo & 3) === 1 ? 4 : 0),
  decode(entry): Entry {
    const e = lo32(entry);
    const frame = page.target(e, 0);
    if (frame < 0) return { kind: 'none' };
    const large = (e & 3) === 1;
    const flags = {
      ...access(((e >>> 7) & 4) | ((e >>> 4) & 3)),
      execute: large ? (e & 0x8000) === 0 : (e & 1) === 0,
      global: (e & 0x800) === 0,
    };
    return { kind: 'leaf', at: asPaddr(frame * PAGE_BYTES), bytes: large ? 65_536 : PAGE_BYTES, flags };
  },
};

export const SHORT_DESCRIPTORS: PagingFormat = {
  name: 'armv7-short',
  entryBytes: 4,
  vaddrBits: 32,
  signed: false,
  levels: [section, page],
  rootOf: (ttbr): Paddr => asPaddr(Number(ttbr & 0xffff_c000n)), // 16 KiB aligned, with TTBCR.N = 0
};

export const ARMV7: Isa = {
  name: 'armv7',
  registers,
  roles: { pc: REG_ARM.pc!, sp: REG_ARM.sp!, fp: REG_ARM.r11!, flags: REG_ARM.cpsr!, root: REG_ARM.ttbr0! },
  flagBits: [
    [5, 'T'],
    [6, 'F'],
    [7, 'I'],
    [8, 'A'],
    [9, 'E'],
    [27, 'Q'],
    [28, 'V'],
    [29, 'C'],
    [30, 'Z'],
    [31, 'N'],
  ],
  // by offset in the vector table / 4
  vectors: ['reset', 'undefined', 'svc', 'prefetch abort', 'data abort', 'hyp', 'irq', 'fiq'],
  paging: [SHORT_DESCRIPTORS],
};
