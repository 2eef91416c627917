/**
 * Why: for a failure, the state that explains it, what holds that state and who made it so, and what would have had to come
 * first. Everything is looked up in the recording; who stored an entry that no event wrote is left to whoever can run again.
 */
import { asFrame, asVaddr, type Frame, paddrOf } from '../../../base/brand.js';
import { hex, parseHex } from '../../../base/u64.js';
import type { Work } from '../../../base/work.js';
import { type EventMap, NO_FRAME } from '../../../events/kinds.js';
import { callName } from '../../../events/lexicon.js';
import { harmless } from '../../../events/text.js';
import type { Source } from '../../../recording/source.js';
import type { Holder, Violation, Why } from '../../../rules/system.js';
import type { State } from '../../../state/state.js';
import { createTimeline } from '../../../state/timeline.js';
import { causesOf, eventOf } from '../../../views/at.js';
import { slotAt } from '../../../views/slots.js';
import { symbolText } from '../../../views/symbols.js';
import { walk } from '../../../views/walk.js';
import { CLASS, ERRNO, HYPERCALL, MMUEXT, TYPE } from '../names.js';
import { decodeTypeWord, TYPE_NAMES, type WordLayout } from '../typeword.js';
import { layoutOf } from './explain.js';
import { type Failure, failureOf, lastRefused, type Operation } from './failure.js';
import { frameOfValue, frameText, holdersOf, isTableType, typeText } from './holders.js';
import { MESSAGES } from './messages.js';

const errorName = (n: number): string => Object.entries(ERRNO).find(([, e]) => e === n)?.[0] ?? `error ${n}`;
/** Events looked at behind a failure for what came of it. */
const AFTERMATH = 200_000;

/**
 * @param seq an event of the failure; without, what the run ended with
 * @returns undefined where nothing failed
 */
export function* why(source: Source, seq: number | undefined): Work<Why | undefined> {
  const failure = yield* failureOf(source, seq);
  switch (failure?.kind) {
    case 'refused':
      return yield* refused(source, failure);
    case 'broken':
      return yield* broken(source, failure.violation, failure.rule);
    case 'fault':
      return yield* fault(source, failure.trap);
  }
  return undefined;
}

// A refused operation.

/** The frame an operation is about and the type it asks for. */
interface Asked {
  readonly frame: Frame;
  readonly type: number;
}

function* refused(source: Source, { operation, result, error }: Extract<Failure, { kind: 'refused' }>): Work<Why> {
  const messages = messagesOf(source, operation, result.seq);
  const asked = askedBy(messages) ?? (yield* askedByArguments(source, operation));
  const state = yield* createTimeline(source).seek(result.seq);
  const what = `${operationText(source, operation)} was refused: ${errorName(error)}`;
  const because: string[] = [];
  let holders: readonly Holder[] = [];
  if (asked) {
    holders = yield* holdersOf(source, state, asked.frame, result.seq);
    because.push(...conflict(state, asked, holders.length));
  }
  if (!asked || holders.length === 0)
    for (const { text } of messages) {
      const means = MESSAGES.find(m => m.pattern.test(text))?.means;
      if (means && !because.includes(means)) because.push(means);
    }
  return {
    what,
    seq: operation.seq,
    messages,
    because,
    heading: asked ? `what holds frame ${hex(asked.frame)} as ${typeText(state.frameNumber('type', asked.frame))}` : '',
    holders,
    before: asked && holders.length > 0 ? remedies(source, state, asked, holders, operation) : [],
    after: aftermath(source, result.seq),
  };
}

