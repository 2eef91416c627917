/*
 * One image for three worlds. `native_start` is the entry of an ordinary Linux process. `pvh_start` is where QEMU's
 * -kernel begins (PVH: 32-bit, flat, no paging, ebx = start info; xen/include/public/arch-x86/hvm/start_info.h): it maps
 * 64 MiB one to one in pages of 4 KiB and goes to 64-bit mode. Ours calls `entry` itself, under the same tables.
 */
#define PAGES_MAPPED 16384

    .section .note.pvh, "a", @note
    .long 4, 4, 18                      /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_start

    .text
    .globl native_start
native_start:
    mov %rsp, %rdi
    lea stack_top(%rip), %rsp
    call native_main
    ud2

    .code32
pvh_start:
    cld
    mov $stack_top, %esp
    mov %ebx, %esi
    mov $tables_4k, %edi                /* last level: 32 tables */
    mov $3, %eax
    mov $PAGES_MAPPED, %ecx
1:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    loop 1b
    mov $table_2m, %edi
    mov $tables_4k + 3, %eax
    mov $(PAGES_MAPPED / 512), %ecx
2:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    loop 2b
    movl $table_2m + 3, table_1g
    movl $table_1g + 3, table_root
    mov $0x620, %eax                    /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $table_root, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx               /* EFER.LME */
    rdmsr
    or $0x100, %eax
    wrmsr
    mov $0x80010023, %eax               /* PG, WP, NE, MP, PE */
    mov %eax, %cr0
    lgdt descriptors_pointer
    ljmp $8, $3f
    .code64
3:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %esi, %edi
    call bare_main
4:  hlt
    jmp 4b

    .section .rodata
    .balign 8
descriptors:
    .quad 0, 0x00209a0000000000, 0x0000920000000000
descriptors_pointer:
    .word 23
    .long descriptors

    .bss
    .balign 4096
table_root: .skip 4096
table_1g:   .skip 4096
table_2m:   .skip 4096
tables_4k:  .skip 8 * PAGES_MAPPED
    .skip 65536
    .globl stack_top
stack_top:
