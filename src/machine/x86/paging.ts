/**
 * 4-level paging as the page walk of the engine wants it. SDM 3A, 4.5, tables 4-15 to 4-20; the drawing of an entry is
 * in isa/x86_64.ts. MAXPHYADDR is 46 (CPUID says so): higher address bits are reserved.
 */
import type { WalkFormat } from '../engine/walk.js';

export const PHYSICAL_ADDRESS_BITS = 46;
const FRAME_MASK = 0x000f_ffff_ffff_f000n;
/** Bits 51..46. */
const RESERVED_ADDRESS = FRAME_MASK & ~((1n << BigInt(PHYSICAL_ADDRESS_BITS)) - 1n);
const LARGE = 1n << 7n;
/** Address bits below a large page's size, but for bit 12, which is PAT. */
const belowLarge = (shift: number): bigint => ((1n << BigInt(shift)) - 1n) & ~0x1fffn;

export const WALK_4LEVEL: WalkFormat = {
  name: 'x86-64-4level',
  levels: [
    { shift: 39, bits: 9, large: false, reservedTable: RESERVED_ADDRESS | LARGE, reservedPage: 0n },
    {
      shift: 30,
      bits: 9,
      large: true,
      reservedTable: RESERVED_ADDRESS,
      reservedPage: RESERVED_ADDRESS | belowLarge(30),
    },
    {
      shift: 21,
      bits: 9,
      large: true,
      reservedTable: RESERVED_ADDRESS,
      reservedPage: RESERVED_ADDRESS | belowLarge(21),
    },
    { shift: 12, bits: 9, large: false, reservedTable: 0n, reservedPage: RESERVED_ADDRESS },
  ],
  present: 1n << 0n,
  write: 1n << 1n,
  user: 1n << 2n,
  accessed: 1n << 5n,
  dirty: 1n << 6n,
  large: LARGE,
  global: 1n << 8n,
  noExecute: 1n << 63n,
  frameMask: FRAME_MASK,
  rootMask: FRAME_MASK,
  vaddrBits: 48,
};
