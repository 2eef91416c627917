/**
 * Bytes of an instruction from a draft:  [segment] [67] [66] [F2 F3] [F0]  [REX]  opcode  [modrm [sib] [disp]]
 * [immediate] (SDM volume 2, chapter 2). A rip-relative displacement counts from the end of the instruction, so its
 * length comes first.
 */

/** @typedef {import('./draft.mjs').Draft} Draft */
/** @typedef {import('./draft.mjs').Address} Address */

/**
 * @param {Draft} d with every operand chosen; `address.disp` of a rip-relative operand is the linear address wanted
 * @param {number[]} immediate its bytes
 * @returns {Uint8Array}
 */
export function encode(d, immediate) {
  const { form } = d;
  const usesG = form.operands.some(o => /[GSVP]/.test(o[0] ?? ''));
  const usesZ = form.operands.some(o => o[0] === 'Z');
  const reg = form.digit >= 0 ? form.digit : usesG ? d.g : 0;
  const base = d.address ? (d.address.base === 16 ? 0 : Math.max(0, d.address.base)) : usesZ ? d.z : d.rm;
  const index = Math.max(0, d.address?.index ?? 0);

  let rex = 0;
  if (form.size === 8 && (!form.options.d64 || form.options.w)) rex |= 0x48;
  if (reg & 8) rex |= 0x44;
  if (index & 8) rex |= 0x42;
  if (base & 8) rex |= 0x41;
  if (!d.noRex && needsRexForByte(d)) rex |= 0x40;

  /** @type {number[]} */
  const out = [];
  if (d.segment === 4) out.push(0x64);
  if (d.segment === 5) out.push(0x65);
  if (d.address32) out.push(0x67);
  if (form.size === 2) out.push(0x66);
  if (form.lock) out.push(0xf0);
  if (form.options.prefix) out.push(form.options.prefix);
  if (rex) out.push(rex);
  const last = form.opcode.length - 1;
  out.push(...form.opcode.slice(0, last), (form.opcode[last] ?? 0) + (usesZ ? d.z & 7 : 0));
  if (form.options.tail) out.push(...form.options.tail);
  if (form.rm === 'reg') out.push(0xc0 | ((reg & 7) << 3) | (d.rm & 7));
  else if (d.address) pushAddress(out, reg & 7, d.address, d.rip, immediate.length);
  out.push(...immediate);
  return Uint8Array.from(out);
}

/** Without REX, byte registers 4-7 would be ah to bh (SDM volume 2, 2.2.1.2). @param {Draft} d @returns {boolean} */
function needsRexForByte(d) {
  const { operands, rm } = d.form;
  const low = (/** @type {number} */ n) => n >= 4 && n <= 7;
  return (
    (operands.includes('Gb') && low(d.g)) ||
    (operands.includes('Zb') && low(d.z)) ||
    (operands.includes('Eb') && rm === 'reg' && low(d.rm))
  );
}

/**
 * @param {number[]} out @param {number} reg @param {Address} a @param {number} rip
 * @param {number} after bytes behind
 */
function pushAddress(out, reg, a, rip, after) {
  const modrm = (/** @type {number} */ mod, /** @type {number} */ rm) => out.push((mod << 6) | (reg << 3) | rm);
  if (a.base === 16) {
    modrm(0, 5);
    pushInteger(out, a.disp - BigInt(rip + out.length + 4 + after), 4);
    return;
  }
  const mod = a.base < 0 ? 0 : a.dispBytes === 0 ? 0 : a.dispBytes === 1 ? 1 : 2;
  const ss = Math.log2(a.scale);
  if (a.base < 0 || a.index >= 0 || (a.base & 7) === 4) {
    modrm(mod, 4);
    out.push((ss << 6) | ((a.index < 0 ? 4 : a.index & 7) << 3) | (a.base < 0 ? 5 : a.base & 7));
  } else modrm(mod, a.base & 7);
  pushInteger(out, a.disp, a.base < 0 ? 4 : a.dispBytes);
}

/** @param {number[]} out @param {bigint} value @param {number} bytes */
export function pushInteger(out, value, bytes) {
  for (let i = 0; i < bytes; i++) out.push(Number((value >> BigInt(i * 8)) & 0xffn));
}
