/**
 * The state of the x87, MMX and SSE units: enough for a kernel that initializes, saves and restores it. Their arithmetic is
 * not here. The layout in memory is in hidden.ts; fcw, fsw and mxcsr are registers. SDM 1, 8.1 and 10.5.1; SDM 2A, FXSAVE.
 *
 *   fxsave image    0 fcw   2 fsw   4 ftw (abridged)   6 fop   8 fip   16 fdp   24 mxcsr   28 mxcsr mask
 *                  32 st0 ... st7, 16 bytes each       160 xmm0 ... xmm15          416 not written
 *
 *   fsw   15   13   11 10  9  8  7 ... 0
 *        | B | C3 | TOP   |C2|C1|C0| ES, SF, exceptions |       st(n) is physical register (TOP + n) mod 8
 */
import { REG } from '../../isa/x86_64.js';
import { CR0, CR4 } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import { HIDDEN_STATE, X87_AT, XMM_AT } from './hidden.js';
import type { Insn } from './insn.js';
import { memoryAt, readOperand, writeOperand } from './operands.js';
import { type Family, GuestFault, type SystemOp } from './semantics.js';
import { invalid } from './system-control.js';

const IMAGE_X87 = 32n;
const IMAGE_XMM = 160n;
/** Bits of mxcsr that exist; DAZ does (SDM 1, 10.2.3). */
const MXCSR_MASK = 0xffffn;
const FCW_INITIAL = 0x37fn;
const FCW_BITS = 0x1f3fn;
const FCW_FIXED = 0x40n;
/** ES, stack fault, exceptions, and B: what fnclex clears. */
const FSW_EXCEPTIONS = 0x80ffn;
const TOP = 0x3800n;

const notAvailable = (): GuestFault => new GuestFault(VECTOR.noDevice);
/** x87: #NM when there is no unit, or it holds another task's state (SDM 3A, 2.5, EM and TS). */
function needX87(cpu: Cpu): void {
  if (cpu.get(REG.cr0!) & (CR0.EM | CR0.TS)) throw notAvailable();
}
/** MMX and fxsave: without a unit they do not exist. */
function needState(cpu: Cpu): void {
  const cr0 = cpu.get(REG.cr0!);
  if (cr0 & CR0.EM) throw new GuestFault(VECTOR.invalidOpcode);
  if (cr0 & CR0.TS) throw notAvailable();
}
function needSse(cpu: Cpu): void {
  if (!(cpu.get(REG.cr4!) & CR4.OSFXSR)) throw new GuestFault(VECTOR.invalidOpcode);
  needState(cpu);
}

const plus = (at: bigint, bytes: bigint): bigint => BigInt.asUintN(64, at + bytes);
const topOf = (fsw: bigint): number => Number((fsw & TOP) >> 11n);
const physical = (fsw: bigint, n: number): number => X87_AT + 16 * ((topOf(fsw) + n) & 7);
function checkImage(cpu: Cpu, insn: Insn): bigint {
  needState(cpu);
  const at = memoryAt(cpu, insn);
  if (at & 15n) throw invalid();
  return at;
}

