/** What a recording amounts to, as rows of names and numbers that two recordings can have beside each other. */
import type { Work } from '../base/work.js';
import { flush, KIND } from '../events/kinds.js';
import { wordOf } from '../events/lexicon.js';
import type { Source } from '../recording/source.js';
import { isaOfSource } from '../state/formats.js';
import { callCounts } from '../views/stats.js';

/** Row name to number, in the order they should be shown in. */
export type Totals = ReadonlyMap<string, number>;

const KINDS_READ = [KIND.batch, KIND.pte, KIND.flush, KIND.trap, KIND.type] as const;

/** Hypercalls, batches and their sizes, page-table writes by path, flushes, faults, frames of each type at the end. */
export function* totalsOf(source: Source): Work<Totals> {
  const { lexicon } = source;
  const groups: Record<string, Map<string, number>> = { calls: new Map(), batches: new Map(), pte: new Map() };
  const rest = { flush: new Map<string, number>(), trap: new Map<string, number>(), frames: new Map<string, number>() };
  const add = (to: Map<string, number>, name: string, n = 1): void => void to.set(name, (to.get(name) ?? 0) + n);
  for (const { name, calls, entries } of yield* callCounts(source)) {
    if (calls > 0) groups.calls!.set(`calls ${name}`, calls);
    if (entries > 0) groups.calls!.set(`batch entries ${name}`, entries);
  }
  const vectors = isaOfSource(source)?.vectors ?? [];
  for (const [n, { counts, first }] of source.chunks.entries()) {
    if (KINDS_READ.every(k => counts[k] === 0)) continue;
    const { col, row, kind, count } = source.chunk(n);
    for (let i = 0; i < count; i++) {
      const r = row[i]!;
      switch (kind[i]) {
        case KIND.batch: {
          const style = wordOf(lexicon, 'batch', col.batch.style[r]!);
          const size = col.batch.count[r]!;
          add(groups.batches!, `batches ${style}`);
          add(groups.batches!, `batches ${style} of ${size <= 1 ? size : `2^${Math.ceil(Math.log2(size))} or fewer`}`);
          break;
        }
        case KIND.pte:
          add(groups.pte!, `pte writes by ${wordOf(lexicon, 'path', col.pte.path[r]!)}`);
          break;
        case KIND.flush:
          add(rest.flush, `tlb flushes of ${flush.fields.scope.names[col.flush.scope[r]!] ?? '?'}`);
          break;
        case KIND.trap:
          add(rest.trap, `faults ${vectors[col.trap.vector[r]!] ?? col.trap.vector[r]}`);
          break;
        case KIND.type:
          add(rest.frames, `frames ${wordOf(lexicon, 'frameType', col.type.old[r]!)}`, -1);
          add(rest.frames, `frames ${wordOf(lexicon, 'frameType', col.type.new[r]!)}`);
          break;
      }
    }
    yield { done: first, total: source.count };
  }
  const frames = [...rest.frames].filter(([name, n]) => n > 0 && name !== 'frames none');
  return new Map([...Object.values(groups), rest.flush, rest.trap].flatMap(g => [...g]).concat(frames));
}
