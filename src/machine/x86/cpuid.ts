/**
 * What cpuid says: the features that work, and nothing else. A system that shows its guests another machine replaces
 * `cpu.cpuid` (a hypervisor's leaves, features it hides). SDM 2A, CPUID.
 */
import { REG } from '../../isa/x86_64.js';
import type { Cpu } from './cpu.js';
import { PHYSICAL_ADDRESS_BITS } from './paging.js';
import type { Family } from './semantics.js';

export type CpuidAnswer = readonly [eax: number, ebx: number, ecx: number, edx: number];
export type Cpuid = (leaf: number, subleaf: number) => CpuidAnswer;

/** Bit numbers, by where the feature is told. */
export const FEATURES = {
  /** Leaf 1, edx. */
  basic: {
    fpu: 0,
    pse: 3,
    tsc: 4,
    msr: 5,
    pae: 6,
    cx8: 8,
    pge: 13,
    cmov: 15,
    pat: 16,
    clflush: 19,
    mmx: 23,
    fxsr: 24,
    sse: 25,
    sse2: 26,
  },
  /** Leaf 1, ecx. */
  more: { cx16: 13 },
  /** Leaf 0x8000_0001, edx, and ecx. */
  extended: { syscall: 11, nx: 20, pdpe1gb: 26, rdtscp: 27, lm: 29 },
  extendedMore: { lahf64: 0 },
} as const;

const bits = (features: Readonly<Record<string, number>>): number =>
  Object.values(features).reduce((all, bit) => all | (1 << bit), 0) >>> 0;
const VENDOR = 'GenuineIntel';
const BRAND = 'rewalk emulated x86-64 processor'.padEnd(48, '\0');
/** Family 6, model 15, stepping 1: the first Intel processors with all of the above. */
const SIGNATURE = 0x0000_06f1;
const CLFLUSH_BYTES = 64;
const VIRTUAL_ADDRESS_BITS = 48;
const EXTENDED = 0x8000_0000;

/** Four bytes of a text as a register holds them. */
const word = (text: string, at: number): number =>
  [3, 2, 1, 0].reduce((value, n) => (value << 8) | text.charCodeAt(at + n), 0) >>> 0;
const words = (text: string, at: number): CpuidAnswer => [
  word(text, at),
  word(text, at + 4),
  word(text, at + 8),
  word(text, at + 12),
];

const LEAVES: ReadonlyMap<number, CpuidAnswer> = new Map([
  [0, [1, word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4)]],
  [1, [SIGNATURE, (CLFLUSH_BYTES / 8) << 8, bits(FEATURES.more), bits(FEATURES.basic)]],
  [EXTENDED, [EXTENDED + 8, 0, 0, 0]],
  [EXTENDED + 1, [0, 0, bits(FEATURES.extendedMore), bits(FEATURES.extended)]],
  [EXTENDED + 2, words(BRAND, 0)],
  [EXTENDED + 3, words(BRAND, 16)],
  [EXTENDED + 4, words(BRAND, 32)],
  [EXTENDED + 8, [(VIRTUAL_ADDRESS_BITS << 8) | PHYSICAL_ADDRESS_BITS, 0, 0, 0]],
]);
const NOTHING: CpuidAnswer = [0, 0, 0, 0];
/** Numbers beyond the last leaf answer as the highest basic one does (SDM 2A, CPUID). */
export const CPUID: Cpuid = leaf => {
  const beyond = leaf < EXTENDED ? leaf > 1 : leaf > EXTENDED + 8;
  return LEAVES.get(beyond ? 1 : leaf) ?? NOTHING;
};

function cpuid(cpu: Cpu): undefined {
  const low = (reg: number): number => Number(cpu.get(reg) & 0xffff_ffffn);
  const [eax, ebx, ecx, edx] = cpu.cpuid(low(REG.rax!), low(REG.rcx!));
  cpu.set(REG.rax!, BigInt(eax >>> 0));
  cpu.set(REG.rbx!, BigInt(ebx >>> 0));
  cpu.set(REG.rcx!, BigInt(ecx >>> 0));
  cpu.set(REG.rdx!, BigInt(edx >>> 0));
}
export const CPUID_FAMILY: Family = { system: [{ op: 'cpuid', run: cpuid }] };
