/**
 * shl, shr, sar, rol, ror, rcl, rcr. The count is taken modulo 32 (64 for 8-byte operands); a count of 0 leaves the
 * flags alone. OF is defined for a count of 1 only; for others we compute the same expression.
 */

import { type Code, get, i32, i64, set, when } from '../../base/wasm.js';
import { type Bytes, L, next } from '../engine/kit.js';
import { CF, carry, flagWord, OF, setFlags, setFlagWord } from './flags.js';
import { type Family, forms, type Operands, type Semantics } from './semantics.js';
import { at, cut, signed, topBit } from './semantics-alu.js';

const SHAPES = forms([1, 2, 4, 8], 'ri rr1 Mi Mr1');
const one = i64.const(1);
const [a, c, r, b] = [get(L.a), get(L.c), get(L.r), get(L.b)];
const countMask = (bytes: Bytes): bigint => (bytes === 8 ? 63n : 31n);
const readCounted = (x: Operands): Code => [
  set(L.a, x.readForStore(0)),
  set(L.c, i64.and(x.read(1), i64.const(countMask(x.size)))),
];
const counted = (code: Code): Code => when(i64.ne(c, i64.const(0)), code);
const bits = (x: Operands): number => 8 * x.size;

/** `result` and `carryOut` in terms of a (zero-extended) and the count c; `overflow` of a, the result r and the carry b. */
const shift = (
  op: string,
  result: (x: Operands) => Code,
  carryOut: (x: Operands) => Code,
  overflow: (x: Operands) => Code,
): Semantics => ({
  op,
  forms: SHAPES,
  flags: 'merges',
  emit: x => [
    readCounted(x),
    set(L.r, cut(x.size, result(x))),
    x.update(0, r),
    x.quiet
      ? []
      : counted([
          set(L.b, i64.and(carryOut(x), one)),
          setFlags('result', x.size, r, i64.or(b, at(OF, i64.and(overflow(x), one)))),
        ]),
    next,
  ],
});
/** Rotates change CF and OF only. `result` leaves r from a and c. */
const rotate = (
  op: string,
  result: (x: Operands) => Code,
  carryOut: (x: Operands) => Code,
  overflow: (x: Operands) => Code,
): Semantics => ({
  op,
  forms: SHAPES,
  flags: 'merges',
  emit: x => [
    readCounted(x),
    set(L.r, cut(x.size, result(x))),
    x.update(0, r),
    x.quiet
      ? []
      : counted([
          set(L.b, i64.and(carryOut(x), one)),
          setFlagWord(i64.or(i64.and(flagWord, i64.const(~(CF | OF))), i64.or(b, at(OF, i64.and(overflow(x), one))))),
        ]),
    next,
  ],
});
/** Rotations of fewer than 64 bits: the count modulo the width, on the value twice in a row. */
const rotated = (x: Operands, left: boolean): Code => {
  if (x.size === 8) return (left ? i64.rotl : i64.rotr)(a, c);
  const n = i64.and(c, i64.const(bits(x) - 1));
  const other = i64.and(i64.sub(i64.const(bits(x)), n), i64.const(bits(x) - 1));
  return i64.or(i64.shl(a, left ? n : other), i64.shrU(a, left ? other : n));
};
/**
 * Rotations through CF: a ring of bits + 1. Below 64 bits the ring fits a u64; at 64 the carry is put in by hand.
 * b must be the carry before, and n the count modulo the ring.
 */
const throughCarry = (op: 'rcl' | 'rcr'): Semantics => ({
  op,
  forms: SHAPES,
  flags: 'reads',
  emit: x => {
    const width = bits(x) + 1;
    const left = op === 'rcl';
    const ring = i64.or(a, i64.shl(b, i64.const(bits(x))));
    const small: Code = [
      set(L.c, i64.remU(c, i64.const(width))),
      set(
        L.r,
        left
          ? i64.or(i64.shl(ring, c), i64.shrU(ring, i64.sub(i64.const(width), c)))
          : i64.or(i64.shrU(ring, c), i64.shl(ring, i64.sub(i64.const(width), c))),
      ),
      set(L.b, i64.and(i64.shrU(r, i64.const(bits(x))), one)),
    ];
    // a << c | carry << c-1 | a >> 65-c, and the last is nothing for a count of 1 (shifts are modulo 64 here).
    const wide: Code = when(
      i64.ne(c, i64.const(0)),
      [
        set(
          L.r,
          left
            ? i64.or(
                i64.or(i64.shl(a, c), i64.shl(b, i64.sub(c, one))),
                i64.shrU(i64.shrU(a, one), i64.sub(i64.const(64), c)),
              )
            : i64.or(
                i64.or(i64.shrU(a, c), i64.shl(b, i64.sub(i64.const(64), c))),
                i64.shl(i64.shl(a, one), i64.sub(i64.const(64), c)),
              ),
        ),
        set(L.b, i64.and(left ? i64.shrU(a, i64.sub(i64.const(64), c)) : i64.shrU(a, i64.sub(c, one)), one)),
      ],
      set(L.r, a),
    );
    const top = topBit(x.size, r);
    return [
      readCounted(x),
      set(L.m, i32.wrap(c)),
      set(L.b, carry),
      x.size === 8 ? wide : small,
      x.update(0, r),
      when(
        get(L.m),
        setFlagWord(
          i64.or(
            i64.and(flagWord, i64.const(~(CF | OF))),
            i64.or(b, at(OF, i64.xor(top, left ? b : i64.and(i64.shrU(r, i64.const(bits(x) - 2)), one)))),
          ),
        ),
      ),
      next,
    ];
  },
});

export const SHIFT: Family = {
  semantics: [
    shift(
      'shl',
      () => i64.shl(a, c),
      x => (x.size === 8 ? i64.shrU(a, i64.sub(i64.const(64), c)) : i64.shrU(i64.shl(a, c), i64.const(bits(x)))),
      x => i64.xor(topBit(x.size, r), b),
    ),
    shift(
      'shr',
      () => i64.shrU(a, c),
      () => i64.shrU(a, i64.sub(c, one)),
      x => topBit(x.size, a),
    ),
    shift(
      'sar',
      x => i64.shrS(signed(x.size, a), c),
      x => i64.shrS(signed(x.size, a), i64.sub(c, one)),
      () => i64.const(0),
    ),
    rotate(
      'rol',
      x => rotated(x, true),
      () => r,
      x => i64.xor(topBit(x.size, r), b),
    ),
    rotate(
      'ror',
      x => rotated(x, false),
      x => topBit(x.size, r),
      x => i64.xor(topBit(x.size, r), i64.shrU(r, i64.const(bits(x) - 2))),
    ),
    throughCarry('rcl'),
    throughCarry('rcr'),
  ],
};
