/**
 * What mmu_update and mmuext_op have in common: an array of requests, of which as many are carried out as go well, a
 * counter the guest may ask for, and the ways a call can go on later.
 */
import { ERRNO } from '../../names.js';
import type { Answer, Domain } from '../domain.js';
import { again, answer, type Core, ERESTART, type Rc, u32 } from './core.js';
import { isGuestAddress } from './entries.js';
import { DOMID, putPending } from './references.js';

/** Bit of the count that says that this is not the first time (public/xen.h). */
const PREEMPTED = 0x8000_0000;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

export interface Requests {
  readonly count: number;
  /** Request `index`, or undefined where the guest's memory faults. */
  read(index: number): DataView | undefined;
}

/**
 * @param bytes size of a request
 * @param prepare looks at the domains that are named; an error number, or 0
 * @param each carries out one request
 * @returns what the hypercall answers
 */
export function requestCall(
  core: Core,
  args: readonly bigint[],
  bytes: number,
  prepare: (foreign: number) => Rc,
  each: (requests: Requests) => (index: number, request: DataView) => Rc,
  faulted: () => void,
  finish: () => void = () => {},
): Answer {
  const { domain } = core;
  const [list = 0n, countArg = 0n, doneAt = 0n, foreign = 0n] = args;
  core.begin();
  if (putPending(core) !== 0) return again(args);
  let count = u32(countArg);
  if (count === PREEMPTED && list === 0n) return answer(Number(BigInt.asIntN(32, foreign)));

  let done = 0;
  if (count >= PREEMPTED) {
    count -= PREEMPTED;
    if (doneAt !== 0n) done = u32FromGuest(domain, doneAt);
  }
  if (!isArrayOkay(list, count, bytes)) return answer(-ERRNO.EFAULT);
  let rc = prepare(u32(foreign));
  if (rc !== 0) return answer(rc);

  const requests: Requests = {
    count,
    read(index) {
      const data = domain.copyFrom(BigInt.asUintN(64, list + BigInt(index * bytes)), bytes);
      return data && new DataView(data.buffer, data.byteOffset, data.length);
    },
  };
  const run = each(requests);
  let i = 0;
  for (; i < count; i++) {
    if (core.pending || (i > 0 && core.isDue)) {
      rc = ERESTART;
      break;
    }
    core.spend(1);
    const request = requests.read(i);
    if (!request) {
      faulted();
      rc = -ERRNO.EFAULT;
      break;
    }
    rc = run(i, request);
    if (rc !== 0) break;
  }
  const rest = BigInt.asUintN(64, list + BigInt(i * bytes));
  const then: Answer =
    rc === ERESTART
      ? again([rest, BigInt(count - i + PREEMPTED), doneAt, foreign])
      : core.pending // give it back first; the answer travels in the place of the foreign domain
        ? again([0n, BigInt(PREEMPTED), 0n, BigInt.asUintN(32, BigInt(rc))])
        : answer(rc);
  finish();
  if (doneAt !== 0n) domain.copyTo(doneAt, u32Bytes(done + i));
  return then;
}

/** guest_handle_okay: the start lies where a guest may, and the size does not wrap. What is not mapped faults later. */
const isArrayOkay = (at: bigint, count: number, bytes: number): boolean =>
  BigInt(count) < U64_MAX / BigInt(bytes) && isGuestAddress(at);

function u32FromGuest(domain: Domain, at: bigint): number {
  const data = isGuestAddress(at) ? domain.copyFrom(at, 4) : undefined;
  return data ? new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true) : 0;
}
function u32Bytes(value: number): Uint8Array {
  const data = new Uint8Array(4);
  new DataView(data.buffer).setUint32(0, value, true);
  return data;
}

/**
 * get_pg_owner: whose frames a call is about. There is one domain; Xen's own two are known by name, and this one may not
 * touch what is Xen's (it is not privileged, whatever its number).
 * @returns DOMID.self or DOMID.io or DOMID.xen, or undefined: -ESRCH
 */
export function pageOwner(core: Core, id: number): number | undefined {
  const { domain } = core;
  if (id === domain.id) core.say('foreignSelf');
  else if (id === DOMID.xen && domain.generation === '4.1') core.say('foreignPrivileged');
  else if (id === DOMID.self || id === DOMID.io || id === DOMID.xen) return id;
  else core.say('foreignUnknown', id);
  return undefined;
}
