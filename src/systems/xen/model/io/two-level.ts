/**
 * How a raised port reaches the guest in the two-level form (common/event_2l.c): its bit in `pending`; if it was clear, and
 * the port is not masked, the bit of its word in the vcpu's selector; if that was clear, the vcpu's byte "upcall pending".
 *
 *   shared_info   0x800 pending   u64[64]      vcpu_info   0 upcall_pending u8      8 pending_sel u64
 *                 0xa00 mask      u64[64]                  1 upcall_mask    u8
 */
import { paddrOf } from '../../../../base/brand.js';
import type { Xen } from '../xen.js';

/**
 * What event channels are told in. Events `pending` and `mask` are what Xen does; a guest clears bits by plain stores into
 * memory of its own, of which there are none.
 */
export interface Form {
  /** Raises a port (evtchn_port_set_pending). */
  raise(xen: Xen, port: number): void;
  /** A closed port is not pending any more. */
  clear(xen: Xen, port: number): void;
  unmask(xen: Xen, port: number): void;
  isPending(xen: Xen, port: number): boolean;
  /** The guest has not yet taken it off a queue: a free port with this number must wait. */
  isBusy(xen: Xen, port: number): boolean;
}

const PENDING = 0x800;
const MASK = 0xa00;
const SELECTOR = 8;
const BITS = 64;

/** A bit of an array in the shared page: reads it, sets or clears it, and tells what it was. */
function exchangeBit(xen: Xen, array: number, port: number, on: boolean): boolean {
  const at = paddrOf(xen.layout.sharedInfo, array + 8 * Math.floor(port / BITS));
  const bit = 1n << BigInt(port % BITS);
  const word = xen.memory.read(at, 8);
  const was = (word & bit) !== 0n;
  if (was !== on) xen.memory.hostStore(at, 8, on ? word | bit : word & ~bit);
  return was;
}
const isSet = (xen: Xen, array: number, port: number): boolean => {
  const at = paddrOf(xen.layout.sharedInfo, array + 8 * Math.floor(port / BITS));
  return ((xen.memory.read(at, 8) >> BigInt(port % BITS)) & 1n) !== 0n;
};
/** The vcpu's part: which word has a pending bit, and that there is one. */
function select(xen: Xen, port: number): void {
  const word = xen.vcpuWord(SELECTOR);
  const bit = 1n << BigInt(Math.floor(port / BITS));
  if (word & bit) return;
  xen.setVcpuWord(SELECTOR, word | bit);
  xen.markPending();
}

export const TWO_LEVEL: Form = {
  raise(xen, port) {
    if (exchangeBit(xen, PENDING, port, true)) return;
    xen.tell({ kind: 'pending', port, old: false, new: true });
    if (!isSet(xen, MASK, port)) select(xen, port);
  },
  clear(xen, port) {
    if (exchangeBit(xen, PENDING, port, false)) xen.tell({ kind: 'pending', port, old: true, new: false });
  },
  unmask(xen, port) {
    if (!exchangeBit(xen, MASK, port, false)) return;
    xen.tell({ kind: 'mask', port, old: true, new: false });
    if (isSet(xen, PENDING, port)) select(xen, port);
  },
  isPending: (xen, port) => isSet(xen, PENDING, port),
  isBusy: () => false,
};
