/**
 * The x87 instructions, as a table from operation to meaning. Arithmetic is in x87-arithmetic.ts, number formats in
 * x87-format.ts and x87-convert.ts, stack and exceptions in x87-unit.ts, and what only moves state in x87-control.ts.
 * SDM 2A, each instruction.
 *
 * The transcendental ones (f2xm1, fyl2x, fyl2xp1, fptan, fpatan, fsin, fcos, fsincos) are not here, and end the guest
 * by name: processors differ in their last bits.
 */
import { assert } from '../../base/assert.js';
import { REG } from '../../isa/x86_64.js';
import { ACCESS } from '../engine/fault.js';
import type { Cpu } from './cpu.js';
import type { Insn, MemOperand } from './insn.js';
import { addressOf } from './operands.js';
import type { Family, SystemOp } from './semantics.js';
import {
  add,
  type Control,
  compare,
  divide,
  extract,
  multiply,
  type Order,
  quieted,
  remainder,
  scale,
  squareRoot,
  subtract,
  toIntegral,
} from './x87-arithmetic.js';
import { EXTENDED_BYTES, FLOATS, INTEGERS, type MemoryFormat, PACKED_DECIMAL } from './x87-convert.js';
import { EXTENDED, encode, finite, INDEFINITE, type Result, round, type Value, X, zero } from './x87-format.js';
import { C0, C2, C3, X87 } from './x87-unit.js';

/** What an instruction does with the unit. All that may fault comes before the first change. */
type Meaning = (unit: X87, cpu: Cpu, insn: Insn) => void;

const memoryOf = (insn: Insn): MemOperand | undefined => insn.operands.find(o => o.kind === 'mem');
/** An instruction that computes: it waits, and the unit remembers it. */
const computes = (op: string, meaning: Meaning): SystemOp => ({
  op,
  run(cpu, insn) {
    const unit = X87.waiting(cpu);
    const memory = memoryOf(insn);
    // fdp is an offset: without the base of the segment.
    const pointer = memory && addressOf(cpu, insn, { ...memory, segment: -1 });
    meaning(unit, cpu, insn);
    unit.remember(insn, pointer);
    unit.commit();
    return undefined;
  },
});

/** The number of the register that operand n is. */
function registerOf(insn: Insn, n: number): number {
  const operand = insn.operands[n];
  assert(operand?.kind === 'st', `operand ${n} of ${insn.op} is a register of the stack`);
  return operand.reg;
}
const second = (at: bigint): bigint => BigInt.asUintN(64, at + 8n);
/** Reads the memory operand, of 2, 4, 8 or 10 bytes. */
function readMemory(cpu: Cpu, insn: Insn, memory: MemOperand): bigint {
  const at = addressOf(cpu, insn, memory);
  if (memory.bytes !== EXTENDED_BYTES) return cpu.load(at, memory.bytes as 2 | 4 | 8);
  const low = cpu.load(at, 8);
  return low | (cpu.load(second(at), 2) << 64n);
}
/**
 * The address of the memory operand, which can be written. An instruction that stores finds out first, even where an
 * exception keeps it from storing.
 */
function writableAt(cpu: Cpu, insn: Insn): bigint {
  const memory = memoryOf(insn);
  assert(memory, `${insn.op} has a memory operand`);
  const at = addressOf(cpu, insn, memory);
  cpu.load(at, memory.bytes === EXTENDED_BYTES ? 8 : (memory.bytes as 2 | 4 | 8), ACCESS.write);
  if (memory.bytes === EXTENDED_BYTES) cpu.load(second(at), 2, ACCESS.write);
  return at;
}
function writeMemory(cpu: Cpu, at: bigint, bytes: MemoryFormat['bytes'], bits: bigint): void {
  cpu.store(at, bytes === EXTENDED_BYTES ? 8 : bytes, BigInt.asUintN(64, bits));
  if (bytes === EXTENDED_BYTES) cpu.store(second(at), 2, bits >> 64n);
}
const isExtended = (insn: Insn, memory: MemOperand): boolean =>
  memory.bytes === EXTENDED_BYTES && !insn.op.startsWith('fb');
