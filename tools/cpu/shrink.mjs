/** Makes a failing case small: as few registers, flags and memory bytes as still fail in the same way. */
import { BASE_FLAGS, FX } from './layout.mjs';

/** @typedef {import('./layout.mjs').Case} Case */

/** How much there is in a case: what shrinking lowers. @param {Case} c @returns {number} */
export function weight(c) {
  let n = 0;
  for (const value of c.gpr) for (let v = value; v; v &= v - 1n) n++;
  for (let v = c.rflags & ~BASE_FLAGS; v; v &= v - 1n) n++;
  if (c.fx) n += c.fx.filter(byte => byte).length;
  for (const { bytes } of c.patches) n += 64 + bytes.filter(byte => byte).length;
  return n;
}

/** Cases that are a step smaller, the largest steps first. @param {Case} c @returns {Case[]} */
export function smaller(c) {
  /** @type {Case[]} */
  const out = [];
  const gpr = (/** @type {number} */ n, /** @type {bigint} */ value) => out.push({ ...c, gpr: c.gpr.with(n, value) });
  c.patches.forEach((_, i) => out.push({ ...c, patches: c.patches.toSpliced(i, 1) }));
  c.gpr.forEach((_, n) => gpr(n, 0n));
  c.gpr.forEach((value, n) => {
    gpr(n, 1n);
    for (const bits of [8, 16, 32]) {
      gpr(n, BigInt.asUintN(bits, value));
      gpr(n, (value >> BigInt(bits)) << BigInt(bits));
    }
  });
  for (let bit = 0n; bit < 16n; bit++)
    if (((c.rflags & ~BASE_FLAGS) >> bit) & 1n) out.push({ ...c, rflags: c.rflags & ~(1n << bit) });
  c.patches.forEach((patch, i) => {
    patch.bytes.forEach((byte, at) => {
      if (byte) out.push({ ...c, patches: c.patches.with(i, { ...patch, bytes: patch.bytes.with(at, 0) }) });
    });
  });
  const { fx } = c;
  if (fx) {
    for (let at = FX.st; at < fx.length; at += 16)
      out.push({ ...c, fx: Uint8Array.from(fx, (byte, i) => (i >= at && i < at + 16 ? 0 : byte)) });
    fx.forEach((byte, at) => {
      if (byte && (at < FX.mxcsr || at >= FX.st)) out.push({ ...c, fx: fx.with(at, 0) });
    });
  }
  return out.filter(s => weight(s) < weight(c));
}

/**
 * @param {Case} c a case that fails
 * @param {(cases: Case[]) => boolean[]} fails which of these fail in the same way
 * @returns {Case} one that fails and of which no step smaller does
 */
export function shrink(c, fails) {
  for (;;) {
    const candidates = smaller(c);
    const found = candidates.length ? fails(candidates).indexOf(true) : -1;
    if (found < 0) return c;
    c = /** @type {Case} */ (candidates[found]);
  }
}
