/**
 * A recording checked against the machine: the run is executed again from its first checkpoint, and must give the same
 * events. The first that is not the same is told by field, with what the recording has and what the machine did.
 */
import { reasonOf, Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import { type Event, KINDS } from '../events/kinds.js';
import type { AnyField } from '../events/schema.js';
import type { Source } from '../recording/source.js';
import { rerunEvents } from './rerun.js';

export interface Divergence {
  readonly seq: number;
  /** The field that differs; `kind` where another event happened, `end` where one side is over. */
  readonly field: string;
  readonly expected: unknown;
  readonly actual: unknown;
  readonly recorded: Event | undefined;
  readonly rerun: Event | undefined;
}
export interface Rerun {
  /** Events run again, up to the first that differs. */
  readonly events: number;
  /** Events before the first checkpoint: the host built the guest, which is not run again. */
  readonly from: number;
  readonly divergence: Divergence | undefined;
}

/** What carries the first divergence out of the run. */
class Diverged extends Error {
  readonly divergence: Divergence;
  constructor(divergence: Divergence) {
    super('diverged');
    this.divergence = divergence;
  }
}
type Stack = (id: number) => readonly bigint[];

/** Runs again from the first checkpoint to the end. Ends at the first divergence, and at the recording's last tick at the latest. */
export function* verifyByRerun(source: Source): Work<Rerun> {
  const first = source.checkpoints[0];
  if (!first) throw new Trouble(`${source.name}: no checkpoint, so nothing can be run again`);
  let next = first.seq;
  const block = (b: Block, stack: Stack): void => {
    for (let i = 0; i < b.count && next < source.count; i++, next++) {
      const d = compare(source, next, eventAt(b, i), stack);
      if (d) throw new Diverged(d);
    }
  };
  try {
    yield* rerunEvents(source, 0, { block });
  } catch (error) {
    if (error instanceof Diverged) return { events: next - first.seq, from: first.seq, divergence: error.divergence };
    if (error instanceof Trouble) throw error;
    throw new Trouble(`${source.name}: the run cannot be repeated from checkpoint 0: ${reasonOf(error)}`);
  }
  const recorded = next < source.count ? recordedAt(source, next) : undefined;
  // A run that somebody stopped ends with an event that the machine has no reason to repeat.
  const stopped = recorded?.kind === 'end' && (recorded.how === 'stopped' || recorded.how === 'limit');
  const divergence =
    recorded && !stopped
      ? { seq: next, field: 'end', expected: recorded.kind, actual: 'the run is over', recorded, rerun: undefined }
      : undefined;
  return { events: next - first.seq, from: first.seq, divergence };
}

function recordedAt(source: Source, seq: number): Event {
  const block = source.chunk(source.chunkOf(seq));
  return eventAt(block, seq - block.first);
}

function compare(source: Source, seq: number, rerun: Event, stack: Stack): Divergence | undefined {
  const recorded = recordedAt(source, seq);
  const differ = (field: string, expected: unknown, actual: unknown): Divergence => ({
    seq,
    field,
    expected,
    actual,
    recorded,
    rerun,
  });
  if (recorded.kind !== rerun.kind) return differ('kind', recorded.kind, rerun.kind);
  const [x, y] = [recorded, rerun] as unknown as [Record<string, unknown>, Record<string, unknown>];
  for (const name of ['ticks', 'vcpu', 'cause']) if (x[name] !== y[name]) return differ(name, x[name], y[name]);
  for (const [name, f] of Object.entries(KINDS[recorded.kind].fields as Record<string, AnyField>)) {
    if (f.shape === 'derived') continue;
    const told = (v: unknown, of: Stack): unknown => (f.show === 'stack' ? of(v as number) : v);
    const [expected, actual] = [told(x[name], source.stack.bind(source)), told(y[name], stack)];
    if (Array.isArray(expected) ? expected.join() !== (actual as unknown[]).join() : expected !== actual)
      return differ(name, expected, actual);
  }
  return undefined;
}
