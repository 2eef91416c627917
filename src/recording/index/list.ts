/**
 * A sorted list of rows (key, value, note), the one shape of every index: in blocks of 1,024 rows, which are about 4 KB.
 * Keys are integers below 2^53, values and notes u32; rows ascend by key and then by value. What is in memory of a list is
 * a FENCE a block, the first row of it and where it begins; a question is a search among fences and one block read.
 *
 *   fences   per block, 24 bytes: key f64 | value u32 | row u32 | at u32 (in the blocks) | 0 u32
 *   block    three columns (bits.ts): differences of keys | values | notes
 *
 * The difference of the first key is 0 (it is in the fence). A value whose key is that of the row before is stored as the
 * difference of the values. A note is stored as the bits in which it differs from the one before. Where a key is 2^32 or
 * more above the one before, a block ends early.
 */
import { Trouble } from '../../base/trouble.js';
import { columnWords, packColumn, unpackColumn } from './bits.js';
import { type BlockCache, ListBlock, type Picked } from './list-block.js';

export const BLOCK_ROWS = 1024;
export const FENCE_BYTES = 24;
const WORD = 2 ** 32;
const BLOCK_WORDS_MAX = 3 * columnWords(BLOCK_ROWS);

/** Where a list is in a payload. */
export interface ListPlace {
  readonly rows: number;
  readonly blocks: number;
  readonly fencesAt: number;
  readonly blocksAt: number;
  readonly end: number;
}

/** A list as bytes. */
export interface Written {
  readonly rows: number;
  readonly blocks: number;
  readonly fences: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Takes rows in order. */
export class ListWriter {
  rows = 0;
  private n = 0;
  private firstKey = 0;
  private firstValue = 0;
  private key = 0;
  private value = 0;
  private note = 0;
  private readonly keys = new Uint32Array(BLOCK_ROWS);
  private readonly values = new Uint32Array(BLOCK_ROWS);
  private readonly notes = new Uint32Array(BLOCK_ROWS);
  private readonly fences: number[] = [];
  private words = new Uint32Array(1 << 16);
  /** Where this list begins in `words`, and where it goes on. */
  private start = 0;
  private at = 0;

  push(key: number, value: number, note: number): void {
    if (this.n === BLOCK_ROWS || (this.n > 0 && key - this.key >= WORD)) this.flush();
    const { n } = this;
    if (n === 0) {
      this.firstKey = key;
      this.firstValue = value;
      this.keys[0] = 0;
      this.values[0] = 0;
      this.notes[0] = note;
    } else {
      const step = key - this.key;
      this.keys[n] = step;
      this.values[n] = step === 0 ? value - this.value : value;
      this.notes[n] = note ^ this.note;
    }
    this.key = key;
    this.value = value;
    this.note = note;
    this.n++;
    this.rows++;
  }

  private flush(): void {
    if (this.n === 0) return;
    if (this.words.length < this.at + BLOCK_WORDS_MAX) {
      const more = new Uint32Array(2 * this.words.length + BLOCK_WORDS_MAX);
      more.set(this.words.subarray(0, this.at));
      this.words = more;
    }
    this.fences.push(this.firstKey, this.firstValue, this.rows - this.n, 4 * (this.at - this.start));
    for (const column of [this.keys, this.values, this.notes])
      this.at = packColumn(column, this.n, this.words, this.at);
    this.n = 0;
  }

