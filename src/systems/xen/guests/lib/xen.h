/* The words of Xen's interface for a 64-bit PV guest, as far as these guests speak it (xen/include/public). */
#pragma once

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

/* Hypercalls (xen.h, __HYPERVISOR_*) */
#define HC_set_trap_table 0
#define HC_mmu_update 1
#define HC_stack_switch 3
#define HC_multicall 13
#define HC_update_va_mapping 14
#define HC_console_io 18
#define HC_vm_assist 21
#define HC_mmuext_op 26
#define HC_sched_op 29
#define HC_callback_op 30

#define DOMID_SELF 0x7ff0ul

/* What the domain builder leaves for the kernel: its address is in rsi at the first instruction (struct start_info). */
struct start_info {
  char magic[32];
  u64 nr_pages;
  u64 shared_info; /* machine address */
  u32 flags;
  u64 store_mfn;
  u32 store_evtchn;
  u64 console_mfn;
  u32 console_evtchn;
  u64 pt_base; /* virtual address of the first page table, the L4 */
  u64 nr_pt_frames;
  u64 mfn_list; /* virtual address of the pfn to mfn table */
  u64 mod_start, mod_len;
  char cmd_line[1024];
  u64 first_p2m_pfn, nr_p2m_frames;
};

/* The page Xen and the domain share, as far as the first vcpu's page-fault address. */
struct shared_info {
  struct {
    u8 evtchn_upcall_pending, evtchn_upcall_mask;
    u64 evtchn_pending_sel;
    u64 cr2;
    u64 pad;
    u8 time[32];
  } vcpu_info[32];
};

/* mmu_update: *ptr = val, where ptr is a machine address and its low two bits say how. */
struct mmu_update {
  u64 ptr, val;
};
#define MMU_NORMAL_PT_UPDATE 0ul
#define MMU_PT_UPDATE_PRESERVE_AD 2ul

struct mmuext_op {
  u32 cmd;
  u64 arg1; /* mfn or linear address */
  u64 arg2;
};
#define MMUEXT_PIN_L1_TABLE 0
#define MMUEXT_PIN_L4_TABLE 3
#define MMUEXT_UNPIN_TABLE 4
#define MMUEXT_NEW_BASEPTR 5
#define MMUEXT_TLB_FLUSH_LOCAL 6
#define MMUEXT_INVLPG_LOCAL 7
#define MMUEXT_NEW_USER_BASEPTR 15

/* Flags of update_va_mapping */
#define UVMF_NONE 0ul
#define UVMF_TLB_FLUSH 1ul
#define UVMF_INVLPG 2ul

/* Without this a store into a read-only page table is the guest's fault to handle, like any other. */
#define VMASST_CMD_enable 0
#define VMASST_TYPE_writable_pagetables 2

struct multicall_entry {
  u64 op, result;
  u64 args[6];
};

struct trap_info {
  u8 vector, flags;
  u16 cs;
  u64 address;
};
#define FLAT_KERNEL_CS 0xe033
#define FLAT_KERNEL_SS 0xe02b
#define FLAT_USER_CS 0xe033
#define FLAT_USER_SS 0xe02b

#define CALLBACKTYPE_event 0
#define CALLBACKTYPE_failsafe 1
#define CALLBACKTYPE_syscall 2
#define CALLBACKOP_register 0
struct callback_register {
  u16 type, flags;
  u64 address;
};

#define CONSOLEIO_write 0
#define SCHEDOP_shutdown 2
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_crash 3

/* The machine to pseudo-physical table: Xen's, mapped read-only for every domain. */
#define MACHINE_TO_PHYS ((const u64 *)0xffff800000000000ul)
