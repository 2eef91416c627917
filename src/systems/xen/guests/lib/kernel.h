/*
 * What these small kernels have in common. Names are Linux's of the time (arch/x86/xen and arch/x86/mm of 2.6.27 and
 * 2.6.39); pfn, mfn, __va and __pa mean what they mean there.
 */
#pragma once
#include "hypercall.h"
#include "pgtable.h"

#define noinline __attribute__((noinline))
#define noreturn __attribute__((noreturn))
#define page_aligned __attribute__((aligned(4096)))
#define BUG() __builtin_trap() /* ud2: the handler of the invalid opcode tells where, if there is one yet */
#define BUG_ON(condition) \
  do { \
    if (condition) BUG(); \
  } while (0)

extern char _start[], image_end[], text_end[], user_start[], user_end[];
extern struct start_info *xen_start_info;

/* Entered at the start of the boot, on the boot stack: each guest's own. */
void start_kernel(struct start_info *info, u64 boot_stack_top) noreturn;

/* console.c: %s, %lx, %lu; one line at a time */
void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
void panic(const char *why) noreturn;
void shutdown(u32 reason) noreturn;

/* traps.c */
struct trap_frame {
  u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
  u64 vector, error, rip, cs, rflags, rsp, ss;
};
#define TRAP_invalid_op 6
#define TRAP_page_fault 14
#define TRAP_syscall 256
#define FAULT_PRESENT 1
#define FAULT_WRITE 2
#define FAULT_USER 4
static inline int user_mode(const struct trap_frame *frame) { return (frame->cs & 3) == 3; }
void early_trap_init(void); /* page faults only, as early in the boot */
void trap_init(void);       /* everything else */
u64 read_cr2(void);
extern void (*do_page_fault)(struct trap_frame *frame); /* bad_page_fault, until somebody knows better */
extern void (*do_syscall)(struct trap_frame *frame);
void bad_page_fault(struct trap_frame *frame);
void return_to_user(struct trap_frame *frame) noreturn;

static inline void clear_page(void *page) {
  u64 count = PAGE_SIZE / 8;
  __asm__ volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0ul) : "memory");
}
static inline void copy_page(void *to, const void *from) {
  u64 count = PAGE_SIZE / 8;
  __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count)::"memory");
}
