/**
 * MMX, and the forms of SSE and SSE2 that work on its registers. mm0 ... mm7 are the significands of the x87 registers,
 * by their physical numbers:
 *
 *    79      64 63                                  0
 *   |   ffff   |  mmN: 8 bytes, 4 words, 2 dwords ...  |     physical register N, when an instruction has written it
 *
 * Every MMX instruction but emms sets TOP to 0 and marks all eight registers as taken; emms marks them as free, so that
 * x87 code may follow (SDM 1, 9.5 and 9.6.2). An x87 exception that is pending is raised first.
 *
 * Old code only: programs of today have SSE2. So it is TypeScript, a 64-bit bigint in and out, and about a microsecond.
 */

import { REG } from '../../isa/x86_64.js';
import { ACCESS } from '../engine/fault.js';
import type { Cpu } from './cpu.js';
import { HIDDEN_STATE, X87_AT, XMM_AT } from './hidden.js';
import type { Insn } from './insn.js';
import { memoryAt, readOperand, writeOperand } from './operands.js';
import type { Family, SystemOp } from './semantics.js';
import { type FloatBytes, fromInt, type Mode, toInt } from './sse-float.js';
import { modeNow, settled } from './sse-system.js';
import { invalid } from './system-control.js';
import { needSse, needState } from './x87-state.js';
import { raisePending } from './x87-unit.js';

type Binary = (a: bigint, b: bigint) => bigint;
type Bits = 8 | 16 | 32 | 64;
const SUFFIX = { b: 8, w: 16, d: 32, q: 64 } as const;

const split = (bits: number, v: bigint): bigint[] =>
  Array.from({ length: 64 / bits }, (_, n) => BigInt.asUintN(bits, v >> BigInt(bits * n)));
const join = (bits: number, lanes: readonly bigint[]): bigint =>
  lanes.reduce((all, lane, n) => all | (BigInt.asUintN(bits, lane) << BigInt(bits * n)), 0n);
/** The same on each lane, as unsigned numbers. */
const unsigned =
  (bits: Bits, f: Binary): Binary =>
  (a, b) => {
    const other = split(bits, b);
    return join(
      bits,
      split(bits, a).map((x, n) => f(x, other[n]!)),
    );
  };