/** `pin_l1_table of frame b1d89`, `normal update of the entry at 9dc018 to e8a067`. */
function operationText(source: Source, { class: cls, number, args }: Operation): string {
  const name = callName(source.lexicon, cls, number);
  const [first = 0n, second = 0n] = args;
  if (cls === CLASS.mmuext) return `${name} of ${ADDRESSED.has(number) ? hex(first) : `frame ${hex(first)}`}`;
  if (cls === CLASS.update) return `${name} update of the entry at ${hex(first & ~7n)} to ${hex(second)}`;
  return number === HYPERCALL.update_va_mapping ? `${name} of ${hex(first)} to ${hex(second)}` : name;
}
/** Operations whose argument is an address, or none. */
const ADDRESSED: ReadonlySet<number> = new Set([
  MMUEXT.invlpg_local,
  MMUEXT.invlpg_multi,
  MMUEXT.invlpg_all,
  MMUEXT.set_ldt,
]);

/** What the host printed inside an operation. */
function messagesOf(source: Source, operation: Operation, until: number): Why['messages'] {
  const found: { seq: number; text: string }[] = [];
  for (let seq = operation.seq + 1; seq < until; seq++) {
    const e = eventOf(source, seq);
    if (e.kind === 'console' && e.from === 'host' && causesOf(source, seq).some(c => c.seq === operation.seq))
      found.push({ seq, text: e.text.trimEnd() });
  }
  return found;
}
/** The first type conflict that was printed. */
function askedBy(messages: Why['messages']): Asked | undefined {
  const pattern = MESSAGES.find(m => m.id === 'bad-type')!.pattern;
  for (const { text } of messages) {
    const groups = pattern.exec(text)?.groups;
    if (!groups) continue;
    const [saw, exp, mfn] = [groups.saw!, groups.exp!, groups.mfn!].map(parseHex);
    if (saw === undefined || exp === undefined || mfn === undefined || mfn > 0xffff_fffen) continue;
    const layout: WordLayout = layoutOf(text, saw, exp).layout;
    const type = decodeTypeWord(layout, exp)?.type;
    if (type) return { frame: asFrame(Number(mfn)), type: TYPE_NAMES.indexOf(type) };
  }
  return undefined;
}
/** What its arguments ask for, where nothing was printed. */
function* askedByArguments(source: Source, operation: Operation): Work<Asked | undefined> {
  const [first = 0n, second = 0n] = operation.args;
  const frame = (n: bigint): Frame | undefined => (n < BigInt(NO_FRAME) ? asFrame(Number(n)) : undefined);
  const ask = (f: Frame | undefined, type: number): Asked | undefined =>
    f === undefined ? undefined : { frame: f, type };
  if (operation.class === CLASS.mmuext) {
    if (operation.number <= MMUEXT.pin_l4_table) return ask(frame(first), operation.number + 1);
    if (operation.number === MMUEXT.new_baseptr || operation.number === MMUEXT.new_user_baseptr)
      return ask(frame(first), TYPE.l4);
    if (operation.number === MMUEXT.clear_page || operation.number === MMUEXT.copy_page)
      return ask(frame(first), TYPE.writable);
    return undefined;
  }
  const asEntry = (value: bigint, level: number): Asked | undefined =>
    value & 1n ? ask(frameOfValue(value), level > 1 ? level - 1 : value & 2n ? TYPE.writable : TYPE.none) : undefined;
  if (operation.class === CLASS.update) {
    const state = yield* createTimeline(source).seek(operation.seq);
    return asEntry(second, state.frameNumber('type', frameOfValue(first)));
  }
  return operation.number === HYPERCALL.update_va_mapping ? asEntry(second, 1) : undefined;
}

/** What the frame is, and what it was asked for as. */
function conflict(state: State, { frame, type }: Asked, found: number): string[] {
  const is = state.frame(frame);
  const name = frameText(state, frame);
  if (is.total === 0) return [`${name} is not the domain’s: nobody has a reference to it`];
  if (is.type === type || is.typecount === 0) return [];
  const count = is.typecount === 1 ? '1 reference holds' : `${is.typecount} references hold`;
  const said = [`${name} is ${typeText(is.type)} and ${count} it so; it was asked for as ${typeText(type)}`];
  if (found !== is.typecount)
    said.push(
      `of these references ${found} are in live page tables, pins and roots; the others are its host’s (descriptor tables, shared pages)`,
    );
  return said;
}

