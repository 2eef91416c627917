/**
 * What a difference is. Of the events between two places where both sides agree, those that pair up are compared field by
 * field, and what is left on either side gets a class:
 *
 *   missing       only A has it                   extra         only B has it
 *   value         the same event, another value   reordered     both have it, at another place
 *   re-batched    the same work in other batches  other effect  at the same place something else happened
 */
import { type Block, listStart } from '../events/block.js';
import { KIND, KIND_NAMES, type KindName } from '../events/kinds.js';
import { callName } from '../events/lexicon.js';
import { type Parted, pairUp } from './resync.js';
import { LANDMARKS } from './rules.js';
import type { Same } from './same.js';
import type { Side } from './side.js';

export const CLASSES = ['missing', 'extra', 'value', 'reordered', 're-batched', 'other effect'] as const;
export type Class = (typeof CLASSES)[number];
/** Events of a side, in order; `from` is where they would be, if there are none. */
export interface Span {
  readonly from: number;
  readonly seqs: readonly number[];
}
export interface Difference {
  readonly class: Class;
  readonly a: Span;
  readonly b: Span;
  /** Of one event on both sides: the fields that differ. */
  readonly fields: readonly string[];
}

const at = (side: Side, seq: number): { block: Block; i: number } => {
  const block = side.source.chunk(side.source.chunkOf(seq));
  return { block, i: seq - block.first };
};
const kindAt = (side: Side, seq: number): string => {
  const { block, i } = at(side, seq);
  return KIND_NAMES[block.kind[i]!]!;
};

/** Two events at the same place: what is different, or undefined if nothing is. */
function compareAt(same: Same, seqA: number, seqB: number): Difference | undefined {
  const [a, b] = [at(same.a, seqA), at(same.b, seqB)];
  if (same.same(a.block, a.i, b.block, b.i)) return undefined;
  const fields = same.fields(a.block, a.i, b.block, b.i);
  const kind = a.block.kind[a.i];
  const rebatched =
    (kind === KIND.batch && fields.join() === 'count') ||
    (kind === KIND.entry && fields.join() === 'args' && isElsewhere(same, a, b)) ||
    (kind === KIND.call && fields.join() === 'args' && sizeOf(same.a, seqA) !== sizeOf(same.b, seqB));
  return {
    class: rebatched ? 're-batched' : 'value',
    a: { from: seqA, seqs: [seqA] },
    b: { from: seqB, seqs: [seqB] },
    fields,
  };
}

/** An entry at another place of its batch, whose arguments lie at another place of the same buffer, and else the same. */
function isElsewhere(same: Same, a: ReturnType<typeof at>, b: ReturnType<typeof at>): boolean {
  const [p, q] = [a.block.col.entry, b.block.col.entry];
  const [x, y] = [a.block.row[a.i]!, b.block.row[b.i]!];
  if (p.index[x] === q.index[y]) return false;
  const [i, j] = [listStart(p.argsEnd, x), listStart(q.argsEnd, y)];
  const length = p.argsEnd[x]! - i;
  if (length !== q.argsEnd[y]! - j) return false;
  for (let k = 0; k < length; k++) {
    const [aLo, aHi, bLo, bHi] = [p.argsLo[i + k]!, p.argsHi[i + k]!, q.argsLo[j + k]!, q.argsHi[j + k]!];
    if (same.value(aLo, aHi, bLo, bHi)) continue;
    const buffer = same.a.symbolOf(aLo, aHi)?.name;
    if (buffer === undefined || buffer !== same.b.symbolOf(bLo, bHi)?.name) return false;
  }
  return true;
}

/** How many entries the batch has that a call makes, -1 if it makes none. */
function sizeOf(side: Side, call: number): number {
  if (call + 1 >= side.source.count) return -1;
  const { block, i } = at(side, call + 1);
  return block.kind[i] === KIND.batch ? block.col.batch.count[block.row[i]!]! : -1;
}

/** Can be the same event with another value: one kind, and a call or an entry of one name. */
function comparable(same: Same, seqA: number, seqB: number): boolean {
  const kind = kindAt(same.a, seqA);
  if (kind !== kindAt(same.b, seqB)) return false;
  return nameOf(same.a, seqA) === nameOf(same.b, seqB);
}
/** The name of the call or entry, '' for other events. */
function nameOf(side: Side, seq: number): string {
  const { block, i } = at(side, seq);
  const kind = block.kind[i]!;
  if (kind !== KIND.call && kind !== KIND.entry) return '';
  const c = kind === KIND.call ? block.col.call : block.col.entry;
  const row = block.row[i]!;
  return callName(side.source.lexicon, c.class[row]!, c.number[row]!);
}

