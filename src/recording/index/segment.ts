/** The index of one segment: its four lists (build.ts) and what is asked of each. Seqs in, seqs out. */
import { Trouble } from '../../base/trouble.js';
import { FRAME_KINDS } from '../../events/kinds.js';
import { coverKey, HEAD_BYTES, INDEX_VERSION, LISTS } from './build.js';
import type { Segment } from './contract.js';
import { FENCE_BYTES, type ListPlace, ListReader } from './list.js';
import type { BlockCache } from './list-block.js';
import { SeqSet } from './seqs.js';

type Lists = { readonly [L in (typeof LISTS)[number]]: ListReader };

export class SegmentIndex {
  readonly firstSeq: number;
  readonly endSeq: number;
  private readonly segment: Segment;
  private readonly name: string;
  private readonly cache: BlockCache;
  private opened: Lists | undefined;

  constructor(segment: Segment, name: string, cache: BlockCache) {
    this.firstSeq = segment.firstSeq;
    this.endSeq = segment.endSeq;
    this.segment = segment;
    this.name = name;
    this.cache = cache;
  }

  get lists(): Lists {
    return (this.opened ??= this.open());
  }

  private open(): Lists {
    const { segment, cache, firstSeq, endSeq } = this;
    const head = segment.read(0, HEAD_BYTES);
    if (head.length !== HEAD_BYTES) throw new Trouble(`${this.name}: the index at #${firstSeq} is cut short`);
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const version = view.getUint32(0, true);
    if (version !== INDEX_VERSION)
      throw new Trouble(`${this.name}: the index at #${firstSeq} has the unknown version ${version}`);
    const places: ListPlace[] = [];
    let at = HEAD_BYTES;
    for (let n = 0; n < LISTS.length; n++) {
      const word = (list: number, k: number) => view.getUint32(4 + 16 * list + 4 * k, true);
      const [rows, blocks, fencesAt, blocksAt] = [word(n, 0), word(n, 1), word(n, 2), word(n, 3)];
      const end = n + 1 < LISTS.length ? word(n + 1, 2) : segment.bytes;
      if (fencesAt !== at || blocksAt !== fencesAt + blocks * FENCE_BYTES || end < blocksAt || end > segment.bytes)
        throw new Trouble(`${this.name}: the index at #${firstSeq} is damaged`);
      if (blocks > rows || (blocks === 0 && (rows > 0 || end !== blocksAt)))
        throw new Trouble(`${this.name}: the index at #${firstSeq} is damaged`);
      places.push({ rows, blocks, fencesAt, blocksAt, end });
      at = end;
    }
    const read = (offset: number, length: number) => segment.read(offset, length);
    const valueEnds = [endSeq - firstSeq, 4 * places[0]!.rows, endSeq - firstSeq, endSeq - firstSeq];
    const [slots, mappers, ledger, covers] = places.map(
      (place, n) => new ListReader(place, read, valueEnds[n]!, cache, `${this.name}: the index at #${firstSeq}`),
    ) as [ListReader, ListReader, ListReader, ListReader];
    return { slots, mappers, ledger, covers };
  }

  /** `before` as a value of the lists. */
  relative(before: number): number {
    return Math.min(before, this.endSeq) - this.firstSeq;
  }
  private seq(value: number): number {
    return value < 0 ? -1 : this.firstSeq + value;
  }

  /** A set for seqs of this segment. */
  seqs(): SeqSet {
    return new SeqSet(this.firstSeq, this.endSeq - this.firstSeq);
  }

  /** The last row of SLOTS for this entry. */
  lastSlot(key: number, before: number): number {
    return this.seq(this.lists.slots.lastBefore(key, this.relative(before)));
  }
  /** Rows of SLOTS for entries with fromKey <= key < toKey. */
  slotSeqs(into: SeqSet, fromKey: number, toKey: number, before: number): void {
    addValues(into, this.lists.slots, fromKey, toKey, this.relative(before));
  }

  /** The last adopt or release that covers byte `offset` of a frame. */
  lastCover(space: number, frame: number, offset: number, before: number): number {
    const { covers } = this.lists;
    if (covers.rows === 0) return -1;
    const key = coverKey(space, frame);
    for (let row = covers.lowerBound(key, this.relative(before)) - 1; row >= 0; row--) {
      const block = covers.blockOf(row);
      const i = row - block.first;
      if (block.key(i) !== key) break;
      if (inside(block.note(i), offset)) return this.seq(block.value(i));
    }
    return -1;
  }
  /** Every adopt and release that covers the byte, or any byte of the frame. */
  coverSeqs(into: SeqSet, space: number, frame: number, before: number, offset?: number): void {
    const { covers } = this.lists;
    const key = coverKey(space, frame);
    const end = covers.lowerBound(key, this.relative(before));
    for (let row = covers.lowerBound(key, 0); row < end; row++) {
      const block = covers.blockOf(row);
      const i = row - block.first;
      if (offset === undefined || inside(block.note(i), offset)) into.add(block.value(i));
    }
  }

  lastNumber(kind: number, frame: number, before: number): number {
    return this.seq(this.lists.ledger.lastBefore(frame * 8 + kind, this.relative(before)));
  }
  /** Every change of a number of the frame. */
  frameSeqs(into: SeqSet, frame: number, before: number): void {
    addValues(into, this.lists.ledger, frame * 8, frame * 8 + FRAME_KINDS.length, this.relative(before));
  }
}

/** Adds the values below `limit` of the rows with fromKey <= key < toKey. */
function addValues(into: SeqSet, list: ListReader, fromKey: number, toKey: number, limit: number): void {
  const end = list.lowerBound(toKey, 0);
  for (let row = list.lowerBound(fromKey, 0); row < end; ) {
    const block = list.blockOf(row);
    const stop = Math.min(end, block.first + block.n);
    for (; row < stop; row++) {
      const value = block.value(row - block.first);
      if (value < limit) into.add(value);
    }
  }
}

const inside = (note: number, offset: number): boolean =>
  offset >= (note & 0x1fff) && offset < ((note >>> 13) & 0x1fff);
