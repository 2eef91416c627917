/** Values of xmm registers and their memory operands: lanes at the edges of what an operation distinguishes. */

/** @typedef {import('./draft.mjs').Draft} Draft */
/** @typedef {import('./layout.mjs').Random} Random */
/** @typedef {{ bytes: 4 | 8, bias: number, fraction: number, top: bigint }} Format */

/** @type {Record<'f32' | 'f64', Format>} */
const FORMATS = {
  f32: { bytes: 4, bias: 127, fraction: 23, top: 0xffn },
  f64: { bytes: 8, bias: 1023, fraction: 52, top: 0x7ffn },
};
/** Numbers near which conversions to integers change their minds. */
const NUMBERS = [
  0.5,
  1,
  1.5,
  2,
  2.5,
  3,
  0.1,
  1 / 3,
  100,
  1e10,
  2 ** 31,
  2 ** 31 - 1,
  2 ** 31 - 0.5,
  2 ** 31 - 128,
  2 ** 31 + 0.5,
  2 ** 31 + 1,
  2 ** 32,
  2 ** 52 + 0.5,
  2 ** 53,
  2 ** 62,
  2 ** 63,
  2 ** 63 - 1024,
  2 ** 63 + 2048,
  2 ** 24,
  2 ** 24 + 1,
  16777218.5,
  0.49999999999999994,
  3.4028235677973366e38,
  3.4028234e38,
  1.1754943508222875e-38,
  1.17549431e-38,
  7.0e-46,
  1.4e-45,
];
const CODES = [0n, 1n, 2n, 0x7fn, 0x80n, 0x81n, 0xffn, 0x7fffn, 0x8000n, 0x8001n, 0xffffn];
/** Counts of shifts, as the whole low half says them. */
const COUNTS = [
  0n,
  1n,
  7n,
  15n,
  16n,
  17n,
  31n,
  32n,
  33n,
  63n,
  64n,
  65n,
  127n,
  128n,
  255n,
  256n,
  1n << 32n,
  (1n << 63n) | 3n,
];
const INTEGERS = [
  0n,
  1n,
  0xffff_ffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0x8000_0001n,
  0x100_0000n,
  0x100_0001n,
  0x1ff_ffffn,
  0x7fff_ff80n,
];

/** @param {number} n @param {Format} f @returns {bigint} */
function bitsOf(n, f) {
  const view = new DataView(new ArrayBuffer(8));
  if (f.bytes === 4) {
    view.setFloat32(0, n);
    return BigInt(view.getUint32(0));
  }
  view.setFloat64(0, n);
  return view.getBigUint64(0);
}

/** @param {Random} r @param {Format} f @returns {bigint} a fraction with few bits, many or all */
function fraction(r, f) {
  const all = (1n << BigInt(f.fraction)) - 1n;
  const any = r.u64() & all;
  switch (r.below(6)) {
    case 0:
      return 0n;
    case 1:
      return 1n;
    case 2:
      return all;
    case 3:
      return any & (all << BigInt(r.below(f.fraction)));
    default:
      return any;
  }
}

/**
 * A float; `other`, if given, is what it will meet: sums that cancel, products and quotients at the ends of the range.
 * @param {Random} r @param {Format} f @param {bigint} [other] @returns {bigint}
 */
