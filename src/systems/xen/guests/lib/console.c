/* Lines for people, through Xen's console. */
#include <stdarg.h>
#include "kernel.h"

#define LINE_MAX 160

static char line[LINE_MAX];
static u64 length;

static void put(char c) {
  if (length < LINE_MAX) line[length++] = c;
}
static void put_number(u64 value, u64 base) {
  char digits[20];
  int n = 0;
  do digits[n++] = "0123456789abcdef"[value % base];
  while (value /= base);
  while (n) put(digits[--n]);
}

void printk(const char *format, ...) {
  va_list args;
  va_start(args, format);
  length = 0;
  for (const char *at = format; *at; at++) {
    if (*at != '%') {
      put(*at);
    } else if (*++at == 's') {
      for (const char *text = va_arg(args, const char *); *text; text++) put(*text);
    } else { /* %lx, %lu */
      at++;
      put_number(va_arg(args, u64), *at == 'x' ? 16 : 10);
    }
  }
  va_end(args);
  HYPERVISOR_console_io(CONSOLEIO_write, length, line);
}

void shutdown(u32 reason) {
  for (;;) HYPERVISOR_shutdown(reason);
}
void panic(const char *why) {
  printk("Kernel panic - not syncing: %s\n", why);
  shutdown(SHUTDOWN_crash);
}
