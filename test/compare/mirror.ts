/** What a comparison finds when its recordings are swapped, seen in a mirror. */
import type { Class, Difference, Span } from '../../src/compare/classify.js';

export const mirroredClass = (c: Class): Class => (c === 'missing' ? 'extra' : c === 'extra' ? 'missing' : c);
export function mirrored(d: Difference): Difference {
  const [a, b] = d.class === 'reordered' ? inOrderOfFirst(d.b.seqs, d.a.seqs) : [d.b, d.a];
  return { ...d, class: mirroredClass(d.class), a, b };
}
/** Events that moved are listed as they come in A, each beside where it is in B. */
function inOrderOfFirst(a: readonly number[], b: readonly number[]): [Span, Span] {
  const pairs = a.map((seq, n) => [seq, b[n]!] as const).sort(([x], [y]) => x - y);
  const span = (side: 0 | 1): Span => ({ from: pairs[0]![side], seqs: pairs.map(p => p[side]) });
  return [span(0), span(1)];
}

/** In one order, since at one place what is missing is told before what came instead, whichever side it is on. */
export function inOrder(differences: readonly Difference[]): Difference[] {
  const key = ({ class: c, a, b }: Difference): string =>
    [a, b].map(x => String(x.seqs[0] ?? x.from).padStart(12, '0')).join() + c;
  return [...differences].sort((x, y) => (key(x) < key(y) ? -1 : 1));
}
