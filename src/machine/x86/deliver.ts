/**
 * How exceptions and interrupts reach the guest in 64-bit mode. SDM 3A, 6.12 to 6.15.
 *
 *   gate   127              96 95               64 63          48 47 46 45 44 43  40 39   35 34 32 31       16 15         0
 *         | reserved          | offset 63:32     | offset 31:16  | P | DPL | 0 | type | 0     | IST | selector  | offset 15:0 |
 *
 *   type 14 is an interrupt gate (clears IF), 15 a trap gate. The stack: that of the IST slot if there is one, else that of
 *   the TSS for a more privileged ring, else the current one; aligned to 16 bytes. On it, from high to low:
 *
 *         ss  rsp  rflags  cs  rip  [error code]  <- rsp of the handler
 *
 *   TSS    4 rsp0   12 rsp1   20 rsp2   36 ist1 ... 84 ist7   102 I/O map base (u16)
 *
 * When delivery itself faults, the two faults together decide (table 6-5): benign ones go one after the other; a
 * contributory one on a contributory one, or anything of these on a page fault, is a double fault; a fault of that
 * shuts the processor down. What a fault does before it is noticed (stores below rsp, accessed bits) stays done.
 */
import { REG } from '../../isa/x86_64.js';
import type { Exit, Trap } from '../engine/exits.js';
import { isCanonical, RFLAGS } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import { HIDDEN_STATE } from './hidden.js';
import { descriptorOf, markAccessed, refuseCompatibility, tableIndex } from './segments.js';
import { GuestExit, GuestFault } from './semantics.js';

const GATE_INTERRUPT = 14;
const GATE_TRAP = 15;
/** Bits of an error code: it names a gate of the IDT; the event came from outside the program. */
const IDT = 2;
const EXTERNAL = 1;
const DR7_GD = 1n << 13n;
const CONTRIBUTORY = new Set<number>([VECTOR.divide, VECTOR.task, VECTOR.notPresent, VECTOR.stack, VECTOR.protection]);

interface Delivery {
  readonly vector: number;
  readonly code: number | undefined;
  readonly address: bigint | undefined;
  readonly kind: Trap['kind'] | 'interrupt';
  /** Bytes of the int instruction, which checks the gate's DPL. */
  readonly software: number | undefined;
}

/** Hears of a fault met while another is being delivered, and then of the double fault that the two make, if they do. */
export type Met = (fault: Omit<Trap, 'kind'>) => void;
const nobody: Met = () => {};

/**
 * Delivers an exception or software interrupt that ended a run.
 * @param met hears of what goes wrong on the way
 * @returns nothing when the guest's handler runs next; `shutdown` when not even a double fault can be delivered;
 *   `unimplemented` or `bus` where the machine cannot do what the handler's set-up asks for
 */
export const deliver = (cpu: Cpu, trap: Trap, met: Met = nobody): Exit | undefined =>
  deliverAll(cpu, { software: undefined, ...trap }, met);

/** Delivers an external interrupt; only while cpu.canInterrupt (but vector 2, the NMI, at any time). Returns as deliver. */
export const interrupt = (cpu: Cpu, vector: number): Exit | undefined =>
  deliverAll(cpu, { vector, code: undefined, address: undefined, kind: 'interrupt', software: undefined }, nobody);

function deliverAll(cpu: Cpu, first: Delivery, met: Met): Exit | undefined {
  noteAddress(cpu, first);
  for (let current = first; ; ) {
    const failed = cpu.attempt(() => enter(cpu, current));
    if (!failed) return undefined;
    if (failed.kind !== 'trap') return failed;
    noteAddress(cpu, failed.trap);
    // What int n could not do did not happen: pc goes back to it.
    if (current.software !== undefined) cpu.machine.pc -= BigInt(current.software);
    met(failed.trap);
    const second = { software: undefined, ...failed.trap };
    const next = combined(current, second);
    if (!next) return { kind: 'shutdown' };
    if (next !== second) met({ vector: next.vector, code: next.code, address: undefined });
    current = next;
  }
}
/** A page fault sets cr2 when it is met, even one that becomes a double fault. */
function noteAddress(cpu: Cpu, { vector, address }: Pick<Delivery, 'vector' | 'address'>): void {
  if (vector === VECTOR.page && address !== undefined) cpu.set(REG.cr2!, address);
}
/** What becomes of a fault met while another is being delivered; undefined: shutdown. */
function combined(first: Delivery, second: Delivery): Delivery | undefined {
  if (first.vector === VECTOR.doubleFault && first.software === undefined) return undefined;
  const isException = first.software === undefined && first.kind !== 'interrupt';
  const [isPage, contributes] = [first.vector === VECTOR.page, CONTRIBUTORY.has(first.vector)];
  const bad = CONTRIBUTORY.has(second.vector) || (isPage && second.vector === VECTOR.page);
  if (isException && (isPage || contributes) && bad)
    return { vector: VECTOR.doubleFault, code: 0, address: undefined, kind: 'fault', software: undefined };
  return second;
}