/** The differences among the events two sides skip before they agree again, in order. */
export function classify(same: Same, { a, b, skipA, skipB }: Parted): Difference[] {
  const pairs = withoutChance(pairUp(a.hashes, skipA, b.hashes, skipB), skipA, skipB, k =>
    LANDMARKS.has(kindAt(same.a, a.seqs[k]!) as never),
  );
  const found: Difference[] = [];
  const left = { a: [] as number[], b: [] as number[] };
  let [x, y] = [0, 0];
  /** Events that have nothing to do with each other: what is missing, and what came instead. */
  const apart = (toA: number, toB: number): void => {
    for (let k = x; k < toA; k++) left.a.push(k);
    for (let k = y; k < toB; k++) left.b.push(k);
    if (toA > x) found.push({ class: 'missing', a: spanOf(a, x, toA), b: spanOf(b, y, y), fields: [] });
    if (toB > y) found.push({ class: 'extra', a: spanOf(a, x, x), b: spanOf(b, y, toB), fields: [] });
    [x, y] = [toA, toB];
  };
  const gap = (toA: number, toB: number): void => {
    const pairwise = toA - x === toB - y;
    for (let [p, q] = [x, y]; pairwise && p < toA; p++, q++) {
      const [sa, sb] = [a.seqs[p]!, b.seqs[q]!];
      const effects = !LANDMARKS.has(kindAt(same.a, sa) as never) && !LANDMARKS.has(kindAt(same.b, sb) as never);
      const alike = !hashElsewhere(p, q) && comparable(same, sa, sb);
      if (!alike && (hashElsewhere(p, q) || !effects)) continue;
      apart(p, q);
      const spans = { a: { from: sa, seqs: [sa] }, b: { from: sb, seqs: [sb] }, fields: [] };
      const d = alike ? compareAt(same, sa, sb) : ({ class: 'other effect', ...spans } as const);
      if (d) found.push(d);
      [x, y] = [p + 1, q + 1];
    }
    apart(toA, toB);
  };
  const inA = new Set(a.hashes.slice(0, skipA));
  const inB = new Set(b.hashes.slice(0, skipB));
  const hashElsewhere = (p: number, q: number): boolean => inB.has(a.hashes[p]!) || inA.has(b.hashes[q]!);
  for (const [p, q] of pairs) {
    gap(p, q);
    const d = compareAt(same, a.seqs[p]!, b.seqs[q]!);
    if (d) found.push(d);
    [x, y] = [p + 1, q + 1];
  }
  gap(skipA, skipB);
  if (
    isRebatched(
      same,
      left.a.map(k => a.seqs[k]!),
      left.b.map(k => b.seqs[k]!),
    )
  )
    return merge(
      found.map(d => (d.class === 'value' || d.class === 'other effect' ? d : { ...d, class: 're-batched' })),
    );
  return merge(reorder(same, found, a, b));
}
type Pairs = readonly [number, number][];
/**
 * Pairs that are no accident. Among events of which one side has many and the other none, a result or a flush that both happen
 * to have says nothing: a run of such pairs that is shorter than what surrounds it, and has nothing of note, is dropped.
 */
function withoutChance(pairs: Pairs, endA: number, endB: number, isOfNote: (inA: number) => boolean): Pairs {
  const runs: [number, number][][] = [];
  for (const [p, q] of pairs) {
    const last = runs.at(-1)?.at(-1);
    if (last && last[0] === p - 1 && last[1] === q - 1) runs.at(-1)!.push([p, q]);
    else runs.push([[p, q]]);
  }
  /** How much more one side has between two runs: what is between them may be one event for another, or none for many. */
  const more = (from: Pairs | undefined, to: Pairs | undefined): number => {
    const [p, q] = from?.at(-1) ?? [-1, -1];
    const [x, y] = to?.[0] ?? [endA, endB];
    return Math.abs(x - p - (y - q));
  };
  return runs.flatMap((run, n) => {
    const around = Math.min(more(runs[n - 1], run), more(run, runs[n + 1]));
    return run.length < around && !run.some(([p]) => isOfNote(p)) ? [] : run;
  });
}
const spanOf = (w: { readonly seqs: readonly number[] }, from: number, to: number): Span => ({
  from: w.seqs[from] ?? (w.seqs.at(-1) ?? -1) + 1,
  seqs: w.seqs.slice(from, to),
});

