/**
 * The six arithmetic flags, computed when somebody asks. An instruction only notes what it did:
 *
 *   class ADD, SUB   the two operands, zero-extended; every flag follows from them
 *   class RESULT     the result, and CF, AF and OF as bits at their places in RFLAGS; ZF, SF and PF follow
 *   class WORD       all six as bits at their places
 *
 *   11 10 9  8  7  6     4     2     0
 *   OF DF IF TF SF ZF -- AF -- PF -- CF        (SDM 1, 3.4.3)
 *
 * The others (IF, DF, TF, IOPL, AC, ID ...) are in the rflags register's slot; `cpu.get(REG.rflags)` joins both.
 */

import {
  block,
  br,
  brTable,
  type Code,
  call,
  choose,
  type Func,
  get,
  i32,
  i64,
  type Local,
  label,
  ret,
  set,
  when,
} from '../../base/wasm.js';
import type { Bytes } from '../engine/kit.js';
import { HIDDEN } from '../engine/layout.js';

export const CF = 0x1;
export const PF = 0x4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const TF = 0x100;
export const IF = 0x200;
export const DF = 0x400;
export const OF = 0x800;
export const ARITHMETIC = CF | PF | AF | ZF | SF | OF;

export const FLAG_CLASS = { word: 0, add: 1, sub: 2, result: 3 } as const;
export type FlagClass = keyof typeof FLAG_CLASS;

const LOG2: Readonly<Record<Bytes, number>> = { 1: 0, 2: 1, 4: 2, 8: 3 };

/** Notes what the flags follow from; `a` and `b` are i64. For `result`: the result, then CF|AF|OF bits. */
export const setFlags = (kind: FlagClass, size: Bytes, a: Code, b: Code): Code => [
  i32.store(i32.const(0), i32.const((FLAG_CLASS[kind] << 2) | LOG2[size]), HIDDEN.flagClass),
  i64.store(i32.const(0), a, HIDDEN.flagA),
  i64.store(i32.const(0), b, HIDDEN.flagB),
];
/** Sets all six from an i64 word. */
export const setFlagWord = (word: Code): Code =>
  setFlags('word', 8, i64.and(word, i64.const(ARITHMETIC)), i64.const(0));
/** The six flags as an i64 word. */
export const flagWord: Code = i64.extendU(call('flag_word'));
/** CF as an i64, 0 or 1. */
export const carry: Code = call('carry');
/** Condition `cc` (an i32, 0-15 as in the opcodes) as an i32, 0 or 1. */
export const condition = (cc: Code): Code => call('condition', cc);

const flagClass = i32.load(i32.const(0), HIDDEN.flagClass);
const kindIs = (kind: FlagClass): Code => i32.eq(i32.shrU(flagClass, i32.const(2)), i32.const(FLAG_CLASS[kind]));
/** How far to shift an operand so that its top bit is bit 63: then one comparison serves all sizes. */
const alignment = i64.extendU(i32.sub(i32.const(64), i32.shl(i32.const(8), i32.and(flagClass, i32.const(3)))));
const operand = (at: number): Code => i64.load(i32.const(0), at);
const bit = (condition: Code, flag: number): Code => i32.shl(condition, i32.const(Math.log2(flag)));
/** Bit 63 of a value as an i32. */
const top = (value: Code): Code => i32.wrap(i64.shrU(value, i64.const(63)));

const a: Local = { index: 0, type: 'i64' };
const b: Local = { index: 1, type: 'i64' };
const r: Local = { index: 2, type: 'i64' };
const low: Local = { index: 3, type: 'i64' };
const word: Local = { index: 4, type: 'i32' };
const or = (...terms: readonly Code[]): Code => terms.reduce((x, y) => i32.or(x, y));

