/*
 * address-spaces: a kernel of two hundred lines that owns its page tables.
 *
 * The loader starts it in 64-bit mode, ring 0, with the first gigabyte of memory mapped one to one by tables that are not
 * the kernel's own. It builds its own tables page by page from a bump allocator, with ordinary stores into memory that
 * nobody yet takes for a page table: they become page tables at the moment cr3 is loaded, and every question "who wrote
 * this entry?" must be answered with the store, not with the load.
 *
 * Then it does what kernels do with page tables, the least of each: it maps a page when user code first touches it
 * (demand paging), gives a second process the same pages read-only (fork), copies the one that is written to
 * (copy on write), switches between the two, unmaps a page and invalidates it, and stops. Nothing is ever freed.
 *
 * Compare the two address spaces before and after the copy: one page differs, in frame and in permission.
 */
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define PRESENT 0x001ul
#define RW 0x002ul
#define USER 0x004ul
#define FRAME_MASK 0x000ffffffffff000ul
#define PAGE_SIZE 4096ul
#define ENTRIES 512

#define USER_CODE 0x400000ul  /* mapped to the page of user_main */
#define USER_DATA 0x600000ul  /* eight pages, mapped when touched */
#define USER_STACK 0x7ff000ul  /* one page, below this */
#define POOL_START 0x1000000ul /* physical memory that the allocator hands out, far above the image */
#define POOL_END 0x1200000ul
#define STACK_TOP POOL_END    /* the kernel's stack grows down from the pool's end */
#define PMD_SIZE 0x200000ul

struct trap_frame {
  u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
  u64 vector, error, rip, cs, rflags, rsp, ss;
};

static u64 pool = POOL_START;
static u64 kernel_pgd;
static u64 current_pgd;
static u64 child_pgd;

