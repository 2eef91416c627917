/**
 * movs, cmps, stos, lods, scas, alone and repeated (SDM 2B, REP). A repeated one is interruptible: after each element
 * rsi, rdi and rcx hold the progress, so a fault in the middle is precise and the instruction goes on where it stopped.
 * It retires, and counts, once: with its last element. It works in pieces of so many elements as debug.ts says,
 * so that however much the guest asks for, the run loop gets a look in (`outAgain`), and single-stepping sees each element.
 *
 *   handler of "rep movs"
 *     rcx = 0? next
 *     loop   bulk: as many elements as lie in one page on both sides, at once; if it cannot,
 *            one element: load [rsi], store [rdi] (both may fault), then rsi, rdi, rcx
 *            rcx = 0? next.   piece done? again
 *
 * Variants, in the handler's name behind the op: `.rep` and `.repne`, and `.a32` for esi, edi and ecx (prefix 67). Records
 * have no operands: only src, the base of the segment rsi is in (rdi is always in es, whose base is 0).
 */

import {
  br,
  brIf,
  type Code,
  call,
  choose,
  type Func,
  get,
  i32,
  i64,
  type Local,
  label,
  loop,
  memoryCopy,
  memoryFill,
  ret,
  select,
  set,
  tee,
  when,
} from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import { type Bytes, field, L, load, next, outAgain, store } from '../engine/kit.js';
import { CONTROL, registerAt } from '../engine/layout.js';
import { DATA_TAG, placeOffset } from '../engine/tlb.js';
import { pageOf } from '../engine/walk.js';
import { DF } from './flags.js';
import type { Insn } from './insn.js';
import { type Family, forms, type Operands, type Semantics } from './semantics.js';

const RSI = REG.rsi!;
const RDI = REG.rdi!;
const RCX = REG.rcx!;
const RAX = REG.rax!;
type Repeat = '' | '.rep' | '.repne';
/** Which handler of an op a string instruction or xlat wants. */
export function stringVariant({ op, rep, addressBytes }: Insn): string {
  const compares = op === 'cmps' || op === 'scas';
  // f2 before an instruction that compares nothing repeats like f3, on every processor there is.
  const repeat: Repeat = rep === '' ? '' : rep === 'repne' && compares ? '.repne' : '.rep';
  return repeat + (addressBytes === 4 ? '.a32' : '');
}
/** Their memory operands are implicit: all that a record says of them is the segment base, in src. */
export const STRING_OPS: ReadonlySet<string> = new Set(['movs', 'cmps', 'stos', 'lods', 'scas', 'xlat']);

/** One variant of one op. */
interface Shape {
  readonly op: string;
  readonly repeat: Repeat;
  readonly address: 4 | 8;
}
const inSegment = (address: Code): Code => i64.add(address, i64.load(field.src));
const toSource = (x: Operands, { address }: Shape): Code => set(L.va, inSegment(x.readRegister(RSI, address)));
const toDestination = (x: Operands, { address }: Shape): Code => set(L.va, x.readRegister(RDI, address));
/** Moves rsi or rdi past an element: up, or down with DF. */
const step = (x: Operands, reg: number, { address }: Shape): Code =>
  x.writeRegister(
    reg,
    i64.add(
      x.readRegister(reg, address),
      select(
        i64.const(-x.size),
        i64.const(x.size),
        i32.and(i32.load(i32.const(0), registerAt(REG.rflags!)), i32.const(DF)),
      ),
    ),
    address,
  );

/** One element. Everything that may fault comes first. `compared`: it leaves L.a and L.b, which the flags follow from. */
interface Element {
  readonly code: (x: Operands, shape: Shape) => Code;
  readonly compares: boolean;
  /** A function that does many elements at once: (size, limit, tags, segment base) -> elements done. */
  readonly bulk?: string;
}
const ELEMENTS: Readonly<Record<string, Element>> = {
  movs: {
    compares: false,
    bulk: 'bulk_move',
    code: (x, shape) => [
      toSource(x, shape),
      set(L.a, load(x.size)),
      toDestination(x, shape),
      store(x.size, get(L.a)),
      step(x, RSI, shape),
      step(x, RDI, shape),
    ],
  },
  stos: {
    compares: false,
    bulk: 'bulk_fill',
    code: (x, shape) => [toDestination(x, shape), store(x.size, x.readRegister(RAX)), step(x, RDI, shape)],
  },
  lods: {
    compares: false,
    code: (x, shape) => [
      toSource(x, shape),
      set(L.a, load(x.size)),
      x.writeRegister(RAX, get(L.a)),
      step(x, RSI, shape),
    ],
  },
  cmps: {
    compares: true,
    code: (x, shape) => [
      toSource(x, shape),
      set(L.a, load(x.size)),
      toDestination(x, shape),
      set(L.b, load(x.size)),
      step(x, RSI, shape),
      step(x, RDI, shape),
    ],
  },
  scas: {
    compares: true,
    code: (x, shape) => [
      toDestination(x, shape),
      set(L.b, load(x.size)),
      set(L.a, x.readRegister(RAX)),
      step(x, RDI, shape),
    ],
  },
};

