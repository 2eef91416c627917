/**
 * Instructions that go somewhere else and change the privilege, or may: int, iret, syscall, sysret, far transfers.
 * Only to 64-bit code: compatibility mode and call gates end the run, by name.
 */
import { REG } from '../../isa/x86_64.js';
import type { Exit } from '../engine/exits.js';
import { EFER, ioplOf, isCanonical, RFLAGS, USER_FLAGS } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import type { Insn } from './insn.js';
import { memoryAt, readOperand } from './operands.js';
import {
  checkStackSegment,
  type Descriptor,
  descriptorOf,
  dropInnerSegments,
  markAccessed,
  refuseCompatibility,
  rplOf,
  tableIndex,
} from './segments.js';
import { type Family, GuestExit, GuestFault } from './semantics.js';
import { invalid, privileged } from './system-control.js';

const int = (vector: number, length: number | undefined): Exit => ({
  kind: 'trap',
  trap: { vector, code: undefined, address: undefined, kind: 'trap', ...(length && { software: length }) },
});

/** The code segment that iret or a far return goes back to: not to an inner ring (SDM 2A, IRET; 2B, RET). */
function returnSegment(cpu: Cpu, selector: number): Descriptor {
  if (tableIndex(selector) === 0) throw invalid();
  const code = tableIndex(selector);
  const descriptor = descriptorOf(cpu, selector);
  const rpl = rplOf(selector);
  const matches = descriptor.isConforming ? descriptor.dpl <= rpl : descriptor.dpl === rpl;
  if (!descriptor.isCode || rpl < cpu.cpl || !matches) throw new GuestFault(VECTOR.protection, code);
  if (!descriptor.isPresent) throw new GuestFault(VECTOR.notPresent, code);
  if (!descriptor.isLong) throw refuseCompatibility(selector);
  return descriptor;
}
/** Checks the stack segment to go back to; a null one will do for 64-bit code outside ring 3. */
function returnStack(cpu: Cpu, selector: number, ring: number): Descriptor | undefined {
  if (tableIndex(selector) !== 0) return checkStackSegment(cpu, selector, ring);
  if (ring === 3) throw invalid();
  if (rplOf(selector) !== ring) throw new GuestFault(VECTOR.protection, tableIndex(selector));
  return undefined;
}

/** SDM 2A, IRET, IRET-64-BIT-MODE: rip, cs, rflags, rsp and ss come off the stack, always all five. */
function iret(cpu: Cpu, insn: Insn): undefined {
  const old = cpu.get(REG.rflags!);
  if (old & RFLAGS.NT) throw invalid(); // there are no nested tasks in 64-bit mode
  const { cpl } = cpu;
  const bytes = insn.size;
  const at = cpu.get(REG.rsp!);
  const pop = (n: number): bigint => cpu.load(BigInt.asUintN(64, at + BigInt(n * bytes)), bytes);
  const [rip, cs, rflags, rsp, ss] = [pop(0), Number(pop(1) & 0xffffn), pop(2), pop(3), Number(pop(4) & 0xffffn)];
  const segment = returnSegment(cpu, cs);
  const ring = rplOf(cs);
  const stack = returnStack(cpu, ss, ring);
  if (!isCanonical(rip)) throw invalid();
  markAccessed(cpu, segment);
  if (stack) markAccessed(cpu, stack);

  let changes = USER_FLAGS | RFLAGS.TF | RFLAGS.NT;
  if (bytes > 2) changes |= RFLAGS.RF | RFLAGS.AC | RFLAGS.ID;
  if (cpl <= ioplOf(old)) changes |= RFLAGS.IF;
  if (cpl === 0) changes |= RFLAGS.IOPL;
  cpu.set(REG.rflags!, (old & ~changes) | (rflags & changes));
  if (bytes > 2) cpu.keepResumeFlag();
  cpu.set(REG.cs!, BigInt(cs));
  cpu.set(REG.ss!, BigInt(ss));
  cpu.set(REG.rsp!, rsp);
  if (ring > cpl) dropInnerSegments(cpu, ring);
  cpu.next = rip;
}

/** SDM 2B, RET, far: rip and cs, and rsp and ss when it goes to an outer ring. */
function farReturn(cpu: Cpu, insn: Insn): undefined {
  const { cpl } = cpu;
  const bytes = insn.size;
  const at = cpu.get(REG.rsp!);
  const drop = insn.operands.length > 0 ? readOperand(cpu, insn, 0) : 0n;
  const pop = (n: number, behind = 0n): bigint => cpu.load(BigInt.asUintN(64, at + BigInt(n * bytes) + behind), bytes);
  const [rip, cs] = [pop(0), Number(pop(1) & 0xffffn)];
  const segment = returnSegment(cpu, cs);
  const ring = rplOf(cs);
  let rsp = at + BigInt(2 * bytes) + drop;
  if (ring > cpl) {
    const [outer, ss] = [pop(2, drop), Number(pop(3, drop) & 0xffffn)];
    const stack = returnStack(cpu, ss, ring);
    if (!isCanonical(rip)) throw invalid();
    if (stack) markAccessed(cpu, stack);
    cpu.set(REG.ss!, BigInt(ss));
    rsp = outer + drop;
  } else if (!isCanonical(rip)) throw invalid();
  markAccessed(cpu, segment);
  cpu.set(REG.cs!, BigInt(cs));
  cpu.set(REG.rsp!, BigInt.asUintN(64, rsp));
  if (ring > cpl) dropInnerSegments(cpu, ring);
  cpu.next = rip;
}

