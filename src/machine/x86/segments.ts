/**
 * Segments in 64-bit mode. Their bases and limits count for nothing there, except for those of fs and gs, the LDT and
 * the TSS; but a selector is still checked against its descriptor when it is loaded. SDM 3A, 3.4.5 and 5.6 to 5.8.
 *
 *   selector    15          3  2  1 0          rights, as the byte 47..40 of a descriptor
 *              | index       |TI| RPL |          7   6 5   4   3      2       1       0
 *                                              | P | DPL | S | code | E / C | W / R | A |
 *   descriptor
 *    63      56 55 54 53 52 51   48 47     40 39             16 15            0
 *   | base 31:24| G |D/B| L |  |limit | rights |  base 23:0      | limit 15:0    |
 *
 * A system descriptor (S = 0: LDT, TSS, gates) has another 8 bytes behind it, with base 63:32.
 */
import { REG } from '../../isa/x86_64.js';
import { isCanonical } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import { HIDDEN_STATE } from './hidden.js';
import type { Insn } from './insn.js';
import { memoryAt, readOperand, SEGMENTS, writeOperand, writeRegister } from './operands.js';
import { type Family, GuestExit, GuestFault, type SystemOp } from './semantics.js';

/** A selector without its RPL: what error codes carry, and 0 for the null selectors. */
export const tableIndex = (selector: number): number => selector & 0xfffc;
export const rplOf = (selector: number): number => selector & 3;

const ACCESSED = 1;
const BUSY_TSS = 11;

export class Descriptor {
  readonly selector: number;
  /** Where its first 8 bytes are. */
  readonly at: bigint;
  readonly raw: bigint;

  constructor(selector: number, at: bigint, raw: bigint) {
    this.selector = selector;
    this.at = at;
    this.raw = raw;
  }
  get rights(): number {
    return Number((this.raw >> 40n) & 0xffn);
  }
  get isPresent(): boolean {
    return (this.rights & 0x80) !== 0;
  }
  get dpl(): number {
    return (this.rights >> 5) & 3;
  }
  get isSystem(): boolean {
    return (this.rights & 0x10) === 0;
  }
  /** The type of a system descriptor: 2 LDT, 9 and 11 free and busy TSS, 12 call gate, 14 and 15 interrupt and trap gate. */
  get type(): number {
    return this.rights & 0xf;
  }
  get isCode(): boolean {
    return (this.rights & 0x18) === 0x18;
  }
  get isConforming(): boolean {
    return (this.rights & 0x1c) === 0x1c;
  }
  get isReadable(): boolean {
    return (this.rights & 0x18) === 0x10 || (this.rights & 0x1a) === 0x1a;
  }
  get isWritable(): boolean {
    return (this.rights & 0x1a) === 0x12;
  }
  /** L: 64-bit code; D: the default size, which must be clear then. */
  get isLong(): boolean {
    return ((this.raw >> 53n) & 3n) === 1n;
  }
  get base(): bigint {
    return ((this.raw >> 16n) & 0xff_ffffn) | ((this.raw >> 32n) & 0xff00_0000n);
  }
  /** In bytes, the last one that counts. */
  get limit(): bigint {
    const limit = (this.raw & 0xffffn) | ((this.raw >> 32n) & 0xf_0000n);
    return (this.raw >> 55n) & 1n ? (limit << 12n) | 0xfffn : limit;
  }
}

/** The descriptor of a selector that is not null, or undefined where its table ends before `bytes` of it. */
export function find(cpu: Cpu, selector: number, bytes = 8): Descriptor | undefined {
  const local = (selector & 4) !== 0;
  const base = local ? cpu.hidden.get(HIDDEN_STATE.ldtrBase) : cpu.get(REG.gdtr_base!);
  const limit = local ? cpu.hidden.get(HIDDEN_STATE.ldtrLimit) : cpu.get(REG.gdtr_limit!) & 0xffffn;
  const offset = BigInt(selector & 0xfff8);
  if (offset + BigInt(bytes - 1) > limit) return undefined;
  const at = BigInt.asUintN(64, base + offset);
  return new Descriptor(
    selector,
    at,
    cpu.asSupervisor(() => cpu.load(at, 8)),
  );
}
/** As find; #GP(selector) where there is none. `external`: bit 0 of the error code. */
export function descriptorOf(cpu: Cpu, selector: number, external = 0): Descriptor {
  const found = find(cpu, selector);
  if (!found) throw new GuestFault(VECTOR.protection, tableIndex(selector) | external);
  return found;
}
/** Notes in the table that a code or data descriptor was loaded (SDM 3A, 3.4.5.1), unless it says so. */
export function markAccessed(cpu: Cpu, { at, rights }: Descriptor): void {
  if (rights & ACCESSED) return;
  cpu.asSupervisor(() => cpu.store(BigInt.asUintN(64, at + 5n), 1, BigInt(rights | ACCESSED)));
}

/** A code segment that is not for 64-bit mode: we have no other. */
export const refuseCompatibility = (selector: number): GuestExit =>
  new GuestExit({ kind: 'unimplemented', what: `compatibility mode (code segment 0x${selector.toString(16)})` });

