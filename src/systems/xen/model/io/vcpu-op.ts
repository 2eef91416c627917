/** vcpu_op: where a vcpu keeps what Xen tells it, and its timer (common/domain.c, do_vcpu_op; one vcpu, number 0). */
import { asFrame, PAGE_BYTES, paddrOf } from '../../../../base/brand.js';
import { ERRNO } from '../../names.js';
import { failed, type Handler } from '../domain.js';
import type { Xen } from '../xen.js';
import { ring, setTimer, timeInfo } from './time.js';

const OP = {
  initialise: 0,
  up: 1,
  down: 2,
  isUp: 3,
  getRunstateInfo: 4,
  registerRunstateMemoryArea: 5,
  setPeriodicTimer: 6,
  stopPeriodicTimer: 7,
  setSingleshotTimer: 8,
  stopSingleshotTimer: 9,
  registerVcpuInfo: 10,
  sendNmi: 11,
  getPhysid: 12,
  registerVcpuTimeMemoryArea: 13,
} as const;
const VCPU_INFO_BYTES = 64;
const SELECTOR = 8;
const ALL = 0xffff_ffff_ffff_ffffn;
const IN_THE_FUTURE = 1;
const u32 = (value: bigint): number => Number(value & 0xffff_ffffn);

/** The states of a vcpu, as vcpu_runstate_info counts them: running, runnable, blocked, offline. */
const RUNNING = 0;
const BLOCKED = 2;
/** state u32, pad, since u64, then the time in each state. */
function runstate(xen: Xen): Uint8Array {
  const bytes = Buffer.alloc(48);
  bytes.writeUInt32LE(RUNNING, 0);
  bytes.writeBigUInt64LE(BigInt(xen.io.runningSince), 8);
  bytes.writeBigUInt64LE(BigInt(xen.io.runningSince - xen.io.blocked), 16 + 8 * RUNNING);
  bytes.writeBigUInt64LE(BigInt(xen.io.blocked), 16 + 8 * BLOCKED);
  return bytes;
}
/** After a time of waiting: where the guest asked for it, it reads how long that was (update_runstate_area). */
export function waited(xen: Xen, ticks: number): void {
  xen.io.blocked += ticks;
  xen.io.runningSince = xen.ticks;
  if (xen.io.runstateAt !== undefined) xen.copyTo(xen.io.runstateAt, runstate(xen));
}

type Run = (xen: Xen, arg: bigint) => bigint;
const answerAt =
  (bytes: (xen: Xen) => Uint8Array): Run =>
  (xen, arg) =>
    xen.copyTo(arg, bytes(xen)) ? 0n : failed(ERRNO.EFAULT);

const OPS: Readonly<Record<number, Run>> = {
  [OP.initialise]: () => failed(ERRNO.EEXIST), // it runs already
  [OP.up]: () => 0n,
  [OP.down]: xen => {
    xen.stop({ how: 'halted', reason: 'the guest took its only processor down' });
    return 0n;
  },
  [OP.isUp]: () => 1n,
  [OP.getRunstateInfo]: answerAt(runstate),
  [OP.registerRunstateMemoryArea]: (xen, arg) => {
    const at = xen.guest.word(arg);
    if (at === undefined) return failed(ERRNO.EFAULT);
    xen.io.runstateAt = at;
    xen.copyTo(at, runstate(xen)); // if it faults the next one may not
    return 0n;
  },
  // Without Xen's own tick behind it a periodic timer would have to be kept; no kernel of the last decade asks for one.
  [OP.setPeriodicTimer]: () => failed(ERRNO.ENOSYS),
  [OP.stopPeriodicTimer]: () => 0n,
  [OP.setSingleshotTimer]: (xen, arg) => {
    const words = xen.guest.words(arg, 2);
    if (!words) return failed(ERRNO.EFAULT);
    const [at, flags] = [words[0]!, u32(words[1]!)];
    // 4.1 may be asked to refuse what is past; 4.17 always rings at once.
    if (at < BigInt(xen.ticks) && xen.generation === '4.1' && flags & IN_THE_FUTURE) return failed(ETIME);
    if (at < BigInt(xen.ticks) && xen.generation === '4.17') ring(xen);
    else setTimer(xen, at);
    return 0n;
  },
  [OP.stopSingleshotTimer]: xen => {
    setTimer(xen, undefined);
    return 0n;
  },
  [OP.registerVcpuInfo]: (xen, arg) => {
    const words = xen.guest.words(arg, 2);
    if (!words) return failed(ERRNO.EFAULT);
    return registerVcpuInfo(xen, words[0]!, u32(words[1]!));
  },
  [OP.getPhysid]: () => failed(ERRNO.EINVAL), // only for a vcpu that is pinned to a processor
  [OP.registerVcpuTimeMemoryArea]: (xen, arg) => {
    const at = xen.guest.word(arg);
    if (at === undefined) return failed(ERRNO.EFAULT);
    return xen.copyTo(at, timeInfo()) ? 0n : failed(ERRNO.EFAULT);
  },
};
const ETIME = 62;

/** map_vcpu_info: the vcpu's part of the shared page moves to the guest's own memory, for good. */
function registerVcpuInfo(xen: Xen, gfn: bigint, offset: number): bigint {
  if (offset > PAGE_BYTES - VCPU_INFO_BYTES) return failed(ERRNO.EINVAL);
  if (xen.io.vcpuInfoMoved) return failed(ERRNO.EINVAL);
  if (gfn >= BigInt(xen.frames)) return failed(ERRNO.EINVAL);
  const mfn = asFrame(Number(gfn));
  if (!xen.mm.hold(mfn)) return failed(ERRNO.EINVAL);
  const { memory } = xen;
  const from = xen.io.vcpuInfoAt;
  memory.hostWrite(paddrOf(mfn, offset), Uint8Array.from(memory.guest.subarray(from, from + VCPU_INFO_BYTES)));
  xen.io.vcpuInfoAt = paddrOf(mfn, offset);
  xen.io.vcpuInfoMoved = true;
  // Something may have come between copying and now: the guest is to look at everything.
  xen.setVcpuWord(SELECTOR, ALL);
  xen.markPending();
  return 0n;
}

export const vcpuOp: Handler<Xen> = (xen, [command, vcpu, arg]) => {
  if (u32(vcpu!) !== 0) return failed(ERRNO.ENOENT);
  return OPS[u32(command!)]?.(xen, arg!) ?? failed(ERRNO.ENOSYS);
};
/** do_set_timer_op: an absolute system time; 0 is none. Long ago is now. */
export const setTimerOp: Handler<Xen> = (xen, [at]) => {
  setTimer(xen, at === 0n ? undefined : BigInt.asIntN(64, at!) < 0n ? BigInt(xen.ticks) : at!);
  return 0n;
};
