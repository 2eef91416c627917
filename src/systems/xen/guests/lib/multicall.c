#include "multicall.h"
#include "kernel.h"

#define MC_BATCH 32
#define MC_ARGS (MC_BATCH * 64)
#define STACK_MAX 14

static struct multicall_entry mc_entries[MC_BATCH] __attribute__((used));
static u8 args[MC_ARGS] __attribute__((aligned(16)));
static u64 mcidx, argidx;
static int batching;

/*
 * When and by whom each entry was queued, as Linux keeps it under MC_DEBUG. A note of the image says where both arrays
 * are, so that the recording can show it.
 */
static struct {
  u64 tsc;
  u64 depth;
  u64 stack[STACK_MAX]; /* return addresses, innermost first */
} mc_debug[MC_BATCH] __attribute__((used)); /* nobody here reads it */
__asm__(
    ".pushsection .note.rewalk, \"a\"\n"
    "  .long 7, 16, 2\n"
    "  .asciz \"rewalk\"\n"
    "  .balign 4\n"
    "  .quad mc_entries, mc_debug\n"
    ".popsection\n");

static u64 rdtsc(void) {
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}

static void remember_who_queued(u64 index) {
  const u64 *frame = __builtin_frame_address(0);
  u64 depth = 0;
  while (frame && depth < STACK_MAX && frame[1] >= (u64)_start && frame[1] < (u64)text_end) {
    mc_debug[index].stack[depth++] = frame[1];
    if (frame[0] <= (u64)frame) break;
    frame = (const u64 *)frame[0];
  }
  mc_debug[index].depth = depth;
  mc_debug[index].tsc = rdtsc();
}

struct multicall_space xen_mc_entry(u64 size) {
  if (mcidx == MC_BATCH || argidx + size > MC_ARGS) xen_mc_flush();
  struct multicall_space space = {&mc_entries[mcidx], &args[argidx]};
  remember_who_queued(mcidx);
  mcidx++;
  argidx += size;
  return space;
}

struct multicall_space xen_mc_extend_args(u64 op, u64 size) {
  if (mcidx == 0 || mc_entries[mcidx - 1].op != op || argidx + size > MC_ARGS) return (struct multicall_space){0, 0};
  struct multicall_space space = {&mc_entries[mcidx - 1], &args[argidx]};
  argidx += size;
  return space;
}

void xen_mc_flush(void) {
  if (mcidx == 0) return;
  u64 count = mcidx;
  mcidx = 0;
  argidx = 0;
  BUG_ON(HYPERVISOR_multicall(mc_entries, count));
  for (u64 i = 0; i < count; i++) {
    if ((long)mc_entries[i].result >= 0) continue;
    printk("multicall %lu of %lu: op %lu failed: -%lu\n", i + 1, count, mc_entries[i].op, -mc_entries[i].result);
    BUG();
  }
}

void xen_mc_batch(void) { batching++; }
void xen_mc_issue(void) {
  if (--batching == 0) xen_mc_flush();
}

static void set_args(struct multicall_entry *mc, u64 op, u64 a1, u64 a2, u64 a3, u64 a4) {
  mc->op = op;
  mc->args[0] = a1;
  mc->args[1] = a2;
  mc->args[2] = a3;
  mc->args[3] = a4;
}

/* One more update for the mmu_update that was queued last, or for a new one: neighbours are one call. */
void extend_mmu_update(u64 ptr, u64 val) {
  struct multicall_space space = xen_mc_extend_args(HC_mmu_update, sizeof(struct mmu_update));
  if (space.mc) {
    space.mc->args[1]++;
  } else {
    space = xen_mc_entry(sizeof(struct mmu_update));
    set_args(space.mc, HC_mmu_update, (u64)space.args, 1, 0, DOMID_SELF);
  }
  *(struct mmu_update *)space.args = (struct mmu_update){ptr, val};
}

void queue_mmuext_op(u32 command, u64 arg1) {
  struct multicall_space space = xen_mc_entry(sizeof(struct mmuext_op));
  *(struct mmuext_op *)space.args = (struct mmuext_op){command, arg1, 0};
  set_args(space.mc, HC_mmuext_op, (u64)space.args, 1, 0, DOMID_SELF);
}

void queue_update_va_mapping(void *va, u64 pte, u64 flags) {
  struct multicall_space space = xen_mc_entry(0);
  set_args(space.mc, HC_update_va_mapping, (u64)va, pte, flags, 0);
}
