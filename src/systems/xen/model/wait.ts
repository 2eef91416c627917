/**
 * The vcpu waits (SCHEDOP_block, SCHEDOP_poll): nothing runs until an upcall is marked, a polled port is raised or a time
 * has come (vcpu_block, do_poll, vcpu_kick in common/sched/core.c). Since the guest does nothing meanwhile, time skips to the
 * next thing that can happen by itself, which is the timer or the end of the poll.
 *
 * Who has somebody at the keyboard does not want that: what is typed has to come in between. So a run that is `awaited`
 * pauses instead of skipping beyond where it was to go, and says when it would go on by itself. What is typed then comes at a
 * tick that the typist chooses (type), before that one. Either way the guest is told of one stretch of idle time, whose length
 * follows from the tick of what ended it: a re-run that types the same at the same ticks does the same.
 */
import { asTicks, type Ticks } from '../../../base/brand.js';
import { WAITS_FOR_NOTHING, type Waits } from '../../../machine/system.js';
import { typeLine, typeText } from './io/devices.js';
import { poll } from './io/evtchn.js';
import { ring } from './io/time.js';
import { waited } from './io/vcpu-op.js';
import type { Xen } from './xen.js';

export interface Waiting {
  /** The call that waits. */
  readonly cause: number;
  /** Ports that end it, masked or not. */
  readonly ports: readonly number[];
  /** The tick that ends it. */
  readonly until: number | undefined;
}

/** Whether the vcpu goes on without waiting, since one of these ports is raised; undefined when one is no port. */
export function anyRaised(xen: Xen, ports: readonly number[]): boolean | undefined {
  const raised = ports.map(port => poll(xen, port));
  return raised.includes(undefined) ? undefined : raised.includes(true);
}

/**
 * Waits on. Gives nothing when that is over: the guest goes on, or the run ends.
 * @param until where the run is to pause; heeded only when it is `awaited`
 */
export function wait(xen: Xen, until: Ticks, awaited: boolean): Waits | undefined {
  for (let waiting = xen.waiting; waiting && !xen.over; waiting = xen.waiting) {
    if (anyRaised(xen, waiting.ports)) break;
    if (typeLine(xen)) continue;
    const { timer } = xen.io;
    const wakes = Math.min(timer ?? Number.POSITIVE_INFINITY, waiting.until ?? Number.POSITIVE_INFINITY);
    const never = wakes > Number.MAX_SAFE_INTEGER;
    if (awaited && wakes > until) return { kind: 'waits', wakes: never ? undefined : asTicks(wakes) };
    if (never) {
      xen.stop(WAITS_FOR_NOTHING);
      break;
    }
    pass(xen, asTicks(wakes));
    if (timer === wakes) ring(xen);
    if (waiting.until === wakes) break;
  }
  xen.waiting = undefined;
  return undefined;
}
/** Time goes on to `to` while the guest waits. */
export function pass(xen: Xen, to: Ticks): void {
  const skipped = to - xen.ticks;
  if (skipped <= 0) return;
  xen.within(xen.waiting?.cause ?? xen.cause, () => xen.tell({ kind: 'idle', skipped: BigInt(skipped) }));
  xen.cpu.machine.skip(skipped);
  waited(xen, skipped);
}

/** What somebody typed between two runs, and the tick at which it comes. */
export interface Typed {
  readonly text: string;
  readonly at: Ticks;
}
/** It arrives. */
export function typed(xen: Xen, { text, at }: Typed): void {
  if (xen.waiting) pass(xen, at);
  typeText(xen, text);
}
