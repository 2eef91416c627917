/**
 * jmp, jcc, call, ret, jrcxz, loop, loope, loopne, push, pop, leave, and the fused pairs of a comparison and the jcc behind it.
 * A target of an indirect branch must be canonical, or the branch itself faults (Intel; SDM 2A, JMP, CALL, RET).
 */

import { type Code, get, i32, i64, set, when } from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import { type Bytes, field, jump, L, leave, load, next, pcAfter, store, trap } from '../engine/kit.js';
import { condition } from './flags.js';
import { type Family, forms, type Operands, type Semantics } from './semantics.js';
import { cut, signed } from './semantics-alu.js';

const RSP = REG.rsp!;
const RBP = REG.rbp!;
const RCX = REG.rcx!;
const GENERAL_PROTECTION = 13;
const [a, b, r] = [get(L.a), get(L.b), get(L.r)];

const stackPointer = (x: Operands): Code => x.readRegister(RSP, 8);
const setStackPointer = (x: Operands, value: Code): Code => x.writeRegister(RSP, value, 8);
/** Stores, then moves the stack pointer: a fault leaves it where it was. */
export const push = (x: Operands, bytes: Bytes, value: Code): Code => [
  set(L.va, i64.sub(stackPointer(x), i64.const(bytes))),
  store(bytes, value),
  setStackPointer(x, get(L.va)),
];
const checkCanonical = (target: Code): Code =>
  when(i64.ne(i64.shrS(i64.shl(target, i64.const(16)), i64.const(16)), target), trap(GENERAL_PROTECTION));

/** Whether a comparison of a and b (zero-extended) makes the even condition cc true; undefined where it is not fused. */
function compared(cc: number, size: Bytes): Code | undefined {
  switch (cc) {
    case 2:
      return i64.ltU(a, b);
    case 4:
      return i64.eq(a, b);
    case 6:
      return i64.leU(a, b);
    case 8:
      return i64.ltS(signed(size, i64.sub(a, b)), i64.const(0));
    case 12:
      return i64.ltS(signed(size, a), signed(size, b));
    case 14:
      return i64.leS(signed(size, a), signed(size, b));
    default:
      return undefined;
  }
}
/** The same for r = a & b, where CF and OF are 0. */
function tested(cc: number, size: Bytes): Code | undefined {
  switch (cc) {
    case 4:
      return i64.eqz(r);
    case 8:
    case 12:
      return i64.ltS(signed(size, r), i64.const(0));
    case 14:
      return i64.leS(signed(size, r), i64.const(0));
    default:
      return undefined;
  }
}
/**
 * "cmp+j4": a comparison and the conditional jump behind it as one record of two instructions. Only even conditions:
 * the translator swaps the ways out for the odd ones. The flags are noted all the same, for whoever comes after.
 */
const FUSED: readonly Semantics[] = [2, 4, 6, 8, 12, 14].flatMap(cc => [
  {
    op: `cmp+j${cc}`,
    forms: [...forms([4, 8], 'rr ri rM Mr Mi'), ...forms([1], 'rr ri Mi Mr rM')],
    flags: 'sets' as const,
    ends: true,
    emit: (x: Operands): Code => [
      set(L.a, x.read(0)),
      set(L.b, x.read(1)),
      x.setFlags('sub', a, b),
      leave(compared(cc, x.size)!),
    ],
  },
  ...(tested(cc, 8)
    ? [
        {
          op: `test+j${cc}`,
          forms: [...forms([4, 8], 'rr ri'), ...forms([1], 'rr ri Mi')],
          flags: 'sets' as const,
          ends: true,
          emit: (x: Operands): Code => [
            set(L.r, i64.and(x.read(0), x.read(1))),
            x.setFlags('result', r, i64.const(0)),
            leave(tested(cc, x.size)!),
          ],
        },
      ]
    : []),
]);