/** The format of a memory operand that is no extended number; the operation says integer or packed decimal. */
function formatOf(insn: Insn): MemoryFormat {
  if (insn.op.startsWith('fb')) return PACKED_DECIMAL;
  const formats: Readonly<Record<number, MemoryFormat>> = insn.op.startsWith('fi') ? INTEGERS : FLOATS;
  const format = formats[memoryOf(insn)?.bytes ?? 0];
  assert(format, `${insn.op} has a number in memory`);
  return format;
}
/** The operand of an instruction on two numbers that is not the destination; undefined where its register is empty. */
function sourceOf(unit: X87, cpu: Cpu, insn: Insn): Value | undefined {
  const memory = memoryOf(insn);
  if (memory) return formatOf(insn).read(readMemory(cpu, insn, memory));
  const n = insn.operands.length > 1 ? registerOf(insn, 1) : 1;
  return unit.isEmpty(n) ? undefined : unit.value(n);
}

type Operation = (a: Value, b: Value, control: Control) => Result;
const OPERATIONS: Readonly<Record<string, Operation>> = {
  add,
  mul: multiply,
  sub: subtract,
  subr: (a, b, control) => subtract(b, a, control),
  div: divide,
  divr: (a, b, control) => divide(b, a, control),
};
/** Destination first; memory goes into ST. */
const arithmetic =
  (operation: Operation, pops: number): Meaning =>
  (unit, cpu, insn) => {
    const n = memoryOf(insn) ? 0 : registerOf(insn, 0);
    const source = sourceOf(unit, cpu, insn);
    const goesOn =
      unit.isEmpty(n) || !source
        ? unit.finishMissing(n)
        : unit.finish(n, operation(unit.value(n), source, unit.control));
    if (goesOn) unit.pop(pops);
  };
/** On ST alone. */
const unary =
  (operation: (a: Value, control: Control) => Result): Meaning =>
  unit => {
    if (unit.isEmpty(0)) unit.finishMissing(0);
    else unit.finish(0, operation(unit.value(0), unit.control));
  };
/** Changes the bits of ST, whatever they say. */
const sign =
  (change: (bits: bigint) => bigint): Meaning =>
  unit => {
    if (unit.isEmpty(0)) unit.finishMissing(0);
    else {
      unit.put(0, change(unit.bits(0)));
      unit.c1 = false;
    }
  };
const SIGN_BIT = 1n << 79n;

const IN_FSW: Readonly<Record<Order, number>> = { greater: 0, less: C0, equal: C3, unordered: C3 | C2 | C0 };
/** CF, PF, ZF of rflags. */
const IN_RFLAGS: Readonly<Record<Order, bigint>> = { greater: 0n, less: 1n, equal: 0x40n, unordered: 0x45n };
const ARITHMETIC_FLAGS = 0x8d5n;
const toFsw = (unit: X87, _cpu: Cpu, order: Order): void => unit.condition(IN_FSW[order]);
const toRflags = (_unit: X87, cpu: Cpu, order: Order): void =>
  cpu.set(REG.rflags!, (cpu.get(REG.rflags!) & ~ARITHMETIC_FLAGS) | IN_RFLAGS[order]);

/** ST against the other operand. An exception that is not masked keeps the stack, not the answer. */
const compares =
  (quietly: boolean, pops: number, tell: typeof toFsw): Meaning =>
  (unit, cpu, insn) => {
    const other = sourceOf(unit, cpu, insn);
    if (comparesWith(unit, cpu, other, quietly, tell)) unit.pop(pops);
  };
const ftst: Meaning = (unit, cpu) => {
  comparesWith(unit, cpu, zero(0), false, toFsw);
};
function comparesWith(unit: X87, cpu: Cpu, other: Value | undefined, quietly: boolean, tell: typeof toFsw): boolean {
  if (unit.isEmpty(0) || !other) {
    tell(unit, cpu, 'unordered');
    return unit.stackFault();
  }
  const { order, flags } = compare(unit.value(0), other, quietly);
  const { c1 } = unit;
  const goesOn = unit.raise(flags);
  if (tell === toRflags) unit.c1 = c1; // fcomi and its like leave C1, an AMD EPYC says
  tell(unit, cpu, order);
  return goesOn;
}
/** What ST is, in C3 C2 C0; its sign in C1, even when it is empty. */
const fxam: Meaning = unit => {
  const v = unit.value(0);
  const classes: Readonly<Record<Value['kind'], number>> = {
    unsupported: 0,
    nan: C0,
    finite: v.denormal ? C3 | C2 : C2,
    infinity: C2 | C0,
    zero: C3,
  };
  unit.condition(unit.isEmpty(0) ? C3 | C0 : classes[v.kind]);
  unit.c1 = v.sign === 1;
};

