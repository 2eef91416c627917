/* Page structures, and the allocator of single pages. There are none before mem_init: mem_map is 0 until then. */
#pragma once
#include "pgtable.h"

struct page {
  u32 flags;
  u32 count;   /* users of a page of data */
  u64 private; /* of a kernel L4: the user L4 that belongs to it */
};
#define PG_pinned 1u

extern struct page *mem_map;

struct page *pfn_to_page(u64 pfn);
u64 page_to_pfn(const struct page *page);
struct page *virt_to_page(const void *va);
static inline void *page_address(const struct page *page) { return __va(PFN_PHYS(page_to_pfn(page))); }

/* All memory that memblock has free, as far as it is mapped. */
void mem_init(void);
void *get_zeroed_page(void);
void free_page(void *va);
u64 nr_free_pages(void);
