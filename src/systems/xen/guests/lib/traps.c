/* The trap table, and what is done about traps. */
#include "kernel.h"

extern char trap_divide_error[], trap_debug[], trap_int3[], trap_invalid_op[], trap_general_protection[],
    trap_page_fault[], trap_syscall[], trap_event[], trap_failsafe[];

static struct shared_info *shared_info;

/*
 * As early in the boot as Linux's: debugging and page faults. An invalid opcode has no handler before trap_init: a
 * BUG() until then is Xen's to deal with, and Xen crashes the domain.
 */
void early_trap_init(void) {
  static const struct trap_info early_traps[] = {
      {1, 0, FLAT_KERNEL_CS, (u64)trap_debug},
      {3, 3, FLAT_KERNEL_CS, (u64)trap_int3},
      {14, 4, FLAT_KERNEL_CS, (u64)trap_page_fault},
      {0, 0, 0, 0},
  };
  shared_info = set_fixmap(FIX_SHARED_INFO, xen_start_info->shared_info | PAGE_KERNEL);
  BUG_ON(HYPERVISOR_set_trap_table(early_traps));
}

void trap_init(void) {
  static const struct trap_info traps[] = {
      {0, 0, FLAT_KERNEL_CS, (u64)trap_divide_error},
      {6, 0, FLAT_KERNEL_CS, (u64)trap_invalid_op},
      {13, 0, FLAT_KERNEL_CS, (u64)trap_general_protection},
      {0, 0, 0, 0},
  };
  static const struct callback_register callbacks[] = {
      {CALLBACKTYPE_event, 0, (u64)trap_event},
      {CALLBACKTYPE_failsafe, 0, (u64)trap_failsafe},
      {CALLBACKTYPE_syscall, 0, (u64)trap_syscall},
  };
  BUG_ON(HYPERVISOR_set_trap_table(traps));
  for (u64 i = 0; i < sizeof callbacks / sizeof *callbacks; i++)
    BUG_ON(HYPERVISOR_callback_op(CALLBACKOP_register, &callbacks[i]));
}

/* The address of the last page fault: Xen leaves it where the guest can read it without asking. */
u64 read_cr2(void) { return ((volatile struct shared_info *)shared_info)->vcpu_info[0].cr2; }

void bad_page_fault(struct trap_frame *frame) {
  printk("BUG: unable to handle kernel paging request at %lx\n", read_cr2());
  printk("IP: %lx, error code %lx\n", frame->rip, frame->error);
  panic("Fatal exception");
}

void (*do_page_fault)(struct trap_frame *frame) = bad_page_fault;
void (*do_syscall)(struct trap_frame *frame);

void trap(struct trap_frame *frame) {
  switch (frame->vector) {
    case TRAP_page_fault:
      do_page_fault(frame);
      break;
    case TRAP_syscall:
      do_syscall(frame);
      break;
    case TRAP_invalid_op:
      printk("kernel BUG at %lx\n", frame->rip);
      panic("Fatal exception");
    default:
      printk("unexpected trap %lu at %lx\n", frame->vector, frame->rip);
      panic("Fatal exception");
  }
}