/** Reads the TSS; #TS(tr) where it ends before. */
function stackOfTss(cpu: Cpu, offset: number, external: number): bigint {
  if (BigInt(offset + 7) > cpu.hidden.get(HIDDEN_STATE.trLimit))
    throw new GuestFault(VECTOR.task, tableIndex(Number(cpu.get(REG.tr!))) | external);
  return cpu.load(BigInt.asUintN(64, cpu.hidden.get(HIDDEN_STATE.trBase) + BigInt(offset)), 8);
}
const rspAt = (ring: number): number => 4 + 8 * ring;
const istAt = (n: number): number => 28 + 8 * n;

/** One attempt. Raises what goes wrong; no register has changed then. */
function enter(cpu: Cpu, { vector, code, kind, software }: Delivery): undefined {
  const external = software === undefined ? EXTERNAL : 0;
  const gateCode = (8 * vector) | IDT | external;
  if (16 * vector + 15 > Number(cpu.get(REG.idtr_limit!) & 0xffffn)) throw new GuestFault(VECTOR.protection, gateCode);
  const at = cpu.get(REG.idtr_base!) + BigInt(16 * vector);
  const [low, high] = cpu.asSupervisor(() => [
    cpu.load(BigInt.asUintN(64, at), 8),
    cpu.load(BigInt.asUintN(64, at + 8n), 8),
  ]);
  const type = Number((low >> 40n) & 0x1fn);
  if (type !== GATE_INTERRUPT && type !== GATE_TRAP) throw new GuestFault(VECTOR.protection, gateCode);
  if (software !== undefined && Number((low >> 45n) & 3n) < cpu.cpl) throw new GuestFault(VECTOR.protection, gateCode);
  if (!((low >> 47n) & 1n)) throw new GuestFault(VECTOR.notPresent, gateCode);
  const target = (low & 0xffffn) | ((low >> 32n) & 0xffff_0000n) | ((high & 0xffff_ffffn) << 32n);

  const selector = Number((low >> 16n) & 0xffffn);
  if (tableIndex(selector) === 0) throw new GuestFault(VECTOR.protection, external);
  const segment = descriptorOf(cpu, selector, external);
  const { cpl } = cpu;
  if (!segment.isCode || segment.dpl > cpl) throw new GuestFault(VECTOR.protection, tableIndex(selector) | external);
  if (!segment.isPresent) throw new GuestFault(VECTOR.notPresent, tableIndex(selector) | external);
  if (!segment.isLong) throw refuseCompatibility(selector);
  const ring = segment.isConforming ? cpl : segment.dpl;
  if (ring !== 0 && ring !== cpl)
    throw new GuestExit({ kind: 'unimplemented', what: `a trap handler in ring ${ring}` });
  if (!isCanonical(target)) throw new GuestFault(VECTOR.protection, external);

  const ist = Number((low >> 32n) & 7n);
  const from = cpu.get(REG.rsp!);
  const stack = cpu.asSupervisor(() =>
    ist ? stackOfTss(cpu, istAt(ist), external) : ring < cpl ? stackOfTss(cpu, rspAt(ring), external) : from,
  );
  const rflags = cpu.get(REG.rflags!);
  // A fault is pushed with RF, so that a breakpoint on its instruction does not stop it again (SDM 3B, 17.3.1.1).
  const pushed =
    kind === 'trap' ? rflags & ~RFLAGS.RF : kind === 'fault' && vector !== VECTOR.debug ? rflags | RFLAGS.RF : rflags;
  const frame = [cpu.get(REG.ss!), from, pushed, cpu.get(REG.cs!), cpu.machine.pc];
  if (code !== undefined) frame.push(BigInt(code));
  let rsp = BigInt.asUintN(64, stack & ~15n);
  const push = (value: bigint): void => {
    rsp = BigInt.asUintN(64, rsp - 8n);
    if (!isCanonical(rsp)) throw new GuestFault(VECTOR.stack, external);
    cpu.store(rsp, 8, value);
  };
  if (ring === 3) for (const value of frame) push(value);
  else cpu.asSupervisor(() => frame.forEach(push));
  markAccessed(cpu, segment);

  const cleared = RFLAGS.TF | RFLAGS.NT | RFLAGS.RF | RFLAGS.VM | (type === GATE_INTERRUPT ? RFLAGS.IF : 0n);
  cpu.set(REG.rflags!, rflags & ~cleared);
  cpu.set(REG.rsp!, rsp);
  cpu.set(REG.cs!, BigInt((selector & ~3) | ring));
  // In 64-bit mode a change of ring loads ss with a null selector of the new ring (SDM 3A, 6.14.2).
  if (ring !== cpl) cpu.set(REG.ss!, BigInt(ring));
  if (vector === VECTOR.debug && software === undefined) cpu.set(REG.dr7!, cpu.get(REG.dr7!) & ~DR7_GD);
  cpu.hidden.set(HIDDEN_STATE.shadow, 0n);
  cpu.machine.pc = target;
}
