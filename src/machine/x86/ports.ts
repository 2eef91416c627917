/**
 * in, out, ins, outs. The processor checks that the guest may, reads what it writes out, and leaves the run; the host
 * looks at `exit.port` and finishes with completePort. SDM 1, 19.5 (I/O permission).
 */
import { assert } from '../../base/assert.js';
import { REG } from '../../isa/x86_64.js';
import type { Exit } from '../engine/exits.js';
import { ioplOf } from './control.js';
import type { Cpu } from './cpu.js';
import { HIDDEN_STATE } from './hidden.js';
import type { Insn, MemOperand } from './insn.js';
import { addressOf, readOperand, writeRegister } from './operands.js';
import type { Family, SystemOp } from './semantics.js';
import { invalid } from './system-control.js';

export interface PortAccess {
  readonly port: number;
  readonly bytes: 1 | 2 | 4;
  /** What the guest writes; undefined where it reads. */
  readonly value: number | undefined;
  /** ins and outs: the instruction, that moves on when this element is done. */
  readonly string: Insn | undefined;
}
/** The call exit of these instructions. pc is at the instruction. */
export interface PortExit {
  readonly kind: 'call';
  readonly name: string;
  readonly length: number;
  readonly port: PortAccess;
}
export const isPortExit = (exit: Exit): exit is PortExit => exit.kind === 'call' && 'port' in exit;

const IO_MAP_AT = 0x66n;
const DF = 0x400n;

/** IOPL allows all; otherwise the bits of all ports touched must be clear in the TSS's map. */
function checkPermission(cpu: Cpu, port: number, bytes: number): void {
  if (cpu.cpl <= ioplOf(cpu.get(REG.rflags!))) return;
  const [base, limit] = [cpu.hidden.get(HIDDEN_STATE.trBase), cpu.hidden.get(HIDDEN_STATE.trLimit)];
  if (limit < IO_MAP_AT + 1n) throw invalid();
  cpu.asSupervisor(() => {
    const at = cpu.load(BigInt.asUintN(64, base + IO_MAP_AT), 2) + BigInt(port >> 3);
    if (at + 1n > limit) throw invalid(); // two bytes are read always
    const map = Number(cpu.load(BigInt.asUintN(64, base + at), 2)) >> (port & 7);
    if (map & ((1 << bytes) - 1)) throw invalid();
  });
}
const memoryOf = (insn: Insn): MemOperand | undefined => insn.operands.find(o => o.kind === 'mem');
const sizeOf = (insn: Insn): 1 | 2 | 4 => {
  assert(insn.size !== 8, 'ports are four bytes wide at most');
  return insn.size;
};

/** `portAt`, `valueAt`: the operands that are the port and the value written. */
const accessing = (op: string, portAt: number, valueAt: number | undefined): SystemOp => ({
  op,
  run: (cpu, insn): PortExit | undefined => {
    if (insn.rep && BigInt.asUintN(8 * insn.addressBytes, cpu.get(REG.rcx!)) === 0n) return undefined;
    const port = Number(readOperand(cpu, insn, portAt) & 0xffffn);
    const bytes = sizeOf(insn);
    checkPermission(cpu, port, bytes);
    const value = valueAt === undefined ? undefined : Number(readOperand(cpu, insn, valueAt));
    const string = memoryOf(insn) && insn;
    return { kind: 'call', name: op, length: insn.length, port: { port, bytes, value, string } };
  },
});

/**
 * Finishes the instruction of a port exit, between runs: with the value read (its low bytes count); a write ignores it.
 * Of a repeated one this is one element: pc stays, and the run comes back with the next.
 * @returns a trap: a page fault where ins wanted to store (nothing has changed), a single-step trap; or nothing
 */
export function completePort(
  cpu: Cpu,
  { length, port: { bytes, value: written, string } }: PortExit,
  value: number,
): Exit | undefined {
  const read = BigInt(value >>> 0);
  if (!string) {
    if (written === undefined) writeRegister(cpu, REG.rax!, bytes, read);
    return cpu.retire(length);
  }
  const memory = memoryOf(string)!;
  if (written === undefined) {
    const failed = cpu.attempt(() => cpu.store(addressOf(cpu, string, memory), bytes, read));
    if (failed) return failed;
  }
  const step = cpu.get(REG.rflags!) & DF ? -BigInt(bytes) : BigInt(bytes);
  writeRegister(cpu, memory.base, string.addressBytes, cpu.get(memory.base) + step);
  if (!string.rep) return cpu.retire(length);
  const left = BigInt.asUintN(8 * string.addressBytes, cpu.get(REG.rcx!) - 1n);
  writeRegister(cpu, REG.rcx!, string.addressBytes, left);
  return left === 0n ? cpu.retire(length) : undefined;
}

export const PORTS: Family = {
  system: [
    accessing('in', 1, undefined),
    accessing('out', 0, 1),
    accessing('ins', 1, undefined),
    accessing('outs', 0, 1),
  ],
};
