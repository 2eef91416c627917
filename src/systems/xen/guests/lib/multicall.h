/*
 * The multicall queue (arch/x86/xen/multicalls.c): calls are queued where they are decided and carried out together by
 * one hypercall, somewhere else. That is fast, and it is why the call stack at the hypercall does not tell who wanted
 * what.
 *
 *     xen_mc_batch(); ... xen_mc_entry(size) ... xen_mc_entry(size) ...; xen_mc_issue();
 */
#pragma once
#include "xen.h"

struct multicall_space {
  struct multicall_entry *mc;
  void *args; /* `size` bytes that live until the batch is carried out */
};
void xen_mc_batch(void);
struct multicall_space xen_mc_entry(u64 size);
/* Room for `size` more argument bytes of the last call queued, if that is `op`. mc is 0 if not, or without room. */
struct multicall_space xen_mc_extend_args(u64 op, u64 size);
void xen_mc_issue(void);
void xen_mc_flush(void);

/* What is queued most. */
void extend_mmu_update(u64 ptr, u64 val);
void queue_mmuext_op(u32 command, u64 arg1);
void queue_update_va_mapping(void *va, u64 pte, u64 flags);
