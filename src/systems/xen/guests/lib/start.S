/*
 * The first instruction, the notes that tell the domain builder what this image is, and the ways in and out of the
 * kernel.
 */
        .file   "start.S"                               /* else a symbol is named after a temporary file */

/* ELF notes (public/elfnote.h): name and description lengths, type, name, description, padded to four bytes */
#define NOTE_STRING(owner, type, text) \
        .long 2f - 1f, 4f - 3f, type; 1: .asciz owner; 2: .balign 4; 3: .asciz text; 4: .balign 4
#define NOTE_QUAD(owner, type, value) \
        .long 2f - 1f, 8, type; 1: .asciz owner; 2: .balign 4; .quad value

        .section .note.Xen, "a"
        NOTE_QUAD("Xen", 1, _start)                     /* ENTRY */
        NOTE_QUAD("Xen", 3, 0xffffffff80000000)         /* VIRT_BASE */
        NOTE_QUAD("Xen", 4, 0)                          /* PADDR_OFFSET: physical addresses are pseudo-physical */
        NOTE_STRING("Xen", 5, "xen-3.0")                /* XEN_VERSION */
        NOTE_STRING("Xen", 6, "rewalk")                 /* GUEST_OS */
        NOTE_STRING("Xen", 8, "generic")                /* LOADER */
        NOTE_STRING("Xen", 9, "yes")                    /* PAE_MODE */
        .section .note.rewalk, "a"
        NOTE_STRING("rewalk", 1, "xen-4.1")             /* the Xen of the stories: its messages and type words */

        .section .head, "ax"
        .globl _start
        .type _start, @function
_start: cld                                             /* rsi: start_info, rsp: top of the boot stack */
        xor     %ebp, %ebp
        mov     %rsi, %rdi
        mov     %rsp, %rsi
        call    start_kernel
        ud2
        .size _start, . - _start

/*
 * Where Xen enters the kernel. It has switched to the kernel's stack and built this there ("bounce frame"):
 *
 *     rsp -> rcx | r11 | [error] | rip | cs | rflags | rsp | ss
 *
 * cs & 3 is 0 if the kernel was interrupted, 3 if user code was: both run in ring 3, so this is Xen's word, not the
 * processor's. Every entry leaves the same struct trap_frame.
 */
        .macro TRAP name vector has_error
        .globl  trap_\name
        .type   trap_\name, @function
trap_\name:
        pop     %rcx
        pop     %r11
        .if     \has_error == 0
        push    $0
        .endif
        push    $\vector
        jmp     trap_entry
        .size   trap_\name, . - trap_\name
        .endm

        .text
        TRAP    divide_error, 0, 0
        TRAP    debug, 1, 0
        TRAP    int3, 3, 0
        TRAP    invalid_op, 6, 0
        TRAP    general_protection, 13, 1
        TRAP    page_fault, 14, 1
        TRAP    syscall, 256, 0
        TRAP    event, 257, 0
        TRAP    failsafe, 258, 0

        .type   trap_entry, @function
trap_entry:
        push    %rax
        push    %rbx
        push    %rcx
        push    %rdx
        push    %rsi
        push    %rdi
        push    %rbp
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        testb   $3, 144(%rsp)                           /* cs */
        jz      1f
        xor     %ebp, %ebp                              /* from user code: the kernel's call stack ends here */
1:      mov     %rsp, %rdi
        call    trap
        nop                                             /* the return address still lies in this function */
trap_return:                                            /* rsp: a struct trap_frame */
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rbp
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rbx
        pop     %rax
        add     $16, %rsp                               /* vector, error */
/* The iret hypercall: rax | r11 | rcx | flags | rip | cs | rflags | rsp | ss (struct iret_context). */
        push    $0
        push    %rcx
        push    %r11
        push    %rax
        mov     $23, %eax
        syscall
        ud2
        .size   trap_entry, . - trap_entry

/* void return_to_user(struct trap_frame *): leaves the kernel for the first time, as if from a system call. */
        .globl  return_to_user
        .type   return_to_user, @function
return_to_user:
        mov     %rdi, %rsp
        jmp     trap_return
        .size   return_to_user, . - return_to_user
        .section .note.GNU-stack, "", @progbits
