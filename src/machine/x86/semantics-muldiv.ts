/**
 * mul, imul, div, idiv. Products of 8-byte operands have 128 bits: `mul_high` gives the upper half; quotients of
 * 128-bit dividends come from `div_wide`, bit by bit (rare: compilers divide 64 by 64).
 * SF, ZF, AF and PF are undefined after a multiplication, all flags after a division: here they follow from the low
 * result, or stay.
 */

import {
  brIf,
  type Code,
  call,
  choose,
  type Func,
  get,
  i32,
  i64,
  type Local,
  label,
  loop,
  set,
  when,
} from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import { type Bytes, L, next, trap } from '../engine/kit.js';
import { CF, OF } from './flags.js';
import { type Family, forms, type Operands, type Semantics } from './semantics.js';
import { cut, signed } from './semantics-alu.js';

const RAX = REG.rax!;
const RDX = REG.rdx!;
const DIVIDE_ERROR = 0;
const [a, b, c, r] = [get(L.a), get(L.b), get(L.c), get(L.r)];
const ALL: readonly Bytes[] = [1, 2, 4, 8];

/** mul_high(a, b): bits 127..64 of the unsigned product, by halves. */
const mulHigh: Func = (() => {
  const x: Local = { index: 0, type: 'i64' };
  const y: Local = { index: 1, type: 'i64' };
  const middle: Local = { index: 2, type: 'i64' };
  const low = (v: Code): Code => i64.and(v, i64.const(0xffff_ffff));
  const high = (v: Code): Code => i64.shrU(v, i64.const(32));
  return {
    name: 'mul_high',
    params: ['i64', 'i64'],
    result: 'i64',
    locals: ['i64'],
    body: [
      // The first middle product plus the carry from below cannot overflow: (2^32-1)^2 + 2^32-1 < 2^64.
      set(middle, i64.add(i64.mul(high(get(x)), low(get(y))), high(i64.mul(low(get(x)), low(get(y)))))),
      i64.add(
        i64.add(i64.mul(high(get(x)), high(get(y))), high(get(middle))),
        high(i64.add(i64.mul(low(get(x)), high(get(y))), low(get(middle)))),
      ),
    ],
  };
})();
/** Of the signed product: each negative operand subtracts the other. */
const mulHighSigned: Func = (() => {
  const x: Local = { index: 0, type: 'i64' };
  const y: Local = { index: 1, type: 'i64' };
  const ifNegative = (v: Local, other: Local): Code => i64.and(i64.shrS(get(v), i64.const(63)), get(other));
  return {
    name: 'mul_high_signed',
    params: ['i64', 'i64'],
    result: 'i64',
    body: i64.sub(i64.sub(call('mul_high', get(x), get(y)), ifNegative(x, y)), ifNegative(y, x)),
  };
})();
/** div_wide(high, low, divisor): the quotient of 128 by 64 bits, unsigned; high < divisor. */
const divWide: Func = (() => {
  const high: Local = { index: 0, type: 'i64' };
  const low: Local = { index: 1, type: 'i64' };
  const divisor: Local = { index: 2, type: 'i64' };
  const n: Local = { index: 3, type: 'i32' };
  const out: Local = { index: 4, type: 'i64' };
  const again = label('again');
  return {
    name: 'div_wide',
    params: ['i64', 'i64', 'i64'],
    result: 'i64',
    locals: ['i32', 'i64'],
    body: [
      when(i64.eqz(get(high)), [i64.divU(get(low), get(divisor)), 0x0f]),
      set(n, i32.const(64)),
      loop(again, [
        set(out, i64.shrU(get(high), i64.const(63))),
        set(high, i64.or(i64.shl(get(high), i64.const(1)), i64.shrU(get(low), i64.const(63)))),
        set(low, i64.shl(get(low), i64.const(1))),
        when(i32.or(i32.wrap(get(out)), i64.geU(get(high), get(divisor))), [
          set(high, i64.sub(get(high), get(divisor))),
          set(low, i64.or(get(low), i64.const(1))),
        ]),
        brIf(again, set1(n)),
      ]),
      get(low),
    ],
  };
})();
/** Counts a local down and leaves its value. */
function set1(n: Local): Code {
  return [set(n, i32.sub(get(n), i32.const(1))), get(n)];
}

/** CF = OF = `overflow` (an i32). */
const productFlags = (x: Operands, low: Code, overflow: Code): Code =>
  x.setFlags('result', low, i64.and(i64.sub(i64.const(0), i64.extendU(overflow)), i64.const(CF | OF)));

