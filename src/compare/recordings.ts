/**
 * Two recordings beside each other: what B does otherwise than A.
 *
 * 1. What both begin with is found by the hashes of their chunks, without decoding anything.
 * 2. From there, event by event, up to a renaming of frames (frames.ts, same.ts); kinds that say nothing about what the guest
 *    did are passed over (rules.ts).
 * 3. Where two events differ, the nearest place at which the sides agree again is looked for (resync.ts), what lies between
 *    gets its classes (classify.ts), and the comparison goes on.
 *
 * Memory is that of two windows and of the differences kept, whatever the length of the recordings.
 */
import type { Work } from '../base/work.js';
import type { Block } from '../events/block.js';
import type { Source } from '../recording/source.js';
import { CLASSES, type Class, classify, type Difference } from './classify.js';
import { Moves } from './moves.js';
import { ANCHOR, onlyThese, type Parted, resync, resyncNearby } from './resync.js';
import { Same } from './same.js';
import { type Ignored, NOTHING_IGNORED, Side } from './side.js';
import { Stretch } from './stretch.js';

export interface CompareOptions {
  readonly ignored?: Ignored | undefined;
  /** Stop after the first place that differs. */
  readonly first?: boolean | undefined;
  /** An event of A for which the same moment in B is looked for. */
  readonly moment?: number | undefined;
}
export interface RecordingDiff {
  readonly differences: readonly Difference[];
  /** How many there were of each class; more than are listed, perhaps. */
  readonly counted: Readonly<Record<Class, number>>;
  /** Events both begin with, known by the hashes of their chunks. */
  readonly prefix: number;
  /** Some frame of A is another one in B. */
  readonly renamed: boolean;
  /** False if it stopped at the first. */
  readonly complete: boolean;
  /** The moment asked for: just after these events. */
  readonly moment: { readonly a: number; readonly b: number } | undefined;
}

const DIFFERENCES_MAX = 10_000;

