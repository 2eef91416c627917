/**
 * x86-64: registers, flags, vectors and 4-level paging, as data.
 * Source: Intel SDM volume 3A, 4.5 (4-level paging) and 6.3 (vectors); volume 1, 3.4.3 (RFLAGS).
 */
import { asPaddr, PAGE_BYTES, type Paddr } from '../base/brand.js';
import type { Entry, Isa, Level, PagingFormat, Permissions, Register } from './isa.js';

const of = (group: Register['group'], bits: Register['bits'], names: string): Register[] =>
  names.split(' ').map(name => ({ name, bits, group }));

/** Register numbers. The first sixteen are the hardware's own encoding; numbers are in recordings, so append only. */
const registers: readonly Register[] = [
  ...of('general', 64, 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'), // 0-15
  ...of('general', 64, 'rip'), // 16
  ...of('flags', 64, 'rflags'), // 17
  ...of('segment', 16, 'es cs ss ds fs gs'), // 18-23, in the order of the segment encoding
  ...of('system', 64, 'fs_base gs_base kernel_gs_base'), // 24-26
  ...of('control', 64, 'cr0 cr2 cr3 cr4 cr8 efer'), // 27-32
  ...of('system', 64, 'star lstar cstar fmask'), // 33-36
  ...of('system', 64, 'gdtr_base gdtr_limit idtr_base idtr_limit'), // 37-40
  ...of('segment', 16, 'ldtr tr'), // 41-42
  ...of('debug', 64, 'dr0 dr1 dr2 dr3 dr6 dr7'), // 43-48
  ...of('system', 64, 'tsc_aux mxcsr fcw fsw'), // 49-52
];

/** Register name to number: REG.rip is 16. */
export const REG: Readonly<Record<string, number>> = Object.fromEntries(registers.map((r, n) => [r.name, n]));

/*
 * A page-table entry (SDM 3A, figure 4-11):
 *
 *   63 62   59 58    52 51                      12 11    9 8 7 6 5 4 3 2 1 0
 *  +--+-------+--------+--------------------------+-------+-+-+-+-+-+-+-+-+-+
 *  |NX| PKEY  |software| frame                    | soft  |G|S|D|A|C|T|U|W|P|
 *  +--+-------+--------+--------------------------+-------+-+-+-+-+-+-+-+-+-+
 *   S: at L2 and L3 a large page (PSE), at L1 the PAT bit
 */
const PRESENT = 1n;
const PSE = 1n << 7n;
const FRAME_MASK = 0x000f_ffff_ffff_f000n;

const permissions = (e: bigint): Permissions => ({
  write: (e & 2n) !== 0n,
  user: (e & 4n) !== 0n,
  execute: e >> 63n === 0n,
  global: (e & 0x100n) !== 0n,
});

const COMMON = [
  [0, 'PRESENT'],
  [1, 'RW'],
  [2, 'USER'],
  [3, 'PWT'],
  [4, 'PCD'],
  [5, 'ACCESSED'],
] as const;
const TABLE_FLAGS = [...COMMON, [63, 'NX']] as const;
const LARGE_FLAGS = [
  ...COMMON,
  [6, 'DIRTY'],
  [7, 'PSE'],
  [8, 'GLB'],
  [12, 'PAT'],
  [52, 'SOFTW52'],
  [63, 'NX'],
] as const;
const LEAF_FLAGS = [
  ...COMMON,
  [6, 'DIRTY'],
  [7, 'PAT'],
  [8, 'GLB'],
  [9, 'SOFTW1'],
  [10, 'SOFTW2'],
  [11, 'SOFTW3'],
  [52, 'SOFTW52'],
  [63, 'NX'],
] as const;

const level = (number: number, flags: Level['flags']): Level => {
  const shift = 12 + 9 * (number - 1);
  const bytes = 2 ** shift;
  const canBeLarge = number === 2 || number === 3;
  return {
    name: `L${number}`,
    number,
    shift,
    bits: 9,
    flags,
    ...(canBeLarge ? { tableFlags: TABLE_FLAGS } : {}),
    decode(entry): Entry {
      if (!(entry & PRESENT)) return { kind: 'none' };
      const flags = permissions(entry);
      if (number === 1 || (canBeLarge && entry & PSE)) {
        const at = Number(entry & FRAME_MASK);
        return { kind: 'leaf', at: asPaddr(at - (at % bytes)), bytes, flags };
      }
      return { kind: 'table', at: asPaddr(Number(entry & FRAME_MASK)), flags: { ...flags, global: false } };
    },
    target(lo, hi) {
      if (!(lo & 1)) return -1;
      const low = lo >>> 12;
      // a large page keeps its PAT bit and reserved bits below its frame
      const start = canBeLarge && lo & 0x80 ? low - (low % (bytes / PAGE_BYTES)) : low;
      return (hi & 0xf_ffff) * 2 ** 20 + start;
    },
    span: lo => (canBeLarge && lo & 0x80 ? shift - 12 : 0),
  };
};

export const LEVEL4: PagingFormat = {
  name: 'x86-64-4level',
  entryBytes: 8,
  vaddrBits: 48,
  signed: true,
  levels: [level(4, TABLE_FLAGS), level(3, LARGE_FLAGS), level(2, LARGE_FLAGS), level(1, LEAF_FLAGS)],
  rootOf: (cr3): Paddr => asPaddr(Number(cr3 & FRAME_MASK)),
};

export const X86_64: Isa = {
  name: 'x86_64',
  registers,
  roles: { pc: REG.rip!, sp: REG.rsp!, fp: REG.rbp!, flags: REG.rflags!, root: REG.cr3! },
  flagBits: [
    [0, 'CF'],
    [2, 'PF'],
    [4, 'AF'],
    [6, 'ZF'],
    [7, 'SF'],
    [8, 'TF'],
    [9, 'IF'],
    [10, 'DF'],
    [11, 'OF'],
    [14, 'NT'],
    [16, 'RF'],
    [18, 'AC'],
    [21, 'ID'],
  ],
  vectors: [
    '#DE',
    '#DB',
    'NMI',
    '#BP',
    '#OF',
    '#BR',
    '#UD',
    '#NM',
    '#DF',
    '#CSO',
    '#TS',
    '#NP',
    '#SS',
    '#GP',
    '#PF',
    '#RES',
    '#MF',
    '#AC',
    '#MC',
    '#XM',
    '#VE',
    '#CP',
  ],
  paging: [LEVEL4],
};
