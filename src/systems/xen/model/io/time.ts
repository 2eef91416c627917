/**
 * Time for a guest, all of it from ticks: one tick is one nanosecond of system time and one count of the time stamp
 * counter, so a guest sees a processor of 1 GHz that does one instruction a cycle.
 *
 *   vcpu_time_info   0 version u32   8 tsc_timestamp u64   16 system_time u64   24 mul u32   28 shift s8   29 flags u8
 *   ns = system_time + (((tsc - tsc_timestamp) << shift) * mul >> 32)                          (public/xen.h)
 */
import { asTicks, paddrOf, type Ticks } from '../../../../base/brand.js';
import type { Xen } from '../xen.js';
import { raiseVirq, VIRQ } from './evtchn.js';

/** With shift 1: the product of the two is 2^32, so a count is a nanosecond. */
const MUL = 0x8000_0000;
const SHIFT = 1;
const TSC_STABLE = 1;
export const TIME_BYTES = 32;
/** Of vcpu_info. */
export const TIME_AT = 32;
/** Of shared_info: version u32, seconds u32, nanoseconds u32, seconds >> 32 u32. */
const WALL_CLOCK = 0xc00;
/** When every guest's run begins: 1 January 2020, 00:00 UTC. A date of its own would make runs differ. */
const EPOCH_SECONDS = 1_577_836_800;
const NEVER = Number.MAX_SAFE_INTEGER;

/** The time of a vcpu, as long as nobody changes the scale: it never has to be written again. */
export function timeInfo(): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(TIME_BYTES));
  bytes.setUint32(0, 2, true); // even: nobody is writing it
  bytes.setUint32(24, MUL, true);
  bytes.setInt8(28, SHIFT);
  bytes.setUint8(29, TSC_STABLE);
  return new Uint8Array(bytes.buffer);
}
/** Writes time and date where the guest expects them, before it starts. */
export function startClock(xen: Xen): void {
  const { sharedInfo } = xen.layout;
  xen.memory.hostWrite(paddrOf(sharedInfo, TIME_AT), timeInfo());
  const date = Buffer.alloc(16);
  date.writeUInt32LE(2, 0);
  date.writeUInt32LE(EPOCH_SECONDS, 4);
  xen.memory.hostWrite(paddrOf(sharedInfo, WALL_CLOCK), date);
}

/** The tick at which the timer rings next. */
export const deadline = (xen: Xen): Ticks => asTicks(xen.io.timer ?? NEVER);
/** Sets the timer to a system time in nanoseconds; undefined: off. */
export function setTimer(xen: Xen, at: bigint | undefined): void {
  xen.io.timer = at === undefined ? undefined : Number(at > BigInt(NEVER) ? BigInt(NEVER) : at);
}
/** The timer rings: the run stopped at its tick. */
export function ring(xen: Xen): void {
  xen.io.timer = undefined;
  raiseVirq(xen, VIRQ.timer);
}
