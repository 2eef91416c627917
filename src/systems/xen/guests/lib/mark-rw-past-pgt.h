/*
 * The workaround of May 2011: the whole range pgt_buf_start to pgt_buf_top is mapped read-only, whether a page of it is
 * a table yet or not, and what was not used is made writable again "later".
 *
 * Later is the difficulty. init_memory_mapping reserves the pages that became tables, and returns the others to the
 * allocator, read-only as they are; it calls nobody. So the function below is called before every entry that is
 * written, remembers the last range it saw, and recognises by the allocator's answer that the range is over and done
 * with:
 *
 *     first mapping   ... saves the range, follows pgt_buf_end as it grows
 *     second mapping  ... its first entry: the first range is reserved, its rest becomes writable; saves the new one
 *     xen_post_allocator_init ... the rest of the second range
 */
#pragma once
#include "init-mapping.h"

void mark_rw_past_pgt(void);
entry_t mask_rw_pte_whole_range(int in_fixmap, entry_t pte);
