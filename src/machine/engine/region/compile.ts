/**
 * A region: some blocks that run often, as one WebAssembly function, with registers in locals.
 *
 *   region(record, left) -> the record to go on with, or 0: at CONTROL.pc
 *     is every page of the region where it was? else return record
 *     registers to locals; entry := number of the block
 *     loop top
 *       block b2, block b1, block b0
 *         br_table entry                        forwards a block is left by a branch; backwards through the top
 *       b0: its records; count; budget gone? out, at the target. Target in the region? there; else out
 *       b1: ...
 *     out: locals to registers; what is left of the budget to CONTROL.left
 *
 * While a region runs, no translation changes and no block is dropped: all that could do so leaves it first, or is a call
 * behind which CONTROL.changed says whether it did. So pages are checked once, and branches between pages need no look at
 * the code tags.
 */

import {
  block,
  br,
  brTable,
  type Code,
  type Func,
  get,
  type Import,
  i32,
  i64,
  type Label,
  type Local,
  label,
  loop,
  moduleOf,
  ret,
  set,
  tee,
  when,
} from '../../../base/wasm.js';
import type { Handler } from '../build.js';
import { L, RUN_LOCAL_TYPES } from '../kit.js';
import { CONTROL } from '../layout.js';
import { EXIT, HEADER, RECORD, SLOT_BYTES, STALE } from '../records.js';
import { CODE_TAG, placeOffset } from '../tlb.js';
import type { Callable } from './callable.js';
import { hasChanged, type Inline, Slots, Specialiser, Unfit } from './specialise.js';

/** One block of a region. */
export interface Member {
  readonly header: number;
  readonly end: number;
  readonly pc: bigint;
  /** Handler of the first record, whose place in the record another number has while the region is installed. */
  readonly handler: number;
}
/** What the processor knows better. */
export interface Hints {
  readonly inline: Inline;
  /** Whether a handler, by its name, leaves an address behind it for a later jump to come back to. */
  readonly isCall: (name: string) => boolean;
}

const PAGE = ~4095n;
const entry: Local = { index: 2 + RUN_LOCAL_TYPES.length, type: 'i32' };
const given: Local = { index: entry.index + 1, type: 'i32' };
const FIRST_SLOT = given.index + 1;
/** What a region may call of the engine, which exports it (build.ts). */
const CALLED: readonly Import[] = [
  { name: 'slow_load', params: ['i64', 'i32', 'i32', 'i32', 'i32'], result: 'i64' },
  { name: 'slow_store', params: ['i64', 'i64', 'i32', 'i32', 'i32'], result: 'i32' },
];
/** Calls and returns: more places than this to come back to are not worth the comparisons. */
const RETURNS_MAX = 6;

/**
 * @param calling records at which slow stores are done by a call, and the region goes on
 * @returns the module, whose export `region` is (record, left) -> record
 */
