/**
 * The x87 unit as an instruction sees it: a stack of eight registers with tags, exceptions, and the rule that nothing
 * changes when an instruction faults. SDM 1, 8.1 (state), 8.4 to 8.7 (exceptions).
 *
 * An exception that is masked is only flagged, and the operation gives what the manual calls the masked response. One
 * that is not masked is flagged too, ES says that it is pending, and the *next* instruction that waits raises #MF. Of
 * the exceptions that are seen before the operation (IE, DE, ZE) an unmasked one leaves operands and stack as they
 * were.
 */
import { REG } from '../../isa/x86_64.js';
import { CR0 } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import { HIDDEN_STATE } from './hidden.js';
import type { Insn } from './insn.js';
import { GuestExit, GuestFault } from './semantics.js';
import type { Control } from './x87-arithmetic.js';
import {
  type Direction,
  decodeExtended,
  EXTENDED,
  encode,
  INDEFINITE,
  type Result,
  type Value,
  X,
} from './x87-format.js';
import { needX87, physicalAt, summarized } from './x87-state.js';

const ES = 0x80;
const STACK_FAULT = 0x40;
const EXCEPTIONS = 0x3f;
const TOP_SHIFT = 11;
const TOP = 7 << TOP_SHIFT;
/** Condition codes in fsw. */
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;
/** Exceptions that are seen before an operation. */
const BEFORE = X.IE | X.DE | X.ZE;
/** Precision by PC of fcw; 1 is reserved, and as 64 bits here. */
const PRECISIONS = [24, 64, 53, 64] as const;

/** Raises what an earlier instruction left pending: #MF (SDM 3A, 6.15, interrupt 16). */
export function raisePending(cpu: Cpu): void {
  if (!(cpu.get(REG.fsw!) & BigInt(ES))) return;
  if (cpu.get(REG.cr0!) & CR0.NE) throw new GuestFault(VECTOR.x87);
  throw new GuestExit({ kind: 'unimplemented', what: 'an x87 error told by an interrupt (CR0.NE clear)' });
}

export class X87 {
  private readonly cpu: Cpu;
  fcw: number;
  fsw: number;
  /** Abridged: bit n is set when physical register n holds something. */
  ftw: number;

  /** The unit as it is. The instruction may use it; nothing is checked. */
  constructor(cpu: Cpu) {
    this.cpu = cpu;
    this.fcw = Number(cpu.get(REG.fcw!));
    this.fsw = Number(cpu.get(REG.fsw!));
    this.ftw = Number(cpu.hidden.get(HIDDEN_STATE.ftw));
  }
  /** The unit for an instruction that waits for exceptions. Raises #NM, and #MF if one is pending. */
  static waiting(cpu: Cpu): X87 {
    needX87(cpu);
    raisePending(cpu);
    return new X87(cpu);
  }
  /** Makes fcw, fsw and tags those of the processor, with ES as the others have it. After all that may fault. */
  commit(): void {
    const fcw = BigInt(this.fcw);
    this.cpu.set(REG.fcw!, fcw);
    this.cpu.set(REG.fsw!, summarized(BigInt(this.fsw), fcw));
    this.cpu.hidden.set(HIDDEN_STATE.ftw, BigInt(this.ftw));
  }
  /**
   * Remembers the instruction, and the address of its memory operand. An Intel does so always, which is what we follow;
   * an AMD only where it leaves an exception pending (SDM 1, 8.1.8; AMD64 manual, volume 1, 6.2.5).
   */
  remember(insn: Insn, pointer: bigint | undefined): void {
    const { hidden, machine } = this.cpu;
    hidden.set(HIDDEN_STATE.fop, BigInt(insn.fop ?? 0));
    hidden.set(HIDDEN_STATE.fip, machine.pc);
    if (pointer !== undefined) hidden.set(HIDDEN_STATE.fdp, pointer);
  }

  get control(): Control {
    return {
      precision: PRECISIONS[((this.fcw >> 8) & 3) as 0 | 1 | 2 | 3],
      direction: this.direction,
      masks: this.masks,
    };
  }
  get direction(): Direction {
    return ((this.fcw >> 10) & 3) as Direction;
  }
  get masks(): number {
    return this.fcw & EXCEPTIONS;
  }
  get top(): number {
    return (this.fsw & TOP) >> TOP_SHIFT;
  }
  set top(top: number) {
    this.fsw = (this.fsw & ~TOP) | ((top & 7) << TOP_SHIFT);
  }
  private tagOf(n: number): number {
    return 1 << ((this.top + n) & 7);
  }
  isEmpty(n: number): boolean {
    return (this.ftw & this.tagOf(n)) === 0;
  }
  free(n: number): void {
    this.ftw &= ~this.tagOf(n);
  }
  pop(times = 1): void {
    for (let n = 0; n < times; n++) {
      this.free(0);
      this.top++;
    }
  }
  /** The 80 bits of st(n), whatever its tag. */
  bits(n: number): bigint {
    const at = physicalAt(BigInt(this.fsw), n);
    return this.cpu.hidden.get(at) | ((this.cpu.hidden.get(at + 8) & 0xffffn) << 64n);
  }
  value(n: number): Value {
    return decodeExtended(this.bits(n));
  }
  /** Gives st(n) a number. */
  put(n: number, bits: bigint): void {
    const at = physicalAt(BigInt(this.fsw), n);
    this.cpu.hidden.set(at, bits);
    this.cpu.hidden.set(at + 8, bits >> 64n);
    this.ftw |= this.tagOf(n);
  }
  /** Sets some of C0, C2, C3 and clears the others of them. */
  condition(codes: number): void {
    this.fsw = (this.fsw & ~(C0 | C2 | C3)) | codes;
  }
  get c1(): boolean {
    return (this.fsw & C1) !== 0;
  }
  set c1(on: boolean) {
    this.fsw = on ? this.fsw | C1 : this.fsw & ~C1;
  }

  /** Flags exceptions. Returns whether the operation goes on, with its masked response. */
  raise(flags: number, c1 = false): boolean {
    const stopping = flags & BEFORE & ~this.masks;
    this.fsw |= stopping ? flags & BEFORE : flags;
    this.c1 = stopping ? false : c1;
    return stopping === 0;
  }
  /** A register that should hold something does not, or (overflow) should not and does. As `raise`. */
  stackFault(overflow = false): boolean {
    this.fsw |= STACK_FAULT | X.IE;
    this.c1 = overflow;
    return (this.masks & X.IE) !== 0;
  }
  /** The end of an operation with its result in a register. Returns whether the result is there. */
  finish(n: number, result: Result): boolean {
    const goesOn = this.raise(result.flags, result.up);
    if (goesOn) this.put(n, encode(result.value, EXTENDED));
    return goesOn;
  }
  /** The same, where an operand is missing. */
  finishMissing(n: number): boolean {
    const goesOn = this.stackFault();
    if (goesOn) this.put(n, INDEFINITE);
    return goesOn;
  }
  /**
   * Pushes bits. Where the register is taken: a stack overflow, and the masked response is to push what an invalid
   * operation gives.
   */
  push(bits: bigint): void {
    const isTaken = !this.isEmpty(-1);
    this.c1 = false;
    if (!isTaken) this.pushOver(bits);
    else if (this.stackFault(true)) this.pushOver(INDEFINITE);
  }
  /** Pushes bits, whatever the register holds. */
  pushOver(bits: bigint): void {
    this.top--;
    this.put(0, bits);
  }
  /** Gives st(0) a number and puts another above it, whatever was there. */
  replaceAndPush(below: bigint, above: bigint): void {
    this.put(0, below);
    this.pushOver(above);
  }
}
