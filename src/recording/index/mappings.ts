/**
 * What points to a frame, from MAPPERS and the rows of SLOTS that it names. Rows of MAPPERS under one key ascend by row of
 * SLOTS, and rows of SLOTS ascend by entry and then by time: so everything here is sorted by entry and one pass suffices.
 */
import { ENDED, KEPT } from './build.js';
import type { ListReader } from './list.js';
import type { SegmentIndex } from './segment.js';
import type { SeqSet } from './seqs.js';

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

/** Rows of SLOTS that MAPPERS names under `key`, and what it says of each (MADE, KEPT, ENDED): row * 4 + that. */
function mappersOf({ lists: { mappers } }: SegmentIndex, key: number): Uint32Array {
  if (mappers.rows === 0) return NO_ROWS;
  const start = mappers.lowerBound(key, 0);
  const end = mappers.lowerBound(key, 2 ** 32);
  if (start === end) return NO_ROWS;
  const out = new Uint32Array(end - start);
  for (let row = start; row < end; ) {
    const { first, n, values } = mappers.blockOf(row);
    const stop = Math.min(n, end - first);
    out.set(values.subarray(row - first, stop), row - start);
    row = first + stop;
  }
  return out;
}
const NO_ROWS = new Uint32Array(0);

/**
 * What is live at the end of a segment, or at `before` where that is earlier, from what was live at its start.
 * Entries that the segment does not mention stay as they were.
 */
export function liveAfter(segment: SegmentIndex, key: number, live: Live, before: number): Live {
  const rows = mappersOf(segment, key);
  if (rows.length === 0) return live;
  const { slots } = segment.lists;
  const limit = segment.relative(before);
  const out = new Growing(live.n + rows.length);
  let block = slots.blockOf(rows[0]! >>> 2);
  let kept = 0; // of `live`, what is before is done
  for (let m = 0; m < rows.length; ) {
    // One entry: the last of its rows before the limit says how it stands.
    let slot = -1;
    let row = -1;
    let level = 0;
    let since = -1;
    for (; m < rows.length; m++) {
      const next = rows[m]! >>> 2;
      if (next >= block.first + block.n) block = slots.blockOf(next);
      const i = next - block.first;
      if (slot < 0) slot = block.keys[i]!;
      else if (block.keys[i] !== slot) break;
      if (block.values[i]! >= limit) continue;
      row = next;
      level = block.notes[i]!;
      since = (rows[m]! & 3) === ENDED ? -1 : segment.firstSeq + block.values[i]!;
    }
    if (row < 0) continue;
    if (since >= 0 && isWrittenAgain(slots, row, slot, limit)) since = -1;
    while (kept < live.n && live.slots[kept]! < slot) out.copy(live, kept++);
    if (kept < live.n && live.slots[kept] === slot) kept++;
    if (since >= 0) out.push(slot, since, level);
  }
  while (kept < live.n) out.copy(live, kept++);
  return out;
}

/** True if the row after `row` of SLOTS is of the same entry and before the limit: MAPPERS had told if it still pointed there. */
function isWrittenAgain(slots: ListReader, row: number, slot: number, limit: number): boolean {
  if (row + 1 >= slots.rows) return false;
  const { first, keys, values } = slots.blockOf(row + 1);
  return keys[row + 1 - first] === slot && values[row + 1 - first]! < limit;
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

/** Adds the events of the segment before `before` that made or ended a mapping of what `key` says. */
export function historyIn(segment: SegmentIndex, into: SeqSet, key: number, before: number): void {
  const { slots } = segment.lists;
  const rows = mappersOf(segment, key);
  const limit = segment.relative(before);
  for (let m = 0; m < rows.length; m++) {
    const row = rows[m]! >>> 2;
    const says = rows[m]! & 3;
    let block = slots.blockOf(row);
    const slot = block.keys[row - block.first]!;
    const seq = block.values[row - block.first]!;
    if (says !== KEPT && seq < limit) into.add(seq);
    // Where the next row of the entry is not one of these, it ended the mapping.
    const next = row + 1;
    if (says === ENDED || next === slots.rows || (m + 1 < rows.length && rows[m + 1]! >>> 2 === next)) continue;
    block = slots.blockOf(next);
    if (block.keys[next - block.first] === slot && block.values[next - block.first]! < limit)
      into.add(block.values[next - block.first]!);
  }
}
