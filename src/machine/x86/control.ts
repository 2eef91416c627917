/**
 * Bits of the control registers, of EFER and of RFLAGS that have names here. SDM 3A, 2.3 and 2.5; 2.2.1 for EFER.
 * The arithmetic flags are in flags.ts.
 */
export const CR0 = {
  PE: 1n << 0n,
  MP: 1n << 1n,
  EM: 1n << 2n,
  TS: 1n << 3n,
  ET: 1n << 4n,
  NE: 1n << 5n,
  WP: 1n << 16n,
  AM: 1n << 18n,
  NW: 1n << 29n,
  CD: 1n << 30n,
  PG: 1n << 31n,
} as const;
export const CR4 = {
  TSD: 1n << 2n,
  DE: 1n << 3n,
  PSE: 1n << 4n,
  PAE: 1n << 5n,
  PGE: 1n << 7n,
  OSFXSR: 1n << 9n,
  OSXMMEXCPT: 1n << 10n,
} as const;
export const EFER = { SCE: 1n << 0n, LME: 1n << 8n, LMA: 1n << 10n, NXE: 1n << 11n } as const;

/*
 *   31   22 21 20  19  18 17 16 15 14 13 12  11 ... 0
 *  |  0    |ID|VIP|VIF|AC|VM|RF|0 |NT| IOPL| OF DF IF TF SF ZF 0 AF 0 PF 1 CF |
 */
export const RFLAGS = {
  FIXED: 1n << 1n,
  TF: 1n << 8n,
  IF: 1n << 9n,
  IOPL: 3n << 12n,
  NT: 1n << 14n,
  RF: 1n << 16n,
  VM: 1n << 17n,
  AC: 1n << 18n,
  ID: 1n << 21n,
} as const;
/** CF, PF, AF, ZF, SF, DF, OF. */
export const USER_FLAGS = 0xcd5n;
export const ioplOf = (rflags: bigint): number => Number((rflags & RFLAGS.IOPL) >> 12n);

/** Whether an address means something: its upper 17 bits are all alike (SDM 1, 3.3.7.1). */
export const isCanonical = (va: bigint): boolean =>
  BigInt.asUintN(64, BigInt.asIntN(48, va)) === BigInt.asUintN(64, va);
