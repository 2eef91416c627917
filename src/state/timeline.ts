/**
 * A recording as a place to move about in. The state AT event #N is the one after events 0..N; at `start`, seq -1, nothing
 * has happened yet.
 *
 * A seek starts from whatever is nearest (where the pool stands, a dense keyframe, the start), jumps over sparse keyframes
 * of the file where that is cheaper than folding, and folds the rest, forwards or backwards. Passing a multiple of
 * DENSE_CHUNKS chunks it leaves a dense keyframe behind.
 */
import { assert } from '../base/assert.js';
import { finish, type Work } from '../base/work.js';
import type { Block } from '../events/block.js';
import { KIND, KIND_NAMES, type KindName } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { type Dense, DenseKeyframes, layOver } from './keyframe.js';
import { Pool } from './pool.js';
import { Snapshot, State } from './state.js';
import { EMPTY_TREE } from './tree.js';

/** Chunks between dense keyframes: a seek decodes at most half as many on either side. */
const DENSE_CHUNKS = 4;
/** Cost of laying sparse keyframes over an event's span, against 1 for decoding and folding the event. */
const SPARSE_COST = 0.15;
/** An estimate of bytes; the process grows by about 1.5 times as much. */
const DEFAULT_BUDGET = 112 * 2 ** 20;

/** What a search looks for: events of these kinds (all, if not given) for which `where` says yes. */
export interface Match {
  readonly kinds?: readonly KindName[];
  where?(block: Block, i: number): boolean;
}

/** True if a chunk with these counts could have a match. */
export const chunkMatters = (counts: Readonly<Uint32Array>, kinds: readonly KindName[] | undefined): boolean =>
  !kinds || kinds.some(kind => counts[KIND[kind]]! > 0);

/**
 * The next (direction 1) or previous (-1) matching event, from event `from` on, itself included. Chunks that have no event
 * of the kinds are not decoded.
 * @returns its seq, -1 if there is none
 */
export function* findEvent(source: Source, from: number, direction: 1 | -1, match: Match): Work<number> {
  if (source.count === 0 || (direction === 1 ? from >= source.count : from < 0)) return -1;
  const begin = Math.min(Math.max(from, 0), source.count - 1);
  const wanted = new Uint8Array(KIND_NAMES.length).fill(match.kinds ? 0 : 1);
  for (const kind of match.kinds ?? []) wanted[KIND[kind]] = 1;
  for (let n = source.chunkOf(begin); n >= 0 && n < source.chunks.length; n += direction) {
    const info = source.chunks[n]!;
    if (!chunkMatters(info.counts, match.kinds)) continue;
    const block = source.chunk(n);
    let i = Math.min(Math.max(begin - block.first, 0), block.count - 1);
    for (; i >= 0 && i < block.count; i += direction)
      if (wanted[block.kind[i]!] && (match.where?.(block, i) ?? true)) return block.first + i;
    yield { done: Math.abs(info.first - begin), total: direction === 1 ? source.count - begin : begin + 1 };
  }
  return -1;
}

export interface TimelineOptions {
  /** Bytes that dense keyframes may take; 112 MiB unless told. */
  readonly budgetBytes?: number;
}

export class Timeline {
  readonly source: Source;
  /** The state where the timeline stands. It moves along; `freeze` gives one that stays. */
  readonly state: State;
  /** Sparse keyframes with fewer events in between are not worth loading. */
  protected readonly sparseWorth: number = 100_000;
  private readonly pool = new Pool();
  private readonly dense: DenseKeyframes;

  constructor(source: Source, options: TimelineOptions = {}) {
    this.source = source;
    this.state = new State(this.pool);
    this.dense = new DenseKeyframes(options.budgetBytes ?? DEFAULT_BUDGET);
  }

  /** The event after which `state` is; -1 before the first. */
  get seq(): number {
    return this.pool.applied - 1;
  }
  /** Bytes of the dense keyframes, an estimate, and how many they are. */
  get usage(): { bytes: number; keyframes: number } {
    return { bytes: this.dense.bytes, keyframes: this.dense.count };
  }

  /** The state where the timeline stands, for good. */
  freeze(): Snapshot {
    return new Snapshot(this.pool.keyframe(), this.pool.applied);
  }

