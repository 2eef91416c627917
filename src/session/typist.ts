/**
 * Somebody types into a run while it goes on. When a key arrives is luck; the recording has the tick, and a re-run needs no
 * luck (repeated.ts).
 *
 * While the guest has something to do, keys arrive between two slices of the run. A guest that waits is not run at all: its
 * clock goes as fast as ours, a tick a nanosecond, until its timer rings or somebody types. So a `sleep 5` takes five seconds
 * when a person looks on, and a prompt left alone for an hour costs nothing but what the guest's own timers do. Otherwise,
 * with nobody at the keyboard, time skips to the next timer at once.
 */
import { asTicks, type Ticks } from '../base/brand.js';
import type { Work } from '../base/work.js';
import type { Ended, Host } from '../machine/system.js';

export interface Typist {
  /**
   * What is to be typed next, one character a byte; '' for nothing yet, undefined when nothing will come any more.
   * @param reads the guest waits, and has read everything that was typed before
   */
  next(reads: boolean): string | undefined;
  /** So many characters of it arrived. */
  taken(count: number): void;
  /** Settles when there may be something to type, when the run is to be stopped, or after `ms` milliseconds. */
  pause(ms: number): Promise<void>;
}

const NS_PER_MS = 1e6;
/** Somebody wants to see that we live, and to follow what is new. */
const PAUSE_MAX_MS = 500;

/** Types what there is to type, as much as there is room for. True when something arrives. */
export function asked(host: Host, typist: Typist, reads: boolean, at: Ticks): boolean {
  const text = typist.next(reads);
  const taken = text ? (host.type?.(text, at) ?? 0) : 0;
  if (taken > 0) typist.taken(taken);
  return taken > 0;
}

/**
 * The guest waits, in the time of the person who types.
 * @param wakes the tick at which it goes on by itself
 * @returns where the run is to go on to; or how it ends, and at which tick
 */
export function* whileItWaits(
  host: Host,
  typist: Typist,
  wakes: Ticks | undefined,
  limit: number,
  signal: AbortSignal | undefined,
): Work<number | { readonly ended: Ended; readonly at: Ticks }> {
  const { ticks } = host.owner.machine;
  const began = performance.now();
  const last = Math.min(wakes ?? Number.MAX_SAFE_INTEGER, limit);
  if (asked(host, typist, host.unread === 0, ticks)) return ticks; // was typed ahead: no luck is in it
  for (;;) {
    const now = ticks + Math.floor((performance.now() - began) * NS_PER_MS);
    const at = asTicks(Math.max(ticks, Math.min(now, last - 1)));
    if (signal?.aborted) return { ended: { how: 'stopped', reason: 'interrupted' }, at };
    if (asked(host, typist, host.unread === 0, at)) return ticks;
    if (typist.next(false) === undefined) return ticks;
    if (now >= last && last === wakes) return wakes;
    if (now >= last) return { ended: { how: 'limit', reason: `${limit} ticks` }, at: asTicks(limit) };
    yield { done: at, total: limit, pause: typist.pause(Math.min(PAUSE_MAX_MS, (last - now) / NS_PER_MS)) };
  }
}
