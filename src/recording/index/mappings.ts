/**
 * What points to a frame, from MAPPERS and the rows of SLOTS that it names. Rows of MAPPERS under one key ascend by row of
 * SLOTS, and rows of SLOTS ascend by entry and then by time: so everything here is sorted by entry and one pass suffices.
 */
import { ENDED, KEPT } from './build.js';
import type { ListBlock, ListReader } from './list.js';
import type { SegmentIndex } from './segment.js';
import type { SeqSet } from './seqs.js';

/** How entries stand to what a key says, sorted by entry (as key of SLOTS). */
export interface Standing {
  readonly slots: Float64Array;
  /** The event that wrote the entry as it is; -1 for one that no longer points there. */
  readonly since: Float64Array;
  readonly levels: Uint8Array;
}
export const NOTHING: Standing = {
  slots: new Float64Array(0),
  since: new Float64Array(0),
  levels: new Uint8Array(0),
};
const bytesOf = ({ slots }: Standing): number => 17 * slots.length + 200;

/**
 * How entries stood at the end of segments, by segment and key, least recently used first out: who looks at a frame looks
 * at it again, a little earlier or later.
 */
export class StandingCache {
  private readonly kept = new Map<string, Standing>();
  private readonly most: number;
  private held = 0;
  constructor(bytes: number) {
    this.most = bytes;
  }
  get(name: string, make: () => Standing): Standing {
    let found = this.kept.get(name);
    if (found) this.kept.delete(name);
    else this.held += bytesOf((found = make()));
    this.kept.set(name, found);
    for (const [oldest, standing] of this.kept) {
      if (this.held <= this.most) break;
      this.kept.delete(oldest);
      this.held -= bytesOf(standing);
    }
    return found;
  }
}

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

/** How the entries that the segment mentions under `key` stand before `before`, or at its end if that is earlier. */
export function standingIn(segment: SegmentIndex, key: number, before: number): Standing {
  const rows = mappersOf(segment, key);
  if (rows.length === 0) return NOTHING;
  const { slots: list } = segment.lists;
  const limit = segment.relative(before);
  const slots = new Float64Array(rows.length);
  const since = new Float64Array(rows.length);
  const levels = new Uint8Array(rows.length);
  let n = 0;
  let block = list.passing(rows[0]! >>> 2);
  let end = block.first + block.n;
  for (let m = 0; m < rows.length; ) {
    // One entry: the last of its rows before the limit says how it stands.
    let slot = -1;
    let row = -1;
    let seq = -1;
    for (; m < rows.length; m++) {
      const next = rows[m]! >>> 2;
      if (next >= end) {
        block = list.passing(next);
        end = block.first + block.n;
      }
      const i = next - block.first;
      const at = block.keys[i]!;
      if (slot < 0) slot = at;
      else if (at !== slot) break;
      const value = block.values[i]!;
      if (value >= limit) continue;
      row = next;
      levels[n] = block.notes[i]!;
      seq = (rows[m]! & 3) === ENDED ? -1 : value;
    }
    if (row < 0) continue;
    if (seq >= 0 && isWrittenAgain(list, block, row, slot, limit)) seq = -1;
    slots[n] = slot;
    since[n++] = seq < 0 ? -1 : segment.firstSeq + seq;
  }
  return { slots: slots.slice(0, n), since: since.slice(0, n), levels: levels.slice(0, n) };
}

/** How entries stand after both, of which `later` decides; without those that no longer point there. */
export function overlaid(earlier: Standing, later: Standing): Standing {
  if (later.slots.length === 0) return earlier;
  const most = earlier.slots.length + later.slots.length;
  const slots = new Float64Array(most);
  const since = new Float64Array(most);
  const levels = new Uint8Array(most);
  const last = earlier.slots.length;
  let n = 0;
  let e = 0;
  for (let l = 0; l < later.slots.length; l++) {
    const slot = later.slots[l]!;
    for (; e < last && earlier.slots[e]! < slot; e++, n++) {
      slots[n] = earlier.slots[e]!;
      since[n] = earlier.since[e]!;
      levels[n] = earlier.levels[e]!;
    }
    if (e < last && earlier.slots[e] === slot) e++;
    if (later.since[l]! < 0) continue;
    slots[n] = slot;
    since[n] = later.since[l]!;
    levels[n++] = later.levels[l]!;
  }
  slots.set(earlier.slots.subarray(e), n);
  since.set(earlier.since.subarray(e), n);
  levels.set(earlier.levels.subarray(e), n);
  n += last - e;
  return { slots: slots.subarray(0, n), since: since.subarray(0, n), levels: levels.subarray(0, n) };
}

/**
 * True if the row after `row` of SLOTS is of the same entry and before the limit: had it still pointed there, MAPPERS would
 * say so. `near` is a block it may be in.
 */
function isWrittenAgain(list: ListReader, near: ListBlock, row: number, slot: number, limit: number): boolean {
  const next = row + 1;
  if (next >= list.rows) return false;
  const { first, keys, values } = next >= near.first && next < near.first + near.n ? near : list.blockOf(next);
  return keys[next - first] === slot && values[next - first]! < limit;
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