/** What would have had to come first. */
function remedies(
  source: Source,
  state: State,
  { frame, type }: Asked,
  holders: readonly Holder[],
  operation: Operation,
): string[] {
  const is = state.frameNumber('type', frame);
  const name = `frame ${hex(frame)}`;
  const entries = holders.filter(h => h.at !== undefined);
  const out: string[] = [];
  if (is === TYPE.writable && isTableType(type))
    for (const h of entries) {
      const at = hex(h.at!);
      if (h.arrived)
        out.push(
          `the entry at ${at} stored read-only, before #${h.since} made its table live${callText(source, h.since)}`,
        );
      out.push(
        `${h.arrived ? 'or ' : ''}the entry at ${at} made read-only or empty by mmu_update or update_va_mapping, between #${h.since} and #${operation.seq}`,
      );
    }
  else if (isTableType(is)) {
    if (holders.some(h => h.text.startsWith('it is pinned'))) out.push(`${name} unpinned`);
    for (const h of entries) out.push(`the entry at ${hex(h.at!)}, which names it, emptied`);
    if (holders.some(h => h.text.startsWith('it is loaded'))) out.push('another base pointer loaded');
    if (type === TYPE.writable) out.push(`or ${name} mapped read-only: page tables are changed by hypercall`);
  }
  return out;
}
/** ` (pin_l1_table)`: the innermost call or entry in which an event happened. */
function callText(source: Source, seq: number): string {
  const inside = causesOf(source, seq).find(e => e.kind === 'call' || e.kind === 'entry');
  return inside && 'number' in inside ? ` (${callName(source.lexicon, inside.class, inside.number)})` : '';
}

/** The guest's next exception, if soon, and how the run ended. */
function aftermath(source: Source, seq: number): Why['after'] {
  const out: { seq: number; text: string }[] = [];
  const limit = Math.min(source.count, seq + 64);
  for (let at = seq + 1; at < limit && out.length === 0; at++) {
    const e = eventOf(source, at);
    if (e.kind === 'trap' && !e.user) out.push({ seq: at, text: trapText(source, e) });
  }
  return [...out, ...ending(source)];
}
function ending(source: Source): Why['after'] {
  const e = eventOf(source, source.count - 1);
  return e.kind === 'end' && e.how !== 'halted'
    ? [{ seq: e.seq, text: `the run ended: ${e.how}, ${harmless(e.reason)}` }]
    : [];
}
const VECTORS: Readonly<Record<number, string>> = {
  6: 'invalid opcode (BUG)',
  13: 'general protection',
  14: 'page fault',
};
const trapText = (source: Source, e: EventMap['trap']): string =>
  `${VECTORS[e.vector] ?? `exception ${e.vector}`} of the guest’s ${e.user ? 'user code' : 'kernel'} at ${symbolText(source.symbols, asVaddr(e.pc))}${e.vector === 14 ? `, address ${hex(e.at)}` : ''}`;

// A broken rule.

