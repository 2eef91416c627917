/**
 * i386: registers, flags, vectors, and its two paging formats, as data.
 * Source: Intel SDM volume 3A, 4.3 (32-bit paging) and 4.4 (PAE); volume 1, 3.4 (registers).
 */
import { asPaddr, PAGE_BYTES, type Paddr } from '../base/brand.js';
import { hi32, lo32 } from '../base/u64.js';
import type { Entry, Isa, Level, PagingFormat, Permissions, Register } from './isa.js';
import { X86_64 } from './x86_64.js';

const of = (group: Register['group'], bits: Register['bits'], names: string): Register[] =>
  names.split(' ').map(name => ({ name, bits, group }));

/** Register numbers. The first eight are the hardware's own encoding; numbers are in recordings, so append only. */
const registers: readonly Register[] = [
  ...of('general', 32, 'eax ecx edx ebx esp ebp esi edi'), // 0-7
  ...of('general', 32, 'eip'), // 8
  ...of('flags', 32, 'eflags'), // 9
  ...of('segment', 16, 'es cs ss ds fs gs'), // 10-15, in the order of the segment encoding
  ...of('control', 32, 'cr0 cr2 cr3 cr4'), // 16-19
  ...of('system', 32, 'gdtr_base gdtr_limit idtr_base idtr_limit'), // 20-23
  ...of('segment', 16, 'ldtr tr'), // 24-25
  ...of('debug', 32, 'dr0 dr1 dr2 dr3 dr6 dr7'), // 26-31
  ...of('system', 32, 'sysenter_cs sysenter_esp sysenter_eip mxcsr fcw fsw'), // 32-37
];
/** Register name to number: REG32.eip is 8. */
export const REG32: Readonly<Record<string, number>> = Object.fromEntries(registers.map((r, n) => [r.name, n]));

const COMMON = [
  [0, 'PRESENT'],
  [1, 'RW'],
  [2, 'USER'],
  [3, 'PWT'],
  [4, 'PCD'],
  [5, 'ACCESSED'],
] as const;
const SOFTWARE = [
  [9, 'SOFTW1'],
  [10, 'SOFTW2'],
  [11, 'SOFTW3'],
] as const;
const LARGE_FLAGS = [...COMMON, [6, 'DIRTY'], [7, 'PSE'], [8, 'GLB'], ...SOFTWARE, [12, 'PAT']] as const;
const LEAF_FLAGS = [...COMMON, [6, 'DIRTY'], [7, 'PAT'], [8, 'GLB'], ...SOFTWARE] as const;
const NX = [63, 'NX'] as const;

const PRESENT = 1;
const PSE = 0x80;

/** `decode` in terms of `target` and `span`, which know where the address lies. */
function decoder(level: Pick<Level, 'number' | 'target' | 'span'>, flagsOf: (lo: number, hi: number) => Permissions) {
  return (entry: bigint): Entry => {
    const lo = lo32(entry);
    const hi = hi32(entry);
    const frame = level.target(lo, hi);
    if (frame < 0) return { kind: 'none' };
    const at = asPaddr(frame * PAGE_BYTES);
    const flags = flagsOf(lo, hi);
    const span = level.span(lo, hi);
    return level.number === 1 || span > 0
      ? { kind: 'leaf', at, bytes: PAGE_BYTES * 2 ** span, flags }
      : { kind: 'table', at, flags: { ...flags, global: false } };
  };
}
const permissions = (lo: number, hi: number): Permissions => ({
  write: (lo & 2) !== 0,
  user: (lo & 4) !== 0,
  execute: hi >>> 31 === 0,
  global: (lo & 0x100) !== 0,
});

/*
 * 32-bit paging, 4-byte entries (SDM 3A, figure 4-4):
 *
 *   31                            12 11    9 8 7 6 5 4 3 2 1 0
 *  +--------------------------------+-------+-+-+-+-+-+-+-+-+-+
 *  | frame                          | soft  |G|S|D|A|C|T|U|W|P|     S at L2: a 4 MiB page, whose address is
 *  +--------------------------------+-------+-+-+-+-+-+-+-+-+-+     bits 31-22 and, as bits 39-32, bits 20-13
 */
function level32(number: 1 | 2): Level {
  const large = (lo: number): boolean => number === 2 && (lo & PSE) !== 0;
  const where = {
    number,
    target: (lo: number): number =>
      !(lo & PRESENT) ? -1 : large(lo) ? ((lo >>> 13) & 0xff) * 2 ** 20 + (lo >>> 22) * 2 ** 10 : lo >>> 12,
    span: (lo: number): number => (large(lo) ? 10 : 0),
  };
  return {
    ...where,
    name: `L${number}`,
    shift: number === 2 ? 22 : 12,
    bits: 10,
    flags: number === 2 ? LARGE_FLAGS.slice(0, -1) : LEAF_FLAGS,
    decode: decoder(where, lo => permissions(lo, 0)),
  };
}

export const I386: PagingFormat = {
  name: 'i386-2level',
  entryBytes: 4,
  vaddrBits: 32,
  signed: false,
  levels: [level32(2), level32(1)],
  rootOf: (cr3): Paddr => asPaddr(Number(cr3 & 0xffff_f000n)),
};

/*
 * PAE, 8-byte entries: as in x86-64, three levels, of which the first has four entries and no W, U, S, NX bits: a
 * present L3 entry allows everything (SDM 3A, 4.4.1).
 */
function levelPae(number: 1 | 2 | 3): Level {
  const large = (lo: number): boolean => number === 2 && (lo & PSE) !== 0;
  const where = {
    number,
    target(lo: number, hi: number): number {
      if (!(lo & PRESENT)) return -1;
      const low = lo >>> 12;
      return (hi & 0xf_ffff) * 2 ** 20 + (large(lo) ? low - (low % 512) : low);
    },
    span: (lo: number): number => (large(lo) ? 9 : 0),
  };
  const everything: Permissions = { write: true, user: true, execute: true, global: false };
  return {
    ...where,
    name: `L${number}`,
    shift: 12 + 9 * (number - 1),
    bits: number === 3 ? 2 : 9,
    flags: number === 3 ? [COMMON[0], COMMON[3], COMMON[4]] : number === 2 ? [...LARGE_FLAGS, NX] : [...LEAF_FLAGS, NX],
    decode: decoder(where, number === 3 ? () => everything : permissions),
  };
}

export const PAE: PagingFormat = {
  name: 'i386-pae',
  entryBytes: 8,
  vaddrBits: 32,
  signed: false,
  levels: [levelPae(3), levelPae(2), levelPae(1)],
  rootOf: (cr3): Paddr => asPaddr(Number(cr3 & 0xffff_ffe0n)), // 32-byte aligned: SDM 3A, table 4-7
};

export const I386_ISA: Isa = {
  name: 'i386',
  registers,
  roles: { pc: REG32.eip!, sp: REG32.esp!, fp: REG32.ebp!, flags: REG32.eflags!, root: REG32.cr3! },
  flagBits: X86_64.flagBits,
  vectors: X86_64.vectors,
  paging: [I386, PAE],
};
