/**
 * Boundaries: the moments that deltas and stills stand at. They are those between chunks and PARTS - 1 more within each, so
 * that whoever comes to the nearest one has few events left to fold.
 *
 *   chunk      |        0        |        1        | ...
 *   boundary   0    1   2   3    4    5   6   7    8
 *
 * The last chunk of a recording that may still grow has but the one it begins at.
 */
import type { Source } from '../recording/source.js';

export const PARTS = 4;

export class Boundaries {
  private readonly source: Source;
  constructor(source: Source) {
    this.source = source;
  }

  /** False for a chunk that may still grow. */
  private whole(chunk: number): boolean {
    return chunk < this.source.chunks.length - 1 || this.source.closed;
  }
  /** The last one there is. */
  get last(): number {
    const { length } = this.source.chunks;
    return PARTS * (this.whole(length - 1) ? length : length - 1);
  }
  /** Events before a boundary; behind the last one, all. */
  first(boundary: number): number {
    const n = Math.floor(boundary / PARTS);
    const part = boundary % PARTS;
    const chunk = this.source.chunks[n];
    if (!chunk || (part > 0 && !this.whole(n))) return this.source.count;
    return chunk.first + Math.floor((chunk.count * part) / PARTS);
  }
  /** The last boundary with at most so many events before it, of several the last; of all events, the one before the last. */
  before(events: number): number {
    const { source } = this;
    const n = source.chunkOf(Math.min(events, source.count - 1));
    const { first, count } = source.chunks[n]!;
    const part = this.whole(n) ? Math.floor(((events - first) * PARTS) / count) : 0;
    return PARTS * n + Math.min(part, PARTS - 1);
  }
  /** The boundary between chunks at which `events` events have happened, -1 if there is none. */
  at(events: number): number {
    const { chunks, count } = this.source;
    if (events === 0) return 0;
    if (events >= count) return events === count && this.whole(chunks.length - 1) ? PARTS * chunks.length : -1;
    const n = this.source.chunkOf(events);
    return chunks[n]!.first === events ? PARTS * n : -1;
  }
}
