/*
 * Runs single instructions on the host's processor and says what they did.
 *
 *   native run  < cases > results      batches of cases in, batches of results out (native.h)
 *   native trace FILE STEPS            single-steps a program and prints its registers (trace.c)
 *
 * The idea: a signal frame holds all registers, and returning from the handler loads them. So a child process stops
 * once, and from then on lives in its handler: it writes the state that the signal brought as the result of the last
 * case, writes the next case into the same frame, and returns into the instruction. It comes back by a fault of the
 * instruction, by the trap flag (STEP) or by the int3 behind the instruction (LAND). No trampoline, any rsp, one
 * signal a case.
 *
 * Code and data pages are mapped twice, once as the case sees them and once for us to write. The child has no thread
 * pointer while it works (fs belongs to the case), so it is linked statically, without stack protector, and the handler
 * calls only memcpy and memset. It is position-independent, so that it lies far from the cases' addresses.
 */
#define _GNU_SOURCE
#include "native.h"
#include <asm/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define CHUNK 4096u
#define TF 0x100u
#define RF 0x10000u
#define STATUS_AND_DF 0xcd5u

/* Our register numbers, in the order the signal frame has them. */
static const int GREG[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static uint8_t *code_alias, *data_alias; /* CODE and DATA, writable for us */
static uint8_t background[DATA_BYTES], before[DATA_BYTES];

/* The chunk at work; shared with the parent, which reads `next` when a child died. */
static struct shared {
  uint32_t next;
  uint8_t bytes[];
} *shared;
static uint32_t count, with_fx;
static size_t case_bytes, result_bytes;
static int started;
static uint64_t selectors;        /* cs, gs, fs, ss as the child began */
static uint8_t fx_at_start[FX_BYTES];

static struct test_case *case_at(uint32_t i) { return (struct test_case *)(shared->bytes + i * case_bytes); }
static struct test_result *result_at(uint32_t i) {
  return (struct test_result *)(shared->bytes + CHUNK * case_bytes + i * result_bytes);
}

static long call1(long number, long a, long b) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return result;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* The bytes that changed, as runs; a gap of up to eight equal bytes stays within its run. */
static void record_writes(struct test_result *r) {
  struct patch *run = NULL;
  for (uint32_t i = 0; i < DATA_BYTES; i++) {
    if ((i & 7) == 0 && *(uint64_t *)(data_alias + i) == *(uint64_t *)(before + i)) {
      i += 7;
      continue;
    }
    if (data_alias[i] == before[i]) continue;
    uint32_t addr = DATA + i;
    if (!run || addr - run->addr >= sizeof run->bytes || addr - (run->addr + run->len) > 8) {
      if (r->runs == 32) {
        r->overflow = 1;
        return;
      }
      run = &r->run[r->runs++];
      run->addr = addr;
      run->len = 0;
    }
    while (run->addr + run->len <= addr) {
      run->bytes[run->len] = data_alias[run->addr + run->len - DATA];
      run->len++;
    }
  }
}

static void record(const struct test_case *c, struct test_result *r, const ucontext_t *uc) {
  const greg_t *g = uc->uc_mcontext.gregs;
  memset(r, 0, sizeof *r);
  for (int i = 0; i < 16; i++) r->gpr[i] = g[GREG[i]];
  r->rip = g[REG_RIP];
  r->rflags = g[REG_EFL] & ~(uint64_t)(TF | RF);
  r->vector = g[REG_TRAPNO];
  if (c->mode == STEP && r->vector == 1) {
    r->vector = NO_FAULT;
  } else if (c->mode == LAND && r->vector == 3) {
    r->vector = NO_FAULT;
    r->rip--;
  } else {
    r->error = g[REG_ERR];
    if (r->vector == 14) r->cr2 = g[REG_CR2];
  }
  record_writes(r);
  if (with_fx) memcpy(r + 1, uc->uc_mcontext.fpregs, FX_BYTES);
}

/* popf and iret may leave AC, NT and ID set; sigreturn keeps NT and ID as the handler has them. */
static void clear_odd_flags(void) { __asm__ volatile("pushfq; andq $~0x244000, (%%rsp); popfq" ::: "memory", "cc"); }

static void load(const struct test_case *c, ucontext_t *uc) {
  greg_t *g = uc->uc_mcontext.gregs;
  for (int i = 0; i < 16; i++) g[GREG[i]] = c->gpr[i];
  g[REG_RIP] = c->rip;
  g[REG_EFL] = (c->rflags & STATUS_AND_DF) | 0x202 | (c->mode == STEP ? TF : 0);
  g[REG_CSGSFS] = selectors;

  memset(code_alias, 0xcc, PAGE);
  for (uint32_t i = 0; i < c->code_len; i++)
    if (c->rip - CODE + i < PAGE) code_alias[c->rip - CODE + i] = c->code[i];
  memcpy(data_alias, background, DATA_BYTES);
  for (const struct patch *p = c->patch; p < c->patch + c->patches; p++)
    memcpy(data_alias + (p->addr - DATA), p->bytes, p->len);
  memcpy(before, data_alias, DATA_BYTES);

  /* The frame holds an xsave area; its header says which parts are meant. x87 and SSE always are. */
  uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
  memcpy(fx, with_fx ? (const uint8_t *)(c + 1) : fx_at_start, FX_BYTES);
  *(uint64_t *)(fx + 512) |= 3;
  call1(SYS_arch_prctl, ARCH_SET_FS, FS_BASE);
  call1(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
}

static void on_signal(int sig, siginfo_t *info, void *context) {
  (void)sig, (void)info;
  ucontext_t *uc = context;
  clear_odd_flags();
  if (started) {
    record(case_at(shared->next), result_at(shared->next), uc);
    shared->next++;
  } else {
    started = 1;
    selectors = uc->uc_mcontext.gregs[REG_CSGSFS];
    memcpy(fx_at_start, uc->uc_mcontext.fpregs, FX_BYTES);
  }
  if (shared->next == count) call1(SYS_exit_group, 0, 0);
  load(case_at(shared->next), uc);
}

/* The child: does not return. A case that never ends is stopped by the alarm; the parent sees how far it came. */
static void work(void) {
  static uint8_t stack[1 << 16] __attribute__((aligned(64)));
  stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
  if (sigaltstack(&alternative, NULL)) die("sigaltstack");
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  alarm(20);
  /* A child begins with an empty page table for shared pages; the error code must say what the mapping forbids. */
  for (const volatile uint8_t *p = (uint8_t *)DATA; p < (uint8_t *)DATA + DATA_BYTES; p += PAGE)
    if (p != (uint8_t *)DATA + 3 * PAGE) (void)*p;
  (void)*(const volatile uint8_t *)CODE;
  __asm__ volatile("ud2");
}

static void run_chunk(void) {
  shared->next = 0;
  while (shared->next < count) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) work();
    int status;
    if (waitpid(child, &status, 0) < 0) die("waitpid");
    if (shared->next == count) break;
    struct test_result *r = result_at(shared->next++); /* the case killed its child */
    memset(r, 0, result_bytes);
    r->vector = DIED;
    r->error = status;
  }
}

