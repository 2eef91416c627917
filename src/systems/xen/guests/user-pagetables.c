/*
 * user-pagetables: two L4 tables for every process.
 *
 * On x86-64 nothing but page tables protects Xen from a guest's kernel, nor the kernel from its user code: segment
 * limits are gone, and both run in ring 3. So a process has two page tables that Xen switches between when user code is
 * entered and left: the kernel's, which maps kernel and user memory, and the user's, which maps user memory alone.
 * Below the L4 they are the same tables; only the L4 pages differ, and the kernel has to keep them the same below
 * USER_LIMIT:
 *
 *     kernel L4 | user entries | Xen | kernel entries |   page->private ->   user L4 | user entries | Xen | nothing |
 *
 * The user L4 hangs at the page structure of the kernel L4 (page->private). What that asks of the kernel, each in its
 * place below ("xen64: allocate and manage user pagetables", Jeremy Fitzhardinge, July 2008):
 *
 *   - an entry below USER_LIMIT is set in both: by plain stores while they are not pinned, in one batch once they are
 *     (set_pgd);
 *   - both are pinned and unpinned together; the tables below are walked once, from the kernel's (xen_pgd_pin);
 *   - both base pointers are loaded in one multicall, since user mode must never be entered with another's (write_cr3);
 *   - the init page table never gets a user one: no user code ever runs on it;
 *   - early in the boot there are no page structures: nobody may look for a user L4 then (set_pgd_hyper).
 *
 * The rest is a kernel of a few hundred lines with two processes, which run in ring 3, make system calls, touch memory
 * that is not there yet, fork, copy on write, and leave nothing behind (lib/process.c, lib/user.c).
 */
#include "lib/hypercall-page.h"
#include "lib/kernel.h"
#include "lib/memblock.h"
#include "lib/mm.h"
#include "lib/multicall.h"

static u8 kernel_stack[2 * PAGE_SIZE] page_aligned;
static entry_t vmalloc_pud[PTRS_PER_TABLE] page_aligned;
static struct mm_struct *current_mm;

static u64 virt_to_machine(const void *va) {
  return PFN_PHYS(pfn_to_mfn(PFN_DOWN(__pa(va)))) | ((u64)va & ~PAGE_MASK);
}
static int page_pinned(const void *va) { return (virt_to_page(va)->flags & PG_pinned) != 0; }

/* The user L4's entry that belongs to an entry of a kernel L4. 0: there is no user L4, or the entry is the kernel's. */
static entry_t *xen_get_user_pgd(entry_t *pgd) {
  entry_t *user = (entry_t *)virt_to_page(pgd)->private;
  u64 index = ((u64)pgd & ~PAGE_MASK) / sizeof *pgd;
  return user && index < pgd_index(USER_LIMIT) ? &user[index] : 0;
}

/*
 * set_pgd before there are page structures. The only page table is the kernel's, it is pinned, and it has no user
 * table: so nothing has to be looked up.
 */
static noinline void set_pgd_hyper(entry_t *pgd, entry_t value) {
  xen_mc_batch();
  extend_mmu_update(virt_to_machine(pgd), value);
  xen_mc_issue();
}

noinline void set_pgd(entry_t *pgd, entry_t value) {
  entry_t *user = xen_get_user_pgd(pgd);
  if (!page_pinned(pgd)) {
    *pgd = value;
    if (user) *user = value;
    return;
  }
  xen_mc_batch();
  extend_mmu_update(virt_to_machine(pgd), value);
#ifndef FORGET_THE_USER_HALF_WHEN_PINNED
  if (user) extend_mmu_update(virt_to_machine(user), value);
#endif
  xen_mc_issue();
}

noinline void set_pud_or_pmd(entry_t *entry, entry_t value) {
  if (page_pinned(entry)) mmu_update_one(entry, value);
  else *entry = value;
}

/* By address if the tables are loaded. Otherwise a plain store: if they are pinned, Xen emulates it. */
noinline void set_pte_at(struct mm_struct *mm, u64 address, entry_t *pte, entry_t value) {
  if (mm == current_mm) BUG_ON(HYPERVISOR_update_va_mapping(address, value, UVMF_INVLPG));
  else *pte = value;
}

/* fork takes the write permission from every page: one batch, which leaves accessed and dirty bits as they are. */
void lazy_mmu_begin(void) { xen_mc_batch(); }
noinline void ptep_set_wrprotect(entry_t *pte) {
  extend_mmu_update(virt_to_machine(pte) | MMU_PT_UPDATE_PRESERVE_AD, *pte & ~_PAGE_RW);
}
void lazy_mmu_end(void) {
  queue_mmuext_op(MMUEXT_TLB_FLUSH_LOCAL, 0);
  xen_mc_issue();
}

/* Pinning: every table becomes read-only, wherever it is mapped, and L1 tables are pinned by themselves. */
static noinline void pin_page(struct page *page, int level) {
  if (page->flags & PG_pinned) return;
  page->flags |= PG_pinned;
  u64 pfn = page_to_pfn(page);
  queue_update_va_mapping(page_address(page), pfn_pte(pfn, PAGE_KERNEL_RO), level == 4 ? UVMF_TLB_FLUSH : UVMF_NONE);
  if (level == 1) queue_mmuext_op(MMUEXT_PIN_L1_TABLE, pfn_to_mfn(pfn));
}
static noinline void unpin_page(struct page *page, int level) {
  if (!(page->flags & PG_pinned)) return;
  page->flags &= ~PG_pinned;
  u64 pfn = page_to_pfn(page);
  if (level == 1) queue_mmuext_op(MMUEXT_UNPIN_TABLE, pfn_to_mfn(pfn));
  queue_update_va_mapping(page_address(page), pfn_pte(pfn, PAGE_KERNEL), level == 4 ? UVMF_TLB_FLUSH : UVMF_NONE);
}

