/**
 * A handler's code with one record filled in. The handlers are written for a record in L.record; here the record is known,
 * so its fields become constants, and what they point to (registers, hidden registers) becomes locals:
 *
 *   i64.load(i32.load(record, dst))            the interpreter: where is the register, what is in it
 *   i64.load(i32.const(0x418))                 the field is a constant
 *   local.get $r3                              the register is a local
 *
 * Nothing slow happens inside: where a handler would walk page tables, tell somebody, fault or return to TypeScript, the
 * region is left with this record not executed, and the interpreter does it, from the start. That is right because a
 * handler changes nothing before whatever may fault (kit.ts), and writes the same again where it is stopped half way.
 *
 * The exception are records at which the region was left often (hot.ts): there it puts all registers back and calls what the
 * interpreter would call. Nowhere else, since a loop with calls in it keeps less in the registers of the real processor.
 * Whoever hears of a store may do what must not happen in a region; then it is left behind the record.
 */

import {
  br,
  brIf,
  type Code,
  call,
  type Func,
  get,
  i32,
  i64,
  type Label,
  type Local,
  set,
} from '../../../base/wasm.js';
import { L, TO } from '../kit.js';
import { CONTROL, HIDDEN, REGISTERS } from '../layout.js';
import { SLOT_BYTES } from '../records.js';
import type { Callable } from './callable.js';

/** A handler that has no place in a region. */
export class Unfit extends Error {}

/**
 * For the processor: `call name(args)` as code without a call, or undefined. `flagClass` is what the last instruction of
 * the block left in HIDDEN.flagClass, if that is known.
 */
export type Inline = (name: string, args: readonly Code[], flagClass: number | undefined) => Code | undefined;

/** Registers of a region that live in locals, found while its code is made. */
export class Slots {
  private readonly first: number;
  private readonly locals = new Map<number, Local>();
  readonly written = new Set<number>();

  constructor(first: number) {
    this.first = first;
  }
  /** The local of the eight bytes at an address. */
  local(at: number): Local {
    const known = this.locals.get(at);
    if (known) return known;
    const made: Local = { index: this.first + this.locals.size, type: 'i64' };
    this.locals.set(at, made);
    return made;
  }
  get count(): number {
    return this.locals.size;
  }
  load(): Code {
    return [...this.locals].map(([at, local]) => set(local, i64.load(i32.const(0), at)));
  }
  store(): Code {
    return [...this.written].map(at => i64.store(i32.const(0), get(this.local(at)), at));
  }
}
/** What may be a local: everything before the first that is not made of eight-byte words. */
export const isSlot = (at: number): boolean => at >= REGISTERS && at < HIDDEN.vector;

/** Where the code of a record goes on. */
export interface Ways {
  readonly next: Label;
  readonly leave: Label;
  readonly jump: Label;
  /** To the interpreter, at this record. */
  readonly out: Label;
}

/** Left by: the interpreter does the slow part. */
const LEAVES = new Set(['slow_load', 'slow_store', 'slow_load16', 'slow_store16', 'fault']);
const NONE: ReadonlySet<Code> = new Set();
/** A call did what must not happen while a region runs. */
export const hasChanged: Code = i32.load(i32.const(0), CONTROL.changed);
/** Floats and vectors know nothing of locals. */
const OTHERS = new Set([0x2a, 0x2b, 0x38, 0x39, 0xfd]);

