/**
 * Taking and giving back references to frames, and through them types: the heart of mm.c.
 *
 * (1) a plain reference: getPage, putPage
 * (2) a reference that needs a type: getType, putType. The first one validates the frame if its type asks for that, the
 *     last one of a page table undoes it; both recurse through the levels (promote.ts).
 *
 * The parts of Xen's state machine that are about other processors (spinning on PGT_locked, lost cmpxchg, EINTR) have no
 * counterpart: one vcpu, and nothing runs between two steps.
 */
import { assert } from '../../../../base/assert.js';
import type { Frame } from '../../../../base/brand.js';
import { ERRNO, type FrameType, TYPE } from '../../names.js';
import { bareType, TYPE_NAMES } from '../../typeword.js';
import { INVALID_M2P } from '../domain.js';
import { type Core, ERESTART, type Rc } from './core.js';
import { FLAG, OWNER } from './frames.js';
import { demote, promote } from './promote.js';
import { validateDescriptors } from './segments.js';

/** Domains that are no domains but may be named as owners (public/xen.h). */
export const DOMID = { self: 0x7ff0, io: 0x7ff1, xen: 0x7ff2 } as const;

/** page_get_owner_and_reference: DOMID.self, or undefined for a frame nobody may refer to. */
export const ownerOf = ({ frames }: Core, mfn: Frame): number | undefined =>
  frames.total[mfn]! > 0 && frames.owner[mfn] === OWNER.domain ? DOMID.self : undefined;

/** get_page: a plain reference, if the frame is the domain's. Says why not. `mfn` may be any number. */
export function getPage(core: Core, mfn: number, owner: number = DOMID.self): mfn is Frame {
  const { frames, domain } = core;
  if (!frames.exists(mfn)) return false;
  const real = ownerOf(core, mfn);
  if (real !== undefined && real === owner) {
    frames.addTotal(mfn, 1);
    return true;
  }
  core.say(
    'notOwner',
    mfn,
    nameOf(domain.id, owner),
    real === undefined ? 'NULL' : nameOf(domain.id, real),
    frames.countWord(mfn),
    frames.typeWord(mfn),
    pointerOf(domain.id, owner),
    real === undefined ? 0 : pointerOf(domain.id, real),
  );
  return false;
}
/** %pd of Xen 4.17. */
const nameOf = (id: number, owner: number): string =>
  owner === DOMID.io ? 'd[IO]' : owner === DOMID.xen ? 'd[XEN]' : `d${id}`;
/** 4.1 prints the address of struct domain. Ours has none: one page each in Xen's heap, by number. */
const pointerOf = (id: number, owner: number): bigint =>
  0xffff_8300_0000_0000n + BigInt(owner === DOMID.self ? id : owner) * 0x1000n;

/** get_page_from_mfn: getPage, with a second complaint. */
export function getPageFromMfn(core: Core, mfn: number, owner: number = DOMID.self): mfn is Frame {
  if (getPage(core, mfn, owner)) return true;
  core.say('noRef', mfn);
  return false;
}

/** put_page: the last reference frees the frame. */
export function putPage(core: Core, mfn: Frame): void {
  const { frames, domain } = core;
  frames.addTotal(mfn, -1);
  if (frames.total[mfn] !== 0) return;
  if (frames.has(mfn, FLAG.xenHeap)) return; // stays Xen's, and nobody can refer to it any more
  // cleanup_page_mappings, free_domheap_page: no writable mapping is left, and nobody's guest frame.
  assert(frames.typeCount[mfn] === 0, 'a frame that is freed has no type references');
  if (frames.type[mfn] === TYPE.writable) frames.setType(mfn, TYPE.none);
  frames.setFlag(mfn, FLAG.validated, false);
  frames.owner[mfn] = OWNER.free;
  core.owned--;
  core.freeFrom = Math.min(core.freeFrom, mfn);
  if (domain.pfnOf(mfn) !== INVALID_M2P) domain.setPfn(mfn, INVALID_M2P);
}

/**
 * _get_page_type: one more reference that needs `type`. The caller holds a plain reference.
 * @returns 0; -EINVAL if the frame has another type or is not fit for this one; ERESTART with the frame left partial
 */
export function getType(core: Core, mfn: Frame, type: FrameType): Rc {
  const { frames, domain } = core;
  const was = frames.type[mfn]!;
  const count = frames.typeCount[mfn]!;
  let wasPartial = false;
  if (count === 0) {
    if (was !== type) {
      frames.setType(mfn, type);
      frames.setFlag(mfn, FLAG.validated, false);
      // No writable mapping may linger in the TLB once the frame is a page table (tlbflush_filter spares what is stale).
      if (frames.mayLinger(mfn)) core.flushAll();
    }
    frames.addTypeCount(mfn, 1);
  } else if (was !== type) {
    // A table of the level above may be meant as a linear page table: the caller looks, so nothing is said yet.
    if (!(was === type + 1 && type >= TYPE.l1 && was <= TYPE.l4))
      core.say(
        'badType',
        frames.typeWord(mfn, core.locked === mfn),
        bareType(domain.generation, TYPE_NAMES[type]),
        mfn,
        domain.pfnOf(mfn),
      );
    return -ERRNO.EINVAL;
  } else if (frames.has(mfn, FLAG.validated)) {
    frames.addTypeCount(mfn, 1);
    return 0;
  } else {
    assert(count === 1 && frames.has(mfn, FLAG.partial), 'a frame with references is validated or partial');
    frames.setFlag(mfn, FLAG.partial, false);
    wasPartial = true;
  }
  if (frames.has(mfn, FLAG.validated)) return 0;

  let rc: Rc = 0;
  if (type === TYPE.writable || type === TYPE.shared) frames.setFlag(mfn, FLAG.validated, true);
  else {
    if (!wasPartial) {
      frames.entriesDone[mfn] = 0;
      frames.setFlag(mfn, FLAG.partialSet, false);
      frames.linear[mfn] = 0;
    }
    rc = validate(core, mfn, type);
  }
  if (wasPartial) putPage(core, mfn);
  return rc;
}

