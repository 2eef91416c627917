/**
 * Answers from the index, over all segments and what is not in a segment yet. A question goes through the segments from
 * the newest back (what wrote it last?) or from the oldest on (what became of it?); in each it is a search among fences
 * and a few blocks. No event is decoded and no state folded.
 */
import type { Frame, Paddr } from '../../base/brand.js';
import type { Work } from '../../base/work.js';
import { FRAME_KINDS, type FrameKind, SPACES, type Space } from '../../events/kinds.js';
import type { Lexicon } from '../../events/lexicon.js';
import type { Header, Mappings } from '../source.js';
import { slotKey } from './build.js';
import type { OpenIndex, Segment, Tail } from './contract.js';
import { BlockCache } from './list-block.js';
import { historyIn, NOTHING, overlaid, type Standing, StandingCache, standingIn } from './mappings.js';
import { SegmentIndex } from './segment.js';
import { concat, type SeqSet } from './seqs.js';
import { TailIndex } from './tail.js';
import { SIZES, targetKey } from './targets.js';

/** About what decoded blocks may take. */
const CACHE_BYTES = 28 * 2 ** 20;
const STANDING_BYTES = 16 * 2 ** 20;

/** An index that answers after its first `update`. @param name what an error message begins with */
export function openIndex(name: string, header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon): OpenIndex {
  return new IndexOverSegments(name, header, lexicon);
}

class IndexOverSegments implements OpenIndex {
  private readonly name: string;
  private readonly cache = new BlockCache(CACHE_BYTES);
  private readonly standings = new StandingCache(STANDING_BYTES);
  private readonly tail: TailIndex;
  private opened = new WeakMap<Segment, SegmentIndex>();
  private segments: readonly Segment[] = [];

  constructor(name: string, header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon) {
    this.name = name;
    this.tail = new TailIndex(header, lexicon, this.cache);
  }

  update(segments: readonly Segment[], tail: Tail): void {
    this.segments = segments;
    this.tail.update(tail);
  }

  private open(segment: Segment): SegmentIndex {
    let index = this.opened.get(segment);
    if (!index) this.opened.set(segment, (index = new SegmentIndex(segment, this.name, this.cache)));
    return index;
  }

  /** The segments that have events before `before`, oldest first. */
  private before(before: number): SegmentIndex[] {
    const all: SegmentIndex[] = [];
    for (const segment of this.segments) if (segment.firstSeq < before) all.push(this.open(segment));
    if (before > this.tail.firstSeq) for (const s of this.tail.segments()) if (s.firstSeq < before) all.push(s);
    return all;
  }

  lastSlotWrite(space: Space, at: Paddr, before: number): number {
    const { number, frame, offset, key } = placeOf(space, at);
    for (const segment of this.before(before).reverse()) {
      const seq = Math.max(segment.lastSlot(key, before), segment.lastCover(number, frame, offset, before));
      if (seq >= 0) return seq;
    }
    return -1;
  }

  *slotWrites(space: Space, at: Paddr, before: number): Work<Float64Array> {
    const { number, frame, offset, key } = placeOf(space, at);
    return (yield* this.gather(before, (segment, into) => {
      segment.slotSeqs(into, key, key + 1, before);
      segment.coverSeqs(into, number, frame, before, offset);
    })).reverse();
  }

  tableWrites(space: Space, table: Frame, before: number, limit: number): Float64Array {
    const number = SPACES.indexOf(space);
    const from = slotKey(number, table, 0);
    const parts: Float64Array[] = [];
    let found = 0;
    for (const segment of this.before(before).reverse()) {
      if (found >= limit) break;
      const into = segment.seqs();
      segment.slotSeqs(into, from, from + 4096, before);
      segment.coverSeqs(into, number, table, before);
      found += into.size;
      parts.push(into.ascending().reverse());
    }
    return concat(parts).slice(0, Math.max(0, limit));
  }

  *mappers(space: Space, frame: Frame, before: number): Work<Mappings> {
    const segments = this.before(before);
    const keys = containing(space, frame);
    const found: Standing[] = [];
    for (let k = 0; k < keys.length; k++) {
      // What stood at the end of a segment is kept, so a question begins where the last one like it got to.
      let n = segments.length;
      let standing: Standing | undefined;
      while (!standing && n > 0)
        if (segments[--n]!.endSeq <= before) standing = this.standings.get(keys[k]!, segments[n]!.endSeq);
      if (standing) n++;
      for (standing ??= NOTHING; n < segments.length; n++) {
        yield { done: k * segments.length + n, total: keys.length * segments.length };
        const segment = segments[n]!;
        standing = overlaid(standing, standingIn(segment, keys[k]!, before));
        if (segment.endSeq <= before) this.standings.set(keys[k]!, segment.endSeq, standing);
      }
      if (standing.slots.length > 0) found.push(standing);
    }
    const [one = NOTHING, ...others] = found;
    return mappingsOf(others.reduce(overlaid, one), SPACES.indexOf(space));
  }

  *mappingHistory(space: Space, frame: Frame, before: number): Work<Float64Array> {
    const keys = containing(space, frame);
    return yield* this.gather(before, (segment, into) => {
      for (const key of keys) historyIn(segment, into, key, before);
    });
  }

  *frameChanges(frame: Frame, before: number): Work<Float64Array> {
    return yield* this.gather(before, (segment, into) => segment.frameSeqs(into, frame, before));
  }

  /** What `add` finds in each segment, oldest first. */
  private *gather(before: number, add: (segment: SegmentIndex, into: SeqSet) => void): Work<Float64Array> {
    const segments = this.before(before);
    const parts: Float64Array[] = [];
    for (let n = 0; n < segments.length; n++) {
      yield { done: n, total: segments.length };
      const into = segments[n]!.seqs();
      add(segments[n]!, into);
      parts.push(into.ascending());
    }
    return concat(parts);
  }

  lastFrameChange(kind: FrameKind, frame: Frame, before: number): number {
    for (const segment of this.before(before).reverse()) {
      const seq = segment.lastNumber(FRAME_KINDS.indexOf(kind), frame, before);
      if (seq >= 0) return seq;
    }
    return -1;
  }
}

function mappingsOf({ slots, since, levels }: Standing, space: number): Mappings {
  const first = slotKey(space, 0, 0);
  return { at: slots.map(key => key - first), since, levels };
}

function placeOf(space: Space, at: Paddr) {
  const number = SPACES.indexOf(space);
  const offset = at % 4096;
  const frame = Math.floor(at / 4096);
  return { number, frame, offset, key: slotKey(number, frame, offset) };
}

/** Keys of everything that an entry can point to and that contains the frame. */
function containing(space: Space, frame: Frame): number[] {
  const number = SPACES.indexOf(space);
  return SIZES.map((span, size) => targetKey(number, frame - (frame % 2 ** span), size));
}
