/** The console, and the ways a guest stops: console_io (drivers/char/console.c), sched_op (common/sched/core.c). */
import { ERRNO } from '../names.js';
import { type Answer, failed, type Handler } from './domain.js';
import { anyRaised } from './wait.js';
import type { Xen } from './xen.js';

const CONSOLE = { write: 0, read: 1 } as const;
/** Bytes in one piece of a call. */
const PIECE_BYTES = 4096;
const u32 = (value: bigint): number => Number(value & 0xffff_ffffn);

/** do_console_io(cmd, count, buffer). Nobody types, so there is nothing to read. */
export const consoleIo: Handler<Xen> = (xen, [command, count, buffer]): Answer => {
  const [what, length] = [u32(command!), u32(count!)];
  if (what === CONSOLE.read) return 0n;
  if (what !== CONSOLE.write) return failed(ERRNO.ENOSYS);
  if (length > 0x7fff_ffff) return failed(ERRNO.E2BIG); // the count is signed for Xen
  const bytes = Math.min(length, PIECE_BYTES);
  const text = xen.copyFrom(buffer!, bytes);
  if (!text) return failed(ERRNO.EFAULT);
  xen.write(text);
  if (bytes === length) return 0n;
  return { again: [command!, BigInt(length - bytes), BigInt.asUintN(64, buffer! + BigInt(bytes))] };
};

const SCHED = { yield: 0, block: 1, shutdown: 2, poll: 3, shutdownCode: 5, watchdog: 6 } as const;
/** SHUTDOWN_*. */
const REASONS: readonly { readonly how: 'halted' | 'panic'; readonly reason: string }[] = [
  { how: 'halted', reason: 'the guest powered off' },
  { how: 'halted', reason: 'the guest wants to be rebooted' },
  { how: 'halted', reason: 'the guest suspended itself' },
  { how: 'panic', reason: 'the guest says that it crashed' },
  { how: 'panic', reason: 'the guest’s watchdog expired' },
];

function shutDown(xen: Xen, reason: number): bigint {
  xen.stop(REASONS[reason] ?? { how: 'halted', reason: `the guest shut down with reason ${reason}` });
  return 0n;
}
/** vcpu_block_enable_events: upcalls are unmasked; with one waiting there is no blocking. */
function block(xen: Xen): bigint {
  xen.upcallMask = false;
  if (!xen.upcallPending) xen.waiting = { cause: xen.cause, ports: [], until: undefined };
  return 0n;
}
const POLL_PORTS_MAX = 128;
/**
 * do_poll: waits until one of some ports is pending, whether masked or not, until an upcall is marked or until a time. struct
 * sched_poll: ports, u32 nr_ports, u64 timeout.
 */
function pollPorts(xen: Xen, arg: bigint): bigint {
  const words = xen.guest.words(arg, 3);
  if (!words) return failed(ERRNO.EFAULT);
  const [list, count, timeout] = [words[0]!, u32(words[1]!), words[2]!];
  if (count > POLL_PORTS_MAX) return failed(ERRNO.EINVAL);
  const bytes = xen.copyFrom(list, 4 * count);
  if (!bytes) return failed(ERRNO.EFAULT);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const ports = Array.from({ length: count }, (_, n) => view.getUint32(4 * n, true));
  const raised = anyRaised(xen, ports);
  if (raised === undefined) return failed(ERRNO.EINVAL);
  if (raised || (xen.upcallPending && !xen.upcallMask)) return 0n;
  const until = timeout === 0n || timeout > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(timeout);
  if (until === undefined || until > xen.ticks) xen.waiting = { cause: xen.cause, ports, until };
  return 0n;
}

export const schedOp: Handler<Xen> = (xen, [command, arg]) => {
  switch (u32(command!)) {
    case SCHED.yield:
      return 0n;
    case SCHED.block:
      return block(xen);
    case SCHED.poll:
      return pollPorts(xen, arg!);
    case SCHED.shutdown:
    case SCHED.shutdownCode: {
      const reason = xen.copyFrom(arg!, 4);
      if (!reason) return failed(ERRNO.EFAULT);
      return u32(command!) === SCHED.shutdown ? shutDown(xen, reason[0]!) : 0n;
    }
  }
  return failed(ERRNO.ENOSYS);
};
/** do_sched_op_compat: the argument is the reason itself. */
export const schedOpCompat: Handler<Xen> = (xen, [command, arg]) => {
  switch (u32(command!)) {
    case SCHED.yield:
      return 0n;
    case SCHED.block:
      return block(xen);
    case SCHED.shutdown:
      return shutDown(xen, Number(arg! & 0xffn));
  }
  return failed(ERRNO.ENOSYS);
};
