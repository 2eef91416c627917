/** The report on two recordings: each difference as a hunk with what is around it, the first with how things stood. */
import { hex } from '../base/u64.js';
import type { Work } from '../base/work.js';
import type { CLASSES, Difference } from '../compare/classify.js';
import type { RecordingDiff } from '../compare/recordings.js';
import { RULES_OF, type Rule } from '../compare/rules.js';
import { sceneOf } from '../compare/scene.js';
import { type Ignored, Side } from '../compare/side.js';
import { totalsOf } from '../compare/totals.js';
import { type Event, KIND_NAMES, KINDS } from '../events/kinds.js';
import type { AnyField } from '../events/schema.js';
import { eventText, fieldText } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { eventOf } from '../views/at.js';
import { blameEvent } from '../views/blame.js';
import { type Hunk, hunksOf, toldBy } from './hunks.js';
import { countedText, type Finding, type Line, type Report, type Row, type Section } from './model.js';

export interface DiffReportOptions {
  /** Events that are the same on both sides, shown before and behind a difference. */
  readonly context: number;
  readonly ignored: Ignored;
}
/** Events of one difference that are shown of a side; findings that are shown in all. */
const EVENTS_SHOWN = 16;
const FINDINGS_MAX = 500;
const ITEMS_SHOWN = 4;
const KINDS_SHOWN = 4;

const RULES: Record<(typeof CLASSES)[number], string> = {
  missing: 'what A does, B does too',
  extra: 'B does nothing that A does not',
  value: 'the same events have the same values',
  reordered: 'the same events come in the same order',
  're-batched': 'the same work is done in the same batches',
  'other effect': 'the same calls have the same effects',
};

