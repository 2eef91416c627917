/* Hypercalls through the page that Xen fills because of the note HYPERCALL_PAGE: stub n is at 32 * n. */
#pragma once
__asm__(
    ".pushsection .note.Xen, \"a\"\n"
    "  .long 4, 8, 2\n" /* XEN_ELFNOTE_HYPERCALL_PAGE */
    "  .asciz \"Xen\"\n"
    "  .quad hypercall_page\n"
    ".popsection\n"
    ".pushsection .text.hypercall_page, \"ax\"\n"
    ".balign 4096\n"
    ".globl hypercall_page\n"
    ".type hypercall_page, @function\n"
    "hypercall_page: .skip 4096, 0xcc\n"
    ".size hypercall_page, 4096\n"
    ".popsection\n"
    ".globl hypercall\n"
    ".type hypercall, @function\n"
    "hypercall:\n"
    "  push %rbp\n"
    "  mov %rsp, %rbp\n"
    "  mov %rcx, %r10\n"
    "  shl $5, %r9\n"
    "  lea hypercall_page(%r9), %rax\n"
    "  call *%rax\n"
    "  pop %rbp\n"
    "  ret\n"
    ".size hypercall, . - hypercall\n");