function fxsave(cpu: Cpu, insn: Insn): undefined {
  const at = checkImage(cpu, insn);
  const { hidden } = cpu;
  const [fsw, isWide] = [cpu.get(REG.fsw!), insn.size === 8];
  cpu.store(at, 2, cpu.get(REG.fcw!));
  cpu.store(plus(at, 2n), 2, fsw);
  cpu.store(plus(at, 4n), 2, hidden.get(HIDDEN_STATE.ftw)); // and a reserved byte
  cpu.store(plus(at, 6n), 2, hidden.get(HIDDEN_STATE.fop));
  // Without REX.W: 32-bit offsets with selectors, which are 0 as on processors that keep none (SDM 2A, FXSAVE).
  const pointer = (value: bigint): bigint => (isWide ? value : value & 0xffff_ffffn);
  cpu.store(plus(at, 8n), 8, pointer(hidden.get(HIDDEN_STATE.fip)));
  cpu.store(plus(at, 16n), 8, pointer(hidden.get(HIDDEN_STATE.fdp)));
  cpu.store(plus(at, 24n), 4, cpu.get(REG.mxcsr!));
  cpu.store(plus(at, 28n), 4, MXCSR_MASK);
  for (let n = 0; n < 8; n++) {
    const to = plus(at, IMAGE_X87 + BigInt(16 * n));
    cpu.store(to, 8, hidden.get(physical(fsw, n)));
    cpu.store(plus(to, 8n), 8, hidden.get(physical(fsw, n) + 8) & 0xffffn);
  }
  for (let n = 0; n < 32; n++) cpu.store(plus(at, IMAGE_XMM + BigInt(8 * n)), 8, hidden.get(XMM_AT + 8 * n));
}
function fxrstor(cpu: Cpu, insn: Insn): undefined {
  const at = checkImage(cpu, insn);
  const { hidden } = cpu;
  // All loads first: nothing changes when one faults.
  const words = Array.from({ length: 52 }, (_, n) => cpu.load(plus(at, BigInt(8 * n)), 8));
  const mxcsr = words[3]! & 0xffff_ffffn;
  if (mxcsr & ~MXCSR_MASK) throw invalid();
  const fsw = (words[0]! >> 16n) & 0xffffn;
  const pointer = (value: bigint): bigint => (insn.size === 8 ? value : value & 0xffff_ffffn);
  cpu.set(REG.fcw!, (words[0]! & FCW_BITS) | FCW_FIXED);
  cpu.set(REG.fsw!, fsw);
  cpu.set(REG.mxcsr!, mxcsr);
  hidden.set(HIDDEN_STATE.ftw, (words[0]! >> 32n) & 0xffn);
  hidden.set(HIDDEN_STATE.fop, (words[0]! >> 48n) & 0x7ffn);
  hidden.set(HIDDEN_STATE.fip, pointer(words[1]!));
  hidden.set(HIDDEN_STATE.fdp, pointer(words[2]!));
  for (let n = 0; n < 8; n++) {
    hidden.set(physical(fsw, n), words[4 + 2 * n]!);
    hidden.set(physical(fsw, n) + 8, words[5 + 2 * n]! & 0xffffn);
  }
  for (let n = 0; n < 32; n++) hidden.set(XMM_AT + 8 * n, words[20 + n]!);
}
function fninit(cpu: Cpu): void {
  needX87(cpu);
  cpu.set(REG.fcw!, FCW_INITIAL);
  cpu.set(REG.fsw!, 0n);
  for (const at of [HIDDEN_STATE.ftw, HIDDEN_STATE.fop, HIDDEN_STATE.fip, HIDDEN_STATE.fdp]) cpu.hidden.set(at, 0n);
}

const does = (op: string, need: (cpu: Cpu) => void, what: (cpu: Cpu, insn: Insn) => void): SystemOp => ({
  op,
  run: (cpu, insn) => {
    need(cpu);
    what(cpu, insn);
    return undefined;
  },
});
const nothing = (): void => {};

export const VECTOR_FAMILY: Family = {
  system: [
    { op: 'fxsave', run: fxsave },
    { op: 'fxrstor', run: fxrstor },
    does('ldmxcsr', needSse, (cpu, insn) => {
      const value = readOperand(cpu, insn, 0);
      if (value & ~MXCSR_MASK) throw invalid();
      cpu.set(REG.mxcsr!, value);
    }),
    does('stmxcsr', needSse, (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.mxcsr!))),
    does('fninit', nothing, fninit),
    does('fnclex', needX87, cpu => cpu.set(REG.fsw!, cpu.get(REG.fsw!) & ~FSW_EXCEPTIONS)),
    does('fnstcw', needX87, (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.fcw!))),
    does('fnstsw', needX87, (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.fsw!))),
    does('fldcw', needX87, (cpu, insn) => cpu.set(REG.fcw!, (readOperand(cpu, insn, 0) & FCW_BITS) | FCW_FIXED)),
    does('emms', needState, cpu => cpu.hidden.set(HIDDEN_STATE.ftw, 0n)),
    // No exception is ever pending: no arithmetic raises one.
    does(
      'wait',
      cpu => {
        const cr0 = cpu.get(REG.cr0!);
        if (cr0 & CR0.MP && cr0 & CR0.TS) throw notAvailable();
      },
      nothing,
    ),
  ],
};
