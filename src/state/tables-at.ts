/**
 * Page tables at one moment, for who asks once and about few of them: a new process that shows one address space. A timeline
 * would lay every entry of the recording into a pool first; here nothing is laid. What says how tables came to be is opened,
 * and a frame of table memory is gathered from it when somebody looks:
 *
 *   keyframe | keyframe | keyframe | chunk | chunk | ch    position        its entries in each keyframe, one over the other,
 *                                                                          then what was written in the chunks after them
 *   keyframe | keyframe | keyframe | keyframe   nk | chunk                 or, where the next keyframe is nearer, what the
 *                                              position                    writes up to it found is put back, last first
 */
import { assert } from '../base/assert.js';
import { Recent } from '../base/recent.js';
import type { Work } from '../base/work.js';
import { CHUNK_EVENTS } from '../events/block.js';
import { SPACES, type Space } from '../events/kinds.js';
import { expectPieces } from '../recording/inflate.js';
import type { Keyframe, Source } from '../recording/source.js';
import { entryBytesOf } from './formats.js';
import { State, type Words } from './state.js';
import { LEAF_WORDS, type Leaf, PAGE_WORDS, putEntry, SECTION } from './words.js';
import { type Direction, Writes } from './writes.js';

/** What is opened stays in memory, a megabyte or two a keyframe, so there must not be too much of it. */
export interface Limits {
  /** A keyframe costs as much as the writes in so many events. */
  readonly keyframeEvents: number;
  /** Of what is opened, the most keyframes, entries in them, and events beside them. */
  readonly keyframes: number;
  readonly slots: number;
  readonly events: number;
}
export const LIMITS: Limits = {
  keyframeEvents: 5 * CHUNK_EVENTS,
  keyframes: 32,
  slots: 2 ** 22,
  events: 80 * CHUNK_EVENTS,
};
/** Bytes of gathered frames to keep. */
const GATHERED_BYTES = 16 << 20;

/** From which moment a position is reached: after so many keyframes, and which events lie in between. */
interface Way {
  readonly keyframes: number;
  readonly from: number;
  readonly to: number;
  readonly direction: Direction;
}

/**
 * The page tables at event `seq` (-1: before the first), which must be in the recording, and nothing else of the state.
 * Undefined where too much would have to be opened: a timeline can go there.
 */
export function* tablesAt(source: Source, seq: number, limits: Limits = LIMITS): Work<State | undefined> {
  const target = seq + 1;
  assert(target >= 0 && target <= source.count, `tables at event ${seq} of ${source.count}`);
  expectPieces();
  const way = wayTo(source, target, limits);
  const fits = way.keyframes <= limits.keyframes && way.to - way.from <= limits.events;
  const opened = fits ? yield* open(source, way, limits) : undefined;
  return opened && new State(new TablesAt(source, target, opened));
}

/** The nearest way to before event `target`. */
export function wayTo({ keyframes }: Source, target: number, { keyframeEvents }: Limits): Way {
  let n = 0;
  while (n < keyframes.length && keyframes[n]!.seq <= target) n++;
  const before = n === 0 ? 0 : keyframes[n - 1]!.seq;
  const after = keyframes[n]?.seq ?? Infinity;
  return after - target + keyframeEvents < target - before
    ? { keyframes: n + 1, from: target, to: after, direction: 'backward' }
    : { keyframes: n, from: before, to: target, direction: 'forward' };
}

/** In the order in which they are laid. */
interface Opened {
  readonly keyframes: readonly Keyframe[];
  readonly writes: readonly Writes[];
}
/** Undefined if that would be too much. */
function* open(
  source: Source,
  { keyframes: count, from, to, direction }: Way,
  limits: Limits,
): Work<Opened | undefined> {
  const [first, end] = to > from ? [source.chunkOf(from), source.chunkOf(to - 1) + 1] : [0, 0];
  const total = count + end - first;
  const keyframes: Keyframe[] = [];
  let slots = 0;
  for (let n = 0; n < count; n++) {
    const keyframe = source.keyframe(n);
    slots += keyframe.slots.count;
    if (slots > limits.slots) return undefined;
    keyframes.push(keyframe);
    yield { done: n + 1, total };
  }
  const writes: Writes[] = [];
  for (let n = first; n < end; n++) {
    const block = source.glance(n);
    const [low, high] = [Math.max(from, block.first), Math.min(to, block.first + block.count)];
    writes.push(new Writes(block, low - block.first, high - block.first, direction));
    yield { done: count + n + 1 - first, total };
  }
  if (direction === 'backward') writes.reverse();
  return { keyframes, writes };
}

const notHere = (what: string): Error => new Error(`internal error: asked for ${what} where only page tables are read`);
const ZEROS = new Uint32Array(PAGE_WORDS);
const FRAME_LEAVES = PAGE_WORDS / LEAF_WORDS;

/** Table memory that is gathered frame by frame. Whoever asks for anything else has a bug. */
export class TablesAt implements Words {
  readonly applied: number;
  private readonly opened: Opened;
  /** By space. */
  private readonly wide: readonly boolean[];
  /** Gathered frames by space and number, ZEROS for those with nothing in them. */
  private readonly frames = new Recent<number, Uint32Array>(GATHERED_BYTES, f => (f === ZEROS ? 64 : 4 * PAGE_WORDS));

  constructor(source: Source, applied: number, opened: Opened) {
    this.applied = applied;
    this.opened = opened;
    this.wide = (SPACES as readonly Space[]).map(space => entryBytesOf(source, space) === 8);
  }

  leaf(section: number, id: number): Leaf | undefined {
    const space = section - SECTION.memory;
    if (space < 0 || space >= SPACES.length) throw notHere(`section ${section}`);
    const frame = Math.floor(id / FRAME_LEAVES);
    const words = this.frame(space, frame);
    if (words === ZEROS) return undefined;
    const at = (id - frame * FRAME_LEAVES) * LEAF_WORDS;
    for (let i = at; i < at + LEAF_WORDS; i++) if (words[i] !== 0) return words.subarray(at, at + LEAF_WORDS);
    return undefined;
  }

  private frame(space: number, frame: number): Uint32Array {
    const name = frame * SPACES.length + space;
    let words = this.frames.get(name);
    if (!words) this.frames.set(name, (words = this.gather(space, frame)));
    return words;
  }
  private gather(space: number, frame: number): Uint32Array {
    const words = new Uint32Array(PAGE_WORDS);
    const wide = this.wide[space]!;
    for (const { slots } of this.opened.keyframes) {
      const entries = slots.inFrame(space, frame);
      if (!entries) continue;
      const { offset, lo, hi } = entries;
      for (let i = 0; i < offset.length; i++) putEntry(words, offset[i]! >>> 2, wide, lo[i]!, hi[i]!);
    }
    for (const writes of this.opened.writes) writes.apply(space, frame, words);
    return words.some(w => w !== 0) ? words : ZEROS;
  }

  leaves(section: number): never {
    throw notHere(`all leaves of section ${section}`);
  }
  get hosts(): never {
    throw notHere('host address spaces');
  }
  get tasks(): never {
    throw notHere('tasks');
  }
  get ending(): never {
    throw notHere('how the run ended');
  }
}
