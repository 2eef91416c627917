/**
 * What mmu_update and mmuext_op have in common: an array of requests, of which as many are carried out as go well, a
 * counter the guest may ask for, and the ways a call can go on later.
 */
import { type CLASS, ERRNO } from '../../names.js';

import type { Answer, Domain } from '../domain.js';
import { Batch } from './batch.js';
import { again, answer, type Core, ERESTART, type Rc, u32 } from './core.js';
import { isGuestAddress } from './entries.js';
import type { MessageName } from './messages.js';
import { DOMID, putPending } from './references.js';

/** Bit of the count that says that this is not the first time (public/xen.h). */
const PREEMPTED = 0x8000_0000;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** An array of requests, as far as the two calls differ. */
export interface ArrayCall {
  /** Size of a request. */
  readonly bytes: number;
  /** How it is told: BATCH and CLASS. */
  readonly style: number;
  readonly class: typeof CLASS.update | typeof CLASS.mmuext;
  /** What 4.1 says where a request cannot be read. */
  readonly unreadable: MessageName;
  /** Looks at the domains that are named: 0 or a negative error number. */
  prepare(foreign: number): Rc;
  /** The command of a request, and its arguments. */
  read(request: DataView): { readonly number: number; readonly args: readonly [bigint, bigint] };
  carryOut(number: number, args: readonly [bigint, bigint]): Rc;
  /** What is due once, for all of them. */
  finish?(): void;
}

/** do_mmu_update and do_mmuext_op, but for what a request means. */
export function carryOutArray(core: Core, args: readonly bigint[], call: ArrayCall): Answer {
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
  if (!isArrayOkay(list, count, call.bytes)) return answer(-ERRNO.EFAULT);
  let rc = call.prepare(u32(foreign));
  if (rc !== 0) return answer(rc);

  const placeOf = (index: number): bigint => BigInt.asUintN(64, list + BigInt(index * call.bytes));
  const batch = new Batch(core, call.style, count);
  let i = 0;
  for (; i < count; i++) {
    if (core.pending || (i > 0 && core.isDue)) {
      rc = ERESTART;
      break;
    }
    core.spend(1);
    const data = domain.copyFrom(placeOf(i), call.bytes);
    if (!data) {
      core.say(call.unreadable);
      rc = -ERRNO.EFAULT;
      break;
    }
    const request = call.read(new DataView(data.buffer, data.byteOffset, data.length));
    rc = batch.entry(i, call.class, request.number, request.args, () => call.carryOut(request.number, request.args));
    if (rc !== 0) break;
  }
  const then: Answer =
    rc === ERESTART
      ? again([placeOf(i), BigInt(count - i + PREEMPTED), doneAt, foreign])
      : core.pending // give it back first; the answer travels in the place of the foreign domain
        ? again([0n, BigInt(PREEMPTED), 0n, BigInt.asUintN(32, BigInt(rc))])
        : answer(rc);
  call.finish?.();
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