/** And as signed ones. */
const signed = (bits: Bits, f: Binary): Binary =>
  unsigned(bits, (a, b) => f(BigInt.asIntN(bits, a), BigInt.asIntN(bits, b)));

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const clamp = (n: bigint, low: bigint, high: bigint): bigint => most(low, least(high, n));
const toSigned = (bits: number, n: bigint): bigint =>
  clamp(n, -(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n);
const toUnsigned = (bits: number, n: bigint): bigint => clamp(n, 0n, (1n << BigInt(bits)) - 1n);

/** name(suffix) for each suffix of a list: row('padd', 'b w d q', bits => ...). */
const row = (name: string, suffixes: string, f: (bits: Bits) => Binary): [string, Binary][] =>
  suffixes.split(' ').map(suffix => [name + suffix, f(SUFFIX[suffix as keyof typeof SUFFIX])]);

/** A shift by the whole of the other operand; by the width of a lane or more nothing is left, or signs. */
const shift =
  (f: (lane: bigint, count: bigint, bits: Bits) => bigint) =>
  (bits: Bits): Binary =>
  (a, count) => {
    const by = least(count, BigInt(bits));
    return join(
      bits,
      split(bits, a).map(lane => f(lane, by, bits)),
    );
  };
/** Lanes of half the size: those of a, then those of b. */
const pack =
  (bits: 16 | 32, f: (half: number, n: bigint) => bigint): Binary =>
  (a, b) =>
    join(
      bits / 2,
      [...split(bits, a), ...split(bits, b)].map(lane => f(bits / 2, BigInt.asIntN(bits, lane))),
    );
/** Lanes of a and b in turn, from the low or the high halves. */
const unpack =
  (bits: Bits, high: boolean): Binary =>
  (a, b) => {
    const [x, y] = [split(bits, a), split(bits, b)];
    const from = high ? x.length / 2 : 0;
    return join(
      bits,
      x.slice(from, from + x.length / 2).flatMap((lane, n) => [lane, y[from + n]!]),
    );
  };
const words = (a: bigint): bigint[] => split(16, a).map(word => BigInt.asIntN(16, word));
const pmaddwd: Binary = (a, b) => {
  const [x, y] = [words(a), words(b)];
  return join(32, [x[0]! * y[0]! + x[1]! * y[1]!, x[2]! * y[2]! + x[3]! * y[3]!]);
};
const psadbw: Binary = (a, b) => {
  const other = split(8, b);
  return split(8, a).reduce((sum, x, n) => sum + most(x, other[n]!) - least(x, other[n]!), 0n);
};
const DWORD = 0xffff_ffffn;

/** Destination and source to destination. */
const BINARY: Readonly<Record<string, Binary>> = {
  ...Object.fromEntries([
    ...row('padd', 'b w d q', bits => unsigned(bits, (a, b) => a + b)),
    ...row('psub', 'b w d q', bits => unsigned(bits, (a, b) => a - b)),
    ...row('padds', 'b w', bits => signed(bits, (a, b) => toSigned(bits, a + b))),
    ...row('psubs', 'b w', bits => signed(bits, (a, b) => toSigned(bits, a - b))),
    ...row('paddus', 'b w', bits => unsigned(bits, (a, b) => toUnsigned(bits, a + b))),
    ...row('psubus', 'b w', bits => unsigned(bits, (a, b) => toUnsigned(bits, a - b))),
    ...row('pavg', 'b w', bits => unsigned(bits, (a, b) => (a + b + 1n) >> 1n)),
    ...row('pcmpeq', 'b w d', bits => unsigned(bits, (a, b) => (a === b ? -1n : 0n))),
    ...row('pcmpgt', 'b w d', bits => signed(bits, (a, b) => (a > b ? -1n : 0n))),
    ...row(
      'psll',
      'w d q',
      shift((lane, by) => lane << by),
    ),
    ...row(
      'psrl',
      'w d q',
      shift((lane, by) => lane >> by),
    ),
    ...row(
      'psra',
      'w d',
      shift((lane, by, bits) => BigInt.asIntN(bits, lane) >> by),
    ),
  ]),
  pmullw: signed(16, (a, b) => a * b),
  pmulhw: signed(16, (a, b) => (a * b) >> 16n),
  pmulhuw: unsigned(16, (a, b) => (a * b) >> 16n),
  pmuludq: (a, b) => (a & DWORD) * (b & DWORD),
  pmaddwd,
  psadbw,
  pminub: unsigned(8, least),
  pmaxub: unsigned(8, most),
  pminsw: signed(16, least),
  pmaxsw: signed(16, most),
  pand: (a, b) => a & b,
  pandn: (a, b) => ~a & b,
  por: (a, b) => a | b,
  pxor: (a, b) => a ^ b,
  packsswb: pack(16, toSigned),
  packssdw: pack(32, toSigned),
  packuswb: pack(16, toUnsigned),
  punpcklbw: unpack(8, false),
  punpcklwd: unpack(16, false),
  punpckldq: unpack(32, false),
  punpckhbw: unpack(8, true),
  punpckhwd: unpack(16, true),
  punpckhdq: unpack(32, true),
};

const registerAt = (insn: Insn, n: number): number | undefined => {
  const operand = insn.operands[n];
  return operand?.kind === 'mm' ? X87_AT + 16 * operand.reg : undefined;
};
/** Operand n: an mm register, or what readOperand reads. */
function read(cpu: Cpu, insn: Insn, n: number): bigint {
  const at = registerAt(insn, n);
  return at === undefined ? readOperand(cpu, insn, n) : cpu.hidden.get(at);
}
function write(cpu: Cpu, insn: Insn, n: number, value: bigint): void {
  const at = registerAt(insn, n);
  if (at === undefined) writeOperand(cpu, insn, n, value);
  else {
    cpu.hidden.set(at, value);
    cpu.hidden.set(at + 8, 0xffffn);
  }
}
const TOP = 0x3800n;
const ALL_TAKEN = 0xffn;
/** The x87 unit is the MMX unit from now on. */
function enter(cpu: Cpu): void {
  cpu.set(REG.fsw!, cpu.get(REG.fsw!) & ~TOP);
  cpu.hidden.set(HIDDEN_STATE.ftw, ALL_TAKEN);
}

/** An instruction with an mm register; what it does may fault, but changes nothing then. */
const does = (op: string, need: (cpu: Cpu) => void, work: (cpu: Cpu, insn: Insn) => void): SystemOp => ({
  op,
  run(cpu, insn) {
    need(cpu);
    raisePending(cpu);
    work(cpu, insn);
    enter(cpu);
    return undefined;
  },
});
const moves = (op: string): SystemOp => does(op, needState, (cpu, insn) => write(cpu, insn, 0, read(cpu, insn, 1)));

const immediate = (cpu: Cpu, insn: Insn): number => Number(readOperand(cpu, insn, 2) & 0xffn);
function pshufw(cpu: Cpu, insn: Insn): void {
  const lanes = split(16, read(cpu, insn, 1));
  const order = immediate(cpu, insn);
  write(
    cpu,
    insn,
    0,
    join(
      16,
      [0, 2, 4, 6].map(at => lanes[(order >> at) & 3]!),
    ),
  );
}
function pinsrw(cpu: Cpu, insn: Insn): void {
  const lanes = split(16, read(cpu, insn, 0));
  lanes[immediate(cpu, insn) & 3] = readOperand(cpu, insn, 1);
  write(cpu, insn, 0, join(16, lanes));
}
const pextrw = (cpu: Cpu, insn: Insn): void =>
  write(cpu, insn, 0, split(16, read(cpu, insn, 1))[immediate(cpu, insn) & 3]!);
const pmovmskb = (cpu: Cpu, insn: Insn): void =>
  write(
    cpu,
    insn,
    0,
    split(8, read(cpu, insn, 1)).reduce((mask, byte, n) => mask | ((byte >> 7n) << BigInt(n)), 0n),
  );
/** Stores the bytes whose mask has its top bit set, at [rdi]. All eight must be writable, as for maskmovdqu. */
function maskmovq(cpu: Cpu, insn: Insn): void {
  enter(cpu); // even where it faults: so an AMD EPYC
  const to = memoryAt(cpu, insn, 2);
  cpu.load(to, 8, ACCESS.write);
  const mask = split(8, read(cpu, insn, 1));
  for (const [n, byte] of split(8, read(cpu, insn, 0)).entries())
    if (mask[n]! & 0x80n) cpu.store(BigInt.asUintN(64, to + BigInt(n)), 1, byte);
}

const xmmAt = (insn: Insn, n: number): number => {
  const operand = insn.operands[n];
  if (operand?.kind !== 'xmm') throw new Error(`internal error: operand ${n} of ${insn.op} is an xmm register`);
  return XMM_AT + 16 * operand.reg;
};
function movq2dq(cpu: Cpu, insn: Insn): void {
  cpu.hidden.set(xmmAt(insn, 0), read(cpu, insn, 1));
  cpu.hidden.set(xmmAt(insn, 0) + 8, 0n);
}
const movdq2q = (cpu: Cpu, insn: Insn): void => write(cpu, insn, 0, cpu.hidden.get(xmmAt(insn, 1)));

/**
 * Conversions are SSE: they may raise #XM, and are MMX instructions by then. One that has its integers in memory is none
 * at all: so an AMD EPYC, while SDM 2A says for cvtpi2ps that it is one.
 */
const converts = (op: string, work: (cpu: Cpu, insn: Insn, mode: Mode) => void): SystemOp => ({
  op,
  run(cpu, insn) {
    needSse(cpu);
    if (insn.operands.some(o => o.kind === 'mm')) raisePending(cpu);
    work(cpu, insn, modeNow(cpu));
    return undefined;
  },
});
/** Two dwords to two floats in an xmm register; the rest of it stays. */
const fromDwords = (op: string, to: FloatBytes): SystemOp =>
  converts(op, (cpu, insn, mode) => {
    const lanes = split(32, read(cpu, insn, 1)).map(n => fromInt(to, BigInt.asIntN(32, n), mode));
    if (registerAt(insn, 1) !== undefined) enter(cpu);
    const [low, high] = settled(cpu, mode, lanes) as [bigint, bigint];
    const at = xmmAt(insn, 0);
    cpu.hidden.set(at, to === 8 ? low : low | (high << 32n));
    if (to === 8) cpu.hidden.set(at + 8, high);
  });
/** Two floats, in an xmm register or in memory, to two dwords. */
const toDwords = (op: string, from: FloatBytes, truncate: boolean): SystemOp =>
  converts(op, (cpu, insn, mode) => {
    const lanes = floatsOf(cpu, insn, from).map(bits => toInt(from, 4, bits, mode, truncate));
    enter(cpu);
    write(cpu, insn, 0, join(32, settled(cpu, mode, lanes)));
  });
function floatsOf(cpu: Cpu, insn: Insn, bytes: FloatBytes): bigint[] {
  const isMemory = insn.operands[1]?.kind === 'mem';
  const at = isMemory ? memoryAt(cpu, insn, 1) : 0n;
  if (isMemory && bytes === 8 && at & 15n) throw invalid();
  const word = (n: number): bigint =>
    isMemory ? cpu.load(BigInt.asUintN(64, at + BigInt(8 * n)), 8) : cpu.hidden.get(xmmAt(insn, 1) + 8 * n);
  return bytes === 8 ? [word(0), word(1)] : split(32, word(0));
}

export const MMX_FAMILY: Family = {
  system: [
    ...Object.entries(BINARY).map(([op, f]) =>
      does(op, needState, (cpu, insn) => {
        const b = read(cpu, insn, 1);
        write(cpu, insn, 0, f(read(cpu, insn, 0), b));
      }),
    ),
    ...['movd', 'movq', 'movntq'].map(moves),
    does('pshufw', needState, pshufw),
    does('pinsrw', needState, pinsrw),
    does('pextrw', needState, pextrw),
    does('pmovmskb', needState, pmovmskb),
    does('maskmovq', needState, maskmovq),
    does('movq2dq', needSse, movq2dq),
    does('movdq2q', needSse, movdq2q),
    fromDwords('cvtpi2ps', 4),
    fromDwords('cvtpi2pd', 8),
    toDwords('cvtps2pi', 4, false),
    toDwords('cvttps2pi', 4, true),
    toDwords('cvtpd2pi', 8, false),
    toDwords('cvttpd2pi', 8, true),
    {
      op: 'emms',
      run(cpu) {
        needState(cpu);
        raisePending(cpu);
        enter(cpu);
        cpu.hidden.set(HIDDEN_STATE.ftw, 0n);
        return undefined;
      },
    },
  ],
};
