/**
 * What a handler is made of. A handler is the code for one kind of record; all of them are cases of one big loop
 * (build.ts), so they share its locals and end with `next` or with a branch. Nothing here knows a processor.
 *
 * The rules that make exceptions precise:
 *   1. Everything that may fault (load, loadForStore, store, trap) comes before the first write to a register or flag.
 *   2. A read-modify-write uses loadForStore and then storeBack: the second cannot fault.
 *   3. A handler that stores and then writes registers is safe: `store` leaves the handler when it faults.
 */

import {
  br,
  brIf,
  type Code,
  call,
  choose,
  get,
  i32,
  i64,
  type Local,
  label,
  set,
  tee,
  type ValueType,
  when,
} from '../../base/wasm.js';
import { ACCESS, FAULT } from './fault.js';
import { CONTROL } from './layout.js';
import { EXIT, RECORD, SLOT_BYTES } from './records.js';
import { DATA_TAG, placeOffset } from './tlb.js';
import { pageOf } from './walk.js';

const RUN_LOCALS = {
  /** The record being executed. */
  record: 'i32',
  /** Instructions that may still start a block; see run.ts. */
  left: 'i32',
  /** Fast data tags of the current privilege. */
  tags: 'i32',
  /** The exit being taken, and where its link is. */
  exit: 'i32',
  link: 'i32',
  /** Virtual address to go on at. */
  pc: 'i64',
  /** Virtual address of the memory operand, and its host address (0 if the slow path must be taken). */
  va: 'i64',
  host: 'i32',
  tag: 'i32',
  /** Free for handlers. */
  a: 'i64',
  b: 'i64',
  r: 'i64',
  c: 'i64',
  m: 'i32',
  n: 'i32',
  x: 'v128',
  y: 'v128',
  z: 'v128',
} as const satisfies Record<string, ValueType>;

/** The locals of the interpreter loop. The first two are its parameters. */
export const L = Object.fromEntries(
  Object.entries(RUN_LOCALS).map(([name, type], index) => [name, { index, type }]),
) as unknown as Readonly<Record<keyof typeof RUN_LOCALS, Local>>;
export const RUN_LOCAL_TYPES: readonly ValueType[] = Object.values(RUN_LOCALS).slice(2);

/** Where handlers may go: labels of the interpreter loop. */
export const TO = {
  /** Execute the record in L.record. */
  next: label('next'),
  /** Leave through the exit behind this record: L.exit = 1 if taken, 0 to fall through. */
  leave: label('leave'),
  /** Go on at L.pc; the block's instructions are still to be counted. */
  jump: label('jump'),
  /** A fault is in the control words. */
  fault: label('fault'),
  /** Return to TypeScript with this record not executed: the low half of its imm names an instruction for a SystemOp. */
  out: label('out'),
  /** Return to TypeScript with this record executed in part, to go on with it. */
  again: label('again'),
  /** The record is out of date: decode anew. */
  stale: label('stale'),
} as const;

export type Bytes = 1 | 2 | 4 | 8;

/** A field of the record: addresses of registers are u32, `index` u16. */
export const field = {
  dst: i32.load(get(L.record), RECORD.dst),
  src: i32.load(get(L.record), RECORD.src),
  base: i32.load(get(L.record), RECORD.base),
  index: i32.load16U(get(L.record), RECORD.index),
  scale: i64.load8U(get(L.record), RECORD.scale),
  length: i32.load8U(get(L.record), RECORD.length),
  disp: i64.load32S(get(L.record), RECORD.disp),
  imm: i64.load(get(L.record), RECORD.imm),
  imm32: i32.load(get(L.record), RECORD.imm),
  /** The upper half of imm. */
  immAbove: i32.load(get(L.record), RECORD.imm + 4),
} as const;

/** Reads `bytes` at a host address, zero-extended. */
export const peek = (bytes: Bytes, at: Code, offset = 0): Code =>
  ({ 1: i64.load8U, 2: i64.load16U, 4: i64.load32U, 8: i64.load })[bytes](at, offset);
