/**
 * multicall: a list of calls carried out as one (common/multicall.c). One that fails does not keep those behind it from
 * being carried out. An entry, in the guest's memory: op, result, up to six arguments, 8 bytes each.
 *
 * The list says what was asked, not by whom: kernels queue entries in one place and flush them in another. A guest of ours
 * keeps a record beside each entry (MC_DEBUG in Linux does the same) and says in an ELF note where. A record, 128 bytes:
 * time stamp counter when it was queued, depth of its call stack, up to 14 return addresses, innermost first.
 */
import { BATCH, CLASS, ERRNO, HYPERCALL } from '../names.js';
import { iret } from './bounce.js';
import { argumentsOf, carryOut, shownNumber } from './calls.js';
import { prefix } from './crash.js';
import { type Answer, failed } from './domain.js';
import type { Xen } from './xen.js';

const ENTRY_BYTES = 64n;
const RESULT_AT = 8n;
const ARGUMENTS_AT = 16n;
const WORDS = 8;
const ARGUMENTS = 5;
/** Entries in one piece of a call. */
const ENTRIES_PER_CALL = 256;
const RECORD_BYTES = 128n;
const RECORD_DEPTH_MAX = 14n;

/** do_multicall(list, count). */
export function multicall(xen: Xen, [list, calls]: readonly bigint[]): Answer {
  const count = Number(calls! & 0xffff_ffffn);
  if (xen.inMulticall) {
    xen.print(`${prefix(xen, 'multicall.c:28')}Multicall reentry is disallowed.`);
    return failed(ERRNO.EINVAL);
  }
  xen.inMulticall = true;
  const seq = xen.tell({ kind: 'batch', style: BATCH.multicall, count });
  try {
    return xen.within(seq, () => carryOutAll(xen, list!, count));
  } finally {
    xen.inMulticall = false;
  }
}
function carryOutAll(xen: Xen, list: bigint, count: number): Answer {
  for (let n = 0; n < count; n++) {
    const at = BigInt.asUintN(64, list + ENTRY_BYTES * BigInt(n));
    const left = [at, BigInt(count - n)];
    if (n === ENTRIES_PER_CALL) return { again: left };
    const entry = xen.guest.words(at, WORDS);
    if (!entry) return failed(ERRNO.EFAULT);
    const [number, , ...all] = entry as [bigint, bigint, ...bigint[]];
    const args = argumentsOf(number, all.slice(0, ARGUMENTS));
    const seq = xen.tell({
      kind: 'entry',
      index: n,
      class: CLASS.hypercall,
      number: shownNumber(number),
      args,
      ...queuedBy(xen, at),
    });
    const done = xen.within(seq, () => one(xen, at, number, args));
    if (xen.over) return 0n;
    if (done === 'preempted') return { again: left };
    if (done !== 'next') return done;
    // An entry that left kernel mode ends it here; the guest comes back for the rest (mc_preempt).
    if (!xen.kernelMode && n + 1 < count) return { again: [at + ENTRY_BYTES, BigInt(count - n - 1)] };
  }
  return 0n;
}
/** One entry: its result goes to the guest's list. What ends the multicall instead is its answer. */
function one(xen: Xen, at: bigint, number: bigint, args: readonly bigint[]): 'next' | 'preempted' | bigint {
  if (number === BigInt(HYPERCALL.iret)) {
    // mc_exit: the guest is elsewhere now, and rax there is what the frame said.
    iret(xen);
    return xen.cpu.get(0);
  }
  const answer = carryOut(xen, number, args);
  if (typeof answer !== 'bigint') {
    const written = answer.again.every((value, n) => xen.guest.putWord(at + ARGUMENTS_AT + 8n * BigInt(n), value));
    return written ? 'preempted' : failed(ERRNO.EFAULT);
  }
  const value = BigInt.asUintN(64, answer);
  xen.tell({ kind: 'result', value });
  return xen.guest.putWord(at + RESULT_AT, value) ? 'next' : failed(ERRNO.EFAULT);
}

/** When and by whom the entry at `at` was queued, as its record says; else that it is not known, and the flush's stack. */
function queuedBy(xen: Xen, at: bigint): { queued: bigint; stack: number } {
  const unknown = { queued: 0n, stack: xen.stack() };
  const { queue } = xen;
  if (!queue || at < queue.entries || (at - queue.entries) % ENTRY_BYTES !== 0n) return unknown;
  const record = queue.records + ((at - queue.entries) / ENTRY_BYTES) * RECORD_BYTES;
  const words = xen.guest.words(BigInt.asUintN(64, record), Number(RECORD_BYTES) / 8);
  if (!words) return unknown;
  const [queued, depth, ...stack] = words as [bigint, bigint, ...bigint[]];
  if (queued === 0n || queued > BigInt(xen.ticks) || depth > RECORD_DEPTH_MAX) return unknown;
  return { queued, stack: xen.stackOf(stack.slice(0, Number(depth))) };
}
