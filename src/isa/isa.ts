/**
 * What rewalk must know of a processor to show its state, as data: its registers by number, the parts some of them play,
 * and how it walks its page tables. Nothing here executes; the emulated processors and the views read the same tables.
 */
import type { Paddr, Vaddr } from '../base/brand.js';

export interface Register {
  /** The name in the processor's manual, lower case. */
  readonly name: string;
  /** Significant bits; values are stored as u64 whatever the width. */
  readonly bits: 8 | 16 | 32 | 64;
  /** How people want to see them together. */
  readonly group: 'general' | 'flags' | 'segment' | 'control' | 'debug' | 'system';
}

/** What one table entry says, in words every architecture shares. */
export type Entry =
  | { readonly kind: 'none' }
  /** A table of the next level at this byte address. */
  | { readonly kind: 'table'; readonly at: Paddr; readonly flags: Permissions }
  /** Memory, `bytes` long, at this byte address. */
  | { readonly kind: 'leaf'; readonly at: Paddr; readonly bytes: number; readonly flags: Permissions };

/** What an entry allows. Along a walk: write, user and execute must be allowed at every level (see `combine`). */
export interface Permissions {
  readonly write: boolean;
  readonly user: boolean;
  readonly execute: boolean;
  readonly global: boolean;
}

/** One level of a paging format; levels[0] is the one the root register points to. */
export interface Level {
  /** Xen's and the manual's short name: L4, L3 ... */
  readonly name: string;
  /** Counted from the leaf: 1 is the last level. The `level` field of pte events. */
  readonly number: number;
  /** The index is bits shift+bits-1 .. shift of the virtual address. */
  readonly shift: number;
  readonly bits: number;
  /** Bits of the entry with a meaning people name: [bit, name] from low to high, as ptdump prints them. */
  readonly flags: readonly (readonly [bit: number, name: string])[];
  /** Those of an entry that names a table, where a large leaf of the level has others. */
  readonly tableFlags?: readonly (readonly [bit: number, name: string])[];
  /** Takes the entry as stored (u32 or u64) and says what it is. */
  decode(entry: bigint): Entry;
  /** The frame of the table or memory that an entry (as its two u32 words) points to, -1 for none: `decode` for millions. */
  target(lo: number, hi: number): number;
  /** log2 of how many frames lie behind an entry that has a target: 9 for 2 MiB, 0 for tables and small pages. */
  span(lo: number, hi: number): number;
}

export interface PagingFormat {
  readonly name: string;
  readonly entryBytes: 4 | 8;
  /** Virtual addresses are this wide; with `signed` the upper half is sign-extended (canonical). */
  readonly vaddrBits: number;
  readonly signed: boolean;
  readonly levels: readonly Level[];
  /** The byte address of the root table, from the value of the root register. */
  rootOf(register: bigint): Paddr;
}

export interface Isa {
  readonly name: string;
  /** Register numbers are indices here: append only, they are in recordings. */
  readonly registers: readonly Register[];
  /** Numbers of the registers that play these parts. */
  readonly roles: {
    readonly pc: number;
    readonly sp: number;
    readonly fp: number;
    readonly flags: number;
    readonly root: number;
  };
  /** Bits of the flags register with a name, low to high. */
  readonly flagBits: readonly (readonly [bit: number, name: string])[];
  /** Exception vectors by number, as the manual abbreviates them: 14 is #PF. */
  readonly vectors: readonly string[];
  readonly paging: readonly PagingFormat[];
}

/** The index of `at` in a table of this level. */
export const indexOf = (level: Level, at: Vaddr): number =>
  Number((at >> BigInt(level.shift)) & ((1n << BigInt(level.bits)) - 1n));

/** What a walk allows after one more level: every level must allow it. */
export const combine = (a: Permissions, b: Permissions): Permissions => ({
  write: a.write && b.write,
  user: a.user && b.user,
  execute: a.execute && b.execute,
  global: b.global,
});
export const ALL_PERMISSIONS: Permissions = { write: true, user: true, execute: true, global: false };

/** The flags of an entry in words: "PRESENT RW USER NX". In an entry that names a table, high bits are its address. */
export function flagWords(level: Level, entry: bigint): string {
  const flags = level.tableFlags && level.decode(entry).kind === 'table' ? level.tableFlags : level.flags;
  return flags
    .filter(([bit]) => (entry >> BigInt(bit)) & 1n)
    .map(([, name]) => name)
    .join(' ');
}
