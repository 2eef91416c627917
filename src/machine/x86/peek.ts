/**
 * Guest virtual memory as a debugger reads it: through the tables as they are in memory, not through the TLB, with no
 * accessed bits set, no faults and no entry taken. Addresses come and go as two u32 words; a bigint a step is too dear.
 */
import { PAGE_BYTES } from '../../base/brand.js';
import { REG } from '../../isa/x86_64.js';
import { CONTROL, registerAt } from '../engine/layout.js';
import type { Memory } from '../engine/memory.js';
import { WALK } from '../engine/walk.js';

const PRESENT = 1;
const USER = 4;
const LARGE = 0x80;
/** Bits 51..32 of an entry's address: not 0 where there is no memory, which ends below 2^31. */
const ABOVE = 0xf_ffff;
const PAGING = WALK.paging;
const USER_WALK = WALK.user;
const PAGE = PAGE_BYTES;
const FLAGS_AT = CONTROL.walkFlags >>> 2;
const CR3_AT = registerAt(REG.cr3!) >>> 2;

/** The part of an address that is an index at a level, times 8: bits 47..39, 38..30, 29..21, 20..12. */
const offsetAt = (level: number, lo: number, hi: number): number =>
  8 *
  (level === 4
    ? (hi >>> 7) & 511
    : level === 3
      ? ((hi & 0x7f) << 2) | (lo >>> 30)
      : (lo >>> (level === 2 ? 21 : 12)) & 511);

/**
 * Physical addresses fit into an i32 here, and stay such numbers: this is done at every event. Events come from the same place
 * again and again, so the last walk is kept, with the entries it met: while they are what they were, so is its end.
 */
export class Peek {
  /** All of linear memory. */
  private readonly words: Uint32Array;
  /** Where guest memory begins in it. */
  private readonly guestAt: number;
  /** The last physical address of a u64. */
  private readonly last: number;
  /** The last walk that came to a page: what it was for, where its entries are (word numbers) and what they were. */
  private readonly met = new Int32Array(4);
  private readonly metLo = new Uint32Array(4);
  private readonly metHi = new Uint32Array(4);
  private steps = 0;
  private pageLo = 0;
  private pageHi = 0;
  private flags = 0;
  private cr3Lo = 0;
  private cr3Hi = 0;
  /** Physical address of the page. */
  private page = 0;

  constructor(memory: Memory) {
    this.words = new Uint32Array(memory.wasm.buffer);
    this.guestAt = memory.layout.guest >>> 2;
    this.last = memory.layout.guestBytes - 8;
  }

  /**
   * Physical address of a virtual one under the current root; -1 where nothing, or no memory, is mapped, and while user code
   * runs where it has no access.
   */
  translate(lo: number, hi: number): number {
    const flags = this.words[FLAGS_AT]!;
    if ((flags & PAGING) === 0) return hi === 0 ? this.inMemory(lo | 0) : -1;
    if (!this.isKnown(lo & -PAGE, hi, flags)) {
      this.steps = 0;
      const page = this.walk(lo, hi, flags & USER_WALK ? PRESENT | USER : PRESENT);
      if (page < 0) {
        this.steps = 0;
        return -1;
      }
      this.pageLo = lo & -PAGE;
      this.pageHi = hi;
      this.flags = flags;
      this.cr3Lo = this.words[CR3_AT]!;
      this.cr3Hi = this.words[CR3_AT + 1]!;
      this.page = page;
    }
    return this.inMemory(this.page | (lo & (PAGE - 1)));
  }
  /** Whether a walk for this page would meet what the last one did. */
  private isKnown(pageLo: number, hi: number, flags: number): boolean {
    const { words, met, metLo, metHi, steps } = this;
    if (steps === 0 || pageLo !== this.pageLo || hi !== this.pageHi || flags !== this.flags) return false;
    if (words[CR3_AT] !== this.cr3Lo || words[CR3_AT + 1] !== this.cr3Hi) return false;
    for (let n = 0; n < steps; n++) {
      const word = met[n]!;
      if (words[word] !== metLo[n] || words[word + 1] !== metHi[n]) return false;
    }
    return true;
  }
  /** Physical address of the page, -1 where there is none. Notes the entries. */
  private walk(lo: number, hi: number, needed: number): number {
    const { words, last } = this;
    const sign = hi >> 15;
    if (sign !== 0 && sign !== -1) return -1; // not canonical
    let entryLo = words[CR3_AT]!;
    let entryHi = words[CR3_AT + 1]!;
    for (let level = 4; level >= 1; level--) {
      const table = entryLo & -PAGE;
      if ((entryHi & ABOVE) !== 0 || table < 0) return -1;
      const at = table + offsetAt(level, lo, hi);
      if (at > last) return -1;
      const word = this.guestAt + (at >>> 2);
      entryLo = words[word]!;
      entryHi = words[word + 1]!;
      this.met[this.steps] = word;
      this.metLo[this.steps] = entryLo;
      this.metHi[this.steps++] = entryHi;
      if ((entryLo & needed) !== needed) return -1;
      if ((level === 2 || level === 3) && entryLo & LARGE) {
        const inside = level === 2 ? 2 ** 21 - 1 : 2 ** 30 - 1;
        return entryHi & ABOVE ? -1 : (entryLo & ~inside) | (lo & inside & -PAGE);
      }
    }
    return entryHi & ABOVE ? -1 : entryLo & -PAGE;
  }
  /** The u32 at a physical address that `translate` gave, 4-byte aligned. */
  word(at: number): number {
    return this.words[this.guestAt + (at >>> 2)]!;
  }
  private inMemory(at: number): number {
    return at >= 0 && at <= this.last ? at : -1;
  }
}
