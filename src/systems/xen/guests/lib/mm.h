/*
 * Address spaces of processes. What Xen has to do with them is the guest's own story (user-pagetables.c); what any
 * kernel does with them is in process.c.
 */
#pragma once
#include "page-alloc.h"

struct mm_struct {
  entry_t *pgd;
};

/* Just beyond the highest address of user code, rounded to what one L4 entry covers. */
#define STACK_TOP 0x7ffffffff000ul
#define USER_LIMIT ((STACK_TOP + PGDIR_SIZE - 1) & PGDIR_MASK)

void pgd_alloc(struct mm_struct *mm);
void pgd_free(struct mm_struct *mm);
/* A new table of this level (1 to 3) is about to be hooked in. */
void alloc_ptpage(struct mm_struct *mm, entry_t *table, int level);
void set_pgd(entry_t *pgd, entry_t value);
void set_pud_or_pmd(entry_t *entry, entry_t value);
/* Entries of tables that the running process uses, or that nobody uses. */
void set_pte_at(struct mm_struct *mm, u64 address, entry_t *pte, entry_t value);
/* Takes the write permission from many entries, in one batch. */
void ptep_set_wrprotect(entry_t *pte);
void lazy_mmu_begin(void);
void lazy_mmu_end(void);
/* The first load of new tables, and every other. */
void activate_mm(struct mm_struct *mm);
void switch_mm(struct mm_struct *mm);
void dup_mmap_done(struct mm_struct *mm); /* fork has filled the child's tables */
void exit_mmap(struct mm_struct *mm);     /* nobody runs in them any more */

/* process.c */
void run_init(void) noreturn;
