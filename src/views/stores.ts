/**
 * Who stored into memory that no event told of. A table that is filled by plain stores and becomes a page table later
 * arrives with `adopt`: the answer to "who wrote this entry?" is the store. It is in the detail, if that was recorded; else a
 * re-run finds it, of the stretches between checkpoints in which the page changed.
 */
import { asPaddr, asVaddr, frameOf, type Paddr, type Vaddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import { KIND, type Space } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { formatOf, isaOfSource } from '../state/formats.js';
import { eventOf } from './at.js';
import { lastRegisters, registersAt } from './registers.js';
import type { Detail, Rerun, RerunOptions } from './rerun.js';
import { type StackLine, symbolAt, symbolText } from './symbols.js';
import { unwindAt } from './unwind.js';

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
}
/** A store, an event that wrote the entry when the memory was a table before, or why neither is known. */
export type Origin =
  | { readonly kind: 'store'; readonly store: Stored }
  | { readonly kind: 'event'; readonly seq: number }
  | { readonly kind: 'unknown'; readonly why: string };

type Found = Pick<Stored, 'seq' | 'sub' | 'ticks' | 'to' | 'old' | 'new'>;
const covers = (physical: bigint, bytes: number, at: Paddr): boolean =>
  physical < BigInt(at + 8) && physical + BigInt(bytes) > BigInt(at);

const ALL = (1n << 64n) - 1n;
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

/** The same from re-runs, newest stretch first; stretches in which the page stayed as it was are left out. */
async function rerunStore(
  source: Source,
  rerun: Rerun,
  at: Paddr,
  from: number,
  before: number,
  options: RerunOptions,
): Promise<Found | undefined> {
  const { checkpoints } = source;
  const frame = frameOf(at);
  for (let n = checkpoints.length - 1; n >= 0; n--) {
    const begin = Math.max(0, from, n === 0 ? 0 : checkpoints[n]!.seq - 1);
    const end = Math.min(before, checkpoints[n + 1]?.seq ?? before);
    if (begin >= end) continue;
    if (end < before && source.pageHash(n, frame) === source.pageHash(n + 1, frame)) continue;
    let found: Found | undefined;
    for await (const e of rerun.detail(begin, end, options)) found = storeOf(e, at) ?? found;
    if (found) return found;
  }
  return undefined;
}
const storeOf = ({ seq, sub, ticks, what }: Detail, at: Paddr): Found | undefined =>
  what.kind === 'store' && what.at !== 0n && covers(what.physical, what.bytes, at)
    ? { seq, sub, ticks, to: what.at, old: what.old, new: what.new }
    : undefined;

/** Registers before detail entry `sub` of event `seq`, by number. */
async function registersBefore(source: Source, { seq, sub }: Found, rerun: Rerun | undefined): Promise<bigint[]> {
  const registers: bigint[] = [];
  if (!rerun || source.header.detail === 'full') {
    for (const r of registersAt(source, { seq, sub })) registers[r.number] = r.value;
    return registers;
  }
  for (const r of lastRegisters(source, 0, seq, ALL)) registers[r.number] = r.value;
  for await (const e of rerun.detail(seq, seq + 1)) {
    if (e.sub >= sub) break;
    if (e.what.kind === 'step') for (const [register, value] of e.what.registers) registers[register] = value;
  }
  return registers;
}

/** The store with the instruction and, by a re-run, its callers. */
async function withStack(source: Source, found: Found, rerun: Rerun | undefined): Promise<Stored> {
  const isa = isaOfSource(source);
  const format = formatOf(source, 'guest');
  const registers = await registersBefore(source, found, rerun);
  const addresses: Vaddr[] = [];
  const pc = isa && registers[isa.roles.pc];
  if (pc !== undefined) addresses.push(asVaddr(pc));
  const [fp, root] = isa ? [registers[isa.roles.fp], registers[isa.roles.root]] : [];
  if (rerun && format && fp !== undefined && root !== undefined) {
    const memory = await rerun.memory(found);
    const isCode = (at: Vaddr): boolean => symbolAt(source.symbols, at) !== undefined;
    addresses.push(...unwindAt(memory, format, format.rootOf(root), fp, isCode));
  }
  const stack = addresses.map(at => ({ at, text: symbolText(source.symbols, at) }));
  return { ...found, stack, from: rerun && source.header.detail !== 'full' ? 'a re-run' : 'the recording' };
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
  // The memory may have been a table before, and the entry written then.
  const earlier = source.index.lastSlotWrite(space, at, adopt);
  const from = Math.max(0, earlier);
  const full = source.header.detail === 'full';
  const found = full
    ? await drive(recordedStore(source, at, from, adopt))
    : again && (await rerunStore(source, again, asPaddr(at), from, adopt, options));
  if (found) return { kind: 'store', store: await withStack(source, found, again) };
  if (!full && !again)
    return { kind: 'unknown', why: `the store is in no event; a re-run would find it, but ${rerun as string}` };
  if (earlier >= 0 && eventOf(source, earlier).kind !== 'release') return { kind: 'event', seq: earlier };
  return {
    kind: 'unknown',
    why: 'no store of the guest wrote it: it was there before the guest ran, or its host wrote it',
  };
}
