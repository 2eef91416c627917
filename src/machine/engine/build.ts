/**
 * Builds the interpreter: one WebAssembly function, a loop around one br_table, a case for each handler. Measured
 * against a function per handler, closures and a compiler per block, this was the fastest on code that is not hot.
 *
 *   run(record, left) -> REASON
 *     loop next
 *       handler := u16 at record; br_table to its case
 *       each case ends in a branch: next | leave | jump | fault | out | again | stale
 *     leave   count the block; budget gone? return. Follow the link, or find the target and link it.
 *     jump    count the block; budget gone? return. Find the target.
 *     stale   decode anew where we are
 *     fault, out, again   note the record; return
 */

import { assert } from '../../base/assert.js';
import {
  block,
  br,
  brIf,
  brTable,
  type Code,
  call,
  callIndirect,
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
} from '../../base/wasm.js';
import { field, L, leave, RUN_LOCAL_TYPES, TO } from './kit.js';
import { CONTROL, JUMP_CACHE, JUMP_CACHE_BITS, type Layout } from './layout.js';
import { EXIT, GOTO, GUARD, HEADER, OUT, REGION, SLOT_BYTES, STALE } from './records.js';
import { CODE_TAG, placeOffset, tlbFunctions } from './tlb.js';
import { pageOf, type WalkFormat, walkFunctions } from './walk.js';

/** Why a run returned. After budget and miss the place is CONTROL.pc; after the others CONTROL.record. */
export const REASON = { budget: 0, fault: 1, out: 2, miss: 3, again: 4 } as const;

/** So many regions of code at a time. */
export const REGIONS_MAX = 256;

export interface Handler {
  readonly name: string;
  /** Must end with next, leave, jump, trap or outAgain. */
  readonly code: Code;
}

/** What the generated code calls. All numbers are i32 (signed). */
export interface Imports {
  /** A store to a frame with page flags; performs it. via: 0 guest, 1 page walker. */
  trapped(paddr: number, bytes: number, lo: number, hi: number, via: number): void;
  /** The architectural TLB took an entry, at this address. Called only while CONTROL.tellFills is set. */
  filled(entry: number): void;
  /** No block known at CONTROL.pc, whose code frame is given, | CONTROL.single: returns its record, or 0 to end the run. */
  miss(frame: number): number;
  /** The record is out of date. Sets CONTROL.pc to its address; returns the instructions of the block before it. */
  stale(record: number): number;
}
const IMPORTS: readonly Import[] = [
  { name: 'trapped', params: ['i32', 'i32', 'i32', 'i32', 'i32'] },
  { name: 'filled', params: ['i32'] },
  { name: 'miss', params: ['i32'], result: 'i32' },
  { name: 'stale', params: ['i32'], result: 'i32' },
];

export interface Exports {
  /** Runs from the address at `pcAt` in linear memory: a REASON, miss also where there is no record to begin with. */
  enter(pcAt: number, left: number): number;
  /** Frame address | 1 of the code page of va; 0 with a fault. */
  code(va: bigint): number;
  slow_load(va: bigint, bytes: number, access: number, record: number, left: number): bigint;
  /** Functions (record, left) -> record that regions of code became (region/), by their numbers. */
  readonly table: { set(index: number, region: unknown): void };
  slow_store(va: bigint, value: bigint, bytes: number, record: number, left: number): number;
}

/**
 * find(pc) -> the record at a virtual address; 0 with a fault, or 0 without one when the arena is full. The code frame of pc
 * from the fast tag or the slow path, then the jump cache, then TypeScript.
 */
function find(): Func {
  const pc: Local = { index: 0, type: 'i64' };
  const tag: Local = { index: 1, type: 'i32' };
  const frame: Local = { index: 2, type: 'i32' };
  const cached: Local = { index: 3, type: 'i32' };
  const single = i32.load(i32.const(0), CONTROL.single);
  return {
    name: 'find',
    params: ['i64'],
    result: 'i32',
    locals: ['i32', 'i32', 'i32'],
    body: [
      set(tag, i32.add(placeOffset(get(pc), 4), i32.load(i32.const(0), CONTROL.fastCode))),
      when(i64.eq(i64.load(get(tag), CODE_TAG.tag), pageOf(get(pc))), set(frame, i32.load(get(tag), CODE_TAG.frame)), [
        i64.store(i32.const(0), get(pc), CONTROL.pc),
        i32.store(i32.const(0), i32.const(0), CONTROL.record),
        when(i32.eqz(tee(frame, call('code', get(pc)))), ret(i32.const(0))),
        set(frame, i32.and(get(frame), i32.const(~1))),
      ]),
      set(frame, i32.or(get(frame), single)),
      // Entry: pc u64, record u32, frame u32. Multiplying mixes all low bits into the top ones (2^32 / golden ratio).
      set(
        cached,
        i32.shl(
          i32.xor(i32.shrU(i32.mul(i32.wrap(get(pc)), i32.const(0x9e3779b1)), i32.const(32 - JUMP_CACHE_BITS)), single),
          i32.const(4),
        ),
      ),
      when(
        i32.and(
          i64.eq(i64.load(get(cached), JUMP_CACHE), get(pc)),
          i32.eq(i32.load(get(cached), JUMP_CACHE + 12), get(frame)),
        ),
        ret(i32.load(get(cached), JUMP_CACHE + 8)),
      ),
      i64.store(i32.const(0), get(pc), CONTROL.pc),
      i32.store(i32.const(0), i32.const(0), CONTROL.record),
      call('miss', get(frame)),
    ],
  };
}

