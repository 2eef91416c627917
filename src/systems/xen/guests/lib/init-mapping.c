#include "init-mapping.h"
#include "kernel.h"
#include "memblock.h"

u64 pgt_buf_start, pgt_buf_end, pgt_buf_top;

static void find_early_table_space(u64 end) {
  u64 puds = (end + PUD_SIZE - 1) / PUD_SIZE;
  u64 pmds = (end + PMD_SIZE - 1) / PMD_SIZE;
  u64 ptes = PFN_UP(end);
  u64 tables = PFN_UP(puds * 8) + PFN_UP(pmds * 8) + PFN_UP(ptes * 8);
  u64 base = memblock_find_in_range(0x8000, pagetable_placement_limit(end), PFN_PHYS(tables));
  if (base == MEMBLOCK_ERROR) panic("Cannot find space for the kernel page tables");
  pgt_buf_start = PFN_DOWN(base);
  pgt_buf_end = pgt_buf_start;
  pgt_buf_top = pgt_buf_start + tables;
  printk("kernel direct mapping tables up to %lx @ %lx-%lx\n", end, PFN_PHYS(pgt_buf_start), PFN_PHYS(pgt_buf_top));
}

/* A table that may not be in the direct mapping yet is reached through a slot, for a while. */
static entry_t *map_low_page(int slot, u64 pfn) { return set_fixmap(slot, mask_rw_pte(1, pfn_pte(pfn, PAGE_KERNEL))); }
static void unmap_low_page(int slot) { clear_fixmap(slot); }

static entry_t *alloc_low_page(int slot, u64 *pfn) {
  if (pgt_buf_end >= pgt_buf_top) panic("alloc_low_page: ran out of memory");
  *pfn = pgt_buf_end++;
  entry_t *table = map_low_page(slot, *pfn);
  clear_page(table);
  return table;
}

/* Everything is pinned this early: a new table becomes read-only, is pinned, and then hooked into the one above. */
static noinline void pmd_populate_kernel(entry_t *pmd, u64 pfn) {
  make_lowmem_page_readonly(__va(PFN_PHYS(pfn)));
  pin_pagetable_pfn(MMUEXT_PIN_L1_TABLE, pfn);
  mmu_update_one(pmd, pfn_pte(pfn, _KERNPG_TABLE));
}
static noinline void pud_populate_kernel(entry_t *pud, u64 pfn) {
  make_lowmem_page_readonly(__va(PFN_PHYS(pfn)));
  mmu_update_one(pud, pfn_pte(pfn, _KERNPG_TABLE));
}

/* The loop that writes every entry of the direct mapping: plain stores, since the table is not pinned yet. */
static noinline void phys_pte_init(entry_t *pte_page, u64 addr, u64 end) {
  for (u64 i = pte_index((u64)__va(addr)); i < PTRS_PER_TABLE && addr < end; i++, addr += PAGE_SIZE) {
    if (present(pte_page[i])) continue;
    pte_page[i] = mask_rw_pte(0, pfn_pte(PFN_DOWN(addr), PAGE_KERNEL));
  }
}

static u64 next(u64 addr, u64 size, u64 end) {
  u64 stop = (((u64)__va(addr) & ~(size - 1)) + size) - PAGE_OFFSET;
  return stop < end ? stop : end;
}

static noinline void phys_pmd_init(entry_t *pmd_page, u64 addr, u64 end) {
  for (u64 stop; addr < end; addr = stop) {
    entry_t *pmd = &pmd_page[pmd_index((u64)__va(addr))];
    stop = next(addr, PMD_SIZE, end);
    if (present(*pmd)) {
      phys_pte_init(map_low_page(FIX_BTMAP_TABLE, pte_pfn(*pmd)), addr, stop);
      unmap_low_page(FIX_BTMAP_TABLE);
      continue;
    }
    u64 pfn;
    phys_pte_init(alloc_low_page(FIX_BTMAP_TABLE, &pfn), addr, stop);
    unmap_low_page(FIX_BTMAP_TABLE);
    pmd_populate_kernel(pmd, pfn);
  }
}

static noinline void phys_pud_init(entry_t *pud_page, u64 addr, u64 end) {
  for (u64 stop; addr < end; addr = stop) {
    entry_t *pud = &pud_page[pud_index((u64)__va(addr))];
    stop = next(addr, PUD_SIZE, end);
    if (present(*pud)) {
      phys_pmd_init(map_low_page(FIX_BTMAP_UPPER, pte_pfn(*pud)), addr, stop);
      unmap_low_page(FIX_BTMAP_UPPER);
      continue;
    }
    u64 pfn;
    phys_pmd_init(alloc_low_page(FIX_BTMAP_UPPER, &pfn), addr, stop);
    unmap_low_page(FIX_BTMAP_UPPER);
    pud_populate_kernel(pud, pfn); /* until here nothing reaches what was built below */
  }
}

void init_memory_mapping(u64 start, u64 end) {
  printk("init_memory_mapping: %lx-%lx\n", start, end);
  find_early_table_space(end);
  entry_t pgd = init_level4_pgt[pgd_index(PAGE_OFFSET)];
  phys_pud_init(__ka(PFN_PHYS(pte_pfn(pgd))), start, end);
  struct mmuext_op flush = {MMUEXT_TLB_FLUSH_LOCAL, 0, 0};
  BUG_ON(HYPERVISOR_mmuext_op(&flush, 1));
  if (pgt_buf_end > pgt_buf_start)
    memblock_x86_reserve_range(PFN_PHYS(pgt_buf_start), PFN_PHYS(pgt_buf_end), "PGTABLE");
}
