/**
 * What Xen prints about page tables, word for word, by generation. The lines are those of the seed's own Xen (its two
 * line numbers are those of xen-unstable of 13 April 2011, 87e0dc6ea0, so all others are too), and of stable-4.17 as a
 * debug build prints them: a release build leaves out everything but `gprintk`.
 *
 * A message across several lines has the number of its last line in 4.1 and of its first in 4.17: compilers changed their
 * minds about __LINE__ in a macro's arguments (gcc 9).
 */
import type { Generation } from '../domain.js';

/** Line and format in mm.c; a third element for another file. Without a line: gprintk, which names no place. */
type Message = readonly [line: number, format: string, file?: string];
interface ByGeneration {
  readonly '4.1'?: Message;
  readonly '4.17'?: Message;
}
const MM_H = './arch/x86/include/asm/mm.h';
const PV_MM_H = 'arch/x86/pv/mm.h';
const RO_FAULT = 'arch/x86/pv/ro-page-fault.c';
const PAGE_ALLOC = 'common/page_alloc.c';
const MEMORY = 'common/memory.c';

const badFlags = (level: number, old: number, now: number): ByGeneration => ({
  '4.1': [old, `Bad L${level} flags %x`],
  '4.17': [now, `Bad L${level} flags %x`],
});
const failure = (level: number, old: number, now: number): ByGeneration => ({
  '4.1': [old, `Failure in alloc_l${level}_table: entry %2$d`],
  '4.17': [now, `Failure %d in promote_l${level}_table: slot %#x`],
});
const globalBit = (old: number): ByGeneration => ({
  '4.1': [old, 'Global bit is set to kernel page %lx'],
  '4.17': [98, 'Global bit is set in kernel page %lx', PV_MM_H],
});

