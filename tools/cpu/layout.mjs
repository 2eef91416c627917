/**
 * What a case is: one instruction, the state of the processor before it, and the little world it may touch. The native
 * runner (native.c), the generator, the fixtures and the emulator's adapter agree on this file and on nothing else.
 *
 *   FS_BASE  0x7ffe_1234_5670            GS_BASE  0x2000_0000
 *
 *   0x4000_0000  CODE   page, read and execute; every byte that is not the instruction is CC (int3)
 *   0x4000_1000         not mapped
 *   0x4000_f000         not mapped
 *   0x4001_0000  DATA   page, read and write
 *   0x4001_1000         page, read and write
 *   0x4001_2000  RO     page, read only
 *   0x4001_3000         not mapped
 *   0x4001_4000  LAST   page, read and write
 *   0x4001_5000         not mapped
 *
 * No data page may be executed. A data byte at address a holds background(a) unless the case patches it, so that a
 * read from a wrong address shows. A general register holds a number drawn from the case's seed unless the case
 * overrides it; this is what keeps the fixtures small.
 *
 * Ring 3, 64-bit mode, IOPL 0, no alignment checks. Segments as Linux has them: cs 33, ss 2b, the others null.
 * Interrupt gates 3 and 4 may be called from ring 3, the others not (int n is then #GP with error code n * 8 + 2).
 */

export const CODE = 0x4000_0000;
export const DATA = 0x4001_0000;
export const RO = DATA + 0x2000;
export const LAST = DATA + 0x4000;
export const PAGE = 0x1000;
/** Where the instruction usually stands. */
export const START = CODE + 0x800;
export const FS_BASE = 0x7ffe_1234_5670n;
export const GS_BASE = 0x2000_0000n;
export const CS = 0x33;
export const SS = 0x2b;
/** The mapped data pages: [address, writable]. */
export const DATA_PAGES = /** @type {const} */ ([
  [DATA, true],
  [DATA + PAGE, true],
  [RO, false],
  [LAST, true],
]);

export const FLAG = { CF: 1, PF: 4, AF: 0x10, ZF: 0x40, SF: 0x80, DF: 0x400, OF: 0x800 };
export const STATUS_FLAGS = 0x8d5;
/** Bits of rflags that are compared: all but TF and RF, which belong to whoever steps. */
export const COMPARED_FLAGS = ~0x1_0100n;
/** Interrupts enabled and the bit that is always one. */
export const BASE_FLAGS = 0x202n;

/**
 * How the runner stops after the instruction. `step`: the trap flag. `land`: it runs on into an int3, for instructions
 * that show the trap flag (pushf), would clear it (popf), or trap in each round (rep). An emulator need not care: in
 * both the result is the state after one whole instruction.
 */
export const STEP = 0;
export const LAND = 1;

/**
 * @typedef {{ addr: number, bytes: Uint8Array }} Patch Bytes of memory, at most 27.
 * @typedef {object} Case
 * @property {string} form      id of the instruction form
 * @property {Uint8Array} code  the instruction; what would lie behind the end of the CODE page is cut off
 * @property {bigint} rip
 * @property {BigUint64Array} gpr  rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15
 * @property {bigint} rflags
 * @property {Patch[]} patches  memory that differs from the background; at most 8, applied in order
 * @property {0 | 1} mode       STEP or LAND
 * @property {Uint8Array=} fx   the first 416 bytes of an fxsave image (x87, mxcsr, xmm0-15); absent for integer forms
 *
 * @typedef {object} Fault      or trap
 * @property {number} vector
 * @property {number} error     error code, 0 where the vector has none
 * @property {bigint} cr2       0 unless the vector is 14
 *
 * @typedef {object} Result
 * @property {BigUint64Array} gpr
 * @property {bigint} rip       of the next instruction; for a fault as saved in the trap frame
 * @property {bigint} rflags    without TF and RF
 * @property {Fault=} fault
 * @property {Patch[]} writes   memory that changed, by ascending address; bytes in between may be unchanged ones
 * @property {Uint8Array=} fx
 */