function* broken(source: Source, v: Violation, rule: string): Work<Why> {
  const event = eventOf(source, v.seq);
  const base = { what: `a rule was broken: ${rule}`, seq: v.seq, messages: [], because: [v.text] };
  const after = ending(source);
  if (v.entries) {
    const n = v.entries.slot;
    const [kernel, user] = [asFrame(v.entries.kernel), asFrame(v.entries.user)];
    const [k, u] = [kernel, user].map(f => entryOf(source, f, n, v.until));
    const set = (k!.since > u!.since ? [k!, u!] : [u!, k!]) as [Entry, Entry];
    const name = (f: Frame): string => (f === kernel ? 'kernel' : 'user');
    return {
      ...base,
      heading: 'the two entries, the one that was written last first',
      holders: set.map(({ frame, value, since, at }) => ({
        text: `entry ${n} of the ${name(frame)} L4 in frame ${hex(frame)} is ${hex(value)}`,
        since,
        at,
        arrived: since >= 0 && eventOf(source, since).kind === 'adopt',
      })),
      before: [
        `the ${name(set[1].frame)} half in the same batch: mmu_update of machine address ${hex(set[1].at)} to ${hex(set[0].value)}`,
        `or no return to the guest between the two: the path of #${set[0].since} above sets one half and goes on`,
      ],
      after: [...firstFault(source, n, v.until), ...after],
    };
  }
  return {
    ...base,
    heading: 'what broke it',
    holders: [{ text: `#${event.seq}`, since: event.seq, at: undefined, arrived: event.kind === 'adopt' }],
    before: [],
    after,
  };
}
interface Entry {
  readonly frame: Frame;
  readonly at: ReturnType<typeof paddrOf>;
  readonly value: bigint;
  readonly since: number;
}
function entryOf(source: Source, frame: Frame, slot: number, seq: number): Entry {
  const at = paddrOf(frame, slot * 8);
  const { value, writer } = slotAt(source, 'guest', at, seq);
  return { frame, at, value, since: writer };
}
/** The first time user code found the entry missing. */
function firstFault(source: Source, slot: number, from: number): Why['after'] {
  const end = Math.min(source.count, from + AFTERMATH);
  for (let seq = from; seq < end; seq++) {
    const e = eventOf(source, seq);
    if (e.kind === 'trap' && e.vector === 14 && e.user && Number((e.at >> 39n) & 511n) === slot)
      return [{ seq, text: `${trapText(source, e)}, though the kernel’s tables map it` }];
  }
  return [];
}

// A fault that nobody handled.

function* fault(source: Source, trap: EventMap['trap']): Work<Why> {
  const base = { what: trapText(source, trap), seq: trap.seq, messages: [], after: ending(source) };
  if (trap.vector !== 14) {
    const refused = yield* lastRefused(source, trap.seq);
    const because =
      refused?.kind === 'refused'
        ? [
            `before it ${operationText(source, refused.operation)} was refused: ${errorName(refused.error)}, at #${refused.operation.seq}`,
          ]
        : [];
    return { ...base, because, heading: '', holders: [], before: [] };
  }
  const w = yield* walk(source, asVaddr(trap.at), trap.seq, { space: 'guest', role: trap.user ? 'user' : 'kernel' });
  const last = w.steps.at(-1);
  const wrote = (trap.error & 2) !== 0;
  const readOnly = w.verdict.kind === 'mapped' ? w.steps.find(s => !(s.value & 2n)) : undefined;
  const step = (wrote && readOnly) || last;
  const because = [
    w.verdict.kind === 'stops'
      ? `nothing is mapped there: the walk stops at ${w.verdict.level}, ${w.verdict.why}`
      : wrote && readOnly
        ? `it is a write, and the ${readOnly.level} entry is read-only`
        : 'the tables allow it by now: the entry was changed since, or the TLB was stale',
  ];
  if (!step) return { ...base, because, heading: '', holders: [], before: [] };
  return {
    ...base,
    because,
    heading: 'the entry that decides',
    holders: [
      {
        text: `entry ${step.index} of the ${step.level} table in frame ${hex(Math.floor(step.slot / 4096))}: ${hex(step.value)} ${step.flags}`.trimEnd(),
        since: step.writer,
        at: step.slot,
        arrived: step.writer >= 0 && eventOf(source, step.writer).kind === 'adopt',
      },
    ],
    before:
      wrote && readOnly && w.verdict.kind === 'mapped'
        ? [
            `the entry at ${hex(readOnly.slot)} made writable before #${trap.seq}, if frame ${hex(w.verdict.frame)} is no page table`,
          ]
        : w.verdict.kind === 'stops'
          ? [`the ${w.verdict.level} entry at ${step ? hex(step.slot) : '?'} made present before #${trap.seq}`]
          : [],
  };
}
