/** mmu_update and update_va_mapping: changing entries of page tables (mm.c, do_mmu_update, __do_update_va_mapping). */
import { asPaddr, asVaddr, type Frame } from '../../../../base/brand.js';
import { BATCH, CLASS, ERRNO, PATH, TYPE } from '../../names.js';
import type { Handler } from '../domain.js';
import { carryOutArray, pageOwner } from './call.js';
import { answer, type Core, type Rc } from './core.js';
import { isGuestAddress } from './entries.js';
import { FLAG } from './frames.js';
import { modifyAbove, modifyL1 } from './modify.js';
import { DOMID, getPage, getPageFromMfn, getType, putPage, putType } from './references.js';
import { placeOfL1 } from './walk.js';

/** Commands, the low three bits of a request's ptr (public/xen.h, MMU_*). */
const COMMAND = { normal: 0, machphys: 1, preserveAd: 2, noTranslate: 3 } as const;
const REQUEST_BYTES = 16;

/** do_mmu_update. */
export const mmuUpdate =
  (core: Core): Handler =>
  (domain, args) => {
    let owner: number = DOMID.self;
    let mustFlush = false;
    return carryOutArray(core, args, {
      bytes: REQUEST_BYTES,
      style: BATCH.mmu_update,
      class: CLASS.update,
      unreadable: 'copyUpdate',
      prepare(foreign) {
        // Whose tables: 0 for the caller's, else a number + 1. Whose frames: the low half.
        const tables = foreign >>> 16;
        if (tables !== 0 && tables - 1 !== domain.id) return -ERRNO.ESRCH;
        const found = pageOwner(core, foreign & 0xffff);
        if (found === undefined) return -ERRNO.ESRCH;
        owner = found;
        return 0;
      },
      read(request) {
        const ptr = request.getBigUint64(0, true);
        return { number: Number(ptr & 7n), args: [ptr, request.getBigUint64(8, true)] };
      },
      carryOut(command, [ptr, val]) {
        if (command > COMMAND.noTranslate) {
          core.say('unknownUpdate', command);
          return -ERRNO.ENOSYS;
        }
        if (owner === DOMID.xen) return -ERRNO.EPERM; // xsm_mmu_update
        if (command === COMMAND.machphys) return machphys(core, ptr, val, owner);
        const { rc, level } = updateAt(core, ptr & ~7n, val, command === COMMAND.preserveAd, owner);
        if (level > 1 && rc === 0) mustFlush = true; // linear page tables may be in the TLB
        return rc;
      },
      finish() {
        if (mustFlush) core.flushAll();
      },
    });
  };

/** One normal update: an entry of a table, or eight bytes of memory that is none. */
function updateAt(
  core: Core,
  at: bigint,
  value: bigint,
  preserveAd: boolean,
  owner: number,
): { rc: Rc; level: number } {
  const { frames } = core;
  const mfn = Number(at >> 12n);
  if (!frames.exists(mfn) || !getPage(core, mfn)) {
    core.say('updatePage');
    return { rc: -ERRNO.EINVAL, level: 0 };
  }
  const index = Number(at & 0xfffn) >>> 3;
  const type = frames.type[mfn]!;
  let rc: Rc = -ERRNO.EINVAL;
  let level = 0;
  if (frames.has(mfn, FLAG.validated) && frames.typeCount[mfn]! > 0) {
    core.locked = mfn; // page_lock
    const change = { table: mfn, index, value, path: PATH.update, preserveAd, owner };
    if (type === TYPE.l1) rc = modifyL1(core, change);
    else if (type >= TYPE.l2 && type <= TYPE.l4) {
      level = type;
      if (owner === DOMID.self) rc = modifyAbove(core, type, change);
    } else if (type === TYPE.writable) rc = storePlain(core, mfn, index, value);
    core.locked = -1;
  } else if (getType(core, mfn, TYPE.writable) === 0) {
    rc = storePlain(core, mfn, index, value);
    putType(core, mfn);
  }
  putPage(core, mfn);
  return { rc, level };
}
function storePlain(core: Core, mfn: Frame, index: number, value: bigint): Rc {
  core.memory.hostStore(asPaddr(mfn * 4096 + 8 * index), 8, value);
  return 0;
}

