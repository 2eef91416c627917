/**
 * Differences as a reader wants them: what is missing and what came instead in one hunk, and of differences that repeat
 * themselves (the same field of the same kind of event, written by the same functions) the first few, then how many more.
 */
import type { Difference } from '../compare/classify.js';
import type { Side } from '../compare/side.js';
import { KIND_NAMES } from '../events/kinds.js';
import { blameEvent } from '../views/blame.js';

export interface Hunk {
  readonly difference: Difference;
  /** What B has in place of what is missing. */
  readonly instead: Difference | undefined;
  /** Differences like this one that come later and are not shown, the last of them. */
  more: number;
  last: Difference | undefined;
}
/** Of differences that are alike, so many are shown. */
const ALIKE_SHOWN = 3;
const FUNCTIONS = 4;

/** One key for differences that are alike; '' for one that stands for itself. */
function likeness(a: Side, d: Difference): string {
  const seq = d.a.seqs[0];
  if (d.class !== 'value' || seq === undefined || d.fields.length === 0) return '';
  const { source } = a;
  const block = source.chunk(source.chunkOf(seq));
  const where = blameEvent(source, seq).stack.slice(0, FUNCTIONS);
  return [KIND_NAMES[block.kind[seq - block.first]!], ...d.fields, ...where.map(s => s.text)].join();
}

/** At most `most` hunks, in order; what is alike is counted to the end. */
export function hunksOf(a: Side, differences: readonly Difference[], most: number): Hunk[] {
  const hunks: Hunk[] = [];
  const alike = new Map<string, Hunk[]>();
  for (let n = 0; n < differences.length; n++) {
    const difference = differences[n]!;
    const next = differences[n + 1];
    const same = next?.a.from === difference.a.from && next.b.from === difference.b.from;
    const replaced = difference.class === 'missing' && next?.class === 'extra' && same ? next : undefined;
    if (replaced) n++;
    const key = likeness(a, difference);
    const shown = key === '' ? [] : (alike.get(key) ?? []);
    if (shown.length >= ALIKE_SHOWN) {
      const at = shown.at(-1)!;
      at.more++;
      at.last = difference;
    } else if (hunks.length < most) {
      const hunk: Hunk = { difference, instead: replaced, more: 0, last: undefined };
      hunks.push(hunk);
      if (key !== '') alike.set(key, [...shown, hunk]);
    }
  }
  return hunks;
}
/** How many differences a hunk tells of. */
export const toldBy = (h: Hunk): number => 1 + Number(h.instead !== undefined) + h.more;
