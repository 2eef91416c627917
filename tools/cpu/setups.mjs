/**
 * Implicit operands: what an instruction uses that its operands do not say. `before` runs before the operands are
 * chosen and pins registers; `after` runs when memory operand and registers are known, and may still set values.
 */
import { mapped, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from './draft.mjs';
import { maskmovqBefore, mmxAfter, mmxBefore } from './forms-mmx.mjs';
import { x87After, x87Before } from './forms-x87.mjs';
import { CODE, CS, DATA, FLAG, FS_BASE, GS_BASE, LAST, PAGE, RO, SS } from './layout.mjs';

/** @typedef {import('./draft.mjs').Draft} Draft */

const COUNTS = [
  0, 1, 1, 2, 3, 4, 7, 8, 9, 10, 15, 16, 17, 18, 23, 24, 27, 31, 32, 33, 34, 47, 48, 63, 64, 65, 127, 128, 224, 255,
];
const RET_WORDS = [0, 8, 0x10, 0xffff, 1];
const TF_AND_AC = 0x4_0100n;

/** @param {Draft} d @param {number} bytes */
const pinStack = (d, bytes) => d.pin(RSP, d.stack('push', bytes));
/** Gives an r/m operand its value. @param {Draft} d @param {bigint} value @param {number} bytes */
function setOperand(d, value, bytes) {
  if (d.linear !== undefined) d.patchValue(d.linear, value, bytes);
  else if (d.rm !== RSP) d.pin(d.rm, value);
}
/**
 * Sets a value on the stack, first thing to be popped at `index`.
 * @param {Draft} d @param {number} index @param {bigint} value @param {number} bytes
 */
const onStack = (d, index, value, bytes) => d.patchValue((d.gpr[RSP] ?? 0n) + BigInt(index * bytes), value, bytes);
/** A place in the code page away from the instruction. @param {Draft} d */
const landing = d => BigInt(CODE + 0x100 + d.random.below(0x400));

/** @type {Record<string, { before?: (d: Draft) => void, after?: (d: Draft) => void }>} */
export const SETUPS = {
  mmx: { before: mmxBefore, after: mmxAfter },
  maskmovq: { before: maskmovqBefore, after: mmxAfter },
  x87: { before: x87Before, after: x87After },

  accumulator: {
    before(d) {
      d.setLow(RAX, d.value(8), d.random.pick([1, 2, 4, 8]));
      if (d.form.op.endsWith('mul')) d.pinned.add(RDX);
    },
  },

  // A double-width shift of 16 bits by more than 16 has no defined result: only registers may have none.
  count: {
    before(d) {
      const limit =
        d.form.size === 2 && d.form.op.startsWith('sh') && d.form.operands.length === 3 && d.form.rm === 'mem';
      d.immediates = limit ? COUNTS.filter(n => (n & 31) <= 16) : COUNTS;
      if (d.form.operands.includes('CL')) d.setLow(RCX, BigInt(d.random.pick(d.immediates)), 1);
    },
  },

  // Mostly a high half that lets the quotient fit.
  dividend: {
    before(d) {
      const bytes = d.form.size;
      const low = d.random.chance(50) ? d.value(bytes) : BigInt.asUintN(bytes * 8, d.gpr[RAX] ?? 0n);
      const sign = d.form.op === 'idiv' && low >> BigInt(bytes * 8 - 1) ? (1n << BigInt(bytes * 8)) - 1n : 0n;
      const high = d.random.chance(70) ? sign : d.value(bytes);
      if (bytes === 1) d.setLow(RAX, (high << 8n) | low, 2);
      else {
        d.setLow(RAX, low, bytes);
        d.setLow(RDX, high, bytes);
      }
    },
  },

  cmpxchg: {
    before: d => d.setLow(RAX, d.value(d.form.size), d.form.size),
    after(d) {
      if (!d.random.chance(55)) return;
      const high = d.form.size === 1 && d.noRex && d.rm >= 4 ? 8n : 0n;
      const register = high ? (d.gpr[d.rm - 4] ?? 0n) >> high : (d.gpr[d.rm] ?? 0n);
      d.setLow(RAX, d.linear === undefined ? register : d.read(d.linear, d.form.size), d.form.size);
    },
  },
  cmpxchg8b: {
    before(d) {
      for (const reg of [RAX, RDX, RBX, RCX]) d.setLow(reg, d.value(d.form.size), d.form.size);
    },
    after(d) {
      if (!d.random.chance(60) || d.linear === undefined) return;
      d.setLow(RAX, d.read(d.linear, d.form.size), d.form.size);
      d.setLow(RDX, d.read(d.linear + BigInt(d.form.size), d.form.size), d.form.size);
    },
  },

  push: { before: d => pinStack(d, d.form.size) },
  pop: {
    before: d => d.pin(RSP, d.stack('pop', d.form.size)),
    after: d => d.random.chance(30) && onStack(d, 0, d.value(d.form.size), d.form.size),
  },
  popf: {
    before: d => d.pin(RSP, d.stack('pop', d.form.size)),
    after: d => onStack(d, 0, d.random.u64() & ~TF_AND_AC, d.form.size),
  },
  enter: {
    before(d) {
      pinStack(d, d.form.size);
      d.pin(RBP, BigInt(LAST + 0xa00 + d.random.below(16) * 8));
      d.immediates = [0, 0, 1, 1, 2, 3, 5, 32, 33];
      d.words = [0, 0, 8, 0x10, 0x123];
    },
  },
  leave: { before: d => d.pin(RBP, d.stack('pop', d.form.size)) },

  target: { after: d => setOperand(d, d.branchTarget(), 8) },
  call: {
    before: d => pinStack(d, 8),
    after: d => setOperand(d, d.branchTarget(), 8),
  },
  ret: {
    before(d) {
      d.pin(RSP, d.stack('pop', 8));
      d.words = RET_WORDS;
    },
    after: d => onStack(d, 0, d.branchTarget(), 8),
  },
  loop: {
    before(d) {
      d.address32 = d.random.chance(30);
      const high = d.random.chance(50) ? 0n : (d.gpr[RCX] ?? 0n) & ~0xffff_ffffn;
      d.pin(RCX, high | d.random.pick([0n, 1n, 2n, 0xffff_ffffn, 0x8000_0000n]));
    },
  },
  retf: {
    before(d) {
      d.pin(RSP, BigInt(LAST + 0x700 + d.random.below(64)));
      d.words = RET_WORDS;
    },
    after(d) {
      onStack(d, 0, landing(d), d.form.size);
      onStack(d, 1, d.random.chance(90) ? BigInt(CS) : 0n, d.form.size);
    },
  },
  iret: {
    before: d => d.pin(RSP, BigInt(LAST + 0x700 + d.random.below(64))),
    after(d) {
      const frame = [landing(d), BigInt(CS), d.random.u64() & 0x20_4fffn & ~TF_AND_AC, d.value(8), BigInt(SS)];
      if (d.random.chance(6)) frame[1] = 0n;
      if (d.random.chance(6)) frame[4] = 0n;
      for (const [i, value] of frame.entries()) onStack(d, i, value, d.form.size);
    },
  },

  xlat: {
    before(d) {
      const al = (d.gpr[RAX] ?? 0n) & 0xffn;
      d.pin(RBX, sourceAddress(d, d.target(1)) - al);
    },
  },
  string: { before: stringOperands },

  vectorCount: {
    before: d => {
      d.immediates = [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 255];
    },
  },
  predicate: {
    before: d => {
      d.immediates = [0, 1, 2, 3, 4, 5, 6, 7];
    },
  },
  maskmov: { before: d => d.pin(RDI, sourceAddress(d, d.target(16))) },

  // Whole instructions in bytes; where one names memory it is [rdi] or a good address.
  plain: {
    before(d) {
      d.pin(RDI, BigInt(DATA + 0x200));
      d.pin(RSI, BigInt(DATA + 0x300));
      d.pin(RSP, BigInt(LAST + 0x800));
    },
  },
  fetch: {
    before(d) {
      d.pin(RSP, BigInt(LAST + 0x800));
      d.rip = CODE + PAGE - 1 - d.random.below(Math.max(1, d.form.opcode.length - 1));
    },
  },
};

/**
 * May put a segment or address-size prefix before an implicit source; says what its register must hold.
 * @param {Draft} d @param {bigint} linear @returns {bigint}
 */
function sourceAddress(d, linear) {
  if (d.random.chance(10)) {
    d.segment = d.random.pick([4, 5]);
    return linear - (d.segment === 4 ? FS_BASE : GS_BASE);
  }
  return linear;
}

/**
 * Where a string of so many bytes begins (its last byte, if it runs down).
 * @param {Draft} d @param {number} bytes @param {number} each
 */
function stringStart(d, bytes, each) {
  const r = d.random;
  const down = (d.rflags & BigInt(FLAG.DF)) !== 0n;
  const dice = r.below(100);
  if (bytes <= each && dice < 90) return d.target(each);
  const part = r.below(bytes + 1);
  const first =
    dice < 60
      ? DATA + 0x200 + r.below(0x40)
      : dice < 78
        ? DATA + PAGE - part
        : dice < 84
          ? RO - part
          : dice < 90
            ? LAST + PAGE - part
            : dice < 95
              ? LAST - part
              : RO + r.below(64);
  return BigInt(down ? first + bytes - each : first);
}

/** @param {Draft} d */
function stringOperands(d) {
  const { form, random: r } = d;
  const each = form.size;
  const repeats = form.options.prefix !== undefined;
  const count = repeats ? r.pick([0, 1, 2, 3, 4, 5, 8, 13, 24, 40]) : 1;
  const bytes = Math.max(1, count) * each;
  const loads = form.op !== 'stos' && form.op !== 'scas';
  const stores = form.op !== 'lods';
  const narrow = r.chance(12);

  let source = stringStart(d, bytes, each);
  let target = stringStart(d, bytes, each);
  if (form.op === 'movs' && r.chance(15)) target = source + BigInt(r.below(2 * each + 3) - each);
  const inData = (/** @type {bigint} */ a) => mapped(Number(a)) && !(narrow && a >> 32n);
  if (form.op === 'cmps' || form.op === 'scas') {
    const element = form.op === 'scas' ? (d.gpr[RAX] ?? 0n) : r.u64();
    const equal = r.below(count + 2);
    const step = d.rflags & BigInt(FLAG.DF) ? -each : each;
    for (let i = 0; i < Math.min(equal, 4) && each * i < 27; i++) {
      const same = i === 3 && r.chance(50) ? element ^ 0x80n : element;
      if (inData(target)) d.patchValue(target + BigInt(i * step), same, each);
      if (form.op === 'cmps' && inData(source)) d.patchValue(source + BigInt(i * step), element, each);
    }
  }
  if (loads) source = sourceAddress(d, source);
  const fits = (/** @type {bigint} */ a) => a >= 0n && a >> 32n === 0n;
  d.address32 = narrow && (!loads || fits(source)) && (!stores || fits(target));
  const cut = (/** @type {number} */ reg, /** @type {bigint} */ v) =>
    d.address32 ? ((d.gpr[reg] ?? 0n) & ~0xffff_ffffn) | v : v;
  if (loads) d.pin(RSI, cut(RSI, source));
  if (stores) d.pin(RDI, cut(RDI, target));
  if (repeats) d.pin(RCX, cut(RCX, BigInt(count)));
  d.pinned.add(RAX);
}
