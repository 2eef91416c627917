/**
 * What failed: the refused operation, the broken rule or the fault that an event stands for, or that the run ended with.
 *
 * A run that was killed or panicked names what came last; what went wrong first may be far before it. So of these, the first
 * that there is:
 *   1. a rule that was broken: the guest ran on with tables that did not belong together
 *   2. the last memory-management operation that Xen refused
 *   3. the fault that the guest could not handle
 */
import type { Work } from '../../../base/work.js';
import { eventAt } from '../../../events/block.js';
import { type Event, type EventMap, KIND } from '../../../events/kinds.js';
import type { Source } from '../../../recording/source.js';
import type { Violation } from '../../../rules/system.js';
import { causesOf, eventOf } from '../../../views/at.js';
import { CLASS, HYPERCALL } from '../names.js';
import { check } from './check.js';

/** A call, or an entry of a batch. */
export type Operation = EventMap['call'] | EventMap['entry'];
export type Failure =
  | {
      readonly kind: 'refused';
      readonly operation: Operation;
      readonly result: EventMap['result'];
      readonly error: number;
    }
  | { readonly kind: 'broken'; readonly violation: Violation; readonly rule: string }
  | { readonly kind: 'fault'; readonly trap: EventMap['trap'] };

/** The error number of a result, 0 for none: -4095 .. -1 as a u64. */
export const errorOf = (value: bigint): number => {
  const signed = BigInt.asIntN(64, value);
  return signed < 0n && signed >= -4095n ? Number(-signed) : 0;
};

const MMU_CALLS: ReadonlySet<number> = new Set([
  HYPERCALL.mmu_update,
  HYPERCALL.mmuext_op,
  HYPERCALL.update_va_mapping,
  HYPERCALL.update_va_mapping_otherdomain,
  HYPERCALL.memory_op,
  HYPERCALL.set_gdt,
  HYPERCALL.update_descriptor,
]);
const isMmu = (e: Operation): boolean =>
  e.class === CLASS.mmuext || e.class === CLASS.update || (e.class === CLASS.hypercall && MMU_CALLS.has(e.number));

/** The refused operation that a result tells of, undefined if that is none about memory. */
function refusedBy(source: Source, result: EventMap['result']): Failure | undefined {
  const error = errorOf(result.value);
  if (error === 0 || result.cause < 0) return undefined;
  const operation = eventOf(source, result.cause);
  if (operation.kind !== 'call' && operation.kind !== 'entry') return undefined;
  return isMmu(operation) ? { kind: 'refused', operation, result, error } : undefined;
}

/** The last refused operation whose result is at or before event `seq`; the innermost of those that failed together. */
export function* lastRefused(source: Source, seq: number): Work<Failure | undefined> {
  for (let n = source.chunkOf(seq); n >= 0; n--) {
    const info = source.chunks[n]!;
    if (info.counts[KIND.result] === 0) continue;
    const block = source.chunk(n);
    for (let i = Math.min(seq - block.first, block.count - 1); i >= 0; i--) {
      if (block.kind[i] !== KIND.result || block.col.result.valueHi[block.row[i]!]! >>> 31 === 0) continue;
      const result = eventAt(block, i);
      const found = result.kind === 'result' ? refusedBy(source, result) : undefined;
      if (found?.kind === 'refused') return innermost(source, found);
    }
    yield { done: seq - info.first, total: seq + 1 };
  }
  return undefined;
}
/** An error is handed up: the entry that failed is inside the call that says so. */
function innermost(source: Source, failure: Failure & { kind: 'refused' }): Failure {
  let found = failure;
  const { seq } = failure.result;
  for (let at = seq - 1; at > failure.operation.seq; at--) {
    const e = eventOf(source, at);
    if (e.kind !== 'result') continue;
    const inner = refusedBy(source, e);
    if (inner?.kind === 'refused' && causesOf(source, inner.operation.seq).some(c => c.seq === found.operation.seq))
      found = inner;
  }
  return found;
}

/** The result of an operation, looked for right behind it. */
function resultOf(source: Source, operation: Operation): EventMap['result'] | undefined {
  const end = Math.min(source.count, operation.seq + RESULT_WITHIN);
  for (let seq = operation.seq + 1; seq < end; seq++) {
    const e = eventOf(source, seq);
    if (e.kind === 'result' && e.cause === operation.seq) return e;
  }
  return undefined;
}
const RESULT_WITHIN = 100_000;

/** What event `seq` failed at, if it is part of something that did. */
function failureAt(source: Source, seq: number): Failure | undefined {
  const event = eventOf(source, seq);
  if (event.kind === 'trap') return { kind: 'fault', trap: event };
  for (const e of [event, ...causesOf(source, seq)] as Event[]) {
    const result = e.kind === 'result' ? e : e.kind === 'call' || e.kind === 'entry' ? resultOf(source, e) : undefined;
    const found = result && refusedBy(source, result);
    if (found?.kind === 'refused') return innermost(source, found);
  }
  return undefined;
}

/**
 * The failure to explain.
 * @param seq an event of it; without, what the run ended with
 */
export function* failureOf(source: Source, seq: number | undefined): Work<Failure | undefined> {
  if (source.count === 0) return undefined;
  if (seq !== undefined) {
    const here = failureAt(source, seq);
    if (here) return here;
  }
  const checked = yield* check(source, false);
  const violation = checked.violations[0];
  if (violation && violation.seq <= (seq ?? source.count))
    return { kind: 'broken', violation, rule: checked.rules[violation.rule] ?? violation.rule };
  const last = seq ?? source.count - 1;
  const refused = yield* lastRefused(source, last);
  if (refused) return refused;
  const end = eventOf(source, last);
  if (end.kind !== 'end' || (end.how !== 'killed' && end.how !== 'panic')) return undefined;
  const trap = causesOf(source, last).find(e => e.kind === 'trap');
  return trap?.kind === 'trap' ? { kind: 'fault', trap } : undefined;
}