function float(r, f, other) {
  const sign = BigInt(r.below(2)) << BigInt(f.bytes * 8 - 1);
  const make = (/** @type {bigint} */ exponent) => {
    const e = BigInt(Math.max(0, Math.min(Number(exponent), Number(f.top))));
    return sign | (e << BigInt(f.fraction)) | fraction(r, f);
  };
  const dice = r.below(100);
  if (other !== undefined && dice < 55) {
    const exponent = (other >> BigInt(f.fraction)) & f.top;
    const near = BigInt(r.below(5) - 2);
    switch (r.below(7)) {
      case 0:
        return other;
      case 1:
        return other ^ (1n << BigInt(f.bytes * 8 - 1));
      case 2:
        return make(exponent + near); //                                       sums that cancel
      case 3:
        return make(exponent + BigInt(r.below(f.fraction + 3)) * (r.chance(50) ? 1n : -1n)); // ... and that round
      case 4:
        return make(BigInt(f.bias) - exponent + near); //                      products that are tiny
      case 5:
        return make(exponent + BigInt(f.bias) - 1n + near); //                 quotients that are tiny
      default:
        return make(f.top + BigInt(f.bias) - exponent - 1n + near); //         products that are huge
    }
  }
  if (dice < 60) return sign;
  if (dice < 67) return sign | (r.chance(50) ? fraction(r, f) : 1n); //        denormal
  if (dice < 71) return make(1n); //                                           hardly normal
  if (dice < 75) return make(f.top - 1n);
  if (dice < 78) return sign | (f.top << BigInt(f.fraction)); //               infinite
  if (dice < 84) return make(f.top); //                                        mostly NaN
  if (dice < 92) return sign | bitsOf(r.pick(NUMBERS), f);
  if (dice < 97) return make(BigInt(f.bias) + BigInt(r.below(70) - 3));
  return BigInt.asUintN(f.bytes * 8, r.u64());
}

/**
 * Sixteen bytes, as one number.
 * @param {Draft} d @param {bigint} [other] the operand they will meet @returns {bigint}
 */
export function vectorValue(d, other) {
  const { random: r } = d;
  const { values } = d.form.options;
  const lanes = (/** @type {number} */ bytes, /** @type {(n: number) => bigint} */ one) => {
    let all = 0n;
    for (let n = 16 / bytes - 1; n >= 0; n--) all = (all << BigInt(bytes * 8)) | BigInt.asUintN(bytes * 8, one(n));
    return all;
  };
  if (values === 'f32' || values === 'f64') {
    const f = FORMATS[values];
    const scalar = d.form.operands.every(o => o[1] !== 'o');
    // One odd lane is enough, most of the time; lanes that say little keep the files small.
    return lanes(f.bytes, n =>
      n > 0 && (scalar || r.chance(40))
        ? bitsOf(n + 1, f)
        : float(r, f, other === undefined ? undefined : BigInt.asUintN(f.bytes * 8, other >> BigInt(n * f.bytes * 8))),
    );
  }
  if (values === 'i32') return lanes(4, () => (r.chance(70) ? r.pick(INTEGERS) : BigInt(r.u32())));
  if (values === 'count') return r.pick(COUNTS) | (r.u64() << 64n);
  if (values === 'mask') return lanes(8, () => r.pick([0n, r.u64(), -1n, 0x80n, 0x8000_0000_0000_0000n]));
  if (values === 'mxcsr') return BigInt(r.chance(15) ? r.u32() : r.below(0x10000));
  return lanes(2, () => r.pick(CODES));
}

// biome-ignore format: a list
/**
 * All masked, and nothing noted yet or (most often, as in programs) an inexact result; each rounding; FZ and DAZ.
 */
const MODES = [
  0x1f80, 0x1fa0, 0x1fa0, 0x1fa0, 0x1fa0, 0x1fa0, 0x1fbf, 0x3f80, 0x3fa0, 0x5f80, 0x5fa0, 0x7f80, 0x7fa0, 0x9f80, 0x9fa0, 0x1fc0,
  0x1fe0, 0x9fc0, 0xffc0,
];
const MASKS = 0x1f80;

/** @param {Draft} d */
export function chooseMxcsr(d) {
  const { random: r } = d;
  let mxcsr = r.pick(MODES);
  if (r.chance(15)) mxcsr &= ~MASKS | r.u32(); // what is not masked raises #XM
  if (r.chance(10)) mxcsr |= r.below(64);
  if (d.fx) new DataView(d.fx.buffer).setUint32(24, mxcsr, true);
}
