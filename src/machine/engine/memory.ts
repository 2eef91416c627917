/**
 * Guest memory and everything around it, in one WebAssembly memory (layout.ts). Guest stores go there directly; only
 * those to frames with page flags come by here, through `trapped`. The host's own writes all go through `hostStore`
 * and `hostWrite`, so that nothing changes guest memory unseen.
 */

import { assert } from '../../base/assert.js';
import { asPaddr, type Frame, PAGE_BYTES, PAGE_SHIFT, type Paddr } from '../../base/brand.js';
import { hi32, lo32 } from '../../base/u64.js';
import { CODE_LINE_BYTES, type Layout, PAGE_FLAGS, PAGE_FLAGS_AT } from './layout.js';
import { Tlb } from './tlb.js';

export const VIA = { guest: 0, walker: 1, host: 2 } as const;
export type Via = (typeof VIA)[keyof typeof VIA];

/** For `trapped`, which is called at every such store: an imported constant is looked up at each use, one of our own is not. */
const SHIFT = PAGE_SHIFT;
const { clean: CLEAN, code: CODE, watched: WATCHED, traced: TRACED } = PAGE_FLAGS;

/**
 * Hears of a store into a watched frame, after it is done. Values are the bytes stored over and stored, as two u32
 * words (the high one 0 below 8 bytes). It must not run the guest.
 */
export type WatchedStore = (
  at: Paddr,
  bytes: number,
  oldLo: number,
  oldHi: number,
  newLo: number,
  newHi: number,
  via: Via,
) => void;

export class Memory {
  readonly layout: Layout;
  readonly wasm: WebAssembly.Memory;
  /** The whole linear memory; guest address p is at layout.guest + p. */
  readonly view: DataView;
  /** Guest memory. Read freely; write only through hostStore and hostWrite. */
  readonly guest: Uint8Array;
  readonly pageFlags: Uint8Array;
  /** Zero as at power-on, as far as pages are clean. Until the first checkpoint is taken or restored. */
  untouched = true;
  private readonly codeLines: Uint8Array;
  readonly tlb: Tlb;
  /** Set by the owner: who hears of stores into watched frames, and into bytes that may be decoded code. */
  onWatched: WatchedStore = () => {};
  onCode: (at: number, bytes: number) => void = () => {};
  /** Hears of every store to a frame flagged `traced`, before onWatched if the frame is watched too. As WatchedStore. */
  onTraced: WatchedStore = () => {};
  /** Hears of every entry the architectural TLB takes (its linear address), while CONTROL.tellFills is set. */
  onFill: (entry: number) => void = () => {};

  constructor(layout: Layout) {
    this.layout = layout;
    this.wasm = new WebAssembly.Memory({ initial: layout.pages, maximum: layout.pages });
    const buffer = this.wasm.buffer;
    this.view = new DataView(buffer);
    this.guest = new Uint8Array(buffer, layout.guest, layout.guestBytes);
    this.pageFlags = new Uint8Array(buffer, PAGE_FLAGS_AT, layout.guestBytes / PAGE_BYTES);
    this.codeLines = new Uint8Array(buffer, layout.codeLines, layout.guestBytes / CODE_LINE_BYTES / 8);
    this.pageFlags.fill(PAGE_FLAGS.clean); // memory is zero at power-on
    this.tlb = new Tlb(buffer);
  }

  /** From now on every store into `frame` is told to onWatched, or no longer. */
  watch(frame: Frame, on: boolean): void {
    if (on) this.setFlag(frame, PAGE_FLAGS.watched);
    else this.clearFlag(frame, PAGE_FLAGS.watched);
  }
  setFlag(frame: number, flag: number): void {
    const flags = this.pageFlags[frame];
    assert(flags !== undefined, 'page flags of a frame outside memory');
    this.pageFlags[frame] = flags | flag;
    if (flags === 0) this.tlb.dropWrites(frame * PAGE_BYTES, this.layout.guest);
  }
  clearFlag(frame: number, flag: number): void {
    this.pageFlags[frame]! &= ~flag;
  }
  /** Says whether instructions were decoded from a line, by its number (layout.ts). */
  setCodeLine(line: number, on: boolean): void {
    const bit = 1 << (line & 7);
    if (on) this.codeLines[line >>> 3]! |= bit;
    else this.codeLines[line >>> 3]! &= ~bit;
  }
  clearCodeLines(): void {
    this.codeLines.fill(0);
  }