/** The same work on both sides, apart from which batches it was done in. */
function isRebatched(same: Same, a: readonly number[], b: readonly number[]): boolean {
  const work = (side: Side, seqs: readonly number[]): { names: string; batches: number; others: number } => {
    const kinds = seqs.map(s => kindAt(side, s));
    const names = seqs.filter((_, n) => kinds[n] === 'entry' || (kinds[n] === 'call' && kinds[n + 1] !== 'batch'));
    return {
      names: names.map(s => nameOf(side, s)).join(),
      batches: kinds.filter(k => k === 'batch').length,
      others: kinds.filter(k => !['call', 'batch', 'entry', 'result'].includes(k)).length,
    };
  };
  const [x, y] = [work(same.a, a), work(same.b, b)];
  return x.batches + y.batches > 0 && x.names === y.names && x.others + y.others === 0;
}

/** Kinds that only tell what came of others: that one of them is elsewhere too says nothing by itself. */
const OUTCOMES: ReadonlySet<string> = new Set<KindName>([
  'result',
  'flush',
  'trapret',
  'type',
  'typecount',
  'total',
  'validated',
  'partial',
]);

/** Events that one side misses and the other has too many, with the same number, are at another place. */
function reorder(same: Same, found: readonly Difference[], a: Parted['a'], b: Parted['b']): Difference[] {
  const numberOf = (w: Parted['a']): Map<number, number> =>
    new Map(w.seqs.map((seq, k) => [seq, w.hashes[k]!] as const));
  const missing = found.filter(d => d.class === 'missing');
  const extra = found.filter(d => d.class === 'extra');
  if (missing.length === 0 || extra.length === 0) return [...found];
  const [na, nb] = [numberOf(a), numberOf(b)];
  const waiting = new Map<number, number[]>();
  for (const d of extra)
    for (const seq of d.b.seqs) {
      const others = waiting.get(nb.get(seq)!);
      if (others) others.push(seq);
      else waiting.set(nb.get(seq)!, [seq]);
    }
  const moved = new Map<number, number>();
  for (const d of missing)
    for (const seq of d.a.seqs) {
      const to = waiting.get(na.get(seq)!)?.shift();
      if (to !== undefined) moved.set(seq, to);
    }
  if (![...moved.keys()].some(seq => !OUTCOMES.has(kindAt(same.a, seq)))) return [...found];
  const taken = new Set(moved.values());
  const split = found.flatMap((d): Difference[] => {
    if (d.class === 'missing') {
      const [went, stay] = [d.a.seqs.filter(s => moved.has(s)), d.a.seqs.filter(s => !moved.has(s))];
      const here = { ...d, a: { ...d.a, seqs: stay } };
      const elsewhere: Difference = {
        ...d,
        class: 'reordered',
        a: { from: went[0]!, seqs: went },
        b: { from: moved.get(went[0]!)!, seqs: went.map(s => moved.get(s)!) },
      };
      return [...(went.length > 0 ? [elsewhere] : []), ...(stay.length > 0 ? [here] : [])];
    }
    if (d.class !== 'extra') return [d];
    const stay = d.b.seqs.filter(s => !taken.has(s));
    return stay.length > 0 ? [{ ...d, b: { ...d.b, seqs: stay } }] : [];
  });
  const place = ({ a: x, b: y }: Difference): number => (x.seqs[0] ?? x.from) + (y.seqs[0] ?? y.from);
  return split.sort((d, e) => place(d) - place(e));
}

const ONE_SIDED: ReadonlySet<Class> = new Set(['missing', 'extra']);
/** Neighbours of one class are one difference, except where each names its own fields, or something the same is between. */
function merge(found: readonly Difference[]): Difference[] {
  const out: { d: Difference; a: number[]; b: number[] }[] = [];
  for (const d of found) {
    const last = out.at(-1);
    if (!last || last.d.class !== d.class || ONE_SIDED.has(d.class) || last.d.fields.length + d.fields.length > 0)
      out.push({ d, a: [...d.a.seqs], b: [...d.b.seqs] });
    else {
      for (const seq of d.a.seqs) last.a.push(seq);
      for (const seq of d.b.seqs) last.b.push(seq);
    }
  }
  return out.map(({ d, a, b }) => ({ ...d, a: { ...d.a, seqs: a }, b: { ...d.b, seqs: b } }));
}
