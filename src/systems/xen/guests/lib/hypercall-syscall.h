/* Hypercalls by `syscall` itself: no page of stubs, and no note that asks for one. rcx and r11 are lost, as always. */
#pragma once
__asm__(
    ".globl hypercall\n"
    ".type hypercall, @function\n"
    "hypercall:\n"
    "  push %rbp\n"
    "  mov %rsp, %rbp\n"
    "  mov %rcx, %r10\n"
    "  mov %r9, %rax\n"
    "  syscall\n"
    "  pop %rbp\n"
    "  ret\n"
    ".size hypercall, . - hypercall\n");
