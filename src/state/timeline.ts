/**
 * A recording as a place to move about in. The state AT event #N is the one after events 0..N; at `start`, seq -1, nothing
 * has happened yet.
 *
 * A seek goes from boundary to boundary of chunks by the longest deltas it has (deltas.ts), lays sparse keyframes of the file
 * where it has none, folds whole chunks where there are no such either, each of which leaves a delta, and folds the rest
 * into the chunk, forwards or backwards. Where to begin, here or at a still (stills.ts), and from which side to come, is what
 * costs least: the way is first walked without doing anything.
 */
import { assert } from '../base/assert.js';
import { finish, type Work } from '../base/work.js';
import type { Source } from '../recording/source.js';
import { type Delta, Deltas, FAN } from './deltas.js';
import { findEvent, type Match } from './find.js';
import { layOver } from './keyframe.js';
import { Pool } from './pool.js';
import { Snapshot, State } from './state.js';
import { type Still, Stills } from './stills.js';
import { EVERYTHING, TABLES } from './sweep.js';

/** Costs, against 1 for folding an event (some 50 ns): */
const COST = {
  /** decoding and folding an event of a whole chunk, */
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

/** One move along boundaries of chunks (boundary n is the moment before chunk n). */
type Move =
  | { readonly how: 'delta'; readonly to: number; readonly cost: number; readonly delta: Delta }
  | { readonly how: 'lay'; readonly to: number; readonly cost: number; readonly keyframe: number }
  | { readonly how: 'fold'; readonly to: number; readonly cost: number };
interface Plan {
  /** Where to begin; from where the pool stands if undefined. */
  readonly still: Still | undefined;
  /** Boundaries to go to, one after the other; the last is one of the target's chunk. */
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
  /** The boundary that is the pool's anchor. What is folded beyond it lies in a chunk beside it. */
  private at = 0;
  /** The first way to anywhere leaves nothing behind, and so is short: who asks one question needs no way back. */
  private travelled = false;
  /** The boundaries of sparse keyframes, and which keyframe it is; in order. */
  private sparse: { readonly boundary: number; readonly n: number; readonly events: number }[] = [];
  private sparseSeen = 0;

  constructor(source: Source, options: TimelineOptions = {}) {
    this.source = source;
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

  /** Events before a boundary. */
  private first(boundary: number): number {
    return this.source.chunks[boundary]?.first ?? this.source.count;
  }
  /** False for the last chunk of a recording that may still grow: its end is no boundary yet. */
  private whole(chunk: number): boolean {
    return chunk < this.source.chunks.length - 1 || this.source.closed;
  }
  /** The boundary at which `events` events have happened, -1 if there is none. */
  private boundaryAt(events: number): number {
    const { chunks, count } = this.source;
    if (events === 0) return 0;
    if (events >= count) return events === count && this.whole(chunks.length - 1) ? chunks.length : -1;
    const n = this.source.chunkOf(events);
    return chunks[n]!.first === events ? n : -1;
  }

  /** How to come to a boundary of the chunk that `target` is in; undefined if it is least to fold from where the pool stands. */
  private plan(target: number): Plan | undefined {
    this.learnSparse();
    const { at, pool, source } = this;
    const n = source.chunkOf(Math.min(target, source.count - 1));
    const here = this.first(at);
    // The chunk the pool is in, or either one beside the boundary where it stands: from the first of its events to the last.
    const from = this.first(pool.applied <= here ? Math.max(at - 1, 0) : at);
    const to = this.first(pool.applied >= here ? at + 1 : at);
    let best: Plan | undefined;
    let least = target >= from && target <= to ? Math.abs(target - pool.applied) : Number.POSITIVE_INFINITY;
    const last = this.whole(source.chunks.length - 1) ? source.chunks.length : source.chunks.length - 1;
    // It may be shorter to pass the end and come back: by a sparse keyframe, or a delta of many chunks.
    const [low, high] = [n - (n % FAN), n - (n % FAN) + FAN];
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
    const chunk = to > at ? at : at - 1;
    return { how: 'fold', to: to > at ? at + 1 : at - 1, cost: COST.decoded * this.source.chunks[chunk]!.count };
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
      this.foldWithin(this.first(move.to));
      return;
    } else {
      layOver(pool, source.keyframe(move.keyframe), source);
      this.deltas.put({ from: at, to: move.to, ...pool.commit() });
    }
  }

  /** Folds inside one chunk, the one beside the anchor. Where that ends at its other boundary, a delta is left behind. */
  private foldWithin(target: number): void {
    const { pool } = this;
    if (pool.applied === target) return;
    this.foldTo(target);
    const boundary = this.boundaryAt(target);
    if (boundary < 0 || boundary === this.at) return;
    const changes = pool.commit();
    const { before, after } = changes;
    if (boundary > this.at) this.deltas.put({ ...changes, from: this.at, to: boundary });
    else this.deltas.put({ ...changes, from: boundary, to: this.at, before: after, after: before });
    this.at = boundary;
  }

  private foldTo(target: number): void {
    const { pool, source } = this;
    const block = source.chunk(source.chunkOf(Math.min(pool.applied, target)));
    if (target > pool.applied) pool.forward(block, pool.applied - block.first, target - block.first);
    else pool.backward(block, target - block.first, pool.applied - block.first);
  }

  private learnSparse(): void {
    const { keyframes } = this.source;
    for (; this.sparseSeen < keyframes.length; this.sparseSeen++) {
      const { from, seq } = keyframes[this.sparseSeen]!;
      const boundary = this.boundaryAt(seq);
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
