/**
 * Event channels: what Xen has instead of interrupts (common/event_channel.c). A port is bound to something that raises it:
 * a virtual interrupt, another port of one's own (ipi), or a port of another domain, here that of a back end (devices.ts).
 * How a raised port reaches the guest is told in two-level.ts and in fifo.ts; a domain starts with two levels and may change.
 * Everything of a port but what it is bound to is in memory the guest writes to, so it is never kept here.
 */
import { ERRNO } from '../../names.js';
import { failed, type Handler } from '../domain.js';
import type { Xen } from '../xen.js';
import { type Device, notified } from './devices.js';
import { destroy, expandArray, formOf, initControl, LINK_BITS, bound as portBound, setPriority } from './fifo.js';

/** Ports with the two-level form, and as many as there may be with the other (max_evtchn_port is the toolstack's choice). */
export const PORTS_MAX = 4096;

export const VIRQ = { timer: 0, debug: 1, console: 2, last: 23 } as const;
/** Those each vcpu has its own of (virq_is_global). */
const LOCAL_VIRQS: ReadonlySet<number> = new Set([0, 1, 7]);

export type Port =
  | { readonly state: 'unbound'; readonly remote: number }
  | { readonly state: 'interdomain'; readonly remote: number; readonly device: Device }
  | { readonly state: 'virq'; readonly virq: number }
  | { readonly state: 'ipi' };
const STATUS = { closed: 0, unbound: 1, interdomain: 2, virq: 4, ipi: 5 } as const;

/** Ports by number. Port 0 is never used. */
export type Ports = Map<number, Port>;

/** Binds the lowest port that is free (get_free_port); -ENOSPC when there is none. */
function bind(xen: Xen, what: Port): number {
  const { ports } = xen.io;
  const form = formOf(xen);
  for (let port = 1; port < PORTS_MAX; port++) {
    if (ports.has(port) || form.isBusy(xen, port)) continue;
    ports.set(port, what);
    portBound(xen, port);
    return port;
  }
  return -ERRNO.ENOSPC;
}
/** Raises a port (evtchn_port_set_pending). */
export const raise = (xen: Xen, port: number): void => formOf(xen).raise(xen, port);
/** evtchn_port_poll: whether it is pending; undefined for no port. */
export const poll = (xen: Xen, port: number): boolean | undefined =>
  xen.io.ports.has(port) ? formOf(xen).isPending(xen, port) : undefined;
/** Raises the port that a virtual interrupt is bound to, if one is (send_guest_vcpu_virq). */
export function raiseVirq(xen: Xen, virq: number): void {
  for (const [port, bound] of xen.io.ports) if (bound.state === 'virq' && bound.virq === virq) raise(xen, port);
}
const OP = {
  bindInterdomain: 0,
  bindVirq: 1,
  bindPirq: 2,
  close: 3,
  send: 4,
  status: 5,
  allocUnbound: 6,
  bindIpi: 7,
  bindVcpu: 8,
  unmask: 9,
  reset: 10,
  initControl: 11,
  expandArray: 12,
  setPriority: 13,
} as const;
const DOMID_SELF = 0x7ff0;