/** fld, fild, fbld: exact, but a NaN in a single or double may signal. */
const loads: Meaning = (unit, cpu, insn) => {
  const memory = memoryOf(insn);
  if (!memory) {
    const n = registerOf(insn, 0);
    if (!unit.isEmpty(n)) unit.push(unit.bits(n));
    else if (unit.stackFault()) unit.pushOver(INDEFINITE);
    return;
  }
  const bits = readMemory(cpu, insn, memory);
  if (isExtended(insn, memory) || !unit.isEmpty(-1)) {
    unit.push(bits);
    return;
  }
  const v = formatOf(insn).read(bits);
  // A denormal is loaded even where the exception is not masked: so an AMD EPYC; an Intel loads nothing (SDM 1, 8.5.2).
  const goesOn = unit.raise(v.signalling ? X.IE : v.denormal ? X.DE : 0);
  if (goesOn || v.denormal) unit.pushOver(encode(quieted(v), EXTENDED));
};
/** fst, fstp, fist, fistp, fbstp. */
const stores =
  (pops: number): Meaning =>
  (unit, cpu, insn) => {
    const memory = memoryOf(insn);
    if (!memory) storesRegister(unit, registerOf(insn, 0), pops);
    else if (isExtended(insn, memory)) storesExtended(unit, cpu, insn, pops);
    else storesConverted(unit, cpu, insn, pops);
  };
function storesRegister(unit: X87, n: number, pops: number): void {
  const bits = unit.bits(0);
  if (unit.isEmpty(0)) {
    if (!unit.finishMissing(n)) return;
  } else {
    unit.put(n, bits);
    unit.c1 = false;
  }
  unit.pop(pops);
}
function storesExtended(unit: X87, cpu: Cpu, insn: Insn, pops: number): void {
  const at = writableAt(cpu, insn);
  const isMissing = unit.isEmpty(0);
  if (!isMissing || unit.masks & X.IE) writeMemory(cpu, at, EXTENDED_BYTES, isMissing ? INDEFINITE : unit.bits(0));
  unit.c1 = false;
  if (!isMissing || unit.stackFault()) unit.pop(pops);
}
/** An unmasked exception that has no result to store leaves memory and stack as they are (SDM 1, 8.5). */
function storesConverted(unit: X87, cpu: Cpu, insn: Insn, pops: number): void {
  const at = writableAt(cpu, insn);
  const format = formatOf(insn);
  const isMissing = unit.isEmpty(0);
  const { bits, flags, up } = isMissing
    ? { bits: format.indefinite, flags: X.IE, up: false }
    : format.write(unit.value(0), unit.control);
  const stopping = flags & (X.IE | X.OE | X.UE) & ~unit.masks;
  if (!stopping) writeMemory(cpu, at, format.bytes, bits);
  if (isMissing) unit.stackFault();
  else unit.raise(stopping || flags, !stopping && up);
  if (!stopping) unit.pop(pops);
}

/** Exact to far more bits than are kept: significand of 128 bits, exponent of the digit before the point. */
const CONSTANTS: Readonly<Record<string, readonly [significand: bigint, exponent: number]>> = {
  1: [1n, 127],
  l2t: [0xd49a_784b_cd1b_8afe_492b_f6ff_4daf_db4cn, 1],
  l2e: [0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e88n, 0],
  pi: [0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1n, 1],
  lg2: [0x9a20_9a84_fbcf_f798_8f89_59ac_0b7c_9178n, -2],
  ln2: [0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6afn, -1],
  z: [0n, 0],
};
/** In the direction of fcw, with all 64 bits, and no exception (SDM 2A, FLD1 ...). */
const constant =
  ([significand, exponent]: readonly [bigint, number]): Meaning =>
  unit => {
    const exact = finite(0, significand, exponent - 127);
    const control = { ...unit.control, precision: EXTENDED.precision };
    const { value } = exact.kind === 'zero' ? { value: exact } : round(exact, EXTENDED, control.precision, control);
    unit.push(encode(value, EXTENDED));
  };

