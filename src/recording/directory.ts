/**
 * Where everything is in a file. The writer fills one as it writes and puts it into the FOOTER; a reader takes it from there,
 * or fills one itself by walking over the frames. Both add frame by frame through the same checks, so both end alike.
 */
import { Trouble } from '../base/trouble.js';
import { type ChunkHead, f64sIn, SHA_BYTES, u32sIn, unpackLarge } from './envelopes.js';
import { FRAME, FRAME_NAMES, type FrameHeader, type FrameType, MORE, PAYLOAD_MAX } from './frames.js';

/** A frame and where its header is. */
export interface Place {
  readonly type: FrameType;
  readonly offset: number;
  /** Bytes of payload. */
  readonly bytes: number;
  readonly count: number;
  readonly first: number;
  readonly flags: number;
}
export const placeOf = ({ type, bytes, count, first, flags }: FrameHeader, offset: number): Place => ({
  type,
  offset,
  bytes,
  count,
  first,
  flags,
});
export interface ChunkPlace extends ChunkHead {
  readonly place: Place;
}
/** Without whatever else came along: a body would stay in memory. */
const placed = (h: ChunkHead, place: Place): ChunkPlace => ({
  first: h.first,
  last: h.last,
  count: h.count,
  firstTicks: h.firstTicks,
  lastTicks: h.lastTicks,
  chain: h.chain,
  regsMask: h.regsMask,
  rows: h.rows,
  place,
});
export interface CheckpointPlace {
  readonly seq: number;
  readonly ticks: number;
  readonly parts: readonly Place[];
}
/** What a frame adds to the directory beside its place. */
export type Extra = ChunkHead | { readonly seq: number; readonly ticks: number } | undefined;

export class Directory {
  readonly places: Place[] = [];
  readonly chunks: ChunkPlace[] = [];
  readonly details: ChunkPlace[] = [];
  readonly checkpoints: CheckpointPlace[] = [];
  readonly byType = new Map<FrameType, Place[]>();
  /** Events in all chunks; entries in all details; stacks. */
  events = 0;
  detailEntries = 0;
  stacks = 0;
  /** Events that an INDEX covers. */
  indexed = 0;
  keyframed = 0;
  private parts: Place[] = [];

  of(type: FrameType): readonly Place[] {
    return this.byType.get(type) ?? [];
  }

  /** Adds the next frame. Throws Trouble where it does not follow from those before: a gap, a step back. */
  add(place: Place, extra: Extra): void {
    const { type, first, count } = place;
    const follows = (expected: number): void => {
      if (first !== expected)
        throw new Trouble(`a ${FRAME_NAMES[type]} frame begins at ${first} where ${expected} should follow`);
    };
    switch (type) {
      case FRAME.chunk: {
        const head = extra as ChunkHead;
        follows(this.events);
        if (head.first !== first || head.count !== count || count === 0)
          throw new Trouble('a chunk is not what its frame says');
        if (head.firstTicks > head.lastTicks || head.firstTicks < (this.chunks.at(-1)?.lastTicks ?? 0))
          throw new Trouble('ticks go backwards');
        this.chunks.push(placed(head, place));
        this.events += count;
        break;
      }
      case FRAME.detail: {
        const head = extra as ChunkHead;
        follows(this.detailEntries);
        if (
          head.count !== count ||
          count === 0 ||
          head.last < head.first ||
          head.first < (this.details.at(-1)?.last ?? 0)
        )
          throw new Trouble('a detail frame is not what it says');
        this.details.push(placed(head, place));
        this.detailEntries += count;
        break;
      }
      case FRAME.stacks:
        follows(this.stacks + 1);
        this.stacks += count;
        break;
      case FRAME.index:
        follows(this.indexed);
        if (first + count > this.events) throw new Trouble('an index of events that are not there');
        this.indexed += count;
        break;
      case FRAME.keyframe:
        follows(this.keyframed);
        if (first + count > this.events) throw new Trouble('a keyframe of events that are not there');
        this.keyframed += count;
        break;
      case FRAME.memory: {
        const { seq, ticks } = extra as { seq: number; ticks: number };
        const last = this.checkpoints.at(-1);
        if (seq !== first || (last && (seq < last.seq || ticks < last.ticks)))
          throw new Trouble('checkpoints are out of order');
        if (this.parts.length > 0 && this.parts[0]!.first !== first) throw new Trouble('a checkpoint without its end');
        this.parts.push(place);
        if ((place.flags & MORE) === 0) {
          this.checkpoints.push({ seq, ticks, parts: this.parts });
          this.parts = [];
        }
        break;
      }
      default:
    }
    this.places.push(place);
    let list = this.byType.get(type);
    if (!list) this.byType.set(type, (list = []));
    list.push(place);
  }
}

