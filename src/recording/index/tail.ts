/**
 * The index of events that no segment in the file covers yet: at the end of a recording that still grows, or whose writer
 * was killed. Made in memory when first asked, by the builder of the writer; what comes later is added in small segments,
 * and when these are many they are made again as one.
 */
import type { Lexicon } from '../../events/lexicon.js';
import type { Header } from '../source.js';
import { Builder } from './build.js';
import type { Segment, Tail } from './contract.js';
import type { BlockCache } from './list-block.js';
import { SegmentIndex } from './segment.js';

const PIECES_MAX = 8;
const NO_TAIL: Tail = { firstSeq: 0, endSeq: 0, blocks: () => [] };

export class TailIndex {
  private readonly header: Pick<Header, 'isa' | 'vcpus'>;
  private readonly lexicon: Lexicon;
  private readonly cache: BlockCache;
  private tail: Tail = NO_TAIL;
  private pieces: SegmentIndex[] = [];

  constructor(header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon, cache: BlockCache) {
    this.header = header;
    this.lexicon = lexicon;
    this.cache = cache;
  }

  get firstSeq(): number {
    return this.tail.firstSeq;
  }

  update(tail: Tail): void {
    const end = this.pieces.at(-1)?.endSeq ?? tail.firstSeq;
    if (tail.firstSeq !== this.tail.firstSeq || tail.endSeq < end) this.pieces = [];
    this.tail = tail;
  }

  /** What covers the tail, oldest first. */
  segments(): readonly SegmentIndex[] {
    const { tail } = this;
    if ((this.pieces.at(-1)?.endSeq ?? tail.firstSeq) >= tail.endSeq) return this.pieces;
    if (this.pieces.length >= PIECES_MAX) this.pieces = [];
    const from = this.pieces.at(-1)?.endSeq ?? tail.firstSeq;
    const builder = new Builder(this.header, this.lexicon);
    let first = from;
    const close = (end: number): void => {
      if (end > first)
        this.pieces.push(new SegmentIndex(inMemory(first, end, builder.take().index), 'tail', this.cache));
      first = end;
    };
    for (const block of tail.blocks(from)) {
      builder.addFrom(block, Math.max(0, from - block.first));
      if (builder.full) close(block.first + block.count);
    }
    close(tail.endSeq);
    return this.pieces;
  }
}

const inMemory = (firstSeq: number, endSeq: number, bytes: Uint8Array): Segment => ({
  firstSeq,
  endSeq,
  bytes: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
});
