/**
 * bt, bts, btr, btc, bsf, bsr, shld, shrd; tzcnt and lzcnt, which are bsf and bsr on a processor whose CPUID lacks them.
 *
 * A bit number in a register is signed and reaches beyond a memory operand (SDM 2A, 3.1.1.9):
 * the access is to the operand-sized piece that holds the bit, at base + size * floor(number / bits). A micro-record,
 * `bits.<size>.<address bytes>`, computes that address before (families.ts); here the operand is plain memory.
 */

import { type Code, get, i64, set, when } from '../../base/wasm.js';
import { type Bytes, L, next } from '../engine/kit.js';
import { CF, flagWord, OF, setFlags, setFlagWord } from './flags.js';
import { type Family, forms, GuestFault, type Operands, type Semantics } from './semantics.js';
import { at, cut, topBit } from './semantics-alu.js';

const WIDE: readonly Bytes[] = [2, 4, 8];
const INVALID_OPCODE = 6;
const one = i64.const(1);
const [a, b, c, r] = [get(L.a), get(L.b), get(L.c), get(L.r)];
const bits = (x: Operands): number => 8 * x.size;

/** `change`: the new value from the old one (a) and the bit alone (b). The bit goes to CF; SDM: ZF stays, so do the rest. */
const bitTest = (op: string, change?: Code): Semantics => ({
  op,
  forms: forms(WIDE, 'rr ri mr Mi'),
  flags: 'merges',
  emit: x => [
    set(L.a, change ? x.readForStore(0) : x.read(0)),
    set(L.c, i64.and(x.read(1), i64.const(bits(x) - 1))),
    change ? [set(L.b, i64.shl(one, c)), set(L.r, change), x.update(0, r)] : [],
    x.quiet ? [] : setFlagWord(i64.or(i64.and(flagWord, i64.const(~CF)), i64.and(i64.shrU(a, c), one))),
    next,
  ],
});

/** A source of 0 sets ZF and leaves the destination alone, all 64 bits of it. The other flags are undefined. */
const scan = (op: string, found: (x: Operands) => Code): Semantics => ({
  op,
  forms: forms(WIDE, 'rr rM'),
  flags: 'sets',
  emit: x => [
    set(L.a, x.read(1)),
    when(i64.ne(a, i64.const(0)), x.write(0, found(x))),
    x.setFlags('result', a, i64.const(0)),
    next,
  ],
});
const lowest = (): Code => i64.ctz(a);
const highest = (): Code => i64.sub(i64.const(63), i64.clz(a));

/**
 * A shift of operand 0 that takes in bits of operand 1. Below 8 bytes the operands are put in a row and the row shifted:
 * dest:source to the left, source:dest to the right. Of 16 bits the row is dest:source:dest, for counts above 16, whose
 * result is undefined.
 */
const double = (op: 'shld' | 'shrd'): Semantics => ({
  op,
  forms: forms(WIDE, 'rri Mri rrr1 Mrr1'),
  flags: 'merges',
  emit: x => {
    const left = op === 'shld';
    const n = bits(x);
    const width = x.size === 2 ? 48 : 2 * n;
    const row =
      x.size === 2
        ? i64.or(i64.or(i64.shl(a, i64.const(32)), i64.shl(b, i64.const(16))), a)
        : left
          ? i64.or(i64.shl(a, i64.const(n)), b)
          : i64.or(i64.shl(b, i64.const(n)), a);
    const back = i64.sub(i64.const(64), c);
    const shifted: Code =
      x.size === 8
        ? left
          ? i64.or(i64.shl(a, c), i64.shrU(b, back))
          : i64.or(i64.shrU(a, c), i64.shl(b, back))
        : left
          ? i64.shrU(i64.shl(row, c), i64.const(width - n))
          : i64.shrU(row, c);
    const carryOut: Code =
      x.size === 8
        ? i64.shrU(a, left ? back : i64.sub(c, one))
        : left
          ? i64.shrU(row, i64.sub(i64.const(width), c))
          : i64.shrU(row, i64.sub(c, one));
    return [
      set(L.a, x.readForStore(0)),
      set(L.b, x.read(1)),
      set(L.c, i64.and(x.read(2), i64.const(x.size === 8 ? 63 : 31))),
      set(L.r, a),
      when(i64.ne(c, i64.const(0)), set(L.r, cut(x.size, shifted))),
      x.update(0, r),
      x.quiet
        ? []
        : when(i64.ne(c, i64.const(0)), [
            set(L.b, i64.or(i64.and(carryOut, one), at(OF, topBit(x.size, i64.xor(a, r))))),
            setFlags('result', x.size, r, b),
          ]),
      next,
    ];
  },
});

export const BITS: Family = {
  semantics: [
    bitTest('bt'),
    bitTest('bts', i64.or(a, b)),
    bitTest('btr', i64.and(a, i64.xor(b, i64.const(-1)))),
    bitTest('btc', i64.xor(a, b)),
    scan('bsf', lowest),
    scan('tzcnt', lowest),
    scan('bsr', highest),
    scan('lzcnt', highest),
    double('shld'),
    double('shrd'),
  ],
  system: [
    {
      op: 'popcnt',
      run: () => {
        throw new GuestFault(INVALID_OPCODE); // CPUID has no popcnt, and it has no older meaning
      },
    },
  ],
};
