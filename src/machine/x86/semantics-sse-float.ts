/**
 * SSE and SSE2 arithmetic and comparisons on floats: the common case. What is not common goes to the SystemOp of the same
 * name (sse-system.ts), which does all of the instruction again, exactly.
 *
 * mxcsr notes exceptions, and a note stays until the program takes it away. A program that computes has soon noted an
 * inexact result and hardly ever anything else. So an operation is common when
 *
 *   mxcsr     PE is noted and masked, so that an inexact result changes nothing (or the result is exact: sse-exact.ts);
 *             rounding is to nearest, as WebAssembly's; UE is masked and FZ is off, so that a tiny sum is nothing special
 *   operands  are zero or normal (a denormal one is noted), or infinite
 *   result    is finite: infinity may be an overflow or a division by zero, NaN an invalid operation. A product or quotient
 *             is above the least normal number too, or its operand was zero: below, it may be an underflow
 *
 * Where no result can be inexact (comparisons, minimum, maximum), mxcsr does not matter, only that no operand is a NaN or
 * denormal. All tests are of integers and end in one sign bit: a bit pattern without its sign orders floats like integers.
 *
 *     0        LEAST            INFINITE
 *     | denorm |     normal     | infinity, then NaNs           magnitude(x): the bits of x without its sign
 *
 *     magnitude - LEAST < 0  and not  magnitude - 1 < 0         x is denormal
 *     INFINITE - 1 - magnitude < 0                              x is infinite or a NaN
 */

import { f32, f32x4, f64, f64x2, i32x4, i64x2, v128 } from '../../base/simd.js';
import { brIf, type Code, call, get, i32, i64, set, when } from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import { field, L, next, TO } from '../engine/kit.js';
import { registerAt } from '../engine/layout.js';
import { CF, setFlagWord, ZF } from './flags.js';
import type { Family, Operands, Semantics } from './semantics.js';
import { low, readVector, setLow, setVector, vector, vectorForms, ZERO } from './semantics-sse.js';
import { EXACT_FUNCTIONS, type Exactly, exactName } from './sse-exact.js';

const INEXACT_NOTED = 0x20;
const INEXACT_MASKED = 0x1000;
const UNDERFLOW_MASKED = 0x800;
const ROUNDING = 0x6000;
const FLUSH_TO_ZERO = 0x8000;
const mxcsr = i32.load(i32.const(0), registerAt(REG.mxcsr!));
const mxcsrHas = (mask: number, bits: number): Code => i32.eq(i32.and(mxcsr, i32.const(mask)), i32.const(bits));
/** An inexact result changes nothing in mxcsr and raises nothing. */
export const inexactIsNoted = mxcsrHas(INEXACT_NOTED | INEXACT_MASKED, INEXACT_NOTED | INEXACT_MASKED);
/** The same, and results are rounded to nearest and never flushed. */
export const isCommonMode = mxcsrHas(
  INEXACT_NOTED | INEXACT_MASKED | UNDERFLOW_MASKED | ROUNDING | FLUSH_TO_ZERO,
  INEXACT_NOTED | INEXACT_MASKED | UNDERFLOW_MASKED,
);
/** The same for results that are exact. */
const isCommonWhenExact = mxcsrHas(UNDERFLOW_MASKED | ROUNDING | FLUSH_TO_ZERO, UNDERFLOW_MASKED);

type One = (a: Code) => Code;
type Two = (a: Code, b: Code) => Code;

/** Integer operations on the bits of floats: one in an i64, zero-extended, or lanes of a v128. */
export interface Bits {
  readonly bytes: 4 | 8;
  constant(bits: bigint): Code;
  readonly and: Two;
  readonly or: Two;
  readonly andNot: Two;
  readonly sub: Two;
  /** Whether the sign bit of any lane that takes part is set, as an i32 that is not 0. */
  readonly anyNegative: One;
}
/** One of ps, pd, ss, sd: how operands are read and written, and float operations on them, lane by lane. */
interface Lanes extends Bits {
  readonly name: 'ps' | 'pd' | 'ss' | 'sd';
  readonly registers: string;
  readonly memory: string;
  read(x: Operands, n: number): Code;
  write(x: Operands, value: Code): Code;
  readonly add: Two;
  readonly subtract: Two;
  readonly multiply: Two;
  readonly divide: Two;
  readonly root: One;
  readonly min: Two;
  readonly max: Two;
  /** All ones where it holds. */
  readonly equal: Two;
  readonly less: Two;
}

const INFINITE = { 4: 0x7f80_0000n, 8: 0x7ff0_0000_0000_0000n } as const;
const LEAST = { 4: 0x0080_0000n, 8: 0x0010_0000_0000_0000n } as const;

/** The bits of a single in an i64. */
export const SINGLE_BITS: Bits = {
  bytes: 4,
  constant: bits => i64.const(bits),
  and: i64.and,
  or: i64.or,
  andNot: (a, b) => i64.and(a, i64.xor(b, i64.const(-1))),
  sub: i64.sub,
  anyNegative: a => i64.ltS(a, i64.const(0)),
};

