/**
 * The x87 instructions that move the state of the unit instead of numbers. SDM 1, 8.1.10; SDM 2A, FSTENV, FSAVE. Those
 * named fn... do not wait: an exception may be pending, and stays so.
 *
 *   the environment, 28 bytes in 64-bit mode                    with prefix 66, 14 bytes
 *
 *     0 fcw    4 fsw    8 tags    (each with ffff above it)       0 fcw   2 fsw   4 tags
 *    12 fip, low 32 bits           16 cs selector, fop << 16       6 fip, low 16 bits    8 cs selector
 *    20 fdp, low 32 bits           24 ds selector                 10 fdp, low 16 bits   12 ds selector
 *
 *   fsave puts st0 ... st7 behind it, 10 bytes each. Selectors are 0, as on processors that keep none.
 *
 *   The tag word has two bits a physical register: 0 a number, 1 zero, 2 special (denormal, infinity, NaN), 3 empty.
 */
import { assert } from '../../base/assert.js';
import { ACCESS } from '../engine/fault.js';
import type { Cpu } from './cpu.js';
import { HIDDEN_STATE } from './hidden.js';
import type { Insn } from './insn.js';
import { memoryAt, readOperand, writeOperand } from './operands.js';
import type { Family, SystemOp } from './semantics.js';
import { decodeExtended } from './x87-format.js';
import { FCW_BITS, FCW_FIXED, FCW_INITIAL, needForWait, needX87 } from './x87-state.js';
import { raisePending, X87 } from './x87-unit.js';

/** Exceptions, stack fault, ES, and B: what fnclex clears. */
const FSW_EXCEPTIONS = 0x80ff;
const EXCEPTIONS = 0x3f;
const EMPTY = 3;

/** An instruction that waits, or (fn...) does not. */
const does = (op: string, what: (unit: X87, cpu: Cpu, insn: Insn) => void): SystemOp => ({
  op,
  run(cpu, insn) {
    needX87(cpu);
    if (!op.startsWith('fn') || op === 'fnop') raisePending(cpu);
    const unit = new X87(cpu);
    what(unit, cpu, insn);
    unit.commit();
    return undefined;
  },
});

function initialize(unit: X87, cpu: Cpu): void {
  unit.fcw = Number(FCW_INITIAL);
  unit.fsw = 0;
  unit.ftw = 0;
  for (const at of [HIDDEN_STATE.fop, HIDDEN_STATE.fip, HIDDEN_STATE.fdp]) cpu.hidden.set(at, 0n);
}
const setControl = (unit: X87, fcw: bigint): void => {
  unit.fcw = Number((fcw & FCW_BITS) | FCW_FIXED);
};

/** The full tag word; the unit itself keeps one bit a register. */
function tagWord(unit: X87): number {
  let tags = 0;
  for (let n = 0; n < 8; n++) tags |= tagOf(unit, n) << (2 * ((unit.top + n) & 7));
  return tags;
}
function tagOf(unit: X87, n: number): number {
  if (unit.isEmpty(n)) return EMPTY;
  const v = decodeExtended(unit.bits(n));
  return v.kind === 'zero' ? 1 : v.kind === 'finite' && !v.denormal ? 0 : 2;
}
const abridged = (tags: number): number =>
  [0, 1, 2, 3, 4, 5, 6, 7].reduce((ftw, n) => ftw | (((tags >> (2 * n)) & EMPTY) === EMPTY ? 0 : 1 << n), 0);

/** Words of the environment, each so many bytes. */
const wordBytes = (insn: Insn): 2 | 4 => (insn.size === 2 ? 2 : 4);
const ENVIRONMENT_WORDS = 7;
const plus = (at: bigint, bytes: number): bigint => BigInt.asUintN(64, at + BigInt(bytes));