/** Code that is a number, as [0x41, ...sleb]; else undefined. */
export function constantOf(code: Code): number | undefined {
  if (!Array.isArray(code)) return undefined;
  if (code.length === 1 && Array.isArray(code[0])) return constantOf(code[0]);
  if (code[0] !== 0x41) return undefined;
  let value = 0;
  let shift = 0;
  for (const byte of code.slice(1) as number[]) {
    value |= (byte & 0x7f) << shift;
    shift += 7;
    if (!(byte & 0x80) && byte & 0x40 && shift < 32) value |= -1 << shift;
  }
  return value >>> 0;
}
/** The same of an i64, [0x42, ...sleb]. */
function wideConstantOf(code: Code): bigint | undefined {
  if (!Array.isArray(code) || code[0] !== 0x42) return undefined;
  let value = 0n;
  let shift = 0n;
  for (const byte of code.slice(1) as number[]) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (!(byte & 0x80) && byte & 0x40) value |= -1n << shift;
  }
  return BigInt.asIntN(64, value);
}
/** What the compiler behind us cannot fold in time for us to see: how often a shift shifts. */
function folded(code: readonly Code[]): Code | undefined {
  const [left, right, opcode] = code;
  if (code.length !== 3 || !Array.isArray(opcode) || opcode.length !== 1) return undefined;
  const [a, b] = [wideConstantOf(left!), wideConstantOf(right!)];
  if (a === undefined || b === undefined) return undefined;
  if (opcode[0] === 0x83) return i64.const(a & b);
  return opcode[0] === 0x52 ? i32.const(Number(a !== b)) : undefined;
}
const unsigned = (bytes: readonly number[]): number =>
  bytes.reduce((n, byte, i) => n + (byte & 0x7f) * 2 ** (7 * i), 0);
const isLocal = (code: Code, local: Local): boolean =>
  Array.isArray(code) &&
  code.length === 2 &&
  code[0] === 0x20 &&
  Array.isArray(code[1]) &&
  unsigned(code[1]) === local.index;
/** Whether a node is a memory access, [address, (value,) [opcode], 0, [offset]], and its opcode and offset. */
export function accessOf(code: readonly Code[]): { opcode: number; offset: number } | undefined {
  const n = code.length;
  const [opcode, align, offset] = [code[n - 3], code[n - 2], code[n - 1]];
  if ((n !== 4 && n !== 5) || align !== 0 || !Array.isArray(opcode) || !Array.isArray(offset)) return undefined;
  return { opcode: opcode[0] as number, offset: unsigned(offset as number[]) };
}

type Call = Extract<Code, { node: 'call' }>;
/**
 * The slow loads and stores in a handler's code that may be calls. Behind a store nothing may leave to the interpreter, which
 * would do all of the record, and so store again; nor may the block end, since whoever hears of the store may drop the block.
 */
function callsIn(handler: Code): ReadonlySet<Code> {
  const found: Call[] = [];
  let [loops, ends] = [false, false];
  const look = (code: Code): void => {
    if (typeof code === 'number') return;
    if (!('node' in code)) {
      for (const part of code) look(part);
      return;
    }
    if (code.node === 'call' && LEAVES.has(code.name)) found.push(code);
    if (code.node === 'branch') ends ||= code.to === TO.leave || code.to === TO.jump;
    if (code.node !== 'block') return;
    loops ||= code.opcode === 0x03;
    look(code.body);
    if (code.otherwise !== undefined) look(code.otherwise);
  };
  look(handler);
  if (loops) return new Set();
  return new Set(
    found.filter(
      (node, n) => node.name === 'slow_load' || (node.name === 'slow_store' && !ends && n === found.length - 1),
    ),
  );
}
/** Whether something slow in a record with this code can be a call. */
export const canCall = (handler: Code): boolean => callsIn(handler).size > 0;

/** Specialises the records of one block, in order. */
export class Specialiser {
  private readonly view: DataView;
  private readonly slots: Slots;
  private readonly shown: Code;
  private readonly calling: ReadonlySet<number>;
  private readonly inline: Inline;
  private readonly callable: Callable;
  private readonly used: Set<Func>;
  private readonly header: number;
  private record = 0;
  private ways!: Ways;
  private depth = 0;
  private flagClass: number | undefined;
  /** What of this record's code is called. */
  private calls = NONE;
  /** Whether the record done last may have called slow_store. */
  stored = false;
  /** Locals with a value that is known, by index. */
  private known = new Map<number, bigint>();

