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
/** Entries of the same frame follow each other; run r of them begins at row first[r]. */
interface Runs {
  readonly space: readonly number[];
  readonly frame: readonly number[];
  readonly first: readonly number[];
}
/** Offsets, lo and hi of the frame asked for last. */
const one = [0, 1, 2].map(() => new Uint32Array(PAGE_BYTES));

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
    const runs = (this.runs ??= this.findRuns());
    let low = 0;
    let high = runs.frame.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const [s, f] = [runs.space[middle]!, runs.frame[middle]!];
      if (s < space || (s === space && f < frame)) low = middle + 1;
      else high = middle;
    }
    if (runs.space[low] !== space || runs.frame[low] !== frame) return undefined;
    const first = runs.first[low]!;
    const n = (runs.first[low + 1] ?? this.count) - first;
    if (n > PAGE_BYTES) throw outOfOrder();
    const [offset, lo, hi] = one.map(column => column.subarray(0, n)) as [Uint32Array, Uint32Array, Uint32Array];
    const parts = this.parts!;
    for (const [part, into] of [
      [parts.offset, offset],
      [parts.lo, lo],
      [parts.hi, hi],
    ] as const) {
      into.fill(0);
      part(first, into);
    }
    checkOffsets(offset);
    return { offset, lo, hi };
  }

  private findRuns(): Runs {
    const { from, count } = this;
    from.at = this.start;
    const spaces = stepsOf(from, count, 1);
    const frames = stepsOf(from, count, 4);
    this.parts = { offset: partOf(from, count, 2), lo: partOf(from, count, 4), hi: partOf(from, count, 4) };
    const runs = { space: [] as number[], frame: [] as number[], first: [] as number[] };
    for (let s = 0, f = 0, last = -1; s < spaces.rows.length || f < frames.rows.length; ) {
      const row = Math.min(spaces.rows[s] ?? count, frames.rows[f] ?? count);
      if (spaces.rows[s] === row) s++;
      if (frames.rows[f] === row) f++;
      const [space, frame] = [spaces.values[s - 1]!, frames.values[f - 1]!];
      const key = space * 2 ** 32 + frame;
      if (space >= SPACES.length) throw nowhere();
      if (key <= last) throw outOfOrder();
      last = key;
      runs.space.push(space);
      runs.frame.push(frame);
      runs.first.push(row);
    }
    return runs;
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
    const key = (space[i]! * 2 ** 32 + frame[i]!) * PAGE_BYTES + offset[i]!;
    if (space[i]! >= SPACES.length || offset[i]! >= PAGE_BYTES) throw nowhere();
    if (key <= last) throw outOfOrder();
    last = key;
  }
}