/** Checks a stack segment for code of privilege `cpl`; not null (SDM 2B, MOV). */
export function checkStackSegment(cpu: Cpu, selector: number, cpl: number): Descriptor {
  const descriptor = descriptorOf(cpu, selector);
  if (rplOf(selector) !== cpl || descriptor.dpl !== cpl || !descriptor.isWritable)
    throw new GuestFault(VECTOR.protection, tableIndex(selector));
  if (!descriptor.isPresent) throw new GuestFault(VECTOR.stack, tableIndex(selector));
  return descriptor;
}

/**
 * Loads es, ss, ds, fs or gs (`n`: 0, 2 to 5, as encoded) as mov and pop do: checks, base of fs and gs, accessed bit.
 * Raises #GP, #NP or #SS. SDM 2B, MOV, 64-bit mode.
 */
export function loadSegment(cpu: Cpu, n: number, selector: number): void {
  const { cpl } = cpu;
  const isNull = tableIndex(selector) === 0;
  const code = tableIndex(selector);
  let base = 0n;
  let dpl = 0n;
  if (n === 2) {
    if (!isNull) markAccessed(cpu, checkStackSegment(cpu, selector, cpl));
    else if (cpl === 3 || rplOf(selector) !== cpl) throw new GuestFault(VECTOR.protection, 0);
  } else if (!isNull) {
    const descriptor = descriptorOf(cpu, selector);
    const allowed = descriptor.isConforming || (rplOf(selector) <= descriptor.dpl && cpl <= descriptor.dpl);
    if (!descriptor.isReadable || !allowed) throw new GuestFault(VECTOR.protection, code);
    if (!descriptor.isPresent) throw new GuestFault(VECTOR.notPresent, code);
    markAccessed(cpu, descriptor);
    base = descriptor.base;
    if (!descriptor.isConforming) dpl = BigInt(1 + descriptor.dpl);
  }
  cpu.set(SEGMENTS[n]!, BigInt(selector));
  cpu.hidden.set(HIDDEN_STATE.segmentDpl + 8 * n, dpl);
  if (n === 4) cpu.set(REG.fs_base!, base);
  if (n === 5) cpu.set(REG.gs_base!, base);
}
/** A return to an outer ring takes away the data segments that ring may not use (SDM 2A, IRET, 2B, RET). */
export function dropInnerSegments(cpu: Cpu, cpl: number): void {
  for (const n of [0, 3, 4, 5]) {
    const dpl = Number(cpu.hidden.get(HIDDEN_STATE.segmentDpl + 8 * n)) - 1;
    if (dpl < 0 || dpl >= cpl || tableIndex(Number(cpu.get(SEGMENTS[n]!))) === 0) continue;
    cpu.set(SEGMENTS[n]!, 0n);
    cpu.hidden.set(HIDDEN_STATE.segmentDpl + 8 * n, 0n);
  }
}

function privileged(cpu: Cpu): void {
  if (cpu.cpl !== 0) throw new GuestFault(VECTOR.protection, 0);
}
/** The system descriptor, 16 bytes, that lldt or ltr loads. */
function systemDescriptor(cpu: Cpu, selector: number, type: number): { descriptor: Descriptor; base: bigint } {
  const code = tableIndex(selector);
  const descriptor = selector & 4 ? undefined : find(cpu, selector, 16);
  if (!descriptor?.isSystem || descriptor.type !== type) throw new GuestFault(VECTOR.protection, code);
  if (!descriptor.isPresent) throw new GuestFault(VECTOR.notPresent, code);
  const high = cpu.asSupervisor(() => cpu.load(BigInt.asUintN(64, descriptor.at + 8n), 8));
  const base = descriptor.base | ((high & 0xffff_ffffn) << 32n);
  if (!isCanonical(base)) throw new GuestFault(VECTOR.protection, code);
  return { descriptor, base };
}
function lldt(cpu: Cpu, insn: Insn): undefined {
  privileged(cpu);
  const selector = Number(readOperand(cpu, insn, 0));
  let [base, limit] = [0n, 0n];
  if (tableIndex(selector) !== 0) {
    const loaded = systemDescriptor(cpu, selector, 2);
    [base, limit] = [loaded.base, loaded.descriptor.limit];
  }
  cpu.set(REG.ldtr!, BigInt(selector));
  cpu.hidden.set(HIDDEN_STATE.ldtrBase, base);
  cpu.hidden.set(HIDDEN_STATE.ldtrLimit, limit);
}
function ltr(cpu: Cpu, insn: Insn): undefined {
  privileged(cpu);
  const selector = Number(readOperand(cpu, insn, 0));
  if (tableIndex(selector) === 0) throw new GuestFault(VECTOR.protection, 0);
  const { descriptor, base } = systemDescriptor(cpu, selector, 9);
  const busy = BigInt((descriptor.rights & 0xf0) | BUSY_TSS);
  cpu.asSupervisor(() => cpu.store(BigInt.asUintN(64, descriptor.at + 5n), 1, busy));
  cpu.set(REG.tr!, BigInt(selector));
  cpu.hidden.set(HIDDEN_STATE.trBase, base);
  cpu.hidden.set(HIDDEN_STATE.trLimit, descriptor.limit);
}