export const MESSAGES = {
  noRef: {
    '4.1': [685, 'Could not get page ref for pfn %lx'],
    '4.17': [416, 'Could not get page ref for mfn %lx', MM_H],
  },
  /** 1 mfn, 2 domain, 3 owner, 4 caf, 5 taf, 6 and 7 the domains as pointers. */
  notOwner: {
    '4.1': [2137, 'Error pfn %lx: rd=%6$p, od=%7$p, caf=%4$08lx, taf=%5$016lx'],
    '4.17': [0, 'Error mfn %lx: rd=%2$s od=%3$s caf=%4$08lx taf=%5$016lx'],
  },
  linearWritable: {
    '4.1': [750, 'Attempt to create linear p.t. with write perms'],
    '4.17': [697, 'Attempt to create linear p.t. with write perms'],
  },
  badFlags1: badFlags(1, 833, 877),
  badFlags2: badFlags(2, 960, 1134),
  badFlags3: badFlags(3, 1001, 1157),
  badFlags4: badFlags(4, 1026, 1181),
  noSuperpages: { '4.1': [975, 'Attempt to map superpage without allowsuperpage flag in hypervisor'] },
  modBadFlags1: badFlags(1, 1820, 2160),
  modBadFlags2: badFlags(2, 1891, 2276),
  modBadFlags3: badFlags(3, 1958, 2338),
  modBadFlags4: badFlags(4, 2029, 2400),
  mmio: {
    '4.1': [853, 'Non-privileged (%u) attempt to map I/O space %08lx'],
    '4.17': [901, 'd%d non-privileged attempt to map MMIO space %lx'],
  },
  wrongOwner: { '4.17': [988, 'pg_owner d%d l1e_owner d%d, but real_pg_owner d%d'] },
  notWritable: { '4.17': [1014, 'Could not get page type PGT_writable_page'] },
  errorGetting: {
    '4.1': [939, 'Error getting mfn %lx (pfn %lx) from L1 entry %016lx for l1e_owner=%d, pg_owner=%d'],
    '4.17': [1040, 'Error getting mfn %lx (pfn %lx) from L1 entry %016lx for l1e_owner d%d, pg_owner d%d'],
  },
  globalPromote: globalBit(1250),
  globalModify: globalBit(1845),
  globalPtwr: globalBit(5059),
  failure1: failure(1, 1257, 1366),
  failure2: failure(2, 1401, 1474),
  failure3: failure(3, 1511, 1593),
  failure4: failure(4, 1558, 1784),
  xenSlot: {
    '4.1': [2017, 'Illegal L4 update attempt in Xen-private area %2$p'],
    '4.17': [2389, 'L4 update in Xen-private area, slot %#lx'],
  },
  validating: {
    '4.1': [2217, 'Error while validating mfn %lx (pfn %lx) for type %016lx: caf=%08lx taf=%016lx'],
    '4.17': [2649, 'Error while validating mfn %lx (pfn %lx) for type %016lx: caf=%08lx taf=%016lx'],
  },
  badType: {
    '4.1': [2466, 'Bad type (saw %016lx != exp %016lx) for mfn %lx (pfn %lx)'],
    '4.17': [2940, 'Bad type (saw %016lx != exp %016lx) for mfn %lx (pfn %lx)'],
  },
  baseptr: {
    '4.1': [2794, 'Error while installing new baseptr %lx'],
    '4.17': [3346, 'Error while installing new baseptr %lx'],
  },
  foreignSelf: {
    '4.1': [2830, 'Cannot specify itself as foreign domain'],
    '4.17': [2671, 'Cannot specify itself as foreign domain', PAGE_ALLOC],
  },
  foreignPrivileged: { '4.1': [2848, 'Cannot set foreign dom'] },
  foreignUnknown: {
    '4.1': [2856, "Unknown domain '%u'"],
    '4.17': [2687, 'Unknown domain d%d', PAGE_ALLOC],
  },
  copyMmuext: { '4.1': [2982, 'Bad __copy_from_guest'] },
  copyUpdate: { '4.1': [3461, 'Bad __copy_from_guest'] },
  pinning: {
    '4.1': [3027, 'Error while pinning mfn %2$lx'],
    '4.17': [3576, 'Error %d while pinning mfn %lx'],
  },
  alreadyPinned: { '4.1': [3043, 'Mfn %lx already pinned'], '4.17': [3588, 'mfn %lx already pinned'] },
  unpinOwner: { '4.1': [3078, 'Mfn %lx bad domain'], '4.17': [3632, 'mfn %lx bad, or bad owner d%d'] },
  notPinned: { '4.1': [3088, 'Mfn %lx not pinned'], '4.17': [3642, 'mfn %lx not pinned'] },
  userBaseptr: {
    '4.1': [3119, 'Error while installing new mfn %2$lx'],
    '4.17': [3708, 'Error %d installing new mfn %lx'],
  },
  flushCache: { '4.1': [3177, 'Non-physdev domain tried to FLUSH_CACHE.'] },
  flushCacheGlobal: { '4.1': [3202, 'Non-physdev domain tried to FLUSH_CACHE_GLOBAL'] },
  setLdt: {
    '4.1': [3222, 'Bad args to SET_LDT: ptr=%lx, ents=%lx'],
    '4.17': [3837, 'Bad args to SET_LDT: ptr=%lx, ents=%x'],
  },
  clearing: { '4.1': [3247, 'Error while clearing mfn %lx'], '4.17': [3865, 'Error clearing mfn %lx'] },
  copyingFrom: { '4.1': [3272, 'Error while copying from mfn %lx'], '4.17': [3892, 'Error copying from mfn %lx'] },
  copyingTo: { '4.1': [3282, 'Error while copying to mfn %lx'], '4.17': [3913, 'Error copying to mfn %lx'] },
  unknownMmuext: { '4.1': [3355, 'Invalid extended pt command 0x%x'] },
  updatePage: {
    '4.1': [3498, 'Could not get page for normal update'],
    '4.17': [4114, 'Could not get page for normal update'],
  },
  machphysPage: {
    '4.1': [3678, 'Could not get page for mach->phys update'],
    '4.17': [4238, 'Could not get page for mach->phys update'],
  },
  unknownUpdate: { '4.1': [3702, 'Invalid page update command %x'] },
  ptwrAccess: {
    '4.1': [4988, 'ptwr_emulate: bad access (cr2=%lx, addr=%lx, bytes=%u)'],
    '4.17': [100, 'bad access (cr2=%lx, addr=%lx, bytes=%u)', RO_FAULT],
  },
  ptwrEntry: {
    '4.1': [5048, 'ptwr_emulate: could not get_page_from_l1e()'],
    '4.17': [163, 'could not get_page_from_l1e()', RO_FAULT],
  },
  ptwrWriteSize: {
    '4.1': [5110, 'ptwr_emulate: bad write size (addr=%lx, bytes=%u)'],
    '4.17': [236, 'bad write size (addr=%lx, bytes=%u)', RO_FAULT],
  },
  ptwrCmpxchgSize: {
    '4.1': [5134, 'ptwr_emulate: bad cmpxchg size (addr=%lx, bytes=%u)'],
    '4.17': [255, 'bad cmpxchg size (addr=%lx, bytes=%u)', RO_FAULT],
  },
  noExtent: {
    '4.1': [133, 'Could not allocate order=%d extent: id=%d memflags=%x (%d of %d)', 'memory.c'],
    '4.17': [277, 'Could not allocate order=%u extent: id=%d memflags=%#x (%u of %u)', MEMORY],
  },
  badFree: {
    '4.1': [196, 'Bad page free for domain %u', 'memory.c'],
    '4.17': [404, 'Bad page free for Dom%u GFN %lx', MEMORY],
  },
  freeInvalid: {
    '4.1': [178, 'Domain %u page number %lx invalid', 'memory.c'],
    '4.17': [370, 'Domain %u page number %lx invalid', MEMORY],
  },
  overAllocation: {
    '4.1': [1148, 'Over-allocation for domain %u: %u > %u', 'page_alloc.c'],
    '4.17': [0, 'Over-allocation for d%u: %u > %u'],
  },
} as const satisfies Readonly<Record<string, ByGeneration>>;
export type MessageName = keyof typeof MESSAGES;
export type MessageArg = bigint | number | string;

