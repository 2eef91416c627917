/** Where the guest's kernel wants to be entered: its trap table and its callbacks (pv/callback.c). */
import { isCanonical } from '../../../machine/x86/control.js';
import { ERRNO } from '../names.js';
import { type Answer, failed, type Handler } from './domain.js';
import { GATE, type TrapGate } from './vcpu.js';
import type { Xen } from './xen.js';

const TRAP_INFO_BYTES = 16;
/** Gates in one piece of a call; the table goes on until one without an address. */
const GATES_PER_CALL = 256;
const NMI = 2;

/*
 * struct trap_info:   15            8 7      4   2  1     0
 *                    | address       | cs    | . | flags | vector |     cs is bytes 2 and 3
 */
export const setTrapTable: Handler<Xen> = (xen, [table]): Answer => {
  if (table === 0n) {
    for (const vector of [...xen.vcpu.traps.keys()].sort((a, b) => a - b)) setGate(xen, vector, undefined);
    return 0n;
  }
  for (let n = 0; n < GATES_PER_CALL; n++) {
    const words = xen.guest.words(BigInt.asUintN(64, table! + BigInt(n * TRAP_INFO_BYTES)), 2);
    if (!words) return failed(ERRNO.EFAULT);
    const [head, address] = words as [bigint, bigint];
    if (address === 0n) return 0n;
    if (!isCanonical(address)) return failed(ERRNO.EINVAL);
    const cs = Number((head >> 16n) & 0xffffn) | 3; // fixup_guest_code_selector
    setGate(xen, Number(head & 0xffn), { cs, address, flags: Number((head >> 8n) & 0xffn) });
  }
  return { again: [BigInt.asUintN(64, table! + BigInt(GATES_PER_CALL * TRAP_INFO_BYTES))] };
};
function setGate(xen: Xen, vector: number, gate: TrapGate | undefined): void {
  const { traps } = xen.vcpu;
  const old = traps.get(vector)?.address ?? 0n;
  if (gate) traps.set(vector, gate);
  else traps.delete(vector);
  const now = gate?.address ?? 0n;
  if (old !== now) xen.tell({ kind: 'descriptor', table: 'trap', index: vector, old, new: now });
}

const CALLBACK = { event: 0, failsafe: 1, syscall: 2, nmi: 4, sysenter: 5, syscall32: 7 } as const;
const MASK_EVENTS = 1;
const NAMED = {
  [CALLBACK.event]: 'event',
  [CALLBACK.failsafe]: 'failsafe',
  [CALLBACK.syscall]: 'syscall',
  [CALLBACK.syscall32]: 'syscall32',
  [CALLBACK.sysenter]: 'sysenter',
} as const;
const isNamed = (type: number): type is keyof typeof NAMED => type in NAMED;

/** register_guest_callback. */
function register(xen: Xen, type: number, flags: number, address: bigint): bigint {
  if (!isCanonical(address)) return failed(ERRNO.EINVAL);
  // The failsafe callback is for selectors that cannot be loaded when Xen changes vcpus, of which there is one here.
  if (isNamed(type)) xen.vcpu[NAMED[type]] = { address, masks: (flags & MASK_EVENTS) !== 0 };
  else if (type === CALLBACK.nmi) setGate(xen, NMI, { cs: 0xe033, address, flags: GATE.masks });
  else return failed(ERRNO.ENOSYS);
  return 0n;
}
/** Event, failsafe and syscall at once; what is not canonical is left out, and the call succeeds. */
export const setCallbacks: Handler<Xen> = (xen, [event, failsafe, syscall]) => {
  register(xen, CALLBACK.event, 0, event!);
  register(xen, CALLBACK.failsafe, 0, failsafe!);
  register(xen, CALLBACK.syscall, 0, syscall!);
  return 0n;
};
const OP = { register: 0, unregister: 1 } as const;
/** struct callback_register: u16 type, u16 flags, u64 address at 8. Only the NMI's can be taken back. */
export const callbackOp: Handler<Xen> = (xen, [command, arg]) => {
  const op = Number(command! & 0xffff_ffffn);
  if (op !== OP.register && op !== OP.unregister) return failed(ERRNO.ENOSYS);
  const head = xen.copyFrom(arg!, op === OP.register ? 16 : 4);
  if (!head) return failed(ERRNO.EFAULT);
  const view = new DataView(head.buffer);
  const type = view.getUint16(0, true);
  if (op === OP.register) return register(xen, type, view.getUint16(2, true), view.getBigUint64(8, true));
  if (type === CALLBACK.nmi) setGate(xen, NMI, undefined);
  return type === CALLBACK.nmi ? 0n : failed(isNamed(type) ? ERRNO.EINVAL : ERRNO.ENOSYS);
};
/** do_nmi_op: struct xennmi_callback has the address at 0. */
export const nmiOp: Handler<Xen> = (xen, [command, arg]) => {
  const op = Number(command! & 0xffff_ffffn);
  if (op === OP.unregister) {
    setGate(xen, NMI, undefined);
    return 0n;
  }
  if (op !== OP.register) return failed(ERRNO.ENOSYS);
  const address = xen.guest.word(arg!);
  return address === undefined ? failed(ERRNO.EFAULT) : register(xen, CALLBACK.nmi, 0, address);
};
