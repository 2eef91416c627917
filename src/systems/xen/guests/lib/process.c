/*
 * Processes, as little as there can be: one of them runs, in user mode; it leaves it by a system call or a fault;
 * registers of the others lie in their task. Memory is mapped when it is touched, shared by fork, and copied when it is
 * written.
 */
#include "kernel.h"
#include "mm.h"
#include "user.h"

#define TASKS 4
#define PAGE_USER_RO (_PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED)
#define PAGE_USER_RW (PAGE_USER_RO | _PAGE_RW | _PAGE_DIRTY)
#define RFLAGS_USER 0x202 /* interrupts on */

static struct task {
  u64 pid; /* 0: nobody */
  struct mm_struct mm;
  struct trap_frame regs;
} tasks[TASKS];
static struct task *current;
static u64 pids, free_pages_at_boot;

/* What a process may touch. */
static const struct {
  u64 start, end;
  u64 prot;
} vmas[] = {
    {USER_CODE, USER_CODE + 2 * PAGE_SIZE, PAGE_USER_RO},
    {USER_DATA, USER_DATA + 16 * PAGE_SIZE, PAGE_USER_RW},
    {USER_MMAP, USER_MMAP + 16 * PAGE_SIZE, PAGE_USER_RW},
    {STACK_TOP - 16 * PAGE_SIZE, STACK_TOP, PAGE_USER_RW},
};

static entry_t *table_behind(entry_t entry) { return __va(PFN_PHYS(pte_pfn(entry))); }

/* The L1 entry of an address, or 0 if a table on the way is missing. */
static entry_t *pte_offset(struct mm_struct *mm, u64 address) {
  entry_t *table = mm->pgd;
  for (int level = 4; level > 1; level--) {
    entry_t entry = table[address >> (3 + 9 * level) & 511];
    if (!present(entry)) return 0;
    table = table_behind(entry);
  }
  return &table[pte_index(address)];
}

/* The same, with tables made where they are missing. */
static noinline entry_t *pte_alloc(struct mm_struct *mm, u64 address) {
  entry_t *table = mm->pgd;
  for (int level = 4; level > 1; level--) {
    entry_t *entry = &table[address >> (3 + 9 * level) & 511];
    if (!present(*entry)) {
      entry_t *next = get_zeroed_page();
      alloc_ptpage(mm, next, level - 1);
      entry_t value = pfn_pte(PFN_DOWN(__pa(next)), _PAGE_TABLE);
      if (level == 4) set_pgd(entry, value);
      else set_pud_or_pmd(entry, value);
    }
    table = table_behind(*entry);
  }
  return &table[pte_index(address)];
}

static noinline void do_anonymous_page(struct mm_struct *mm, u64 address, u64 prot) {
  entry_t *pte = pte_alloc(mm, address);
  set_pte_at(mm, address, pte, pfn_pte(PFN_DOWN(__pa(get_zeroed_page())), prot));
}

static noinline void do_wp_page(struct mm_struct *mm, u64 address, entry_t *pte, u64 prot) {
  struct page *page = pfn_to_page(pte_pfn(*pte));
  u64 pfn = pte_pfn(*pte);
  if (page->count > 1) {
    void *copy = get_zeroed_page();
    copy_page(copy, page_address(page));
    page->count--;
    pfn = PFN_DOWN(__pa(copy));
  }
  set_pte_at(mm, address, pte, pfn_pte(pfn, prot));
}

static void switch_to(struct task *next, struct trap_frame *frame);
static void exit_current(struct trap_frame *frame);

/*
 * A fault with nothing to do. On several processors somebody else may have done it, so it is no error: Linux returns,
 * and the instruction tries again, for ever if it must. There is one processor here, so this kernel gives up the third
 * time.
 */
static noinline void spurious_fault(u64 address, const entry_t *pte) {
  static u64 last, times;
  times = address == last ? times + 1 : 1;
  last = address;
  if (times < 3) return;
  printk("init[%lu]: faults at %lx again and again, where pte %lx maps it\n", current->pid, address, *pte);
  panic("Attempted to kill init!");
}

static void handle_mm_fault(struct trap_frame *frame) {
  struct mm_struct *mm = &current->mm;
  u64 address = read_cr2();
  if (!user_mode(frame)) bad_page_fault(frame);
  for (u64 i = 0; i < sizeof vmas / sizeof *vmas; i++) {
    if (address < vmas[i].start || address >= vmas[i].end) continue;
    if ((frame->error & FAULT_WRITE) && !(vmas[i].prot & _PAGE_RW)) break;
    entry_t *pte = pte_offset(mm, address);
    if (!pte || !present(*pte)) do_anonymous_page(mm, address, vmas[i].prot);
    else if ((frame->error & FAULT_WRITE) && !(*pte & _PAGE_RW)) do_wp_page(mm, address, pte, vmas[i].prot);
    else spurious_fault(address, pte);
    return;
  }
  printk("init[%lu]: segfault at %lx ip %lx error %lx\n", current->pid, address, frame->rip, frame->error);
  exit_current(frame);
}

