/*
 * Single-steps a static program that computes and makes no system call, and prints the registers after each
 * instruction.
 *
 * All general registers are zero and rflags is 202 as the program begins (rsp too: it sets its own stack). One line an
 * instruction: the address it led to and the registers it changed, mxcsr and xmm0 ... xmm15 among them; the first line is
 * the beginning, with all registers. A repeated string instruction is one line. The last line says why the trace ended: `end steps`, or `end
 * signal N` (a program ends itself with ud2, signal 4, or hlt, signal 11).
 */
#define _GNU_SOURCE
#include "native.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *NAME[17] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
                               "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rflags"};

static void in_order(const struct user_regs_struct *u, uint64_t out[17]) {
  const uint64_t v[17] = {u->rax, u->rcx, u->rdx, u->rbx, u->rsp, u->rbp, u->rsi, u->rdi,   u->r8,
                          u->r9,  u->r10, u->r11, u->r12, u->r13, u->r14, u->r15, u->eflags & ~0x10100ul};
  memcpy(out, v, sizeof v);
}

/* mxcsr and the xmm registers: all of them, or those that differ from `was`; `was` becomes what they are. */
static void print_vectors(pid_t child, struct user_fpregs_struct *was, int all) {
  struct user_fpregs_struct now;
  ptrace(PTRACE_GETFPREGS, child, 0, &now);
  if (all || now.mxcsr != was->mxcsr) printf(" mxcsr=%x", now.mxcsr);
  for (int i = 0; i < 16; i++) {
    uint64_t half[2];
    memcpy(half, &now.xmm_space[4 * i], 16);
    if (all || memcmp(half, &was->xmm_space[4 * i], 16))
      printf(" xmm%d=%016lx%016lx", i, (unsigned long)half[1], (unsigned long)half[0]);
  }
  *was = now;
}

/* A repeated string instruction traps in each round; while rip stays on a rep prefix it is not over. */
static int again(pid_t child, uint64_t was, uint64_t rip) {
  if (was != rip) return 0;
  uint64_t word = ptrace(PTRACE_PEEKTEXT, child, rip, 0);
  for (int i = 0; i < 4; i++, word >>= 8)
    if ((word & 0xfe) == 0xf2) return 1;
  return 0;
}

int trace_main(int argc, char **argv) {
  (void)argc;
  long steps = atol(argv[3]);
  pid_t child = fork();
  if (child == 0) {
    personality(ADDR_NO_RANDOMIZE);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    execl(argv[2], argv[2], (char *)NULL);
    perror(argv[2]);
    _exit(127);
  }
  int status;
  struct user_regs_struct u;
  waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) return fprintf(stderr, "native: %s does not start\n", argv[2]), 1;
  ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL);
  ptrace(PTRACE_GETREGS, child, 0, &u);
  u.rax = u.rcx = u.rdx = u.rbx = u.rsp = u.rbp = u.rsi = u.rdi = 0;
  u.r8 = u.r9 = u.r10 = u.r11 = u.r12 = u.r13 = u.r14 = u.r15 = 0;
  u.orig_rax = -1;
  u.eflags = 0x202;
  ptrace(PTRACE_SETREGS, child, 0, &u);

  uint64_t was[17], now[17], rip = u.rip;
  in_order(&u, was);
  printf("%lx", (unsigned long)rip);
  for (int i = 0; i < 17; i++) printf(" %s=%lx", NAME[i], was[i]);
  struct user_fpregs_struct vectors;
  print_vectors(child, &vectors, 1);
  putchar('\n');
  for (long done = 0; done < steps;) {
    ptrace(PTRACE_SINGLESTEP, child, 0, 0);
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) return printf("end exit\n"), 0;
    if (WSTOPSIG(status) != SIGTRAP) {
      printf("end signal %d\n", WSTOPSIG(status));
      kill(child, SIGKILL);
      return 0;
    }
    ptrace(PTRACE_GETREGS, child, 0, &u);
    if (again(child, rip, u.rip)) continue;
    in_order(&u, now);
    rip = u.rip;
    printf("%lx", (unsigned long)rip);
    for (int i = 0; i < 17; i++)
      if (now[i] != was[i]) printf(" %s=%lx", NAME[i], now[i]);
    print_vectors(child, &vectors, 0);
    putchar('\n');
    memcpy(was, now, sizeof was);
    done++;
  }
  kill(child, SIGKILL);
  printf("end steps\n");
  return 0;
}