const flagsOf = (x: Operands, { compares }: Element): Code => (compares ? x.setFlags('sub', get(L.a), get(L.b)) : []);

// Comparisons say 'reads', not 'sets': with operands in memory they have no use for quiet variants.
const once = (element: Element, shape: Shape): Semantics => ({
  op: shape.op + (shape.address === 4 ? '.a32' : ''),
  forms: forms([1, 2, 4, 8], ''),
  flags: element.compares ? 'reads' : 'none',
  traps: true,
  emit: x => [element.code(x, shape), flagsOf(x, element), next],
});

const repeated = (element: Element, shape: Shape): Semantics => ({
  op: shape.op + shape.repeat + (shape.address === 4 ? '.a32' : ''),
  forms: forms([1, 2, 4, 8], ''),
  flags: element.compares ? 'reads' : 'none',
  traps: true,
  emit: x => {
    const again = label('element');
    const counter = x.readRegister(RCX, shape.address);
    // The flags of a comparison are written at the end: a fault leaves those of before the instruction (SDM 2B, REP).
    const stopped = (shape.repeat === '.repne' ? i64.eq : i64.ne)(get(L.a), get(L.b));
    const bulk =
      element.bulk && shape.address === 8
        ? call(element.bulk, i32.const(x.size), get(L.n), get(L.tags), i64.load(field.src))
        : undefined;
    const one: Code = [
      element.code(x, shape),
      x.writeRegister(RCX, i64.sub(counter, i64.const(1)), shape.address),
      set(L.m, i32.const(1)),
    ];
    return [
      when(i64.eqz(counter), next),
      set(L.n, i32.load(i32.const(0), CONTROL.elements)),
      loop(again, [
        bulk ? when(i32.eqz(tee(L.m, bulk)), one) : one,
        when(element.compares ? i32.or(i64.eqz(counter), stopped) : i64.eqz(counter), [flagsOf(x, element), next]),
        brIf(again, i32.gtS(tee(L.n, i32.sub(get(L.n), get(L.m))), i32.const(0))),
      ]),
      // Who looks between two elements sees the flags of the comparison just made.
      element.compares ? when(i32.eq(i32.load(i32.const(0), CONTROL.elements), i32.const(1)), flagsOf(x, element)) : [],
      outAgain,
    ];
  },
});

/** The low 4096 minus the offset in the page, in elements: how many fit before the page of va ends. */
const fitting = (va: Code, log2: Code): Code =>
  i32.shrU(i32.sub(i32.const(4096), i32.and(i32.wrap(va), i32.const(4095))), log2);
const register = (reg: number): Code => i64.load(i32.const(0), registerAt(reg));
const setRegister = (reg: number, value: Code): Code => i64.store(i32.const(0), value, registerAt(reg));

/**
 * The bulk functions do only what is quite ordinary: upwards, 64-bit addresses, whole elements within one page that has
 * a fast tag (nobody watches it). Else they do nothing and return 0, and the element goes the usual way.
 */