  constructor(
    view: DataView,
    slots: Slots,
    shown: Code,
    calling: ReadonlySet<number>,
    inline: Inline,
    callable: Callable,
    used: Set<Func>,
    header: number,
  ) {
    this.view = view;
    this.slots = slots;
    this.shown = shown;
    this.calling = calling;
    this.inline = inline;
    this.callable = callable;
    this.used = used;
    this.header = header;
  }
  /** The code of one record. Throws Unfit. */
  code(handler: Code, record: number, ways: Ways): Code {
    this.record = record;
    this.ways = ways;
    this.depth = 0;
    this.known.clear();
    this.stored = false;
    this.calls = this.calling.has(record) ? callsIn(handler) : NONE;
    const { flagClass } = this;
    try {
      return this.rewrite(handler);
    } catch (e) {
      this.stored = false;
      this.flagClass = flagClass;
      throw e;
    }
  }

  private rewrite(code: Code): Code {
    if (typeof code === 'number') return code;
    if ('node' in code) return this.node(code);
    const last = code.at(-1);
    if (typeof last === 'object' && 'node' in last && last.node === 'call') return this.call(last, code[0]!, code);
    if (isLocal(code, L.record)) return i32.const(this.record);
    const access = accessOf(code);
    if (access) return this.access(code, access.opcode, access.offset);
    if (typeof last === 'object' && 'node' in last && last.node === 'block' && last.opcode === 0x04)
      return this.when(code, last);
    if (code.length === 2 && code[0] === 0x20) return this.get(code);
    const made = code.map(part => this.rewrite(part));
    if (code.length === 3 && (code[1] === 0x21 || code[1] === 0x22)) {
      const index = unsigned(code[2] as number[]);
      const value = this.depth === 0 ? wideConstantOf(made[0]!) : undefined;
      if (value === undefined) this.known.delete(index);
      else this.known.set(index, value);
    }
    return folded(made) ?? made;
  }
  private get(code: readonly Code[]): Code {
    const value = this.known.get(unsigned(code[1] as number[]));
    return value === undefined ? code : i64.const(value);
  }
  /** A condition that is known leaves one side. */
  private when(code: readonly Code[], body: Extract<Code, { node: 'block' }>): Code {
    const before = code.slice(0, -1).map(part => this.rewrite(part));
    const condition = constantOf(before);
    if (condition === undefined) return [...before, this.node(body)];
    return condition ? this.rewrite(body.body) : this.rewrite(body.otherwise ?? []);
  }
  private node(code: Exclude<Code, number | readonly Code[]>): Code {
    switch (code.node) {
      case 'block': {
        this.depth++;
        if (code.opcode === 0x03) this.known.clear();
        const body = this.rewrite(code.body);
        const otherwise = code.otherwise === undefined ? undefined : this.rewrite(code.otherwise);
        this.depth--;
        return { ...code, body, otherwise };
      }
      case 'branch':
        return { ...code, to: this.way(code.to) };
      case 'table':
        return { ...code, cases: code.cases.map(to => this.way(to)), otherwise: this.way(code.otherwise) };
      default:
        throw new Unfit();
    }
  }
  private way(to: Label): Label {
    if (to === TO.next) return this.ways.next;
    if (to === TO.leave) return this.ways.leave;
    if (to === TO.jump) return this.ways.jump;
    return to === TO.fault || to === TO.out || to === TO.again || to === TO.stale ? this.ways.out : to;
  }
  private call(node: Call, args: Code, whole: readonly Code[]): Code {
    const { name } = node;
    if (whole.length !== 2) throw new Unfit();
    const isCalled = this.calls.has(node);
    if (LEAVES.has(name) && !isCalled) return br(this.ways.out);
    const made = (args as readonly Code[]).map(arg => this.rewrite(arg));
    if (isCalled) {
      this.stored ||= name === 'slow_store';
      const early = name === 'slow_load' ? brIf(this.ways.out, hasChanged) : [];
      return [this.shown, call(name, ...made), early];
    }
    const inlined = this.inline(name, made, this.flagClass);
    if (inlined) return this.rewrite(inlined);
    const helper = this.callable(name);
    if (!helper) throw new Unfit();
    for (const needed of helper.needs) this.used.add(needed);
    // It looks where registers are outside of regions.
    const shown = helper.reads.map(at => i64.store(i32.const(0), get(this.slots.local(at)), at));
    return [shown, call(name, ...made)];
  }

