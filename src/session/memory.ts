/**
 * Guest memory at any moment of a recording, to the store: runs again from the checkpoint before it, traces the last
 * instruction, and takes back what came after the position. Stores are told as detail or as pte events, never as both.
 */
import { Trouble } from '../base/trouble.js';
import { lo32 } from '../base/u64.js';
import type { Work } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import { KIND } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { advance, checkpointBefore, logFrom, SLICE_TICKS, Stacks, ticksOf } from './rerun.js';
import { resumeHost } from './state.js';

interface Moment {
  /** After this event; -1 before the first, where nothing has run yet. */
  readonly seq: number;
  /** And after so many entries of the detail behind it. */
  readonly sub?: number;
}
interface Undo {
  /** The main-stream event it came after; a pte event comes after the one before it. */
  readonly after: number;
  readonly at: number;
  readonly bytes: number;
  readonly old: bigint;
}

/** What was stored after a moment, in the order of the stores. */
class Trail {
  readonly stores: Undo[] = [];
  readonly entries: Undo[] = [];
  /** Detail entries right behind the event. */
  subs = 0;
  private readonly moment: Moment;
  private seen = 0;

  constructor(moment: Moment) {
    this.moment = moment;
  }
  /** Takes what a detail block has more than when it was looked at last. */
  detail(block: Block, full: boolean): void {
    for (let i = this.seen; i < block.count; i++) {
      const after = block.first + block.back[i]! - 1;
      if (after === this.moment.seq) this.subs++;
      else if (after < this.moment.seq) continue;
      if (after === this.moment.seq && this.subs <= (this.moment.sub ?? 0)) continue;
      const e = block.kind[i] === KIND.store ? eventAt(block, i) : undefined;
      if (e?.kind === 'store') this.stores.push({ after, at: Number(e.physical), bytes: e.bytes, old: e.old });
    }
    this.seen = full ? 0 : block.count;
  }
  main(block: Block): void {
    for (let i = Math.max(0, this.moment.seq + 1 - block.first); i < block.count; i++) {
      const e = block.kind[i] === KIND.pte ? eventAt(block, i) : undefined;
      if (e?.kind === 'pte')
        this.entries.push({ after: e.seq - 1, at: e.table * 4096 + e.offset, bytes: e.bytes, old: e.old });
    }
  }
  /** Takes everything back, last first: of what came after the same event, stores come before the pte event that follows. */
  undo(memory: Uint8Array): void {
    const all = [...this.stores, ...this.entries].sort((a, b) => a.after - b.after);
    const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
    for (const { at, bytes, old } of all.reverse()) {
      if (bytes === 8) view.setBigUint64(at, old, true);
      else if (bytes === 4) view.setUint32(at, lo32(old), true);
      else if (bytes === 2) view.setUint16(at, lo32(old), true);
      else view.setUint8(at, lo32(old));
    }
  }
}

/**
 * All of guest memory at a moment. Yields how far the re-run is.
 * @throws Trouble when the recording cannot be run again, or the event has no such detail entry
 */
export function* memoryAt(source: Source, moment: Moment): Work<Uint8Array> {
  const n = checkpointBefore(source, moment.seq);
  const trail = new Trail(moment);
  const main = logFrom(source.checkpoints[n]!.seq, block => trail.main(block));
  const host = resumeHost(source, n, { log: main, intern: new Stacks().intern });
  const { memory } = host.owner.machine;
  if (moment.seq < source.checkpoints[0]!.seq) return memory.guest;
  if (moment.seq >= main.seq) {
    yield* advance(host, ticksOf(source, moment.seq) - 1, SLICE_TICKS.plain, () => main.seq > moment.seq);
    const detail = logFrom(main.seq, block => trail.detail(block, true), true);
    host.trace(detail);
    const there = (): boolean => {
      trail.detail(detail.current, false);
      return main.seq > moment.seq && (trail.subs >= (moment.sub ?? 0) || main.seq > moment.seq + 1);
    };
    yield* advance(host, source.endTicks + 1, 1, there);
    trail.detail(detail.current, false);
    trail.main(main.current);
  }
  if (trail.subs < (moment.sub ?? 0))
    throw new Trouble(`${source.name}: event #${moment.seq} is followed by ${trail.subs} detail entries`);
  trail.undo(memory.guest);
  return memory.guest;
}
