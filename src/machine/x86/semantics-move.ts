/** mov, movnti, movzx, movsx, movsxd, lea, cmovcc, setcc, xchg, bswap, cbw, cwd, nop and the fences, and the flags set by hand. */

import { choose, get, i32, i64, set } from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import { type Bytes, field, L, next } from '../engine/kit.js';
import { registerAt } from '../engine/layout.js';
import { AF, CF, condition, DF, flagWord, OF, PF, SF, setFlagWord, ZF } from './flags.js';
import { type Family, forms, type Semantics } from './semantics.js';
import { signed } from './semantics-alu.js';

const ALL: readonly Bytes[] = [1, 2, 4, 8];
const RAX = REG.rax!;
const RDX = REG.rdx!;

const extending = (op: string, shapes: ReturnType<typeof forms>, sign: boolean): Semantics => ({
  op,
  forms: shapes,
  flags: 'none',
  emit: x => [set(L.r, sign ? signed(x.bytes(1), x.read(1)) : x.read(1)), x.write(0, get(L.r)), next],
});
/** clc, stc, cmc: an expression of the old flag word. */
const onFlags = (op: string, word: Parameters<typeof setFlagWord>[0]): Semantics => ({
  op,
  forms: forms(ALL, ''),
  flags: 'reads',
  emit: () => [set(L.a, flagWord), setFlagWord(word), next],
});
const direction = (op: 'cld' | 'std'): Semantics => ({
  op,
  forms: forms(ALL, ''),
  flags: 'none',
  emit: x => [
    set(L.a, x.readRegister(REG.rflags!, 8)),
    x.writeRegister(REG.rflags!, op === 'std' ? i64.or(get(L.a), i64.const(DF)) : i64.and(get(L.a), i64.const(~DF)), 8),
    next,
  ],
});
const AH_FLAGS = SF | ZF | AF | PF | CF;

export const MOVE: Family = {
  semantics: [
    {
      op: 'mov',
      forms: forms(ALL, 'rr ri rM Mr Mi'),
      flags: 'none',
      emit: x => [set(L.r, x.read(1)), x.write(0, get(L.r)), next],
    },
    {
      op: 'movnti',
      forms: forms([4, 8], 'Mr'),
      flags: 'none',
      emit: x => [set(L.r, x.read(1)), x.write(0, get(L.r)), next],
    },
    extending('movzx', forms([2, 4, 8], 'rr1 rM1 rr2 rM2'), false),
    extending('movsx', forms([2, 4, 8], 'rr1 rM1 rr2 rM2'), true),
    extending('movsxd', [...forms([8], 'rr4 rM4'), ...forms([2, 4], 'rr rM')], true),
    {
      op: 'lea',
      forms: [2, 4, 8].flatMap(size =>
        ['m', 'x'].map(kind => ({
          size: size as Bytes,
          operands: [
            { kind: 'r' as const, bytes: size as Bytes },
            { kind: kind as 'm' | 'x', bytes: size as Bytes },
          ],
        })),
      ),
      flags: 'none',
      emit: x => [x.address(1), x.write(0, get(L.va)), next],
    },
    {
      // The source is read, and a 32-bit destination cleared above, whatever the condition says. imm: the condition.
      op: 'cmovcc',
      forms: forms([2, 4, 8], 'rr rM'),
      flags: 'reads',
      emit: x => [
        set(L.a, x.read(1)),
        set(L.r, choose('i64', condition(field.imm32), get(L.a), x.read(0))),
        x.write(0, get(L.r)),
        next,
      ],
    },
    {
      op: 'setcc',
      forms: forms([1], 'r M'),
      flags: 'reads',
      emit: x => [set(L.r, i64.extendU(condition(field.imm32))), x.write(0, get(L.r)), next],
    },
    {
      // Operand 1 is always a register, so after readForStore(0) nothing can fault.
      op: 'xchg',
      forms: forms(ALL, 'rr Mr'),
      flags: 'none',
      emit: x => [set(L.a, x.readForStore(0)), set(L.b, x.read(1)), x.update(0, get(L.b)), x.write(1, get(L.a)), next],
    },
    {
      op: 'xchg',
      forms: forms(ALL, 'rM'),
      flags: 'none',
      emit: x => [set(L.a, x.readForStore(1)), set(L.b, x.read(0)), x.update(1, get(L.b)), x.write(0, get(L.a)), next],
    },
    {
      op: 'bswap',
      forms: forms([2, 4, 8], 'r'),
      flags: 'none',
      emit: x => {
        if (x.size === 2) return [x.write(0, i64.const(0)), next]; // undefined (SDM 2A, BSWAP); processors clear it
        const a = get(L.a);
        const swapPairs = (mask: bigint, by: number) =>
          set(
            L.a,
            i64.or(
              i64.and(i64.shrU(a, i64.const(by)), i64.const(mask)),
              i64.shl(i64.and(a, i64.const(mask)), i64.const(by)),
            ),
          );
        return [
          set(L.a, x.read(0)),
          swapPairs(0x00ff_00ff_00ff_00ffn, 8),
          swapPairs(0x0000_ffff_0000_ffffn, 16),
          x.write(0, x.size === 8 ? i64.rotl(a, i64.const(32)) : a),
          next,
        ];
      },
    },
    {
      // cbw, cwde, cdqe: rax from its own lower half.
      op: 'cbw',
      forms: forms([2, 4, 8], ''),
      flags: 'none',
      emit: x => {
        const half = (x.size / 2) as Bytes;
        return [set(L.r, signed(half, x.readRegister(RAX, half))), x.writeRegister(RAX, get(L.r)), next];
      },
    },
    {
      // cwd, cdq, cqo: rdx from the sign of rax.
      op: 'cwd',
      forms: forms([2, 4, 8], ''),
      flags: 'none',
      emit: x => [x.writeRegister(RDX, i64.shrS(signed(x.size, x.readRegister(RAX)), i64.const(63))), next],
    },
    { op: 'nop', forms: forms(ALL, ''), flags: 'none', emit: () => next },
    // One processor, and no caches: memory is always in order.
    ...['pause', 'lfence', 'mfence', 'sfence'].map(
      (op): Semantics => ({ op, forms: forms(ALL, ''), flags: 'none', emit: () => next }),
    ),
    // A load as far as faults go (SDM 2A, CLFLUSH).
    { op: 'clflush', forms: forms([2, 4, 8], 'M1'), flags: 'none', emit: x => [set(L.a, x.read(0)), next] },
    onFlags('clc', i64.and(get(L.a), i64.const(~CF))),
    onFlags('stc', i64.or(get(L.a), i64.const(CF))),
    onFlags('cmc', i64.xor(get(L.a), i64.const(CF))),
    direction('cld'),
    direction('std'),
    {
      // ah = SF ZF 0 AF 0 PF 1 CF
      op: 'lahf',
      forms: forms(ALL, ''),
      flags: 'reads',
      emit: () => [
        i64.store8(i32.const(0), i64.or(i64.and(flagWord, i64.const(AH_FLAGS)), i64.const(2)), registerAt(RAX) + 1),
        next,
      ],
    },
    {
      op: 'sahf',
      forms: forms(ALL, ''),
      flags: 'reads',
      emit: () => [
        set(L.a, i64.and(flagWord, i64.const(OF))),
        setFlagWord(i64.or(get(L.a), i64.and(i64.load8U(i32.const(0), registerAt(RAX) + 1), i64.const(AH_FLAGS)))),
        next,
      ],
    },
  ],
};