/** MMU_MACHPHYS_UPDATE: the guest says which guest frame a machine frame is. */
function machphys(core: Core, ptr: bigint, pfn: bigint, owner: number): Rc {
  const mfn = Number(ptr >> 12n);
  if (!getPageFromMfn(core, mfn, owner)) {
    core.say('machphysPage');
    return -ERRNO.EINVAL;
  }
  core.domain.setPfn(mfn, pfn);
  putPage(core, mfn);
  return 0;
}

/** Flags of update_va_mapping (public/xen.h, UVMF_*): what to flush, and for whom, a pointer if neither of these. */
const FLUSH = { mask: 3n, all: 1n, one: 2n } as const;
const WHO = { local: 0n, all: 4n } as const;

/** do_update_va_mapping: the entry of level 1 that maps an address of the current address space. */
export const updateVaMapping =
  (core: Core): Handler =>
  (_, [at = 0n, value = 0n, flags = 0n]) =>
    updateVa(core, at, value, flags, DOMID.self);
/** do_update_va_mapping_otherdomain. */
export const updateVaMappingOtherdomain =
  (core: Core): Handler =>
  (_, [at = 0n, value = 0n, flags = 0n, id = 0n]) => {
    const owner = pageOwner(core, Number(id & 0xffffn));
    return owner === undefined ? answer(-ERRNO.ESRCH) : updateVa(core, at, value, flags, owner);
  };

function updateVa(core: Core, at: bigint, value: bigint, flags: bigint, owner: number): bigint {
  core.begin();
  const rc = owner === DOMID.xen ? -ERRNO.EPERM : core.entryDone(() => changeVa(core, at, value, owner));
  return answer(rc !== 0 ? rc : flushFor(core, flags, at));
}
function changeVa(core: Core, at: bigint, value: bigint, owner: number): Rc {
  const { domain, frames } = core;
  const root = domain.kernelMode ? domain.kernelRoot : domain.userRoot;
  const place = placeOfL1(core, root, at);
  if (!place || !getPageFromMfn(core, place.table)) return -ERRNO.EINVAL;
  const { table, index } = place;
  let rc: Rc = -ERRNO.EINVAL;
  if (frames.tableLevel(table) === 1 && frames.typeCount[table]! > 0) {
    core.locked = table;
    rc = modifyL1(core, { table, index, value, path: PATH.va, owner });
    core.locked = -1;
  }
  putPage(core, table);
  return rc;
}
function flushFor(core: Core, flags: bigint, at: bigint): Rc {
  const what = flags & FLUSH.mask;
  if (what !== FLUSH.all && what !== FLUSH.one) return 0;
  const who = flags & ~FLUSH.mask;
  let here = true;
  if (who !== WHO.local && who !== WHO.all) {
    const found = isInMask(core, who);
    if (found === undefined) return -ERRNO.EFAULT;
    here = found;
  }
  if (!here) return 0;
  if (what === FLUSH.all) core.flushAll();
  else flushOne(core, at);
  return 0;
}
/** paging_invlpg, flush_tlb_one_mask: one page; addresses that are none are let pass. */
export function flushOne(core: Core, at: bigint): void {
  const isCanonical = BigInt.asUintN(64, BigInt.asIntN(48, at)) === at;
  if (isCanonical) core.domain.flush('one', asVaddr(at));
}
/** vcpumask_to_pcpumask: whether the only vcpu is in a bit mask in guest memory; undefined where that faults. */
export function isInMask({ domain }: Core, at: bigint): boolean | undefined {
  const mask = isGuestAddress(at) ? domain.copyFrom(at, 8) : undefined;
  return mask && (mask[0]! & 1) !== 0;
}
