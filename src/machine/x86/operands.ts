/** The operands of a SystemOp: addresses, and values read and written with the checks of the current privilege. */
import { assert } from '../../base/assert.js';
import { REG } from '../../isa/x86_64.js';
import type { Cpu } from './cpu.js';
import type { Insn, MemOperand, Operand } from './insn.js';

export type Bytes = 1 | 2 | 4 | 8;
const SEGMENT_BASE = { 4: REG.fs_base!, 5: REG.gs_base! } as const;
/** Register numbers of es, cs, ss, ds, fs, gs, in the order of their encoding. */
export const SEGMENTS: readonly number[] = [REG.es!, REG.cs!, REG.ss!, REG.ds!, REG.fs!, REG.gs!];

/** The virtual address of a memory operand; `next` is the address behind its instruction. */
export function addressOf(cpu: Cpu, insn: Insn, memory: MemOperand, next = cpu.next): bigint {
  const { base, index, scale, disp, segment } = memory;
  const from = base < 0 ? 0n : base === 16 ? next : cpu.get(base);
  const sum = from + (index < 0 ? 0n : cpu.get(index) * BigInt(scale)) + disp;
  const segmentBase = segment === -1 ? 0n : cpu.get(SEGMENT_BASE[segment]);
  return BigInt.asUintN(64, segmentBase + BigInt.asUintN(8 * insn.addressBytes, sum));
}
/** The address of operand n, which is memory. */
export function memoryAt(cpu: Cpu, insn: Insn, n = 0): bigint {
  const operand = insn.operands[n];
  assert(operand?.kind === 'mem', `operand ${n} of ${insn.op} is memory`);
  return addressOf(cpu, insn, operand);
}
function widthOf(operand: Operand, insn: Insn): Bytes {
  const bytes = 'bytes' in operand && operand.bytes > 0 ? operand.bytes : insn.size;
  assert(bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8, `an operand of ${insn.op} is a word`);
  return bytes;
}

/** The value of operand n, zero-extended: a general or segment register, memory or an immediate. */
export function readOperand(cpu: Cpu, insn: Insn, n: number): bigint {
  const operand = insn.operands[n];
  switch (operand?.kind) {
    case 'reg':
      return BigInt.asUintN(8 * operand.bytes, operand.high ? cpu.get(operand.reg) >> 8n : cpu.get(operand.reg));
    case 'seg':
      return cpu.get(SEGMENTS[operand.reg]!) & 0xffffn;
    case 'imm':
      return operand.value;
    case 'mem':
      return cpu.load(addressOf(cpu, insn, operand), widthOf(operand, insn));
  }
  throw new Error(`internal error: operand ${n} of ${insn.op} is not to be read`);
}
/** Writes operand n: a general register or memory. */
export function writeOperand(cpu: Cpu, insn: Insn, n: number, value: bigint): void {
  const operand = insn.operands[n];
  if (operand?.kind === 'mem') cpu.store(addressOf(cpu, insn, operand), widthOf(operand, insn), value);
  else if (operand?.kind === 'reg') writeRegister(cpu, operand.reg, operand.bytes, value);
  else throw new Error(`internal error: operand ${n} of ${insn.op} is not to be written`);
}
/** A 32-bit write clears the upper half, narrower ones keep the rest (SDM 1, 3.4.1.1). */
export function writeRegister(cpu: Cpu, reg: number, bytes: Bytes, value: bigint): void {
  const low = BigInt.asUintN(8 * bytes, value);
  const kept = bytes >= 4 ? 0n : cpu.get(reg) & ~((1n << BigInt(8 * bytes)) - 1n);
  cpu.set(reg, kept | low);
}
