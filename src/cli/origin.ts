/** Where an entry that arrived with its table came from, as text and as JSON: for why and blame. */
import { hex } from '../base/u64.js';
import { eventText } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { eventOf } from '../views/at.js';
import type { Origin } from '../views/stores.js';
import type { StackLine } from '../views/symbols.js';
import { paint } from './output.js';

/** A line an address, innermost first. */
export const stackText = (stack: readonly StackLine[]): string[] =>
  stack.map((s, n) => `  ${paint.blue(`${String(n).padStart(2)} ${hex(s.at).padStart(16, '0')} ${s.text}`)}`);

export function originText(source: Source, origin: Origin): string[] {
  switch (origin.kind) {
    case 'store': {
      const { seq, sub, ticks, to, old, new: value, stack, from, withoutCallers } = origin.store;
      const where = `stored at #${seq}.${sub} @${ticks}: ${hex(old)} -> ${hex(value)} through ${hex(to)} (${from}) by`;
      const short = withoutCallers
        ? [paint.dim(`  its callers are known only by running again: ${withoutCallers}`)]
        : [];
      return [where, ...stackText(stack), ...short];
    }
    case 'event':
      return [
        `written when the memory was a table before: #${origin.seq} ${eventText(eventOf(source, origin.seq), source.lexicon)}`,
      ];
    case 'unknown':
      return [paint.dim(origin.why)];
  }
}
export function originJson(origin: Origin): object {
  if (origin.kind !== 'store') return origin;
  const { store } = origin;
  return {
    kind: 'store',
    position: `#${store.seq}.${store.sub}`,
    ticks: store.ticks,
    to: `0x${hex(store.to)}`,
    old: `0x${hex(store.old)}`,
    new: `0x${hex(store.new)}`,
    from: store.from,
    stack: store.stack.map(s => ({ at: `0x${hex(s.at)}`, symbol: s.text })),
  };
}