const ZF = 0x40n;
const setZero = (cpu: Cpu, zero: boolean): void =>
  cpu.set(REG.rflags!, (cpu.get(REG.rflags!) & ~ZF) | (zero ? ZF : 0n));

/** Whether the current privilege, and the selector's own, see the descriptor at all. */
const visible = (cpu: Cpu, d: Descriptor): boolean =>
  d.isConforming || (cpu.cpl <= d.dpl && rplOf(d.selector) <= d.dpl);
/** Tells about a descriptor in operand 0 and ZF; `types`: the system descriptors it knows (SDM 2A, LAR, LSL, 64-bit mode). */
const asking = (op: string, types: readonly number[], answer: (d: Descriptor) => bigint): SystemOp => ({
  op,
  run: (cpu, insn) => {
    const selector = Number(readOperand(cpu, insn, 1) & 0xffffn);
    const found = tableIndex(selector) === 0 ? undefined : find(cpu, selector);
    const known = found && visible(cpu, found) && (!found.isSystem || types.includes(found.type));
    if (known) writeOperand(cpu, insn, 0, answer(found));
    setZero(cpu, known === true);
    return undefined;
  },
});
const verifying = (op: string, may: (d: Descriptor) => boolean): SystemOp => ({
  op,
  run: (cpu, insn) => {
    const selector = Number(readOperand(cpu, insn, 0) & 0xffffn);
    const found = tableIndex(selector) === 0 ? undefined : find(cpu, selector);
    setZero(cpu, found !== undefined && !found.isSystem && visible(cpu, found) && may(found));
    return undefined;
  },
});

const REAL_LDT_AND_TSS = [2, 9, 11];
const CALL_GATE = 12;

/** lgdt and lidt: limit, then base (SDM 2A, LGDT/LIDT). */
const loadTable = (op: string, base: number, limit: number): SystemOp => ({
  op,
  run: (cpu, insn) => {
    privileged(cpu);
    const at = memoryAt(cpu, insn);
    const newLimit = cpu.load(at, 2);
    const newBase = cpu.load(BigInt.asUintN(64, at + 2n), 8);
    if (!isCanonical(newBase)) throw new GuestFault(VECTOR.protection, 0);
    cpu.set(base, newBase);
    cpu.set(limit, newLimit);
    return undefined;
  },
});
const storeTable = (op: string, base: number, limit: number): SystemOp => ({
  op,
  run: (cpu, insn) => {
    const at = memoryAt(cpu, insn);
    cpu.store(at, 2, cpu.get(limit) & 0xffffn);
    cpu.store(BigInt.asUintN(64, at + 2n), 8, cpu.get(base));
    return undefined;
  },
});
/** lss, lfs, lgs: a far pointer, offset first. */
const loadFar = (op: string, n: number): SystemOp => ({
  op,
  run: (cpu, insn) => {
    const at = memoryAt(cpu, insn, 1);
    const offset = cpu.load(at, insn.size);
    loadSegment(cpu, n, Number(cpu.load(BigInt.asUintN(64, at + BigInt(insn.size)), 2)));
    writeOperand(cpu, insn, 0, offset);
    return undefined;
  },
});
/** pop fs, pop gs; all other pops are generated code. */
const popSegment: SystemOp = {
  op: 'pop',
  run: (cpu, insn) => {
    const [segment] = insn.operands;
    if (segment?.kind !== 'seg') return { kind: 'unimplemented', what: 'a form of pop' };
    const rsp = cpu.get(REG.rsp!);
    loadSegment(cpu, segment.reg, Number(cpu.load(rsp, insn.size) & 0xffffn));
    writeRegister(cpu, REG.rsp!, 8, rsp + BigInt(insn.size));
    return undefined;
  },
};

export const SEGMENT: Family = {
  system: [
    loadTable('lgdt', REG.gdtr_base!, REG.gdtr_limit!),
    loadTable('lidt', REG.idtr_base!, REG.idtr_limit!),
    storeTable('sgdt', REG.gdtr_base!, REG.gdtr_limit!),
    storeTable('sidt', REG.idtr_base!, REG.idtr_limit!),
    { op: 'lldt', run: lldt },
    { op: 'ltr', run: ltr },
    { op: 'sldt', run: (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.ldtr!)) as undefined },
    { op: 'str', run: (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.tr!)) as undefined },
    asking('lar', [...REAL_LDT_AND_TSS, CALL_GATE], d => (d.raw >> 32n) & 0x00f0_ff00n),
    asking('lsl', REAL_LDT_AND_TSS, d => d.limit),
    verifying('verr', d => d.isReadable),
    verifying('verw', d => d.isWritable),
    loadFar('lss', 2),
    loadFar('lfs', 4),
    loadFar('lgs', 5),
    popSegment,
  ],
};
