/** What is kept in memory of the blocks of a list: decoded rows, and how many of them. */
import { Recent } from '../../base/recent.js';

const WORD = 2 ** 32;

/** Columns of some rows of a list; they may be longer than those. */
export interface Picked {
  readonly keys: Float64Array;
  readonly values: Uint32Array;
  readonly notes: Uint32Array;
  /** The value of the row behind each, if that has the same key; else Infinity. */
  readonly next: Float64Array;
}

/**
 * Rows of a list. Key and value lie side by side: who looks for single rows among millions waits for memory, and so does it
 * once a row. Keys are kept as what they are above the first, which is seldom more than a word; notes are mostly all the same.
 */
export class ListBlock {
  /** Number of row 0 in the list. */
  readonly first: number;
  readonly n: number;
  /** The greatest value. */
  readonly top: number;
  /** key - base (its low word), value */
  private readonly pairs: Uint32Array;
  private readonly base: number;
  private readonly high: Uint32Array | undefined;
  private readonly notes: Uint32Array | undefined;
  private readonly onlyNote: number;

  /**
   * Makes a block of its columns as they are stored (list.ts), but for the first row: its step is 0, its value and its note
   * are themselves.
   * @param base key of row 0
   */
  constructor(first: number, base: number, steps: Uint32Array, values: Uint32Array, notes: Uint32Array, n: number) {
    this.first = first;
    this.n = n;
    this.base = base;
    this.pairs = new Uint32Array(2 * n);
    this.top = decodePairs(this.pairs, steps, values, n);
    this.high = highWords(steps, n);
    this.onlyNote = notes[0]!;
    this.notes = ownNotes(notes, n);
  }

  key(i: number): number {
    const low = this.base + this.pairs[2 * i]!;
    return this.high ? low + this.high[i]! * WORD : low;
  }
  value(i: number): number {
    return this.pairs[2 * i + 1]!;
  }
  note(i: number): number {
    return this.notes ? this.notes[i]! : this.onlyNote;
  }
  /**
   * Sets number m and the next of `into` to those rows of the list, `rows[m]` and so on, that are in this block; of the last row of
   * the block it is not known which is behind it.
   * @returns the number of the first that is not
   */
  pick(rows: Uint32Array, m: number, { keys, values, notes, next }: Picked): number {
    const { first, n, pairs, base, high, onlyNote, notes: own } = this;
    const end = first + n;
    let k = m;
    for (; k < rows.length && rows[k]! < end; k++) {
      const i = rows[k]! - first;
      const low = pairs[2 * i]!;
      keys[k] = high ? base + low + high[i]! * WORD : base + low;
      values[k] = pairs[2 * i + 1]!;
      notes[k] = own ? own[i]! : onlyNote;
      const same = i + 1 < n && pairs[2 * i + 2] === low && (!high || high[i + 1] === high[i]);
      next[k] = same ? pairs[2 * i + 3]! : Infinity;
    }
    return k;
  }
  /** About what it takes in memory. */
  get bytes(): number {
    return 200 + 4 * this.n * (2 + (this.high ? 1 : 0) + (this.notes ? 1 : 0));
  }
}

/** Fills in key - base (its low word) and value of each row. Returns the greatest value. */
function decodePairs(pairs: Uint32Array, steps: Uint32Array, values: Uint32Array, n: number): number {
  let above = 0;
  let value = 0;
  let top = 0;
  for (let i = 0; i < n; i++) {
    const step = steps[i]! | 0;
    above = (above + step) | 0;
    // Without a branch, which nobody could foretell: all ones where the key is that of the row before.
    const same = ~((step | -step) >> 31);
    value = (values[i]! + (value & same)) | 0;
    if (value >>> 0 > top) top = value >>> 0;
    pairs[2 * i] = above;
    pairs[2 * i + 1] = value;
  }
  return top;
}
/** The high words of key - base, undefined where all are surely zero. */
function highWords(steps: Uint32Array, n: number): Uint32Array | undefined {
  let most = 0;
  for (let i = 0; i < n; i++) most |= steps[i]!;
  if ((most >>> 0) * n < WORD) return undefined;
  const high = new Uint32Array(n);
  let above = 0;
  for (let i = 0; i < n; i++) high[i] = Math.floor((above += steps[i]!) / WORD);
  return high;
}
/** The notes, undefined if all are the same. */
function ownNotes(notes: Uint32Array, n: number): Uint32Array | undefined {
  let varied = 0;
  for (let i = 1; i < n; i++) varied |= notes[i]!;
  if (varied === 0) return undefined;
  const own = notes.slice(0, n);
  for (let i = 1; i < n; i++) own[i]! ^= own[i - 1]!;
  return own;
}

/** Decoded blocks of all lists. */
export class BlockCache {
  private readonly blocks: Recent<number, ListBlock>;
  private lists = 0;
  /** What was read last: blocks `from` to `to - 1` of a list, as they are in the file. */
  readonly read = { list: -1, from: 0, to: 0, words: new Uint32Array(0) };

  /** @param bytes about how much memory to use; a block is 8 to 16 KB */
  constructor(bytes: number) {
    this.blocks = new Recent(bytes, block => block.bytes);
  }
  /** A number for a list, under which its blocks are kept. */
  enter(): number {
    return this.lists++ * 2 ** 28;
  }
  get(key: number): ListBlock | undefined {
    return this.blocks.get(key);
  }
  set(key: number, block: ListBlock): void {
    this.blocks.set(key, block);
  }
}
