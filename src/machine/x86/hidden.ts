/**
 * Processor state that is in no register of isa/x86_64.ts. It lives behind the registers, in the page that the engine
 * leaves to the processor, so that a checkpoint has all of it:
 *
 *   0x1000  xmm0 ... xmm15, 16 bytes each
 *   0x1100  x87 registers by physical number, 10 bytes each in 16
 *   0x1180  what fxsave saves of the x87 unit besides fcw and fsw
 *   0x1200  the parts of descriptors that segment registers remember
 *   0x1280  model-specific registers without a number of their own, and what the interrupt logic remembers
 */

import { VECTOR_STATE } from '../engine/layout.js';
import type { Memory } from '../engine/memory.js';

export const XMM_AT = VECTOR_STATE;
export const X87_AT = VECTOR_STATE + 0x100;

/** u64 words. */
export const HIDDEN_STATE = {
  /** Abridged tag word: bit n is set when physical register n holds something (SDM 1, 10.5.1.1). */
  ftw: VECTOR_STATE + 0x180,
  /** Last opcode, instruction pointer and data pointer of the x87 unit. */
  fop: VECTOR_STATE + 0x188,
  fip: VECTOR_STATE + 0x190,
  fdp: VECTOR_STATE + 0x198,
  /** Where the LDT and the TSS are, and their last byte; both 0 when there is none. */
  ldtrBase: VECTOR_STATE + 0x200,
  ldtrLimit: VECTOR_STATE + 0x208,
  trBase: VECTOR_STATE + 0x210,
  trLimit: VECTOR_STATE + 0x218,
  /** Per data segment register, in encoding order es ... gs: 1 + the DPL of the descriptor it was loaded from, 0 for none. */
  segmentDpl: VECTOR_STATE + 0x220,
  /** IA32_PAT, IA32_MISC_ENABLE, IA32_BIOS_SIGN_ID; what the time stamp counter is ahead of ticks. */
  pat: VECTOR_STATE + 0x280,
  miscEnable: VECTOR_STATE + 0x288,
  biosSignature: VECTOR_STATE + 0x290,
  tscOffset: VECTOR_STATE + 0x298,
  /** 1 + the ticks at which interrupts are held off behind sti or mov ss, 0 for none; and whether #DB is held off too. */
  shadow: VECTOR_STATE + 0x2a0,
  shadowsDebug: VECTOR_STATE + 0x2a8,
} as const;

/** Reads and writes the words above. */
export class Hidden {
  private readonly view: DataView;

  constructor(memory: Memory) {
    this.view = memory.view;
  }
  get(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
  set(at: number, value: bigint): void {
    this.view.setBigUint64(at, BigInt.asUintN(64, value), true);
  }
}
