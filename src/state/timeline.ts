/**
 * A recording as a place to move about in. The state AT event #N is the one after events 0..N; at `start`, seq -1, nothing
 * has happened yet.
 *
 * A seek goes from boundary to boundary (boundaries.ts) by the longest deltas it has (deltas.ts), lays sparse keyframes of the file
 * where it has none, folds from one to the next where there are no such either, which leaves a delta, and folds what
 * is left from the last one on, forwards or backwards. Where to begin, here or at a still (stills.ts), and from which side to come, is what
 * costs least: the way is first walked without doing anything.
 */
import { assert } from '../base/assert.js';
import { finish, type Work } from '../base/work.js';
import { expectPieces } from '../recording/inflate.js';
import type { Source } from '../recording/source.js';
import { Boundaries } from './boundaries.js';
import { type Delta, Deltas, SPANS } from './deltas.js';
import { findEvent, type Match } from './find.js';
import { layOver } from './keyframe.js';
import { Pool } from './pool.js';
import { Snapshot, State } from './state.js';
import { type Still, Stills } from './stills.js';
import { EVERYTHING, TABLES } from './sweep.js';

/** Costs, against 1 for folding an event (some 50 ns): */
const COST = {
  /** decoding and folding an event between two boundaries, */
  decoded: 2,
  /** an event in the span of a sparse keyframe, */
  sparse: 0.15,
  /** a word of a delta, */
  word: 0.06,
  /** a word of a still, */
  copied: 0.003,
  /** and going back to a boundary. */
  rewind: 1000,
};
/** An estimate of bytes. */
const DEFAULT_BUDGET = 80 * 2 ** 20;
/** The share of it that stills may take. */
const STILLS_SHARE = 3 / 8;

/** One move along boundaries. */
type Move =
  | { readonly how: 'delta'; readonly to: number; readonly cost: number; readonly delta: Delta }
  | { readonly how: 'lay'; readonly to: number; readonly cost: number; readonly keyframe: number }
  | { readonly how: 'fold'; readonly to: number; readonly cost: number };
interface Plan {
  /** Where to begin; from where the pool stands if undefined. */
  readonly still: Still | undefined;
  /** Boundaries to go to, one after the other; the last is next to the target. */
  readonly stops: readonly number[];
}

export interface TimelineOptions {
  /** Bytes that deltas and stills may take; 80 MiB unless told. */
  readonly budgetBytes?: number;
  /** Fold only what page tables hold and where they are; all else of the state stays as before the first event. */
  readonly tablesOnly?: boolean;
}

export class Timeline {
  readonly source: Source;
  /** The state where the timeline stands. It moves along; `freeze` gives one that stays. */
  readonly state: State;
  /** Sparse keyframes with fewer events in between are not worth loading. */
  protected readonly sparseWorth: number = 100_000;
  private readonly pool: Pool;
  private readonly deltas: Deltas;
  private readonly stills: Stills;
  private readonly boundaries: Boundaries;
  /** The boundary that is the pool's anchor. What is folded beyond it goes no further than to the next one. */
  private at = 0;
  /** The first way to anywhere leaves nothing behind, and so is short: who asks one question needs no way back. */
  private travelled = false;
  /** The boundaries of sparse keyframes, and which keyframe it is; in order. */
  private sparse: { readonly boundary: number; readonly n: number; readonly events: number }[] = [];
  private sparseSeen = 0;

  constructor(source: Source, options: TimelineOptions = {}) {
    expectPieces();
    this.source = source;
    this.boundaries = new Boundaries(source);
    this.pool = new Pool(options.tablesOnly ? TABLES : EVERYTHING);
    this.state = new State(this.pool);
    const bytes = options.budgetBytes ?? DEFAULT_BUDGET;
    this.stills = new Stills(STILLS_SHARE * bytes);
    this.deltas = new Deltas((1 - STILLS_SHARE) * bytes);
  }

  /** The event after which `state` is; -1 before the first. */
  get seq(): number {
    return this.pool.applied - 1;
  }
  /** Bytes of deltas and stills, an estimate, and how many they are. */
  get usage(): { bytes: number; deltas: number; stills: number } {
    const { deltas, stills } = this;
    return { bytes: deltas.bytes + stills.bytes, deltas: deltas.count, stills: stills.count };
  }

  /** The state where the timeline stands, for good. */
  freeze(): Snapshot {
    return new Snapshot(this.pool.keyframe(), this.pool.applied);
  }

