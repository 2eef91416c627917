/** The trace: what the format demands, and that slices are nested as causes are. */
import { describe, expect, it } from 'vitest';
import { finish } from '../../src/base/work.js';
import { GUESTS, recordingOf } from '../../src/cli/built-in.js';
import { totalsOf } from '../../src/compare/totals.js';
import type { Event } from '../../src/events/kinds.js';
import { wordOf } from '../../src/events/lexicon.js';
import { exportJson } from '../../src/export/json.js';
import { exportPerfetto } from '../../src/export/perfetto.js';
import { openRecording } from '../../src/recording/reader.js';
import type { Source } from '../../src/recording/source.js';
import { causesOf, eventOf } from '../../src/views/at.js';
import { eventsOf } from '../session/guests.js';
import { recordingOf as recordingIn } from '../state/memory-source.js';

interface TraceEvent {
  readonly ph: string;
  readonly pid: number;
  readonly tid?: number;
  readonly ts?: number;
  readonly name?: string;
  readonly cat?: string;
  readonly args?: Record<string, unknown>;
}
function traceOf(source: Source, from = 0, to = source.count): TraceEvent[] {
  const lines: string[] = [];
  finish(exportPerfetto(source, { from, to }, line => lines.push(line)));
  return JSON.parse(lines.join('\n')).traceEvents;
}
interface Slice {
  readonly event: TraceEvent;
  readonly parent: Slice | undefined;
  readonly from: number;
  to: number;
  held: Record<string, unknown>;
}
/** The slices of a track; fails where B and E do not pair, or time goes back. */
function slicesOf(trace: readonly TraceEvent[], tid: number): Slice[] {
  const all: Slice[] = [];
  const open: Slice[] = [];
  let last = 0;
  for (const e of trace) {
    if (e.tid !== tid || e.ph === 'M') continue;
    expect(e.ts).toBeGreaterThanOrEqual(last);
    last = e.ts!;
    if (e.ph === 'B') {
      const slice = { event: e, parent: open.at(-1), from: e.ts!, to: Number.NaN, held: {} };
      all.push(slice);
      open.push(slice);
    } else if (e.ph === 'E') {
      const slice = open.pop();
      expect(slice, 'an end without a beginning').toBeDefined();
      Object.assign(slice!, { to: e.ts, held: e.args ?? {} });
    } else expect(e.ph).toBe('i');
  }
  expect(open).toEqual([]);
  return all;
}
const NESTED = new Set(['trap', 'interrupt', 'call', 'batch', 'entry']);

describe.for(GUESTS)('the trace of $name', guest => {
  const source = openRecording(recordingOf(guest));
  const trace = traceOf(source);
  const slices = slicesOf(trace, 1);

  it('has a slice for every trap, interrupt, call, batch and entry, each inside its cause', () => {
    expect(slices.map(s => s.event.args!.seq)).toEqual(
      eventsOf(source)
        .filter(e => NESTED.has(e.kind))
        .map(e => e.seq),
    );
    for (const s of slices) {
      const seq = s.event.args!.seq as number;
      const around = causesOf(source, seq).find(e => NESTED.has(e.kind));
      expect(s.parent?.event.args?.seq, `#${seq}`).toBe(around?.seq);
      expect(s.from).toBeGreaterThanOrEqual(s.parent?.from ?? 0);
      expect(s.to).toBeLessThanOrEqual(s.parent?.to ?? Number.POSITIVE_INFINITY);
      expect(Math.floor(s.from)).toBe(eventOf(source, seq).ticks);
    }
  });
  it('says at the end of a slice what happened in it', () => {
    const written = new Map<number, number>();
    for (const e of eventsOf(source)) {
      if (e.kind !== 'pte') continue;
      for (const c of causesOf(source, e.seq))
        if (NESTED.has(c.kind)) written.set(c.seq, (written.get(c.seq) ?? 0) + 1);
    }
    for (const s of slices) expect(s.held.pte, `#${s.event.args!.seq}`).toBe(written.get(s.event.args!.seq as number));
  });
  it('counts frames of each type as the report does', () => {
    const last = new Map<string, number>();
    for (const e of trace) if (e.ph === 'C') last.set(e.name!, e.args!.frames as number);
    const counted = [...finish(totalsOf(source))].filter(([name]) => name.startsWith('frames '));
    expect(Object.fromEntries([...last].filter(([, n]) => n > 0))).toEqual(Object.fromEntries(counted));
  });
  it('of a stretch is that stretch, with frames counted from the beginning', () => {
    const [from, to] = [Math.floor(source.count * 0.95), Math.floor(source.count * 0.98)];
    const part = traceOf(source, from, to);
    const seqs = slicesOf(part, 1).map(s => s.event.args!.seq as number);
    expect(seqs).toEqual(slices.map(s => s.event.args!.seq as number).filter(seq => seq >= from && seq < to));
    const counted: Record<string, number> = {};
    for (const e of eventsOf(source).slice(0, from)) {
      if (e.kind !== 'type') continue;
      for (const [type, by] of [
        [e.old, -1],
        [e.new, 1],
      ] as const) {
        const name = `frames ${wordOf(source.lexicon, 'frameType', type)}`;
        if (name !== 'frames none') counted[name] = (counted[name] ?? 0) + by;
      }
    }
    const first = part.filter(e => e.ph === 'C').slice(0, Object.keys(counted).length);
    expect(Object.fromEntries(first.map(c => [c.name, c.args!.frames]))).toEqual(counted);
  });
});

it('gives each of thousands of events at one tick its share of it, in order', () => {
  const head = { ticks: 7, vcpu: 0 };
  const drafts = [
    { ...head, kind: 'call', class: 0, number: 1, args: [], stack: 0, cause: -1 },
    ...Array.from({ length: 40_000 }, (_, i) => ({
      ...head,
      kind: 'entry',
      index: i,
      class: 0,
      number: i,
      args: [],
      queued: 0n,
      stack: 0,
      cause: 0,
    })),
    { ...head, kind: 'task', old: 0, pid: 1, oldName: '', name: 'in\u001bit', cause: -1 },
  ];
  const trace = traceOf(recordingIn(drafts as never, { chunkEvents: 16_384 }));
  const slices = slicesOf(trace, 1);
  expect(slices.length).toBe(40_001);
  expect([slices[0]!.from, Math.ceil(slices[0]!.to)]).toEqual([7, 8]);
  expect(slices.slice(1).every(s => s.parent === slices[0])).toBe(true);
  expect(slicesOf(trace, 2).map(s => s.event.name)).toEqual(['in\\x1bit (1)']);
});

it('JSON has every event once, and every stack before the first event that names it', () => {
  const source = openRecording(recordingOf(GUESTS[1]!));
  const lines: Record<string, unknown>[] = [];
  expect(finish(exportJson(source, { from: 0, to: source.count }, line => lines.push(JSON.parse(line))))).toBe(
    source.count,
  );
  expect(lines[0]).toMatchObject({ v: 1, what: 'recording', events: source.count });
  const stacks = new Set<unknown>([0]);
  const events = lines.slice(1).filter(l => {
    if (l.what === 'stack') {
      expect(stacks.has(l.stack)).toBe(false);
      expect((l.frames as unknown[]).length).toBe(source.stack(l.stack as number).length);
      stacks.add(l.stack);
    } else if (l.stack !== undefined) expect(stacks.has(l.stack)).toBe(true);
    return l.kind !== undefined;
  });
  expect(events.map(e => [e.seq, e.kind])).toEqual(eventsOf(source).map((e: Event) => [e.seq, e.kind]));
  expect(stacks.size).toBeGreaterThan(10);
});
