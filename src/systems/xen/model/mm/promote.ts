/**
 * Tables becoming page tables, and ceasing to be: each present entry takes a reference to the frame it names, of the type
 * its level asks for, and is then what Xen makes of it (adjusted).
 *
 *   level 4 -> level 3 -> level 2 -> level 1 -> memory, writable or not
 *
 * An entry may also name a table of its own level: a LINEAR page table, by which a guest reaches its tables as memory. It
 * must be read only; the table named must be validated already, have no such entries itself, and the table that names it
 * must not be so named: chains of them could not be undone in bounded depth (mm.c, get_l?_linear_pagetable).
 *
 * Levels 3 and 4 can stop half way, level 2 too; level 1 is done in one go. A table that fails keeps the entries that were
 * adjusted before, and gives their references back: level 1 at once, others as a partial table that is pending.
 */
import { assert } from '../../../../base/assert.js';
import type { Frame } from '../../../../base/brand.js';
import { ERRNO, type FrameType, PATH, TYPE } from '../../names.js';
import { type Core, ERESTART, type Rc } from './core.js';
import {
  adjusted,
  disallowed,
  FRAME_MAX,
  flags24,
  frameIn,
  isGlobalKernel,
  isGuestSlot,
  PRESENT,
  RW,
  XEN_SLOTS,
} from './entries.js';
import { FLAG } from './frames.js';
import {
  DOMID,
  getPageAndType,
  getPageFromMfn,
  getType,
  ownerOf,
  putPage,
  putPageAndType,
  putType,
} from './references.js';

const ENTRIES = 512;
const PSE = 0x80n;

/**
 * get_page_from_l1e: the reference of a present entry of level 1.
 * @param owner whose the frame must be: DOMID.self, or a foreign domain the guest named
 * @returns 0 or a negative error number
 */
export function getFromL1(core: Core, entry: bigint, owner: number = DOMID.self): Rc {
  const { frames, domain } = core;
  const old = domain.generation === '4.1'; // which knows one error only
  const bad = disallowed(1, entry);
  if (bad) {
    core.say('badFlags1', flags24(bad));
    return -ERRNO.EINVAL;
  }
  const mfn = frameIn(entry);
  if (!frames.exists(mfn)) {
    // Not memory, so a device's registers, which this domain may not have.
    if (mfn === FRAME_MAX) return -ERRNO.EINVAL;
    core.say('mmio', owner === DOMID.io || owner === DOMID.self ? domain.id : owner, mfn);
    return old ? -ERRNO.EINVAL : -ERRNO.EPERM;
  }
  const real = ownerOf(core, mfn);
  const id = owner === DOMID.self ? domain.id : owner;
  const fail = (): Rc => {
    core.say('errorGetting', mfn, domain.pfnOf(mfn), entry, domain.id, id);
    return old ? -ERRNO.EINVAL : -ERRNO.EBUSY;
  };
  if (real !== owner) {
    core.say('wrongOwner', id, domain.id, real === undefined ? -1 : domain.id);
    return fail();
  }
  frames.addTotal(mfn, 1);
  if (entry & RW && getType(core, mfn, TYPE.writable) !== 0) {
    core.say('notWritable');
    putPage(core, mfn);
    return fail();
  }
  return 0;
}
/** put_page_from_l1e. */
export function putFromL1(core: Core, entry: bigint): void {
  const mfn = frameIn(entry);
  if (!(entry & PRESENT) || !core.frames.exists(mfn)) return;
  if (entry & RW) putPageAndType(core, mfn);
  else putPage(core, mfn);
}

/** get_page_from_l2e .. get_page_from_l4e: the reference of a present entry of level 2 to 4 in `table`. */
export function getFromTable(
  core: Core,
  level: number,
  entry: bigint,
  table: Frame,
  partialSet = false,
  retain = false,
): Rc {
  const bad = disallowed(level, entry);
  if (bad) {
    // 4.1 has a switch for superpages at level 2, off by default, and says so.
    if (level === 2 && core.domain.generation === '4.1' && bad === PSE) core.say('noSuperpages');
    else core.say(`badFlags${level as 2 | 3 | 4}`, flags24(bad));
    return -ERRNO.EINVAL;
  }
  const rc = getPageAndType(core, frameIn(entry), (level - 1) as FrameType, partialSet, retain);
  return rc === -ERRNO.EINVAL && getLinear(core, level, entry, table) ? 0 : rc;
}

/** get_l2_linear_pagetable and its like: an entry that names a table of its own level. */
function getLinear(core: Core, level: number, entry: bigint, table: Frame): boolean {
  const { frames } = core;
  if (entry & RW) {
    core.say('linearWritable');
    return false;
  }
  const mfn = frameIn(entry);
  if (mfn === table) return true; // maps itself: no reference, or it could never be undone
  if (!getPageFromMfn(core, mfn)) return false;
  const fits =
    frames.linear[table]! >= 0 &&
    frames.linear[mfn]! <= 0 &&
    frames.tableLevel(mfn) === level &&
    frames.typeCount[mfn]! > 0;
  if (!fits) {
    putPage(core, mfn);
    return false;
  }
  frames.linear[table]!++;
  frames.linear[mfn]!--;
  frames.addTypeCount(mfn, 1);
  return true;
}

/**
 * put_page_from_l2e .. put_page_from_l4e.
 * @param partialSet what the entry names is partial on account of this table
 */
