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
/** Frame number in an entry: bits 51..12. */
const frameIn = (lo: number, hi: number): number => (hi & 0xf_ffff) * 2 ** 20 + (lo >>> 12);

/** The part of an address that is an index at a level: bits 47..39, 38..30, 29..21, 20..12. */
const indexAt = (level: number, lo: number, hi: number): number =>
  level === 4
    ? (hi >>> 7) & 511
    : level === 3
      ? ((hi & 0x7f) << 2) | (lo >>> 30)
      : (lo >>> (level === 2 ? 21 : 12)) & 511;

export class Peek {
  private readonly memory: Memory;
  private readonly guest: DataView;

  constructor(memory: Memory) {
    this.memory = memory;
    this.guest = new DataView(memory.guest.buffer, memory.guest.byteOffset, memory.guest.length);
  }

  /**
   * Physical address of a virtual one under the current root; -1 where nothing, or no memory, is mapped, and while user code
   * runs where it has no access.
   */
  translate(lo: number, hi: number): number {
    const { view } = this.memory;
    const flags = view.getUint32(CONTROL.walkFlags, true);
    const needed = flags & WALK.user ? PRESENT | USER : PRESENT;
    if (!(flags & WALK.paging)) return this.inMemory(hi * 2 ** 32 + lo);
    const sign = hi >> 15;
    if (sign !== 0 && sign !== -1) return -1; // not canonical
    const cr3 = registerAt(REG.cr3!);
    let table = frameIn(view.getUint32(cr3, true), view.getUint32(cr3 + 4, true));
    for (let level = 4; level >= 1; level--) {
      const at = this.inMemory(table * PAGE_BYTES + 8 * indexAt(level, lo, hi));
      if (at < 0) return -1;
      const entryLo = this.guest.getUint32(at, true);
      if ((entryLo & needed) !== needed) return -1;
      if ((level === 2 || level === 3) && entryLo & LARGE) {
        // In words, since the remainder of a number that is no small integer is slow.
        const inside = level === 2 ? 2 ** 21 - 1 : 2 ** 30 - 1;
        const baseHi = this.guest.getUint32(at + 4, true) & 0xf_ffff;
        return this.inMemory(baseHi * 2 ** 32 + (((entryLo & ~inside) | (lo & inside)) >>> 0));
      }
      table = frameIn(entryLo, this.guest.getUint32(at + 4, true));
    }
    return this.inMemory(table * PAGE_BYTES + (lo & (PAGE_BYTES - 1)));
  }
  /** The u32 at a physical address that `translate` gave, 4-byte aligned. */
  word(at: number): number {
    return this.guest.getUint32(at, true);
  }
  private inMemory(at: number): number {
    return at <= this.guest.byteLength - 8 ? at : -1;
  }
}