/** `%2$lx` takes the second argument; %s, %d, %u, %x, %#x, %lx, %016lx, %p as in C. */
const DIRECTIVE = /%(?:(\d+)\$)?(#?)(0?)(\d*)(l?[dux]|s|p)/g;

function format(template: string, args: readonly MessageArg[]): string {
  let next = 0;
  return template.replace(DIRECTIVE, (_, at: string | undefined, sharp: string, _zero, width: string, what: string) => {
    const value = args[at === undefined ? next++ : Number(at) - 1]!;
    if (what === 's' || what.endsWith('d') || what.endsWith('u')) return String(value);
    const digits = BigInt.asUintN(64, BigInt(value)).toString(16);
    if (what === 'p') return digits.padStart(16, '0');
    return `${sharp && '0x'}${digits.padStart(Number(width || 0), '0')}`;
  });
}

/** The line Xen prints, or undefined where this generation says nothing. */
export function message(
  generation: Generation,
  domain: number,
  name: MessageName,
  args: readonly MessageArg[],
): string | undefined {
  const found = (MESSAGES[name] as ByGeneration)[generation];
  if (!found) return undefined;
  const [line, template, file] = found;
  const text = format(template, args);
  // gdprintk: file, line, and whom it is about: the domain in 4.1, its vcpu in 4.17.
  if (generation === '4.1') return `${file ?? 'mm.c'}:${line}:d${domain} ${text}`;
  return line === 0 ? `d${domain}v0 ${text}` : `${file ?? 'arch/x86/mm.c'}:${line}:d${domain}v0 ${text}`;
}
