/**
 * Two kinds of keyframes, for two distances.
 *
 * SPARSE ones are in the file, one per million events: what changed in their span, with the values at its end. Laid over a
 * state at their start, or anywhere in their span, they give the state at their end.
 *
 * DENSE ones are trees (tree.ts) in memory, made every few chunks while a timeline passes by, within a budget of bytes.
 */
import { FRAME_KINDS, SPACES, type Space } from '../events/kinds.js';
import type { Keyframe, Source } from '../recording/source.js';
import { FOLD_FORWARD } from './fold.js';
import { entryBytesOf } from './formats.js';
import type { Pool } from './pool.js';
import { bytesBeyond, EMPTY_TREE, type Tree } from './tree.js';
import { FRAME_FIELDS, memoryWord, registerWord, SECTION } from './words.js';

/** Lays a sparse keyframe over the pool, which then is the state before event `keyframe.seq`. */
export function layOver(pool: Pool, keyframe: Keyframe, source: Pick<Source, 'lexicon'>): void {
  const { others, slots, frames, registers } = keyframe;
  // Tables come and go first: an adopt without its entries leaves the memory to `slots`.
  const { kind, row, vcpu, col, count } = others.block;
  for (let i = 0; i < count; i++) FOLD_FORWARD[kind[i]!]!(pool, col, row[i]!, vcpu[i]!);

  const wide = (SPACES as readonly Space[]).map(space => entryBytesOf(source, space) === 8);
  for (let i = 0; i < slots.frame.length; i++) {
    const space = slots.space[i]! & 3;
    const word = memoryWord(slots.frame[i]!, slots.offset[i]!);
    if (wide[space]) pool.setPair(SECTION.memory + space, word - (word % 2), slots.lo[i]!, slots.hi[i]!);
    else pool.set(SECTION.memory + space, word, slots.lo[i]!);
  }
  for (let i = 0; i < frames.frame.length; i++) {
    const { section, shift, mask } = FRAME_FIELDS[FRAME_KINDS[frames.kind[i]!] ?? 'type'];
    pool.setBits(section, frames.frame[i]!, shift, mask, frames.value[i]!);
  }
  registers.forEach((values, v) => {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
    for (let r = 0; r < values.length; r++)
      pool.setPair(SECTION.registers, registerWord(v, r), words[2 * r]!, words[2 * r + 1]!);
  });
  pool.applied = keyframe.seq;
}

export interface Dense {
  readonly applied: number;
  readonly tree: Tree;
}
interface Kept extends Dense {
  /** What it holds beyond the kept one before it. */
  bytes: number;
  used: number;
}

/** Part of the budget at which it counts as used up. */
const FULL = 0.9;

/**
 * Dense keyframes in order, within a budget. When they are too many, of the half that was not used for longest the one goes
 * whose neighbours are closest together: what is left covers the recording evenly, however long it is.
 */
export class DenseKeyframes {
  private readonly budgetBytes: number;
  private readonly kept: Kept[] = [];
  private clock = 0;
  private total = 0;

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.total;
  }
  get count(): number {
    return this.kept.length;
  }

  /** Index of the first kept one with applied >= n. */
  private find(n: number): number {
    let lo = 0;
    let hi = this.kept.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.kept[mid]!.applied < n) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }

  /**
   * True if one here would be worth making. Once the budget is used up, only where the kept ones are far apart: making one
   * costs some 20 ms, and a seek that makes what the next one drops is slow for nothing.
   */
  wants(applied: number): boolean {
    const at = this.find(applied);
    const [before, after] = [this.kept[at - 1], this.kept[at]];
    if (after?.applied === applied) return false;
    if (this.total < FULL * this.budgetBytes || !after) return true;
    const average = this.kept.at(-1)!.applied / this.kept.length;
    return after.applied - (before?.applied ?? 0) > 2 * average;
  }
  /** The kept ones next to a moment: at most one not after it, at most one after it. */
  around(applied: number): Dense[] {
    const at = this.find(applied + 1);
    return [this.kept[at - 1], this.kept[at]].filter(k => k !== undefined);
  }
  touch(dense: Dense): void {
    (dense as Kept).used = ++this.clock;
  }

  add(applied: number, tree: Tree): void {
    const at = this.find(applied);
    if (this.kept[at]?.applied === applied) {
      this.touch(this.kept[at]!);
      return;
    }
    this.kept.splice(at, 0, { applied, tree, bytes: 0, used: ++this.clock });
    this.weigh(at);
    this.weigh(at + 1);
    while (this.total > this.budgetBytes && this.kept.length > 1) this.drop();
  }

  private weigh(at: number): void {
    const k = this.kept[at];
    if (!k) return;
    this.total -= k.bytes;
    k.bytes = bytesBeyond(this.kept[at - 1]?.tree ?? EMPTY_TREE, k.tree);
    this.total += k.bytes;
  }

  private drop(): void {
    const byUse = this.kept.map(k => k.used).sort((a, b) => a - b);
    const median = byUse[(byUse.length - 1) >>> 1]!;
    let worst = -1;
    let narrowest = Number.POSITIVE_INFINITY;
    this.kept.forEach((k, i) => {
      const gap = (this.kept[i + 1]?.applied ?? Number.MAX_SAFE_INTEGER) - (this.kept[i - 1]?.applied ?? 0);
      if (k.used <= median && gap < narrowest) [worst, narrowest] = [i, gap];
    });
    this.total -= this.kept[worst]!.bytes;
    this.kept.splice(worst, 1);
    this.weigh(worst);
  }
}
