/**
 * A recording as text that a person compares, beside each golden recording: the log without register values, with call
 * stacks by name. It is what makes a pull request that changes a recording readable.
 */
import { hex } from '../base/u64.js';
import { eventAt } from '../events/block.js';
import { type Event, KIND } from '../events/kinds.js';
import { lineOf } from '../events/text.js';
import type { Source } from '../recording/source.js';

/** Of these there are thousands, one for every frame: a run of them with one cause is a line that counts them. */
const BULK: ReadonlySet<string> = new Set(['m2p', 'p2m', 'total', 'type', 'typecount', 'validated']);
const BULK_MIN = 8;

/** The digest, a piece at a time. */
export function* digestOf(source: Source): Generator<string> {
  const nameOf = (at: bigint): string => {
    const symbol = source.symbols.findLast(s => s.at < at); // a return address is behind the call, maybe behind the function
    return symbol ? `${symbol.name}+${hex(at - symbol.at)}` : hex(at);
  };
  const stackOf = (e: Event): string =>
    'stack' in e && e.stack ? ` [${source.stack(e.stack).map(nameOf).join(' < ')}]` : '';
  const textOf = (e: Event): string => `${lineOf(e, source.lexicon).replace(/ stack=\d+/, '')}${stackOf(e)}\n`;
  const told = (run: readonly Event[]): string => (run.length < BULK_MIN ? run.map(textOf).join('') : bulkText(run));
  let run: Event[] = [];
  for (const e of eventsOf(source)) {
    if (run.length > 0 && !(BULK.has(e.kind) && BULK.has(run[0]!.kind) && e.cause === run[0]!.cause)) {
      yield told(run);
      run = [];
    }
    run.push(e);
  }
  yield told(run);
}
function* eventsOf(source: Source): Generator<Event> {
  for (let n = 0; n < source.chunks.length; n++) {
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) if (block.kind[i] !== KIND.regs) yield eventAt(block, i);
  }
}
function bulkText(run: readonly Event[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of run) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
  return `#${run[0]!.seq}..#${run.at(-1)!.seq} @${run[0]!.ticks} ${kinds} <#${run[0]!.cause}\n`;
}