const countDown = (op: string, also: (x: Operands) => Code): Semantics => ({
  op,
  forms: forms([4, 8], 'j'),
  flags: 'reads',
  ends: true,
  // The operand size of the form is the address size: ecx or rcx.
  emit: x => [
    set(L.a, i64.sub(x.readRegister(RCX), i64.const(1))),
    x.writeRegister(RCX, a),
    leave(i32.and(i64.ne(cut(x.size, a), i64.const(0)), also(x))),
  ],
});
const zeroFlag = condition(i32.const(4));

const CALLS: readonly Semantics[] = [
  { op: 'jmp', forms: forms([8], 'j'), flags: 'none', ends: true, emit: () => leave(i32.const(1)) },
  {
    op: 'jmp',
    forms: forms([8], 'r M'),
    flags: 'none',
    ends: true,
    emit: x => [set(L.pc, x.read(0)), checkCanonical(get(L.pc)), jump(get(L.pc))],
  },
  { op: 'jcc', forms: forms([8], 'j'), flags: 'reads', ends: true, emit: () => leave(condition(field.imm32)) },
  {
    op: 'jrcxz',
    forms: forms([4, 8], 'j'),
    flags: 'none',
    ends: true,
    emit: x => leave(i64.eqz(x.readRegister(RCX))),
  },
  countDown('loop', () => i32.const(1)),
  countDown('loope', () => zeroFlag),
  countDown('loopne', () => i32.eqz(zeroFlag)),
  {
    op: 'call',
    forms: forms([8], 'j'),
    flags: 'none',
    ends: true,
    emit: x => [set(L.a, pcAfter), push(x, 8, a), leave(i32.const(1))],
  },
  {
    op: 'call',
    forms: forms([8], 'r M'),
    flags: 'none',
    ends: true,
    emit: x => [set(L.pc, x.read(0)), checkCanonical(get(L.pc)), set(L.a, pcAfter), push(x, 8, a), jump(get(L.pc))],
  },
  {
    // imm: bytes of arguments to drop, 0 in the plain form.
    op: 'ret',
    forms: forms([8], 'i'),
    flags: 'none',
    ends: true,
    traps: true,
    emit: x => [
      set(L.va, stackPointer(x)),
      set(L.pc, load(8)),
      checkCanonical(get(L.pc)),
      setStackPointer(x, i64.add(i64.add(stackPointer(x), i64.const(8)), field.imm)),
      jump(get(L.pc)),
    ],
  },
];

const STACK: readonly Semantics[] = [
  {
    op: 'push',
    forms: forms([2, 8], 'r i M'),
    flags: 'none',
    traps: true,
    emit: x => [set(L.a, x.read(0)), push(x, x.size, a), next],
  },
  {
    // pop rsp: the value wins over the increment, so the pointer moves first.
    op: 'pop',
    forms: forms([2, 8], 'r'),
    flags: 'none',
    traps: true,
    emit: x => [
      set(L.va, stackPointer(x)),
      set(L.a, load(x.size)),
      setStackPointer(x, i64.add(stackPointer(x), i64.const(x.size))),
      x.write(0, a),
      next,
    ],
  },
  {
    // An address based on rsp is computed with the pointer already moved (SDM 2B, POP): the translator added it to disp.
    op: 'pop',
    forms: forms([2, 8], 'M'),
    flags: 'none',
    traps: true,
    emit: x => [
      set(L.va, stackPointer(x)),
      set(L.a, load(x.size)),
      x.write(0, a),
      setStackPointer(x, i64.add(stackPointer(x), i64.const(x.size))),
      next,
    ],
  },
  {
    op: 'leave',
    forms: forms([2, 8], ''),
    flags: 'none',
    traps: true,
    emit: x => [
      set(L.va, x.readRegister(RBP, 8)),
      set(L.a, load(x.size)),
      setStackPointer(x, i64.add(get(L.va), i64.const(x.size))),
      x.writeRegister(RBP, a),
      next,
    ],
  },
];

export const BRANCH: Family = { semantics: [...FUSED, ...CALLS, ...STACK] };