/** An event as a line; its stack by function. */
function eventLine(side: Side, seq: number): string {
  const e = eventOf(side.source, seq);
  const text = eventText(e, side.source.lexicon).replace(/ stack=\d+$/, '');
  const names = 'stack' in e && e.stack !== 0 ? side.stack(e.stack).names : [];
  return `#${seq} ${text}${names.length > 0 ? `  [${names.slice(0, 4).join(' < ')}]` : ''}`;
}
function* eventLines(side: Side, seqs: readonly number[], sign: Line['sign']): Generator<Line> {
  for (const seq of seqs.slice(0, EVENTS_SHOWN)) yield { sign, text: eventLine(side, seq) };
  const rest = seqs.slice(EVENTS_SHOWN);
  if (rest.length > 0) yield { sign, text: `... and ${rest.length} more: ${kindsText(side, rest)}` };
}
/** `12 pte, 4 call, 9 others` */
function kindsText({ source }: Side, seqs: readonly number[]): string {
  const counts = new Map<string, number>();
  for (const seq of seqs) {
    const block = source.chunk(source.chunkOf(seq));
    const kind = KIND_NAMES[block.kind[seq - block.first]!]!;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const most = [...counts].sort(([, x], [, y]) => y - x);
  const others = most.slice(KINDS_SHOWN).reduce((sum, [, n]) => sum + n, 0);
  const texts = most.slice(0, KINDS_SHOWN).map(([kind, n]) => `${n} ${kind}`);
  return [...texts, ...(others > 0 ? [`${others} others`] : [])].join(', ');
}
/** `n` events that count before event `seq`, or from it on. */
function around(side: Side, seq: number, n: number, direction: -1 | 1): number[] {
  const { source } = side;
  const out: number[] = [];
  for (let at = direction < 0 ? seq - 1 : seq; out.length < n && at >= 0 && at < source.count; at += direction) {
    const block = source.chunk(source.chunkOf(at));
    if (side.next(block, at - block.first) === at - block.first) out.push(at);
  }
  return direction < 0 ? out.reverse() : out;
}

/** What a field is on both sides; of long lists, the items that differ. */
function fieldLine(a: Side, b: Side, name: string, ea: Event, eb: Event): string {
  const f = (KINDS[ea.kind].fields as Record<string, AnyField>)[name]!;
  const [va, vb] = [ea, eb].map(e => (e as unknown as Record<string, unknown>)[name]);
  if (f.show === 'stack') {
    const names = (s: Side, id: unknown): string => s.stack(id as number).names.join(' < ');
    return `${name}: ${names(a, va)} -> ${names(b, vb)}`;
  }
  if (RULES_OF[ea.kind][name as never] === ('change' satisfies Rule)) {
    const by = (e: Event, v: unknown): string => {
      const change = Number(v) - (e as unknown as { readonly old: number }).old;
      return change < 0 ? String(change) : `+${change}`;
    };
    return `changes by: ${by(ea, va)} -> ${by(eb, vb)}`;
  }
  if (Array.isArray(va) && Array.isArray(vb) && va.length === vb.length) {
    const at = va.flatMap((v, n) => (v === vb[n] ? [] : [n]));
    const shown = at.slice(0, ITEMS_SHOWN).map(n => `[${n}] ${hex(va[n] as bigint)} -> ${hex(vb[n] as bigint)}`);
    return `${name}: ${shown.join(', ')}${at.length > ITEMS_SHOWN ? ` and ${at.length - ITEMS_SHOWN} more` : ''}`;
  }
  return `${name}: ${fieldText(f, va, a.source.lexicon)} -> ${fieldText(f, vb, b.source.lexicon)}`;
}

const eventsText = (d: Difference): string => {
  const count = Math.max(d.a.seqs.length, d.b.seqs.length);
  return `${d.class}, ${count} event${count === 1 ? '' : 's'}`;
};

function finding(a: Side, b: Side, { difference: d, instead, more, last }: Hunk, context: number): Finding {
  const lines: Line[] = [];
  for (const seq of around(a, d.a.from, context, -1)) lines.push({ sign: ' ', text: eventLine(a, seq) });
  lines.push(...eventLines(a, d.a.seqs, '-'), ...eventLines(b, (instead ?? d).b.seqs, '+'));
  if (d.fields.length > 0 && d.a.seqs.length === 1 && d.b.seqs.length === 1) {
    const [ea, eb] = [eventOf(a.source, d.a.seqs[0]!), eventOf(b.source, d.b.seqs[0]!)];
    for (const name of d.fields) lines.push({ sign: '~', text: fieldLine(a, b, name, ea, eb) });
  }
  const next = d.a.seqs.length > 0 ? d.a.seqs.at(-1)! + 1 : d.a.from;
  for (const seq of around(a, next, context, 1)) lines.push({ sign: ' ', text: eventLine(a, seq) });
  if (last)
    lines.push({ sign: '~', text: `and ${more} more like this one, the last at A #${last.a.from}, B #${last.b.from}` });
  const inB = d.a.seqs.length === 0;
  const [side, seq] = inB ? [b, d.b.seqs[0] ?? d.b.from] : [a, d.a.seqs[0]!];
  const stack = seq < side.source.count ? blameEvent(side.source, seq).stack : [];
  const what = [d, ...(instead ? [instead] : [])].map(eventsText).join('; ');
  return {
    rule: d.class,
    ...(instead ? { also: [instead.class] } : {}),
    title: `A #${d.a.seqs[0] ?? d.a.from}, B #${(instead ?? d).b.seqs[0] ?? d.b.from}: ${what}`,
    file: side.source.name,
    seq,
    where: stack
      .slice(0, 4)
      .map(s => s.text)
      .join(' < '),
    lines,
    sections: [],
  };
}

/** Settings in which two recordings differ, a line each. */
export function settingsThatDiffer(a: Source, b: Source): string[] {
  const of = ({ header: h }: Source): Record<string, string> => ({
    system: h.system,
    guest: h.guest,
    isa: h.isa,
    vcpus: String(h.vcpus),
    'memory bytes': String(h.memoryBytes),
    detail: h.detail,
    ...Object.fromEntries(h.images.map(i => [`image ${i.name}`, i.sha256.slice(0, 12)])),
    ...Object.fromEntries(Object.entries(h.config).map(([k, v]) => [`setting ${k}`, v])),
  });
  const [x, y] = [of(a), of(b)];
  return [...new Set([...Object.keys(x), ...Object.keys(y)])]
    .filter(k => x[k] !== y[k])
    .map(k => `${k}: ${x[k] ?? 'none'} in A, ${y[k] ?? 'none'} in B`);
}

/** The report; what compareRecordings found, told from both recordings. */
export function* diffReport(a: Source, b: Source, diff: RecordingDiff, options: DiffReportOptions): Work<Report> {
  const [sa, sb] = [new Side(a, options.ignored), new Side(b, options.ignored)];
  const findings: Finding[] = [];
  const hunks = hunksOf(sa, diff.differences, FINDINGS_MAX);
  for (const hunk of hunks) {
    findings.push(finding(sa, sb, hunk, options.context));
    yield { done: findings.length, total: hunks.length };
  }
  const first = diff.differences[0];
  if (first) {
    const sections: Section[] = [];
    for (const [name, source, seq] of [
      ['A', a, first.a.seqs[0] ?? first.a.from],
      ['B', b, first.b.seqs[0] ?? first.b.from],
    ] as const)
      for (const { title, lines } of yield* sceneOf(source, seq))
        sections.push({ title: `${name}: ${title}`, lines: lines.map(text => ({ sign: ' ', text })) });
    findings[0] = { ...findings[0]!, sections };
  }
  const totals: Row[] = [];
  if (first) {
    const [ta, tb] = [yield* totalsOf(a), yield* totalsOf(b)];
    for (const name of new Set([...ta.keys(), ...tb.keys()]))
      totals.push({ name, values: [ta.get(name) ?? 0, tb.get(name) ?? 0] });
  }
  const n = Object.values(diff.counted).reduce((x, y) => x + y, 0);
  const notes = first ? settingsThatDiffer(a, b) : [];
  if (first && diff.prefix > 0) notes.push(`the first ${diff.prefix} events are the same by their hashes`);
  if (diff.renamed) notes.push('the frames of B have other numbers than those of A, which is no difference');
  const told = hunks.reduce((sum, h) => sum + toldBy(h), 0);
  if (told < n && diff.complete) notes.push(`${told} of ${n} differences are told below, the first ones`);
  const about = (s: Source): string =>
    `${s.header.system}/${s.header.guest}, ${s.count} events, detail ${s.header.detail}`;
  return {
    verb: 'diff',
    files: [a, b].map(s => ({ name: s.name, about: about(s) })),
    summary: !first
      ? `no difference: ${a.count} and ${b.count} events`
      : diff.complete
        ? `${n} difference${n === 1 ? '' : 's'}: ${countedText(diff.counted)}`
        : `they differ: ${first.class}; stopped at the first difference`,
    notes,
    rules: RULES,
    findings,
    counted: diff.counted,
    totals,
  };
}
