/**
 * Which event wrote this, on whose behalf, and where in the guest. Every answer can be asked again further back, with
 * `before` the event it gave.
 */
import { asVaddr, type Frame, type Paddr, type Vaddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import type { Event, FrameKind, Space } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { isaOfSource } from '../state/formats.js';
import { causesOf, eventOf } from './at.js';
import { lastRegisterWrite } from './registers.js';
import { valueWritten } from './slots.js';
import { type StackLine, stackOf, symbolText } from './symbols.js';
import { type Walk, type WalkQuery, walk } from './walk.js';

export interface Blame {
  /** The event that wrote. */
  readonly event: Event;
  /** What it happened inside, innermost first. */
  readonly causes: readonly Event[];
  /** Where the guest was, as last recorded before the event that has the stack (or before the write itself). */
  readonly pc: StackLine | undefined;
  /** The guest's stack at the write, or at the nearest cause that has one; empty if none has. */
  readonly stack: readonly StackLine[];
  /** Of which event the stack is. */
  readonly stackOf: number;
  /** The value came with the table: some earlier store that no event recorded wrote it. */
  readonly arrivedWithAdopt: boolean;
}

/** The story of event `seq`. */
export function blameEvent(source: Source, seq: number): Blame {
  const event = eventOf(source, seq);
  const causes = causesOf(source, seq);
  const withStack = [event, ...causes].find(e => 'stack' in e && e.stack !== 0);
  const roles = isaOfSource(source)?.roles;
  const pc = roles && lastRegisterWrite(source, event.vcpu, roles.pc, (withStack ?? event).seq);
  return {
    event,
    causes,
    pc: pc && { at: asVaddr(pc.value), text: symbolText(source.symbols, asVaddr(pc.value)) },
    stack: withStack && 'stack' in withStack ? stackOf(source, withStack.stack) : [],
    stackOf: withStack?.seq ?? -1,
    arrivedWithAdopt: event.kind === 'adopt',
  };
}
const blameOf = (source: Source, seq: number | undefined): Blame | undefined =>
  seq === undefined || seq < 0 ? undefined : blameEvent(source, seq);

/** The last event before `before` that wrote the entry at byte `at`, and what it left there. */
export function blameSlot(
  source: Source,
  space: Space,
  at: Paddr,
  before: number,
): (Blame & { readonly value: bigint; readonly at: Paddr }) | undefined {
  const seq = source.index.lastSlotWrite(space, at, before);
  return seq < 0 ? undefined : { ...blameEvent(source, seq), value: valueWritten(source, seq, at), at };
}
/** The last event before `before` that wrote any entry of the tables in `table`. */
export const blameTable = (source: Source, space: Space, table: Frame, before: number): Blame | undefined =>
  blameOf(source, source.index.tableWrites(space, table, before, 1)[0]);
/** The last event before `before` that changed this number of a frame. */
export const blameFrame = (source: Source, kind: FrameKind, frame: Frame, before: number): Blame | undefined =>
  blameOf(source, source.index.lastFrameChange(kind, frame, before));
/** The last event before `before` that recorded a new value of a register. */
export const blameRegister = (source: Source, vcpu: number, register: number, before: number): Blame | undefined =>
  blameOf(source, lastRegisterWrite(source, vcpu, register, before - 1)?.asOf);

/** The walk of `vaddr` just before event `before`, and who last wrote any entry on it. */
export function* blameVaddr(
  source: Source,
  vaddr: Vaddr,
  before: number,
  query: WalkQuery,
): Work<{ walk: Walk; blame: Blame | undefined }> {
  const w = yield* walk(source, vaddr, before - 1, query);
  const last = Math.max(-1, w.root.since, ...w.steps.map(s => s.writer));
  return { walk: w, blame: blameOf(source, last) };
}