/** One operand: rdx:rax (ax for bytes) = rax * operand. */
const wide = (op: 'mul' | 'imul'): Semantics => ({
  op,
  forms: forms(ALL, 'r M'),
  flags: 'sets',
  emit: x => {
    const extend = (v: Code): Code => (op === 'mul' ? v : signed(x.size, v));
    const read = [set(L.a, extend(x.read(0))), set(L.b, extend(x.readRegister(RAX)))];
    if (x.size === 8) {
      return [
        read,
        set(L.r, i64.mul(a, b)),
        set(L.c, call(op === 'mul' ? 'mul_high' : 'mul_high_signed', a, b)),
        x.writeRegister(RAX, r),
        x.writeRegister(RDX, c),
        productFlags(x, r, op === 'mul' ? i64.ne(c, i64.const(0)) : i64.ne(c, i64.shrS(r, i64.const(63)))),
        next,
      ];
    }
    const write =
      x.size === 1
        ? x.writeRegister(RAX, r, 2)
        : [x.writeRegister(RAX, r), x.writeRegister(RDX, i64.shrU(r, i64.const(8 * x.size)))];
    const fits = op === 'mul' ? cut(x.size, r) : signed(x.size, r);
    return [read, set(L.r, i64.mul(a, b)), write, productFlags(x, r, i64.ne(r, fits)), next];
  },
});
/** Two or three operands: the low half only; CF = OF = the signed product did not fit. */
const cutProduct = (shapes: string, first: number): Semantics => ({
  op: 'imul',
  forms: forms([2, 4, 8], shapes),
  flags: 'sets',
  emit: x => [
    set(L.a, signed(x.size, x.read(first))),
    set(L.b, signed(x.size, x.read(first + 1))),
    set(L.r, i64.mul(a, b)),
    x.write(0, r),
    productFlags(
      x,
      r,
      x.size === 8 ? i64.ne(call('mul_high_signed', a, b), i64.shrS(r, i64.const(63))) : i64.ne(r, signed(x.size, r)),
    ),
    next,
  ],
});

/** The dividend of a division narrower than 8 bytes, as one i64: ax, dx:ax, edx:eax. */
const dividend = (x: Operands): Code =>
  x.size === 1
    ? x.readRegister(RAX, 2)
    : i64.or(i64.shl(x.readRegister(RDX), i64.const(8 * x.size)), x.readRegister(RAX));
const raiseIf = (condition: Code): Code => when(condition, trap(DIVIDE_ERROR));
const writeResults = (x: Operands, quotient: Code, remainder: Code): Code =>
  x.size === 1
    ? x.writeRegister(RAX, i64.or(i64.and(quotient, i64.const(0xff)), i64.shl(remainder, i64.const(8))), 2)
    : [x.writeRegister(RAX, quotient), x.writeRegister(RDX, remainder)];

const div: Semantics = {
  op: 'div',
  forms: forms(ALL, 'r M'),
  flags: 'none',
  traps: true,
  emit: x => [
    set(L.b, x.read(0)),
    raiseIf(i64.eqz(b)),
    x.size === 8
      ? [
          set(L.a, x.readRegister(RAX)),
          set(L.c, x.readRegister(RDX)),
          raiseIf(i64.geU(c, b)),
          set(L.r, call('div_wide', c, a, b)),
        ]
      : [set(L.a, dividend(x)), set(L.r, i64.divU(a, b)), raiseIf(i64.ne(r, cut(x.size, r)))],
    set(L.a, i64.sub(a, i64.mul(r, b))),
    writeResults(x, r, a),
    next,
  ],
};
const idiv: Semantics = {
  op: 'idiv',
  forms: forms(ALL, 'r M'),
  flags: 'none',
  traps: true,
  emit: x => {
    const minusIf = (v: Code, negative: Code): Code => choose('i64', negative, i64.sub(i64.const(0), v), v);
    if (x.size < 8) {
      const value = x.size === 4 ? dividend(x) : x.size === 2 ? i64.sign32(dividend(x)) : i64.sign16(dividend(x));
      return [
        set(L.b, signed(x.size, x.read(0))),
        raiseIf(i64.eqz(b)),
        set(L.a, value),
        // The one quotient that wasm itself would trap on.
        raiseIf(i32.and(i64.eq(b, i64.const(-1)), i64.eq(a, i64.const(-(1n << 63n))))),
        set(L.r, i64.divS(a, b)),
        raiseIf(i64.ne(r, signed(x.size, r))),
        set(L.a, i64.sub(a, i64.mul(r, b))),
        writeResults(x, r, a),
        next,
      ];
    }
    // Divide the magnitudes; m: the dividend is negative, n: the quotient is. |-2^63| is right as an unsigned number.
    return [
      set(L.b, x.read(0)),
      raiseIf(i64.eqz(b)),
      set(L.a, x.readRegister(RAX)),
      set(L.c, x.readRegister(RDX)),
      set(L.m, i64.ltS(c, i64.const(0))),
      set(L.n, i32.xor(get(L.m), i64.ltS(b, i64.const(0)))),
      when(get(L.m), [
        set(L.c, i64.sub(i64.sub(i64.const(0), c), i64.extendU(i64.ne(a, i64.const(0))))),
        set(L.a, i64.sub(i64.const(0), a)),
      ]),
      set(L.b, minusIf(b, i64.ltS(b, i64.const(0)))),
      raiseIf(i64.geU(c, b)),
      set(L.r, call('div_wide', c, a, b)),
      raiseIf(i64.gtU(r, i64.add(i64.const((1n << 63n) - 1n), i64.extendU(get(L.n))))),
      set(L.a, i64.sub(a, i64.mul(r, b))),
      writeResults(x, minusIf(r, get(L.n)), minusIf(a, get(L.m))),
      next,
    ];
  },
};

export const MULDIV: Family = {
  semantics: [wide('mul'), wide('imul'), cutProduct('rr rM', 0), cutProduct('rri rMi', 1), div, idiv],
  functions: [mulHigh, mulHighSigned, divWide],
};
