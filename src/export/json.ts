/** A recording as lines of JSON: what was recorded, then every event; each call stack once, before the first event that names it. */
import { hex } from '../base/u64.js';
import type { Work } from '../base/work.js';
import { eventAt } from '../events/block.js';
import type { Event } from '../events/kinds.js';
import { eventJson, JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { stackOf } from '../views/symbols.js';

export interface JsonOptions {
  /** First event, and the one after the last. */
  readonly from: number;
  readonly to: number;
  /** Kinds by number; all if not given. */
  readonly kinds?: ReadonlySet<number> | undefined;
}

/** Hands over one line after the other. @returns how many events that were */
export function* exportJson(
  source: Source,
  { from, kinds, ...rest }: JsonOptions,
  put: (line: string) => void,
): Work<number> {
  const { header, lexicon, count } = source;
  const to = Math.min(rest.to, count);
  put(JSON.stringify({ v: JSON_VERSION, what: 'recording', file: source.name, header, events: count, from, to }));
  const told = new Set([0]);
  const tellStack = (e: Event): void => {
    if (!('stack' in e) || told.has(e.stack)) return;
    told.add(e.stack);
    const frames = stackOf(source, e.stack).map(({ at, text }) => ({ at: `0x${hex(at)}`, symbol: text }));
    put(JSON.stringify({ v: JSON_VERSION, what: 'stack', stack: e.stack, frames }));
  };
  let events = 0;
  for (let seq = from; seq < to; ) {
    const n = source.chunkOf(seq);
    const { first, count: size, counts } = source.chunks[n]!;
    const end = Math.min(to, first + size);
    if (!kinds || [...kinds].some(k => counts[k]! > 0)) {
      const block = source.chunk(n);
      for (let i = seq - first; i < end - first; i++) {
        if (kinds && !kinds.has(block.kind[i]!)) continue;
        const e = eventAt(block, i);
        tellStack(e);
        put(JSON.stringify(eventJson(e, lexicon)));
        events++;
        if (i % YIELD_EVENTS === 0) yield { done: first + i - from, total: to - from };
      }
    }
    seq = end;
    yield { done: seq - from, total: to - from };
  }
  return events;
}
/** Events between two looks at the clock. */
const YIELD_EVENTS = 1024;
