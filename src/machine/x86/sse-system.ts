/**
 * SSE and SSE2 on floats in TypeScript: what the generated code leaves undone (semantics-sse-float.ts), that is everything
 * with an exception to note or to raise, NaNs, denormals, other rounding than to nearest. Exact, and slow: about a
 * microsecond.
 *
 * An exception that is not masked raises #XM, and the destination keeps its value. Of a packed operation all lanes are
 * looked at: those noted before computing (invalid, denormal, divide) come first, and if one of them is not masked, those
 * of the result (overflow, underflow, precision) are not noted at all (SDM 1, 11.5.3).
 */
import { REG } from '../../isa/x86_64.js';
import { ACCESS } from '../engine/fault.js';
import { CR4 } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import { XMM_AT } from './hidden.js';
import type { Insn } from './insn.js';
import { addressOf, readOperand, writeOperand } from './operands.js';
import { type Family, GuestFault, type SystemOp } from './semantics.js';
import {
  approximate,
  type Binary,
  binary,
  extreme,
  type FloatBytes,
  fromInt,
  type Lane,
  type Mode,
  modeOf,
  orderOf,
  predicate,
  root,
  toFloat,
  toInt,
} from './sse-float.js';
import { invalid } from './system-control.js';
import { needSse } from './x87-state.js';

type LaneBytes = 4 | 8;
/** Exceptions of the operands; the others are of the result. */
const BEFORE = 7;

const xmmAt = (insn: Insn, n: number): number | undefined => {
  const operand = insn.operands[n];
  return operand?.kind === 'xmm' ? XMM_AT + 16 * operand.reg : undefined;
};
/** The low `count` lanes of operand n: an xmm register, or memory, aligned if it is sixteen bytes. */
function lanesOf(cpu: Cpu, insn: Insn, n: number, bytes: LaneBytes, count: number): bigint[] {
  const { view } = cpu.memory;
  const at = xmmAt(insn, n);
  if (at !== undefined) {
    return Array.from({ length: count }, (_, i) =>
      bytes === 8 ? view.getBigUint64(at + 8 * i, true) : BigInt(view.getUint32(at + 4 * i, true)),
    );
  }
  const operand = insn.operands[n]!;
  if (operand.kind !== 'mem') throw new Error(`internal error: operand ${n} of ${insn.op} is no vector`);
  const va = addressOf(cpu, insn, operand);
  if (operand.bytes === 16 && va & 15n) throw invalid();
  return Array.from({ length: count }, (_, i) => cpu.load(BigInt.asUintN(64, va + BigInt(bytes * i)), bytes));
}
/** Writes lanes to xmm register operand 0, from the lowest on; the others keep their values, or become 0. */
function setLanes(cpu: Cpu, insn: Insn, bytes: LaneBytes, lanes: readonly bigint[], clear = false): void {
  const { view } = cpu.memory;
  const at = xmmAt(insn, 0)!;
  if (clear) for (const n of [0, 8]) view.setBigUint64(at + n, 0n, true);
  lanes.forEach((bits, i) => {
    if (bytes === 8) view.setBigUint64(at + 8 * i, bits, true);
    else view.setUint32(at + 4 * i, Number(bits), true);
  });
}

export const modeNow = (cpu: Cpu): Mode => modeOf(Number(cpu.get(REG.mxcsr!)));
/** Notes exceptions in mxcsr, and raises #XM for those that are not masked: #UD where the system does not know it. */
function note(cpu: Cpu, mode: Mode, flags: number): void {
  const unmasked = flags & ~mode.masks;
  const noted = unmasked & BEFORE ? flags & BEFORE : flags;
  cpu.set(REG.mxcsr!, cpu.get(REG.mxcsr!) | BigInt(noted));
  if (!unmasked) return;
  throw new GuestFault(cpu.get(REG.cr4!) & CR4.OSXMMEXCPT ? VECTOR.simd : VECTOR.invalidOpcode);
}
/** Notes what the lanes raise, and gives their bits. */
export function settled(cpu: Cpu, mode: Mode, lanes: readonly Lane[]): bigint[] {
  note(
    cpu,
    mode,
    lanes.reduce((flags, lane) => flags | lane.flags, 0),
  );
  return lanes.map(lane => lane.bits);
}