function environment(unit: X87, cpu: Cpu, bytes: 2 | 4): bigint[] {
  const word = (at: number): bigint => cpu.hidden.get(at);
  const above = bytes === 4 ? 0xffff_0000n : 0n;
  const fop = bytes === 4 ? word(HIDDEN_STATE.fop) << 16n : 0n;
  return [
    BigInt(unit.fcw) | above,
    BigInt(unit.fsw) | above,
    BigInt(tagWord(unit)) | above,
    word(HIDDEN_STATE.fip),
    fop,
    word(HIDDEN_STATE.fdp),
    above,
  ].map(n => BigInt.asUintN(8 * bytes, n));
}
function setEnvironment(unit: X87, cpu: Cpu, words: readonly bigint[], bytes: 2 | 4): void {
  const [fcw, fsw, tags, fip, selector, fdp] = words as [bigint, bigint, bigint, bigint, bigint, bigint];
  setControl(unit, fcw);
  unit.fsw = Number(fsw & 0xffffn);
  unit.ftw = abridged(Number(tags & 0xffffn));
  cpu.hidden.set(HIDDEN_STATE.fip, fip);
  cpu.hidden.set(HIDDEN_STATE.fop, bytes === 4 ? (selector >> 16n) & 0x7ffn : 0n);
  cpu.hidden.set(HIDDEN_STATE.fdp, fdp);
}
/** Writes all of it or nothing: the pages it lies on are looked at first. */
function storeAll(cpu: Cpu, at: bigint, pieces: readonly (readonly [bytes: 2 | 4 | 8, value: bigint])[]): void {
  const total = pieces.reduce((sum, [bytes]) => sum + bytes, 0);
  for (const last of [0, total - 1]) cpu.load(plus(at, last), 1, ACCESS.write);
  let offset = 0;
  for (const [bytes, value] of pieces) {
    cpu.store(plus(at, offset), bytes, value);
    offset += bytes;
  }
}
const loadWords = (cpu: Cpu, at: bigint, bytes: 2 | 4): bigint[] =>
  Array.from({ length: ENVIRONMENT_WORDS }, (_, n) => cpu.load(plus(at, n * bytes), bytes));

function fnstenv(unit: X87, cpu: Cpu, insn: Insn): void {
  const bytes = wordBytes(insn);
  storeAll(
    cpu,
    memoryAt(cpu, insn),
    environment(unit, cpu, bytes).map(word => [bytes, word]),
  );
  unit.fcw |= EXCEPTIONS;
}
function fldenv(unit: X87, cpu: Cpu, insn: Insn): void {
  const bytes = wordBytes(insn);
  setEnvironment(unit, cpu, loadWords(cpu, memoryAt(cpu, insn), bytes), bytes);
}
function fnsave(unit: X87, cpu: Cpu, insn: Insn): void {
  const bytes = wordBytes(insn);
  const registers = [0, 1, 2, 3, 4, 5, 6, 7].flatMap(n => {
    const bits = unit.bits(n);
    return [[8, BigInt.asUintN(64, bits)] as const, [2, bits >> 64n] as const];
  });
  const words = environment(unit, cpu, bytes).map(word => [bytes, word] as const);
  storeAll(cpu, memoryAt(cpu, insn), [...words, ...registers]);
  initialize(unit, cpu);
}
function frstor(unit: X87, cpu: Cpu, insn: Insn): void {
  const bytes = wordBytes(insn);
  const at = memoryAt(cpu, insn);
  const words = loadWords(cpu, at, bytes);
  const registers = [0, 1, 2, 3, 4, 5, 6, 7].map(n => {
    const from = plus(at, ENVIRONMENT_WORDS * bytes + 10 * n);
    return cpu.load(from, 8) | (cpu.load(plus(from, 8), 2) << 64n);
  });
  setEnvironment(unit, cpu, words, bytes);
  const { ftw } = unit;
  for (const [n, bits] of registers.entries()) unit.put(n, bits);
  unit.ftw = ftw;
}

function ffree(unit: X87, _cpu: Cpu, { operands: [operand] }: Insn): void {
  assert(operand?.kind === 'st', 'ffree has a register');
  unit.free(operand.reg);
  unit.c1 = false;
}

export const X87_CONTROL_FAMILY: Family = {
  system: [
    {
      op: 'wait',
      run(cpu) {
        needForWait(cpu);
        raisePending(cpu);
        return undefined;
      },
    },
    does('fninit', initialize),
    does('fnclex', unit => {
      unit.fsw &= ~FSW_EXCEPTIONS;
    }),
    does('fnstcw', (unit, cpu, insn) => writeOperand(cpu, insn, 0, BigInt(unit.fcw))),
    does('fnstsw', (unit, cpu, insn) => writeOperand(cpu, insn, 0, BigInt(unit.fsw))),
    does('fldcw', (unit, cpu, insn) => setControl(unit, readOperand(cpu, insn, 0))),
    does('fnstenv', fnstenv),
    does('fldenv', fldenv),
    does('fnsave', fnsave),
    does('frstor', frstor),
    does('fincstp', unit => {
      unit.top++;
      unit.c1 = false;
    }),
    does('fdecstp', unit => {
      unit.top--;
      unit.c1 = false;
    }),
    does('ffree', ffree),
    does('ffreep', (unit, cpu, insn) => {
      ffree(unit, cpu, insn);
      unit.pop();
    }),
    does('fnop', () => {}),
    // Of the 8087 and 80287 only: they do nothing (SDM 3B, 22.18.9).
    does('fneni', () => {}),
    does('fndisi', () => {}),
    does('fnsetpm', () => {}),
  ],
};
