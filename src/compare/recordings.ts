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
import { resync } from './resync.js';
import { Same } from './same.js';
import { type Ignored, NOTHING_IGNORED, Side } from './side.js';

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
const YIELD_EVERY = 4096;

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

  constructor(side: Side, chunk: number) {
    this.side = side;
    this.n = chunk - 1;
    this.turn();
  }
  /** On to the next event that counts, from i on. */
  settle(): void {
    while (this.block) {
      this.i = this.side.next(this.block, this.i);
      if (this.i < this.block.count) return;
      this.turn();
    }
  }
  private turn(): void {
    const { source } = this.side;
    this.block = ++this.n < source.chunks.length ? source.chunk(this.n) : undefined;
    this.i = 0;
  }
  get seq(): number {
    return this.block ? this.block.first + this.i : this.side.source.count;
  }
  goto(seq: number): void {
    const { source } = this.side;
    this.n = seq < source.count ? source.chunkOf(seq) : source.chunks.length;
    this.block = this.n < source.chunks.length ? source.chunk(this.n) : undefined;
    this.i = this.block ? seq - this.block.first : 0;
  }
}

/**
 * Compares two recordings.
 * @returns the differences in order; yields events of A gone by
 */
export function* compareRecordings(a: Source, b: Source, options: CompareOptions = {}): Work<RecordingDiff> {
  const ignored = options.ignored ?? NOTHING_IGNORED;
  const common = commonChunks(a, b);
  const prefix = common === 0 ? 0 : a.chunks[common - 1]!.first + a.chunks[common - 1]!.count;
  const differences: Difference[] = [];
  const counted = Object.fromEntries(CLASSES.map(c => [c, 0])) as Record<Class, number>;
  const same = new Same(new Side(a, ignored), new Side(b, ignored), ignored.fields);
  const wanted = options.moment ?? -1;
  let moment = wanted >= 0 && wanted < prefix ? { a: wanted, b: wanted } : undefined;
  const done = (complete: boolean): RecordingDiff => ({
    differences,
    moment: options.moment === undefined ? undefined : (moment ?? { a: wanted, b: b.count - 1 }),
    counted,
    prefix,
    renamed: same.guest.renamed || same.host.renamed,
    complete,
  });
  if (prefix === a.count && prefix === b.count) return done(true);
  yield* learn(same, common);

  const [x, y] = [new Cursor(same.a, common), new Cursor(same.b, common)];
  for (let n = 0; ; ) {
    x.settle();
    y.settle();
    if (wanted >= 0 && !moment && x.seq > wanted) moment = { a: wanted, b: y.seq - 1 };
    if (!x.block && !y.block) return done(true);
    if (++n % YIELD_EVERY === 0) yield { done: x.seq, total: a.count };
    if (x.block && y.block && same.same(x.block, x.i, y.block, y.i)) {
      x.i++;
      y.i++;
      continue;
    }
    const parted = yield* resync(same, x.seq, y.seq);
    // The numbers agree at once and the events do not: what differs is not in the numbers.
    const here = parted.skipA + parted.skipB === 0 ? { ...parted, skipA: 1, skipB: 1 } : parted;
    for (const d of classify(same, here)) {
      counted[d.class]++;
      if (differences.length < DIFFERENCES_MAX) differences.push(d);
      if (options.first) return done(false);
    }
    x.goto(after(parted.a, here.skipA, x.seq));
    y.goto(after(parted.b, here.skipB, y.seq));
  }
}
const after = (w: { readonly seqs: readonly number[] }, skip: number, from: number): number =>
  skip === 0 ? from : (w.seqs[skip - 1] ?? from) + 1;

/** What both begin with teaches which frames are themselves. */
function* learn(same: Same, chunks: number): Work<void> {
  const { source } = same.a;
  for (let n = 0; n < chunks; n++) {
    const block = source.chunk(n);
    for (let i = same.a.next(block, 0); i < block.count; i = same.a.next(block, i + 1)) same.same(block, i, block, i);
    yield { done: block.first, total: source.count };
  }
}
