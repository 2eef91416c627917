#include "page-alloc.h"
#include "kernel.h"
#include "memblock.h"

#define MAX_PAGES 1024

struct page *mem_map;
static struct page pages[MAX_PAGES];
/* The page that was freed last is given out first: what was a page table is data a moment later. */
static u16 free_pfns[MAX_PAGES];
static u64 free_count;

struct page *pfn_to_page(u64 pfn) {
  BUG_ON(!mem_map || pfn >= MAX_PAGES);
  return &mem_map[pfn];
}
u64 page_to_pfn(const struct page *page) { return page - mem_map; }
struct page *virt_to_page(const void *va) { return pfn_to_page(PFN_DOWN(__pa(va))); }

void mem_init(void) {
  u64 end = max_pfn_mapped < MAX_PAGES ? max_pfn_mapped : MAX_PAGES;
  for (u64 at = 0, size; (at = memblock_x86_find_in_range_size(at, &size)) < PFN_PHYS(end); at += PAGE_SIZE)
    free_pfns[free_count++] = PFN_DOWN(at);
  mem_map = pages;
}

void *get_zeroed_page(void) {
  if (free_count == 0) panic("Out of memory");
  void *page = __va(PFN_PHYS(free_pfns[--free_count]));
  clear_page(page);
  *virt_to_page(page) = (struct page){0, 1, 0};
  return page;
}
void free_page(void *va) {
  BUG_ON(virt_to_page(va)->flags & PG_pinned);
  free_pfns[free_count++] = page_to_pfn(virt_to_page(va));
}
u64 nr_free_pages(void) { return free_count; }
