/**
 * Cuts a recording into the segments that its indexes cover, and makes these: after so many chunks, or as soon as the
 * builder has enough. That depends on the events alone, so it does not matter who makes them: the one who writes the file, or
 * a worker beside it (indexer.ts).
 */
import type { Block } from '../../events/block.js';
import type { Lexicon } from '../../events/lexicon.js';
import type { Header } from '../source.js';
import { createIndexBuilder } from './builder.js';
import { type IndexBuilder, SEGMENT_CHUNKS } from './contract.js';

/** The payloads of a segment. */
export interface Payloads {
  readonly index: Uint8Array;
  readonly keyframe: Uint8Array;
}

export class Segments {
  private readonly builder: IndexBuilder;
  private chunks = 0;

  /** @param before where another one stopped between two segments, to go on from there: its `registers` */
  constructor(header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon, before?: readonly Uint32Array[]) {
    this.builder = createIndexBuilder(header, lexicon);
    if (before) this.builder.registers = before;
  }
  get registers(): readonly Uint32Array[] {
    return this.builder.registers;
  }
  /** True while there is nothing that is in no segment yet. */
  get between(): boolean {
    return this.chunks === 0;
  }

  /** Takes the next block, and gives the payloads of the segment that it ends, if it does. */
  add(block: Block): Payloads | undefined {
    this.builder.add(block);
    return ++this.chunks === SEGMENT_CHUNKS || this.builder.full ? this.end() : undefined;
  }
  /** The payloads for what is in no segment yet, undefined if there is nothing. */
  end(): Payloads | undefined {
    if (this.chunks === 0) return undefined;
    this.chunks = 0;
    return this.builder.finish();
  }
}
