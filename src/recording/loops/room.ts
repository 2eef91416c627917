/**
 * The memory that the loops over columns work in, and the loops. What is taken is given back all at once, down to a mark:
 *
 *   const mark = room.mark();
 *   const words = room.words(column, n);    copied in, zeros behind
 *   const out = room.take(n);
 *   loops.split(words, n, ...);
 *   room.free(mark);
 *
 * Taking may move the views `bytes`, `u32` and so on: they are asked for where they are used. A thread has one for writing and
 * one for reading (writing.ts, reading.ts), made when they are first wanted; each grows to what the largest column needs and
 * keeps that.
 */
import { moduleOf } from '../../base/wasm.js';
import type { Routine } from './kit.js';

const WASM_PAGE = 1 << 16;
/** A mebibyte: enough for a chunk. */
const PAGES = 16;
/** A gibibyte. The largest column there may be needs a fraction of it (LIST_ITEMS and POOL_ITEMS in events/block.ts). */
const PAGES_MAX = 1 << 14;
/** Loops that take several values a turn may touch as much behind the last. */
const SPARE = 64;

export class Room<Loops> {
  readonly loops: Loops;
  bytes!: Uint8Array<ArrayBuffer>;
  u32!: Uint32Array<ArrayBuffer>;
  f64!: Float64Array<ArrayBuffer>;
  private readonly memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES_MAX });
  private top: number;

  /** @param start bytes at the beginning that are never taken */
  constructor(routines: readonly Routine[], start = 0) {
    const written = routines.map(write => write());
    const module = new WebAssembly.Module(moduleOf([], written, { pages: PAGES, most: PAGES_MAX }));
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory } });
    this.loops = exports as unknown as Loops;
    this.top = start;
    this.look();
  }
  private look(): void {
    const { buffer } = this.memory;
    this.bytes = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }

  /** The address of so many bytes, which may be anything; a multiple of 16. */
  take(bytes: number): number {
    const at = this.top;
    this.top = (at + bytes + SPARE + 15) & ~15;
    if (this.top > this.bytes.length) {
      this.memory.grow(Math.ceil((2 * this.top - this.bytes.length) / WASM_PAGE));
      this.look();
    }
    return at;
  }
  /** The same of zeros. */
  zeros(bytes: number): number {
    const at = this.take(bytes);
    this.bytes.fill(0, at, at + bytes);
    return at;
  }
  mark(): number {
    return this.top;
  }
  free(mark: number): void {
    this.top = mark;
  }

  /** Copies in the first n of these numbers, as words, and zeros behind them. */
  words(values: Uint8Array | Uint16Array | Uint32Array, n: number): number {
    const at = this.take(4 * n);
    this.u32.set(values.subarray(0, n), at >> 2);
    this.clearWords(at, n);
    return at;
  }
  /** The four words behind n of them become zero. */
  clearWords(at: number, n: number): void {
    const end = (at >> 2) + n;
    for (let k = 0; k < 4; k++) this.u32[end + k] = 0;
  }
  copy(values: Uint8Array, n: number): number {
    const at = this.take(n);
    this.bytes.set(values.subarray(0, n), at);
    return at;
  }
}
