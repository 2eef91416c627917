/**
 * Where everything that has a number lives: state is words.
 *
 * Almost all of a machine's state is u32 words at sparse addresses: entries of page tables, counts of frames, registers,
 * descriptors. So each kind of thing gets a SECTION, an address space of words of its own, all zero to begin with, and one
 * structure (tree.ts) serves them all: leaves of 64 words, kept only where a word is not zero.
 *
 *   section      word index                              the word
 *   memory+s     byte address / 4                        what table memory of space s holds: 4-byte entries take one word,
 *                                                        8-byte entries two (lo, hi)
 *   tables+s     table frame, by byte offset (below)     1 | wide | format | level: an adopted table of space s begins here
 *   frames       frame                                   type, pinned, validated, partial
 *   typecounts   frame                                   the count
 *   totals       frame                                   the count
 *   m2p, p2m     frame                                   the frame's complement, so that 0 is NO_FRAME
 *   registers    vcpu * 128 + register * 2               lo, hi
 *   roots        vcpu * 8 + space * 2 + role             the frame's complement
 *   descriptors  ((vcpu * 4 + table) * 65536 + index)*2  lo, hi
 *   msrs         (vcpu * 2^32 + register) * 2            lo, hi
 *   ports        port                                    pending, masked
 *
 * What has no fixed size (host address spaces, task names, how the run ended) is kept beside the words.
 */
import type { FrameKind } from '../events/kinds.js';

export type Leaf = Uint32Array;
/** Small, since a tree copies each leaf that changed; not smaller, since a typed array costs some 300 bytes itself. */
export const LEAF_WORDS = 64;
export const LEAF_SHIFT = 6;

export const SECTION = {
  memory: 0,
  tables: 4,
  frames: 8,
  typecounts: 9,
  totals: 10,
  m2p: 11,
  p2m: 12,
  registers: 13,
  roots: 14,
  descriptors: 15,
  msrs: 16,
  ports: 17,
} as const;
export const SECTIONS = 18;

export const REGISTERS_MAX = 64;
/** Words of a frame of table memory. */
export const PAGE_WORDS = 1024;

/** Byte `offset` of `frame`, in a memory section. Offsets may reach past the frame (16 KiB tables). */
export const memoryWord = (frame: number, offset: number): number => frame * PAGE_WORDS + (offset >>> 2);
/** Sets the entry at a word: two words, the first of them even, or one. */
export function putEntry(words: Uint32Array, at: number, wide: boolean, lo: number, hi: number): void {
  if (wide) {
    words[at & ~1] = lo;
    words[at | 1] = hi;
  } else words[at] = lo;
}
/**
 * Tables are numbered offset first: nearly all begin at offset 0 of their frame, and so 64 of them share a leaf. The
 * smallest table is 32 bytes (the page-directory pointers of PAE).
 */
export const tableWord = (frame: number, offset: number): number => (offset >>> 2) * 2 ** 32 + frame;
export const tablePlace = (word: number): { frame: number; offset: number } => ({
  frame: word % 2 ** 32,
  offset: Math.floor(word / 2 ** 32) * 4,
});
export const registerWord = (vcpu: number, register: number): number => (vcpu * REGISTERS_MAX + register) * 2;
export const rootWord = (vcpu: number, space: number, role: number): number => vcpu * 8 + (space & 3) * 2 + (role & 1);
export const descriptorWord = (vcpu: number, table: number, index: number): number =>
  ((vcpu * 4 + (table & 3)) * 65_536 + index) * 2;
export const msrWord = (vcpu: number, register: number): number => (vcpu * 2 ** 32 + register) * 2;

/*
 * The word of an adopted table:
 *
 *    31  30             17 16 15        8 7         0
 *   +---+-----------------+--+-----------+-----------+
 *   | 1 |                 |W | format    | level     |      W: entries of 8 bytes
 *   +---+-----------------+--+-----------+-----------+
 */
export interface TableKind {
  readonly level: number;
  /** Number of the format in the lexicon. */
  readonly format: number;
  readonly bytes: 4 | 8;
}
export const packTable = (level: number, format: number, bytes: number): number =>
  (0x8000_0000 | (bytes === 4 ? 0 : 0x1_0000) | (format << 8) | level) >>> 0;
export const unpackTable = (word: number): TableKind => ({
  level: word & 0xff,
  format: (word >>> 8) & 0xff,
  bytes: word & 0x1_0000 ? 8 : 4,
});

/*
 * The numbers of a frame. Type and the three flags share a word of `frames`:
 *
 *    31                    11  10   9   8 7         0
 *   +------------------------+---+---+---+-----------+
 *   |                        | P | V | N | type      |      N: pinned  V: validated  P: partial
 *   +------------------------+---+---+---+-----------+
 */
export interface FrameField {
  readonly section: number;
  readonly shift: number;
  readonly mask: number;
}
const whole = (section: number): FrameField => ({ section, shift: 0, mask: 0xffff_ffff });
const bit = (shift: number): FrameField => ({ section: SECTION.frames, shift, mask: 1 });
export const FRAME_FIELDS: { readonly [K in FrameKind]: FrameField } = {
  type: { section: SECTION.frames, shift: 0, mask: 0xff },
  typecount: whole(SECTION.typecounts),
  total: whole(SECTION.totals),
  pinned: bit(8),
  validated: bit(9),
  partial: bit(10),
};

export const PORT_PENDING = 1;
export const PORT_MASKED = 2;
