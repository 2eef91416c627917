/* Page tables of the kernel: looking them up, and changing them where they are live (arch/x86/xen/mmu.c). */
#include "pgtable.h"
#include "kernel.h"

struct start_info *xen_start_info;
/* Of `init_mm` once it is loaded; the tables that Xen built until then. */
static entry_t *kernel_pgd(void) { return max_pfn_mapped ? init_level4_pgt : (entry_t *)xen_start_info->pt_base; }

u64 pfn_to_mfn(u64 pfn) { return ((const u64 *)xen_start_info->mfn_list)[pfn]; }

/* The table that an entry points to. The first tables lie where only the kernel's own mapping reaches. */
static entry_t *table_of(entry_t entry) {
  u64 pa = PFN_PHYS(pte_pfn(entry));
  return pa < PFN_PHYS(max_pfn_mapped) || !max_pfn_mapped ? __ka(pa) : __va(pa);
}

entry_t *lookup_address(u64 va) {
  entry_t *table = kernel_pgd();
  for (int shift = 39; shift > PAGE_SHIFT; shift -= 9) {
    entry_t entry = table[va >> shift & 511];
    if (!present(entry)) return 0;
    table = table_of(entry);
  }
  return &table[pte_index(va)];
}

u64 arbitrary_virt_to_machine(const void *va) {
  entry_t *pte = lookup_address((u64)va);
  BUG_ON(!pte || !present(*pte));
  return PFN_PHYS(pte_mfn(*pte)) | ((u64)va & ~PAGE_MASK);
}

void make_lowmem_page_readonly(void *va) {
  entry_t *pte = lookup_address((u64)va);
  if (!pte || !present(*pte)) return; /* not mapped: nothing to make read-only */
  BUG_ON(HYPERVISOR_update_va_mapping((u64)va, *pte & ~_PAGE_RW, UVMF_NONE));
}
void make_lowmem_page_readwrite(void *va) {
  entry_t *pte = lookup_address((u64)va);
  if (!pte || !present(*pte)) return;
  BUG_ON(HYPERVISOR_update_va_mapping((u64)va, *pte | _PAGE_RW, UVMF_INVLPG));
}
void set_page_prot(void *va, u64 prot) {
  BUG_ON(HYPERVISOR_update_va_mapping((u64)va, pfn_pte(PFN_DOWN(__pa(va)), prot), UVMF_NONE));
}

void pin_pagetable_pfn(u32 command, u64 pfn) {
  struct mmuext_op op = {command, pfn_to_mfn(pfn), 0};
  if (HYPERVISOR_mmuext_op(&op, 1)) BUG();
}

void mmu_update_one(const void *entry, entry_t value) {
  struct mmu_update update = {arbitrary_virt_to_machine(entry) | MMU_NORMAL_PT_UPDATE, value};
  if (HYPERVISOR_mmu_update(&update, 1)) BUG();
}
