/*
 * early-pagetable-crash: one placement, one page, one crash.
 *
 * In December 2010 "x86-64, mm: Put early page table high" moved the page tables of the direct mapping to the top of
 * memory, and Linux no longer booted under Xen. Nothing near the change mentions Xen. What happens:
 *
 *   1. init_memory_mapping reserves a range for page tables, pgt_buf_start to pgt_buf_top, and takes pages from it as
 *      it goes; pgt_buf_end is the next one.
 *   2. The loop that writes the direct mapping reaches the L1 table which covers that range. Pages below pgt_buf_end
 *      are page tables: mask_rw_pte makes their entries read-only. Pages above are not page tables yet: their entries
 *      are writable.
 *   3. The table is pinned. Its entries count as references from now on, so those pages are typed "writable" by Xen.
 *   4. The next table is taken from pgt_buf_end: a page with a live writable mapping. make_lowmem_page_readonly looks
 *      for that mapping, and finds none: the L2 table above it is not hooked in before it is full.
 *   5. Pinning it fails: a frame changes its type only when nobody holds the old one. The kernel BUG()s, which is an
 *      invalid opcode; at this point of the boot nobody handles one; Xen crashes the domain.
 *
 * Xen's messages name the frame and its type. The store that went wrong is a whole table of entries and several
 * hypercalls before the failure, and went into a page that nobody took for a page table then: ask `why`, and look at
 * phys_pte_init.
 */
#include "lib/hypercall-syscall.h"
#include "lib/init-mapping.h"
#include "lib/setup.h"

/* The offending commit, all of it: tables may lie anywhere in what is going to be mapped. */
u64 pagetable_placement_limit(u64 end) { return end; }

entry_t mask_rw_pte(int in_fixmap, entry_t pte) {
  u64 pfn = pte_pfn(pte);
  if (in_fixmap ? pfn != pgt_buf_end - 1 : pfn >= pgt_buf_start && pfn < pgt_buf_end) pte &= ~_PAGE_RW;
  return pte;
}

void start_kernel(struct start_info *info, u64 boot_stack_top) {
  setup_arch(info, boot_stack_top);
  init_memory_mapping(0, LOW_END);
  init_memory_mapping(LOW_END, PFN_PHYS(info->nr_pages));
  finish_boot();
}