  /** Moves to the state at event `seq` (-1: before the first), which must be in the recording. */
  *seek(seq: number): Work<State> {
    const target = seq + 1;
    assert(target >= 0 && target <= this.source.count, `seek to event ${seq} of ${this.source.count}`);
    if (target === this.pool.applied) return this.state;
    const { pool } = this;
    const total = Math.abs(target - pool.applied);
    const progress = () => ({ done: Math.max(0, total - Math.abs(target - pool.applied)), total });
    const plan = this.plan(target);
    if (plan) {
      if (plan.still) {
        this.at = plan.still.boundary;
        pool.restore(plan.still, this.first(this.at));
      } else if (pool.applied !== this.first(this.at)) pool.rewind();
      for (const stop of plan.stops)
        while (this.at !== stop) {
          this.go(stop);
          yield progress();
        }
      this.travelled = true;
    }
    this.foldWithin(target);
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

  private first(boundary: number): number {
    return this.boundaries.first(boundary);
  }

  /** How to come to a boundary next to `target`; undefined if it is least to fold from where the pool stands. */
  private plan(target: number): Plan | undefined {
    this.learnSparse();
    const { at, pool } = this;
    const n = this.boundaries.before(target);
    const here = this.first(at);
    // Where the pool may go by folding: to the next boundary that it has left for, or, if it stands at one, either next to it.
    const from = this.first(pool.applied <= here ? Math.max(at - 1, 0) : at);
    const to = this.first(pool.applied >= here ? at + 1 : at);
    let best: Plan | undefined;
    let least = target >= from && target <= to ? Math.abs(target - pool.applied) : Number.POSITIVE_INFINITY;
    const { last } = this.boundaries;
    // It may be shorter to pass the end and come back: by a sparse keyframe, or a delta of many chunks.
    const low = n - (n % SPANS[1]);
    const high = low + SPANS[1];
    const beyond = [low, high, this.sparseAfter(n)?.boundary ?? last].filter(b => b <= last);
    // Stills first: one is near, and what costs more than the way from there is soon given up.
    for (const still of [...this.stills.around(n), undefined])
      for (const end of n < last ? [n, n + 1] : [n])
        for (const stops of [[end], ...beyond.map(b => [b, end])]) {
          const rest = Math.abs(target - this.first(end)) + (still ? COST.copied * pool.size : COST.rewind);
          const cost = this.cost(still ? still.boundary : at, stops, rest, least);
          if (cost < least) [best, least] = [{ still, stops }, cost];
        }
    return best;
  }
  /** What a way costs on top of `cost`; gives up where that is `most` or more. */
  private cost(from: number, stops: readonly number[], cost: number, most: number): number {
    for (const stop of stops)
      while (from !== stop && cost < most) {
        const delta = this.deltas.step(from, stop);
        if (delta) {
          // As `move` has it, which is not asked, since a seek looks at hundreds of these.
          cost += COST.word * delta.xors.length;
          from = stop > from ? delta.to : delta.from;
        } else {
          const move = this.move(from, stop);
          cost += move.cost;
          from = move.to;
        }
      }
    return cost;
  }
  /** The next move from a boundary towards another one. */
  private move(at: number, to: number): Move {
    const delta = this.deltas.step(at, to);
    if (delta) return { how: 'delta', to: to > at ? delta.to : delta.from, cost: COST.word * delta.xors.length, delta };
    const k = to > at ? this.sparseAfter(at) : undefined;
    if (k && k.boundary <= to && this.first(k.boundary) - this.first(at) >= this.sparseWorth)
      return { how: 'lay', to: k.boundary, cost: COST.sparse * k.events, keyframe: k.n };
    const next = to > at ? at + 1 : at - 1;
    return { how: 'fold', to: next, cost: COST.decoded * Math.abs(this.first(next) - this.first(at)) };
  }
  /** Goes on towards a boundary: along all deltas that come next, or by one other move. */
  private go(stop: number): void {
    const { pool } = this;
    const deltas: Delta[] = [];
    let { at } = this;
    while (at !== stop) {
      const move = this.move(at, stop);
      if (move.how !== 'delta') {
        if (deltas.length > 0) break;
        this.make(move);
        at = move.to;
        break;
      }
      deltas.push(move.delta);
      this.deltas.touch(move.delta);
      at = move.to;
      if (this.stills.wants(at, pool.size)) break;
    }
    const last = deltas.at(-1);
    if (last) pool.apply(deltas, at === last.to ? last.after : last.before, this.first(at));
    this.at = at;
    if (this.travelled && this.stills.wants(at, pool.size)) this.stills.put({ boundary: at, ...pool.still() });
  }
  private make(move: Exclude<Move, { how: 'delta' }>): void {
    const { pool, source, at } = this;
    if (!this.travelled) {
      pool.leap(() => {
        if (move.how === 'lay') layOver(pool, source.keyframe(move.keyframe), source);
        else this.foldTo(this.first(move.to));
      });
    } else if (move.how === 'fold') {
      this.foldTo(this.first(move.to));
      this.leave(move.to);
    } else {
      layOver(pool, source.keyframe(move.keyframe), source);
      this.deltas.put({ from: at, to: move.to, ...pool.commit() });
    }
  }

  /** Folds on or back, to the next boundary at most. */
  private foldWithin(target: number): void {
    const { pool, at } = this;
    if (pool.applied === target) return;
    this.foldTo(target);
    const next = [at + 1, at - 1].find(b => b >= 0 && b <= this.boundaries.last && this.first(b) === target);
    if (next !== undefined && target !== this.first(at)) this.leave(next);
  }
  /** Leaves a delta behind: the pool has come to the boundary next to its anchor. */
  private leave(boundary: number): void {
    const changes = this.pool.commit();
    const { before, after } = changes;
    if (boundary > this.at) this.deltas.put({ ...changes, from: this.at, to: boundary });
    else this.deltas.put({ ...changes, from: boundary, to: this.at, before: after, after: before });
    this.at = boundary;
  }

  private foldTo(target: number): void {
    const { pool, source } = this;
    if (target === pool.applied) return;
    const block = source.chunk(source.chunkOf(Math.min(pool.applied, target)));
    if (target > pool.applied) pool.forward(block, pool.applied - block.first, target - block.first);
    else pool.backward(block, target - block.first, pool.applied - block.first);
  }

  private learnSparse(): void {
    const { keyframes } = this.source;
    for (; this.sparseSeen < keyframes.length; this.sparseSeen++) {
      const { from, seq } = keyframes[this.sparseSeen]!;
      const boundary = this.boundaries.at(seq);
      if (boundary > (this.sparse.at(-1)?.boundary ?? 0))
        this.sparse.push({ boundary, n: this.sparseSeen, events: seq - from });
    }
  }
  private sparseAfter(boundary: number) {
    return this.sparse.find(k => k.boundary > boundary);
  }
}

export const createTimeline = (source: Source, options: TimelineOptions = {}): Timeline =>
  new Timeline(source, options);