const fxch: Meaning = (unit, _cpu, insn) => {
  const n = registerOf(insn, 1);
  if (unit.isEmpty(0) || unit.isEmpty(n)) {
    if (!unit.stackFault()) return;
    for (const i of [0, n]) if (unit.isEmpty(i)) unit.put(i, INDEFINITE);
  } else unit.c1 = false;
  const [top, other] = [unit.bits(0), unit.bits(n)];
  unit.put(0, other);
  unit.put(n, top);
};
const CF = 1n;
const PF = 4n;
const ZF = 0x40n;
/** The flags of which one is to be set; with `not`, all are to be clear. */
const CONDITIONS: Readonly<Record<string, bigint>> = { b: CF, e: ZF, be: CF | ZF, u: PF };
const fcmov =
  (flags: bigint, not: boolean): Meaning =>
  (unit, cpu, insn) => {
    const n = registerOf(insn, 1);
    if (unit.isEmpty(0) || unit.isEmpty(n)) unit.finishMissing(0);
    else if (((cpu.get(REG.rflags!) & flags) === 0n) === not) unit.put(0, unit.bits(n));
  };

const fscale: Meaning = unit => {
  if (unit.isEmpty(0) || unit.isEmpty(1)) unit.finishMissing(0);
  else unit.finish(0, scale(unit.value(0), unit.value(1), unit.control));
};
const fprem =
  (toNearest: boolean): Meaning =>
  unit => {
    unit.fsw &= ~C2; // not partial: whatever comes
    if (unit.isEmpty(0) || unit.isEmpty(1)) {
      unit.finishMissing(0);
      return;
    }
    const { quotient, ...result } = remainder(unit.value(0), unit.value(1), toNearest, unit.masks);
    if (!unit.finish(0, result) || quotient === 'none') return;
    if (quotient === 'partial') unit.condition(C2);
    else {
      unit.condition((quotient & 4 ? C0 : 0) | (quotient & 2 ? C3 : 0));
      unit.c1 = (quotient & 1) === 1;
    }
  };
/** The exponent replaces ST, and the significand is pushed. */
const fxtract: Meaning = unit => {
  const isOverflow = !unit.isEmpty(0) && !unit.isEmpty(-1);
  if (unit.isEmpty(0) || isOverflow) {
    if (unit.stackFault(isOverflow)) unit.replaceAndPush(INDEFINITE, INDEFINITE);
    return;
  }
  const { exponent, significand } = extract(unit.value(0));
  if (unit.raise(exponent.flags))
    unit.replaceAndPush(encode(exponent.value, EXTENDED), encode(significand.value, EXTENDED));
};
/** An old instruction: as fstp, but an empty register is not told, nor stored. */
const fstpnce: Meaning = (unit, _cpu, insn) => {
  if (!unit.isEmpty(0)) unit.put(registerOf(insn, 0), unit.bits(0));
  unit.c1 = false;
  unit.pop();
};

const computesAll = (meanings: Readonly<Record<string, Meaning>>): SystemOp[] =>
  Object.entries(meanings).map(([op, meaning]) => computes(op, meaning));

export const X87_FAMILY: Family = {
  system: [
    ...Object.entries(OPERATIONS).flatMap(([op, operation]) => [
      computes(`f${op}`, arithmetic(operation, 0)),
      computes(`f${op}p`, arithmetic(operation, 1)),
      computes(`fi${op}`, arithmetic(operation, 0)),
    ]),
    ...Object.entries(CONSTANTS).map(([op, number]) => computes(`fld${op}`, constant(number))),
    ...Object.entries(CONDITIONS).flatMap(([cc, flags]) => [
      computes(`fcmov${cc}`, fcmov(flags, false)),
      computes(`fcmovn${cc}`, fcmov(flags, true)),
    ]),
    ...computesAll({
      fld: loads,
      fild: loads,
      fbld: loads,
      fst: stores(0),
      fstp: stores(1),
      fstpnce,
      fist: stores(0),
      fistp: stores(1),
      fbstp: stores(1),
      fcom: compares(false, 0, toFsw),
      fcomp: compares(false, 1, toFsw),
      fcompp: compares(false, 2, toFsw),
      ficom: compares(false, 0, toFsw),
      ficomp: compares(false, 1, toFsw),
      fucom: compares(true, 0, toFsw),
      fucomp: compares(true, 1, toFsw),
      fucompp: compares(true, 2, toFsw),
      fcomi: compares(false, 0, toRflags),
      fcomip: compares(false, 1, toRflags),
      fucomi: compares(true, 0, toRflags),
      fucomip: compares(true, 1, toRflags),
      ftst,
      fxam,
      fchs: sign(bits => bits ^ SIGN_BIT),
      fabs: sign(bits => bits & ~SIGN_BIT),
      fsqrt: unary(squareRoot),
      frndint: unary(toIntegral),
      fscale,
      fprem: fprem(false),
      fprem1: fprem(true),
      fxtract,
      fxch,
    }),
  ],
};
