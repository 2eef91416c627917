#include "setup.h"
#include "memblock.h"

static u64 memory_end(void) { return PFN_PHYS(xen_start_info->nr_pages); }

void setup_arch(struct start_info *info, u64 boot_stack_top) {
  xen_start_info = info;
  printk("mapping kernel into physical memory\n");
  memblock_init(memory_end());
  memblock_x86_reserve_range(__pa(_start), __pa((void *)boot_stack_top), "KERNEL");
  memblock_x86_reserve_range(INITRD_START, INITRD_END, "INITRD");
  xen_setup_kernel_pagetable();
  early_trap_init();
  printk("about to get started...\n");
}

void finish_boot(void) {
  trap_init();
  u64 pages = 0;
  for (u64 start = 0, size; (start = memblock_x86_find_in_range_size(start, &size)) != MEMBLOCK_ERROR; start += size) {
    for (u64 at = start; at < start + size; at += PAGE_SIZE, pages++) *(volatile u64 *)__va(at) = at;
  }
  printk("Memory: %lu free pages, all writable\n", pages);
  shutdown(SHUTDOWN_poweroff);
}
