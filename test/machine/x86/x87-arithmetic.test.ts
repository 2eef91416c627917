/**
 * Arithmetic of the x87 unit against JavaScript's own doubles, and against what must hold of any rounding. The
 * processor's answers, with all precisions, exceptions and odd operands, are fixtures (fixtures.test.ts).
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  add,
  type Control,
  compare,
  divide,
  multiply,
  remainder,
  scale,
  squareRoot,
  subtract,
  toIntegral,
} from '../../../src/machine/x86/x87-arithmetic.js';
import {
  bitLength,
  DOUBLE,
  decode,
  decodeExtended,
  EXTENDED,
  encode,
  type Format,
  INDEFINITE,
  type Result,
  round,
  SINGLE,
  type Value,
  X,
} from '../../../src/machine/x86/x87-format.js';

const ALL_MASKED = 0x3f;
const control = (precision: number, direction: Control['direction'] = 0): Control => ({
  precision,
  direction,
  masks: ALL_MASKED,
});
const view = new DataView(new ArrayBuffer(8));
const fromDouble = (x: number): Value => {
  view.setFloat64(0, x);
  return decode(DOUBLE, view.getBigUint64(0));
};
/** A value that fits a double, as a number. */
const toDouble = (v: Value): number => {
  const fitting = v.kind === 'finite' ? round(v, DOUBLE, 53, control(53)) : { value: v, flags: 0 };
  view.setBigUint64(0, encode(fitting.value, DOUBLE));
  return view.getFloat64(0);
};
/** Doubles whose sums, products and quotients stay normal. */
const ordinary = fc
  .tuple(
    fc.double({ min: 1, max: 2, maxExcluded: true, noNaN: true }),
    fc.integer({ min: -400, max: 400 }),
    fc.boolean(),
  )
  .map(([x, exponent, negative]) => (negative ? -x : x) * 2 ** exponent);
const bits80 = fc.bigInt({ min: 0n, max: (1n << 80n) - 1n });
const finite80 = bits80.map(decodeExtended).filter(v => v.kind === 'finite');

it('adds, subtracts, multiplies, divides and takes roots as JavaScript does, with a precision of 53 bits', () => {
  const c = control(53);
  fc.assert(
    fc.property(ordinary, ordinary, (x, y) => {
      const [a, b] = [fromDouble(x), fromDouble(y)];
      expect(toDouble(add(a, b, c).value)).toBe(x + y);
      expect(toDouble(subtract(a, b, c).value)).toBe(x - y);
      expect(toDouble(multiply(a, b, c).value)).toBe(x * y);
      expect(toDouble(divide(a, b, c).value)).toBe(x / y);
      expect(toDouble(squareRoot(fromDouble(Math.abs(x)), c).value)).toBe(Math.sqrt(Math.abs(x)));
    }),
  );
});

it('rounds to 24 bits as Math.fround does', () => {
  const c = control(24);
  const single = ordinary.map(x => Math.fround(x)).filter(x => Math.abs(x) > 2 ** -60 && Math.abs(x) < 2 ** 60);
  fc.assert(
    fc.property(single, single, (x, y) => {
      expect(toDouble(multiply(fromDouble(x), fromDouble(y), c).value)).toBe(Math.fround(x * y));
      expect(toDouble(divide(fromDouble(x), fromDouble(y), c).value)).toBe(Math.fround(x / y));
    }),
  );
});

it('orders doubles as JavaScript does', () => {
  const any = fc.double();
  fc.assert(
    fc.property(any, any, (x, y) => {
      const { order } = compare(fromDouble(x), fromDouble(y), true);
      expect(order).toBe(x < y ? 'less' : x > y ? 'greater' : x === y ? 'equal' : 'unordered');
    }),
  );
});

