/**
 * xadd, cmpxchg, cmpxchg8b, cmpxchg16b. There is one processor, so every instruction is atomic and lock changes nothing.
 * The processor writes the destination even when it compared unequal; we only demand that it may be written.
 */

import { type Code, get, i32, i64, set, when } from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import { type Bytes, L, load, loadForStore, next, store, trap } from '../engine/kit.js';
import { flagWord, setFlagWord, ZF } from './flags.js';
import { type Family, forms, type Semantics } from './semantics.js';

const ALL: readonly Bytes[] = [1, 2, 4, 8];
const { rax: RAX, rdx: RDX, rbx: RBX, rcx: RCX } = REG as Record<'rax' | 'rdx' | 'rbx' | 'rcx', number>;
const GENERAL_PROTECTION = 13;
const [a, b, c, r] = [get(L.a), get(L.b), get(L.c), get(L.r)];

const setZero = (condition: Code): Code =>
  setFlagWord(i64.or(i64.and(flagWord, i64.const(~ZF)), i64.shl(i64.extendU(condition), i64.const(Math.log2(ZF)))));

const xadd: Semantics = {
  op: 'xadd',
  forms: forms(ALL, 'rr Mr'),
  flags: 'sets',
  // Of two operands that are one register the sum is what stays, so it is written last there.
  emit: x => {
    const sum = x.update(0, r);
    const old = x.write(1, a);
    return [
      set(L.a, x.readForStore(0)),
      set(L.b, x.read(1)),
      set(L.r, i64.add(a, b)),
      x.isMemory(0) ? [sum, old] : [old, sum],
      x.setFlags('add', a, b),
      next,
    ];
  },
};
const cmpxchg: Semantics = {
  op: 'cmpxchg',
  forms: forms(ALL, 'rr Mr'),
  flags: 'sets',
  emit: x => [
    set(L.a, x.readForStore(0)),
    set(L.b, x.read(1)),
    set(L.c, x.readRegister(RAX)),
    when(i64.eq(a, c), x.update(0, b), x.writeRegister(RAX, a)),
    x.setFlags('sub', c, a),
    next,
  ],
};
/** Compares edx:eax with 8 bytes and stores ecx:ebx there, or loads them. */
const cmpxchg8b: Semantics = {
  op: 'cmpxchg8b',
  forms: forms([2, 4], 'M8'),
  flags: 'reads',
  emit: x => {
    const pair = (high: number, low: number): Code =>
      i64.or(i64.shl(x.readRegister(high, 4), i64.const(32)), x.readRegister(low, 4));
    return [
      set(L.a, x.readForStore(0)),
      set(L.b, pair(RCX, RBX)),
      set(L.m, i64.eq(a, pair(RDX, RAX))),
      when(get(L.m), x.update(0, b), [x.writeRegister(RAX, a, 4), x.writeRegister(RDX, i64.shrU(a, i64.const(32)), 4)]),
      setZero(get(L.m)),
      next,
    ];
  },
};
/** The same with rdx:rax and rcx:rbx and 16 bytes, which must be aligned and so lie in one page. */
const cmpxchg16b: Semantics = {
  op: 'cmpxchg16b',
  forms: forms([8], 'M'),
  flags: 'reads',
  traps: true,
  emit: x => {
    const high = set(L.va, i64.add(get(L.va), i64.const(8)));
    const low = set(L.va, i64.sub(get(L.va), i64.const(8)));
    const register = (reg: number): Code => x.readRegister(reg, 8);
    return [
      x.address(0),
      when(i32.wrap(i64.and(get(L.va), i64.const(15))), trap(GENERAL_PROTECTION)),
      set(L.a, loadForStore(8)),
      high,
      set(L.b, load(8)),
      set(L.m, i32.and(i64.eq(a, register(RAX)), i64.eq(b, register(RDX)))),
      when(
        get(L.m),
        [low, store(8, register(RBX)), high, store(8, register(RCX))],
        [x.writeRegister(RAX, a, 8), x.writeRegister(RDX, b, 8)],
      ),
      setZero(get(L.m)),
      next,
    ];
  },
};

export const ATOMIC: Family = { semantics: [xadd, cmpxchg, cmpxchg8b, cmpxchg16b] };
