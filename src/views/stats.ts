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
  /** Answers that say no: error numbers (38 for -38), and how many of each. */
  readonly refused: readonly { readonly error: number; readonly count: number }[];
}
/** An answer between -4095 and -1 is an error number: Linux, Xen and everything like them. */
const errorIn = (lo: number, hi: number): number | undefined =>
  hi === 0xffff_ffff && lo > 0xffff_f000 ? 2 ** 32 - lo : undefined;

interface Counts {
  calls: number;
  entries: number;
  readonly refused: Map<number, number>;
}
/** Calls by name, most frequent first. */
export function* callCounts(source: Source): Work<CallCount[]> {
  const found = new Map<number, Counts>();
  const countsOf = (key: number): Counts => {
    let c = found.get(key);
    if (!c) found.set(key, (c = { calls: 0, entries: 0, refused: new Map() }));
    return c;
  };
  /** Calls and entries that may still be answered, by seq: those inside the last call that is in no other. */
  const open = new Map<number, number>();
  for (const [n, info] of source.chunks.entries()) {
    if (info.counts[KIND.call] === 0 && info.counts[KIND.entry] === 0 && info.counts[KIND.result] === 0) continue;
    const { col, row, kind, back, first, count } = source.chunk(n);
    for (let i = 0; i < count; i++) {
      const at = row[i]!;
      if (kind[i] === KIND.call || kind[i] === KIND.entry) {
        const isCall = kind[i] === KIND.call;
        const c = isCall ? col.call : col.entry;
        const key = c.class[at]! * 2 ** 32 + c.number[at]!;
        countsOf(key)[isCall ? 'calls' : 'entries']++;
        if (isCall) open.clear();
        open.set(first + i, key);
      } else if (kind[i] === KIND.result) {
        const error = errorIn(col.result.valueLo[at]!, col.result.valueHi[at]!);
        const key = open.get(first + i - back[i]!);
        if (error === undefined || key === undefined) continue;
        const { refused } = countsOf(key);
        refused.set(error, (refused.get(error) ?? 0) + 1);
      }
    }
    yield { done: info.first + info.count, total: source.count };
  }
  return [...found]
    .map(([key, { calls, entries, refused }]) => {
      const [cls, number] = [Math.floor(key / 2 ** 32), key % 2 ** 32];
      const errors = [...refused].map(([error, count]) => ({ error, count })).sort((a, b) => a.error - b.error);
      return { class: cls, number, name: callName(source.lexicon, cls, number), calls, entries, refused: errors };
    })
    .sort((a, b) => b.calls + b.entries - (a.calls + a.entries));
}
