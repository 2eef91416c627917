/**
 * The memory that the loops over columns work in, and the loops. What is taken is given back all at once, down to a mark:
 *
 *   const mark = room.mark();
 *   const words = room.words(column, n);    copied in, zeros behind
 *   const out = room.take(n);
 *   loops.split(words, n, ...);
 *   room.free(mark);
 *
 * Taking may move the views `bytes`, `u32` and so on: they are asked for where they are used. One memory a thread, made when
 * the first column is; it grows to what the largest column needs and keeps that.
 */
import { moduleOf } from '../../base/wasm.js';
import { ENCODE } from './encode.js';
import { HUFFMAN } from './huffman.js';
import { LITERALS } from './literals.js';
import { fillTables, TABLES_END } from './tables.js';

const WASM_PAGE = 1 << 16;
/** A mebibyte: enough for a chunk. */
const PAGES = 16;
/** A gibibyte. The largest column there may be needs a fraction of it (LIST_ITEMS and POOL_ITEMS in events/block.ts). */
const PAGES_MAX = 1 << 14;
/** Loops that take several values a turn may touch as much behind the last. */
const SPARE = 64;

/** By name; see encode.ts, literals.ts and huffman.ts for what they do and give. */
export interface Loops {
  alike(from: number, bytes: number, step: number): number;
  union(from: number, bytes: number): number;
  lengths(words: number, n: number, out: number): void;
  differences(words: number, n: number, out: number): void;
  plane(words: number, n: number, shift: number, out: number): void;
  pack(from: number, n: number, width: number, out: number): void;
  split(words: number, n: number, lengths: number, p0: number, p1: number, p2: number, p3: number): void;
  tabulate(words: number, n: number, places: number, used: number, most: number): number;
  sortOut(words: number, n: number, places: number, out: number, rest: number): number;
  ticks(from: number, n: number, low: number, high: number): void;
  caused(kinds: number, back: number, n: number, flags: number): void;
  flagged(kinds: number, n: number, flags: number, places: number): number;
  runs(places: number, n: number, back: number, lengths: number, distances: number): number;
  pick(places: number, n: number, from: number, out: number): void;
  mixIn(hashes: number, words: number, n: number, mask: number): void;
  xorLast(places: number, n: number, olds: number, news: number, last: number, out: number): void;
  subtract(words: number, others: number, n: number, out: number): void;
  registers(
    masksLo: number,
    masksHi: number,
    from: number,
    to: number,
    lo: number,
    hi: number,
    outLo: number,
    outHi: number,
    k: number,
    file: number,
  ): number;
  census(from: number, n: number, counts: number): void;
  repeats(from: number, n: number, seen: number, each: number, enough: number): number;
  emit(from: number, n: number, codes: number, out: number, acc: number, used: number): number;
  ascending(counts: number, symbols: number, keys: number, others: number, starts: number): number;
  depths(keys: number, n: number, least: number, a: number): number;
  assign(keys: number, n: number, a: number, lengths: number): number;
  canonical(lengths: number, symbols: number, codes: number, next: number): void;
}

class Room {
  readonly loops: Loops;
  bytes!: Uint8Array<ArrayBuffer>;
  u32!: Uint32Array<ArrayBuffer>;
  f64!: Float64Array<ArrayBuffer>;
  private readonly memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES_MAX });
  private top = TABLES_END;

  constructor() {
    const routines = [...ENCODE, ...LITERALS, ...HUFFMAN].map(written => written());
    const module = new WebAssembly.Module(moduleOf([], routines, { pages: PAGES, most: PAGES_MAX }));
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory } });
    this.loops = exports as unknown as Loops;
    this.look();
    fillTables(this.bytes);
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

let made: Room | undefined;
/** This thread's. */
export const theRoom = (): Room => (made ??= new Room());
