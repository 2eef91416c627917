/*
 * User code. It is linked with the kernel and runs at USER_CODE, from a read-only mapping of the page it lies on: so it
 * may name its own strings only by their distance (lea), and calls nothing.
 */
#include "user.h"
#include "xen.h"

static inline __attribute__((always_inline)) u64 syscall(u64 number, u64 a1, u64 a2, u64 a3) {
  __asm__ volatile("syscall" : "+a"(number) : "D"(a1), "S"(a2), "d"(a3) : "rcx", "r11", "memory");
  return number;
}
#define say(text)                                                                                        \
  do {                                                                                                   \
    static const char words[] __attribute__((section(".user.words"))) = text;                            \
    const char *at;                                                                                      \
    __asm__("lea %c1(%%rip), %0" : "=r"(at) : "i"(words));                                               \
    syscall(SYS_write, 1, (u64)at, sizeof words - 1);                                                    \
  } while (0)

__attribute__((section(".user"), noinline)) void user_main(void) {
  volatile u64 *data = (u64 *)USER_DATA, *mapped = (u64 *)USER_MMAP;
  say("hello from ring 3");
  data[0] = 1;         /* a new page, and a new L1 table for it */
  data[512] = 2;       /* a new page in that table */
  mapped[0] = 0x1111;  /* a new L4 entry: the kernel's and the user's */
  say("wrote at 1 TiB");
  if (syscall(SYS_fork, 0, 0, 0) == 0) {
    if (mapped[0] == 0x1111) say("child: sees what its parent wrote");
    mapped[0] = 0x2222; /* a copy */
    data[0]++;          /* another */
    syscall(SYS_exit, 0, 0, 0);
  }
  syscall(SYS_sched_yield, 0, 0, 0); /* the child runs, and exits */
  if (mapped[0] == 0x1111 && data[0] == 1) say("parent: its memory is its own");
  mapped[0] = 0x3333; /* the only user by now: no copy */
  syscall(SYS_exit, 0, 0, 0);
  __builtin_trap();
}
