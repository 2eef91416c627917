/**
 * A recording as a trace for the Perfetto UI (ui.perfetto.dev) and chrome://tracing: the JSON trace event format.
 *
 *   a track a vcpu     traps, interrupts, calls, batches and their entries, each inside its cause; root loads, console lines
 *   a track a vcpu     the task that runs
 *   counters           frames of each type
 *
 * Slices are pairs of B and E events, not X events with a duration: what begins and ends at one moment is nested by the order
 * in the file then, and a slice can be written before its end is known.
 *
 * A tick is shown as a microsecond. Most of what is of interest takes no time at all: a hypercall is one instruction, and all
 * that it does happens at one tick. So the events of a tick share its microsecond evenly; beyond a thousand of them the format,
 * which ends at nanoseconds, cannot tell their times apart, but still their order.
 */
import { hex } from '../base/u64.js';
import type { Work } from '../base/work.js';
import { type Block, causeAt, eventAt } from '../events/block.js';
import { type Event, KIND, type KindName, NO_FRAME } from '../events/kinds.js';
import { callName, wordOf } from '../events/lexicon.js';
import { harmless } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { isaOfSource } from '../state/formats.js';
import { stackOf } from '../views/symbols.js';

export interface PerfettoOptions {
  /** First event, and the one after the last. */
  readonly from: number;
  readonly to: number;
}

const PID = 1;
/** Threads of the trace: two tracks a vcpu. */
const callsTrack = (vcpu: number): number => 2 * vcpu + 1;
const tasksTrack = (vcpu: number): number => 2 * vcpu + 2;

const SLICES = new Set<number>([KIND.trap, KIND.interrupt, KIND.call, KIND.batch, KIND.entry]);
const INSTANTS = new Set<number>([KIND.root, KIND.console, KIND.input, KIND.idle, KIND.start, KIND.end]);
/** What a slice says it holds, at its end. */
const COUNTED = (['pte', 'adopt', 'release', 'flush', 'root'] as const satisfies readonly KindName[]).map(name => ({
  name,
  kind: KIND[name],
}));
const NONE = COUNTED.map(() => 0);

interface Slice {
  readonly seq: number;
  readonly counts: number[];
  result?: string;
}
interface Vcpu {
  /** Slices that are open, outermost first. */
  readonly open: Slice[];
  /** When the last event's share of time ended. */
  end: number;
  inTask: boolean;
}

/** Hands over one line after the other; together they are one JSON object. @returns how many slices there are */
export function* exportPerfetto(source: Source, options: PerfettoOptions, put: (line: string) => void): Work<number> {
  const trace = new Trace(source, put);
  yield* trace.countFrames(options.from);
  trace.begin();
  const times = new Times(source);
  const to = Math.min(options.to, source.count);
  for (let seq = options.from; seq < to; ) {
    const n = source.chunkOf(seq);
    const block = source.chunk(n);
    const end = Math.min(to, block.first + block.count);
    for (; seq < end; seq++) {
      const i = seq - block.first;
      times.next(n, block, i);
      trace.event(block, i, times);
      if (seq % YIELD_EVENTS === 0) yield { done: seq - options.from, total: to - options.from };
    }
  }
  trace.finish();
  return trace.slices;
}
/** Events between two looks at the clock. */
const YIELD_EVENTS = 1024;

/** When events happen: those of one tick share it. */
class Times {
  /** Of the event looked at: its tick, where its share of it begins and where it ends, in microseconds. */
  tick = -1;
  from = 0;
  to = 0;
  private n = 0;
  private of = 0;
  private readonly source: Source;

  constructor(source: Source) {
    this.source = source;
  }
  next(chunk: number, block: Block, i: number): void {
    if (block.ticks[i]! !== this.tick) {
      this.tick = block.ticks[i]!;
      this.n = 0;
      this.of = this.sharers(chunk, block, i);
    }
    this.from = this.tick + this.n / this.of;
    this.to = this.tick + ++this.n / this.of;
  }
  /** How many events from this one on have its tick; chunks that have no other are not decoded. */
  private sharers(chunk: number, block: Block, i: number): number {
    const same = (b: Block, from: number): number => {
      let end = from;
      while (end < b.count && b.ticks[end] === this.tick) end++;
      return end - from;
    };
    let n = same(block, i);
    if (i + n < block.count) return n;
    const { chunks } = this.source;
    for (let c = chunk + 1; chunks[c]?.firstTicks === this.tick; c++) {
      const { lastTicks, count } = chunks[c]!;
      if (lastTicks !== this.tick) return n + same(this.source.chunk(c), 0);
      n += count;
    }
    return n;
  }
}

