/** A guest's linear address in its tables, as Xen finds it through its linear mapping of them. */
import { asFrame, type Frame } from '../../../../base/brand.js';
import type { Core } from './core.js';
import { frameIn, indexAt, isGuestAddress, PRESENT } from './entries.js';

const PSE = 0x80n;

export interface Place {
  readonly table: Frame;
  readonly index: number;
}
/** map_guest_l1e: where the entry of level 1 for `at` is, under a root; undefined where there is no table for it. */
export function placeOfL1(core: Core, root: Frame, at: bigint): Place | undefined {
  if (!isGuestAddress(at)) return undefined;
  let table = root;
  for (let level = 4; level > 1; level--) {
    const entry = core.entry(table, indexAt(level, at));
    const next = frameIn(entry);
    if (!(entry & PRESENT) || (level < 4 && entry & PSE) || !core.frames.exists(next)) return undefined;
    table = asFrame(next);
  }
  return { table, index: indexAt(1, at) };
}
/** guest_get_eff_kern_l1e: the entry by which the guest's kernel reaches `at`, 0 for none. */
export function kernelEntry(core: Core, at: bigint): bigint {
  const place = placeOfL1(core, core.domain.kernelRoot, at);
  return place ? core.entry(place.table, place.index) : 0n;
}