/** The place of pc in the jump cache, as `find` computes it; `single` is 1 for a block of one instruction, else 0. */
export const jumpCacheAt = (pcLow: number, single: number): number =>
  JUMP_CACHE + ((Math.imul(pcLow, 0x9e3779b1) >>> (32 - JUMP_CACHE_BITS)) ^ single) * 16;

/** enter(pcAt, left) -> REASON: finds the first record and runs from there. */
function enter(): Func {
  const pcAt: Local = { index: 0, type: 'i32' };
  const left: Local = { index: 1, type: 'i32' };
  const record: Local = { index: 2, type: 'i32' };
  return {
    name: 'enter',
    params: ['i32', 'i32'],
    result: 'i32',
    locals: ['i32'],
    exported: true,
    body: [
      i32.store(i32.const(0), get(left), CONTROL.left),
      when(i32.eqz(tee(record, call('find', i64.load(get(pcAt))))), ret(i32.const(REASON.miss))),
      call('run', get(record), get(left)),
    ],
  };
}

/** Handlers of the engine itself, at the numbers of records.ts. */
const OWN: readonly Handler[] = [
  { name: 'stale', code: br(TO.stale) },
  // Heads a block whose only instruction reaches into the next page: go on only while that page is where it was. The
  // fast tag may be gone for no reason of the guest's, so its absence says nothing.
  {
    name: 'guard',
    code: [
      set(L.tag, i32.add(placeOffset(field.imm, 4), i32.load(i32.const(0), CONTROL.fastCode))),
      set(L.m, i32.load(get(L.tag), CODE_TAG.frame)),
      when(i64.ne(i64.load(get(L.tag), CODE_TAG.tag), field.imm), [
        i32.store(i32.const(0), get(L.record), CONTROL.record),
        i32.store(i32.const(0), get(L.left), CONTROL.left),
        brIf(TO.fault, i32.eqz(tee(L.m, call('code', field.imm)))),
        set(L.m, i32.and(get(L.m), i32.const(~1))),
      ]),
      brIf(TO.stale, i32.ne(get(L.m), field.dst)),
      set(L.record, i32.add(get(L.record), i32.const(SLOT_BYTES))),
      br(TO.next),
    ],
  },
  { name: 'out', code: br(TO.out) },
  { name: 'goto', code: leave(i32.const(0)) },
  { name: 'region', code: [] }, // see run
];
assert(
  OWN[STALE]!.name === 'stale' &&
    OWN[GUARD]!.name === 'guard' &&
    OWN[OUT]!.name === 'out' &&
    OWN[GOTO]!.name === 'goto' &&
    OWN[REGION]!.name === 'region',
  'engine handlers in order',
);

