/* What the kernel and its user code agree on. System calls have Linux's numbers. */
#pragma once

#define USER_CODE 0x400000ul
#define USER_DATA 0x600000ul      /* below the same L3 and L2 as the code: a new L1 */
#define USER_MMAP 0x10000000000ul /* 1 TiB: an L4 entry of its own */

#define SYS_write 1
#define SYS_sched_yield 24
#define SYS_getpid 39
#define SYS_fork 57
#define SYS_exit 60

void user_main(void);
