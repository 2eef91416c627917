/**
 * Where the state of the x87 unit is, and who may use it. fcw and fsw are registers; data registers, tags and the
 * pointers are in linear memory (hidden.ts). SDM 1, 8.1.
 *
 *   fcw   15 ... 12  11 10   9  8   7 6   5  4  3  2  1  0
 *        |     0    |  RC  |  PC  | 0 1 | PM UM OM ZM DM IM |     masks: 1 keeps the exception from being raised
 *
 *   fsw   15   14  13 12 11  10  9  8   7  6   5  4  3  2  1  0
 *        | B | C3 |   TOP  | C2 C1 C0 | ES SF | PE UE OE ZE DE IE |  st(n) is physical register (TOP + n) mod 8
 *
 *   ES, and B with it, says that an exception is pending: one that is flagged and not masked.
 */
import { REG } from '../../isa/x86_64.js';
import { CR0, CR4 } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import { X87_AT } from './hidden.js';
import { GuestFault } from './semantics.js';

/** Bits of fcw that exist, and one that is always set. */
export const FCW_BITS = 0x1f3fn;
export const FCW_FIXED = 0x40n;
export const FCW_INITIAL = 0x37fn;

const notAvailable = (): GuestFault => new GuestFault(VECTOR.noDevice);
/** x87: #NM when there is no unit, or it holds another task's state (SDM 3A, 2.5, EM and TS). */
export function needX87(cpu: Cpu): void {
  if (cpu.get(REG.cr0!) & (CR0.EM | CR0.TS)) throw notAvailable();
}
/** wait: only MP and TS together (SDM 3A, 2.5, MP). */
export function needForWait(cpu: Cpu): void {
  const cr0 = cpu.get(REG.cr0!);
  if (cr0 & CR0.MP && cr0 & CR0.TS) throw notAvailable();
}
/** MMX and fxsave: without a unit they do not exist. */
export function needState(cpu: Cpu): void {
  const cr0 = cpu.get(REG.cr0!);
  if (cr0 & CR0.EM) throw new GuestFault(VECTOR.invalidOpcode);
  if (cr0 & CR0.TS) throw notAvailable();
}
export function needSse(cpu: Cpu): void {
  if (!(cpu.get(REG.cr4!) & CR4.OSFXSR)) throw new GuestFault(VECTOR.invalidOpcode);
  needState(cpu);
}

const topOf = (fsw: bigint): number => Number((fsw >> 11n) & 7n);
/** Where st(n) is, in linear memory. */
export const physicalAt = (fsw: bigint, n: number): number => X87_AT + 16 * ((topOf(fsw) + n) & 7);

const EXCEPTIONS = 0x3fn;
/** ES and B. */
const SUMMARY = 0x8080n;
/**
 * fsw with ES and B as exceptions and masks have them, whatever they were: a load of the state cannot set them apart.
 */
export const summarized = (fsw: bigint, fcw: bigint): bigint =>
  fsw & EXCEPTIONS & ~fcw ? fsw | SUMMARY : fsw & ~SUMMARY;
