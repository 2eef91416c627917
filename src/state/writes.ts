/**
 * The writes of one chunk to page tables, by the frame they go to. Each frame of table memory has the writes to it in a chain,
 * last first; frames of the same hash share one.
 *
 *   heads    by hash of the frame   -> its last write
 *   earlier  by write               -> the write before it with the same hash
 *
 * A write is a row of `pte`, by its number, or what an adopt or release does to one frame, numbered from there on.
 */
import { PAGE_BYTES } from '../base/brand.js';
import { type Block, type BlockColumns, listStart } from '../events/block.js';
import { KIND } from '../events/kinds.js';
import { someColumns } from '../recording/codec.js';
import { PAGE_WORDS, putEntry } from './words.js';

/** Twice as many heads as tables that a chunk usually writes to. */
const HEADS = 4096;

/** An adopt or release in the order of events. */
interface TableEvent {
  readonly c: BlockColumns['adopt' | 'release'];
  readonly row: number;
  readonly adopts: boolean;
  /** Rows of pte before it. */
  readonly after: number;
}
/** The same, as far as it is about one frame. */
interface TablePart extends TableEvent {
  readonly frame: number;
}

/** In which direction events are gone over: whether what they left behind counts, or what they found. */
export type Direction = 'forward' | 'backward';

/** The columns of pte that say what counts. */
const PLACE = ['space', 'table', 'offset', 'bytes'] as const;
const VALUES = { forward: ['newLo', 'newHi'], backward: ['oldLo', 'oldHi'] } as const;
type Entries = Pick<BlockColumns['pte'], (typeof PLACE)[number]> & {
  readonly lo: Uint32Array;
  readonly hi: Uint32Array;
};
function entriesIn(block: Block, direction: Direction): Entries {
  const [lo, hi] = VALUES[direction];
  const columns = someColumns(block, 'pte', [...PLACE, lo, hi]) as BlockColumns['pte'];
  return { ...columns, lo: columns[lo], hi: columns[hi] };
}

export class Writes {
  private readonly pte: Entries;
  private readonly direction: Direction;
  private readonly heads = new Int32Array(HEADS).fill(-1);
  private readonly earlier: Int32Array;
  /** The number of the first part of a table. */
  private readonly rows: number;
  private readonly parts: TablePart[] = [];

  /** Of the events from..to-1 (indices in the block). */
  constructor(block: Block, from: number, to: number, direction: Direction) {
    this.pte = entriesIn(block, direction);
    this.direction = direction;
    this.rows = block.rows[KIND.pte]!;
    const { first, end, tables } = stretch(block, from, to);
    const parts = tables.flatMap(partsOf);
    this.earlier = new Int32Array(this.rows + parts.length);
    let row = first;
    for (const part of parts) {
      this.linkRows(row, part.after);
      row = part.after;
      this.link(hash(part.c.space[part.row]!, part.frame), this.rows + this.parts.push(part) - 1);
    }
    this.linkRows(row, end);
  }

  private linkRows(from: number, to: number): void {
    const { space, table, offset } = this.pte;
    for (let r = from; r < to; r++) this.link(hash(space[r]!, table[r]! + (offset[r]! >>> 12)), r);
  }
  private link(hash: number, write: number): void {
    this.earlier[write] = this.heads[hash]!;
    this.heads[hash] = write;
  }

  /** Makes the words of a frame what they are after the writes; or, backwards, what they were before. */
  apply(space: number, frame: number, words: Uint32Array): void {
    let n = 0;
    for (let w = this.heads[hash(space, frame)]!; w >= 0; w = this.earlier[w]!)
      if (this.isTo(w, space, frame)) chain[n++] = w;
    if (this.direction === 'backward') for (let i = 0; i < n; i++) this.write(chain[i]!, words);
    else while (n > 0) this.write(chain[--n]!, words);
  }
  private isTo(write: number, space: number, frame: number): boolean {
    if (write < this.rows) {
      const c = this.pte;
      return (c.space[write]! & 3) === space && c.table[write]! + (c.offset[write]! >>> 12) === frame;
    }
    const { c, row, frame: to } = this.parts[write - this.rows]!;
    return (c.space[row]! & 3) === space && to === frame;
  }
  private write(write: number, words: Uint32Array): void {
    if (write < this.rows) this.writeEntry(write, words);
    else this.writeTable(this.parts[write - this.rows]!, words);
  }

  private writeEntry(row: number, words: Uint32Array): void {
    const c = this.pte;
    putEntry(words, (c.offset[row]! % PAGE_BYTES) >>> 2, c.bytes[row] !== 4, c.lo[row]!, c.hi[row]!);
  }
  private writeTable({ c, row, adopts, frame }: TablePart, words: Uint32Array): void {
    // What an adopt brings is there after it, what a release took was there before.
    const full = adopts === (this.direction === 'forward');
    const { start, stride, first, end } = entriesOf(c, row);
    const from = (frame - c.table[row]!) * PAGE_WORDS;
    for (let item = first, word = start - from; item < end; item++, word += stride) {
      if (word < 0 || word >= PAGE_WORDS) continue;
      words[word] = full ? c.entriesLo[item]! : 0;
      if (stride === 2) words[word + 1] = full ? c.entriesHi[item]! : 0;
    }
  }
}

/** Writes of one chain: no more than there are events and parts of tables in a chunk, in an array that grows to that. */
const chain: number[] = [];

const hash = (space: number, frame: number): number => (frame ^ ((space & 3) << 10) ^ (frame >>> 12)) & (HEADS - 1);

/** Where entries of a table begin, in words of its first frame; words of each; and which items of the list they are. */
function entriesOf(c: BlockColumns['adopt' | 'release'], row: number) {
  const stride = c.bytes[row] === 4 ? 1 : 2;
  const word = c.offset[row]! >>> 2;
  return { start: word - (word % stride), stride, first: listStart(c.entriesEnd, row), end: c.entriesEnd[row]! };
}
/** For each frame that the entries reach into. */
function partsOf(event: TableEvent): TablePart[] {
  const { start, stride, first, end } = entriesOf(event.c, event.row);
  const parts: TablePart[] = [];
  for (let at = Math.floor(start / PAGE_WORDS); at * PAGE_WORDS < start + (end - first) * stride; at++)
    parts.push({ ...event, frame: event.c.table[event.row]! + at });
  return parts;
}

/** The rows of pte and the adopts and releases among events from..to-1. */
function stretch(block: Block, from: number, to: number): { first: number; end: number; tables: TableEvent[] } {
  const { rows, col } = block;
  const { pte, adopt, release } = KIND;
  const tables: TableEvent[] = [];
  // Of a whole block without tables without looking at its events.
  if (from === 0 && to === block.count && rows[adopt] === 0 && rows[release] === 0)
    return { first: 0, end: rows[pte]!, tables };
  const { kind, row } = block;
  let first = -1;
  let end = 0;
  for (let i = 0; i < to; i++) {
    if (i === from) first = end;
    const k = kind[i]!;
    if (k === pte) end++;
    else if (i >= from && k === adopt) tables.push({ c: col.adopt, row: row[i]!, adopts: true, after: end });
    else if (i >= from && k === release) tables.push({ c: col.release, row: row[i]!, adopts: false, after: end });
  }
  return { first: first < 0 ? end : first, end, tables };
}