export const EXTRA_WORDS = 2; // of a chunk, before its rows: regsMask

export const TRAILER_BYTES = 16;
export const TRAILER_MAGIC = Uint8Array.from('RWKCLOSE', c => c.charCodeAt(0));

/**
 * Reads a FOOTER back.
 * @param start bytes of the file's header; frames must follow it without gaps up to `offset`, where the footer is
 */
export function unpackFooter(payload: Uint8Array, kinds: number, start: number, offset: number): Directory {
  const m = unpackLarge(payload.subarray(0, payload.length - TRAILER_BYTES), PAYLOAD_MAX[FRAME.footer], 'the footer');
  const types = m.types;
  if (!(types instanceof Uint8Array)) throw new Trouble('the footer is not valid');
  const n = types.length;
  const offsets = f64sIn(m.offsets, 'the footer', n);
  const bytes = u32sIn(m.bytes, 'the footer', n);
  const counts = u32sIn(m.counts, 'the footer', n);
  const firsts = f64sIn(m.firsts, 'the footer', n);
  const flags = u32sIn(m.flags, 'the footer', n);
  const isHead = (t: number): boolean => t === FRAME.chunk || t === FRAME.detail;
  const chunkCount = types.filter(t => t === FRAME.chunk).length;
  const headCount = types.filter(isHead).length;
  const heads = f64sIn(m.heads, 'the footer', 4 * headCount);
  const words = u32sIn(m.words, 'the footer', (EXTRA_WORDS + kinds) * headCount);
  const chains = m.chains;
  if (!(chains instanceof Uint8Array) || chains.length !== SHA_BYTES * headCount)
    throw new Trouble('the footer is not valid');
  const ticks = f64sIn(m.checkpoints, 'the footer');

  const d = new Directory();
  const next = { [FRAME.chunk]: 0, [FRAME.detail]: chunkCount };
  const extraOf = (place: Place): Extra => {
    if (place.type === FRAME.memory) return { seq: place.first, ticks: ticks[d.checkpoints.length] ?? Number.NaN };
    if (place.type !== FRAME.chunk && place.type !== FRAME.detail) return undefined;
    const h = next[place.type]++;
    const at = h * (EXTRA_WORDS + kinds);
    return {
      first: heads[4 * h]!,
      last: heads[4 * h + 1]!,
      firstTicks: heads[4 * h + 2]!,
      lastTicks: heads[4 * h + 3]!,
      count: place.count,
      chain: chains.slice(SHA_BYTES * h, SHA_BYTES * (h + 1)),
      regsMask: [words[at]!, words[at + 1]!],
      rows: words.slice(at + EXTRA_WORDS, at + EXTRA_WORDS + kinds),
    };
  };
  let expected = start;
  for (let i = 0; i < n; i++) {
    const type = types[i] as FrameType;
    const place: Place = {
      type,
      offset: offsets[i]!,
      bytes: bytes[i]!,
      count: counts[i]!,
      first: firsts[i]!,
      flags: flags[i]!,
    };
    if (!(type in FRAME_NAMES) || type === FRAME.tail || type === FRAME.footer)
      throw new Trouble('the footer is not valid');
    if (place.offset !== expected || place.bytes > PAYLOAD_MAX[type]) throw new Trouble('the footer is not valid');
    expected += 32 + place.bytes;
    d.add(place, extraOf(place));
  }
  if (expected !== offset) throw new Trouble('the footer is not valid');
  return d;
}