  /** Ends the list and starts the next behind it. The blocks are a view, which holds until `clear`. */
  finish(): Written {
    this.flush();
    const blocks = this.fences.length / 4;
    const fences = new Uint8Array(blocks * FENCE_BYTES);
    const view = new DataView(fences.buffer);
    for (let b = 0; b < blocks; b++) {
      view.setFloat64(b * FENCE_BYTES, this.fences[4 * b]!, true);
      for (let k = 1; k < 4; k++) view.setUint32(b * FENCE_BYTES + 4 + 4 * k, this.fences[4 * b + k]!, true);
    }
    const bytes = new Uint8Array(this.words.buffer, 4 * this.start, 4 * (this.at - this.start));
    const done = { rows: this.rows, blocks, fences, bytes };
    this.rows = 0;
    this.start = this.at;
    this.fences.length = 0;
    return done;
  }
  /** Lets the next list begin where the first one did. */
  clear(): void {
    this.start = this.at = 0;
  }
}

/** A block as it is stored. */
const steps = new Uint32Array(BLOCK_ROWS);
const values = new Uint32Array(BLOCK_ROWS);
const notes = new Uint32Array(BLOCK_ROWS);
const roomFor = (n: number): Picked => ({
  keys: new Float64Array(n),
  values: new Uint32Array(n),
  notes: new Uint32Array(n),
  next: new Float64Array(n),
});
let picked = roomFor(0);

/** Who reads a block close behind the last reads more: so many at once. */
const AHEAD_BLOCKS = 32;
const NEAR_BLOCKS = 8;

/** A list in a file or in memory. Whatever its bytes are, it answers in bounded time and memory, or throws Trouble. */
export class ListReader {
  readonly rows: number;
  private readonly place: ListPlace;
  private readonly read: (offset: number, length: number) => Uint8Array;
  private readonly valueEnd: number;
  private readonly cache: BlockCache;
  private readonly id: number;
  private readonly where: string;
  private fences: { keys: Float64Array; values: Uint32Array; rows: Uint32Array; ats: Uint32Array } | undefined;
  private last: ListBlock | undefined;
  private lastNumber = -1;

  /**
   * @param valueEnd all values must be below it
   * @param where what an error message begins with
   */
  constructor(
    place: ListPlace,
    read: (offset: number, length: number) => Uint8Array,
    valueEnd: number,
    cache: BlockCache,
    where = 'an index',
  ) {
    this.where = where;
    this.rows = place.rows;
    this.place = place;
    this.read = read;
    this.valueEnd = valueEnd;
    this.cache = cache;
    this.id = cache.enter();
  }