  private access(code: readonly Code[], opcode: number, offset: number): Code {
    const base = this.rewrite(code[0]!);
    const value = code.length === 5 ? this.rewrite(code[1]!) : undefined;
    const from = constantOf(base);
    const at = from === undefined ? -1 : from + offset;
    const isOther = OTHERS.has(opcode);
    if (isSlot(at)) {
      if (isOther) throw new Unfit();
      return value === undefined ? this.loadSlot(at, opcode) : this.storeSlot(at, opcode, value);
    }
    if (value === undefined && from !== undefined && from >= this.header && !isOther) return this.constant(at, opcode);
    return value === undefined ? [base, ...code.slice(1)] : [base, value, ...code.slice(2)];
  }
  /** A field of the block's records, which do not change while the block is there (links aside, which nobody reads here). */
  private constant(at: number, opcode: number): Code {
    if (at >= this.record + 2 * SLOT_BYTES) throw new Unfit();
    const { view } = this;
    switch (opcode) {
      case 0x28:
        return i32.const(view.getInt32(at, true));
      case 0x2d:
        return i32.const(view.getUint8(at));
      case 0x2f:
        return i32.const(view.getUint16(at, true));
      case 0x29:
        return i64.const(view.getBigInt64(at, true));
      case 0x31:
        return i64.const(view.getUint8(at));
      case 0x34:
        return i64.const(view.getInt32(at, true));
      case 0x35:
        return i64.const(view.getUint32(at, true));
      default:
        throw new Unfit();
    }
  }

  private loadSlot(at: number, opcode: number): Code {
    const slot = at & ~7;
    if (slot === HIDDEN.zero)
      return opcode === 0x28 || (opcode >= 0x2c && opcode <= 0x2f) ? i32.const(0) : i64.const(0);
    const whole = get(this.slots.local(slot));
    const value = at === slot ? whole : i64.shrU(whole, i64.const(8 * (at - slot)));
    switch (opcode) {
      case 0x28:
        return i32.wrap(value);
      case 0x29:
        if (at !== slot) throw new Unfit();
        return value;
      case 0x2d:
        return i32.and(i32.wrap(value), i32.const(0xff));
      case 0x2f:
        return i32.and(i32.wrap(value), i32.const(0xffff));
      case 0x30:
        return i64.sign8(value);
      case 0x31:
        return i64.and(value, i64.const(0xff));
      case 0x32:
        return i64.sign16(value);
      case 0x33:
        return i64.and(value, i64.const(0xffff));
      case 0x34:
        return i64.extendS(i32.wrap(value));
      case 0x35:
        return i64.extendU(i32.wrap(value));
      default:
        throw new Unfit();
    }
  }
  private storeSlot(at: number, opcode: number, value: Code): Code {
    const slot = at & ~7;
    if (slot === HIDDEN.zero) throw new Unfit();
    const local = this.slots.local(slot);
    this.slots.written.add(slot);
    if (slot === HIDDEN.flagClass) {
      if (opcode !== 0x36) throw new Unfit();
      this.flagClass = this.depth === 0 ? constantOf(value) : undefined;
      return set(local, i64.extendU(value)); // the other half means nothing
    }
    if (opcode === 0x37) {
      if (at !== slot) throw new Unfit();
      return set(local, value);
    }
    const bits = { 54: 32, 58: 8, 59: 16, 60: 8, 61: 16, 62: 32 }[opcode];
    if (!bits) throw new Unfit();
    const wide = opcode < 0x3c ? i64.extendU(value) : value;
    const mask = (1n << BigInt(bits)) - 1n;
    const shift = 8 * (at - slot);
    const part = i64.and(wide, i64.const(mask));
    return set(
      local,
      i64.or(shift ? i64.shl(part, i64.const(shift)) : part, i64.and(get(local), i64.const(~(mask << BigInt(shift))))),
    );
  }
}
