/*
 * Building the direct mapping of memory at PAGE_OFFSET (arch/x86/mm/init.c and init_64.c of 2.6.39).
 *
 * The tables for it come from a range that is found before the first entry is written, and large enough for the worst
 * case:
 *
 *     pgt_buf_start ------ pgt_buf_end ------------ pgt_buf_top
 *         page tables          not page tables yet
 *
 * The range is memory like any other, so the loop that maps all memory maps it too. Xen demands that no page table is
 * mapped writable, so a page must be mapped read-only there if it is a table, or will be one: that is mask_rw_pte's to
 * know.
 */
#pragma once
#include "pgtable.h"

extern u64 pgt_buf_start, pgt_buf_end, pgt_buf_top; /* pfns */

/* Maps what of [start, end) is not mapped; then reserves the tables that were used. Physical addresses. */
void init_memory_mapping(u64 start, u64 end);

/* Each guest's own: up to which address the tables for a mapping that ends at `end` may be placed; */
u64 pagetable_placement_limit(u64 end);
/* and what protection an entry of the direct mapping, or of a slot that a table is filled through, is to get. */
entry_t mask_rw_pte(int in_fixmap, entry_t pte);