class Trace {
  slices = 0;
  private readonly source: Source;
  private readonly put: (line: string) => void;
  private readonly vcpus: Vcpu[];
  private readonly vectors: readonly (string | undefined)[];
  /** Frames by type, and the types whose number changed at the tick looked at. */
  private readonly frames: number[] = [];
  private readonly changed = new Set<number>();
  private tick = -1;

  constructor(source: Source, put: (line: string) => void) {
    this.source = source;
    this.put = put;
    this.vcpus = Array.from({ length: source.header.vcpus }, () => ({ open: [], end: 0, inTask: false }));
    this.vectors = isaOfSource(source)?.vectors ?? [];
  }

  /** Frames by type as event `from` finds them. */
  *countFrames(from: number): Work<void> {
    for (const [n, { first, counts }] of this.source.chunks.entries()) {
      if (first >= from) return;
      if (counts[KIND.type] === 0) continue;
      const block = this.source.chunk(n);
      for (let i = 0; i < block.count && first + i < from; i++) this.countFrame(block, i);
      yield { done: 0, total: 1 };
    }
  }

  begin(): void {
    const { header } = this.source;
    const other = { recording: header, ticks: 'one tick is shown as one microsecond' };
    this.put(`{"displayTimeUnit":"ns","otherData":${JSON.stringify(other)},"traceEvents":[`);
    const meta = (name: string, tid: number, args: object): string =>
      JSON.stringify({ ph: 'M', pid: PID, tid, name, args });
    const lines = [meta('process_name', 0, { name: `${header.system}/${header.guest}` })];
    for (const vcpu of this.vcpus.keys()) {
      lines.push(meta('thread_name', callsTrack(vcpu), { name: `cpu${vcpu}` }));
      lines.push(meta('thread_sort_index', callsTrack(vcpu), { sort_index: callsTrack(vcpu) }));
      lines.push(meta('thread_name', tasksTrack(vcpu), { name: `cpu${vcpu} task` }));
      lines.push(meta('thread_sort_index', tasksTrack(vcpu), { sort_index: tasksTrack(vcpu) }));
    }
    this.put(lines.join(',\n'));
  }

  event(block: Block, i: number, { tick, from, to }: Times): void {
    if (this.tick < 0) {
      this.tick = tick;
      this.tellFrames(); // as a stretch finds them
    }
    if (tick !== this.tick) {
      this.tellFrames();
      this.tick = tick;
    }
    const kind = block.kind[i]!;
    const number = block.vcpu[i]!;
    const vcpu = this.vcpus[number];
    if (!vcpu) return; // a processor that the header does not have
    this.closeTo(vcpu, number, this.sliceAround(block, i));
    for (const [c, counted] of COUNTED.entries()) if (kind === counted.kind) for (const s of vcpu.open) s.counts[c]!++;
    if (SLICES.has(kind)) this.open(vcpu, number, eventAt(block, i), from);
    else if (INSTANTS.has(kind)) this.instant(number, eventAt(block, i), from);
    else if (kind === KIND.task) this.task(vcpu, number, eventAt(block, i), from);
    else if (kind === KIND.type) this.countFrame(block, i);
    else if (kind === KIND.result) {
      const e = eventAt(block, i) as Event & { kind: 'result' };
      const slice = vcpu.open.find(s => s.seq === e.cause);
      if (slice) slice.result = `0x${hex(e.value)}`;
    }
    vcpu.end = to;
  }
  finish(): void {
    this.tellFrames();
    for (const [number, vcpu] of this.vcpus.entries()) {
      this.closeTo(vcpu, number, -1);
      if (vcpu.inTask) this.line({ ph: 'E', pid: PID, tid: tasksTrack(number), ts: time(vcpu.end) });
    }
    this.put(']}');
  }