static void *map(void *at, size_t bytes, int protection, int fd, off_t offset) {
  void *p = mmap(at, bytes, protection, MAP_SHARED | (at ? MAP_FIXED_NOREPLACE : 0), fd, offset);
  if (p == MAP_FAILED || (at && p != at)) die("mmap");
  return p;
}

static void set_up(void) {
  int fd = memfd_create("world", 0);
  if (fd < 0 || ftruncate(fd, PAGE + DATA_BYTES)) die("memfd_create");
  map((void *)CODE, PAGE, PROT_READ | PROT_EXEC, fd, 0);
  map((void *)DATA, 2 * PAGE, PROT_READ | PROT_WRITE, fd, PAGE);
  map((void *)(DATA + 2 * PAGE), PAGE, PROT_READ, fd, 3 * PAGE);
  map((void *)(DATA + 4 * PAGE), PAGE, PROT_READ | PROT_WRITE, fd, 5 * PAGE);
  code_alias = map(NULL, PAGE + DATA_BYTES, PROT_READ | PROT_WRITE, fd, 0);
  data_alias = code_alias + PAGE;
  for (uint32_t i = 0; i < DATA_BYTES; i++) background[i] = (uint8_t)(((DATA + i) * 167) ^ ((DATA + i) >> 7));

  size_t most = sizeof *shared + CHUNK * (sizeof(struct test_case) + sizeof(struct test_result) + 2 * 512);
  shared = mmap(NULL, most, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) die("mmap");
}

static int run_main(void) {
  struct batch_header header;
  set_up();
  while (fread(&header, sizeof header, 1, stdin) == 1) {
    if (header.magic != MAGIC) return fprintf(stderr, "native: not a batch of cases\n"), 1;
    with_fx = header.flags & WITH_FX;
    case_bytes = sizeof(struct test_case) + (with_fx ? 512 : 0);
    result_bytes = sizeof(struct test_result) + (with_fx ? 512 : 0);
    fwrite(&header, sizeof header, 1, stdout);
    for (uint32_t left = header.count; left > 0; left -= count) {
      count = left < CHUNK ? left : CHUNK;
      if (fread(case_at(0), case_bytes, count, stdin) != count) return fprintf(stderr, "native: cases end early\n"), 1;
      fflush(stdout);
      run_chunk();
      fwrite(result_at(0), result_bytes, count, stdout);
    }
  }
  return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "run")) return run_main();
  if (argc == 4 && !strcmp(argv[1], "trace")) return trace_main(argc, argv);
  fprintf(stderr, "usage: native run < cases > results | native trace FILE STEPS\n");
  return 2;
}
