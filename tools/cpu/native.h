/* What native.c and trace.c share: the layout of layout.mjs, and the records of native.mjs. */
#ifndef NATIVE_H
#define NATIVE_H
#include <stdint.h>

#define CODE 0x40000000ul
#define DATA 0x40010000ul
#define DATA_BYTES 0x5000ul
#define PAGE 0x1000ul
#define FS_BASE 0x7ffe12345670ul
#define GS_BASE 0x20000000ul

#define MAGIC 0x31555043u /* "CPU1" */
#define WITH_FX 1u
#define FX_BYTES 416 /* x87, mxcsr, xmm0-15; the rest of the image is the kernel's */

enum { STEP = 0, LAND = 1 };
enum { NO_FAULT = 255, DIED = 254 };

struct patch {
  uint32_t addr;
  uint8_t len;
  uint8_t bytes[27];
};

struct batch_header {
  uint32_t magic, count, flags, zero;
};

struct test_case { /* 432 bytes, then the fx image if the batch has them */
  uint64_t gpr[16], rip, rflags;
  uint8_t code[24];
  uint8_t code_len, mode, patches, zero[5];
  struct patch patch[8];
};

struct test_result { /* 1,184 bytes, then the fx image if the batch has them */
  uint64_t gpr[16], rip, rflags, cr2;
  uint32_t error;
  uint8_t vector, runs, overflow, zero;
  struct patch run[32];
};

int trace_main(int argc, char **argv);
#endif
