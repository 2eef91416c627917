/**
 * Writable page tables (pv/ro-page-fault.c): a guest that stores into a level-1 table it has mapped read only faults, and
 * Xen does the store for it, as an update of the entry. Tables of higher levels are not emulated: the guest gets its fault.
 */
import type { Frame } from '../../../../base/brand.js';
import { PATH } from '../../names.js';
import type { Core } from './core.js';
import { adjusted, frameIn, isGlobalKernel, PRESENT, RW } from './entries.js';
import { getFromL1, putFromL1 } from './promote.js';
import { ownerOf } from './references.js';
import { kernelEntry } from './walk.js';

/** A store by the guest that faulted, to be emulated if it is into a page table. */
export interface PtwrStore {
  /** The address that faulted. */
  readonly cr2: bigint;
  /** Where the store goes: first byte. */
  readonly at: bigint;
  readonly bytes: number;
  readonly value: bigint;
  /** For a compare and exchange: what must be there. */
  readonly expected?: bigint;
}
/** done; not ours (the guest gets its fault); a read fault at an address; the compare failed and this was there. */
export type PtwrAnswer = 'done' | 'unhandled' | { readonly fault: bigint } | { readonly found: bigint };

/** pv_ro_page_fault, ptwr_do_page_fault: the level-1 table that the guest's kernel has mapped read only at an address. */
export function tableAt(core: Core, at: bigint): Frame | undefined {
  const entry = kernelEntry(core, at);
  const mfn = frameIn(entry);
  if ((entry & (PRESENT | RW)) !== PRESENT || !core.frames.exists(mfn) || ownerOf(core, mfn) === undefined)
    return undefined;
  return core.frames.tableLevel(mfn) === 1 && core.frames.typeCount[mfn]! > 0 ? mfn : undefined;
}

/** ptwr_emulated_write, ptwr_emulated_cmpxchg, ptwr_emulated_update. */
export function ptwr(core: Core, { cr2, at, bytes, value, expected }: PtwrStore): PtwrAnswer {
  const table = tableAt(core, cr2);
  if (table === undefined) return 'unhandled';
  if (bytes > 8 || bytes < 1 || (bytes & (bytes - 1)) !== 0) {
    core.say(expected === undefined ? 'ptwrWriteSize' : 'ptwrCmpxchgSize', at, bytes);
    return 'unhandled';
  }
  if (at >> 12n !== cr2 >> 12n || at % BigInt(bytes) !== 0n) {
    core.say('ptwrAccess', cr2, at, bytes);
    return 'unhandled';
  }
  // A store of less than an entry takes the rest from what is there.
  const shift = 8n * (at & 7n);
  const mask = ((1n << BigInt(8 * bytes)) - 1n) << shift;
  let rest = 0n;
  if (bytes !== 8) {
    const full = core.domain.copyFrom(at & ~7n, 8);
    if (!full) return { fault: at & ~7n };
    rest = new DataView(full.buffer, full.byteOffset, 8).getBigUint64(0, true) & ~mask;
  }
  const whole = (part: bigint): bigint => ((part << shift) & mask) | rest;
  core.begin();
  return core.entryDone(() => {
    core.locked = table;
    const done = update(core, table, Number((at & 0xfffn) >> 3n), whole(value), expected && whole(expected));
    core.locked = -1;
    return typeof done === 'string' ? done : { found: (done.found & mask) >> shift };
  });
}

function update(
  core: Core,
  table: Frame,
  index: number,
  value: bigint,
  expected: bigint | undefined,
): Exclude<PtwrAnswer, { fault: bigint }> {
  if (value & PRESENT && getFromL1(core, value) !== 0) {
    core.say('ptwrEntry');
    return 'unhandled';
  }
  if (isGlobalKernel(value)) core.say('globalPtwr', frameIn(value));
  const now = adjusted(1, value);
  const old = core.entry(table, index);
  if (expected !== undefined && old !== expected) {
    putFromL1(core, now);
    return { found: old };
  }
  core.write(table, index, now, PATH.ptwr);
  putFromL1(core, old);
  return 'done';
}
