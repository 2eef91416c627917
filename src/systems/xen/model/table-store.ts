/**
 * A store into a page table that the guest may write (ptwr): the page is mapped read-only, the store faults, and Xen does
 * it after it checked the entry (pv/ro-page-fault.c). In life Xen's instruction emulator finds out what would have been
 * stored; here that is the table below, with the forms that kernels and compilers use for page tables. A form that is not
 * in it ends the run by its name.
 */
import type { Vaddr } from '../../../base/brand.js';
import { REG } from '../../../isa/x86_64.js';
import { VECTOR } from '../../../machine/x86/fault.js';
import type { Insn, MemOperand } from '../../../machine/x86/insn.js';
import { addressOf, type Bytes, readOperand, writeRegister } from '../../../machine/x86/operands.js';
import { injectFault } from './faults.js';
import type { Xen } from './xen.js';

/** What an instruction would store, and what else it does once it has. */
interface Store {
  readonly value: bigint;
  /** Compare and exchange: what must be there. Locked forms and xchg. */
  readonly expected?: bigint;
  /** Nothing is stored: a compare that failed. */
  readonly skip?: true;
  after?(): void;
}
/** `old` is what is at the address now, `source` the second operand. Both zero-extended. */
interface Operands {
  readonly xen: Xen;
  readonly insn: Insn;
  readonly bytes: Bytes;
  readonly old: bigint;
  readonly source: bigint;
}
const FLAG = { CF: 1n, PF: 4n, AF: 0x10n, ZF: 0x40n, SF: 0x80n, DF: 0x400n, OF: 0x800n } as const;
const setFlags = ({ cpu }: Xen, mask: bigint, set: bigint): void =>
  cpu.set(REG.rflags!, (cpu.get(REG.rflags!) & ~mask) | set);
/** A locked form stores only if nobody else did meanwhile. */
const ifLocked = (insn: Insn, old: bigint): { expected?: bigint } => (insn.lock ? { expected: old } : {});

const STATUS = FLAG.CF | FLAG.PF | FLAG.AF | FLAG.ZF | FLAG.SF | FLAG.OF;
const top = (bytes: Bytes, value: bigint): bigint => (value >> BigInt(8 * bytes - 1)) & 1n;
/** What a result says of itself: ZF, SF, and PF of its low byte. */
function resultFlags(bytes: Bytes, value: bigint): bigint {
  let ones = 0;
  for (let low = Number(value & 0xffn); low; low &= low - 1) ones++;
  return (value === 0n ? FLAG.ZF : 0n) | (top(bytes, value) && FLAG.SF) | (ones % 2 === 0 ? FLAG.PF : 0n);
}
/** a + b + carry or a - b - carry, and all six flags of it: each bit's carry out is the one into the next (SDM 1, 3.4.3.1). */
function sum(bytes: Bytes, sign: 1 | -1, a: bigint, b: bigint, carry = 0n): { value: bigint; flags: bigint } {
  const value = BigInt.asUintN(8 * bytes, sign > 0 ? a + b + carry : a - b - carry);
  const from = sign > 0 ? a : BigInt.asUintN(8 * bytes, ~a);
  const carries = (from & b) | ((from | b) & (sign > 0 ? ~value : value));
  const overflow = (a ^ value) & (sign > 0 ? b ^ value : a ^ b);
  const flags = (top(bytes, carries) && FLAG.CF) | (carries & 8n && FLAG.AF) | (top(bytes, overflow) && FLAG.OF);
  return { value, flags: flags | resultFlags(bytes, value) };
}

/** and, or, xor: CF, OF and AF cleared, the rest from the result (SDM 2A). */
const logic =
  (combine: (a: bigint, b: bigint) => bigint) =>
  ({ xen, insn, bytes, old, source }: Operands): Store => {
    const value = BigInt.asUintN(8 * bytes, combine(old, source));
    return { value, ...ifLocked(insn, old), after: () => setFlags(xen, STATUS, resultFlags(bytes, value)) };
  };
/** add, sub, adc, sbb; inc and dec, which add one and keep CF; neg, which subtracts from nothing. */
const arithmetic =
  (sign: 1 | -1, what: { carry?: true; one?: true; negate?: true } = {}) =>
  ({ xen, insn, bytes, old, source }: Operands): Store => {
    const carry = what.carry ? xen.cpu.get(REG.rflags!) & FLAG.CF : 0n;
    const { value, flags } = what.negate
      ? sum(bytes, -1, 0n, old)
      : sum(bytes, sign, old, what.one ? 1n : source, carry);
    const mask = what.one ? STATUS & ~FLAG.CF : STATUS;
    return { value, ...ifLocked(insn, old), after: () => setFlags(xen, mask, flags & mask) };
  };
/** bts, btr, btc with a bit inside the operand: CF is what the bit was. */
const bit =
  (combine: (a: bigint, bit: bigint) => bigint) =>
  ({ xen, insn, bytes, old, source }: Operands): Store => {
    const mask = 1n << (source & BigInt(8 * bytes - 1));
    return {
      value: combine(old, mask),
      ...ifLocked(insn, old),
      after: () => setFlags(xen, FLAG.CF, old & mask ? FLAG.CF : 0n),
    };
  };

