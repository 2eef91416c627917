/**
 * Where the file and its indexes meet. The writer feeds blocks to a builder and stores the two payloads it hands back,
 * as an INDEX and a KEYFRAME frame; the reader hands those bytes back, piece by piece, and gets an `Index`.
 *
 *   writer   createIndexBuilder(header, lexicon)       builder.ts
 *   reader   openIndex(name, header, lexicon)          open.ts
 *            decodeKeyframe(bytes, where)              keyframe.ts
 */
import type { Block } from '../../events/block.js';
import type { Index } from '../source.js';

/** A segment is finished after this many chunks, ... */
export const SEGMENT_CHUNKS = 64;

export interface IndexBuilder {
  /** Takes the next block of the main stream; it may be reused as soon as this returns. */
  add(block: Block): void;
  /** ... or as soon as this is true after an `add` (much at once: a flood of table entries or of host mappings). */
  readonly full: boolean;
  /** The payloads for everything added since the last `finish`, which must be something. Both are fresh buffers. */
  finish(): { readonly index: Uint8Array; readonly keyframe: Uint8Array };
  /**
   * Per vcpu, low and high word of each register as they are now: between two segments, all that another builder needs to go
   * on from here.
   */
  registers: readonly Uint32Array[];
}

/** An INDEX frame in the file. The object's identity is its cache key: hand over the same one after a refresh. */
export interface Segment {
  /** The events it covers: firstSeq .. endSeq-1. Segments follow each other without a gap, from 0. */
  readonly firstSeq: number;
  readonly endSeq: number;
  /** Length of the payload. */
  readonly bytes: number;
  /** Bytes of the payload; may be a view, which is not kept. */
  read(offset: number, length: number): Uint8Array;
}

/** The events after the last segment. They are indexed in memory at the first question, with the builder's own code. */
export interface Tail {
  readonly firstSeq: number;
  readonly endSeq: number;
  /** The decoded blocks that hold events from..endSeq-1, in order; the first may begin before `from`. */
  blocks(from: number): Iterable<Block>;
}

export interface OpenIndex extends Index {
  /** Tells what there is now: once after opening, and whenever the file has grown. Cheap; reads nothing. */
  update(segments: readonly Segment[], tail: Tail): void;
}