const does = (op: string, work: (cpu: Cpu, insn: Insn, mode: Mode) => void): SystemOp => ({
  op,
  run: (cpu, insn) => {
    needSse(cpu);
    work(cpu, insn, modeNow(cpu));
    return undefined;
  },
});
/** ps, pd, ss, sd: the bytes of a lane, and how many of them. */
const FORMATS = [
  ['ps', 4, 4],
  ['pd', 8, 2],
  ['ss', 4, 1],
  ['sd', 8, 1],
] as const;
/** One operation on the lanes of destination and source, in several formats. */
const onLanes = (
  op: string,
  formats: string,
  f: (bytes: FloatBytes, a: bigint, b: bigint, mode: Mode, insn: Insn) => Lane,
): SystemOp[] =>
  FORMATS.filter(([name]) => formats.includes(name)).map(([name, bytes, count]) =>
    does(op + name, (cpu, insn, mode) => {
      const b = lanesOf(cpu, insn, 1, bytes, count);
      const a = lanesOf(cpu, insn, 0, bytes, count);
      const lanes = a.map((bits, i) => f(bytes, bits, b[i]!, mode, insn));
      setLanes(cpu, insn, bytes, settled(cpu, mode, lanes));
    }),
  );
const ALL = 'ps pd ss sd';
const immediate = (insn: Insn): number => {
  const operand = insn.operands[2];
  return operand?.kind === 'imm' ? Number(operand.value & 0xffn) : 0;
};

const CF = 1n;
const PF = 4n;
const ZF = 0x40n;
const ARITHMETIC = 0x8d5n;
const ORDER_FLAGS = { less: CF, equal: ZF, greater: 0n, unordered: ZF | PF | CF } as const;
const comparing = (op: string, bytes: FloatBytes, quietly: boolean): SystemOp =>
  does(op, (cpu, insn, mode) => {
    const [b] = lanesOf(cpu, insn, 1, bytes, 1);
    const [a] = lanesOf(cpu, insn, 0, bytes, 1);
    const { order, flags } = orderOf(bytes, a!, b!, mode, quietly);
    note(cpu, mode, flags);
    cpu.set(REG.rflags!, (cpu.get(REG.rflags!) & ~ARITHMETIC) | ORDER_FLAGS[order]);
  });

/** Lanes of one kind become lanes of another, in the low part of the destination; with `clear` the rest becomes 0. */
const converting = (
  op: string,
  [from, count]: readonly [LaneBytes, number],
  to: LaneBytes,
  f: (bits: bigint, mode: Mode) => Lane,
  clear = false,
): SystemOp =>
  does(op, (cpu, insn, mode) => {
    const lanes = lanesOf(cpu, insn, 1, from, count).map(bits => f(bits, mode));
    setLanes(cpu, insn, to, settled(cpu, mode, lanes), clear);
  });
const int32 = (bits: bigint): bigint => BigInt.asIntN(32, bits);
const toGeneral = (op: string, from: FloatBytes, truncate: boolean): SystemOp =>
  does(op, (cpu, insn, mode) => {
    const to = insn.size as 4 | 8;
    const [a] = lanesOf(cpu, insn, 1, from, 1);
    const [bits] = settled(cpu, mode, [toInt(from, to, a!, mode, truncate)]);
    writeOperand(cpu, insn, 0, bits!);
  });
const fromGeneral = (op: string, to: FloatBytes): SystemOp =>
  does(op, (cpu, insn, mode) => {
    const n = BigInt.asIntN(8 * insn.size, readOperand(cpu, insn, 1));
    setLanes(cpu, insn, to, settled(cpu, mode, [fromInt(to, n, mode)]));
  });

