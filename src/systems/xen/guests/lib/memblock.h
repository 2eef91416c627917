/* The allocator of early boot: a list of reserved ranges, in physical addresses; what is in none of them is free. */
#pragma once
#include "xen.h"

#define MEMBLOCK_ERROR (~0ul)

void memblock_init(u64 end);
void memblock_x86_reserve_range(u64 start, u64 end, const char *name);
/* The highest free range of that size within start .. end, or MEMBLOCK_ERROR. Reserves nothing. */
u64 memblock_find_in_range(u64 start, u64 end, u64 size);
/* The first free address from `start` on, and how much is free from there; MEMBLOCK_ERROR if nothing is. */
u64 memblock_x86_find_in_range_size(u64 start, u64 *size);
/* One page, the highest free one below `end`, reserved. */
u64 memblock_alloc_page(u64 end, const char *name);
