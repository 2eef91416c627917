/*
 * early-pagetable-reuse: the objection to the workaround, in one allocation.
 *
 * "Unless I am missing something there is no guarantee that somebody else won't use memory in the
 * pgt_buf_end-pgt_buf_top range when the range is still RO before mark_rw_past_pgt() is called again." (Stefano
 * Stabellini, 3 May 2011)
 *
 * This kernel is early-pagetable-workaround with a log buffer that is allocated between the two mappings. The allocator
 * gives the highest free page below the end of low memory: the last page of the range that was meant for tables. It is
 * free, it is mapped, and it is read-only; the first store into it faults. No page table is involved any more, and Xen
 * has nothing to say: the fault is the guest's.
 */
#include "lib/hypercall-syscall.h"
#include "lib/mark-rw-past-pgt.h"
#include "lib/memblock.h"
#include "lib/setup.h"

u64 pagetable_placement_limit(u64 end) { return end; }
entry_t mask_rw_pte(int in_fixmap, entry_t pte) { return mask_rw_pte_whole_range(in_fixmap, pte); }

static void xen_post_allocator_init(void) { mark_rw_past_pgt(); }

static noinline void setup_log_buf(void) {
  char *log_buf = __va(memblock_alloc_page(LOW_END, "LOG BUFFER"));
  printk("log buffer at %lx\n", (u64)log_buf);
  *(volatile char *)log_buf = '<'; /* faults */
}

void start_kernel(struct start_info *info, u64 boot_stack_top) {
  setup_arch(info, boot_stack_top);
  init_memory_mapping(0, LOW_END);
  setup_log_buf(); /* mark_rw_past_pgt comes with the next entry that is written: too late */
  init_memory_mapping(LOW_END, PFN_PHYS(info->nr_pages));
  xen_post_allocator_init();
  finish_boot();
}
