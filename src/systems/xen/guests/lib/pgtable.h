/*
 * Addresses and page-table entries.
 *
 *     63       52 51                          12 11                                0
 *    | 0         | mfn                          |     avail G   D A     U   RW  P   |
 *
 * Entries hold machine frames; the kernel thinks in pseudo-physical ones: pfn_pte converts on the way in (the mfn_list
 * that the builder left), pte_pfn on the way out (Xen's machine-to-physical table).
 *
 * The direct mapping starts 4 MiB below a 1 GiB boundary of virtual addresses. The domain has a few MiB of memory, and
 * still its direct mapping needs a second L2 table, as that of a machine with more than a GiB does: what lies within
 * the first 4 MiB has its L2 table from the start, what lies beyond needs a new one.
 */
#pragma once
#include "xen.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PTRS_PER_TABLE 512
#define PMD_SIZE (1ul << 21)
#define PUD_SIZE (1ul << 30)
#define PGDIR_SIZE (1ul << 39)
#define PGDIR_MASK (~(PGDIR_SIZE - 1))

#define __START_KERNEL_map 0xffffffff80000000ul
#define PAGE_OFFSET 0xffff88003fc00000ul
#define VMALLOC_START 0xffffc90000000000ul
#define FIXADDR_START (__START_KERNEL_map + 511 * PMD_SIZE)

#define __va(pa) ((void *)((u64)(pa) + PAGE_OFFSET))
#define __ka(pa) ((void *)((u64)(pa) + __START_KERNEL_map))
#define PFN_PHYS(pfn) ((u64)(pfn) << PAGE_SHIFT)
#define PFN_DOWN(pa) ((u64)(pa) >> PAGE_SHIFT)
#define PFN_UP(pa) PFN_DOWN((u64)(pa) + PAGE_SIZE - 1)
static inline u64 __pa(const void *va) {
  return (u64)va >= __START_KERNEL_map ? (u64)va - __START_KERNEL_map : (u64)va - PAGE_OFFSET;
}

#define _PAGE_PRESENT 0x001ul
#define _PAGE_RW 0x002ul
#define _PAGE_USER 0x004ul
#define _PAGE_ACCESSED 0x020ul
#define _PAGE_DIRTY 0x040ul
#define PTE_MFN_MASK 0x000ffffffffff000ul
#define PAGE_KERNEL_RO (_PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_DIRTY)
#define PAGE_KERNEL (PAGE_KERNEL_RO | _PAGE_RW)
#define _KERNPG_TABLE PAGE_KERNEL
#define _PAGE_TABLE (PAGE_KERNEL | _PAGE_USER)

/* An entry of any level: Linux has a type for each, to keep them apart; here the names of the functions do. */
typedef u64 entry_t;

static inline u64 pgd_index(u64 va) { return va >> 39 & 511; }
static inline u64 pud_index(u64 va) { return va >> 30 & 511; }
static inline u64 pmd_index(u64 va) { return va >> 21 & 511; }
static inline u64 pte_index(u64 va) { return va >> 12 & 511; }

u64 pfn_to_mfn(u64 pfn);
static inline u64 mfn_to_pfn(u64 mfn) { return MACHINE_TO_PHYS[mfn]; }
static inline entry_t pfn_pte(u64 pfn, u64 prot) { return pfn_to_mfn(pfn) << PAGE_SHIFT | prot; }
static inline u64 pte_mfn(entry_t pte) { return (pte & PTE_MFN_MASK) >> PAGE_SHIFT; }
static inline u64 pte_pfn(entry_t pte) { return mfn_to_pfn(pte_mfn(pte)); }
static inline int present(entry_t entry) { return (entry & _PAGE_PRESENT) != 0; }

/* pgtable.c */
entry_t *lookup_address(u64 va);             /* the last-level entry of the kernel's tables, or 0 */
u64 arbitrary_virt_to_machine(const void *va);
void make_lowmem_page_readonly(void *va);
void make_lowmem_page_readwrite(void *va);
void set_page_prot(void *va, u64 prot);
void pin_pagetable_pfn(u32 command, u64 pfn);
void mmu_update_one(const void *entry, entry_t value);

/* boot-tables.c */
extern entry_t init_level4_pgt[PTRS_PER_TABLE];
extern u64 max_pfn_mapped; /* end of what the direct mapping has from the start */
void xen_setup_kernel_pagetable(void);
void *set_fixmap(int slot, entry_t pte); /* a plain store into a pinned table: Xen emulates it */
void clear_fixmap(int slot);
enum { FIX_SHARED_INFO, FIX_BTMAP_TABLE, FIX_BTMAP_UPPER, FIX_SLOTS };
