/**
 * Machine memory: what Xen keeps for itself, and where the domain's frames are.
 *
 *   frame 0        nobody's: mfn 0 stands for "no table"
 *         1        zeros, seen where the guest's descriptor table has no frame
 *         2        the page of Xen's own descriptors, at byte 0xe000 of every GDT
 *         3, 4, 5  L3, L2, L1 of the per-domain area (L4 slot 260), where the processor reads GDT and LDT
 *         6, 7     L3, L2 of the M2P (L4 slot 256)
 *         8 ...    its L1 tables, one for 2 MiB of M2P, which is 1 GiB of memory
 *         ...      the M2P: 8 bytes a machine frame
 *         ...      shared_info: the domain's, though it is none of its guest frames
 *         ...      the domain's frames
 *         ...      its grant table's, to the end of memory; a domain of less than 32 MiB has none
 *
 * Which machine frame a guest frame has is an accident of the allocator in life, and guests that mistake one for the other
 * work until it changes. Here neighbours are never neighbours: pfn 0, 1, 2 ... go round the domain's frames in steps of
 * about 0.618 of them, so that no pfn is its own mfn for long and every mistake shows at once.
 */
import { assert } from '../../../base/assert.js';
import { asFrame, type Frame, PAGE_BYTES } from '../../../base/brand.js';

export const XEN_FRAMES = { none: 0, zero: 1, descriptors: 2, perDomainL3: 3, perDomainL2: 4, perDomainL1: 5 } as const;
export const M2P_TABLES = { l3: 6, l2: 7, l1: 8 } as const;

/** Xen's part of the address space (asm-x86/config.h): no guest may use it, but for reading the M2P. */
export const XEN_FROM = 0xffff_8000_0000_0000n;
export const XEN_TO = 0xffff_8800_0000_0000n;
export const M2P_AT = 0xffff_8000_0000_0000n;
/** GDT and LDT of the vcpu (GDT_VIRT_START, LDT_VIRT_START), 64 KiB each. */
export const GDT_AT = 0xffff_8200_0000_0000n;
export const LDT_AT = 0xffff_8200_0001_0000n;
/** L4 slots that are Xen's, and those of them it fills here. */
export const XEN_SLOTS = { first: 256, count: 16, m2p: 256, perDomain: 260 } as const;

/** Pages of a descriptor table that may be the guest's (FIRST_RESERVED_GDT_PAGE), and pages in all. */
export const GDT_PAGES = { guest: 14, all: 16 } as const;

/** Where Xen's machine has what. Frames are machine frames. */
export interface MachineLayout {
  /** Of the whole machine. */
  readonly frames: number;
  readonly m2pL1s: number;
  /** First frame of the M2P, and how many it has. */
  readonly m2p: number;
  readonly m2pFrames: number;
  readonly sharedInfo: Frame;
  /** First of the domain's frames, and how many it has. */
  readonly domain: number;
  readonly domainFrames: number;
  /** First frame of the grant table, and how many it may have. */
  readonly grants: number;
  readonly grantFrames: number;
}

const ENTRIES = PAGE_BYTES / 8;
const GRANT_FRAMES = 4;
const GRANTS_FROM_FRAMES = 2 ** 13;

/** @param domainFrames what the guest gets, at least 2 */
export function layoutFor(domainFrames: number): MachineLayout {
  const grantFrames = domainFrames < GRANTS_FROM_FRAMES ? 0 : GRANT_FRAMES;
  let m2pFrames = 1;
  for (;;) {
    const m2pL1s = Math.ceil(m2pFrames / ENTRIES);
    const m2p = M2P_TABLES.l1 + m2pL1s;
    const domain = m2p + m2pFrames + 1;
    const grants = domain + domainFrames;
    const frames = grants + grantFrames;
    const needed = Math.ceil(frames / ENTRIES);
    const sharedInfo = asFrame(domain - 1);
    if (needed <= m2pFrames)
      return { frames, m2pL1s, m2p, m2pFrames, sharedInfo, domain, domainFrames, grants, grantFrames };
    m2pFrames = needed;
  }
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
/** The step from one pfn's frame to the next one's: near the golden section, and prime to the number of frames. */
function stepOf(count: number): number {
  let step = Math.max(1, Math.round(count * 0.618));
  while (gcd(step, count) !== 1) step++;
  return step;
}

/** The machine frame of every guest frame, by pfn. */
export function arrange({ domain, domainFrames }: MachineLayout): Uint32Array {
  const step = stepOf(domainFrames);
  const mfns = new Uint32Array(domainFrames);
  let at = Math.floor(domainFrames / 3);
  for (let pfn = 0; pfn < domainFrames; pfn++) {
    mfns[pfn] = domain + at;
    at = (at + step) % domainFrames;
  }
  assert(at === Math.floor(domainFrames / 3), 'the arrangement comes round');
  return mfns;
}
