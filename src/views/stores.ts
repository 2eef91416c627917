/**
 * Who stored into memory that no event told of. A table that is filled by plain stores and becomes a page table later
 * arrives with `adopt`: the answer to "who wrote this entry?" is the store. It is in the detail, if that was recorded; else a
 * re-run finds it, of the stretches between checkpoints in which the page changed.
 */
import { asVaddr, type Paddr, type Vaddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import { KIND, type Space } from '../events/kinds.js';
import type { Rerun, RerunOptions } from '../recording/rerun.js';
import type { Source } from '../recording/source.js';
import { isaOfSource } from '../state/formats.js';
import { eventOf } from './at.js';
import { registersAt } from './registers.js';
import { type StackLine, symbolText } from './symbols.js';

export interface Stored {
  /** Where it stands: as detail entry `sub` of event `seq`. */
  readonly seq: number;
  readonly sub: number;
  readonly ticks: number;
  /** The address that the guest wrote to. */
  readonly to: Vaddr;
  readonly old: bigint;
  readonly new: bigint;
  /** The storing instruction and who called it, innermost first; the callers need a re-run. */
  readonly stack: readonly StackLine[];
  readonly from: 'the recording' | 'a re-run';
  /** Why the callers are missing, where they are. */
  readonly withoutCallers: string | undefined;
}
/** A store, an event that wrote the entry when the memory was a table before, or why neither is known. */
export type Origin =
  | { readonly kind: 'store'; readonly store: Stored }
  | { readonly kind: 'event'; readonly seq: number }
  | { readonly kind: 'unknown'; readonly why: string };

type Found = Pick<Stored, 'seq' | 'sub' | 'ticks' | 'to' | 'old' | 'new'>;
const covers = (physical: bigint, bytes: number, at: Paddr): boolean =>
  physical < BigInt(at + 8) && physical + BigInt(bytes) > BigInt(at);

/** Events of the first window that is looked at, backwards; each next one is larger. */
const WINDOW = 64;

/** The last store of the guest into the eight bytes at `at`, of the detail that the recording has after events from .. before-1. */
export function* recordedStore(source: Source, at: Paddr, from: number, before: number): Work<Found | undefined> {
  for (let to = before, size = WINDOW; to > from; size *= 4) {
    const low = Math.max(from, to - size);
    let found: { block: Block; i: number } | undefined;
    for (const block of source.details(low, to)) {
      for (let i = 0; i < block.count; i++) {
        const after = block.first + block.back[i]! - 1;
        if (block.kind[i] !== KIND.store || after < low || after >= to) continue;
        const e = eventAt(block, i);
        if (e.kind === 'store' && e.at !== 0n && covers(e.physical, e.bytes, at)) found = { block, i };
      }
      yield { done: before - to, total: before - from };
    }
    if (found) return place(source, found.block, found.i);
    to = low;
  }
  return undefined;
}
function place(source: Source, block: Block, i: number): Found {
  const e = eventAt(block, i);
  if (e.kind !== 'store') throw new Error('internal error: not a store');
  const seq = block.first + block.back[i]! - 1;
  let sub = 0;
  for (const b of source.details(seq, seq + 1)) {
    for (let k = 0; k < b.count; k++) {
      if (b.first + b.back[k]! - 1 !== seq) continue;
      sub++;
      if (b === block && k === i) return { seq, sub, ticks: e.ticks, to: e.at, old: e.old, new: e.new };
    }
  }
  throw new Error('internal error: a detail entry has no place');
}

/** The instruction of a recorded store. */
function pcOf(source: Source, { seq, sub }: Found): bigint | undefined {
  const pc = isaOfSource(source)?.roles.pc;
  return registersAt(source, { seq, sub }).find(r => r.number === pc)?.value;
}
/** The storing instruction and, by a re-run, its callers. */
async function stackOf(
  source: Source,
  { seq, ticks }: Found,
  pc: bigint | undefined,
  rerun: Rerun | undefined,
  options: RerunOptions,
): Promise<readonly StackLine[]> {
  const callers = rerun ? await rerun.stack(seq, ticks, options) : [];
  return [...(pc === undefined ? [] : [pc]), ...callers].map(address => {
    const at = asVaddr(address);
    return { at, text: symbolText(source.symbols, at) };
  });
}

/**
 * Who wrote the entry at `at` that arrived with the adopt event `adopt`.
 * @param rerun undefined, or why there is none, where nothing can be run again
 */
export async function originOf(
  source: Source,
  space: Space,
  at: Paddr,
  adopt: number,
  rerun: Rerun | string,
  drive: <T>(work: Work<T>) => Promise<T>,
  options: RerunOptions = {},
): Promise<Origin> {
  const again = typeof rerun === 'string' ? undefined : rerun;
  const withoutCallers = typeof rerun === 'string' ? rerun : undefined;
  // The memory may have been a table before, and the entry written then.
  const earlier = source.index.lastSlotWrite(space, at, adopt);
  const from = Math.max(0, earlier);
  const full = source.header.detail === 'full';
  if (full) {
    const found = await drive(recordedStore(source, at, from, adopt));
    if (found) {
      const stack = await stackOf(source, found, pcOf(source, found), again, options);
      return { kind: 'store', store: { ...found, stack, from: 'the recording', withoutCallers } };
    }
  } else if (again) {
    const found = await again.store(at, from, adopt, options);
    if (found) {
      const { pc, ...store } = { ...found, to: asVaddr(found.to) };
      const stack = await stackOf(source, store, pc, again, options);
      return { kind: 'store', store: { ...store, stack, from: 'a re-run', withoutCallers } };
    }
  }
  if (!full && !again)
    return { kind: 'unknown', why: `the store is in no event; a re-run would find it, but ${rerun as string}` };
  if (earlier >= 0 && eventOf(source, earlier).kind !== 'release') return { kind: 'event', seq: earlier };
  return {
    kind: 'unknown',
    why: 'no store of the guest wrote it: it was there before the guest ran, or its host wrote it',
  };
}
