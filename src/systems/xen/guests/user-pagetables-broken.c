/*
 * user-pagetables-broken: user-pagetables with the user half forgotten in one path.
 *
 * When a process touches memory at 1 TiB for the first time, its L4 needs a new entry. Its tables are pinned and
 * loaded, so set_pgd goes through Xen, and should set two entries in one batch: one in the kernel L4, one in the user
 * L4. Here it sets the first. Nothing fails. Every hypercall succeeds, every table is valid, and the kernel, which sees
 * the page in its own tables, is done with the fault; but user code runs on the other L4, where the entry is missing,
 * and faults at the same address again.
 *
 * In life that is a process which hangs, at 100 % of a processor, for no reason that its kernel can see: Linux takes a
 * fault with nothing to do for one that somebody else has handled. This kernel counts to three and panics.
 *
 * What is wrong is in no message. `rewalk check` prints the first event after which the two L4 tables differ, and
 * `rewalk why` the path that set one and not the other.
 */
#define FORGET_THE_USER_HALF_WHEN_PINNED
#include "user-pagetables.c"
