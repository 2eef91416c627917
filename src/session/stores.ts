/**
 * The last store of the guest into eight bytes, among stores that no event told of. A stretch is run again at full speed with
 * one frame traced, which says after which event the store was; then what follows that event, in full detail.
 */
import type { Paddr } from '../base/brand.js';
import { frameOf } from '../base/brand.js';
import type { Work } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import { KIND } from '../events/kinds.js';
import { isaOf } from '../isa/index.js';
import { PAGE_FLAGS } from '../machine/engine/layout.js';
import { VIA } from '../machine/engine/memory.js';
import type { RerunStore } from '../recording/rerun.js';
import type { Source } from '../recording/source.js';
import { advance, checkpointBefore, logFrom, rerunDetail, SLICE_TICKS, Stacks, ticksOf } from './rerun.js';
import { resumeHost } from './state.js';

/**
 * The last such store after event `from` and before event `before`. Stretches between checkpoints in which the page stayed as
 * it was are left out. Yields how far a stretch is.
 */
export function* findStore(source: Source, at: Paddr, from: number, before: number): Work<RerunStore | undefined> {
  const { checkpoints } = source;
  const frame = frameOf(at);
  for (let n = checkpoints.length - 1; n >= 0; n--) {
    const end = Math.min(before, checkpoints[n + 1]?.seq ?? before);
    const first = n === 0 ? 0 : checkpoints[n]!.seq;
    if (first >= before) continue;
    if (checkpoints[n + 1] !== undefined && end < before && source.pageHash(n, frame) === source.pageHash(n + 1, frame))
      continue;
    const after = yield* lastStoreIn(source, n, at, end, before);
    if (after !== undefined && after >= from) return yield* inDetail(source, at, after, before);
    if (first <= from) return undefined;
  }
  return undefined;
}

/** The event after which the guest stored there last, from checkpoint n up to event `end`; undefined if it did not. */
function* lastStoreIn(source: Source, n: number, at: Paddr, end: number, before: number): Work<number | undefined> {
  const main = logFrom(source.checkpoints[n]!.seq, () => {});
  const host = resumeHost(source, n, { log: main, intern: new Stacks().intern });
  const { memory } = host.owner.machine;
  let last: number | undefined;
  memory.setFlag(frameOf(at), PAGE_FLAGS.traced);
  memory.onTraced = (to, bytes, oldLo, oldHi, newLo, newHi, via) => {
    if (via !== VIA.guest || main.seq > before || to >= at + 8 || to + bytes <= at) return;
    // What changed a frame that is watched became an event.
    const changed = oldLo !== newLo || oldHi !== newHi;
    if (changed && memory.pageFlags[frameOf(at)]! & PAGE_FLAGS.watched) return;
    last = main.seq - 1;
  };
  const until = end < source.count ? ticksOf(source, end) + 1 : source.endTicks + 1;
  yield* advance(host, until, SLICE_TICKS.plain, () => main.seq > end);
  return last;
}

/** The store itself: the last one into `at` in the detail behind event `after`. */
function* inDetail(source: Source, at: Paddr, after: number, before: number): Work<RerunStore | undefined> {
  const pcRegister = isaOf(source.header.isa)?.roles.pc;
  let found: RerunStore | undefined;
  let sub = 0;
  let pc = 0n;
  const take = (block: Block): void => {
    for (let i = 0; i < block.count; i++) {
      const anchor = block.first + block.back[i]! - 1;
      if (anchor > after || anchor >= before) return;
      if (anchor === after) sub++;
      const e = eventAt(block, i);
      if (block.kind[i] === KIND.step && e.kind === 'step') {
        let item = 0;
        for (let r = 0; r < 64; r++) {
          if (((e.mask >> BigInt(r)) & 1n) === 0n) continue;
          if (r === pcRegister) pc = e.values[item]!;
          item++;
        }
      } else if (e.kind === 'store' && anchor === after && e.at !== 0n) {
        const physical = Number(e.physical);
        if (physical < at + 8 && physical + e.bytes > at)
          found = { seq: after, sub, ticks: e.ticks, to: e.at, old: e.old, new: e.new, pc };
      }
    }
  };
  yield* rerunDetail(source, Math.max(0, after), Math.max(0, after) + 1, take);
  return found;
}

/** The guest's callers, innermost first, at an instruction after event `seq`: where `ticks` have gone by. */
export function* stackAt(source: Source, seq: number, ticks: number): Work<readonly bigint[]> {
  const n = checkpointBefore(source, seq);
  const stacks = new Stacks();
  const host = resumeHost(source, n, { log: logFrom(source.checkpoints[n]!.seq, () => {}), intern: stacks.intern });
  yield* advance(host, ticks, SLICE_TICKS.plain, () => false);
  return stacks.stack(host.stack());
}
