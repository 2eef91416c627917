/**
 * What one side does here and the other a little later. Where the sides agree in between for a while, that is found as two
 * differences, one missing and one extra: here they become the one that they are, if their events are the same.
 */
import type { Difference } from './classify.js';
import type { Same } from './same.js';
import type { Side } from './side.js';

/** One-sided differences that are remembered, events one may have, and events of A between two that belong together. */
const REMEMBERED = 16;
const EVENTS_MAX = 256;
const APART_MAX = 4096;

const isOneSided = (d: Difference): boolean => d.class === 'missing' || d.class === 'extra';
/** Numbers of events and their seqs, by number: where a cut is made, a unit of work may begin with its own or its neighbour's end. */
function numbered(same: Same, side: Side, seqs: readonly number[]): [number: number, seq: number][] {
  return seqs
    .map((seq): [number, number] => {
      const block = side.source.chunk(side.source.chunkOf(seq));
      return [same.hash(side, block, seq - block.first), seq];
    })
    .sort(([x], [y]) => x - y);
}
/** The events of B that are those of A; undefined if not all are. */
function partners(same: Same, a: readonly number[], b: readonly number[]): number[] | undefined {
  if (a.length !== b.length) return undefined;
  const [x, y] = [numbered(same, same.a, a), numbered(same, same.b, b)];
  if (!x.every(([number], n) => number === y[n]![0])) return undefined;
  const of = new Map(x.map(([, seq], n) => [seq, y[n]![1]]));
  return a.map(seq => of.get(seq)!);
}

export class Moves {
  private readonly same: Same;
  private readonly recent: Difference[] = [];

  constructor(same: Same) {
    this.same = same;
  }

  /**
   * Takes note of a difference.
   * @returns the earlier one that it is the other half of, and what both are; undefined if there is none
   */
  pair(d: Difference): { readonly earlier: Difference; readonly both: Difference } | undefined {
    if (!isOneSided(d) || d.a.seqs.length + d.b.seqs.length > EVENTS_MAX) return undefined;
    const { same, recent } = this;
    for (const [n, earlier] of recent.entries()) {
      if (earlier.class === d.class || d.a.from - earlier.a.from > APART_MAX) continue;
      const [missing, extra] = d.class === 'missing' ? [d, earlier] : [earlier, d];
      const there = partners(same, missing.a.seqs, extra.b.seqs);
      if (!there) continue;
      recent.splice(n, 1);
      const a = { from: missing.a.seqs[0]!, seqs: missing.a.seqs };
      return { earlier, both: { class: 'reordered', a, b: { from: there[0]!, seqs: there }, fields: [] } };
    }
    recent.push(d);
    if (recent.length > REMEMBERED) recent.shift();
    return undefined;
  }
}