const BYTE_SIGNS = 0x80n;
/** Stores the bytes of xmm operand 0 whose mask byte in operand 1 has its top bit set, at [rdi]. */
function maskmovdqu(cpu: Cpu, insn: Insn): void {
  const memory = insn.operands[2];
  if (memory?.kind !== 'mem') throw new Error('internal error: maskmovdqu names its memory');
  const va = addressOf(cpu, insn, memory);
  const { view } = cpu.memory;
  const [from, mask] = [xmmAt(insn, 0)!, xmmAt(insn, 1)!];
  const chosen = Array.from({ length: 16 }, (_, n) => n).filter(n => BigInt(view.getUint8(mask + n)) & BYTE_SIGNS);
  const at = (n: number): bigint => BigInt.asUintN(64, va + BigInt(n));
  // All sixteen must be writable, chosen or not: a processor may look at that too (SDM 2B, MASKMOVDQU), and the one we
  // compare with does.
  for (const n of [0, 8]) cpu.load(at(n), 8, ACCESS.write);
  for (const n of chosen) cpu.store(at(n), 1, BigInt(view.getUint8(from + n)));
}

export const SSE_SYSTEM: Family = {
  system: [
    ...(['add', 'sub', 'mul', 'div'] as readonly Binary[]).flatMap(op =>
      onLanes(op, ALL, (bytes, a, b, mode) => binary(op, bytes, a, b, mode)),
    ),
    ...(['min', 'max'] as const).flatMap(op => onLanes(op, ALL, (bytes, a, b, mode) => extreme(op, bytes, a, b, mode))),
    ...onLanes('sqrt', ALL, (bytes, _, b, mode) => root(bytes, b, mode)),
    ...onLanes('cmp', ALL, (bytes, a, b, mode, insn) => predicate(immediate(insn) & 7, bytes, a, b, mode)),
    ...(['rcp', 'rsqrt'] as const).flatMap(op => onLanes(op, 'ps ss', (_bytes, _, b) => approximate(op, b))),
    comparing('comiss', 4, false),
    comparing('comisd', 8, false),
    comparing('ucomiss', 4, true),
    comparing('ucomisd', 8, true),

    fromGeneral('cvtsi2ss', 4),
    fromGeneral('cvtsi2sd', 8),
    toGeneral('cvtss2si', 4, false),
    toGeneral('cvtsd2si', 8, false),
    toGeneral('cvttss2si', 4, true),
    toGeneral('cvttsd2si', 8, true),
    converting('cvtss2sd', [4, 1], 8, (bits, mode) => toFloat(4, 8, bits, mode)),
    converting('cvtsd2ss', [8, 1], 4, (bits, mode) => toFloat(8, 4, bits, mode)),
    converting('cvtps2pd', [4, 2], 8, (bits, mode) => toFloat(4, 8, bits, mode)),
    converting('cvtpd2ps', [8, 2], 4, (bits, mode) => toFloat(8, 4, bits, mode), true),
    converting('cvtdq2ps', [4, 4], 4, (bits, mode) => fromInt(4, int32(bits), mode)),
    converting('cvtdq2pd', [4, 2], 8, (bits, mode) => fromInt(8, int32(bits), mode)),
    converting('cvtps2dq', [4, 4], 4, (bits, mode) => toInt(4, 4, bits, mode, false)),
    converting('cvttps2dq', [4, 4], 4, (bits, mode) => toInt(4, 4, bits, mode, true)),
    converting('cvtpd2dq', [8, 2], 4, (bits, mode) => toInt(8, 4, bits, mode, false), true),
    converting('cvttpd2dq', [8, 2], 4, (bits, mode) => toInt(8, 4, bits, mode, true), true),
    does('maskmovdqu', maskmovdqu),
  ],
};