export function compileRegion(
  view: DataView,
  members: readonly Member[],
  handlers: readonly Handler[],
  callable: Callable,
  hints: Hints,
  calling: ReadonlySet<number>,
  memoryPages: number,
): WebAssembly.Module {
  const used = new Set<Func>();
  const slots = new Slots(FIRST_SLOT);
  /** All registers put back; filled when it is known which there are. */
  const shown: Code[] = [];
  const out = label('out');
  const top = label('top');
  const labels = members.map((_, n) => label(`block ${n}`));
  const again = members.map((_, n) => label(`again ${n}`));
  const places = new Map(members.map((m, n) => [m.pc, n]));
  const returns = returnsOf(view, members, handlers, hints).filter(pc => places.has(pc));

  /** Out of the region, at an address. */
  const outAt = (pc: Code): Code => [i64.store(i32.const(0), pc, CONTROL.pc), set(L.record, i32.const(0)), br(out)];
  /** From block `from` to an address, with the block counted. */
  const goTo = (pc: bigint, from: number): Code => {
    const to = places.get(BigInt.asUintN(64, pc));
    if (to === undefined) return outAt(i64.const(pc));
    const way: Code = to > from ? br(labels[to]!) : to === from ? br(again[to]!) : [set(entry, i32.const(to)), br(top)];
    return [when(i32.ltS(get(L.left), i32.const(0)), outAt(i64.const(pc))), way];
  };
  const codeOf = (member: Member, n: number): Code => {
    const leave = label('leave');
    const jump = label('jump');
    const specialiser = new Specialiser(view, slots, shown, calling, hints.inline, callable, used, member.header);
    const body: Code[] = [];
    const last = lastRecord(view, member);
    for (let record = member.header + SLOT_BYTES; record <= last; record += SLOT_BYTES) {
      const [next, slowly] = [label('next'), label('slowly')];
      const ways = { next, leave, jump, out: slowly };
      const behind = record + SLOT_BYTES;
      const number = record === member.header + SLOT_BYTES ? member.handler : view.getUint16(record, true);
      body.push(
        block(next, [
          block(slowly, attempt(specialiser, handlers[number]!.code, record, ways)),
          [set(L.record, i32.const(record)), br(out)],
        ]),
      );
      if (specialiser.stored) body.push(when(hasChanged, [set(L.record, i32.const(behind)), br(out)]));
    }
    const exit = last + SLOT_BYTES;
    if (exit === member.end) return [body, br(out)]; // the last record leaves by itself
    const count = set(L.left, i32.sub(get(L.left), i32.const(view.getUint16(exit + EXIT.count, true))));
    const [fall, taken] = [EXIT.fallPc, EXIT.takenPc].map(at => view.getBigUint64(exit + at, true)) as [bigint, bigint];
    return [
      block(leave, [
        block(jump, [body, br(out)]), // no record falls out of the end
        count,
        returns.map(pc => when(i64.eq(get(L.pc), i64.const(pc)), goTo(pc, n))),
        outAt(get(L.pc)),
      ]),
      count,
      when(get(L.exit), goTo(taken, n)),
      goTo(fall, n),
    ];
  };

  let blocks: Code = brTable(get(entry), labels, labels[0]!);
  members.forEach((member, n) => {
    blocks = [block(labels[n]!, blocks), loop(again[n]!, codeOf(member, n))];
  });
  shown.push(slots.store());
  const statistics = members[0]!.header;
  const body: Code = [
    pageChecks(view, members),
    set(L.tags, i32.load(i32.const(0), CONTROL.fastData)),
    set(given, get(L.left)),
    set(entry, i32.load16U(i32.sub(get(L.record), i32.const(SLOT_BYTES)), HEADER.entry)),
    i32.store(
      i32.const(statistics),
      i32.add(i32.load(i32.const(statistics), HEADER.entries), i32.const(1)),
      HEADER.entries,
    ),
    i32.store(i32.const(0), i32.const(0), CONTROL.changed),
    slots.load(),
    block(out, loop(top, blocks)),
    slots.store(),
    i64.store(
      i32.const(statistics),
      i64.add(i64.load(i32.const(statistics), HEADER.instructions), i64.extendS(i32.sub(get(given), get(L.left)))),
      HEADER.instructions,
    ),
    i32.store(i32.const(0), get(L.left), CONTROL.left),
    get(L.record),
  ];
  const locals = [...RUN_LOCAL_TYPES, 'i32' as const, 'i32' as const, ...Array<'i64'>(slots.count).fill('i64')];
  const binary = moduleOf(
    CALLED,
    [
      ...[...used].map(f => ({ ...f, exported: false })),
      { name: 'region', params: ['i32', 'i32'], result: 'i32', locals, exported: true, body },
    ],
    { pages: memoryPages, most: memoryPages },
  );
  return new WebAssembly.Module(binary);
}
/** A record whose handler does not fit is left to the interpreter. */
function attempt(
  specialiser: Specialiser,
  code: Code,
  record: number,
  ways: { next: Label; leave: Label; jump: Label; out: Label },
): Code {
  try {
    return specialiser.code(code, record, ways);
  } catch (e) {
    if (!(e instanceof Unfit)) throw e;
    return br(ways.out);
  }
}
/** The last record of a block. Behind it there may be an exit, which looks like a stale record. */
const lastRecord = (view: DataView, { end }: Member): number =>
  view.getUint16(end - SLOT_BYTES + RECORD.handler, true) === STALE ? end - 2 * SLOT_BYTES : end - SLOT_BYTES;
/** The addresses behind the calls of a region, where returns go. */
function returnsOf(view: DataView, members: readonly Member[], handlers: readonly Handler[], { isCall }: Hints) {
  const found = members
    .filter(member => {
      const last = lastRecord(view, member);
      const number = last === member.header + SLOT_BYTES ? member.handler : view.getUint16(last, true);
      return isCall(handlers[number]!.name);
    })
    .map(member => view.getBigUint64(member.end - SLOT_BYTES + EXIT.fallPc, true));
  return [...new Set(found)].slice(0, RETURNS_MAX);
}
/** Returns to the interpreter unless every page of the region has its code tag, with the frame it had. */
function pageChecks(view: DataView, members: readonly Member[]): Code {
  const pages = new Map(members.map(m => [m.pc & PAGE, view.getUint32(m.header + HEADER.frame, true)]));
  const tag: Local = L.tag;
  return [...pages].map(([page, frame]) => {
    const at = i32.add(placeOffset(i64.const(page), 4), i32.load(i32.const(0), CONTROL.fastCode));
    return when(
      i32.eqz(
        i32.and(
          i64.eq(i64.load(tee(tag, at), CODE_TAG.tag), i64.const(page)),
          i32.eq(i32.load(get(tag), CODE_TAG.frame), i32.const(frame)),
        ),
      ),
      [i32.store(i32.const(0), get(L.left), CONTROL.left), ret(get(L.record))],
    );
  });
}