function packed(
  name: Lanes['name'],
  bytes: 4 | 8,
  f: typeof f32x4 | typeof f64x2,
  i: typeof i32x4 | typeof i64x2,
): Lanes {
  return {
    name,
    bytes,
    registers: 'v16v16',
    memory: 'v16M16',
    read: (x, n) => (x.isMemory(n) ? readVector(x, n, true) : vector(x, n)),
    write: (x, value) => setVector(x, 0, value),
    constant: bits => {
      const half = bytes === 4 ? (bits << 32n) | bits : bits;
      return v128.const(half, half);
    },
    and: v128.and,
    or: v128.or,
    andNot: v128.andnot,
    sub: i.sub,
    anyNegative: i.bitmask,
    add: f.add,
    subtract: f.sub,
    multiply: f.mul,
    divide: f.div,
    root: f.sqrt,
    // WebAssembly's are b < a ? b : a, so the operands change places.
    min: (a, b) => f.pmin(b, a),
    max: (a, b) => f.pmax(b, a),
    equal: f.eq,
    less: f.lt,
  };
}
const PS = packed('ps', 4, f32x4, i32x4);
const PD = packed('pd', 8, f64x2, i64x2);
/**
 * A scalar is lane 0 of a vector with zeros above it, all the way: a move between general and vector registers takes as
 * long as an addition.
 */
const scalar = (name: 'ss' | 'sd', l: Lanes, f: typeof f32x4 | typeof f64x2): Lanes => ({
  ...l,
  name,
  registers: `v${l.bytes}v${l.bytes}`,
  memory: `v${l.bytes}M${l.bytes}`,
  read: (x, n) =>
    x.isMemory(n)
      ? i64x2.replace(ZERO, 0, x.read(n))
      : (l.bytes === 8 ? v128.load64Zero : v128.load32Zero)(x.registerField(n)),
  write: (x, value) => setVector(x, 0, f.replace(vector(x, 0), 0, f.extract(value, 0))),
  anyNegative: a => i32.and(l.anyNegative(a), i32.const(1)),
});
const SS = scalar('ss', PS, f32x4);
const SD = scalar('sd', PD, f64x2);
const ALL: readonly Lanes[] = [PS, PD, SS, SD];
const [a, b, r] = [get(L.x), get(L.y), get(L.z)];

/** The tests of one format; each leaves the sign bit of a lane set where it holds. */
export function testsOf(l: Bits) {
  const least = l.constant(LEAST[l.bytes]);
  const magnitude: One = v => l.and(v, l.constant((1n << BigInt(8 * l.bytes - 1)) - 1n));
  const minusOne: One = v => l.sub(magnitude(v), l.constant(1n));
  return {
    isDenormal: ((v: Code) => l.andNot(l.sub(magnitude(v), least), minusOne(v))) as One,
    isInfiniteOrNaN: ((v: Code) => l.sub(l.constant(INFINITE[l.bytes] - 1n), magnitude(v))) as One,
    isNaN: ((v: Code) => l.sub(l.constant(INFINITE[l.bytes]), magnitude(v))) as One,
    isZero: minusOne,
    /** Zero, denormal, or the least normal number, to which a tiny result may have been rounded. */
    isSmall: ((v: Code) => l.sub(magnitude(v), l.constant(LEAST[l.bytes] + 1n))) as One,
    any: ((...tests: Code[]) => tests.reduce((all, test) => l.or(all, test))) as (...tests: Code[]) => Code,
  };
}

const uncommon = (condition: Code): Code => brIf(TO.out, condition);
/** mxcsr is not as it must be for a result r of a and b. */
const uncommonMode = (op: Exactly, l: Lanes): Code =>
  when(i32.eqz(isCommonMode), [
    uncommon(i32.eqz(isCommonWhenExact)),
    uncommon(i32.eqz(call(exactName(op, l.name), a, b, r))),
  ]);