export function putFromTable(core: Core, entry: bigint, table: Frame, partialSet = false): Rc {
  const mfn = frameIn(entry);
  if (!(entry & PRESENT) || mfn === table) return 0;
  assert(core.frames.exists(mfn), 'a validated entry names a frame');
  const rc = putType(core, mfn, partialSet, table);
  if (rc === 0) putPage(core, mfn);
  return rc;
}

/** promote_l1_table .. promote_l4_table: takes the references of a table's entries, from where it stopped before. */
export function promote(core: Core, table: Frame, level: number): Rc {
  return level === 1 ? promoteL1(core, table) : promoteAbove(core, table, level);
}

function promoteL1(core: Core, table: Frame): Rc {
  core.spend(ENTRIES);
  for (let i = 0; i < ENTRIES; i++) {
    if (!core.isPresent(table, i)) continue;
    const entry = core.entry(table, i);
    const rc = getFromL1(core, entry);
    if (rc !== 0) {
      core.say('failure1', rc, i);
      while (i-- > 0) putFromL1(core, core.entry(table, i));
      return rc;
    }
    if (isGlobalKernel(entry)) core.say('globalPromote', frameIn(entry));
    core.write(table, i, adjusted(1, entry), PATH.adjust);
  }
  return 0;
}

function promoteAbove(core: Core, table: Frame, level: number): Rc {
  const { frames } = core;
  const from = frames.entriesDone[table]!;
  let partialSet = frames.has(table, FLAG.partialSet);
  const stop = (at: number, set: boolean): void => {
    frames.entriesDone[table] = at;
    frames.setFlag(table, FLAG.partialSet, set);
  };
  for (let i = from; i < ENTRIES; i++, partialSet = false) {
    // Level 4 leaves it to the levels below to give way.
    if (level < 4 && i > from && core.isDue) {
      stop(i, partialSet);
      return ERESTART;
    }
    core.spend(1);
    if (!isGuestSlot(level, i) || !core.isPresent(table, i)) continue;
    const entry = core.entry(table, i);
    const rc = getFromTable(core, level, entry, table, partialSet, level > 2);
    if (rc === ERESTART) {
      stop(i, true);
      return ERESTART;
    }
    if (rc !== 0) {
      core.say(`failure${level as 2 | 3 | 4}`, rc, i);
      // What this table took so far is given back later; a child that failed half way is then its business. (Xen keeps a
      // child of entry 0 pending by itself, and then loses sight of it where the table above fails at a later entry.)
      const child = core.pending;
      assert(!child || child.mfn === frameIn(entry), 'what is pending is what failed');
      if (i === 0 && !partialSet && !child) return rc;
      stop(i, partialSet || child !== undefined);
      core.pending = { mfn: table, parent: -1, partial: true, cause: core.cause };
      return rc;
    }
    core.write(table, i, adjusted(level, entry), PATH.adjust);
  }
  if (level === 4) fillXenSlots(core, table);
  return 0;
}

/**
 * init_xen_l4_slots: whatever the guest left in Xen's slots is overwritten. The M2P is in there at once in 4.1; in 4.17 only
 * for guests that want it hidden from user code, whose tables lose it when they become a user root; others get it when they
 * become a kernel root (`showM2p`).
 */
function fillXenSlots(core: Core, table: Frame): void {
  const { domain } = core;
  const slots = domain.xenSlots(table);
  assert(slots.length === XEN_SLOTS.last - XEN_SLOTS.first + 1, 'Xen has sixteen slots');
  const withM2p = domain.generation === '4.1' || domain.m2pStrict;
  for (const [n, entry] of slots.entries())
    core.write(table, XEN_SLOTS.first + n, n === 0 && !withM2p ? 0n : entry, PATH.xen);
}
/** fill_ro_mpt, zap_ro_mpt: whether a level-4 table shows the M2P. */
export function showM2p(core: Core, root: Frame, shown: boolean): void {
  const isShown = core.entry(root, XEN_SLOTS.first) !== 0n;
  if (shown !== isShown) core.write(root, XEN_SLOTS.first, shown ? core.domain.xenSlots(root)[0]! : 0n, PATH.xen);
}

/** demote_l1_table .. demote_l4_table: gives back the references of a table's entries, the last one first. */
export function demote(core: Core, table: Frame, level: number): Rc {
  return level === 1 ? demoteL1(core, table) : demoteAbove(core, table, level);
}

function demoteL1(core: Core, table: Frame): Rc {
  core.spend(ENTRIES);
  for (let i = 0; i < ENTRIES; i++) if (core.isPresent(table, i)) putFromL1(core, core.entry(table, i));
  return 0;
}

function demoteAbove(core: Core, table: Frame, level: number): Rc {
  const { frames } = core;
  let partialSet = frames.has(table, FLAG.partialSet);
  for (let i = frames.entriesDone[table]! - (partialSet ? 0 : 1); i >= 0; i--) {
    if (isGuestSlot(level, i)) {
      const rc = putFromTable(core, core.entry(table, i), table, partialSet);
      if (rc !== 0) {
        frames.entriesDone[table] = i;
        frames.setFlag(table, FLAG.partialSet, true);
        return rc;
      }
    }
    partialSet = false;
    core.spend(1);
    if (level < 4 && i > 0 && core.isDue) {
      frames.entriesDone[table] = i;
      frames.setFlag(table, FLAG.partialSet, false);
      return ERESTART;
    }
  }
  return 0;
}