/* Every page of data of an address space, in order. */
static void for_each_page(struct mm_struct *mm, void (*func)(entry_t *pte, u64 address, void *to), void *to) {
  for (u64 i = 0; i < sizeof vmas / sizeof *vmas; i++) {
    for (u64 address = vmas[i].start; address < vmas[i].end; address += PAGE_SIZE) {
      entry_t *pte = pte_offset(mm, address);
      if (pte && present(*pte)) func(pte, address, to);
    }
  }
}

static void copy_one_pte(entry_t *pte, u64 address, void *to) {
  pfn_to_page(pte_pfn(*pte))->count++;
  if (*pte & _PAGE_RW) ptep_set_wrprotect(pte);
  struct mm_struct *child = to;
  set_pte_at(child, address, pte_alloc(child, address), *pte & ~_PAGE_RW);
}

static noinline u64 do_fork(const struct trap_frame *frame) {
  struct task *child = tasks;
  while (child->pid) BUG_ON(++child == tasks + TASKS);
  child->pid = ++pids;
  child->regs = *frame;
  child->regs.rax = 0;
  pgd_alloc(&child->mm);
  lazy_mmu_begin();
  for_each_page(&current->mm, copy_one_pte, &child->mm);
  lazy_mmu_end();
  dup_mmap_done(&child->mm);
  return child->pid;
}

static void zap_pte(entry_t *pte, u64 address, void *to) {
  struct page *page = pfn_to_page(pte_pfn(*pte));
  (void)address;
  (void)to;
  if (--page->count == 0) free_page(page_address(page));
}

static void free_pgtables(entry_t *table, int level) {
  u64 end = level == 4 ? pgd_index(USER_LIMIT) : PTRS_PER_TABLE;
  for (u64 i = 0; i < end; i++) {
    if (!present(table[i])) continue;
    entry_t *below = table_behind(table[i]);
    if (level > 2) free_pgtables(below, level - 1);
    free_page(below);
  }
}

static noinline void mmput(struct mm_struct *mm) {
  exit_mmap(mm);
  for_each_page(mm, zap_pte, 0);
  free_pgtables(mm->pgd, 4);
  pgd_free(mm);
}

static struct task *next_task(void) {
  for (u64 i = 1; i <= TASKS; i++) {
    struct task *task = &tasks[(current - tasks + i) % TASKS];
    if (task->pid && task != current) return task;
  }
  return 0;
}

static void switch_to(struct task *next, struct trap_frame *frame) {
  switch_mm(&next->mm);
  current = next;
  *frame = next->regs;
}

static noinline void exit_current(struct trap_frame *frame) {
  struct task *dead = current, *next = next_task();
  printk("init[%lu]: exits\n", dead->pid);
  if (next) switch_to(next, frame);
  else switch_mm(0);
  mmput(&dead->mm);
  dead->pid = 0;
  if (next) return;
  printk("all processes are gone; %lu pages free, %lu at the start\n", nr_free_pages(), free_pages_at_boot);
  BUG_ON(nr_free_pages() != free_pages_at_boot);
  shutdown(SHUTDOWN_poweroff);
}

static u64 sys_write(u64 at, u64 bytes) {
  static char text[64];
  if (at >= USER_LIMIT || bytes >= sizeof text) return -14; /* EFAULT */
  for (u64 i = 0; i < bytes; i++) text[i] = ((const char *)at)[i];
  text[bytes] = 0;
  printk("init[%lu]: %s\n", current->pid, text);
  return bytes;
}

static void handle_syscall(struct trap_frame *frame) {
  struct task *next;
  switch (frame->rax) {
    case SYS_write:
      frame->rax = sys_write(frame->rsi, frame->rdx);
      break;
    case SYS_getpid:
      frame->rax = current->pid;
      break;
    case SYS_fork:
      frame->rax = do_fork(frame);
      break;
    case SYS_sched_yield:
      frame->rax = 0;
      next = next_task();
      if (!next) break;
      current->regs = *frame;
      switch_to(next, frame);
      break;
    case SYS_exit:
      exit_current(frame);
      break;
    default:
      frame->rax = -38; /* ENOSYS */
  }
}

/* The first process: its code is a page of the kernel's image, and its stack has a page before it starts. */
void run_init(void) {
  do_page_fault = handle_mm_fault;
  do_syscall = handle_syscall;
  free_pages_at_boot = nr_free_pages();
  current = tasks;
  current->pid = ++pids;
  struct mm_struct *mm = &current->mm;
  pgd_alloc(mm);
  for (u64 at = 0; at < (u64)(user_end - user_start); at += PAGE_SIZE) {
    u64 pfn = PFN_DOWN(__pa(user_start + at));
    pfn_to_page(pfn)->count = 1; /* the image's, which is never freed */
    pfn_to_page(pfn)->count++;
    set_pte_at(mm, USER_CODE + at, pte_alloc(mm, USER_CODE + at), pfn_pte(pfn, PAGE_USER_RO));
  }
  do_anonymous_page(mm, STACK_TOP - PAGE_SIZE, PAGE_USER_RW);
  activate_mm(mm);
  current->regs = (struct trap_frame){.rip = USER_CODE + ((u64)user_main - (u64)user_start),
                                      .cs = FLAT_USER_CS,
                                      .rflags = RFLAGS_USER,
                                      .rsp = STACK_TOP - 8,
                                      .ss = FLAT_USER_SS};
  return_to_user(&current->regs);
}
