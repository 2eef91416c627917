/*
 * A bare guest for the cost of recording: it works for some 2,000 instructions, writes one entry of a page table, and so
 * on, as often as `rounds` says. The entry is of the loader's level-2 table, for an address nobody uses.
 */
#include "programs.h"

volatile u64 rounds = 1;
static u64 memory[4096];

__attribute__((section(".text.start"))) void start(void) {
  __asm__ volatile("mov $0x800000, %rsp\n jmp work");
}
__attribute__((used, noreturn)) void work(void) {
  volatile u64 *entry = (volatile u64 *)(0x3000 + 8 * 500);
  u64 sum = 1;
  for (u64 round = rounds; round--;) {
    for (int i = 0; i < 170; i++) {
      sum = sum * 6364136223846793005ul + 1442695040888963407ul;
      memory[(sum >> 40) & 4095] += sum ^ (sum >> 29);
      if (sum & 1024) sum += memory[i];
    }
    *entry = (sum << 21 & 0x3fe00000) | 0x83;
  }
  memory[0] = sum;
  for (;;) __asm__ volatile("cli; hlt");
}
