/* What every early-pagetable guest does before and behind its own story. */
#pragma once
#include "kernel.h"

/*
 * Memory as the stories need it: a low part and a high part, which are mapped one after the other, as memory below and
 * above 4 GiB is. At the top of the low part lies an initrd, so what is free there is not the last that is mapped.
 */
#define LOW_END (8ul << 20)
#define INITRD_START (6ul << 20)
#define INITRD_END LOW_END

void setup_arch(struct start_info *info, u64 boot_stack_top);
/* The rest of the boot: every handler, and all that is free becomes the page allocator's, which touches it. */
void finish_boot(void) noreturn;
