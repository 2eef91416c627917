/*
 * early-pagetable-reverted: the boot of early-pagetable-crash with the offending commit taken back.
 *
 * The tables of the direct mapping are placed within what Xen's domain builder has mapped already. Everything else is
 * the same, mask_rw_pte included: pages above pgt_buf_end are still mapped writable. But they are mapped since the
 * first instruction, by an entry that can be found; so when one becomes a page table, make_lowmem_page_readonly finds
 * the entry and takes the write permission away before the table is pinned.
 *
 * Compare the two recordings: the first difference is where the range is, and the first that matters is the
 * update_va_mapping before each pin, which early-pagetable-crash has not.
 */
#include "lib/hypercall-syscall.h"
#include "lib/init-mapping.h"
#include "lib/setup.h"

/* Before the commit: only where there are mappings from the start. */
u64 pagetable_placement_limit(u64 end) { return end < PFN_PHYS(max_pfn_mapped) ? end : PFN_PHYS(max_pfn_mapped); }

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