  private getFences() {
    if (this.fences) return this.fences;
    const { blocks, fencesAt, blocksAt, end, rows: all } = this.place;
    const bytes = this.read(fencesAt, blocks * FENCE_BYTES);
    if (bytes.length !== blocks * FENCE_BYTES) throw new Trouble(`${this.where}: cut short`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const keys = new Float64Array(blocks);
    const values = new Uint32Array(blocks);
    const rows = new Uint32Array(blocks + 1);
    const ats = new Uint32Array(blocks + 1);
    for (let b = 0; b < blocks; b++) {
      keys[b] = view.getFloat64(b * FENCE_BYTES, true);
      values[b] = view.getUint32(b * FENCE_BYTES + 8, true);
      rows[b] = view.getUint32(b * FENCE_BYTES + 12, true);
      ats[b] = view.getUint32(b * FENCE_BYTES + 16, true);
    }
    rows[blocks] = all;
    ats[blocks] = end - blocksAt;
    for (let b = 0; b < blocks; b++) {
      const n = rows[b + 1]! - rows[b]!;
      const words = (ats[b + 1]! - ats[b]!) / 4;
      const ordered = b === 0 || keys[b]! > keys[b - 1]! || (keys[b] === keys[b - 1] && values[b]! >= values[b - 1]!);
      if (n < 1 || n > BLOCK_ROWS || !Number.isInteger(words) || words < 3 || words > BLOCK_WORDS_MAX || !ordered)
        throw new Trouble(`${this.where}: its fences are damaged`);
      if (!Number.isInteger(keys[b]) || keys[b]! < 0 || keys[b]! >= 2 ** 52)
        throw new Trouble(`${this.where}: its fences are damaged`);
    }
    if (rows[0] !== 0 || ats[0] !== 0) throw new Trouble(`${this.where}: its fences are damaged`);
    return (this.fences = { keys, values, rows, ats });
  }

  private block(b: number): ListBlock {
    if (b === this.lastNumber) return this.last!;
    let block = this.cache.get(this.id + b);
    if (!block) this.cache.set(this.id + b, (block = this.decode(b)));
    this.last = block;
    this.lastNumber = b;
    return block;
  }

  private decode(b: number): ListBlock {
    const { rows, keys, values: firsts } = this.getFences();
    const n = rows[b + 1]! - rows[b]!;
    const words = this.wordsOf(b);
    let next = unpackColumn(words, 0, n, steps);
    if (next >= 0) next = unpackColumn(words, next, n, values);
    if (next >= 0) next = unpackColumn(words, next, n, notes);
    if (next !== words.length || steps[0] !== 0) throw this.damaged(b);
    values[0] = firsts[b]!;
    const block = new ListBlock(rows[b]!, keys[b]!, steps, values, notes, n);
    if (block.top >= this.valueEnd) throw this.damaged(b);
    return block;
  }
  /** Block b as it is in the file. */
  private wordsOf(b: number): Uint32Array {
    const { ats } = this.getFences();
    const { read } = this.cache;
    if (read.list !== this.id || b < read.from || b >= read.to) {
      const near = read.list === this.id && b >= read.to && b < read.to + NEAR_BLOCKS;
      const to = near ? Math.min(b + AHEAD_BLOCKS, ats.length - 1) : b + 1;
      const length = ats[to]! - ats[b]!;
      const bytes = this.read(this.place.blocksAt + ats[b]!, length);
      if (bytes.length !== length) throw new Trouble(`${this.where}: cut short`);
      const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
      Object.assign(read, { list: this.id, from: b, to, words: new Uint32Array(buffer, byteOffset, length / 4) });
    }
    const begin = ats[read.from]!;
    return read.words.subarray((ats[b]! - begin) / 4, (ats[b + 1]! - begin) / 4);
  }

  /**
   * Single rows, of which there may be many and far apart. The columns hold until the next call.
   * @param rows their numbers, ascending
   */
  pick(rows: Uint32Array): Picked {
    if (rows.length > picked.keys.length) picked = roomFor(2 * rows.length);
    for (let m = 0; m < rows.length; ) m = this.pickFrom(this.numberOf(rows[m]!), rows, m, picked);
    return picked;
  }
  /** Picks those of `rows` from number m on that are in block b, and returns the number of the next. */
  private pickFrom(b: number, rows: Uint32Array, m: number, into: Picked): number {
    const block = this.block(b);
    const { keys, values } = this.getFences();
    const end = block.pick(rows, m, into);
    // The row behind the last one of a block is the first of the next.
    const last = end - 1;
    if (rows[last] === block.first + block.n - 1 && keys[b + 1] === into.keys[last]) into.next[last] = values[b + 1]!;
    return end;
  }

  private damaged(b: number): Trouble {
    return new Trouble(`${this.where}: block ${b} is damaged`);
  }

  /** The block that holds row `row`. */
  blockOf(row: number): ListBlock {
    const { last } = this;
    if (last && row >= last.first && row < last.first + last.n) return last;
    return this.block(this.numberOf(row));
  }
  private numberOf(row: number): number {
    const { rows } = this.getFences();
    let low = 0;
    let high = rows.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (rows[middle]! <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The number of rows before (key, value): of the first row that is not smaller. */
  lowerBound(key: number, value: number): number {
    if (this.rows === 0) return 0;
    const { keys, values } = this.getFences();
    let low = -1;
    let high = keys.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (keys[middle]! < key || (keys[middle] === key && values[middle]! < value)) low = middle;
      else high = middle - 1;
    }
    if (low < 0) return 0;
    const block = this.block(low);
    let from = 0;
    let to = block.n;
    while (from < to) {
      const middle = (from + to) >> 1;
      const at = block.key(middle);
      if (at < key || (at === key && block.value(middle) < value)) from = middle + 1;
      else to = middle;
    }
    return block.first + from;
  }

  /** The greatest value below `before` under this key, -1 for none. */
  lastBefore(key: number, before: number): number {
    const row = this.lowerBound(key, before) - 1;
    if (row < 0) return -1;
    const block = this.blockOf(row);
    return block.key(row - block.first) === key ? block.value(row - block.first) : -1;
  }
}