const bulk = (name: string, moves: boolean): Func => {
  const [size, limit, tags]: Local[] = [0, 1, 2].map(index => ({ index, type: 'i32' as const }));
  const segment: Local = { index: 3, type: 'i64' };
  const [log2, count, tag, from, to, bytes]: Local[] = [4, 5, 6, 7, 8, 9].map(index => ({
    index,
    type: 'i32' as const,
  }));
  const va: Local = { index: 10, type: 'i64' };
  const value: Local = { index: 11, type: 'i64' };
  const fill = label('fill');
  const nothing = ret(i32.const(0));
  const least = (n: Code): Code => when(i32.gtU(get(count!), n), set(count!, n));
  /** `host` := the host address of va if its page has the tag; else returns. */
  const locate = (host: Local, kind: 'read' | 'write'): Code => [
    set(tag!, i32.add(placeOffset(get(va), 5), get(tags!))),
    when(i64.ne(i64.load(get(tag!), DATA_TAG[kind]), pageOf(get(va))), nothing),
    set(host, i32.add(i32.wrap(get(va)), i32.load(get(tag!), DATA_TAG.addend))),
  ];
  const advance = (reg: number): Code => setRegister(reg, i64.add(register(reg), i64.extendU(get(bytes!))));

  const source: Code = [
    set(va, i64.add(register(RSI), get(segment))),
    locate(from!, 'read'),
    least(fitting(get(va), get(log2!))),
  ];
  // A copy of memory onto itself a little further on repeats a pattern: only so much at once as is not read again.
  const copy: Code = [
    when(i32.gtU(get(to!), get(from!)), least(i32.shrU(i32.sub(get(to!), get(from!)), get(log2!)))),
    when(i32.eqz(get(count!)), nothing),
    set(bytes!, i32.shl(get(count!), get(log2!))),
    memoryCopy(get(to!), get(from!), get(bytes!)),
    advance(RSI),
  ];
  const isSize = (n: Bytes): Code => i32.eq(get(size!), i32.const(n));
  const spread: Code = [
    // rax's element, over and over in 64 bits.
    set(value, register(RAX)),
    when(isSize(1), set(value, i64.mul(i64.and(get(value), i64.const(0xff)), i64.const(0x0101_0101_0101_0101n)))),
    when(isSize(2), set(value, i64.mul(i64.and(get(value), i64.const(0xffff)), i64.const(0x0001_0001_0001_0001n)))),
    when(
      isSize(4),
      set(value, i64.mul(i64.and(get(value), i64.const(0xffff_ffff)), i64.const(0x0000_0001_0000_0001n))),
    ),
    when(i32.eqz(get(count!)), nothing),
    set(bytes!, i32.shl(get(count!), get(log2!))),
    when(
      i64.eq(get(value), i64.rotl(get(value), i64.const(8))),
      memoryFill(get(to!), i32.wrap(get(value)), get(bytes!)),
      [
        set(from!, get(bytes!)),
        loop(fill, [
          when(i32.geU(get(from!), i32.const(8)), [
            i64.store(get(to!), get(value)),
            set(to!, i32.add(get(to!), i32.const(8))),
            set(from!, i32.sub(get(from!), i32.const(8))),
            br(fill),
          ]),
        ]),
        when(i32.and(get(from!), i32.const(4)), [
          i64.store32(get(to!), get(value)),
          set(to!, i32.add(get(to!), i32.const(4))),
        ]),
        when(i32.and(get(from!), i32.const(2)), i64.store16(get(to!), get(value))),
      ],
    ),
  ];
  return {
    name,
    params: ['i32', 'i32', 'i32', 'i64'],
    result: 'i32',
    locals: ['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i64', 'i64'],
    body: [
      when(i32.and(i32.load(i32.const(0), registerAt(REG.rflags!)), i32.const(DF)), nothing),
      set(log2!, i32.ctz(get(size!))),
      set(
        count!,
        choose('i32', i64.ltU(register(RCX), i64.extendU(get(limit!))), i32.wrap(register(RCX)), get(limit!)),
      ),
      set(va, register(RDI)),
      locate(to!, 'write'),
      least(fitting(get(va), get(log2!))),
      moves ? [source, copy] : spread,
      advance(RDI),
      setRegister(RCX, i64.sub(register(RCX), i64.extendU(get(count!)))),
      get(count!),
    ],
  };
};

/** al := [rbx + al], in the segment of the record. */
const xlat = (address: 4 | 8): Semantics => ({
  op: address === 4 ? 'xlat.a32' : 'xlat',
  forms: forms([1], ''),
  flags: 'none',
  traps: true,
  emit: x => {
    const sum = i64.add(x.readRegister(REG.rbx!, 8), x.readRegister(RAX, 1));
    return [
      set(L.va, inSegment(address === 4 ? i64.and(sum, i64.const(0xffff_ffff)) : sum)),
      set(L.a, load(1)),
      x.writeRegister(RAX, get(L.a), 1),
      next,
    ];
  },
});

const REPEATS = (element: Element): readonly Repeat[] => (element.compares ? ['.rep', '.repne'] : ['.rep']);

export const STRING: Family = {
  semantics: [
    ...Object.entries(ELEMENTS).flatMap(([op, element]) =>
      ([8, 4] as const).flatMap(address => [
        once(element, { op, repeat: '', address }),
        ...REPEATS(element).map(repeat => repeated(element, { op, repeat, address })),
      ]),
    ),
    xlat(8),
    xlat(4),
  ],
  functions: [bulk('bulk_move', true), bulk('bulk_fill', false)],
};
