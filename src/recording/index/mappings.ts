/**
 * What points to a frame, from MAPPERS and the rows of SLOTS that it names. Rows of MAPPERS under one key ascend by row of
 * SLOTS, and rows of SLOTS ascend by entry and then by time: so everything here is sorted by entry and one pass suffices.
 */
import { Recent } from '../../base/recent.js';
import { ENDED, KEPT } from './build.js';
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
 * How entries stood at ends of segments, by key: who looks at a frame looks at it again, a little earlier or later, and what
 * was before is the same for both.
 */
export class StandingCache {
  private readonly kept: Recent<string, Standing>;
  /** @param bytes about how much memory to use */
  constructor(bytes: number) {
    this.kept = new Recent(bytes, bytesOf);
  }
  /** How entries stood before event `end` to what `key` says, if that is known. */
  get(key: number, end: number): Standing | undefined {
    return this.kept.get(`${key} ${end}`);
  }
  set(key: number, end: number, standing: Standing): void {
    this.kept.set(`${key} ${end}`, standing);
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
    const block = mappers.blockOf(row);
    const stop = Math.min(end, block.first + block.n);
    for (; row < stop; row++) out[row - start] = block.value(row - block.first);
  }
  return out;
}
const NO_ROWS = new Uint32Array(0);
const rowOf = (value: number): number => value >>> 2;

/** How the entries that the segment mentions under `key` stand before `before`, or at its end if that is earlier. */
export function standingIn(segment: SegmentIndex, key: number, before: number): Standing {
  const mappers = mappersOf(segment, key);
  if (mappers.length === 0) return NOTHING;
  const { keys, values, notes, next } = segment.lists.slots.pick(mappers.map(rowOf));
  const limit = segment.relative(before);
  const { slots, since, levels } = roomFor(mappers.length);
  let n = 0;
  for (let m = 0; m < mappers.length; m++) {
    if (values[m]! >= limit) continue;
    // The last row of an entry before the limit says how it stands. Had the row behind it still pointed there, it would be here.
    if (m + 1 < mappers.length && keys[m + 1] === keys[m] && values[m + 1]! < limit) continue;
    const over = (mappers[m]! & 3) === ENDED || next[m]! < limit;
    slots[n] = keys[m]!;
    since[n] = over ? -1 : segment.firstSeq + values[m]!;
    levels[n++] = notes[m]!;
  }
  return { slots: slots.slice(0, n), since: since.slice(0, n), levels: levels.slice(0, n) };
}

/** How entries stand after both, of which `later` decides; without those that no longer point there. */
export function overlaid(earlier: Standing, later: Standing): Standing {
  if (later.slots.length === 0) return earlier;
  const last = earlier.slots.length;
  const { slots, since, levels } = roomFor(last + later.slots.length);
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
  return { slots: slots.slice(0, n), since: since.slice(0, n), levels: levels.slice(0, n) };
}
/** Columns with room for n entries, until the next call. */
function roomFor(n: number): Standing {
  if (n > room.slots.length)
    room = { slots: new Float64Array(2 * n), since: new Float64Array(2 * n), levels: new Uint8Array(2 * n) };
  return room;
}
let room = NOTHING;

/** Adds the events of the segment before `before` that made or ended a mapping of what `key` says. */
export function historyIn(segment: SegmentIndex, into: SeqSet, key: number, before: number): void {
  const mappers = mappersOf(segment, key);
  const { values, next } = segment.lists.slots.pick(mappers.map(rowOf));
  const limit = segment.relative(before);
  for (let m = 0; m < mappers.length; m++) {
    const says = mappers[m]! & 3;
    if (says !== KEPT && values[m]! < limit) into.add(values[m]!);
    // Where the next row of the entry is not one of these, it ended the mapping.
    const follows = m + 1 < mappers.length && rowOf(mappers[m + 1]!) === rowOf(mappers[m]!) + 1;
    if (says !== ENDED && !follows && next[m]! < limit) into.add(next[m]!);
  }
}
