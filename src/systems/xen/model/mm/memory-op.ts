/**
 * memory_op: how many frames the domain has, and changing that (common/memory.c, arch/x86/mm.c arch_memory_op). A domain may
 * give frames back and take them again, up to what it began with.
 */
import { asFrame, type Frame, PAGE_BYTES } from '../../../../base/brand.js';
import { ERRNO } from '../../names.js';
import type { Answer, Domain, Handler } from '../domain.js';
import { again, answer, type Core, type Rc, u32 } from './core.js';
import { frameIn, isGuestAddress } from './entries.js';
import { FLAG, OWNER } from './frames.js';
import { DOMID, getPage, putPage } from './references.js';

/** public/memory.h, XENMEM_*. */
export const XENMEM = {
  increase_reservation: 0,
  decrease_reservation: 1,
  maximum_ram_page: 2,
  current_reservation: 3,
  maximum_reservation: 4,
  machphys_mfn_list: 5,
  populate_physmap: 6,
  add_to_physmap: 7,
  memory_map: 9,
  machine_memory_map: 10,
  exchange: 11,
  machphys_mapping: 12,
  set_memory_map: 13,
  maximum_gpfn: 14,
  remove_from_physmap: 15,
  add_to_physmap_batch: 23,
} as const;
/** A continuation counts the extents that are done in the command, above its number. */
const COMMAND_BITS = 6n;
const EXTENTS_MAX = 0xffff_ffff >>> Number(COMMAND_BITS);
/** Largest extent a domain may ask for at once (CONFIG_DOMU_MAX_ORDER). */
const ORDER_MAX = 9;
/** Wishes about the memory (XENMEMF_*); a domain may not insist on a node. */
const FLAGS = { addressBits: 0xff, node: 0xff00, onDemand: 0x1_0000, exactNode: 0x2_0000 } as const;
/** What the guest sees of the M2P, whatever memory there is. */
const M2P = { from: 0xffff_8000_0000_0000n, to: 0xffff_8040_0000_0000n } as const;
const E820_RAM = 1;

/** do_memory_op. */
export const memoryOp =
  (core: Core): Handler =>
  (domain, [command = 0n, arg = 0n]) => {
    core.begin();
    const op = Number(command & ((1n << COMMAND_BITS) - 1n));
    const done = command >> COMMAND_BITS;
    const readAt = (at: bigint, bytes: number): DataView | undefined => {
      const data = isGuestAddress(at) ? domain.copyFrom(at, bytes) : undefined;
      return data && new DataView(data.buffer, data.byteOffset, data.length);
    };
    const own = (id: number): boolean => id === DOMID.self || id === domain.id;
    switch (op) {
      case XENMEM.increase_reservation:
      case XENMEM.decrease_reservation:
      case XENMEM.populate_physmap:
        return reservation(core, op, arg, done, readAt(arg, 32), own);
      case XENMEM.maximum_ram_page:
        return done ? answer(-ERRNO.EINVAL) : BigInt(domain.frames);
      case XENMEM.current_reservation:
      case XENMEM.maximum_reservation:
      case XENMEM.maximum_gpfn: {
        if (done) return answer(-ERRNO.EINVAL);
        const id = readAt(arg, 2);
        if (!id) return answer(-ERRNO.EFAULT);
        if (!own(id.getUint16(0, true))) return answer(-ERRNO.ESRCH);
        if (op === XENMEM.current_reservation) return BigInt(core.owned);
        // domain_get_maximum_gpfn is arch_get_max_pfn of shared_info, which the guest writes: not kept here.
        return op === XENMEM.maximum_reservation ? BigInt(core.ownedMax) : answer(-ERRNO.ENOSYS);
      }
      case XENMEM.memory_map:
        return memoryMap(core, arg, readAt(arg, 16));
      case XENMEM.machphys_mfn_list:
        return machphysList(core, readAt(arg, 24), arg);
      case XENMEM.machphys_mapping:
        return isGuestAddress(arg) && domain.copyTo(arg, u64s(M2P.from, M2P.to, (M2P.to - M2P.from) / 8n - 1n))
          ? 0n
          : answer(-ERRNO.EFAULT);
      case XENMEM.add_to_physmap:
      case XENMEM.add_to_physmap_batch:
      case XENMEM.remove_from_physmap:
        // Guests whose frames Xen translates only (xatp_permission_check); 4.1 does not tell them apart by the error.
        return answer(domain.generation === '4.1' ? -ERRNO.EINVAL : -ERRNO.EACCES);
      case XENMEM.machine_memory_map:
      case XENMEM.set_memory_map:
        return answer(-ERRNO.EPERM); // for whoever is privileged
      default:
        return answer(-ERRNO.ENOSYS);
    }
  };

const u32s = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const u64s = (...values: bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);

/**
 * increase_reservation, decrease_reservation, populate_physmap. The argument: list u64, how many extents u64, order u32,
 * flags u32, domain u16. Answers how many extents were done, whatever went wrong.
 */
