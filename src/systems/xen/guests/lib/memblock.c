#include "memblock.h"
#include "kernel.h"

#define REGIONS 16

static struct {
  u64 start, end;
} reserved[REGIONS]; /* by address */
static u64 regions, memory_end;

void memblock_init(u64 end) { memory_end = end; }

void memblock_x86_reserve_range(u64 start, u64 end, const char *name) {
  BUG_ON(regions == REGIONS);
  u64 at = regions++;
  for (; at > 0 && reserved[at - 1].start > start; at--) reserved[at] = reserved[at - 1];
  reserved[at].start = start;
  reserved[at].end = end;
  printk("memblock: reserved %lx-%lx %s\n", start, end, name);
}

u64 memblock_find_in_range(u64 start, u64 end, u64 size) {
  for (u64 i = regions; i > 0 && end > start; i--) {
    if (reserved[i - 1].start >= end) continue;
    u64 free_from = reserved[i - 1].end;
    if (free_from < end && end - free_from >= size && end - size >= start) return end - size;
    end = reserved[i - 1].start;
  }
  return end >= start + size ? end - size : MEMBLOCK_ERROR;
}

u64 memblock_x86_find_in_range_size(u64 start, u64 *size) {
  u64 limit = memory_end;
  for (u64 i = 0; i < regions; i++) {
    if (start < reserved[i].start) {
      limit = reserved[i].start;
      break;
    }
    if (start < reserved[i].end) start = reserved[i].end;
  }
  if (start >= limit) return MEMBLOCK_ERROR;
  *size = limit - start;
  return start;
}

u64 memblock_alloc_page(u64 end, const char *name) {
  u64 page = memblock_find_in_range(0, end, PAGE_SIZE);
  if (page == MEMBLOCK_ERROR) panic("memblock: out of memory");
  memblock_x86_reserve_range(page, page + PAGE_SIZE, name);
  return page;
}
