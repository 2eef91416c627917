/** What a recording is made of. Most of it is in the chunk directory; names of calls need a pass over chunks with calls. */
import type { Work } from '../base/work.js';
import { KIND, KIND_NAMES, type KindName } from '../events/kinds.js';
import { callName } from '../events/lexicon.js';
import type { Source } from '../recording/source.js';

export interface Stats {
  readonly events: number;
  readonly ticks: number;
  readonly chunks: number;
  readonly byKind: readonly { readonly kind: KindName; readonly count: number }[];
  /** Tables adopted and not released. */
  readonly tablesLeft: number;
}
/** Without decoding anything. Kinds that never happened are left out; most frequent first. */
export function statsOf(source: Source): Stats {
  const totals = new Float64Array(KIND_NAMES.length);
  for (const { counts } of source.chunks) for (let k = 0; k < totals.length; k++) totals[k]! += counts[k] ?? 0;
  const byKind = KIND_NAMES.map((kind, k) => ({ kind, count: totals[k]! }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count);
  return {
    events: source.count,
    ticks: source.endTicks - (source.chunks[0]?.firstTicks ?? 0),
    chunks: source.chunks.length,
    byKind,
    tablesLeft: totals[KIND.adopt]! - totals[KIND.release]!,
  };
}

export interface CallCount {
  readonly class: number;
  readonly number: number;
  readonly name: string;
  /** Calls made, and entries of batches that name it. */
  readonly calls: number;
  readonly entries: number;
}
/** Calls by name, most frequent first. */
export function* callCounts(source: Source): Work<CallCount[]> {
  const found = new Map<number, { calls: number; entries: number }>();
  for (const [n, info] of source.chunks.entries()) {
    if (info.counts[KIND.call] === 0 && info.counts[KIND.entry] === 0) continue;
    const { col, rows } = source.chunk(n);
    for (const [kind, field] of [
      ['call', 'calls'],
      ['entry', 'entries'],
    ] as const)
      for (let row = 0; row < rows[KIND[kind]]!; row++) {
        const key = col[kind].class[row]! * 2 ** 32 + col[kind].number[row]!;
        const c = found.get(key) ?? { calls: 0, entries: 0 };
        c[field]++;
        if (!found.has(key)) found.set(key, c);
      }
    yield { done: info.first + info.count, total: source.count };
  }
  return [...found]
    .map(([key, counts]) => {
      const [cls, number] = [Math.floor(key / 2 ** 32), key % 2 ** 32];
      return { class: cls, number, name: callName(source.lexicon, cls, number), ...counts };
    })
    .sort((a, b) => b.calls + b.entries - (a.calls + a.entries));
}