function reservation(
  core: Core,
  op: number,
  arg: bigint,
  start: bigint,
  wanted: DataView | undefined,
  own: (id: number) => boolean,
): Answer {
  const { domain } = core;
  if (!wanted) return start;
  const list = wanted.getBigUint64(0, true);
  const extents = wanted.getBigUint64(8, true);
  const order = wanted.getUint32(16, true);
  const flags = wanted.getUint32(20, true);
  if (extents > EXTENTS_MAX || start >= extents || !own(wanted.getUint16(24, true))) return start;
  if (order > ORDER_MAX || (list === 0n ? op !== XENMEM.increase_reservation : !isGuestAddress(list))) return start;
  if ((flags & FLAGS.addressBits) !== 0 && (flags & FLAGS.addressBits) <= 12) return start; // below the first frame's end
  if (flags & FLAGS.exactNode && flags & FLAGS.node) return start;
  if (op === XENMEM.populate_physmap && flags & FLAGS.onDemand) return start; // not for oneself
  const each = op === XENMEM.decrease_reservation ? release : op === XENMEM.populate_physmap ? populate : increase;
  let i = Number(start);
  for (; i < Number(extents); i++) {
    if (i !== Number(start) && core.isDue) return again([BigInt(op) | (BigInt(i) << COMMAND_BITS), arg]);
    core.spend(1 << order);
    const at = list === 0n ? 0n : list + BigInt(8 * i);
    const isDone = core.entryDone(() => each(core, at, order));
    if (!isDone) {
      if (op !== XENMEM.decrease_reservation) core.say('noExtent', order, domain.id, 0, i, Number(extents));
      break;
    }
  }
  return BigInt(i);
}

/** guest_remove_page for each frame of an extent. References that are left keep the frame until they go. */
function release(core: Core, at: bigint, order: number): boolean {
  const first = numberAt(core.domain, at);
  if (first === undefined) return false;
  for (let n = 0; n < 1 << order; n++) if (removePage(core, Number(first) + n) !== 0) return false;
  return true;
}
function removePage(core: Core, mfn: number): Rc {
  const { frames, domain } = core;
  if (!frames.exists(mfn)) {
    core.say('freeInvalid', domain.id, mfn);
    return -ERRNO.EINVAL;
  }
  if (!getPage(core, mfn)) {
    core.say('badFree', domain.id, mfn);
    return -ERRNO.EINVAL;
  }
  if (frames.has(mfn, FLAG.allocated)) {
    frames.setFlag(mfn, FLAG.allocated, false); // put_page_alloc_ref
    putPage(core, mfn);
  }
  putPage(core, mfn);
  return 0;
}

/** increase_reservation: frames, whose numbers go to the list if there is one. */
function increase(core: Core, at: bigint, order: number): boolean {
  const mfn = allocate(core, order);
  return mfn !== undefined && (at === 0n || core.domain.copyTo(at, u64s(BigInt(mfn))));
}
/** populate_physmap: frames for guest frames from the one in the list on, whose place their numbers take. */
function populate(core: Core, at: bigint, order: number): boolean {
  const { domain } = core;
  const pfn = numberAt(domain, at);
  const mfn = pfn === undefined ? undefined : allocate(core, order);
  if (mfn === undefined || pfn === undefined) return false;
  for (let n = 0; n < 1 << order; n++) domain.setPfn(asFrame(mfn + n), BigInt.asUintN(64, pfn + BigInt(n)));
  return domain.copyTo(at, u64s(BigInt(mfn)));
}
function numberAt(domain: Domain, at: bigint): bigint | undefined {
  const data = domain.copyFrom(at, 8);
  return data && new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0, true);
}

/** alloc_domheap_pages: the lowest free extent, aligned to its size. */
function allocate(core: Core, order: number): Frame | undefined {
  const { frames, domain } = core;
  const size = 1 << order;
  if (core.owned + size > core.ownedMax) {
    core.say('overAllocation', domain.id, core.owned + size, core.ownedMax);
    return undefined;
  }
  while (core.freeFrom < frames.count && frames.owner[core.freeFrom] !== OWNER.free) core.freeFrom++;
  for (let first = core.freeFrom - (core.freeFrom % size); first + size <= frames.count; first += size) {
    core.spend(1);
    let n = 0;
    while (n < size && frames.owner[first + n] === OWNER.free) n++;
    if (n < size) continue;
    for (n = 0; n < size; n++) core.claim(asFrame(first + n));
    return asFrame(first);
  }
  return undefined;
}

/**
 * XENMEM_machphys_mfn_list (x86_64/mm.c): the frame with which each 2 MiB of the M2P begins. The argument: how many fit
 * u32, list u64, how many there are u32.
 */
function machphysList(core: Core, wanted: DataView | undefined, arg: bigint): bigint {
  const { domain } = core;
  if (!wanted) return answer(-ERRNO.EFAULT);
  const list = wanted.getBigUint64(8, true);
  const pieces = Math.ceil((domain.frames * 8) / 2 ** 21);
  const count = Math.min(wanted.getUint32(0, true), pieces);
  for (let n = 0; n < count; n++) {
    let entry = domain.xenSlots(domain.kernelRoot)[0]!;
    for (const at of [0, n, 0]) entry = core.entry(asFrame(frameIn(entry)), at); // levels 3, 2 and 1
    const to = list + BigInt(8 * n);
    if (!isGuestAddress(to) || !domain.copyTo(to, u64s(BigInt(frameIn(entry))))) return answer(-ERRNO.EFAULT);
  }
  return domain.copyTo(arg + 16n, u32s(count)) ? 0n : answer(-ERRNO.EFAULT);
}

/** XENMEM_memory_map: entries u32, buffer u64. The toolstack gives PV domains one range of memory from 0 on. */
function memoryMap({ domain, ownedMax }: Core, arg: bigint, wanted: DataView | undefined): bigint {
  if (!wanted) return answer(-ERRNO.EFAULT);
  const entries = Math.min(u32(wanted.getBigUint64(0, true)), 1);
  const buffer = wanted.getBigUint64(8, true);
  const e820 = new Uint8Array(20); // address u64, size u64, type u32
  const view = new DataView(e820.buffer);
  view.setBigUint64(8, BigInt(ownedMax * PAGE_BYTES), true);
  view.setUint32(16, E820_RAM, true);
  const isCopied =
    (entries === 0 || (isGuestAddress(buffer) && domain.copyTo(buffer, e820))) && domain.copyTo(arg, u32s(entries));
  return isCopied ? 0n : answer(-ERRNO.EFAULT);
}
