/**
 * The account of a frame: every change of its numbers, what caused it, and the balance. "Why does this frame still hold its
 * type?" is answered by the entries that were never repaid.
 */
import type { Frame } from '../base/brand.js';
import type { Work } from '../base/work.js';
import type { Event, FrameKind } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { causesOf, eventOf } from './at.js';

export interface LedgerEntry {
  readonly seq: number;
  readonly ticks: number;
  readonly kind: FrameKind;
  readonly old: number;
  /** The balance after it. */
  readonly new: number;
  /** The event that caused it, with its own causes after it; empty for none. */
  readonly causes: readonly Event[];
  /** It raised the number, and up to the position the number was never again below what it raised it to. */
  readonly neverRepaid: boolean;
}

/** Raised numbers can be owed; a type is no amount. */
const OWED: ReadonlySet<FrameKind> = new Set<FrameKind>(['typecount', 'total', 'pinned', 'validated', 'partial']);
const YIELD_EVERY = 256;

/**
 * Every change of `frame` up to and with event `seq`, oldest first.
 * @param kinds only these numbers, if given
 */
export function* ledger(source: Source, frame: Frame, seq: number, kinds?: readonly FrameKind[]): Work<LedgerEntry[]> {
  const changes = yield* source.index.frameChanges(frame, seq + 1);
  const entries: LedgerEntry[] = [];
  for (const [n, at] of changes.entries()) {
    if (n % YIELD_EVERY === 0) yield { done: n, total: changes.length };
    const e = eventOf(source, at) as Extract<Event, { frame: Frame; old: unknown }> & { kind: FrameKind };
    if (kinds && !kinds.includes(e.kind)) continue;
    const [old, value] = [Number(e.old), Number(e.new)];
    entries.push({
      seq: at,
      ticks: e.ticks,
      kind: e.kind,
      old,
      new: value,
      causes: causesOf(source, at),
      neverRepaid: false,
    });
  }
  // Backwards: the lowest balance that comes later decides.
  const lowest = new Map<FrameKind, number>();
  for (let i = entries.length - 1; i >= 0; i--) {
    const e = entries[i]!;
    const later = lowest.get(e.kind) ?? Number.POSITIVE_INFINITY;
    if (OWED.has(e.kind) && e.new > e.old && later >= e.new) entries[i] = { ...e, neverRepaid: true };
    lowest.set(e.kind, Math.min(later, e.new));
  }
  return entries;
}