  /** Moves to the state at event `seq` (-1: before the first), which must be in the recording. */
  *seek(seq: number): Work<State> {
    const target = seq + 1;
    assert(target >= 0 && target <= this.source.count, `seek to event ${seq} of ${this.source.count}`);
    const start = this.nearest(target);
    if (start) {
      this.dense.touch(start);
      this.pool.load(start.tree, start.applied);
    }
    yield* this.jump(target);
    const total = Math.abs(target - this.pool.applied);
    while (this.pool.applied !== target) {
      if (this.pool.applied < target) this.foldForward(target);
      else this.foldBackward(target);
      yield { done: total - Math.abs(target - this.pool.applied), total };
    }
    return this.state;
  }
  /** Seeks without a pause: for short ways and for tests. */
  seekNow(seq: number): State {
    return finish(this.seek(seq));
  }
  /** The state at event `seq`, for good; the timeline is there afterwards. */
  *snapshot(seq: number): Work<Snapshot> {
    yield* this.seek(seq);
    return this.freeze();
  }

  /** One event on or back. Stays where it is at the ends of the recording. */
  step(direction: 1 | -1): State {
    const seq = this.seq + direction;
    return seq < -1 || seq >= this.source.count ? this.state : this.seekNow(seq);
  }

  /** The next or previous matching event after or before where the timeline stands; -1 for none. Does not move. */
  find(direction: 1 | -1, match: Match): Work<number> {
    return findEvent(this.source, direction === 1 ? this.seq + 1 : this.seq - 1, direction, match);
  }

  /** The cheapest place to load and go on from; undefined if that is where the pool stands. */
  private nearest(target: number): Dense | undefined {
    const starts: Dense[] = [{ applied: 0, tree: EMPTY_TREE }, ...this.dense.around(target)];
    let best: Dense | undefined;
    let least = this.cost(this.pool.applied, target);
    for (const start of starts) {
      const cost = this.cost(start.applied, target);
      if (cost < least) [best, least] = [start, cost];
    }
    return best;
  }
  private cost(from: number, target: number): number {
    const last = this.lastSparse(from, target);
    return last < 0
      ? Math.abs(target - from)
      : SPARSE_COST * (this.source.keyframes[last]!.seq - from) + target - this.source.keyframes[last]!.seq;
  }
  /** The last sparse keyframe in from+1 .. target, if it is far enough from `from` to be worth it; else -1. */
  private lastSparse(from: number, target: number): number {
    const { keyframes } = this.source;
    let n = keyframes.length - 1;
    while (n >= 0 && keyframes[n]!.seq > target) n--;
    return n >= 0 && keyframes[n]!.seq - from >= this.sparseWorth ? n : -1;
  }

  private *jump(target: number): Work<void> {
    const last = this.lastSparse(this.pool.applied, target);
    if (last < 0) return;
    for (let n = 0; n <= last; n++) {
      const { seq } = this.source.keyframes[n]!;
      if (seq <= this.pool.applied) continue;
      layOver(this.pool, this.source.keyframe(n), this.source);
      yield { done: seq, total: target };
    }
    this.keep(); // only here: one in each place passed over would cost as much again as laying them
  }

  /** At most to the end of one chunk. */
  private foldForward(target: number): void {
    const { pool, source } = this;
    const n = source.chunkOf(pool.applied);
    const block = source.chunk(n);
    pool.forward(block, pool.applied - block.first, Math.min(target - block.first, block.count));
    if (pool.applied === block.first + block.count && (n + 1) % DENSE_CHUNKS === 0) this.keep();
  }
  /** At most to the start of one chunk. */
  private foldBackward(target: number): void {
    const { pool, source } = this;
    const n = source.chunkOf(pool.applied - 1);
    const block = source.chunk(n);
    pool.backward(block, Math.max(target - block.first, 0), pool.applied - block.first);
    if (pool.applied === block.first && n % DENSE_CHUNKS === 0) this.keep();
  }
  private keep(): void {
    if (this.pool.applied > 0 && this.dense.wants(this.pool.applied))
      this.dense.add(this.pool.applied, this.pool.keyframe());
  }
}

export const createTimeline = (source: Source, options: TimelineOptions = {}): Timeline =>
  new Timeline(source, options);
