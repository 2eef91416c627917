/** What regions of hot code (engine/region/) are told about x86: the questions about flags, answered without a call. */

import { type Code, i32, i64 } from '../../base/wasm.js';
import { HIDDEN } from '../engine/layout.js';
import type { Hints } from '../engine/region/compile.js';
import { FLAG_CLASS, OF } from './flags.js';

const at = (address: number): Code => i64.load(i32.const(0), address);
/** The operands of the flags, moved up so that their top bit is bit 63. */
const raised = (address: number, log2: number): Code =>
  log2 === 3 ? at(address) : i64.shl(at(address), i64.const(64 - (8 << log2)));
const zero = i64.const(0);

/** An even condition, as an i32; undefined where a call is as good. */
function evenCondition(cc: number, kind: number, log2: number): Code | undefined {
  const [a, b] = [raised(HIDDEN.flagA, log2), raised(HIDDEN.flagB, log2)];
  if (kind === FLAG_CLASS.sub) {
    switch (cc) {
      case 2:
        return i64.ltU(a, b);
      case 4:
        return i64.eq(a, b);
      case 6:
        return i64.leU(a, b);
      case 8:
        return i64.ltS(i64.sub(a, b), zero);
      case 12:
        return i64.ltS(a, b);
      case 14:
        return i64.leS(a, b);
    }
  }
  if (kind === FLAG_CLASS.add) {
    const sum = i64.add(a, b);
    switch (cc) {
      case 2:
        return i64.ltU(sum, a);
      case 4:
        return i64.eqz(sum);
      case 8:
        return i64.ltS(sum, zero);
    }
  }
  if (kind === FLAG_CLASS.result) {
    const bits = i32.wrap(at(HIDDEN.flagB));
    const carry = i32.and(bits, i32.const(1));
    const less = i32.xor(i64.ltS(a, zero), i32.and(i32.shrU(bits, i32.const(Math.log2(OF))), i32.const(1)));
    switch (cc) {
      case 0:
        return i32.and(i32.shrU(bits, i32.const(Math.log2(OF))), i32.const(1));
      case 2:
        return carry;
      case 4:
        return i64.eqz(a);
      case 6:
        return i32.or(carry, i64.eqz(a));
      case 8:
        return i64.ltS(a, zero);
      case 12:
        return less;
      case 14:
        return i32.or(less, i64.eqz(a));
    }
  }
  return undefined;
}
function carry(kind: number, log2: number): Code | undefined {
  const [a, b] = [raised(HIDDEN.flagA, log2), raised(HIDDEN.flagB, log2)];
  if (kind === FLAG_CLASS.sub) return i64.extendU(i64.ltU(a, b));
  if (kind === FLAG_CLASS.add) return i64.extendU(i64.ltU(i64.add(a, b), a));
  return kind === FLAG_CLASS.result ? i64.and(at(HIDDEN.flagB), i64.const(1)) : undefined;
}

export const HINTS: Hints = {
  isCall: name => name.startsWith('call.'),
  inline: (name, args, flagClass) => {
    if (flagClass === undefined) return undefined;
    const [kind, log2] = [flagClass >> 2, flagClass & 3];
    if (name === 'carry') return carry(kind, log2);
    if (name !== 'condition') return undefined;
    const cc = args[0] !== undefined ? numberOf(args[0]) : undefined;
    if (cc === undefined) return undefined;
    const even = evenCondition(cc & ~1, kind, log2);
    return even && (cc & 1 ? i32.eqz(even) : even);
  },
};
/** The value of a small i32 constant. */
function numberOf(code: Code): number | undefined {
  return Array.isArray(code) && code.length === 2 && code[0] === 0x41 ? (code[1] as number) : undefined;
}
