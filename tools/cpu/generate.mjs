/** Seeded cases of an instruction form. The same form, seed and number give the same case. */
import { Draft, RSP } from './draft.mjs';
import { encode, pushInteger } from './encode.mjs';
import { chooseMxcsr, vectorValue } from './floats.mjs';
import { CODE, caseSeed, FS_BASE, FX, GS_BASE, PAGE, STEP } from './layout.mjs';
import { SETUPS } from './setups.mjs';

/** @typedef {import('./forms.mjs').Form} Form */
/** @typedef {import('./layout.mjs').Case} Case */
/** @typedef {import('./draft.mjs').Address} Address */
/**
 * A case and what the generator knows about it.
 * @typedef {{ case: Case, form: Form, seed: number, g: number, rm: number }} Made
 */

const INDEXES = [0n, 1n, 2n, 3n, 8n, 0x10n, 0x1000n, -1n, -2n, -8n, -0x100n];
const DISPLACEMENTS = [0n, 1n, 4n, 8n, 0x80n, 0x100n, 0x1234n, 0x7fff_ffffn, -0x8000_0000n, -0x81n, -0x1000n];
/**
 * Operand bytes by the letter behind E, G, Z, M, O, I; v and the rest are the operand size.
 * @type {Record<string, number>}
 */
const WIDTH = { b: 1, w: 2, d: 4, q: 8, o: 16, t: 10, e: 28, f: 108, x: 512, 8: 8, 16: 16 };

/** @param {Form} form @param {number} seed of the whole run @param {number} n @returns {Made} */
export function makeCase(form, seed, n) {
  const own = caseSeed(seed, form.id, n);
  const d = new Draft(form, own);
  const setup = form.options.setup ? SETUPS[form.options.setup] : undefined;
  setup?.before?.(d);
  chooseOperands(d);
  setup?.after?.(d);
  const immediate = immediateBytes(d);
  let code = encode(d, immediate);
  if (d.mode === STEP && form.family !== 'fetch' && d.random.chance(4)) {
    d.rip = CODE + PAGE - code.length; // the next instruction would be on a page that is not there
    code = encode(d, immediate);
  }
  /** @type {Case} */
  const made = {
    form: form.id,
    code,
    rip: BigInt(d.rip),
    gpr: d.gpr,
    rflags: d.rflags,
    patches: d.patches,
    mode: d.mode,
  };
  if (d.fx) made.fx = d.fx;
  return { case: made, form, seed: own, g: d.g, rm: d.rm };
}

/** @param {string} operand @param {number} size @returns {number} bytes */
function widthOf(operand, size) {
  return WIDTH[operand.slice(1)] ?? size;
}

/** @param {Draft} d */
function chooseOperands(d) {
  const { form } = d;
  const memory = form.operands.find(o => (form.rm === 'mem' && /[EMWQ]/.test(o[0] ?? '')) || o[0] === 'O');
  const chooseG = () => {
    const operand = form.operands.find(o => o[0] === 'G');
    if (form.operands.includes('Sw')) d.g = d.random.below(6);
    if (!operand) return;
    d.g = chooseRegister(d, widthOf(operand, form.size));
  };
  if (form.options.bitOffset) chooseG(); // its value moves the address
  if (memory) {
    const bytes = form.options.noAccess ? 8 : widthOf(memory, form.size);
    let linear = d.target(bytes);
    if (form.op === 'cmpxchg16b' && d.random.chance(85)) linear &= ~0xfn;
    if (form.options.aligned && d.random.chance(85)) linear &= ~0xfn;
    d.linear = linear;
    if (memory[0] === 'O') chooseOffset(d);
    else chooseAddress(d, linear - bitOffsetBytes(d));
    if (!form.options.values && d.random.chance(60)) d.patchValue(linear, d.value(bytes), Math.min(bytes, 16));
  }
  if (!form.options.bitOffset) chooseG();
  for (const o of form.operands) {
    if (o[0] === 'E' && form.rm === 'reg') d.rm = chooseRegister(d, widthOf(o, form.size));
    if (o[0] === 'Z') d.z = chooseRegister(d, widthOf(o, form.size));
    if (o === 'AX' || o === 'AL') setRegister(d, 0, o === 'AL' ? 1 : form.size, false);
  }
  chooseVectors(d);
}

/** xmm registers, mxcsr, and memory that they meet. @param {Draft} d */
function chooseVectors(d) {
  const { form } = d;
  if (form.options.mxcsr) chooseMxcsr(d);
  /** @type {bigint | undefined} */
  let other;
  for (const o of form.operands) {
    const inMemory = form.rm === 'mem' && /[WM]/.test(o[0] ?? '');
    const isVector = !inMemory && /[VUW]/.test(o[0] ?? '');
    if (o[0] === 'V') d.g = d.random.below(16);
    else if (isVector) d.rm = d.random.below(16);
    if (!form.options.values || !(inMemory || isVector)) continue;
    const value = vectorValue(d, other);
    other = value;
    if (inMemory) d.patchValue(d.linear ?? 0n, value, widthOf(o, form.size));
    else setVector(d, o[0] === 'V' ? d.g : d.rm, value);
  }
}
/** @param {Draft} d @param {number} reg @param {bigint} value sixteen bytes */
function setVector(d, reg, value) {
  const bytes = Array.from({ length: 16 }, (_, i) => Number((value >> BigInt(i * 8)) & 0xffn));
  d.fx?.set(bytes, FX.xmm + reg * 16);
}

/**
 * Any register; it gets an edge value unless another operand needs it as it is.
 * @param {Draft} d @param {number} bytes @returns {number} as in modrm
 */