const STORES: Readonly<Record<string, (o: Operands) => Store>> = {
  mov: ({ source }) => ({ value: source }),
  and: logic((a, b) => a & b),
  or: logic((a, b) => a | b),
  xor: logic((a, b) => a ^ b),
  not: ({ insn, bytes, old }) => ({ value: BigInt.asUintN(8 * bytes, ~old), ...ifLocked(insn, old) }),
  add: arithmetic(1),
  sub: arithmetic(-1),
  adc: arithmetic(1, { carry: true }),
  sbb: arithmetic(-1, { carry: true }),
  inc: arithmetic(1, { one: true }),
  dec: arithmetic(-1, { one: true }),
  neg: arithmetic(-1, { negate: true }),
  bts: bit((a, b) => a | b),
  btr: bit((a, b) => a & ~b),
  btc: bit((a, b) => a ^ b),
  xchg: ({ xen, insn, bytes, old, source }) => ({
    value: source,
    expected: old,
    after: () => writeRegister(xen.cpu, registerIn(insn), bytes, old),
  }),
  xadd: ({ xen, insn, bytes, old, source }) => {
    const { value, flags } = sum(bytes, 1, old, source);
    const after = (): void => {
      writeRegister(xen.cpu, registerIn(insn), bytes, old);
      setFlags(xen, STATUS, flags);
    };
    return { value, ...ifLocked(insn, old), after };
  },
  cmpxchg: ({ xen, bytes, old, source }) => {
    const wanted = BigInt.asUintN(8 * bytes, xen.cpu.get(REG.rax!));
    const same = old === wanted;
    const after = (): void => {
      if (!same) writeRegister(xen.cpu, REG.rax!, bytes, old);
      setFlags(xen, STATUS, sum(bytes, -1, wanted, old).flags);
    };
    return same ? { value: source, expected: old, after } : { value: old, skip: true, after };
  },
  movs: ({ xen, insn, bytes }) => {
    const from = insn.operands[1] as MemOperand;
    const value = readOperand(xen.cpu, insn, 1);
    return { value, after: () => advance(xen, bytes, from.base) };
  },
  stos: ({ bytes, source }) => ({ value: BigInt.asUintN(8 * bytes, source) }),
};
const STRINGS = new Set(['movs', 'stos']);
const registerIn = (insn: Insn): number => {
  const operand = insn.operands.find(o => o.kind === 'reg');
  return operand?.kind === 'reg' ? operand.reg : REG.rax!;
};
function advance({ cpu }: Xen, bytes: number, register: number): void {
  const down = (cpu.get(REG.rflags!) & FLAG.DF) !== 0n;
  cpu.set(register, cpu.get(register) + BigInt(down ? -bytes : bytes));
}

/** The write at pc faulted at `cr2`, where a page table is mapped. True when it is done, or another fault came of it. */
export function storeToTable(xen: Xen, cr2: Vaddr): boolean {
  const { cpu, mm } = xen;
  const insn = cpu.instruction();
  const position = insn?.operands.findIndex(o => o.kind === 'mem') ?? -1;
  const operand = insn?.operands[position];
  if (!insn || operand?.kind !== 'mem') return false;
  const bytes = (operand.bytes || insn.size) as Bytes;
  const at = addressOf(cpu, insn, operand, cpu.machine.pc + BigInt(insn.length));
  const make = STORES[insn.op];
  const plain = position === 0 || insn.op === 'xchg';
  if (!make || !plain || ![1, 2, 4, 8].includes(bytes) || high(insn)) {
    xen.stop({ how: 'killed', reason: `not implemented: a store into a page table by ${insn.op}` });
    return true;
  }
  const old = xen.copyFrom(at, bytes);
  if (!old) return false;
  const ready = cpu.attempt((): Store => {
    const other = insn.operands.length > 1 && !STRINGS.has(insn.op) ? 1 - position : undefined;
    const source = insn.op === 'stos' ? cpu.get(REG.rax!) : other === undefined ? 0n : readOperand(cpu, insn, other);
    return make({ xen, insn, bytes, old: number(old), source: BigInt.asUintN(8 * bytes, source) });
  });
  if ('kind' in ready) {
    if (ready.kind === 'trap') injectFault(xen, ready.trap);
    return ready.kind === 'trap';
  }
  if (!ready.skip) {
    const { value, expected } = ready;
    const answer = mm.ptwr({ cr2, at, bytes, value, ...(expected === undefined ? {} : { expected }) });
    if (answer === 'unhandled') return false;
    if (answer !== 'done') {
      // A compare that failed is tried again: the entry changed since it was read.
      if ('fault' in answer)
        injectFault(xen, { vector: VECTOR.page, code: 0, address: answer.fault as Vaddr, kind: 'fault' });
      return true;
    }
  }
  ready.after?.();
  finish(xen, insn, bytes);
  return true;
}
/** Behind the instruction, or, of a repeated one, at its next element. */
function finish(xen: Xen, insn: Insn, bytes: number): void {
  const { cpu } = xen;
  if (STRINGS.has(insn.op)) {
    advance(xen, bytes, REG.rdi!);
    if (insn.rep) {
      const left = BigInt.asUintN(64, cpu.get(REG.rcx!) - 1n);
      cpu.set(REG.rcx!, left);
      if (left !== 0n) return;
    }
  }
  const behind = cpu.retire(insn.length);
  if (behind?.kind === 'trap') xen.afterwards = behind.trap;
}
const number = (bytes: Uint8Array): bigint => bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
/** ah, ch, dh and bh: nobody writes page tables with them. */
const high = (insn: Insn): boolean => insn.operands.some(o => o.kind === 'reg' && o.high);
