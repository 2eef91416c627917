/**
 * What changed between two boundaries (boundaries.ts), kept in memory: see changes.ts.
 *
 *   0   1   2   3   4   5   6 ...      64     128
 *   |---|---|---|---|---|---|---  ...                level 0: a quarter of a chunk
 *   |---------------------------------|------|-      level 1: 16 chunks, made of those of level 0
 *   |------------------------------------------      level 2: 256 chunks, made of sixteen of level 1
 *   |--------------------|---------------------      and what sparse keyframes of the file span
 *
 * So any two boundaries are a few steps apart. Each chunk that a timeline passes leaves some of level 0. Fewer levels would have more
 * words on a way; more of them hardly fewer, since neighbours have little in common, and each level takes memory.
 * When they take more than the budget, those of the level that has most go first, least recently used ones before others.
 */
import { PARTS } from './boundaries.js';
import { bytesOfChanges, type Changes, joined } from './changes.js';
import type { Beside } from './tree.js';
import { LEAF_WORDS } from './words.js';

export interface Delta extends Changes {
  /** Boundaries, from < to. */
  readonly from: number;
  readonly to: number;
  /** What is beside the words at both ends. */
  readonly before: Beside;
  readonly after: Beside;
}

/** Boundaries that a delta spans, by level. */
export const SPANS = [1, 16 * PARTS, 256 * PARTS] as const;
const TOP = SPANS.length - 1;
/** The level of what spans anything else, of which nothing is made. */
const OTHER = TOP + 1;
const levelOf = ({ from, to }: Delta): number => {
  const level = SPANS.findIndex(span => to - from === span && from % span === 0);
  return level < 0 ? OTHER : level;
};
const DELTA_COST = 600;
const RANGE_COST = 80;
const ENTRY_COST = 40;

interface Kept extends Delta {
  readonly level: number;
  readonly bytes: number;
}

/** An estimate. What is beside the words is shared by deltas that end at the same boundary; each pays, for any may stay last. */
function bytesOf(delta: Delta): number {
  const { before, after } = delta;
  let bytes = DELTA_COST + bytesOfChanges(delta);
  if (after.hosts !== before.hosts) bytes += (after.hosts.size + after.tasks.size) * ENTRY_COST;
  for (const [pid, ranges] of after.hosts) if (before.hosts.get(pid) !== ranges) bytes += ranges.length * RANGE_COST;
  return bytes;
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
  private readonly levels = Array.from({ length: OTHER + 1 }, () => ({ bytes: 0, kept: new Set<Kept>() }));

  /** Zeros between uses. */
  private scratch = new Uint32Array(0);

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

  /** Keeps a delta, and those of higher levels that it makes whole. */
  put(delta: Delta): void {
    if (this.has(delta.from, delta.to)) return;
    const level = levelOf(delta);
    this.keep(delta, level);
    this.join(delta.from, level);
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
    if (level >= TOP) return;
    const part = SPANS[level]!;
    const span = SPANS[level + 1]!;
    const from = boundary - (boundary % span);
    if (this.has(from, from + span)) return;
    const parts: Delta[] = [];
    for (let n = from; n < from + span; n += part) {
      const delta = this.up.get(n)?.find(d => d.to === n + part);
      if (!delta) return;
      parts.push(delta);
    }
    const [{ before }, { to, after }] = [parts[0]!, parts.at(-1)!];
    const words = parts.reduce((most, { end }) => Math.max(most, end), LEAF_WORDS);
    if (words > this.scratch.length) this.scratch = new Uint32Array(2 ** Math.ceil(Math.log2(words)));
    this.keep({ ...joined(parts, this.scratch), from, to, before, after }, level + 1);
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
