/**
 * What comes into a run from outside, given to it once more. A run is a function of its images, its settings and two things
 * that are nobody's to foresee: what was typed into it, and that somebody ended it. Both are in the recording as events, with
 * the tick at which they came; at that tick they come again.
 *
 * A tick is a place: a run that is told to go to a tick stops there exactly once, before the instruction that would take it
 * further. While the guest waits, clock and guest stand still, and the tick says how long they did (Waits).
 */
import { asTicks, type Ticks } from '../base/brand.js';
import { type Block, eventAt } from '../events/block.js';
import { type Event, KIND } from '../events/kinds.js';
import type { Log } from '../events/log.js';
import type { Ended, Host, Waits } from '../machine/system.js';
import type { Source } from '../recording/source.js';

/** Typed into the guest, or the end of the run by somebody else than the guest. */
export type FromOutside =
  | { readonly kind: 'typed'; readonly ticks: Ticks; readonly text: string }
  | { readonly kind: 'end'; readonly ticks: Ticks; readonly seq: number; readonly ended: Ended };

/** Events that a host tells when it ends a run: registers and idle time, the last line of the console, registers, the end. */
const END_EVENTS = 5;

/** What came into a recorded run from outside, from event `seq` on. */
export function* fromOutside(source: Source, seq: number): Generator<FromOutside, undefined> {
  // What a file gave (--input) the host types itself: it is part of the settings.
  if (source.header.config.input === undefined)
    for (let n = seq < source.count ? source.chunkOf(seq) : source.chunks.length; n < source.chunks.length; n++)
      if (source.chunks[n]!.counts[KIND.input]! > 0) yield* typedIn(source.chunk(n), seq);
  const last = source.count > 0 ? eventIn(source, source.count - 1) : undefined;
  if (last?.kind !== 'end' || (last.how !== 'stopped' && last.how !== 'limit')) return undefined;
  const { ticks, how, reason } = last;
  yield { kind: 'end', ticks: asTicks(ticks), seq: last.seq, ended: { how, reason } };
  return undefined;
}
function typedIn(block: Block, seq: number): FromOutside[] {
  const found: FromOutside[] = [];
  for (let i = Math.max(0, seq - block.first); i < block.count; i++) {
    const e = block.kind[i] === KIND.input ? eventAt(block, i) : undefined;
    if (e?.kind === 'input') found.push({ kind: 'typed', ticks: asTicks(e.ticks), text: e.text });
  }
  return found;
}
function eventIn(source: Source, seq: number): Event {
  const block = source.chunk(source.chunkOf(seq));
  return eventAt(block, seq - block.first);
}

/** A run that gets what another got. Whoever drives it never sees it wait. */
export class Repeated implements Host {
  private readonly host: Host;
  private readonly log: Log;
  private readonly rest: Iterator<FromOutside, undefined>;
  private next: FromOutside | undefined;

  constructor(host: Host, log: Log, rest: Iterator<FromOutside, undefined>) {
    this.host = host;
    this.log = log;
    this.rest = rest;
    this.next = rest.next().value;
  }
  get owner(): Host['owner'] {
    return this.host.owner;
  }
  run(until: Ticks): 'limit' | 'busy' | Ended {
    const { machine } = this.owner;
    while (machine.ticks < until) {
      const { ticks } = machine;
      if (this.next && this.next.ticks <= ticks) {
        const ended = this.give(this.next, ticks);
        if (ended) return ended;
      }
      let paused = this.host.run(asTicks(Math.min(until, this.next?.ticks ?? until)), true);
      while (typeof paused === 'object' && 'wakes' in paused) paused = this.goOn(paused);
      if (paused !== 'limit') return paused;
    }
    return 'limit';
  }
  /** The guest waits: what comes before it goes on by itself comes now; if nothing does, it goes on. */
  private goOn({ wakes }: Waits): 'limit' | 'busy' | Waits | Ended {
    const { next } = this;
    if (next && (wakes === undefined || next.ticks < wakes))
      return this.give(next, next.ticks) ?? this.host.run(next.ticks, true);
    return wakes === undefined ? this.host.run(this.owner.machine.ticks) : this.host.run(wakes, true);
  }
  private give(what: FromOutside, at: Ticks): Ended | undefined {
    if (what.kind === 'typed') {
      this.next = this.rest.next().value;
      this.host.type?.(what.text, at);
      return undefined;
    }
    this.next = undefined;
    // Ended in the midst of one tick: what the guest did before is still to come, and nobody says how much.
    return this.log.seq > what.seq - END_EVENTS ? this.host.end(what.ended, at) : undefined;
  }
  trace(log: Log | undefined): void {
    this.host.trace(log);
  }
  stack(): number {
    return this.host.stack();
  }
  end(ended: Ended, at?: Ticks): Ended {
    return this.host.end(ended, at);
  }
  save(): Uint8Array {
    return this.host.save();
  }
}