it('reduces, however often a reduction is partial, to the remainder that JavaScript has', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), ordinary, (x, y) => {
      let a = fromDouble(x);
      for (let n = 0; ; n++) {
        const { value, quotient } = remainder(a, fromDouble(y), false, ALL_MASKED);
        a = value;
        if (quotient !== 'partial') break;
        expect(n).toBeLessThan(100);
      }
      expect(toDouble(a)).toBe(x % y);
    }),
  );
});

it('rounds to integers as Math.floor, ceil and trunc do', () => {
  const number = fc.double({ min: -1e17, max: 1e17, noNaN: true });
  fc.assert(
    fc.property(number, x => {
      const to = (direction: Control['direction']): number =>
        toDouble(toIntegral(fromDouble(x), control(64, direction)).value);
      expect([to(1), to(2), to(3)]).toEqual([Math.floor(x), Math.ceil(x), Math.trunc(x)]);
    }),
  );
});

it('scales by powers of two', () => {
  fc.assert(
    fc.property(ordinary, fc.integer({ min: -500, max: 500 }), (x, n) => {
      expect(toDouble(scale(fromDouble(x), fromDouble(n + (n < 0 ? -0.5 : 0.5)), control(64)).value)).toBe(x * 2 ** n);
    }),
  );
});

const isExact = (r: Result): boolean => (r.flags & X.PE) === 0;
it('rounds down and up to neighbours on both sides of what is not exact, and says which way it went', () => {
  for (const f of [add, multiply, divide]) {
    fc.assert(
      fc.property(finite80, finite80, fc.constantFrom(24, 53, 64), (a, b, precision) => {
        const [near, down, up, zero] = ([0, 1, 2, 3] as const).map(d => f(a, b, control(precision, d))) as [
          Result,
          Result,
          Result,
          Result,
        ];
        expect(new Set([near, down, up, zero].map(isExact)).size).toBe(1);
        const order = (x: Result, y: Result) => compare(x.value, y.value, true).order;
        if (isExact(near)) {
          expect(order(down, up)).toBe('equal');
          return;
        }
        expect(order(down, up)).toBe('less');
        expect([order(near, down), order(near, up)]).toContain('equal');
        expect(order(zero, up.value.sign || down.value.sign ? up : down)).toBe('equal');
        expect([zero.up, down.up, up.up]).toEqual([false, down.value.sign === 1, up.value.sign === 0]);
      }),
    );
  }
});

it.each<[string, Format, number]>([
  ['single', SINGLE, 32],
  ['double', DOUBLE, 64],
])('every number of the %s format has the bits it came from', (_, format, width) => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << BigInt(width)) - 1n }), bits => {
      expect(encode(decode(format, bits), format)).toBe(bits);
    }),
  );
});
it('every supported extended number has the bits it came from, but a pseudo-denormal becomes normal', () => {
  fc.assert(
    fc.property(bits80, fc.boolean(), (bits, tiny) => {
      const all = tiny ? bits & ~(0x7fffn << 64n) : bits;
      const v = decodeExtended(all);
      if (v.kind === 'unsupported') return;
      const isPseudo = v.denormal && (all >> 63n) & 1n;
      expect(encode(v, EXTENDED)).toBe(isPseudo ? all | (1n << 64n) : all);
    }),
  );
});

it('answers what has no answer with the indefinite NaN', () => {
  const zero = fromDouble(0);
  const infinite = fromDouble(Infinity);
  const one = fromDouble(1);
  const c = control(64);
  const results = [
    divide(zero, zero, c),
    divide(infinite, infinite, c),
    multiply(zero, infinite, c),
    subtract(infinite, infinite, c),
    squareRoot(fromDouble(-1), c),
    remainder(one, zero, false, ALL_MASKED),
    add(one, decodeExtended(0x3fffn << 64n), c), // an unnormal
  ];
  for (const { value, flags } of results) expect([encode(value, EXTENDED), flags]).toEqual([INDEFINITE, X.IE]);
});

it('counts bits', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 1n << 300n }), n => {
      expect(bitLength(n)).toBe(n.toString(2).length);
    }),
  );
});
