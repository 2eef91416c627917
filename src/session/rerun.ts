/**
 * Runs a piece of a recorded run again, from the nearest checkpoint. The machine is deterministic, so it does what it did:
 * the recording needs no image, no settings and no host that is still there to give every instruction of any stretch.
 */
import { asTicks } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { BLOCK_BYTES, type Block, blockOver } from '../events/block.js';
import { Log } from '../events/log.js';
import { StackNumbers } from '../events/stacks.js';
import type { Host } from '../machine/system.js';
import type { Source } from '../recording/source.js';
import { resumeHost } from './state.js';

export const SLICE_TICKS = { plain: 2 ** 16, traced: 2 ** 10 } as const;

/** A log into memory that numbers its events from `seq`. `full` gets each block as it fills; it must copy what it keeps. */
export function logFrom(seq: number, full: (block: Block) => void, anchored = false): Log {
  const block = blockOver(new ArrayBuffer(BLOCK_BYTES));
  const sink = {
    swap: (filled: Block): Block => {
      full(filled);
      return filled;
    },
  };
  const log = new Log(sink, block, anchored ? { before: seq } : undefined);
  log.seq = anchored ? 0 : seq;
  block.first = seq;
  return log;
}

/** Stacks of a re-run, numbered on their own: the numbers of the recording are those of its whole run. */
export class Stacks {
  private readonly list: (readonly bigint[])[] = [[]];
  private readonly numbers = new StackNumbers(addresses => this.list.push([...addresses]));
  readonly intern = (addresses: readonly bigint[]): number => this.numbers.of(addresses);
  readonly stack = (id: number): readonly bigint[] => this.list[id] ?? [];
}

/** The last checkpoint before event `seq`; the first for events before it, when nothing ran yet. */
export function checkpointBefore(source: Source, seq: number): number {
  if (source.checkpoints.length === 0) throw new Trouble(`${source.name}: no checkpoint, so nothing can be run again`);
  return Math.max(
    0,
    source.checkpoints.findLastIndex(c => c.seq <= seq),
  );
}
export const ticksOf = (source: Source, seq: number): number => {
  const block = source.chunk(source.chunkOf(seq));
  return block.ticks[seq - block.first]!;
};

/** Goes on to `until`, or until `done`, or to the end of the run. Yields the ticks gone by. */
export function* advance(host: Host, until: number, slice: number, done: () => boolean): Work<boolean> {
  const { machine } = host.owner;
  const from = machine.ticks;
  while (machine.ticks < until && !done()) {
    const paused = host.run(asTicks(Math.min(until, machine.ticks + slice)));
    if (typeof paused === 'object') return false;
    yield { done: machine.ticks - from, total: until - from };
  }
  return true;
}

/**
 * Runs again and gives, in order, the detail entries that follow events from .. to-1: blocks of a detail stream, as
 * Source.details does, complete and perhaps with entries before and behind. `take` must copy what it keeps.
 * @throws Trouble when the recording has no checkpoint or the range no event
 */
export function* rerunDetail(source: Source, from: number, to: number, take: (block: Block) => void): Work<void> {
  if (!(from >= 0 && from < to && to <= source.count))
    throw new Trouble(`${source.name}: no events #${from} to #${to - 1}`);
  const n = checkpointBefore(source, from);
  const { seq } = source.checkpoints[n]!;
  const main = logFrom(seq, () => {});
  const host = resumeHost(source, n, { log: main, intern: new Stacks().intern });
  yield* advance(host, ticksOf(source, from) - 1, SLICE_TICKS.plain, () => false); // an instruction may end in event `from`
  const detail = logFrom(main.seq, take, true);
  host.trace(detail);
  // What follows event to-1 is complete when the next event is there, or the run is over.
  const last = to < source.count ? ticksOf(source, to) + 1 : source.endTicks;
  yield* advance(host, last, SLICE_TICKS.traced, () => main.seq > to);
  detail.flush();
}

export interface Rerun {
  /** Events of the re-run, a block at a time; valid during the call. Chunks end elsewhere than in the recording. */
  readonly block: (block: Block, stack: (id: number) => readonly bigint[]) => void;
}

/** Runs again from checkpoint n to the end of the recording, and gives every event: a recording checked against the machine. */
export function* rerunEvents(source: Source, n: number, { block }: Rerun): Work<void> {
  const checkpoint = source.checkpoints[n];
  if (!checkpoint) throw new Trouble(`${source.name}: no checkpoint ${n}`);
  const stacks = new Stacks();
  const log = logFrom(checkpoint.seq, full => block(full, stacks.stack));
  const host = resumeHost(source, n, { log, intern: stacks.intern });
  yield* advance(host, source.endTicks + 1, SLICE_TICKS.plain, () => log.seq >= source.count);
  log.flush();
}