/** dst := dst op src. A sum is never an inexact tiny number, so only products and quotients are tested for that. */
function arithmetic(op: Exactly, l: Lanes, compute: Two, canUnderflow: boolean): Semantics {
  const t = testsOf(l);
  const tiny = canUnderflow ? [l.andNot(t.isSmall(r), l.or(t.isZero(a), t.isZero(b)))] : [];
  return {
    op: op + l.name,
    forms: vectorForms(`${l.registers} ${l.memory}`),
    flags: 'none',
    traps: true,
    system: true,
    emit: x => [
      set(L.y, l.read(x, 1)),
      set(L.x, l.read(x, 0)),
      set(L.z, compute(a, b)),
      uncommon(l.anyNegative(t.any(t.isDenormal(a), t.isDenormal(b), t.isInfiniteOrNaN(r), ...tiny))),
      uncommonMode(op, l),
      l.write(x, r),
      next,
    ],
  };
}
/** dst := root of src. Never tiny, never infinite; of what is below zero it is invalid, and of -0 not worth a test. */
function root(l: Lanes): Semantics {
  const t = testsOf(l);
  return {
    op: `sqrt${l.name}`,
    forms: vectorForms(l.registers),
    flags: 'none',
    traps: true,
    system: true,
    emit: x => [
      set(L.y, l.read(x, 1)),
      set(L.z, l.root(b)),
      uncommon(l.anyNegative(t.any(b, t.isDenormal(b), t.isInfiniteOrNaN(b)))),
      uncommonMode('sqrt', l),
      l.write(x, r),
      next,
    ],
  };
}
const unordered = (l: Lanes): Code => {
  const t = testsOf(l);
  return l.anyNegative(t.any(...[a, b].flatMap(v => [t.isDenormal(v), t.isNaN(v)])));
};
const readOrdered = (l: Lanes, x: Operands): Code => [
  set(L.y, l.read(x, 1)),
  set(L.x, l.read(x, 0)),
  uncommon(unordered(l)),
];
const extreme = (op: 'min' | 'max', l: Lanes): Semantics => ({
  op: op + l.name,
  forms: vectorForms(l.registers),
  flags: 'none',
  traps: true,
  system: true,
  emit: x => [readOrdered(l, x), l.write(x, l[op](a, b)), next],
});

/**
 * Predicates 0-3 are equal, less, less or equal, unordered, which is nowhere true here; 4-7 are their negations. So the
 * answer is (equal and p even, not 3) or (less and p is 1 or 2), negated by bit 2.
 */
function compare(l: Lanes): Semantics {
  const kind = i32.and(field.immAbove, i32.const(3));
  const oneOf = (first: number, second: number): Code =>
    i32.or(i32.eq(kind, i32.const(first)), i32.eq(kind, i32.const(second)));
  /** All ones where a condition holds. */
  const everywhere: One = condition => i32x4.splat(i32.sub(i32.const(0), condition));
  const negated = everywhere(i32.and(i32.shrU(field.immAbove, i32.const(2)), i32.const(1)));
  const xor: Two = (p, q) => l.or(l.andNot(p, q), l.andNot(q, p));
  return {
    op: `cmp${l.name}`,
    forms: vectorForms(`${l.registers}i`),
    flags: 'none',
    traps: true,
    system: true,
    emit: x => [
      readOrdered(l, x),
      set(L.z, l.or(l.and(l.equal(a, b), everywhere(oneOf(0, 2))), l.and(l.less(a, b), everywhere(oneOf(1, 2))))),
      l.write(x, xor(r, negated)),
      next,
    ],
  };
}
/** comisd: CF less, ZF equal; the other flags are cleared (SDM 2A, COMISD). */
const comparison = (op: string, l: Lanes): Semantics => ({
  op: op + l.name,
  forms: vectorForms(`${l.registers} ${l.memory}`),
  flags: 'sets',
  traps: true,
  system: true,
  emit: x => [
    readOrdered(l, x),
    setFlagWord(
      i64.extendU(
        i32.or(
          i32.and(i32x4.extract(l.less(a, b), 0), i32.const(CF)),
          i32.and(i32x4.extract(l.equal(a, b), 0), i32.const(ZF)),
        ),
      ),
    ),
    next,
  ],
});

/**
 * rcpss and rsqrtss, as sse-float.ts approximates them: in double, then single, then twelve bits after the first. Only the
 * scalars, of normal numbers with normal answers, positive ones of a root.
 */
function approximation(op: 'rcp' | 'rsqrt'): Semantics {
  const t = testsOf(SINGLE_BITS);
  const [source, result] = [get(L.b), get(L.r)];
  const wide = f64.promote(f32.ofBits(i32.wrap(source)));
  const answer = f64.div(f64.const(1), op === 'rcp' ? wide : f64.sqrt(wide));
  const sign = op === 'rcp' ? [] : [i64.shl(source, i64.const(32))];
  return {
    op: `${op}ss`,
    forms: vectorForms(SS.registers),
    flags: 'none',
    traps: true,
    system: true,
    emit: x => [
      set(L.b, low(x, 1, 4)),
      set(L.r, i64.extendU(f32.bits(f32.demote(answer)))),
      uncommon(
        SINGLE_BITS.anyNegative(t.any(t.isSmall(source), t.isInfiniteOrNaN(source), t.isSmall(result), ...sign)),
      ),
      setLow(x, 0, 4, i64.and(i64.add(result, i64.const(0x400)), i64.const(~0x7ff))),
      next,
    ],
  };
}

export const SSE_FLOAT: Family = {
  functions: EXACT_FUNCTIONS,
  semantics: [
    ...ALL.flatMap(l => [
      arithmetic('add', l, l.add, false),
      arithmetic('sub', l, l.subtract, false),
      arithmetic('mul', l, l.multiply, true),
      arithmetic('div', l, l.divide, true),
      root(l),
      extreme('min', l),
      extreme('max', l),
      compare(l),
    ]),
    ...[SS, SD].flatMap(l => [comparison('comi', l), comparison('ucomi', l)]),
    approximation('rcp'),
    approximation('rsqrt'),
  ],
};
