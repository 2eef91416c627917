/**
 * Page-table entries as Xen sees a PV guest's (asm/x86_64/page.h, asm/page.h, pv/mm.h).
 *
 *   63  62     59    52 51                            12 11   9  8   7   6  5  4   3   2   1   0
 *  +--+---+-----+------+--------------------------------+-----+---+---+--+--+---+---+---+---+---+
 *  |NX|GNT| avl | GK   | machine frame                  | avl | G |PAT|D |A |PCD|PWT| U | W | P |
 *  +--+---+-----+------+--------------------------------+-----+---+---+--+--+---+---+---+---+---+
 *   GNT (bit 62) marks a grant; GK (bit 52) a page of the guest's kernel, since both its kernel and its user code run in
 *   ring 3 and U is always set; PAT is PSE above level 1.
 *
 * In messages flags are 24 bits: 63..52 moved down to 23..12, and 11..0.
 */

export const PRESENT = 1n;
export const RW = 2n;
export const USER = 4n;
const PWT = 8n;
const PCD = 0x10n;
export const ACCESSED = 0x20n;
export const DIRTY = 0x40n;
const PAT = 0x80n;
const PSE = 0x80n;
export const GLOBAL = 0x100n;
export const GUEST_KERNEL = 1n << 52n;
const GNTTAB = 1n << 62n;
export const FRAME_MASK = 0x000f_ffff_ffff_f000n;

/** Slots of a level-4 table that are Xen's (ROOT_PAGETABLE_FIRST_XEN_SLOT, _LAST_): the hole above the lower half. */
export const XEN_SLOTS = { first: 256, last: 271 } as const;
export const isGuestSlot = (level: number, index: number): boolean =>
  level !== 4 || index < XEN_SLOTS.first || index > XEN_SLOTS.last;

/** base_disallow_mask and its variants by level: bits a guest may not set (arch_init_memory). */
const DISALLOWED: readonly bigint[] = [
  0n,
  PWT | PCD | PAT | GNTTAB,
  PWT | PCD | PSE | GLOBAL,
  PWT | PCD | PSE | GLOBAL,
  PWT | PCD | PSE | GLOBAL,
];
/** Bits of the entry that its level forbids. */
export const disallowed = (level: number, entry: bigint): bigint => entry & DISALLOWED[level]!;

/** What an update may not change without being validated anew: all but FASTPATH_FLAG_WHITELIST. */
const REVALIDATE = FRAME_MASK | PRESENT | RW | PWT | PCD | PAT;
export const isSimilar = (a: bigint, b: bigint): boolean => ((a ^ b) & REVALIDATE) === 0n;

/** The frame an entry names; as wide as the field, so it may be none of the machine's. */
export const frameIn = (entry: bigint): number => Number((entry & FRAME_MASK) >> 12n);
/** The largest frame number an entry can hold: what guests write for "no frame" (INVALID_MFN). */
export const FRAME_MAX = frameIn(FRAME_MASK);
/** The flags as messages have them, get_pte_flags. */
export const flags24 = (entry: bigint): bigint => ((entry >> 40n) & 0xff_f000n) | (entry & 0xfffn);

/**
 * What Xen makes of an entry it accepts at a level (adjust_guest_l1e .. adjust_guest_l4e).
 * Level 1: no U means the guest's kernel, which gets GK and U; without GK it is user memory, which is global, since Xen
 * does not flush it when the guest changes between user and kernel.
 */
export function adjusted(level: number, entry: bigint): bigint {
  if (!(entry & PRESENT)) return entry;
  if (level === 4) return entry | USER | ACCESSED;
  if (level > 1) return entry | USER;
  const kernel = entry & USER ? entry : entry | GUEST_KERNEL | USER;
  return kernel & GUEST_KERNEL ? kernel : kernel | GLOBAL | USER;
}
/** adjust_guest_l1e warns of it: a page of the guest's kernel stays in the TLB over changes of the address space. */
export const isGlobalKernel = (entry: bigint): boolean =>
  (entry & (PRESENT | GUEST_KERNEL | GLOBAL)) === (PRESENT | GUEST_KERNEL | GLOBAL);

/** Index of a linear address in the table of a level. */
export const indexAt = (level: number, at: bigint): number => Number((at >> BigInt(12 + 9 * (level - 1))) & 511n);
/** __addr_ok (asm/x86_64/uaccess.h): below the hole, or above Xen's part. What follows it may still fault. */
export const isGuestAddress = (at: bigint): boolean => at < 1n << 47n || at >= 0xffff_8800_0000_0000n;