/** The target of a far call or jump: 64-bit code of the same privilege (SDM 2A, CALL, JMP). */
function farTarget(cpu: Cpu, insn: Insn): { rip: bigint; cs: number; segment: Descriptor } {
  const at = memoryAt(cpu, insn);
  const rip = cpu.load(at, insn.size);
  const selector = Number(cpu.load(BigInt.asUintN(64, at + BigInt(insn.size)), 2));
  if (tableIndex(selector) === 0) throw invalid();
  const segment = descriptorOf(cpu, selector);
  const { cpl } = cpu;
  if (segment.isSystem && segment.type === 12)
    throw new GuestExit({ kind: 'unimplemented', what: `call gate 0x${selector.toString(16)}` });
  const allowed = segment.isConforming ? segment.dpl <= cpl : rplOf(selector) <= cpl && segment.dpl === cpl;
  if (!segment.isCode || !allowed) throw new GuestFault(VECTOR.protection, tableIndex(selector));
  if (!segment.isPresent) throw new GuestFault(VECTOR.notPresent, tableIndex(selector));
  if (!segment.isLong) throw refuseCompatibility(selector);
  if (!isCanonical(rip)) throw invalid();
  return { rip, cs: (selector & ~3) | cpl, segment };
}
function farJump(cpu: Cpu, insn: Insn): undefined {
  const { rip, cs, segment } = farTarget(cpu, insn);
  markAccessed(cpu, segment);
  cpu.set(REG.cs!, BigInt(cs));
  cpu.next = rip;
}
function farCall(cpu: Cpu, insn: Insn): undefined {
  const { rip, cs, segment } = farTarget(cpu, insn);
  const bytes = BigInt(insn.size);
  const rsp = BigInt.asUintN(64, cpu.get(REG.rsp!) - 2n * bytes);
  cpu.store(BigInt.asUintN(64, rsp + bytes), insn.size, cpu.get(REG.cs!) & 0xffffn);
  cpu.store(rsp, insn.size, cpu.next);
  markAccessed(cpu, segment);
  cpu.set(REG.rsp!, rsp);
  cpu.set(REG.cs!, BigInt(cs));
  cpu.next = rip;
}

/*
 *   star   63        48 47        32 31       0
 *         | sysret cs  | syscall cs | eip      |     ss is 8 behind cs; 64-bit sysret goes to cs + 16
 */
function syscall(cpu: Cpu): undefined {
  if (!(cpu.get(REG.efer!) & EFER.SCE)) throw new GuestFault(VECTOR.invalidOpcode);
  const rflags = cpu.get(REG.rflags!);
  const cs = (cpu.get(REG.star!) >> 32n) & 0xfffcn;
  cpu.set(REG.rcx!, cpu.next);
  cpu.set(REG.r11!, rflags & ~RFLAGS.RF);
  cpu.set(REG.rflags!, rflags & ~cpu.get(REG.fmask!) & ~RFLAGS.RF);
  cpu.set(REG.cs!, cs);
  cpu.set(REG.ss!, cs + 8n);
  cpu.next = cpu.get(REG.lstar!);
  cpu.sampleTrapFlag();
}
function sysret(cpu: Cpu, insn: Insn): undefined {
  if (!(cpu.get(REG.efer!) & EFER.SCE)) throw new GuestFault(VECTOR.invalidOpcode);
  privileged(cpu);
  const base = (cpu.get(REG.star!) >> 48n) & 0xffffn;
  if (insn.size !== 8) throw refuseCompatibility(Number(base | 3n));
  const rip = cpu.get(REG.rcx!);
  if (!isCanonical(rip)) throw invalid(); // while still in ring 0, as Intel's processors do
  cpu.set(REG.rflags!, cpu.get(REG.r11!) & 0x3c7fd7n);
  cpu.set(REG.cs!, ((base + 16n) & 0xffffn) | 3n);
  cpu.set(REG.ss!, ((base + 8n) & 0xffffn) | 3n);
  cpu.next = rip;
  cpu.sampleTrapFlag();
}

export const TRANSFER: Family = {
  system: [
    { op: 'int', run: (cpu, insn) => int(Number(readOperand(cpu, insn, 0)), insn.length) },
    { op: 'int3', run: (_cpu, insn) => int(VECTOR.breakpoint, insn.length) },
    // Checks no privilege: as if the processor itself had raised it (SDM 2A, INT n).
    { op: 'int1', run: () => int(VECTOR.debug, undefined) },
    { op: 'iret', run: iret },
    { op: 'retf', run: farReturn },
    { op: 'callf', run: farCall },
    { op: 'jmpf', run: farJump },
    { op: 'syscall', run: syscall },
    { op: 'sysret', run: sysret },
  ],
};
