/**
 * The entries of a keyframe as they are read: who lays all of them over a state decodes whole columns, who wants the entries
 * of a few frames only where each frame's begin, and then those.
 */
import { PAGE_BYTES } from '../../base/brand.js';
import { Trouble } from '../../base/trouble.js';
import { SPACES } from '../../events/kinds.js';
import type { Bytes } from '../bytes.js';
import { decodeColumn, skipColumn } from '../column-decode.js';
import { type Part, partOf, stepsOf } from '../column-part.js';
import type { FrameSlots, Slots } from '../source.js';

/** Bytes of a value of each column. */
const WIDTHS = { space: 1, frame: 4, offset: 2, lo: 4, hi: 4 } as const;

const outOfOrder = (): Trouble => new Trouble('a keyframe with entries out of order');
const nowhere = (): Trouble => new Trouble('a keyframe with an entry that can be nowhere');

type Columns = Pick<Slots, keyof typeof WIDTHS>;
/** Entries of the same frame follow each other: those of `keys[r]` are the rows from first[r] to first[r + 1] - 1. */
interface Runs {
  readonly count: number;
  readonly keys: Float64Array;
  readonly first: Uint32Array;
}
/** Ascends as the entries do. */
const keyOf = (space: number, frame: number): number => space * 2 ** 32 + frame;
/** Of the frame asked for last. */
const one = {
  offset: new Uint32Array(PAGE_BYTES),
  lo: new Uint32Array(PAGE_BYTES),
  hi: new Uint32Array(PAGE_BYTES),
};
/** The first n values of a part from row `first` on. */
function values(part: Part, first: number, room: Uint32Array, n: number): Uint32Array {
  const into = room.subarray(0, n);
  into.fill(0);
  part(first, into);
  return into;
}

export class KeyframeSlots implements Slots {
  readonly count: number;
  private readonly from: Bytes;
  private readonly start: number;
  private readonly placed: <T>(work: () => T) => T;
  /** Where the columns end, once that is known. */
  private end = -1;
  private whole: Columns | undefined;
  private runs: Runs | undefined;
  private parts: { readonly offset: Part; readonly lo: Part; readonly hi: Part } | undefined;

  /**
   * @param from stands where the columns begin, and is nobody else's
   * @param placed runs what may throw Trouble, and says where that was
   */
  constructor(from: Bytes, count: number, placed: <T>(work: () => T) => T) {
    this.from = from;
    this.start = from.at;
    this.count = count;
    this.placed = placed;
  }

  get space(): Uint8Array {
    return this.columns().space;
  }
  get frame(): Uint32Array {
    return this.columns().frame;
  }
  get offset(): FrameSlots['offset'] {
    return this.columns().offset;
  }
  get lo(): Uint32Array {
    return this.columns().lo;
  }
  get hi(): Uint32Array {
    return this.columns().hi;
  }

  /** A reader of what comes after the columns. */
  after(): Bytes {
    const { from, count } = this;
    if (this.end < 0) {
      from.at = this.start;
      for (const width of Object.values(WIDTHS)) skipColumn(from, count, width);
      this.end = from.at;
    }
    return from.part(this.end, from.end);
  }

  inFrame(space: number, frame: number): FrameSlots | undefined {
    return this.placed(() => this.readFrame(space, frame));
  }
  private readFrame(space: number, frame: number): FrameSlots | undefined {
    const { count, keys, first: firsts } = (this.runs ??= this.findRuns());
    const key = keyOf(space, frame);
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    if (low === count || keys[low] !== key) return undefined;
    const first = firsts[low]!;
    const n = firsts[low + 1]! - first;
    if (n > PAGE_BYTES) throw outOfOrder();
    const parts = this.parts!;
    const offset = values(parts.offset, first, one.offset, n);
    checkOffsets(offset);
    return { offset, lo: values(parts.lo, first, one.lo, n), hi: values(parts.hi, first, one.hi, n) };
  }

  private findRuns(): Runs {
    const { from, count } = this;
    from.at = this.start;
    const spaces = stepsOf(from, count, 1);
    const frames = stepsOf(from, count, 4);
    this.parts = { offset: partOf(from, count, 2), lo: partOf(from, count, 4), hi: partOf(from, count, 4) };
    const most = spaces.rows.length + frames.rows.length;
    const keys = new Float64Array(most);
    const first = new Uint32Array(most + 1);
    let n = 0;
    for (let s = 0, f = 0, last = -1; s < spaces.rows.length || f < frames.rows.length; n++) {
      const row = Math.min(spaces.rows[s] ?? count, frames.rows[f] ?? count);
      if (spaces.rows[s] === row) s++;
      if (frames.rows[f] === row) f++;
      const space = spaces.values[s - 1]!;
      if (space >= SPACES.length) throw nowhere();
      keys[n] = keyOf(space, frames.values[f - 1]!);
      if (keys[n]! <= last) throw outOfOrder();
      last = keys[n]!;
      first[n] = row;
    }
    first[n] = count;
    return { count: n, keys, first };
  }

  private columns(): Columns {
    return (this.whole ??= this.placed(() => {
      const { from, count } = this;
      from.at = this.start;
      const made = {
        space: new Uint8Array(count),
        frame: new Uint32Array(count),
        offset: new Uint16Array(count),
        lo: new Uint32Array(count),
        hi: new Uint32Array(count),
      };
      for (const column of Object.values(made)) decodeColumn(from, column);
      this.end = from.at;
      check(made);
      return made;
    }));
  }
}

function checkOffsets(offset: Uint32Array): void {
  for (let i = 0, last = -1; i < offset.length; i++) {
    if (offset[i]! >= PAGE_BYTES) throw nowhere();
    if (offset[i]! <= last) throw outOfOrder();
    last = offset[i]!;
  }
}
function check({ space, frame, offset }: Columns): void {
  let last = -1;
  for (let i = 0; i < frame.length; i++) {
    const key = keyOf(space[i]!, frame[i]!) * PAGE_BYTES + offset[i]!;
    if (space[i]! >= SPACES.length || offset[i]! >= PAGE_BYTES) throw nowhere();
    if (key <= last) throw outOfOrder();
    last = key;
  }
}