/** Writes the low `bytes` of an i64 at a host address. */
export const poke = (bytes: Bytes, at: Code, value: Code, offset = 0): Code =>
  ({ 1: i64.store8, 2: i64.store16, 4: i64.store32, 8: i64.store })[bytes](at, value, offset);

/** The address of a memory operand: base + disp, or base + (index << scale) + disp. */
export const addressOf = (indexed: boolean): Code => {
  const base = i64.load(field.base);
  return i64.add(indexed ? i64.add(base, i64.shl(i64.load(field.index), field.scale)) : base, field.disp);
};

/** True if the fast tag (`read` or `write`) answers for `bytes` at L.va; leaves the tag's address in L.tag. */
export const hit = (bytes: Bytes | 16, kind: 'read' | 'write'): Code =>
  i64.eq(
    i64.load(tee(L.tag, i32.add(placeOffset(get(L.va), 5), get(L.tags))), DATA_TAG[kind]),
    pageOf(bytes === 1 ? get(L.va) : i64.add(get(L.va), i64.const(bytes - 1))),
  );
/** Where L.va is in linear memory, after a hit. */
export const hostAddress = i32.add(i32.wrap(get(L.va)), i32.load(get(L.tag), DATA_TAG.addend));
const faulted = i32.load(i32.const(0), CONTROL.faultKind);

/** The `bytes` at L.va, zero-extended to i64. Leaves the handler on a fault. */
export const load = (bytes: Bytes): Code =>
  choose('i64', hit(bytes, 'read'), peek(bytes, hostAddress), [
    call('slow_load', get(L.va), i32.const(bytes), i32.const(ACCESS.read), get(L.record), get(L.left)),
    brIf(TO.fault, faulted),
  ]);

/** Stores the low `bytes` of `value` (a cheap expression: it is used twice) at L.va. Leaves the handler on a fault. */
export const store = (bytes: Bytes, value: Code): Code =>
  when(
    hit(bytes, 'write'),
    poke(bytes, hostAddress, value),
    brIf(TO.fault, call('slow_store', get(L.va), value, i32.const(bytes), get(L.record), get(L.left))),
  );

/** As load, but the operand will be written: faults as a write. To be followed by storeBack, nothing that uses L.host or L.va between. */
export const loadForStore = (bytes: Bytes): Code =>
  choose(
    'i64',
    hit(bytes, 'write'),
    [set(L.host, hostAddress), peek(bytes, get(L.host))],
    [
      set(L.host, i32.const(0)),
      call('slow_load', get(L.va), i32.const(bytes), i32.const(ACCESS.write), get(L.record), get(L.left)),
      brIf(TO.fault, faulted),
    ],
  );

/** The store of a read-modify-write; `value` as in store. Cannot fault. */
export const storeBack = (bytes: Bytes, value: Code): Code =>
  when(
    get(L.host),
    poke(bytes, get(L.host), value),
    brIf(TO.fault, call('slow_store', get(L.va), value, i32.const(bytes), get(L.record), get(L.left))),
  );

/** Raises a trap at this instruction, with a vector and an error code. Ends the handler. */
export const trap = (vector: number, code = 0): Code => [
  call('fault', i32.const(FAULT.trap), i32.const(code), i64.const(vector)),
  0x1a,
  br(TO.fault),
];

/** Goes on with the next record. */
export const next: Code = [set(L.record, i32.add(get(L.record), i32.const(SLOT_BYTES))), br(TO.next)];
/** Leaves the block by its exit: to the target if the condition (an i32) is 1, to the fall-through if 0. */
export const leave = (condition: Code): Code => [set(L.exit, condition), br(TO.leave)];
/** Leaves the block for a computed address; the exit behind the record counts. */
export const jump = (pc: Code): Code => [set(L.pc, pc), br(TO.jump)];
/** The address behind this instruction; only in a record that ends its block. */
export const pcAfter: Code = i64.load(get(L.record), SLOT_BYTES + EXIT.fallPc);
/** Ends a piece of an interruptible instruction: this record stays the next one to execute, and nothing retired. */
export const outAgain: Code = br(TO.again);
