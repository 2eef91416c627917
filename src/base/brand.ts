/**
 * Address kinds are types. A frame number is no address, a physical address no virtual one, and an event number no
 * count of ticks: mixing them up is the classic error of this field, so the compiler refuses it. Conversions live in
 * this file and nowhere else.
 */
declare const brand: unique symbol;
export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A frame number in its space (machine frame for guest tables under Xen, host frame for shadow tables); u32. */
export type Frame = Brand<number, 'frame'>;
/** A byte address in the physical memory of a space; exact in a number (below 2^52). */
export type Paddr = Brand<number, 'paddr'>;
/** A virtual byte address, canonical form, u64. */
export type Vaddr = Brand<bigint, 'vaddr'>;
/** Number of an event in a recording, from 0. */
export type Seq = Brand<number, 'seq'>;
/** Time: retired instructions plus skipped idle time; exact in a number (below 2^53). */
export type Ticks = Brand<number, 'ticks'>;

export const PAGE_BYTES = 4096;
export const PAGE_SHIFT = 12;

export const asFrame = (n: number): Frame => n as Frame;
export const asPaddr = (n: number): Paddr => n as Paddr;
export const asSeq = (n: number): Seq => n as Seq;
export const asTicks = (n: number): Ticks => n as Ticks;
/** The low 64 bits of n, as a virtual address. */
export const asVaddr = (n: bigint): Vaddr => BigInt.asUintN(64, n) as Vaddr;

/** The byte address of `offset` bytes into `frame`; an offset may reach past the frame (16 KiB tables). */
export const paddrOf = (frame: Frame, offset = 0): Paddr => (frame * PAGE_BYTES + offset) as Paddr;
export const frameOf = (at: Paddr): Frame => Math.floor(at / PAGE_BYTES) as Frame;
export const offsetOf = (at: Paddr): number => at % PAGE_BYTES;
