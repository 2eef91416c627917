/**
 * Every instruction we execute: one line a family. The handlers are all forms of all semantics; an instruction finds
 * its handler by the name of its form (semantics.ts), or its SystemOp by its op. What is in neither is unimplemented.
 */
import { assert } from '../../base/assert.js';
import { type Code, type Func, i32, i64 } from '../../base/wasm.js';
import type { Handler } from '../engine/build.js';
import { type Bytes, field, next, peek } from '../engine/kit.js';
import { HIDDEN } from '../engine/layout.js';
import { VECTOR_FUNCTIONS } from '../engine/vector.js';
import { FLAG_FUNCTIONS } from './flags.js';
import { type Family, formName, Operands, type Semantics, type SystemOp } from './semantics.js';
import { ALU, signed } from './semantics-alu.js';
import { ATOMIC } from './semantics-atomic.js';
import { BITS } from './semantics-bits.js';
import { BRANCH } from './semantics-branch.js';
import { FRAME } from './semantics-frame.js';
import { MOVE } from './semantics-move.js';
import { MULDIV } from './semantics-muldiv.js';
import { SHIFT } from './semantics-shift.js';
import { SSE_HANDLERS } from './semantics-sse.js';
import { SSE_CONVERT } from './semantics-sse-convert.js';
import { SSE_FLOAT } from './semantics-sse-float.js';
import { SSE_INTEGER } from './semantics-sse-integer.js';
import { SSE_MOVE } from './semantics-sse-move.js';
import { SSE_SHUFFLE } from './semantics-sse-shuffle.js';
import { STRING } from './semantics-string.js';
import { SYSTEM } from './system.js';

const FAMILIES: readonly Family[] = [
  ALU,
  SHIFT,
  MULDIV,
  MOVE,
  BRANCH,
  BITS,
  ATOMIC,
  STRING,
  FRAME,
  SSE_MOVE,
  SSE_INTEGER,
  SSE_SHUFFLE,
  SSE_FLOAT,
  SSE_CONVERT,
  SYSTEM,
];

/**
 * Micro-records for addresses that m and x cannot say: segment base + (base + (index << scale) + offset, cut to the
 * address size). src: the segment base; imm: the offset. For bt and its like dst is the register with the bit number: its
 * multiples of the operand size are added, as bytes.
 */
const address = (bytes: 4 | 8, bitsOf?: Bytes): Handler => {
  const operand = i64.add(i64.add(i64.load(field.base), i64.shl(i64.load(field.index), field.scale)), field.imm);
  const sum = bitsOf
    ? i64.add(
        operand,
        i64.mul(i64.shrS(signed(bitsOf, peek(bitsOf, field.dst)), i64.const(Math.log2(8 * bitsOf))), i64.const(bitsOf)),
      )
    : operand;
  const effective: Code = bytes === 4 ? i64.and(sum, i64.const(0xffff_ffff)) : sum;
  return {
    name: bitsOf ? `bits.${bitsOf}.${bytes}` : `address.${bytes}`,
    code: [i64.store(i32.const(0), i64.add(effective, i64.load(field.src)), HIDDEN.address), next],
  };
};

/** The suffix of a handler that leaves flags alone because nobody reads them. */
export const QUIET = '.q';

/** Handlers in name order of the families, and the semantics behind each name. */
function collect(): { handlers: Handler[]; byName: Map<string, Semantics> } {
  const handlers = ([4, 8] as const).flatMap(bytes => [
    address(bytes),
    ...([2, 4, 8] as const).map(size => address(bytes, size)),
  ]);
  handlers.push(...SSE_HANDLERS);
  const byName = new Map<string, Semantics>();
  for (const semantics of FAMILIES.flatMap(f => f.semantics ?? [])) {
    for (const form of semantics.forms) {
      const name = formName(semantics.op, form);
      assert(!byName.has(name), `one meaning for ${name}`);
      byName.set(name, semantics);
      handlers.push({ name, code: semantics.emit(new Operands(form, false)) });
      const plain = form.operands.every(o => o.kind === 'r' || o.kind === 'i');
      if (!semantics.ends && plain && (semantics.flags === 'sets' || semantics.flags === 'merges')) {
        handlers.push({ name: name + QUIET, code: semantics.emit(new Operands(form, true)) });
      }
    }
  }
  return { handlers, byName };
}

const collected = collect();
export const HANDLERS: readonly Handler[] = collected.handlers;
export const SEMANTICS: ReadonlyMap<string, Semantics> = collected.byName;
export const FUNCTIONS: readonly Func[] = [
  ...FLAG_FUNCTIONS,
  ...VECTOR_FUNCTIONS,
  ...FAMILIES.flatMap(f => f.functions ?? []),
];
export const SYSTEM_OPS: ReadonlyMap<string, SystemOp> = new Map(
  FAMILIES.flatMap(f => f.system ?? []).map(s => [s.op, s]),
);
