/**
 * The map of the linear memory. Everything the generated code touches lives in one WebAssembly memory, so that a load
 * costs one instruction; TypeScript sees the same bytes through views.
 *
 *   0x00_0000  nothing: a record or host address of 0 means "none"
 *   0x00_0100  control words (CONTROL): what the generated code and the run loop tell each other
 *   0x00_0400  registers, 8 bytes each, by the numbers of the isa; then hidden ones (HIDDEN)
 *   0x00_1000  vector and floating point state, 4 KiB, for the processor to lay out
 *   0x01_0000  fast data tags, 1024 x 32 bytes, for user mode;    0x01_8000 the same for supervisor mode
 *   0x02_0000  fast code tags, 1024 x 16 bytes, for user mode;    0x02_4000 the same for supervisor mode
 *   0x02_8000  architectural data TLB, 1024 x 32 bytes;           0x03_0000 architectural code TLB
 *   0x04_0000  jump cache, 65,536 x 16 bytes: virtual address and frame -> record
 *   0x14_0000  one byte a guest frame: why stores to it are slow (PAGE_FLAGS)
 *   ...        one bit for each 64 bytes of guest memory: instructions were decoded from there (CODE_LINE_BYTES)
 *   ...        records of decoded instructions (the arena)
 *   ...        guest memory, at a multiple of 64 KiB
 */

import { PAGE_BYTES } from '../../base/brand.js';
import { Trouble } from '../../base/trouble.js';

export const CONTROL = {
  /** Record at which the run stopped, 0 if between blocks (then PC counts). u32 */
  record: 0x100,
  /** Budget left when it stopped or called out; see run.ts. i32 */
  left: 0x104,
  /** Virtual address of the next instruction when `record` is 0. u64 */
  pc: 0x108,
  /** A Fault kind, its access and its detail: fault.ts. u32, u32, u64 */
  faultKind: 0x110,
  faultAccess: 0x114,
  faultDetail: 0x118,
  /** Root register of the page walk, u64, and WALK flags, u32. */
  root: 0x120,
  walkFlags: 0x128,
  /** Address of the fast data tags and fast code tags of the current privilege. u32 each */
  fastData: 0x12c,
  fastCode: 0x130,
  /** Results of the page walk: frame's byte address u64, PERMISSION bits u32, log2 of the page size u32. */
  walkFrame: 0x138,
  walkPermissions: 0x140,
  walkShift: 0x144,
  /** Virtual address of the last data access that took the slow path. u64 */
  dataAddress: 0x148,
  /** Not 0: every entry the architectural TLB takes is told to `filled`. u32 */
  tellFills: 0x150,
  /** Elements that a repeated instruction may do at once. u32 */
  elements: 0x154,
  /** 1 while blocks of one instruction are run, 0 otherwise: which of the two `find` looks for. u32 */
  single: 0x158,
  /** Not 0: since a region was entered a block was dropped, or fast code tags were. u32 */
  changed: 0x15c,
  /** The record at which a region was left last, 0 if it faulted there; and how often one was left in the middle of a block. u32 each */
  leftAt: 0x160,
  leaves: 0x164,
} as const;

export const REGISTERS = 0x400;
/** Where the value of register n lives. */
export const registerAt = (n: number): number => REGISTERS + 8 * n;

/** Registers of the engine's own, not visible to the guest. */
export const HIDDEN = {
  /** Always 0: stands for an absent base or index. */
  zero: 0xc00,
  /** The address computed by an address micro-record. */
  address: 0xc08,
  /** Free use inside one instruction made of several records. */
  temp: 0xc10,
  /** Lazy flags: class, and two operands. */
  flagClass: 0xc18,
  flagA: 0xc20,
  flagB: 0xc28,
  /** Sixteen bytes: a memory operand, loaded by a micro-record for the record behind it. */
  vector: 0xc30,
} as const;

export const VECTOR_STATE = 0x1000;

export const TLB_ENTRIES = 1024;
export const FAST_DATA = { user: 0x1_0000, supervisor: 0x1_8000 } as const;
export const FAST_CODE = { user: 0x2_0000, supervisor: 0x2_4000 } as const;
export const ARCH_DATA = 0x2_8000;
export const ARCH_CODE = 0x3_0000;
export const JUMP_CACHE = 0x4_0000;
export const JUMP_CACHE_BITS = 16;
export const PAGE_FLAGS_AT = 0x14_0000;

/** Why a frame has no fast write tag. Any bit set sends stores to `trapped` (memory.ts). */
export const PAGE_FLAGS = {
  /** The host wants to see every store: page tables. */
  watched: 1,
  /** Holds decoded instructions. */
  code: 2,
  /** Not written since the last checkpoint. */
  clean: 4,
  /** Every store is told to onTraced: full detail. */
  traced: 8,
} as const;

/** Where decoded instructions came from is known to a line: stores elsewhere in a page with code stay in WebAssembly. */
export const CODE_LINE_BYTES = 64;

export interface Layout {
  readonly guestBytes: number;
  readonly codeLines: number;
  readonly arena: number;
  readonly arenaEnd: number;
  readonly guest: number;
  /** Size of the whole memory in WebAssembly pages of 64 KiB. */
  readonly pages: number;
}

const MIB = 1 << 20;
const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/**
 * @param guestBytes size of guest memory: a multiple of 4096, up to 2 GiB
 * @param arenaBytes room for decoded instructions, 32 bytes each; when it is full everything is decoded anew
 */
export function layoutOf(guestBytes: number, arenaBytes = 64 * MIB): Layout {
  if (guestBytes <= 0 || guestBytes > 2048 * MIB || guestBytes % PAGE_BYTES !== 0) {
    throw new Trouble(`guest memory must be a multiple of 4 KiB, up to 2 GiB, not ${guestBytes} bytes`);
  }
  const codeLines = roundUp(PAGE_FLAGS_AT + guestBytes / PAGE_BYTES, PAGE_BYTES);
  const arena = roundUp(codeLines + guestBytes / CODE_LINE_BYTES / 8, 0x1_0000);
  const arenaEnd = roundUp(arena + arenaBytes, 0x1_0000);
  const pages = roundUp(arenaEnd + guestBytes, 0x1_0000) / 0x1_0000;
  return { guestBytes, codeLines, arena, arenaEnd, guest: arenaEnd, pages };
}