static inline void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static inline u64 read_cr2(void) {
  u64 value;
  __asm__ volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
static inline void write_cr3(u64 value) {
  current_pgd = value;
  __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}
static inline void invlpg(u64 address) { __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory"); }

static void print(const char *text) {
  while (*text) outb(0xe9, *text++);
}
static void print_hex(u64 value) {
  for (int shift = 60; shift >= 0; shift -= 4) outb(0xe9, "0123456789abcdef"[(value >> shift) & 15]);
}
static void say(const char *text, u64 value) {
  print(text);
  print_hex(value);
  print("\n");
}
static void halt(void) {
  for (;;) __asm__ volatile("cli; hlt");
}

/* A zeroed page of physical memory; memory is mapped one to one, so its address is also where to write it. */
static u64 alloc_page(void) {
  u64 page = pool;
  u64 *words = (u64 *)page;
  pool += PAGE_SIZE;
  for (int i = 0; i < ENTRIES; i++) words[i] = 0;
  return page;
}

/* The entry of `address` in the table of the level with this shift; tables on the way are made where they are missing. */
static u64 *entry_offset(u64 pgd, u64 address, int level_shift) {
  u64 *table = (u64 *)pgd;
  for (int shift = 39; shift > level_shift; shift -= 9) {
    u64 *entry = &table[(address >> shift) & (ENTRIES - 1)];
    if (!(*entry & PRESENT)) *entry = alloc_page() | PRESENT | RW | USER;
    table = (u64 *)(*entry & FRAME_MASK);
  }
  return &table[(address >> level_shift) & (ENTRIES - 1)];
}
static u64 *pmd_offset(u64 pgd, u64 address) { return entry_offset(pgd, address, 21); }
static u64 *pte_offset(u64 pgd, u64 address) { return entry_offset(pgd, address, 12); }
static void map_page(u64 pgd, u64 address, u64 page, u64 flags) { *pte_offset(pgd, address) = page | flags; }
static void unmap_page(u64 pgd, u64 address) {
  *pte_offset(pgd, address) = 0;
  invlpg(address);
}

extern char image_start[], image_end[], user_start[];

/* The first address space: the image and the pool (with the stack at its end), one to one, not for user code. */
static u64 kernel_pgd_alloc(void) {
  u64 pgd = alloc_page();
  for (u64 at = (u64)image_start & ~(PAGE_SIZE - 1); at < (u64)image_end; at += PAGE_SIZE) map_page(pgd, at, at, PRESENT | RW);
  for (u64 at = POOL_START; at < POOL_END; at += PAGE_SIZE) map_page(pgd, at, at, PRESENT | RW);
  return pgd;
}

/* Every other one shares the kernel's last-level tables: a change there is seen everywhere at once. */
static u64 pgd_alloc(void) {
  u64 pgd = alloc_page();
  *pmd_offset(pgd, (u64)image_start) = *pmd_offset(kernel_pgd, (u64)image_start);
  *pmd_offset(pgd, POOL_START) = *pmd_offset(kernel_pgd, POOL_START);
  return pgd;
}

/* fork: the child sees the parent's pages, and neither may write them until it has a copy of its own. */
static u64 copy_address_space(u64 from) {
  u64 to = pgd_alloc();
  for (u64 at = USER_CODE; at < USER_STACK; at += PAGE_SIZE) {
    u64 *source = pte_offset(from, at);
    if (!(*source & PRESENT)) continue;
    if (*source & RW) {
      *source &= ~RW;
      invlpg(at);
    }
    map_page(to, at, *source & FRAME_MASK, *source & ~FRAME_MASK & ~0x60ul);
  }
  return to;
}

static void copy_on_write(u64 *entry, u64 address) {
  u64 copy = alloc_page();
  u64 *from = (u64 *)(*entry & FRAME_MASK), *to = (u64 *)copy;
  for (int i = 0; i < ENTRIES; i++) to[i] = from[i];
  *entry = copy | PRESENT | RW | USER;
  invlpg(address);
}

static void page_fault(struct trap_frame *frame) {
  u64 address = read_cr2() & ~(PAGE_SIZE - 1);
  if (!(frame->error & USER) || address < USER_DATA || address >= USER_STACK) {
    say("kernel: bad fault at ", read_cr2());
    halt();
  }
  u64 *entry = pte_offset(current_pgd, address);
  if (*entry & PRESENT) copy_on_write(entry, address);
  else *entry = alloc_page() | PRESENT | RW | USER;
}

/* The calls of user code, by number in rax. */
static void system_call(struct trap_frame *frame) {
  switch (frame->rax) {
    case 1: /* print a number */
      say("user: ", frame->rdi);
      break;
    case 2: /* fork: both go on; the child runs when it is switched to */
      child_pgd = copy_address_space(current_pgd);
      frame->rax = child_pgd;
      break;
    case 3: /* switch to the other address space */
      write_cr3(frame->rdi);
      break;
    case 4: /* unmap a page */
      unmap_page(current_pgd, frame->rdi);
      break;
    default: /* stop */
      print("kernel: done\n");
      write_cr3(kernel_pgd);
      halt();
  }
}

void trap(struct trap_frame *frame) {
  if (frame->vector == 14) page_fault(frame);
  else if (frame->vector == 128) system_call(frame);
  else {
    say("kernel: unexpected trap ", frame->vector);
    halt();
  }
}

/* User code: position-independent, on a page of its own. */
__asm__(
    ".section .user, \"ax\"\n"
    ".globl user_start\n"
    "user_start:\n"
    "  mov $0x600000, %ebx\n"
    "1: mov %rbx, (%rbx)\n" /* touch eight pages: eight faults */
    "  add $4096, %rbx\n"
    "  cmp $0x608000, %rbx\n"
    "  jb 1b\n"
    "  mov $1, %eax\n"
    "  mov 0x603000, %rdi\n"
    "  int $128\n"
    "  mov $2, %eax\n" /* fork; rax: the child's pgd */
    "  int $128\n"
    "  mov %rax, %r13\n"
    "  movq $0x1111, 0x602000\n" /* the parent writes: a copy */
    "  mov %r13, %rdi\n"
    "  mov $3, %eax\n" /* to the child */
    "  int $128\n"
    "  mov $1, %eax\n"
    "  mov 0x602000, %rdi\n" /* still the old value */
    "  int $128\n"
    "  movq $0x2222, 0x605000\n" /* the child writes: a copy */
    "  mov $4, %eax\n"
    "  mov $0x607000, %edi\n" /* unmap the last page */
    "  int $128\n"
    "  xor %eax, %eax\n"
    "  int $128\n"
    ".text\n");

/* An interrupt gate (SDM 3A, figure 6-8): offset 15:0 | selector | ist, type, dpl, p | offset 31:16 | offset 63:32 | 0 */
static struct gate {
  u16 offset_low, selector, flags, offset_middle;
  u32 offset_high, zero;
} idt[256] __attribute__((aligned(16)));
static struct tss {
  u32 reserved;
  u64 rsp0;
  u8 rest[92];
} __attribute__((packed)) tss __attribute__((aligned(16)));
static u64 gdt[7] __attribute__((aligned(16)));

static void set_gate(int vector, void (*handler)(void), int dpl) {
  u64 at = (u64)handler;
  idt[vector] = (struct gate){at, 0x08, 0x8e00 | dpl << 13, at >> 16, at >> 32, 0};
}
extern void trap_14(void), trap_128(void), trap_other(void);
extern void enter_user(u64 rip, u64 rsp, u64 rflags);

static void load_descriptor_tables(void) {
  struct {
    u16 limit;
    u64 base;
  } __attribute__((packed)) gdtr = {sizeof gdt - 1, (u64)gdt}, idtr = {sizeof idt - 1, (u64)idt};
  gdt[1] = 0x00209a0000000000ul; /* 08 kernel code */
  gdt[2] = 0x0000920000000000ul; /* 10 kernel data */
  gdt[3] = 0x0020fa0000000000ul; /* 18 user code */
  gdt[4] = 0x0000f20000000000ul; /* 20 user data */
  u64 base = (u64)&tss;
  gdt[5] = 0x0000890000000067ul | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
  gdt[6] = base >> 32;
  tss.rsp0 = STACK_TOP;
  for (int i = 0; i < 256; i++) set_gate(i, trap_other, 0);
  set_gate(14, trap_14, 0);
  set_gate(128, trap_128, 3);
  __asm__ volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(gdtr), "m"(idtr), "r"(0x28));
}

void kernel_main(void) {
  load_descriptor_tables();
  print("kernel: building page tables\n");
  kernel_pgd = kernel_pgd_alloc();
  say("kernel: loading cr3 ", kernel_pgd);
  write_cr3(kernel_pgd);
  u64 pgd = pgd_alloc();
  map_page(pgd, USER_CODE, (u64)user_start, PRESENT | USER);
  map_page(pgd, USER_STACK - PAGE_SIZE, alloc_page(), PRESENT | RW | USER);
  write_cr3(pgd);
  enter_user(USER_CODE, USER_STACK, 0x202);
}

__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov $0x1200000, %esp\n"
    "  xor %ebp, %ebp\n"
    "  call kernel_main\n"
    ".globl enter_user\n"
    "enter_user:\n" /* rdi: rip, rsi: rsp, rdx: rflags */
    "  pushq $0x23\n"
    "  pushq %rsi\n"
    "  pushq %rdx\n"
    "  pushq $0x1b\n"
    "  pushq %rdi\n"
    "  iretq\n"
    "trap_14: pushq $14; jmp save\n"
    "trap_128: pushq $0; pushq $128; jmp save\n"
    "trap_other: pushq $0; pushq $255; jmp save\n"
    "save:\n"
    "  push %rax; push %rbx; push %rcx; push %rdx; push %rsi; push %rdi; push %rbp\n"
    "  push %r8; push %r9; push %r10; push %r11; push %r12; push %r13; push %r14; push %r15\n"
    "  mov %rsp, %rdi\n"
    "  call trap\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %r11; pop %r10; pop %r9; pop %r8\n"
    "  pop %rbp; pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rbx; pop %rax\n"
    "  add $16, %rsp\n"
    "  iretq\n");
