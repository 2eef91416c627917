/** Looking for events, without folding any. */
import type { Work } from '../base/work.js';
import type { Block } from '../events/block.js';
import { KIND, KIND_NAMES, type KindName } from '../events/kinds.js';
import type { Source } from '../recording/source.js';

/** What a search looks for: events of these kinds (all, if not given) for which `where` says yes. */
export interface Match {
  readonly kinds?: readonly KindName[];
  where?(block: Block, i: number): boolean;
}

/** True if a chunk with these counts could have a match. */
export const chunkMatters = (counts: Readonly<Uint32Array>, kinds: readonly KindName[] | undefined): boolean =>
  !kinds || kinds.some(kind => counts[KIND[kind]]! > 0);

/** A question about an event may format its line, which takes microseconds. */
const YIELD_ASKED = 256;

/**
 * The next (direction 1) or previous (-1) matching event, from event `from` on, itself included. Chunks that have no event
 * of the kinds are not decoded.
 * @returns its seq, -1 if there is none
 */
export function* findEvent(source: Source, from: number, direction: 1 | -1, match: Match): Work<number> {
  if (source.count === 0 || (direction === 1 ? from >= source.count : from < 0)) return -1;
  const begin = Math.min(Math.max(from, 0), source.count - 1);
  const wanted = new Uint8Array(KIND_NAMES.length).fill(match.kinds ? 0 : 1);
  for (const kind of match.kinds ?? []) wanted[KIND[kind]] = 1;
  for (let n = source.chunkOf(begin); n >= 0 && n < source.chunks.length; n += direction) {
    const info = source.chunks[n]!;
    if (!chunkMatters(info.counts, match.kinds)) continue;
    const block = source.chunk(n);
    let i = Math.min(Math.max(begin - block.first, 0), block.count - 1);
    const total = direction === 1 ? source.count - begin : begin + 1;
    for (let asked = 0; i >= 0 && i < block.count; i += direction) {
      if (!wanted[block.kind[i]!]) continue;
      if (match.where?.(block, i) ?? true) return block.first + i;
      if (++asked % YIELD_ASKED === 0) yield { done: Math.abs(block.first + i - begin), total };
    }
    yield { done: Math.abs(info.first - begin), total };
  }
  return -1;
}