  /** The innermost event that has a slice and inside which event i happened, -1 for none. */
  private sliceAround(block: Block, i: number): number {
    let at = block;
    for (let cause = causeAt(block, i); cause >= 0; ) {
      if (cause < at.first) at = this.source.chunk(this.source.chunkOf(cause));
      const n = cause - at.first;
      if (SLICES.has(at.kind[n]!)) return cause;
      const further = causeAt(at, n);
      if (further >= cause) return -1;
      cause = further;
    }
    return -1;
  }
  /** Ends open slices down to that of event `seq`; all of them if that is not open. */
  private closeTo(vcpu: Vcpu, number: number, seq: number): void {
    while (vcpu.open.length > 0 && vcpu.open.at(-1)!.seq !== seq) {
      const { counts, result } = vcpu.open.pop()!;
      const args: Record<string, unknown> = result === undefined ? {} : { result };
      for (const [c, { name }] of COUNTED.entries()) if (counts[c]! > 0) args[name] = counts[c];
      this.line({ ph: 'E', pid: PID, tid: callsTrack(number), ts: time(vcpu.end), args });
    }
  }
  private open(vcpu: Vcpu, number: number, e: Event, ts: number): void {
    const args: Record<string, unknown> = { seq: e.seq, ticks: e.ticks };
    if ('args' in e) args.args = e.args.map(hex).join(' ');
    if (e.kind === 'entry' && e.queued > 0n) args.queued = `@${e.queued}`;
    if (e.kind === 'trap') Object.assign(args, { error: e.error, at: hex(e.at), pc: hex(e.pc), user: e.user });
    if ('stack' in e && e.stack !== 0)
      args.stack = stackOf(this.source, e.stack)
        .map(s => s.text)
        .join(' < ');
    this.line({ ph: 'B', pid: PID, tid: callsTrack(number), ts: time(ts), cat: e.kind, name: this.nameOf(e), args });
    vcpu.open.push({ seq: e.seq, counts: [...NONE] });
    this.slices++;
  }
  private nameOf(e: Event): string {
    const { lexicon } = this.source;
    switch (e.kind) {
      case 'call':
      case 'entry':
        return callName(lexicon, e.class, e.number);
      case 'batch':
        return `${wordOf(lexicon, 'batch', e.style)} of ${e.count}`;
      case 'trap':
        return this.vectors[e.vector] ?? `trap ${e.vector}`;
      case 'root':
        return `${e.role} root`;
      default:
        return e.kind;
    }
  }
  private instant(number: number, e: Event, ts: number): void {
    const args: Record<string, unknown> = { seq: e.seq };
    if ('text' in e) args.text = harmless(e.text);
    if (e.kind === 'root') Object.assign(args, { old: frameName(e.old), new: frameName(e.new) });
    if (e.kind === 'idle') args.skipped = String(e.skipped);
    if (e.kind === 'end') Object.assign(args, { how: e.how, reason: harmless(e.reason) });
    const common = { ph: 'i', s: 't', pid: PID, tid: callsTrack(number), ts: time(ts) };
    this.line({ ...common, cat: e.kind, name: this.nameOf(e), args });
  }
  private task(vcpu: Vcpu, number: number, e: Event, ts: number): void {
    if (e.kind !== 'task') return;
    const common = { pid: PID, tid: tasksTrack(number), ts: time(ts) };
    if (vcpu.inTask) this.line({ ph: 'E', ...common });
    vcpu.inTask = true;
    this.line({ ph: 'B', ...common, cat: 'task', name: `${harmless(e.name)} (${e.pid})`, args: { seq: e.seq } });
  }

  private countFrame(block: Block, i: number): void {
    if (block.kind[i] !== KIND.type) return;
    const c = block.col.type;
    const row = block.row[i]!;
    for (const [type, by] of [
      [c.old[row]!, -1],
      [c.new[row]!, 1],
    ] as const) {
      this.frames[type] = (this.frames[type] ?? 0) + by;
      this.changed.add(type);
    }
  }
  /** Counters of types whose number changed, once a tick. Frames without a type are the rest: nobody counts them. */
  private tellFrames(): void {
    for (const type of this.changed) {
      const name = wordOf(this.source.lexicon, 'frameType', type);
      if (name !== 'none')
        this.line({
          ph: 'C',
          pid: PID,
          ts: this.tick,
          name: `frames ${name}`,
          args: { frames: this.frames[type] },
        });
    }
    this.changed.clear();
  }
  private line(event: object): void {
    this.put(`,${JSON.stringify(event)}`);
  }
}

const frameName = (frame: number): string => (frame === NO_FRAME ? 'none' : hex(frame));
/** Microseconds, to the nanosecond. */
const time = (us: number): number => Math.round(us * 1000) / 1000;
