/**
 * The image that fxsave writes and fxrstor reads: all of the x87, MMX and SSE state. Where the state lives between them
 * is in hidden.ts; fcw, fsw and mxcsr are registers. SDM 1, 10.5; SDM 2A, FXSAVE.
 *
 *     0 fcw   2 fsw   4 ftw (abridged)   6 fop   8 fip   16 fdp   24 mxcsr   28 mxcsr mask
 *    32 st0 ... st7, 10 bytes and 6 zeros each         160 xmm0 ... xmm15          416 not written, not read
 *
 * With REX.W fip and fdp are 64-bit offsets. Without: 32-bit offsets, and selectors, which are 0 as on processors that
 * keep none.
 */
import { REG } from '../../isa/x86_64.js';
import { ACCESS, type Access } from '../engine/fault.js';
import type { Cpu } from './cpu.js';
import { HIDDEN_STATE, XMM_AT } from './hidden.js';
import type { Insn } from './insn.js';
import { memoryAt } from './operands.js';
import type { Family } from './semantics.js';
import { invalid } from './system-control.js';
import { FCW_BITS, FCW_FIXED, needState, physicalAt, summarized } from './x87-state.js';

/** Bytes of the image that mean something. */
const IMAGE_BYTES = 416;
/** Bytes it takes with those that are left alone. */
const AREA_BYTES = 512;
const ST = 32;
const XMM = 160;
/** Bits of mxcsr that exist; DAZ does (SDM 1, 10.2.3). */
export const MXCSR_MASK = 0xffff;

/** The state, as fxsave with REX.W writes it. */
export function imageOf(cpu: Cpu): Uint8Array {
  const { hidden } = cpu;
  const image = new Uint8Array(IMAGE_BYTES);
  const view = new DataView(image.buffer);
  const fsw = cpu.get(REG.fsw!);
  view.setUint16(0, Number(cpu.get(REG.fcw!)), true);
  view.setUint16(2, Number(fsw), true);
  view.setUint8(4, Number(hidden.get(HIDDEN_STATE.ftw)));
  view.setUint16(6, Number(hidden.get(HIDDEN_STATE.fop)), true);
  view.setBigUint64(8, hidden.get(HIDDEN_STATE.fip), true);
  view.setBigUint64(16, hidden.get(HIDDEN_STATE.fdp), true);
  view.setUint32(24, Number(cpu.get(REG.mxcsr!)), true);
  view.setUint32(28, MXCSR_MASK, true);
  for (let n = 0; n < 8; n++) {
    view.setBigUint64(ST + 16 * n, hidden.get(physicalAt(fsw, n)), true);
    view.setUint16(ST + 16 * n + 8, Number(hidden.get(physicalAt(fsw, n) + 8)), true);
  }
  for (let n = 0; n < 32; n++) view.setBigUint64(XMM + 8 * n, hidden.get(XMM_AT + 8 * n), true);
  return image;
}
/** Makes `image` the state. mxcsr is taken as it is. */
export function loadImage(cpu: Cpu, image: Uint8Array): void {
  const { hidden } = cpu;
  const view = new DataView(image.buffer, image.byteOffset, IMAGE_BYTES);
  const fcw = (BigInt(view.getUint16(0, true)) & FCW_BITS) | FCW_FIXED;
  const fsw = summarized(BigInt(view.getUint16(2, true)), fcw);
  cpu.set(REG.fcw!, fcw);
  cpu.set(REG.fsw!, fsw);
  cpu.set(REG.mxcsr!, BigInt(view.getUint32(24, true)));
  hidden.set(HIDDEN_STATE.ftw, BigInt(view.getUint8(4)));
  hidden.set(HIDDEN_STATE.fop, BigInt(view.getUint16(6, true) & 0x7ff));
  // The unit holds canonical pointers only: bit 47 is that of all above.
  hidden.set(HIDDEN_STATE.fip, BigInt.asIntN(48, view.getBigUint64(8, true)));
  hidden.set(HIDDEN_STATE.fdp, BigInt.asIntN(48, view.getBigUint64(16, true)));
  for (let n = 0; n < 8; n++) {
    hidden.set(physicalAt(fsw, n), view.getBigUint64(ST + 16 * n, true));
    hidden.set(physicalAt(fsw, n) + 8, BigInt(view.getUint16(ST + 16 * n + 8, true)));
  }
  for (let n = 0; n < 32; n++) hidden.set(XMM_AT + 8 * n, view.getBigUint64(XMM + 8 * n, true));
}

const plus = (at: bigint, bytes: number): bigint => BigInt.asUintN(64, at + BigInt(bytes));
/** The address of the image. Its last byte is looked at first: so an AMD EPYC, where it matters for cr2. */
function addressOf(cpu: Cpu, insn: Insn, access: Access): bigint {
  needState(cpu);
  const at = memoryAt(cpu, insn);
  if (at & 15n) throw invalid();
  cpu.load(plus(at, AREA_BYTES - 1), 1, access);
  return at;
}
/** Clears the upper half of fip and fdp where the form has 32-bit offsets. */
function narrow(image: Uint8Array, insn: Insn): Uint8Array {
  if (insn.size !== 8) for (const at of [12, 20]) image.fill(0, at, at + 4);
  return image;
}
function fxsave(cpu: Cpu, insn: Insn): undefined {
  const at = addressOf(cpu, insn, ACCESS.write);
  const view = new DataView(narrow(imageOf(cpu), insn).buffer);
  for (let n = 0; n < IMAGE_BYTES; n += 8) cpu.store(plus(at, n), 8, view.getBigUint64(n, true));
}
function fxrstor(cpu: Cpu, insn: Insn): undefined {
  const at = addressOf(cpu, insn, ACCESS.read);
  const image = new Uint8Array(IMAGE_BYTES);
  const view = new DataView(image.buffer);
  // All loads first: nothing changes when one faults.
  for (let n = 0; n < IMAGE_BYTES; n += 8) view.setBigUint64(n, cpu.load(plus(at, n), 8), true);
  if (view.getUint32(24, true) & ~MXCSR_MASK) throw invalid();
  loadImage(cpu, narrow(image, insn));
}

export const FX_FAMILY: Family = {
  system: [
    { op: 'fxsave', run: fxsave },
    { op: 'fxrstor', run: fxrstor },
  ],
};
