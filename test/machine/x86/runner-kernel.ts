/**
 * As much of a kernel as it takes to receive faults: Linux's segments and gates (arch/x86/kernel/idt.c and
 * arch/x86/include/asm/segment.h), a stack, and one page table that maps them where only ring 0 sees them. The handlers
 * are addresses, 16 bytes apart, and no code.
 */
import { asPaddr } from '../../../src/base/brand.js';
import type { Memory } from '../../../src/machine/engine/memory.js';

/** Physical: four pages with tables, then GDT and TSS, IDT, stack. */
const TABLES = 0x3_0000;
const PAGES = 0x4_0000;
const PAGE = 0x1000;
const AT = 0xffff_8000_0000_0000n;

export const KERNEL = {
  /** Of the top-level entry. */
  topIndex: 256,
  gdt: AT,
  tss: AT + 0x800n,
  idt: AT + 0x1000n,
  /** Top of the stack, and where it is in memory. */
  stack: AT + 0x3000n,
  stackAt: PAGES + 0x3000,
  handlers: AT + 0x10_0000n,
} as const;
export const TSS_LIMIT = 0x67n;

const KERNEL_CS = 0x10n;
/** By index: nothing, 32-bit and 64-bit kernel code, kernel data, 32-bit user code, user data, 64-bit user code. */
const GDT = [
  0n,
  0x00cf_9b00_0000_ffffn,
  0x00af_9b00_0000_ffffn,
  0x00cf_9300_0000_ffffn,
  0x00cf_fb00_0000_ffffn,
  0x00cf_f300_0000_ffffn,
  0x00af_fb00_0000_ffffn,
];
const RSP0_IN_TSS = 4;
const IO_MAP_IN_TSS = 102;
/** Vectors that ring 3 may raise with int: breakpoint, overflow, the system call of i386. */
const FOR_USERS = new Set([3, 4, 0x80]);
const PRESENT = 0x80n;
const INTERRUPT_GATE = 0xen;
const USED = 0x63n; // present, writable, accessed, dirty; not for ring 3

/** @returns the physical address of a table for the top-level entry KERNEL.topIndex */
export function mapKernel(memory: Memory): number {
  const put = (at: number, value: bigint): void => memory.hostStore(asPaddr(at), 8, value);
  put(TABLES, BigInt(TABLES + PAGE) | USED);
  put(TABLES + PAGE, BigInt(TABLES + 2 * PAGE) | USED);
  for (let n = 0; n < 3; n++) put(TABLES + 2 * PAGE + 8 * n, BigInt(PAGES + n * PAGE) | USED);

  GDT.forEach((descriptor, n) => put(PAGES + 8 * n, descriptor));
  const tss = PAGES + Number(KERNEL.tss - AT);
  put(tss + RSP0_IN_TSS, KERNEL.stack);
  memory.hostStore(asPaddr(tss + IO_MAP_IN_TSS), 2, TSS_LIMIT + 1n); // behind the end: no port is allowed
  for (let vector = 0; vector < 256; vector++) {
    const handler = KERNEL.handlers + BigInt(16 * vector);
    const rights = PRESENT | (FOR_USERS.has(vector) ? 0x60n : 0n) | INTERRUPT_GATE;
    const low = (handler & 0xffffn) | (KERNEL_CS << 16n) | (rights << 40n) | (((handler >> 16n) & 0xffffn) << 48n);
    const at = PAGES + Number(KERNEL.idt - AT) + 16 * vector;
    put(at, BigInt.asUintN(64, low));
    put(at + 8, handler >> 32n);
  }
  return TABLES;
}
