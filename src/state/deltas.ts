/**
 * What changed between two boundaries of chunks, kept in memory: addresses in the pool's words and what to xor there, which
 * leads from either end to the other. Boundary n is the moment before chunk n.
 *
 *   0   1   2   3   4   5   6   7   8   9 ...
 *   |---|---|---|---|---|---|---|---|---|-           level 0: a chunk
 *   |-------------------------------|-----           level 1: 8 chunks, made of eight of level 0
 *   |-------------------------------------           levels 2 and 3: 64 and 512 chunks
 *   |--------------------|----------------           and what sparse keyframes of the file span
 *
 * So any two boundaries are a few steps apart, however long the recording is. Each chunk that a timeline passes leaves one.
 * When they take more than the budget, those of the level that has most go first, least recently used ones before others.
 */
import type { Beside } from './tree.js';
import { LEAF_SHIFT, LEAF_WORDS } from './words.js';

export interface Delta {
  /** Boundaries, from < to. */
  readonly from: number;
  readonly to: number;
  /** Addresses, ascending. */
  readonly at: Uint32Array;
  readonly xor: Uint32Array;
  /** What is beside the words at both ends. */
  readonly before: Beside;
  readonly after: Beside;
}

const FAN = 8;
const TOP = 3;
/** The level of what sparse keyframes span, which nothing is made of. */
export const SPARSE = TOP + 1;
const DELTA_COST = 600;
const RANGE_COST = 80;
const ENTRY_COST = 40;

interface Kept extends Delta {
  readonly level: number;
  readonly bytes: number;
}

/** An estimate. What is beside the words is shared by deltas that end at the same boundary; each pays, for any may stay last. */
function bytesOf({ at, before, after }: Delta): number {
  let bytes = DELTA_COST + 8 * at.length;
  if (after.hosts !== before.hosts) bytes += (after.hosts.size + after.tasks.size) * ENTRY_COST;
  for (const [pid, ranges] of after.hosts) if (before.hosts.get(pid) !== ranges) bytes += ranges.length * RANGE_COST;
  return bytes;
}

/** For `net`: as long as the pool's words, and all zero between uses. */
export interface Scratch {
  readonly words: Uint32Array;
  /** Which leaves of `words` were touched. */
  readonly leaves: Uint8Array;
}
export const scratchOf = (leaves: number): Scratch => ({
  words: new Uint32Array(leaves * LEAF_WORDS),
  leaves: new Uint8Array(leaves),
});

/**
 * Brings a list of changes to one for each address, none where they cancel out, in order: going over memory in order is
 * three times as fast. The net changes come first in the lists.
 * @returns how many are left
 */
export function net(at: Uint32Array, xor: Uint32Array, count: number, { words, leaves }: Scratch): number {
  let first = leaves.length;
  let last = -1;
  for (let i = 0; i < count; i++) {
    const a = at[i]!;
    const leaf = a >>> LEAF_SHIFT;
    words[a] = words[a]! ^ xor[i]!;
    leaves[leaf] = 1;
    if (leaf < first) first = leaf;
    if (leaf > last) last = leaf;
  }
  let n = 0;
  for (let leaf = first; leaf <= last; leaf++) {
    if (leaves[leaf] === 0) continue;
    leaves[leaf] = 0;
    const end = (leaf + 1) * LEAF_WORDS;
    for (let a = end - LEAF_WORDS; a < end; a++) {
      const x = words[a]!;
      if (x === 0) continue;
      words[a] = 0;
      at[n] = a;
      xor[n++] = x;
    }
  }
  return n;
}

/** One delta for several that follow each other. */
function joined(parts: readonly Delta[], scratch: Scratch): Delta {
  const most = parts.reduce((sum, part) => sum + part.at.length, 0);
  const at = new Uint32Array(most);
  const xor = new Uint32Array(most);
  let filled = 0;
  for (const part of parts) {
    at.set(part.at, filled);
    xor.set(part.xor, filled);
    filled += part.at.length;
  }
  const n = net(at, xor, most, scratch);
  const [first, last] = [parts[0]!, parts.at(-1)!];
  const { from, before } = first;
  return { from, to: last.to, at: at.slice(0, n), xor: xor.slice(0, n), before, after: last.after };
}