/* Every table below an L4's user entries, then the L4. The kernel's own tables below it are the boot's, and pinned. */
static void walk(entry_t *table, int level, void (*func)(struct page *page, int level)) {
  u64 end = level == 4 ? pgd_index(USER_LIMIT) : PTRS_PER_TABLE;
  for (u64 i = 0; level > 1 && i < end; i++) {
    if (!present(table[i])) continue;
    struct page *below = pfn_to_page(pte_pfn(table[i]));
    func(below, level - 1);
    walk(page_address(below), level - 1, func);
  }
}
static void pgd_walk(entry_t *pgd, void (*func)(struct page *page, int level)) {
  walk(pgd, 4, func);
  func(virt_to_page(pgd), 4);
}

static noinline void xen_pgd_pin(entry_t *pgd) {
  entry_t *user = xen_get_user_pgd(pgd);
  xen_mc_batch();
  pgd_walk(pgd, pin_page); /* the user L4 has the same tables below it */
  queue_mmuext_op(MMUEXT_PIN_L4_TABLE, pfn_to_mfn(PFN_DOWN(__pa(pgd))));
  if (user) {
    pin_page(virt_to_page(user), 4);
    queue_mmuext_op(MMUEXT_PIN_L4_TABLE, pfn_to_mfn(PFN_DOWN(__pa(user))));
  }
  xen_mc_issue();
}

static noinline void xen_pgd_unpin(entry_t *pgd) {
  entry_t *user = xen_get_user_pgd(pgd);
  xen_mc_batch();
  queue_mmuext_op(MMUEXT_UNPIN_TABLE, pfn_to_mfn(PFN_DOWN(__pa(pgd))));
  if (user) {
    queue_mmuext_op(MMUEXT_UNPIN_TABLE, pfn_to_mfn(PFN_DOWN(__pa(user))));
    unpin_page(virt_to_page(user), 4);
  }
  pgd_walk(pgd, unpin_page);
  xen_mc_issue();
}

/* Both halves in one multicall. Without a user L4 the user base pointer is 0: user mode would be the end. */
static noinline void write_cr3(entry_t *pgd) {
  entry_t *user = xen_get_user_pgd(pgd);
  xen_mc_batch();
  queue_mmuext_op(MMUEXT_NEW_BASEPTR, pfn_to_mfn(PFN_DOWN(__pa(pgd))));
  queue_mmuext_op(MMUEXT_NEW_USER_BASEPTR, user ? pfn_to_mfn(PFN_DOWN(__pa(user))) : 0);
  xen_mc_issue();
}

void pgd_alloc(struct mm_struct *mm) {
  mm->pgd = get_zeroed_page();
  for (u64 i = pgd_index(PAGE_OFFSET); i < PTRS_PER_TABLE; i++) mm->pgd[i] = init_level4_pgt[i]; /* above Xen's */
  virt_to_page(mm->pgd)->private = (u64)get_zeroed_page();
}
void pgd_free(struct mm_struct *mm) {
  free_page((void *)virt_to_page(mm->pgd)->private);
  free_page(mm->pgd);
  mm->pgd = 0;
}

/* A table that is hooked into pinned ones must be what pinning would have made it. */
noinline void alloc_ptpage(struct mm_struct *mm, entry_t *table, int level) {
  if (!page_pinned(mm->pgd)) return;
  virt_to_page(table)->flags |= PG_pinned;
  make_lowmem_page_readonly(table);
  if (level == 1) pin_pagetable_pfn(MMUEXT_PIN_L1_TABLE, PFN_DOWN(__pa(table)));
}

void activate_mm(struct mm_struct *mm) {
  xen_pgd_pin(mm->pgd);
  switch_mm(mm);
}
void dup_mmap_done(struct mm_struct *mm) { xen_pgd_pin(mm->pgd); }
void switch_mm(struct mm_struct *mm) {
  write_cr3(mm ? mm->pgd : init_level4_pgt);
  current_mm = mm;
}
void exit_mmap(struct mm_struct *mm) {
  if (page_pinned(mm->pgd)) xen_pgd_unpin(mm->pgd);
}

/* A range of the kernel that every address space is to have: its L4 entry must be there before the first of them is. */
static void vmalloc_init(void) {
  set_page_prot(vmalloc_pud, PAGE_KERNEL_RO);
  set_pgd_hyper(&init_level4_pgt[pgd_index(VMALLOC_START)], pfn_pte(PFN_DOWN(__pa(vmalloc_pud)), _KERNPG_TABLE));
}

/* init_mm was pinned before there were page structures to remember it. */
static void xen_mark_init_mm_pinned(void) { virt_to_page(init_level4_pgt)->flags |= PG_pinned; }

void start_kernel(struct start_info *info, u64 boot_stack_top) {
  xen_start_info = info;
  printk("mapping kernel into physical memory\n");
  memblock_init(PFN_PHYS(info->nr_pages));
  memblock_x86_reserve_range(__pa(_start), __pa((void *)boot_stack_top), "KERNEL");
  xen_setup_kernel_pagetable();
  early_trap_init();
  trap_init();
  vmalloc_init();
  mem_init();
  xen_mark_init_mm_pinned();
  BUG_ON(HYPERVISOR_stack_switch(FLAT_KERNEL_SS, (u64)(kernel_stack + sizeof kernel_stack)));
  printk("Memory: %lu free pages; starting init\n", nr_free_pages());
  run_init();
}