const flagWordFunc: Func = {
  name: 'flag_word',
  params: [],
  result: 'i32',
  locals: ['i64', 'i64', 'i64', 'i64', 'i32'],
  exported: true,
  body: [
    when(kindIs('word'), ret(i32.wrap(operand(HIDDEN.flagA)))),
    set(a, i64.shl(operand(HIDDEN.flagA), alignment)),
    set(b, i64.shl(operand(HIDDEN.flagB), alignment)),
    when(
      kindIs('result'),
      [set(r, get(a)), set(low, operand(HIDDEN.flagA)), set(word, i32.wrap(operand(HIDDEN.flagB)))],
      [
        when(
          kindIs('add'),
          [
            set(low, i64.add(operand(HIDDEN.flagA), operand(HIDDEN.flagB))),
            set(r, i64.add(get(a), get(b))),
            set(
              word,
              or(
                bit(i64.ltU(get(r), get(a)), CF),
                bit(top(i64.and(i64.xor(get(a), get(r)), i64.xor(get(b), get(r)))), OF),
              ),
            ),
          ],
          [
            set(low, i64.sub(operand(HIDDEN.flagA), operand(HIDDEN.flagB))),
            set(r, i64.sub(get(a), get(b))),
            set(
              word,
              or(
                bit(i64.ltU(get(a), get(b)), CF),
                bit(top(i64.and(i64.xor(get(a), get(b)), i64.xor(get(a), get(r)))), OF),
              ),
            ),
          ],
        ),
        // AF is the carry out of bit 3: where the operands and the result disagree in bit 4.
        set(
          word,
          i32.or(
            get(word),
            i32.and(i32.wrap(i64.xor(get(low), i64.xor(operand(HIDDEN.flagA), operand(HIDDEN.flagB)))), i32.const(AF)),
          ),
        ),
      ],
    ),
    or(
      get(word),
      bit(i64.eqz(get(r)), ZF),
      bit(top(get(r)), SF),
      // PF: the low byte has an even number of ones.
      bit(i32.and(i32.xor(i32.popcnt(i32.and(i32.wrap(get(low)), i32.const(0xff))), i32.const(1)), i32.const(1)), PF),
    ),
  ],
};

const carryFunc: Func = {
  name: 'carry',
  params: [],
  result: 'i64',
  locals: ['i64', 'i64'],
  body: [
    when(i32.or(kindIs('word'), kindIs('result')), [
      set(a, choose('i64', kindIs('word'), operand(HIDDEN.flagA), operand(HIDDEN.flagB))),
      ret(i64.and(get(a), i64.const(CF))),
    ]),
    set(a, i64.shl(operand(HIDDEN.flagA), alignment)),
    set(b, i64.shl(operand(HIDDEN.flagB), alignment)),
    i64.extendU(choose('i32', kindIs('sub'), i64.ltU(get(a), get(b)), i64.ltU(i64.add(get(a), get(b)), get(a)))),
  ],
};

/** The eight conditions; the odd ones are their negations (SDM 1, appendix B). */
const conditionFunc: Func = (() => {
  const cc: Local = { index: 0, type: 'i32' };
  const x: Local = { index: 1, type: 'i64' };
  const y: Local = { index: 2, type: 'i64' };
  const flags: Local = { index: 3, type: 'i32' };
  const result: Local = { index: 4, type: 'i32' };
  const done = label('done');
  const slow = label('slow');
  const cases = (values: readonly (Code | undefined)[], otherwise: typeof done): Code => {
    const labels = values.map((_, n) => label(`condition ${2 * n}`));
    const targets = labels.map((l, n) => (values[n] === undefined ? otherwise : l));
    let code: Code = brTable(i32.shrU(get(cc), i32.const(1)), targets, otherwise);
    values.forEach((value, n) => {
      code = value === undefined ? code : [block(labels[n]!, code), set(result, value), br(done)];
    });
    return code;
  };
  const any = (mask: number): Code => i32.ne(i32.and(get(flags), i32.const(mask)), i32.const(0));
  const less = i32.ne(any(SF), any(OF));
  return {
    name: 'condition',
    params: ['i32'],
    result: 'i32',
    locals: ['i64', 'i64', 'i32', 'i32'],
    body: [
      block(done, [
        block(slow, [
          when(kindIs('sub'), [
            set(x, i64.shl(operand(HIDDEN.flagA), alignment)),
            set(y, i64.shl(operand(HIDDEN.flagB), alignment)),
            cases(
              [
                undefined,
                i64.ltU(get(x), get(y)),
                i64.eq(get(x), get(y)),
                i64.leU(get(x), get(y)),
                i64.ltS(i64.sub(get(x), get(y)), i64.const(0)),
                undefined,
                i64.ltS(get(x), get(y)),
                i64.leS(get(x), get(y)),
              ],
              slow,
            ),
          ]),
        ]),
        set(flags, call('flag_word')),
        cases([any(OF), any(CF), any(ZF), any(CF | ZF), any(SF), any(PF), less, i32.or(any(ZF), less)], done),
      ]),
      i32.xor(get(result), i32.and(get(cc), i32.const(1))),
    ],
  };
})();

export const FLAG_FUNCTIONS: readonly Func[] = [flagWordFunc, carryFunc, conditionFunc];
