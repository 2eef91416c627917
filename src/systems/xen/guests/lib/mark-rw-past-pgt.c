#include "mark-rw-past-pgt.h"
#include "kernel.h"
#include "memblock.h"

static struct {
  u64 start, end, top;
} seen;
static u64 last_set_rw;

static void remember_range(void) {
  seen.start = pgt_buf_start;
  seen.end = pgt_buf_end;
  seen.top = pgt_buf_top;
}

noinline void mark_rw_past_pgt(void) {
  if (pgt_buf_end <= pgt_buf_start) return;
  if (!seen.start) {
    remember_range();
    return;
  }
  u64 size;
  if (memblock_x86_find_in_range_size(PFN_PHYS(seen.start), &size) == PFN_PHYS(seen.start)) {
    remember_range(); /* still free: the mapping it is for is not finished */
    return;
  }
  if (seen.end == last_set_rw) return;
  printk("xen: setting RW the range %lx - %lx\n", PFN_PHYS(seen.end), PFN_PHYS(seen.top));
  for (u64 pfn = seen.end; pfn < seen.top; pfn++) make_lowmem_page_readwrite(__va(PFN_PHYS(pfn)));
  last_set_rw = seen.end;
  remember_range();
}

entry_t mask_rw_pte_whole_range(int in_fixmap, entry_t pte) {
  u64 pfn = pte_pfn(pte);
  if (pfn) mark_rw_past_pgt(); /* pfn 0 is the first entry, when there is nothing to mark */
  if (in_fixmap ? pfn != pgt_buf_end - 1 : pfn >= pgt_buf_start && pfn < pgt_buf_top) pte &= ~_PAGE_RW;
  return pte;
}
