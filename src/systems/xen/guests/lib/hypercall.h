/*
 * Hypercalls as functions. How the call is made is the guest's choice: it includes hypercall-page.h (Xen fills a page
 * of our image with stubs, as Linux had it until 6.13) or hypercall-syscall.h (the kernel issues `syscall` itself,
 * which Xen takes for a hypercall because the guest is in kernel mode).
 */
#pragma once
#include "xen.h"

/* The number is the last argument, so that the others are where Xen wants them: rdi, rsi, rdx, (rcx for r10), r8. */
long hypercall(u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 number);

static inline long HYPERVISOR_set_trap_table(const struct trap_info *table) {
  return hypercall((u64)table, 0, 0, 0, 0, HC_set_trap_table);
}
static inline long HYPERVISOR_mmu_update(struct mmu_update *updates, u64 count) {
  return hypercall((u64)updates, count, 0, DOMID_SELF, 0, HC_mmu_update);
}
static inline long HYPERVISOR_mmuext_op(struct mmuext_op *ops, u64 count) {
  return hypercall((u64)ops, count, 0, DOMID_SELF, 0, HC_mmuext_op);
}
static inline long HYPERVISOR_update_va_mapping(u64 address, u64 pte, u64 flags) {
  return hypercall(address, pte, flags, 0, 0, HC_update_va_mapping);
}
static inline long HYPERVISOR_multicall(struct multicall_entry *entries, u64 count) {
  return hypercall((u64)entries, count, 0, 0, 0, HC_multicall);
}
static inline long HYPERVISOR_console_io(u64 command, u64 count, const char *text) {
  return hypercall(command, count, (u64)text, 0, 0, HC_console_io);
}
static inline long HYPERVISOR_vm_assist(u64 command, u64 type) {
  return hypercall(command, type, 0, 0, 0, HC_vm_assist);
}
static inline long HYPERVISOR_stack_switch(u64 ss, u64 rsp) { return hypercall(ss, rsp, 0, 0, 0, HC_stack_switch); }
static inline long HYPERVISOR_callback_op(u64 command, const void *argument) {
  return hypercall(command, (u64)argument, 0, 0, 0, HC_callback_op);
}
static inline long HYPERVISOR_shutdown(u32 reason) {
  return hypercall(SCHEDOP_shutdown, (u64)&reason, 0, 0, 0, HC_sched_op);
}
