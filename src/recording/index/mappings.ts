/**
 * What points to a frame, from MAPPERS and the rows of SLOTS that it names. Rows of MAPPERS under one key ascend by row of
 * SLOTS, and rows of SLOTS ascend by entry and then by time: so everything here is sorted by entry and one pass suffices.
 */
import { ENDED, KEPT } from './build.js';
import type { SegmentIndex } from './segment.js';

/** Entries that point to what a key says, sorted by entry (as key of SLOTS); `n` of the columns' elements count. */
export interface Live {
  readonly n: number;
  readonly slots: Float64Array;
  /** The event that wrote the entry as it is. */
  readonly since: Float64Array;
  readonly levels: Uint8Array;
}
export const NOTHING_LIVE: Live = {
  n: 0,
  slots: new Float64Array(0),
  since: new Float64Array(0),
  levels: new Uint8Array(0),
};

/** Calls `each` for the rows of MAPPERS under `key`, with their row of SLOTS and what they say. */
function forMappers(segment: SegmentIndex, key: number, each: (row: number, says: number, next: number) => void): void {
  const { mappers } = segment.lists;
  const end = mappers.lowerBound(key, 2 ** 32);
  let before = -1;
  for (let at = mappers.lowerBound(key, 0); at < end; ) {
    const { first, n, values } = mappers.blockOf(at);
    const stop = Math.min(first + n, end);
    for (; at < stop; at++) {
      const value = values[at - first]!;
      if (before >= 0) each(before >>> 2, before & 3, value);
      before = value;
    }
  }
  if (before >= 0) each(before >>> 2, before & 3, -1);
}

/**
 * What is live at the end of a segment, or at `before` where that is earlier, from what was live at its start.
 * Entries that the segment does not mention stay as they were.
 */
export function liveAfter(segment: SegmentIndex, key: number, live: Live, before: number): Live {
  const { mappers, slots } = segment.lists;
  if (mappers.rows === 0) return live;
  const rows = mappers.lowerBound(key, 2 ** 32) - mappers.lowerBound(key, 0);
  if (rows === 0) return live;
  const limit = segment.relative(before);
  const out = new Growing(live.n + rows);
  let kept = 0; // of `live`, entries below are done
  // The entry at hand and how it stands.
  let slot = -1;
  let since = -1;
  let level = 0;
  const close = (): void => {
    if (slot < 0) return;
    while (kept < live.n && live.slots[kept]! < slot) out.copy(live, kept++);
    if (kept < live.n && live.slots[kept] === slot) kept++;
    if (since >= 0) out.push(slot, since, level);
  };
  forMappers(segment, key, (row, says) => {
    let block = slots.blockOf(row);
    const i = row - block.first;
    const seq = block.values[i]!;
    if (seq >= limit) return;
    const at = block.keys[i]!;
    if (at !== slot) {
      close();
      slot = at;
    }
    since = -1;
    if (says === ENDED) return;
    // Written again before the limit? If it then still points here, the next row of MAPPERS says so.
    level = block.notes[i]!;
    const next = row + 1;
    if (next < slots.rows) {
      if (next >= block.first + block.n) block = slots.blockOf(next);
      const j = next - block.first;
      if (block.keys[j] === at && block.values[j]! < limit) return;
    }
    since = segment.firstSeq + seq;
  });
  close();
  while (kept < live.n) out.copy(live, kept++);
  return out;
}

class Growing implements Live {
  n = 0;
  readonly slots: Float64Array;
  readonly since: Float64Array;
  readonly levels: Uint8Array;
  constructor(most: number) {
    this.slots = new Float64Array(most);
    this.since = new Float64Array(most);
    this.levels = new Uint8Array(most);
  }
  push(slot: number, since: number, level: number): void {
    this.slots[this.n] = slot;
    this.since[this.n] = since;
    this.levels[this.n++] = level;
  }
  copy(from: Live, i: number): void {
    this.push(from.slots[i]!, from.since[i]!, from.levels[i]!);
  }
}

/** Events of the segment before `before` that made or ended a mapping of what `key` says; any order. */
export function historyIn(segment: SegmentIndex, key: number, before: number): number[] {
  const { mappers, slots } = segment.lists;
  const out: number[] = [];
  if (mappers.rows === 0) return out;
  const limit = segment.relative(before);
  const add = (seq: number): void => {
    if (seq < limit) out.push(segment.firstSeq + seq);
  };
  forMappers(segment, key, (row, says, next) => {
    let block = slots.blockOf(row);
    const at = block.keys[row - block.first]!;
    if (says !== KEPT) add(block.values[row - block.first]!);
    if (says === ENDED || row + 1 === slots.rows || (next >= 0 && next >>> 2 === row + 1)) return;
    block = slots.blockOf(row + 1);
    if (block.keys[row + 1 - block.first] === at) add(block.values[row + 1 - block.first]!);
  });
  return out;
}