  /** The u64 (or fewer bytes, zero-extended) at a guest physical address, which must lie in memory. */
  read(at: Paddr, bytes: 1 | 2 | 4 | 8): bigint {
    const from = this.layout.guest + this.inside(at, bytes);
    switch (bytes) {
      case 1:
        return BigInt(this.view.getUint8(from));
      case 2:
        return BigInt(this.view.getUint16(from, true));
      case 4:
        return BigInt(this.view.getUint32(from, true));
      case 8:
        return this.view.getBigUint64(from, true);
    }
  }
  /** A store by the host: marks dirty, invalidates code, tells watchers. `at + bytes` must lie in memory. */
  hostStore(at: Paddr, bytes: 1 | 2 | 4 | 8, value: bigint): void {
    this.inside(at, bytes);
    if (at % PAGE_BYTES <= PAGE_BYTES - bytes) this.trapped(at, bytes, lo32(value), hi32(value), VIA.host);
    else for (let n = 0; n < bytes; n++) this.trapped(at + n, 1, Number((value >> BigInt(8 * n)) & 0xffn), 0, VIA.host);
  }
  /** Many bytes by the host, as aligned eight-byte stores where somebody wants to hear of them. */
  hostWrite(at: Paddr, data: Uint8Array): void {
    this.inside(at, data.length);
    const end = at + data.length;
    for (let from: number = at; from < end; ) {
      const to = Math.min(end, (Math.floor(from / PAGE_BYTES) + 1) * PAGE_BYTES);
      const piece = data.subarray(from - at, to - at);
      if (this.pageFlags[from >>> PAGE_SHIFT]! & (PAGE_FLAGS.watched | PAGE_FLAGS.traced))
        this.storePieces(from, piece);
      else {
        this.pageFlags[from >>> PAGE_SHIFT]! &= ~PAGE_FLAGS.clean;
        if (this.pageFlags[from >>> PAGE_SHIFT]! & PAGE_FLAGS.code) this.onCode(from, piece.length);
        this.guest.set(piece, from);
      }
      from = to;
    }
  }
  private storePieces(at: number, data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    for (let n = 0; n < data.length; ) {
      if ((at + n) % 8 === 0 && data.length - n >= 8) {
        this.hostStore(asPaddr(at + n), 8, view.getBigUint64(n, true));
        n += 8;
      } else this.hostStore(asPaddr(at + n), 1, BigInt(data[n++]!));
    }
  }

  /** A store that is not plain: performs it inside one page and tells whoever must know. */
  trapped(signedAt: number, bytes: number, lo: number, hi: number, via: number): void {
    const at = signedAt >>> 0;
    const flags = this.pageFlags[at >>> SHIFT]!;
    if (flags & CLEAN) this.pageFlags[at >>> SHIFT] = flags & ~CLEAN;
    if (flags & CODE) this.onCode(at, bytes);
    const to = this.layout.guest + at;
    if (!(flags & (WATCHED | TRACED))) {
      this.poke(to, bytes, lo, hi);
      return;
    }
    const oldLo =
      bytes === 1
        ? this.view.getUint8(to)
        : bytes === 2
          ? this.view.getUint16(to, true)
          : this.view.getUint32(to, true);
    const oldHi = bytes === 8 ? this.view.getUint32(to + 4, true) : 0;
    this.poke(to, bytes, lo, hi);
    const newLo = bytes === 1 ? lo & 0xff : bytes === 2 ? lo & 0xffff : lo >>> 0;
    const newHi = bytes === 8 ? hi >>> 0 : 0;
    if (flags & TRACED) this.onTraced(asPaddr(at), bytes, oldLo, oldHi, newLo, newHi, via as Via);
    if (flags & WATCHED) this.onWatched(asPaddr(at), bytes, oldLo, oldHi, newLo, newHi, via as Via);
  }
  private poke(to: number, bytes: number, lo: number, hi: number): void {
    if (bytes === 1) this.view.setUint8(to, lo);
    else if (bytes === 2) this.view.setUint16(to, lo, true);
    else this.view.setInt32(to, lo, true);
    if (bytes === 8) this.view.setInt32(to + 4, hi, true);
  }
  private inside(at: number, bytes: number): number {
    assert(at >= 0 && at + bytes <= this.layout.guestBytes, `host access outside guest memory at ${at.toString(16)}`);
    return at;
  }
}
