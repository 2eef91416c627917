/*
 * The first page tables of our own (xen_setup_kernel_pagetable). Xen's domain builder has mapped the image, and the few
 * MiB around it, at ffffffff80000000. The kernel wants the same memory at PAGE_OFFSET too, so its upper tables point to
 * the builder's L1 tables twice: each page then has one entry, seen at two addresses, and making it read-only is one
 * call.
 *
 *     init_level4_pgt [272] -> level3_ident_pgt  [0]   -> level2_ident_pgt  [510] --.
 *                     [511] -> level3_kernel_pgt [510] -> level2_kernel_pgt [0] ----+-> the builder's L1 tables
 *                                                                           [511] ----> level1_fixmap_pgt
 *
 * Only the kernel's base pointer is loaded: there is no user table yet, and no page structure to attach one to.
 */
#include "kernel.h"
#include "multicall.h"

entry_t init_level4_pgt[PTRS_PER_TABLE] page_aligned;
static entry_t level3_ident_pgt[PTRS_PER_TABLE] page_aligned;
static entry_t level3_kernel_pgt[PTRS_PER_TABLE] page_aligned;
static entry_t level2_ident_pgt[PTRS_PER_TABLE] page_aligned;
static entry_t level2_kernel_pgt[PTRS_PER_TABLE] page_aligned;
static entry_t level1_fixmap_pgt[PTRS_PER_TABLE] page_aligned;
u64 max_pfn_mapped;

static entry_t table_entry(const entry_t *table) { return pfn_pte(PFN_DOWN(__pa(table)), _KERNPG_TABLE); }
static entry_t *m2v(entry_t entry) { return __ka(PFN_PHYS(pte_pfn(entry))); }

void xen_setup_kernel_pagetable(void) {
  BUG_ON(HYPERVISOR_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables));
  entry_t *pgd = (entry_t *)xen_start_info->pt_base;
  entry_t *l3 = m2v(pgd[pgd_index(__START_KERNEL_map)]);
  entry_t *l2 = m2v(l3[pud_index(__START_KERNEL_map)]);
  u64 mapped = 0;
  for (; present(l2[mapped]); mapped++) {
    BUG_ON(pmd_index(PAGE_OFFSET) + mapped >= PTRS_PER_TABLE); /* one L2 table is all that is prepared */
    level2_kernel_pgt[mapped] = l2[mapped];
    level2_ident_pgt[pmd_index(PAGE_OFFSET) + mapped] = l2[mapped];
  }
  level2_kernel_pgt[pmd_index(FIXADDR_START)] = table_entry(level1_fixmap_pgt);
  level3_ident_pgt[pud_index(PAGE_OFFSET)] = table_entry(level2_ident_pgt);
  level3_kernel_pgt[pud_index(__START_KERNEL_map)] = table_entry(level2_kernel_pgt);
  init_level4_pgt[pgd_index(PAGE_OFFSET)] = table_entry(level3_ident_pgt);
  init_level4_pgt[pgd_index(__START_KERNEL_map)] = table_entry(level3_kernel_pgt);

  entry_t *const tables[] = {init_level4_pgt,  level3_ident_pgt,  level3_kernel_pgt,
                             level2_ident_pgt, level2_kernel_pgt, level1_fixmap_pgt};
  for (u64 i = 0; i < sizeof tables / sizeof *tables; i++) set_page_prot(tables[i], PAGE_KERNEL_RO);

  pin_pagetable_pfn(MMUEXT_PIN_L4_TABLE, PFN_DOWN(__pa(init_level4_pgt)));
  pin_pagetable_pfn(MMUEXT_UNPIN_TABLE, PFN_DOWN(__pa(pgd)));
  xen_mc_batch();
  queue_mmuext_op(MMUEXT_NEW_BASEPTR, pfn_to_mfn(PFN_DOWN(__pa(init_level4_pgt))));
  xen_mc_issue();
  max_pfn_mapped = mapped * PTRS_PER_TABLE;
}

/*
 * Slots of virtual address space for what has no address yet. The table of the slots is pinned and so read-only: the
 * store below faults, and Xen, seeing an L1 table behind the address, validates the entry and writes it (ptwr).
 */
void *set_fixmap(int slot, entry_t pte) {
  void *va = (void *)(FIXADDR_START + slot * PAGE_SIZE);
  struct mmuext_op flush = {MMUEXT_INVLPG_LOCAL, (u64)va, 0};
  ((volatile entry_t *)level1_fixmap_pgt)[slot] = pte;
  BUG_ON(HYPERVISOR_mmuext_op(&flush, 1));
  return va;
}
void clear_fixmap(int slot) { set_fixmap(slot, 0); }