/** By boundary, the deltas that lead away from it, longest first. */
type Ways = Map<number, Kept[]>;
const link = (ways: Ways, boundary: number, delta: Kept): void => {
  const list = ways.get(boundary) ?? [];
  list.push(delta);
  ways.set(
    boundary,
    list.sort((a, b) => b.to - b.from - (a.to - a.from)),
  );
};
const unlink = (ways: Ways, boundary: number, delta: Kept): void => {
  const left = (ways.get(boundary) ?? []).filter(d => d !== delta);
  if (left.length > 0) ways.set(boundary, left);
  else ways.delete(boundary);
};

export class Deltas {
  private readonly budgetBytes: number;
  private readonly up: Ways = new Map();
  private readonly down: Ways = new Map();
  /** Per level, least recently used first. */
  private readonly levels = Array.from({ length: SPARSE + 1 }, () => ({ bytes: 0, kept: new Set<Kept>() }));
  private scratch = scratchOf(0);

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.levels.reduce((sum, l) => sum + l.bytes, 0);
  }
  get count(): number {
    return this.levels.reduce((sum, l) => sum + l.kept.size, 0);
  }

  /** The longest delta that leads from a boundary towards another and not past it. */
  step(from: number, to: number): Delta | undefined {
    return to > from ? this.up.get(from)?.find(d => d.to <= to) : this.down.get(from)?.find(d => d.from >= to);
  }
  /** True if there is a delta between exactly these. */
  has(from: number, to: number): boolean {
    return this.up.get(from)?.some(d => d.to === to) ?? false;
  }
  /** Tells that a delta was of use. */
  touch(delta: Delta): void {
    const { kept } = this.levels[(delta as Kept).level]!;
    if (kept.delete(delta as Kept)) kept.add(delta as Kept);
  }

  /**
   * Keeps a delta, and those of higher levels that it makes whole.
   * @param level 0 for one chunk, SPARSE for what a sparse keyframe spans
   */
  put(delta: Delta, level: 0 | typeof SPARSE): void {
    if (this.has(delta.from, delta.to)) return;
    this.keep(delta, level);
    if (level === 0) this.join(delta.from, 0);
    while (this.bytes > this.budgetBytes && this.count > 1) this.drop();
  }
  private keep(delta: Delta, level: number): void {
    const kept: Kept = { ...delta, level, bytes: bytesOf(delta) };
    link(this.up, kept.from, kept);
    link(this.down, kept.to, kept);
    this.levels[level]!.kept.add(kept);
    this.levels[level]!.bytes += kept.bytes;
  }
  /** Makes the delta of the level above that spans `boundary`, if all its parts are there. */
  private join(boundary: number, level: number): void {
    if (level === TOP) return;
    const part = FAN ** level;
    const from = Math.floor(boundary / (FAN * part)) * FAN * part;
    if (this.has(from, from + FAN * part)) return;
    const parts: Delta[] = [];
    for (let n = from; n < from + FAN * part; n += part) {
      const delta = this.up.get(n)?.find(d => d.to === n + part);
      if (!delta) return;
      parts.push(delta);
    }
    const leaves = 1 + parts.reduce((most, { at }) => Math.max(most, (at.at(-1) ?? 0) >>> LEAF_SHIFT), 0);
    if (leaves > this.scratch.leaves.length) this.scratch = scratchOf(2 ** Math.ceil(Math.log2(leaves)));
    this.keep(joined(parts, this.scratch), level + 1);
    this.join(from, level + 1);
  }

  private drop(): void {
    const level = this.levels.reduce((most, l) => (l.bytes > most.bytes ? l : most));
    const [oldest] = level.kept;
    level.kept.delete(oldest!);
    level.bytes -= oldest!.bytes;
    unlink(this.up, oldest!.from, oldest!);
    unlink(this.down, oldest!.to, oldest!);
  }
}
