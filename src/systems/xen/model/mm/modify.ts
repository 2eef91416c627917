/**
 * One entry of a validated table changes (mod_l1_entry .. mod_l4_entry). First the reference of the new entry is taken,
 * then the entry is written, then the reference of the old one is given back; if the first fails nothing has happened.
 */
import type { Frame } from '../../../../base/brand.js';
import { ERRNO } from '../../names.js';
import type { Core, Rc } from './core.js';
import {
  ACCESSED,
  adjusted,
  DIRTY,
  disallowed,
  flags24,
  frameIn,
  isGlobalKernel,
  isGuestSlot,
  isSimilar,
  PRESENT,
} from './entries.js';
import { getFromL1, getFromTable, putFromL1 } from './promote.js';
import { DOMID } from './references.js';

export interface Change {
  readonly table: Frame;
  readonly index: number;
  /** What the guest asks for. */
  readonly value: bigint;
  /** PATH, for the pte event. */
  readonly path: number;
  /** Accessed and dirty bits that are set stay set (MMU_PT_UPDATE_PRESERVE_AD). */
  readonly preserveAd?: boolean;
  /** Whose the frame in an entry of level 1 is; a DOMID. */
  readonly owner?: number;
}

/** mod_l1_entry. @returns 0 or a negative error number, with nothing changed */
export function modifyL1(core: Core, change: Change): Rc {
  const old = core.entry(change.table, change.index);
  if (!(change.value & PRESENT)) {
    store(core, change, old, change.value);
    putFromL1(core, old);
    return 0;
  }
  const bad = disallowed(1, change.value);
  if (bad) {
    core.say('modBadFlags1', flags24(bad));
    return -ERRNO.EINVAL;
  }
  if (isGlobalKernel(change.value)) core.say('globalModify', frameIn(change.value));
  const value = adjusted(1, change.value);
  if (isSimilar(old, value)) {
    store(core, change, old, value);
    return 0;
  }
  const rc = getFromL1(core, value, change.owner ?? DOMID.self);
  if (rc !== 0) return rc;
  store(core, change, old, value);
  putFromL1(core, old);
  return 0;
}

/** mod_l2_entry, mod_l3_entry, mod_l4_entry. The table that the old entry named stays pending. */
export function modifyAbove(core: Core, level: number, change: Change): Rc {
  const { table, index } = change;
  if (!isGuestSlot(level, index)) {
    // 4.1 prints where its own mapping of the entry is, which is in Xen's direct map.
    core.say('xenSlot', index, 0xffff_8300_0000_0000n + BigInt(table) * 0x1000n + BigInt(8 * index));
    return -ERRNO.EINVAL;
  }
  const old = core.entry(table, index);
  if (!(change.value & PRESENT)) store(core, change, old, change.value);
  else {
    const bad = disallowed(level, change.value);
    if (bad) {
      core.say(`modBadFlags${level as 2 | 3 | 4}`, flags24(bad));
      return -ERRNO.EINVAL;
    }
    const value = adjusted(level, change.value);
    if (isSimilar(old, value)) {
      store(core, change, old, value);
      return 0;
    }
    const rc = getFromTable(core, level, value, table);
    if (rc !== 0) return rc;
    store(core, change, old, value);
  }
  const mfn = frameIn(old);
  if (old & PRESENT && mfn !== table)
    core.pending = { mfn: mfn as Frame, parent: table, partial: false, cause: core.cause };
  return 0;
}

/** update_intpte. */
function store(core: Core, { table, index, path, preserveAd }: Change, old: bigint, value: bigint): void {
  core.write(table, index, preserveAd ? value | (old & (ACCESSED | DIRTY)) : value, path);
}