function chooseRegister(d, bytes) {
  const n = d.random.below(d.noRex ? 8 : 16);
  const high = bytes === 1 && d.noRex && n >= 4;
  setRegister(d, high ? n - 4 : n, bytes, high);
  return n;
}

/** @param {Draft} d @param {number} reg @param {number} bytes @param {boolean} high */
function setRegister(d, reg, bytes, high) {
  if (d.pinned.has(reg) || !d.random.chance(65)) return;
  if (high) d.setLow(reg, (d.value(1) << 8n) | ((d.gpr[reg] ?? 0n) & 0xffn), 2);
  else d.setLow(reg, d.value(bytes), bytes);
}

/**
 * How far a bit offset in a register moves a memory operand (SDM volume 2, BT; 3.1.1.9).
 * @param {Draft} d @returns {bigint} bytes
 */
function bitOffsetBytes(d) {
  if (!d.form.options.bitOffset) return 0n;
  const bits = d.form.size * 8;
  const offset = BigInt.asIntN(bits, d.gpr[d.g] ?? 0n);
  return (offset >> BigInt(Math.log2(bits))) * BigInt(d.form.size);
}

/** moffs: the address is the immediate; only a segment can be added. @param {Draft} d */
function chooseOffset(d) {
  if (d.random.chance(10)) d.segment = d.random.pick([4, 5]);
  const at = (d.linear ?? 0n) - segmentBase(d);
  d.address32 = at >= 0n && at >> 32n === 0n && d.random.chance(15);
  d.displacement = at;
}

/** @param {Draft} d @returns {bigint} */
function segmentBase(d) {
  return d.segment === 4 ? FS_BASE : d.segment === 5 ? GS_BASE : 0n;
}

/** Finds registers and displacement that lead to a linear address. @param {Draft} d @param {bigint} linear */
function chooseAddress(d, linear) {
  const r = d.random;
  if (r.chance(9)) d.segment = r.pick([4, 5]);
  let at = BigInt.asUintN(64, linear - segmentBase(d));
  d.address32 = at >> 32n === 0n && r.chance(6);
  const signed = BigInt.asIntN(64, at);
  const near = signed === BigInt.asIntN(32, signed);
  const bits = d.address32 ? 32 : 64;
  const dice = r.below(100);
  if (d.form.operands[0] !== 'M' && d.pinned.has(RSP) && dice < 20) {
    // From the stack pointer; pop computes its address after it moved rsp (SDM volume 2, POP).
    const rsp = (d.gpr[RSP] ?? 0n) + (d.form.op === 'pop' ? BigInt(d.form.size) : 0n);
    const disp = BigInt.asIntN(64, at - rsp);
    if (!d.address32 && disp === BigInt.asIntN(32, disp)) {
      d.address = { base: RSP, index: -1, scale: 1, disp, dispBytes: 4 };
      return;
    }
  }
  if (near && dice < 8 && BigInt.asIntN(33, at) > 0n && at < 0x8000_0000n) {
    d.address = { base: 16, index: -1, scale: 1, disp: at, dispBytes: 4 };
    return;
  }
  if (near && dice < 14) {
    d.address = { base: -1, index: -1, scale: 1, disp: signed, dispBytes: 4 };
    return;
  }
  /** @type {Address} */
  const a = { base: -1, index: -1, scale: 1, disp: 0n, dispBytes: 0 };
  const dispBytes = r.pick(/** @type {const} */ ([0, 1, 1, 4]));
  if (dispBytes) a.disp = dispBytes === 1 ? BigInt(r.below(256) - 128) : r.pick(DISPLACEMENTS);
  a.dispBytes = dispBytes;
  a.base = d.free();
  if (!dispBytes && (a.base & 7) === 5) a.dispBytes = 1; // rbp and r13 always have a displacement
  if (r.chance(45)) {
    a.index = d.free([a.base, RSP]);
    a.scale = r.pick([1, 2, 4, 8]);
    if (r.chance(75)) d.pin(a.index, r.pick(INDEXES));
    else d.pinned.add(a.index);
    at -= (d.gpr[a.index] ?? 0n) * BigInt(a.scale);
  }
  const value = BigInt.asUintN(bits, at - a.disp);
  d.pin(a.base, d.address32 ? ((d.gpr[a.base] ?? 0n) & ~0xffff_ffffn) | value : value);
  d.address = a;
}

/** @param {Draft} d @returns {number[]} */
function immediateBytes(d) {
  /** @type {number[]} */
  const out = [];
  const { size } = d.form;
  for (const o of d.form.operands) {
    if (o === 'Ib') pushInteger(out, BigInt(d.immediates ? d.random.pick(d.immediates) : d.value(1)), 1);
    else if (o === 'Ibs') pushInteger(out, d.value(1), 1);
    else if (o === 'Iw') pushInteger(out, BigInt(d.words ? d.random.pick(d.words) : d.value(2)), 2);
    else if (o === 'Iz') pushInteger(out, d.value(4), Math.min(size, 4));
    else if (o === 'Iv') pushInteger(out, d.value(8), size);
    else if (o === 'Jb') pushInteger(out, BigInt(d.random.below(256)), 1);
    else if (o === 'Jz')
      pushInteger(out, BigInt(d.random.pick([0, 1, 0x100, -0x100, 0x3fff_0000, -0x3fff_0000, 0x12345])), 4);
    else if (o[0] === 'O') pushInteger(out, d.displacement, d.address32 ? 4 : 8);
  }
  return out;
}
