/* Says "B" before and "E <result>" after entry(what, n): whoever listens takes the time between the two. */
#include "programs.h"

static u64 number(const char **text) {
  u64 n = 0;
  while (**text == ' ') ++*text;
  for (; **text >= '0' && **text <= '9'; ++*text) n = n * 10 + (u64)(**text - '0');
  return n;
}
static void result(char *line, u64 value) {
  line[0] = 'E';
  line[1] = ' ';
  for (int i = 0; i < 16; i++) line[2 + i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 15];
  line[18] = '\n';
}

static long syscall3(long nr, long a, const void *b, long c) {
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return r;
}
void native_main(u64 *stack) {
  char line[19];
  const char *what = (const char *)stack[2], *n = (const char *)stack[3];
  syscall3(1, 1, "B\n", 2);
  result(line, entry(number(&what), number(&n)));
  syscall3(1, 1, line, 19);
  syscall3(60, 0, 0, 0);
}

static void out(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static void print(const char *text, int bytes) {
  while (bytes--) out(0x3f8, (u8)*text++);
}
void bare_main(const u64 *start_info) {
  char line[19];
  const char *command = (const char *)start_info[3];
  u64 what = number(&command), n = number(&command);
  print("B\n", 2);
  result(line, entry(what, n));
  print(line, 19);
  out(0xf4, 0); /* isa-debug-exit */
}