function run(handlers: readonly Handler[]): Func {
  const cases = handlers.map(h => label(h.name));
  const found = label('found');
  const searching = label('searching');
  const budgetGone = label('budget gone');
  // A region leaves the record to go on with, in the middle of one of its blocks or at the start of any; or an address.
  const handlerNow = tee(L.n, i32.load16U(get(L.record)));
  const ahead = i32.sub(get(L.record), i32.const(SLOT_BYTES));
  const region: Code = [
    set(L.record, callIndirect('run', i32.load(ahead, HEADER.region), get(L.record), get(L.left))),
    set(L.left, i32.load(i32.const(0), CONTROL.left)),
    when(get(L.record), [
      i32.store(i32.const(0), get(L.record), CONTROL.leftAt),
      i32.store(i32.const(0), i32.add(i32.load(i32.const(0), CONTROL.leaves), i32.const(1)), CONTROL.leaves),
      when(i32.eq(handlerNow, i32.const(REGION)), set(L.n, i32.load16U(ahead, HEADER.first))),
      brTable(
        get(L.n),
        cases.map((to, n) => (n === REGION ? TO.stale : to)),
        TO.stale,
      ),
    ]),
    set(L.pc, i64.load(i32.const(0), CONTROL.pc)),
    brIf(budgetGone, i32.ltS(get(L.left), i32.const(0))),
    br(searching),
  ];
  let body: Code = [block(cases[REGION]!, brTable(i32.load16U(get(L.record)), cases, TO.stale)), region];
  handlers.forEach((handler, n) => {
    if (n !== REGION) body = [block(cases[n]!, body), handler.code];
  });
  const inside = (to: Label, code: Code): Code => block(to, code);
  const count: Code = tee(L.left, i32.sub(get(L.left), i32.load16U(get(L.exit), EXIT.count)));
  const stopAt = (reason: number): Code => [
    i64.store(i32.const(0), get(L.pc), CONTROL.pc),
    i32.store(i32.const(0), i32.const(0), CONTROL.record),
    i32.store(i32.const(0), get(L.left), CONTROL.left),
    ret(i32.const(reason)),
  ];
  const stopIn = (reason: number): Code => [
    i32.store(i32.const(0), get(L.record), CONTROL.record),
    i32.store(i32.const(0), get(L.left), CONTROL.left),
    ret(i32.const(reason)),
  ];
  const search: Code = [
    i32.store(i32.const(0), get(L.left), CONTROL.left),
    brIf(found, tee(L.record, call('find', get(L.pc)))),
    stopAt(REASON.miss),
  ];
  return {
    name: 'run',
    params: ['i32', 'i32'],
    result: 'i32',
    locals: RUN_LOCAL_TYPES,
    body: [
      set(L.tags, i32.load(i32.const(0), CONTROL.fastData)),
      loop(TO.next, [
        block(found, [
          block(searching, [
            block(budgetGone, [
              inside(TO.again, [
                inside(TO.out, [
                  inside(TO.fault, [
                    inside(TO.stale, [
                      inside(TO.jump, [
                        inside(TO.leave, body),
                        // leave: L.exit is 0 or 1
                        set(L.n, get(L.exit)),
                        set(
                          L.link,
                          i32.add(
                            get(L.record),
                            i32.add(i32.const(SLOT_BYTES + EXIT.fall), i32.shl(get(L.exit), i32.const(2))),
                          ),
                        ),
                        set(
                          L.pc,
                          i64.load(
                            i32.add(get(L.record), i32.shl(get(L.exit), i32.const(3))),
                            SLOT_BYTES + EXIT.fallPc,
                          ),
                        ),
                        set(L.exit, i32.add(get(L.record), i32.const(SLOT_BYTES))),
                        when(i32.ltS(count, i32.const(0)), stopAt(REASON.budget)),
                        when(tee(L.record, i32.load(get(L.link))), br(TO.next)),
                        i32.store(i32.const(0), get(L.left), CONTROL.left),
                        when(i32.eqz(tee(L.record, call('find', get(L.pc)))), stopAt(REASON.miss)),
                        when(
                          i32.and(i32.shrU(i32.load(get(L.exit), EXIT.linkable), get(L.n)), i32.const(1)),
                          i32.store(get(L.link), get(L.record)),
                        ),
                        br(TO.next),
                      ]),
                      // jump
                      set(L.exit, i32.add(get(L.record), i32.const(SLOT_BYTES))),
                      when(i32.ltS(count, i32.const(0)), stopAt(REASON.budget)),
                      br(searching),
                    ]),
                    // stale
                    set(L.left, i32.sub(get(L.left), call('stale', get(L.record)))),
                    set(L.pc, i64.load(i32.const(0), CONTROL.pc)),
                    when(i32.ltS(get(L.left), i32.const(0)), stopAt(REASON.budget)),
                    br(searching),
                  ]),
                  stopIn(REASON.fault),
                ]),
                stopIn(REASON.out),
              ]),
              stopIn(REASON.again),
            ]),
            stopAt(REASON.budget),
          ]),
          search,
        ]),
        br(TO.next),
      ]),
      0x00, // unreachable: every path returned
    ],
  };
}

export interface Engine {
  readonly exports: Exports;
  /** Handlers by number, and name to number. */
  readonly all: readonly Handler[];
  readonly functions: readonly Func[];
  readonly handlers: ReadonlyMap<string, number>;
  readonly wasmBytes: number;
}

/**
 * Generates and starts the engine of one machine.
 * @param handlers the processor's, names distinct
 * @param functions helper functions the handlers call
 */
export function buildEngine(
  layout: Layout,
  memory: WebAssembly.Memory,
  format: WalkFormat,
  handlers: readonly Handler[],
  functions: readonly Func[],
  imports: Imports,
): Engine {
  const all = [...OWN, ...handlers];
  const numbers = new Map(all.map((h, n) => [h.name, n]));
  assert(numbers.size === all.length, 'handler names are distinct');
  const key = JSON.stringify(layout);
  if (last?.handlers !== handlers || last.functions !== functions || last.format !== format || last.key !== key) {
    const binary = moduleOf(
      IMPORTS,
      [...walkFunctions(format, layout), ...tlbFunctions(layout), find(), ...functions, run(all), enter()],
      { pages: layout.pages, most: layout.pages },
      REGIONS_MAX,
    );
    last = { handlers, functions, format, key, module: new WebAssembly.Module(binary), wasmBytes: binary.length };
  }
  const instance = new WebAssembly.Instance(last.module, { env: { memory, ...imports } });
  const exports = instance.exports as unknown as Exports;
  return { exports, all, functions, handlers: numbers, wasmBytes: last.wasmBytes };
}

/** The module made last: a second machine of the same size starts at once, with the first one's optimised code. */
let last:
  | {
      readonly handlers: readonly Handler[];
      readonly functions: readonly Func[];
      readonly format: WalkFormat;
      readonly key: string;
      readonly module: WebAssembly.Module;
      readonly wasmBytes: number;
    }
  | undefined;
