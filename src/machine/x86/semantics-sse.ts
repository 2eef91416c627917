/**
 * SSE and SSE2 (SDM 1, chapters 10 and 11): what their families share. An xmm register is sixteen bytes of linear memory
 * (hidden.ts), and its operand, kind v, is the address. The number behind it says how many bytes take part: 'v8m8' is movsd.
 *
 *   moves, shuffles, integers   semantics-sse-move.ts, -shuffle.ts, -integer.ts: all in generated code
 *   floats, conversions         semantics-sse-float.ts, -convert.ts: the common case in generated code (round to nearest,
 *                               no exception that is not already noted in mxcsr); all else by sse-system.ts, exactly
 *
 * Every write is of sixteen bytes, also where half of them do not change: a processor does not forward a store of eight
 * to a load of sixteen, and would wait.
 *
 * Most operations have forms for registers only. Then the memory operand is loaded by a micro-record before, into
 * HIDDEN.vector, and is a register to them. Sixteen bytes must be aligned there (SDM 1, 10.4.1.1).
 *
 * Whether the guest may use all this depends on cr0 and cr4 (SDM 3A, 2.5), which change only between blocks: a guard, a
 * micro-record too, looks before the first such instruction of a block.
 */

import { i32x4, i64x2, v128 } from '../../base/simd.js';
import { type Code, get, i32, i64, set, when } from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import type { Handler } from '../engine/build.js';
import { addressOf, type Bytes, L, load, next, trap } from '../engine/kit.js';
import { HIDDEN, registerAt } from '../engine/layout.js';
import { loadVector, storeVector } from '../engine/vector.js';
import { CR0, CR4 } from './control.js';
import { VECTOR } from './fault.js';
import { type Form, forms, type Operands, type Semantics } from './semantics.js';

/** Forms of vector instructions: 'v16v16 v16M16'. Every operand says its size; that of the form is always 8. */
export const vectorForms = (patterns: string): readonly Form[] => forms([8], patterns);

/** Where operand n is, an xmm register or memory that a micro-record loaded. */
export const at = (x: Operands, n: number): Code => x.registerField(n);
/** The sixteen bytes of operand n. */
export const vector = (x: Operands, n: number): Code => v128.load(at(x, n));
/** Writes all sixteen bytes of xmm operand n. */
export const setVector = (x: Operands, n: number, value: Code): Code => v128.store(at(x, n), value);
/** Writes the low eight or four bytes of xmm operand n, from an i64, and keeps the others. */
export const setLow = (x: Operands, n: number, bytes: 4 | 8, value: Code): Code =>
  setVector(
    x,
    n,
    bytes === 8 ? i64x2.replace(vector(x, n), 0, value) : i32x4.replace(vector(x, n), 0, i32.wrap(value)),
  );
/** The low bytes of operand n as an i64, zero-extended: of a register, or of memory (may fault). */
export const low = (x: Operands, n: number, bytes: 4 | 8): Code =>
  x.isMemory(n) ? x.read(n) : bytes === 8 ? i64.load(at(x, n)) : i64.load32U(at(x, n));
export const ZERO = v128.const(0n, 0n);

/** #GP(0) unless L.va is a multiple of 16 (SDM 1, 10.4.1.1). */
const aligned: Code = when(i32.and(i32.wrap(get(L.va)), i32.const(15)), trap(VECTOR.protection));
/** The sixteen bytes of memory operand n. */
export const readVector = (x: Operands, n: number, mustAlign: boolean): Code => [
  x.address(n),
  mustAlign ? aligned : [],
  loadVector,
];
/** Stores xmm operand `from` to memory operand `to`. */
export const writeVector = (x: Operands, to: number, from: number, mustAlign: boolean): Code => [
  x.address(to),
  mustAlign ? aligned : [],
  storeVector(at(x, from)),
];

/** An operation on whole registers: dst := f(dst, src). */
export const onVectors = (op: string, f: (a: Code, b: Code) => Code): Semantics => ({
  op,
  forms: vectorForms('v16v16'),
  flags: 'none',
  traps: true,
  emit: x => [setVector(x, 0, f(vector(x, 0), vector(x, 1))), next],
});

const controlBit = (register: number, bits: bigint): Code =>
  i64.and(i64.load(i32.const(0), registerAt(register)), i64.const(bits));
/** The name of the micro-record that checks whether the guest may use xmm registers. */
export const GUARD_NAME = 'sse';
/** The name of the micro-record that loads a memory operand of so many bytes. */
export const loadName = (bytes: number, indexed: boolean): string => `sse.load.${bytes}.${indexed ? 'x' : 'm'}`;

export const SSE_HANDLERS: readonly Handler[] = [
  {
    name: GUARD_NAME,
    code: [
      when(
        i64.ne(
          i64.or(controlBit(REG.cr0!, CR0.EM), i64.xor(controlBit(REG.cr4!, CR4.OSFXSR), i64.const(CR4.OSFXSR))),
          i64.const(0),
        ),
        trap(VECTOR.invalidOpcode),
      ),
      when(i64.ne(controlBit(REG.cr0!, CR0.TS), i64.const(0)), trap(VECTOR.noDevice)),
      next,
    ],
  },
  ...[4, 8, 16].flatMap(bytes =>
    [false, true].map(
      (indexed): Handler => ({
        name: loadName(bytes, indexed),
        code: [
          set(L.va, addressOf(indexed)),
          bytes === 16
            ? [aligned, v128.store(i32.const(0), loadVector, HIDDEN.vector)]
            : i64.store(i32.const(0), load(bytes as Bytes), HIDDEN.vector),
          next,
        ],
      }),
    ),
  ),
];