/** The structure of one command: its size, and what is done with it. A number is -errno; bytes go back to the guest. */
interface Command {
  readonly bytes: number;
  run(xen: Xen, args: DataView): number;
  /** The structure is written back when it went well. */
  readonly answers?: true;
}
const COMMANDS: Readonly<Record<number, Command>> = {
  [OP.allocUnbound]: {
    bytes: 8,
    answers: true,
    run(xen, args) {
      const [domain, remote] = [args.getUint16(0, true), args.getUint16(2, true)];
      if (domain !== DOMID_SELF && domain !== xen.id) return -ERRNO.ESRCH;
      const port = bind(xen, { state: 'unbound', remote: remote === DOMID_SELF ? xen.id : remote });
      if (port < 0) return port;
      args.setUint32(4, port, true);
      return 0;
    },
  },
  // There is no other domain whose port it could be.
  [OP.bindInterdomain]: { bytes: 12, run: () => -ERRNO.ESRCH },
  [OP.bindVirq]: {
    bytes: 12,
    answers: true,
    run(xen, args) {
      const [virq, vcpu] = [args.getUint32(0, true), args.getUint32(4, true)];
      if (virq > VIRQ.last) return -ERRNO.EINVAL;
      if (!LOCAL_VIRQS.has(virq) && vcpu !== 0) return -ERRNO.EINVAL;
      if (vcpu !== 0) return -ERRNO.ENOENT;
      for (const bound of xen.io.ports.values())
        if (bound.state === 'virq' && bound.virq === virq) return -ERRNO.EEXIST;
      const port = bind(xen, { state: 'virq', virq });
      if (port < 0) return port;
      args.setUint32(8, port, true);
      return 0;
    },
  },
  [OP.bindPirq]: { bytes: 12, run: () => -ERRNO.EPERM }, // no device is this domain's
  [OP.bindIpi]: {
    bytes: 8,
    answers: true,
    run(xen, args) {
      if (args.getUint32(0, true) !== 0) return -ERRNO.ENOENT;
      const port = bind(xen, { state: 'ipi' });
      if (port < 0) return port;
      args.setUint32(4, port, true);
      return 0;
    },
  },
  [OP.close]: {
    bytes: 4,
    run(xen, args) {
      const port = args.getUint32(0, true);
      if (!xen.io.ports.delete(port)) return -ERRNO.EINVAL;
      formOf(xen).clear(xen, port);
      return 0;
    },
  },
  [OP.send]: {
    bytes: 4,
    run(xen, args) {
      const port = args.getUint32(0, true);
      const bound = xen.io.ports.get(port);
      switch (bound?.state) {
        case 'interdomain':
          notified(xen, bound.device);
          return 0;
        case 'ipi':
          raise(xen, port);
          return 0;
        case 'unbound':
          return 0; // lost, silently
      }
      return -ERRNO.EINVAL;
    },
  },
  [OP.status]: {
    bytes: 24,
    answers: true,
    run(xen, args) {
      const [domain, port] = [args.getUint16(0, true), args.getUint32(4, true)];
      if (domain !== DOMID_SELF && domain !== xen.id) return -ERRNO.ESRCH;
      if (port === 0 || port >= PORTS_MAX) return -ERRNO.EINVAL;
      const bound = xen.io.ports.get(port);
      args.setUint32(8, STATUS[bound?.state ?? 'closed'], true);
      args.setUint32(12, 0, true);
      if (bound && 'remote' in bound) args.setUint16(16, bound.remote, true);
      if (bound?.state === 'interdomain') args.setUint32(20, port, true);
      if (bound?.state === 'virq') args.setUint32(16, bound.virq, true);
      return 0;
    },
  },
  [OP.bindVcpu]: {
    bytes: 8,
    run(xen, args) {
      const [port, vcpu] = [args.getUint32(0, true), args.getUint32(4, true)];
      if (vcpu !== 0) return -ERRNO.ENOENT;
      const bound = xen.io.ports.get(port);
      if (!bound || bound.state === 'ipi') return -ERRNO.EINVAL;
      return bound.state === 'virq' && LOCAL_VIRQS.has(bound.virq) ? -ERRNO.EINVAL : 0;
    },
  },
  [OP.unmask]: {
    bytes: 4,
    run(xen, args) {
      const port = args.getUint32(0, true);
      if (!xen.io.ports.has(port)) return -ERRNO.EINVAL;
      formOf(xen).unmask(xen, port);
      return 0;
    },
  },
  [OP.reset]: {
    bytes: 2,
    run(xen, args) {
      const domain = args.getUint16(0, true);
      if (domain !== DOMID_SELF && domain !== xen.id) return -ERRNO.ESRCH;
      for (const port of xen.io.ports.keys()) formOf(xen).clear(xen, port);
      xen.io.ports.clear();
      destroy(xen);
      return 0;
    },
  },
  [OP.initControl]: {
    bytes: 24,
    answers: true,
    run(xen, args) {
      args.setUint8(16, LINK_BITS);
      return initControl(xen, args.getBigUint64(0, true), args.getUint32(8, true), args.getUint32(12, true));
    },
  },
  [OP.expandArray]: { bytes: 8, run: (xen, args) => expandArray(xen, args.getBigUint64(0, true)) },
  [OP.setPriority]: {
    bytes: 8,
    run: (xen, args) => setPriority(xen, args.getUint32(0, true), args.getUint32(4, true)),
  },
};
/** The FIFO form came with Xen 4.4. */
const SINCE_4_4: ReadonlySet<number> = new Set([OP.initControl, OP.expandArray, OP.setPriority]);

/** do_event_channel_op(cmd, arg). */
export const eventChannelOp: Handler<Xen> = (xen, [command, arg]) => {
  const op = Number(command! & 0xffff_ffffn);
  const found = COMMANDS[op];
  if (!found || (xen.generation === '4.1' && SINCE_4_4.has(op))) return failed(ERRNO.ENOSYS);
  const bytes = xen.copyFrom(arg!, found.bytes);
  if (!bytes) return failed(ERRNO.EFAULT);
  const error = found.run(xen, new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  if (error !== 0) return failed(-error);
  return found.answers && !xen.copyTo(arg!, bytes) ? failed(ERRNO.EFAULT) : 0n;
};