/** How many chunks two recordings have in common: their hashes are chained, so the last common one speaks for all. */
export function commonChunks(a: Source, b: Source): number {
  const images = (s: Source): string => JSON.stringify([s.header.isa, s.header.images.map(i => i.sha256)]);
  if (images(a) !== images(b)) return 0; // the same numbers may have other names
  let [low, high] = [0, Math.min(a.chunks.length, b.chunks.length)];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (a.chunks[middle - 1]!.chain === b.chunks[middle - 1]!.chain) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Where one side is. */
class Cursor {
  readonly side: Side;
  block: Block | undefined;
  i = 0;
  private n: number;

  constructor(side: Side, chunk: number, like?: Block) {
    this.side = side;
    this.n = chunk - 1;
    this.turn(like);
  }
  /** On to the next event that counts, from i on. @param like where the other side is */
  settle(like?: Block): void {
    while (this.block) {
      this.i = this.side.next(this.block, this.i);
      if (this.i < this.block.count) return;
      this.turn(like);
    }
  }
  private turn(like?: Block): void {
    const { source } = this.side;
    this.block = ++this.n < source.chunks.length ? source.chunk(this.n, like) : undefined;
    this.i = 0;
  }
  get seq(): number {
    return this.block ? this.block.first + this.i : this.side.source.count;
  }
  goto(seq: number, like?: Block): void {
    const { source } = this.side;
    this.n = seq < source.count ? source.chunkOf(seq) : source.chunks.length;
    this.block = this.n < source.chunks.length ? source.chunk(this.n, like) : undefined;
    this.i = this.block ? seq - this.block.first : 0;
  }
}

/**
 * Compares two recordings.
 * @returns the differences in order; yields events of A gone by
 */
export function* compareRecordings(a: Source, b: Source, options: CompareOptions = {}): Work<RecordingDiff> {
  const comparison = new Comparison(a, b, options);
  const complete = yield* comparison.run();
  return comparison.result(complete);
}

class Comparison {
  private readonly same: Same;
  private readonly options: CompareOptions;
  private readonly prefix: number;
  private readonly x: Cursor;
  private readonly y: Cursor;
  private readonly stretch = new Stretch();
  private readonly moves: Moves;
  private readonly differences: Difference[] = [];
  private readonly counted = Object.fromEntries(CLASSES.map(c => [c, 0])) as Record<Class, number>;
  /** Events of A that differed while nothing was learned: which frames they name says nothing. */
  private readonly passed: [from: number, to: number][] = [];
  private moment: { readonly a: number; readonly b: number } | undefined;

  constructor(a: Source, b: Source, options: CompareOptions) {
    const ignored = options.ignored ?? NOTHING_IGNORED;
    const common = commonChunks(a, b);
    this.options = options;
    this.same = new Same(new Side(a, ignored), new Side(b, ignored), ignored.fields);
    this.moves = new Moves(this.same);
    this.prefix = common === 0 ? 0 : a.chunks[common - 1]!.first + a.chunks[common - 1]!.count;
    this.x = new Cursor(this.same.a, common);
    this.y = new Cursor(this.same.b, common, this.x.block);
    const wanted = options.moment ?? -1;
    if (wanted >= 0 && wanted < this.prefix) this.moment = { a: wanted, b: wanted };
  }

  /** Goes through both; true if to their ends. */
  *run(): Work<boolean> {
    const { same, x, y, stretch, options } = this;
    for (;;) {
      x.settle();
      y.settle(x.block);
      this.noteMoment(x.seq, y.seq);
      if (!x.block && !y.block) return true;
      yield { done: x.seq, total: same.a.source.count };
      if (x.block && y.block) {
        stretch.fill(same, x.block, x.i, y.block, y.i);
        const parted = this.pass(x.block, y.block);
        if (options.first && this.differences.length > 0) return false;
        if (!parted) continue;
      }
      x.settle();
      y.settle(x.block);
      const found = same.presuming ? nearby(same, x.seq, y.seq) : yield* far(same, x.seq, y.seq);
      if (!found) yield* learn(same, x.seq, this.passed);
      else {
        const { a, b, skipA, skipB } = found.parted;
        this.add(found.differs, x.seq, after(a, skipA, x.seq));
        if (options.first) return false;
        x.goto(after(a, skipA, x.seq));
        y.goto(after(b, skipB, y.seq), x.block);
      }
      stretch.restart();
    }
  }

  /** Goes over the stretch, both cursors with it. True where they part and do not agree again right behind one event. */
  private pass(a: Block, b: Block): boolean {
    const { same, stretch, x, y } = this;
    for (;;) {
      const n = stretch.next(a);
      if (n > 0) {
        this.momentIn(a, b, n);
        x.i = stretch.a[n - 1]! + 1;
        y.i = stretch.b[n - 1]! + 1;
      }
      if (n >= stretch.length) return n === 0; // not even one event of the same kind
      if (!same.same(a, stretch.a[n]!, b, stretch.b[n]!)) {
        if (same.asked || !stretch.isSure(a, n + 1, ANCHOR)) return true;
        const one = onlyThese(same, a.first + stretch.a[n]!, b.first + stretch.b[n]!);
        const differs = classify(same, one);
        if (same.asked) return true;
        this.add(differs, one.a.seqs[0]!, one.a.seqs[0]! + 1);
        // What was learned from a difference may change what is sure.
        if (!same.presuming || this.options.first) stretch.length = n + 1;
      }
      stretch.done = n + 1;
    }
  }

  private add(differs: readonly Difference[], from: number, to: number): void {
    const { counted, differences, moves } = this;
    for (const d of differs) {
      const moved = moves.pair(d);
      counted[(moved?.both ?? d).class]++;
      if (!moved) {
        if (differences.length < DIFFERENCES_MAX) differences.push(d);
        continue;
      }
      counted[moved.earlier.class]--;
      const at = differences.lastIndexOf(moved.earlier);
      if (at >= 0) differences[at] = moved.both;
    }
    if (this.same.presuming) this.passed.push([from, to]);
  }

  /** The moment asked for is gone by if the next event of A is behind it. */
  private noteMoment(nextA: number, nextB: number): void {
    const wanted = this.options.moment ?? -1;
    if (wanted >= 0 && !this.moment && nextA > wanted) this.moment = { a: wanted, b: nextB - 1 };
  }
  private momentIn(a: Block, b: Block, n: number): void {
    const { stretch, moment } = this;
    if (moment || (this.options.moment ?? -1) < 0) return;
    for (let k = 0; k < n; k++) this.noteMoment(a.first + stretch.a[k]!, b.first + stretch.b[k]!);
  }

  result(complete: boolean): RecordingDiff {
    const { same, differences, counted, prefix, options } = this;
    const end = { a: options.moment ?? 0, b: same.b.source.count - 1 };
    return {
      differences: options.first ? differences.slice(0, 1) : differences,
      moment: options.moment === undefined ? undefined : (this.moment ?? end),
      counted,
      prefix,
      renamed: same.guest.renamed || same.host.renamed,
      complete,
    };
  }
}
const after = (w: { readonly seqs: readonly number[] }, skip: number, from: number): number =>
  skip === 0 ? from : (w.seqs[skip - 1] ?? from) + 1;

interface Found {
  readonly parted: Parted;
  readonly differs: readonly Difference[];
}
/** What differs here, as far as numbers tell; undefined if one must know which frame is which. */
function nearby(same: Same, seqA: number, seqB: number): Found | undefined {
  const parted = same.asked ? undefined : resyncNearby(same, seqA, seqB);
  const found = parted && parted.skipA + parted.skipB > 0 ? { parted, differs: classify(same, parted) } : undefined;
  return same.asked ? undefined : found;
}
function* far(same: Same, seqA: number, seqB: number): Work<Found> {
  const found = yield* resync(same, seqA, seqB);
  // The numbers agree at once and the events do not: what differs is not in the numbers.
  const parted = found.skipA + found.skipB === 0 ? { ...found, skipA: 1, skipB: 1 } : found;
  return { parted, differs: classify(same, parted) };
}

/** What went by before event `end` of A teaches which frames are themselves; but not what differed, the `passed` spans. */
function* learn(same: Same, end: number, passed: readonly (readonly [from: number, to: number])[]): Work<void> {
  const { source } = same.a;
  let span = 0;
  same.presuming = same.asked = false;
  for (let n = 0; n < source.chunks.length && source.chunks[n]!.first < end; n++) {
    const block = source.chunk(n);
    const count = Math.min(block.count, end - block.first);
    for (let i = same.a.next(block, 0); i < count; i = same.a.next(block, i + 1)) {
      while (span < passed.length && passed[span]![1] <= block.first + i) span++;
      if (span >= passed.length || passed[span]![0] > block.first + i) same.learn(block, i);
    }
    yield { done: block.first, total: source.count };
  }
}