/** A small generator of 32-bit numbers (an xorshift-multiply over a Weyl sequence); the same everywhere. */
export class Random {
  /** @param {number} seed */
  constructor(seed) {
    this.state = seed >>> 0;
  }
  /** @returns {number} 0 to 2^32-1 */
  u32() {
    this.state = (this.state + 0x9e37_79b9) >>> 0;
    let x = this.state;
    x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
    return (x ^ (x >>> 16)) >>> 0;
  }
  /** @param {number} n @returns {number} 0 to n-1 */
  below(n) {
    return this.u32() % n;
  }
  /** @param {number} percent @returns {boolean} */
  chance(percent) {
    return this.below(100) < percent;
  }
  /** @template T @param {readonly T[]} list @returns {T} */
  pick(list) {
    return /** @type {T} */ (list[this.below(list.length)]);
  }
  /** @returns {bigint} 0 to 2^64-1 */
  u64() {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
}

/** A seed for case `n` of a form. @param {number} seed @param {string} form @param {number} n @returns {number} */
export function caseSeed(seed, form, n) {
  let hash = (0x811c_9dc5 ^ seed) >>> 0;
  for (let i = 0; i < form.length; i++) hash = Math.imul(hash ^ form.charCodeAt(i), 0x0100_0193) >>> 0;
  return (hash + Math.imul(n, 0x632b_e5ab)) >>> 0;
}

/** The registers of a case before its overrides. @param {number} seed @returns {BigUint64Array} */
export function backgroundRegisters(seed) {
  const random = new Random(seed ^ 0x5eed_0000);
  const gpr = new BigUint64Array(16);
  const words = new Uint32Array(gpr.buffer);
  for (let i = 0; i < 32; i++) words[i] = random.u32();
  return gpr;
}

/** Bytes of an fxsave image that a case has: x87, mxcsr, xmm0 ... xmm15. */
export const FX_BYTES = 416;
/** Where its parts are (SDM 2A, FXSAVE). */
export const FX = { fcw: 0, fsw: 2, ftw: 4, fop: 6, fip: 8, fdp: 16, mxcsr: 24, mxcsrMask: 28, st: 32, xmm: 160 };

/**
 * The fxsave image of a case before its overrides: an x87 unit after fninit (its registers are empty, but hold numbers), random
 * xmm registers, mxcsr after reset.
 * @param {number} seed @returns {Uint8Array}
 */
export function backgroundFx(seed) {
  const random = new Random(seed ^ 0x0f00_0000);
  const image = new Uint8Array(FX_BYTES);
  const view = new DataView(image.buffer);
  view.setUint16(FX.fcw, 0x37f, true);
  view.setUint32(FX.mxcsr, 0x1f80, true);
  for (let at = FX.st; at < FX.xmm; at += 16) {
    view.setBigUint64(at, random.u64() | (1n << 63n), true);
    view.setUint16(at + 8, (0x3ff0 + random.below(32)) | (random.below(2) << 15), true);
  }
  for (let at = FX.xmm; at < FX_BYTES; at += 4) view.setUint32(at, random.u32(), true);
  return image;
}

/** The byte at a data address before the patches. @param {number} addr @returns {number} */
export function backgroundByte(addr) {
  return ((addr * 167) ^ (addr >> 7)) & 0xff;
}

/** The data region (DATA to LAST + PAGE) before the patches; what is not mapped is filled all the same. */
export const BACKGROUND = Uint8Array.from({ length: LAST + PAGE - DATA }, (_, i) => backgroundByte(DATA + i));

/** @param {Case} c @returns {Uint8Array} the data region as the case begins */
export function memoryOf(c) {
  const memory = BACKGROUND.slice();
  for (const { addr, bytes } of c.patches) memory.set(bytes, addr - DATA);
  return memory;
}
