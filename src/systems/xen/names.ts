/**
 * The words of Xen's PV interface: call numbers, error numbers, frame types, the ways an entry is written, and Xen's own
 * part of the address space. Numbers are those of xen/include/public (xen.h, errno.h) and of asm/mm.h.
 */
import type { Lexicon } from '../../events/lexicon.js';

/** Hypercall numbers (public/xen.h, __HYPERVISOR_*). */
export const HYPERCALL = {
  set_trap_table: 0,
  mmu_update: 1,
  set_gdt: 2,
  stack_switch: 3,
  set_callbacks: 4,
  fpu_taskswitch: 5,
  sched_op_compat: 6,
  platform_op: 7,
  set_debugreg: 8,
  get_debugreg: 9,
  update_descriptor: 10,
  memory_op: 12,
  multicall: 13,
  update_va_mapping: 14,
  set_timer_op: 15,
  event_channel_op_compat: 16,
  xen_version: 17,
  console_io: 18,
  physdev_op_compat: 19,
  grant_table_op: 20,
  vm_assist: 21,
  update_va_mapping_otherdomain: 22,
  iret: 23,
  vcpu_op: 24,
  set_segment_base: 25,
  mmuext_op: 26,
  xsm_op: 27,
  nmi_op: 28,
  sched_op: 29,
  callback_op: 30,
  xenoprof_op: 31,
  event_channel_op: 32,
  physdev_op: 33,
  hvm_op: 34,
  sysctl: 35,
  domctl: 36,
  kexec_op: 37,
  tmem_op: 38,
} as const;

/** Commands of mmuext_op (public/xen.h, MMUEXT_*). */
export const MMUEXT = {
  pin_l1_table: 0,
  pin_l2_table: 1,
  pin_l3_table: 2,
  pin_l4_table: 3,
  unpin_table: 4,
  new_baseptr: 5,
  tlb_flush_local: 6,
  invlpg_local: 7,
  tlb_flush_multi: 8,
  invlpg_multi: 9,
  tlb_flush_all: 10,
  invlpg_all: 11,
  flush_cache: 12,
  set_ldt: 13,
  new_user_baseptr: 15,
  clear_page: 16,
  copy_page: 17,
  flush_cache_global: 18,
  mark_super: 19,
  unmark_super: 20,
} as const;

/** Error numbers, as positive numbers (public/errno.h). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  E2BIG: 7,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  EDOM: 33,
  ERANGE: 34,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
} as const;

/** Frame types: our own numbers, the order of the lexicon. Xen's numbers differ by generation: typeword.ts. */
export const TYPE = { none: 0, l1: 1, l2: 2, l3: 3, l4: 4, seg_desc: 5, shared: 6, writable: 7 } as const;
export type FrameType = (typeof TYPE)[keyof typeof TYPE];

/**
 * Which way an entry was written: update (mmu_update), va (update_va_mapping), ptwr (a store Xen emulated), walker
 * (accessed and dirty bits), adjust (Xen's own correction of an entry it validates), xen (slots that are Xen's, the
 * domain builder).
 */
export const PATH = { update: 0, va: 1, ptwr: 2, walker: 3, adjust: 4, xen: 5 } as const;
export const FORMAT = { fourLevel: 0 } as const;
/**
 * What a call is: a hypercall, an mmuext_op inside one, an mmu_update entry inside one (number: the ptr's command bits), a
 * system call of user code that Xen hands to the guest's kernel (number: rax as it is).
 */
export const CLASS = { hypercall: 0, mmuext: 1, update: 2, syscall: 3 } as const;
/** What a batch is: a multicall, or the array of one mmu_update or mmuext_op. */
export const BATCH = { multicall: 0, mmu_update: 1, mmuext_op: 2 } as const;

export const PAGING = 'x86-64-4level';

const names = (table: Readonly<Record<string, number>>): readonly string[] => Object.keys(table);
const byNumber = (table: Readonly<Record<string, number>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(table).map(([name, n]) => [n, name]));

export const LEXICON: Lexicon = {
  words: {
    frameType: names(TYPE),
    path: names(PATH),
    format: [PAGING],
    class: names(CLASS),
    batch: names(BATCH),
  },
  calls: {
    [CLASS.hypercall]: byNumber(HYPERCALL),
    [CLASS.mmuext]: byNumber(MMUEXT),
    [CLASS.update]: { 0: 'normal', 1: 'machphys', 2: 'preserve_ad' },
  },
  regions: [
    { name: 'm2p', from: 'ffff800000000000', to: 'ffff804000000000' },
    { name: 'xen', from: 'ffff804000000000', to: 'ffff880000000000' },
  ],
  paging: { guest: PAGING },
};
