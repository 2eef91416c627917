/*
 * early-pagetable-workaround: the boot of early-pagetable-crash, with the workaround that was proposed for it.
 *
 * The placement is still the offending one. Every page of the range is mapped read-only before it is a table, so
 * pinning succeeds; mark_rw_past_pgt then finds out, entry by entry, when the rest of the range may be writable again.
 * It boots, and all free memory is writable in the end.
 *
 * See lib/mark-rw-past-pgt.h for how it finds out, and early-pagetable-reuse for what it leaves to chance.
 */
#include "lib/hypercall-syscall.h"
#include "lib/mark-rw-past-pgt.h"
#include "lib/setup.h"

u64 pagetable_placement_limit(u64 end) { return end; }
entry_t mask_rw_pte(int in_fixmap, entry_t pte) { return mask_rw_pte_whole_range(in_fixmap, pte); }

static void xen_post_allocator_init(void) { mark_rw_past_pgt(); }

void start_kernel(struct start_info *info, u64 boot_stack_top) {
  setup_arch(info, boot_stack_top);
  init_memory_mapping(0, LOW_END);
  init_memory_mapping(LOW_END, PFN_PHYS(info->nr_pages));
  xen_post_allocator_init();
  finish_boot();
}
