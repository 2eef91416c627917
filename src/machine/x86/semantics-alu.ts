/** add, or, adc, sbb, and, sub, xor, cmp, test, inc, dec, neg, not. */

import { type Code, get, i64, set } from '../../base/wasm.js';
import { type Bytes, L, next } from '../engine/kit.js';
import { AF, carry, OF } from './flags.js';
import { type Family, forms, type Operands, type Semantics } from './semantics.js';

const ALL: readonly Bytes[] = [1, 2, 4, 8];
const TWO = forms(ALL, 'rr ri rM Mr Mi');
const ONE = forms(ALL, 'r M');

/** The low bytes of a value, zero-extended. */
export const cut = (bytes: Bytes, value: Code): Code =>
  bytes === 8 ? value : i64.and(value, i64.const((1n << BigInt(8 * bytes)) - 1n));
/** The low bytes of a value, sign-extended. */
export const signed = (bytes: Bytes, value: Code): Code =>
  bytes === 8 ? value : { 1: i64.sign8, 2: i64.sign16, 4: i64.sign32 }[bytes](value);
/** The top bit of a value of this many bytes, as an i64, 0 or 1. */
export const topBit = (bytes: Bytes, value: Code): Code =>
  i64.and(i64.shrU(value, i64.const(8 * bytes - 1)), i64.const(1));
/** A 0 or 1 (i64) at the place of a flag. */
export const at = (flag: number, bit: Code): Code => (flag === 1 ? bit : i64.shl(bit, i64.const(Math.log2(flag))));

const readBoth = (x: Operands): Code => [set(L.a, x.readForStore(0)), set(L.b, x.read(1))];

const plain = (op: 'add' | 'sub', compute: typeof i64.add): Semantics => ({
  op,
  forms: TWO,
  flags: 'sets',
  emit: x => [
    readBoth(x),
    set(L.r, compute(get(L.a), get(L.b))),
    x.update(0, get(L.r)),
    x.setFlags(op, get(L.a), get(L.b)),
    next,
  ],
});
const logic = (op: string, compute: typeof i64.and): Semantics => ({
  op,
  forms: TWO,
  flags: 'sets',
  emit: x => [
    readBoth(x),
    set(L.r, compute(get(L.a), get(L.b))),
    x.update(0, get(L.r)),
    x.setFlags('result', get(L.r), i64.const(0)),
    next,
  ],
});
/** With carry in, the flags do not follow from two operands: CF, AF and OF are computed here. */
const withCarry = (op: 'adc' | 'sbb'): Semantics => ({
  op,
  forms: TWO,
  flags: 'reads',
  emit: x => {
    const [a, b, r] = [get(L.a), get(L.b), get(L.r)];
    const carries =
      op === 'adc'
        ? i64.or(i64.and(a, b), i64.and(i64.or(a, b), i64.xor(r, i64.const(-1))))
        : i64.or(i64.and(i64.xor(a, i64.const(-1)), b), i64.and(i64.or(i64.xor(a, i64.const(-1)), b), r));
    const overflow = op === 'adc' ? i64.and(i64.xor(a, r), i64.xor(b, r)) : i64.and(i64.xor(a, b), i64.xor(a, r));
    return [
      readBoth(x),
      set(L.r, op === 'adc' ? i64.add(i64.add(a, b), carry) : i64.sub(i64.sub(a, b), carry)),
      x.update(0, r),
      set(
        L.c,
        i64.or(
          i64.or(topBit(x.size, carries), at(OF, topBit(x.size, overflow))),
          i64.and(i64.xor(r, i64.xor(a, b)), i64.const(AF)),
        ),
      ),
      x.setFlags('result', r, get(L.c)),
      next,
    ];
  },
});
/** inc and dec keep CF. */
const byOne = (op: 'inc' | 'dec'): Semantics => ({
  op,
  forms: ONE,
  flags: 'merges',
  emit: x => {
    const r = get(L.r);
    // r overflows from the largest to the smallest, or back; AF when the low digit passes 0 or f.
    const limit = op === 'inc' ? 1n << BigInt(8 * x.size - 1) : (1n << BigInt(8 * x.size - 1)) - 1n;
    return [
      set(L.a, x.readForStore(0)),
      set(L.r, op === 'inc' ? i64.add(get(L.a), i64.const(1)) : i64.sub(get(L.a), i64.const(1))),
      x.update(0, r),
      x.quiet
        ? []
        : set(
            L.c,
            i64.or(
              i64.or(carry, at(OF, i64.extendU(i64.eq(cut(x.size, r), i64.const(limit))))),
              at(AF, i64.extendU(i64.eq(i64.and(r, i64.const(15)), i64.const(op === 'inc' ? 0 : 15)))),
            ),
          ),
      x.setFlags('result', r, get(L.c)),
      next,
    ];
  },
});

export const ALU: Family = {
  semantics: [
    plain('add', i64.add),
    plain('sub', i64.sub),
    logic('and', i64.and),
    logic('or', i64.or),
    logic('xor', i64.xor),
    withCarry('adc'),
    withCarry('sbb'),
    byOne('inc'),
    byOne('dec'),
    {
      op: 'cmp',
      forms: TWO,
      flags: 'sets',
      emit: x => [set(L.a, x.read(0)), set(L.b, x.read(1)), x.setFlags('sub', get(L.a), get(L.b)), next],
    },
    {
      op: 'test',
      forms: forms(ALL, 'rr ri Mr Mi'),
      flags: 'sets',
      emit: x => [set(L.r, i64.and(x.read(0), x.read(1))), x.setFlags('result', get(L.r), i64.const(0)), next],
    },
    {
      op: 'neg',
      forms: ONE,
      flags: 'sets',
      emit: x => [
        set(L.a, x.readForStore(0)),
        x.update(0, i64.sub(i64.const(0), get(L.a))),
        x.setFlags('sub', i64.const(0), get(L.a)),
        next,
      ],
    },
    {
      op: 'not',
      forms: ONE,
      flags: 'none',
      emit: x => [set(L.a, x.readForStore(0)), x.update(0, i64.xor(get(L.a), i64.const(-1))), next],
    },
  ],
};