/** validate_page. */
function validate(core: Core, mfn: Frame, type: FrameType): Rc {
  const { frames, domain } = core;
  const rc = type === TYPE.seg_desc ? validateDescriptors(core, mfn) : promote(core, mfn, type);
  if (rc === 0) {
    frames.setFlag(mfn, FLAG.partialSet, false);
    frames.setFlag(mfn, FLAG.validated, true);
    return 0;
  }
  if (rc !== ERESTART) {
    core.say(
      'validating',
      mfn,
      domain.pfnOf(mfn),
      bareType(domain.generation, TYPE_NAMES[type]),
      frames.countWord(mfn),
      frames.typeWord(mfn),
    );
    if (core.pending?.mfn !== mfn) {
      frames.clearType(mfn);
      return rc;
    }
  }
  assert(frames.typeCount[mfn] === 1, 'a partial frame has one type reference');
  frames.addTotal(mfn, 1); // get_page_light
  frames.setFlag(mfn, FLAG.partial, true);
  return rc;
}

/**
 * _put_page_type: one reference less that needs the type. A page table whose last one goes is no page table any more.
 * @param partialSet only what is left of a table that is partial is to be undone (PTF_partial_set)
 * @param parent the table whose entry held the reference, -1 for none: it may be a linear page table entry
 * @returns 0, or ERESTART with the frame left partial
 */
export function putType(core: Core, mfn: Frame, partialSet = false, parent = -1): Rc {
  const { frames } = core;
  const wasPartial = frames.has(mfn, FLAG.partial);
  const wasValidated = frames.has(mfn, FLAG.validated);
  if (!partialSet) assert(wasValidated && !wasPartial, 'a type reference is to a validated frame');
  else if (!wasPartial) return 0;
  else assert(frames.typeCount[mfn] === 1, 'a partial frame has one type reference');

  const type = frames.type[mfn]!;
  const isLinear = parent >= 0 && frames.type[parent] === type;
  if (frames.typeCount[mfn] === 1 && type >= TYPE.l1 && type <= TYPE.l4) {
    // _put_final_page_type
    frames.setFlag(mfn, FLAG.validated, false);
    frames.setFlag(mfn, FLAG.partial, false);
    if (!wasPartial) {
      frames.entriesDone[mfn] = 512;
      frames.setFlag(mfn, FLAG.partialSet, false);
    }
    const rc = demote(core, mfn, type);
    if (isLinear && wasValidated) dropLinear(core, mfn, parent);
    if (rc === 0) {
      frames.setFlag(mfn, FLAG.partialSet, false);
      frames.idle(mfn);
      frames.addTypeCount(mfn, -1);
    } else {
      frames.addTotal(mfn, 1); // get_page_light
      frames.setFlag(mfn, FLAG.partial, true);
    }
    if (wasPartial) putPage(core, mfn);
    return rc;
  }
  if (isLinear) dropLinear(core, mfn, parent);
  frames.addTypeCount(mfn, -1);
  if (frames.typeCount[mfn] === 0) frames.idle(mfn);
  return 0;
}
/** dec_linear_uses, dec_linear_entries. */
function dropLinear({ frames }: Core, mfn: Frame, parent: number): void {
  frames.linear[mfn]!++;
  frames.linear[parent]!--;
}

/**
 * get_page_and_type_from_mfn.
 * @param partialSet the caller's entry holds the plain reference already
 * @param retain when work is left, the plain reference stays with the entry
 */
export function getPageAndType(core: Core, mfn: number, type: FrameType, partialSet = false, retain = false): Rc {
  if (!partialSet && !getPageFromMfn(core, mfn)) return -ERRNO.EINVAL;
  const rc = getType(core, mfn as Frame, type);
  if (rc !== 0 && !partialSet && core.pending?.mfn !== mfn && !(retain && rc === ERESTART)) putPage(core, mfn as Frame);
  return rc;
}
/** put_page_and_type, for frames that are no page tables of a higher level. */
export function putPageAndType(core: Core, mfn: Frame): void {
  const rc = putType(core, mfn);
  assert(rc === 0, 'what is put without preemption is put to the end');
  putPage(core, mfn);
}

/**
 * put_page_and_type_preemptible: what is left when work is, stays pending.
 * @returns 0 or ERESTART
 */
export function putTable(core: Core, mfn: Frame): Rc {
  const rc = putType(core, mfn);
  if (rc === 0) putPage(core, mfn);
  else core.pending = { mfn, parent: -1, partial: true, cause: core.cause };
  return rc;
}
/** put_old_guest_table: gives back the reference that is pending. */
export function putPending(core: Core): Rc {
  const { pending, domain } = core;
  if (!pending) return 0;
  return domain.within(pending.cause, () =>
    core.entryDone(() => {
      const rc = putType(core, pending.mfn, pending.partial, pending.parent);
      if (rc === 0) {
        putPage(core, pending.mfn);
        core.pending = undefined;
      } else pending.partial = true;
      return rc;
    }),
  );
}
