/**
 * The opcode map of 64-bit mode, as data: four lists of rows (one byte, 0f, SSE, x87) and what turns rows into a table
 * the decoder can index. A row reads as in appendix A of SDM volume 2D:
 *
 *     83 /5        sub      Ev,Ibs
 *     0f: 6f f3    movdqu   Vo,Wo
 *     opcode selectors  operation  operands  size
 *
 * Opcode: one byte, or a range (50-57).
 *
 * Selectors narrow a row:  /3 /2-5   the reg field of ModRM          m/3 r/3   ... with a memory or a register operand
 *                          =e0       the whole ModRM byte            b         only with REX.B (no ModRM)
 *                          np 66 f3 f2   the mandatory prefix; a row with one wins over a row without
 *
 * Operands: a letter for where it is, a letter for how wide it is, both as in appendix A:
 *
 *     E general register or memory by ModRM     M memory only      R general register only (mod is ignored)
 *     G general register by ModRM.reg           Z general register by the opcode's low three bits (A.2.1 has no letter)
 *     W V U  xmm: register or memory, ModRM.reg, register only     Q P N  mmx, likewise
 *     S segment, C control, D debug register by ModRM.reg          ST, STi  x87 stack
 *     I immediate   J branch displacement   O absolute address     X [rsi]   Y [rdi]
 *     AL AX rAX CL DX FS GS   that register   1 the constant       rBX rDIq rDIo   memory there, for xlat and maskmov
 *     RvMw: a register is `v` wide, memory `w`
 *
 *     b 1   w 2   d 4   q 8   o 16   t 10 bytes   v 2, 4, 8: the operand size   z 2, 4, 4   y 4, 4, 8
 *     p far pointer   s descriptor table register   e x87 environment   f x87 state   x fxsave area   bs 1, sign-extended
 *     no letter: memory of which this instruction reads nothing, or an amount that the operands do not tell
 *
 * Size, where it is not the usual 4 (2 with 66, 8 with REX.W):
 *     byte 1, also when an operand says so   d64 8 (2 with 66)   f64 8   no64 4 (2 with 66)   no16 4 (8 with REX.W), also
 *     when 66 is the mandatory prefix   w0 w1 only without, with REX.W
 *
 * The operation (bad) takes bytes away from a wider row.
 */
import { assert } from '../../base/assert.js';
import { TWO_BYTE } from './opcodes-0f.js';
import { ONE_BYTE } from './opcodes-one.js';
import { SSE } from './opcodes-sse.js';
import { X87 } from './opcodes-x87.js';

/** Where an operand is found. */
export type Place =
  | 'general-rm'
  | 'general-reg'
  | 'general-opcode'
  | 'general-only'
  | 'general-fixed'
  | 'memory'
  | 'xmm-rm'
  | 'xmm-reg'
  | 'mm-rm'
  | 'mm-reg'
  | 'segment-reg'
  | 'segment-fixed'
  | 'control-reg'
  | 'debug-reg'
  | 'st-fixed'
  | 'st-rm'
  | 'immediate'
  | 'immediate-signed'
  | 'one'
  | 'relative'
  | 'absolute'
  | 'string';

/** Bytes by operand size: index it with 1, 2, 4 or 8. */
export type Width = readonly number[];

export interface OperandForm {
  readonly place: Place;
  /** As a register, or an immediate as it is encoded. */
  readonly width: Width;
  /** As memory. */
  readonly memory: Width;
  /** The register of the fixed places; the base of 'string'. */
  readonly reg: number;
  /** 'string' in es: a segment prefix does not reach it (SDM 1, 7.3.9.2). */
  readonly noSegment: boolean;
}

/** One instruction form: what is left to do once its row is found. */
export interface Form {
  readonly op: string;
  readonly operands: readonly OperandForm[];
  /** Operand size by (REX.W ? 2 : 0) + (66 ? 1 : 0). */
  readonly sizes: readonly (1 | 2 | 4 | 8)[];
  /** The lock prefix is legal when the destination is memory. */
  readonly lockable: boolean;
  readonly repeatable: boolean;
  /** The opcode's low four bits are a condition. */
  readonly conditional: boolean;
}

/** One opcode. `cells` holds indices of `forms`, and is empty when all would be 1; forms[0] stands for invalid. */
export interface Slot {
  readonly hasModrm: boolean;
  readonly forms: readonly (Form | undefined)[];
  readonly cells: Uint8Array;
}

/*
 * A cell of a slot, by what selectors can ask for:
 *
 *    10  9   8   7                     0
 *   +------+---+-------------------------+
 *   |prefix| W | ModRM, or REX.B without |       prefix: 0 none, 1 66, 2 f3, 3 f2
 *   +------+---+-------------------------+
 */
const CELLS = 2048;
export const cellOf = (prefix: number, wide: number, low: number): number => (prefix << 9) | (wide << 8) | low;
const PREFIXES = ['np', '66', 'f3', 'f2'];

//                           by size:  1     2      4       8
const widths = (one: number, two: number, four: number, eight: number): Width => [0, one, two, 0, four, 0, 0, 0, eight];
const always = (bytes: number): Width => widths(bytes, bytes, bytes, bytes);
const OPERAND_SIZE = widths(1, 2, 4, 8);
const WIDTHS: Readonly<Record<string, Width>> = {
  '': always(0),
  b: always(1),
  w: always(2),
  d: always(4),
  q: always(8),
  o: always(16),
  t: always(10),
  s: always(10),
  x: always(512),
  v: OPERAND_SIZE,
  z: widths(1, 2, 4, 4),
  y: widths(4, 4, 4, 8),
  p: widths(3, 4, 6, 10),
  e: widths(28, 14, 28, 28),
  f: widths(108, 94, 108, 108),
};

const PLACES: Readonly<Record<string, Place>> = {
  E: 'general-rm',
  G: 'general-reg',
  Z: 'general-opcode',
  R: 'general-only',
  M: 'memory',
  W: 'xmm-rm',
  V: 'xmm-reg',
  U: 'xmm-rm',
  Q: 'mm-rm',
  P: 'mm-reg',
  N: 'mm-rm',
  S: 'segment-reg',
  C: 'control-reg',
  D: 'debug-reg',
  I: 'immediate',
  J: 'relative',
  O: 'absolute',
};

const operand = (place: Place, width: Width, memory: Width = width, reg = 0, noSegment = false): OperandForm => ({
  place,
  width,
  memory,
  reg,
  noSegment,
});
const general = (reg: number, width: string): OperandForm => operand('general-fixed', WIDTHS[width]!, WIDTHS[''], reg);
const NAMED: Readonly<Record<string, OperandForm>> = {
  AL: general(0, 'b'),
  AX: general(0, 'w'),
  eAX: general(0, 'z'),
  rAX: general(0, 'v'),
  CL: general(1, 'b'),
  DX: general(2, 'w'),
  FS: operand('segment-fixed', WIDTHS.w!, WIDTHS[''], 4),
  GS: operand('segment-fixed', WIDTHS.w!, WIDTHS[''], 5),
  ST: operand('st-fixed', WIDTHS.t!),
  STi: operand('st-rm', WIDTHS.t!),
  rBX: operand('string', WIDTHS['']!, WIDTHS.b, 3),
  rDIq: operand('string', WIDTHS['']!, WIDTHS.q, 7),
  rDIo: operand('string', WIDTHS['']!, WIDTHS.o, 7),
  '1': operand('one', WIDTHS.b!),
  Ibs: operand('immediate-signed', WIDTHS.b!),
  Iz: operand('immediate-signed', WIDTHS.z!),
  // A bare E is the operand of a nop: decoded like any other, never accessed.
  E: operand('general-rm', OPERAND_SIZE, WIDTHS['']),
};

function operandOf(code: string): OperandForm {
  const named = NAMED[code];
  if (named) return named;
  const mixed = /^R(\w)M(\w)$/.exec(code);
  if (mixed) return operand('general-rm', WIDTHS[mixed[1]!]!, WIDTHS[mixed[2]!]);
  const width = WIDTHS[code.slice(1)];
  assert(width, `operand ${code} of the opcode map`);
  if (code[0] === 'X') return operand('string', width, width, 6);
  if (code[0] === 'Y') return operand('string', width, width, 7, true);
  const place = PLACES[code[0]!];
  assert(place, `operand ${code} of the opcode map`);
  return operand(place, width);
}

/** Operand size by (REX.W ? 2 : 0) + (66 ? 1 : 0): REX.W wins over 66 (SDM 2A, 2.2.1.2). */
const SIZES: Readonly<Record<string, Form['sizes']>> = {
  usual: [4, 2, 8, 8],
  byte: [1, 1, 1, 1],
  d64: [8, 2, 8, 8],
  f64: [8, 8, 8, 8],
  no64: [4, 2, 4, 4],
  no16: [4, 4, 8, 8],
};
const BYTE_OPERANDS = /^(Eb|Gb|Zb|AL|Ob|(Ib|DX),AL)(,|$)/;

/** SDM 2A, LOCK: the only instructions that take it, and only with memory as destination. */
const LOCKABLE = new Set(
  'add adc and btc btr bts cmpxchg cmpxchg8b cmpxchg16b dec inc neg not or sbb sub xor xadd xchg'.split(' '),
);
const REPEATABLE = new Set('movs cmps stos lods scas ins outs'.split(' '));

interface Row {
  readonly first: number;
  readonly last: number;
  /** What it asks for: 0-3 as in a cell, or -1. */
  readonly prefix: number;
  /** 0 or 1, or -1. */
  readonly wide: number;
  /** The low bytes of the cells it is about. */
  readonly lows: readonly number[];
  readonly hasModrm: boolean;
  /** Of two rows that claim a cell the stronger gets it. */
  readonly strength: number;
  /** undefined is '(bad)'. */
  readonly form: Form | undefined;
}

const SELECTOR = /^(np|66|f3|f2|b|[mr]?\/[0-7](-[0-7])?|=[0-9a-f]{2})$/;
const SIZE_WORD = /^(byte|d64|f64|no64|no16|w0|w1)$/;
/** Operands that are found through ModRM. */
const BY_MODRM = /(^|,)([EGMRWVUQPNSCD][a-z]|[EM](,|$)|STi)/;
const LOWS = Array.from({ length: 256 }, (_, low) => low);

const modOf = (low: number): string => (low >= 0xc0 ? 'r' : 'm');

/** Which low bytes of a cell a selector other than a prefix is about. */
function testOf(selector: string): (low: number) => boolean {
  if (selector === 'b') return low => low === 1;
  if (selector[0] === '=') return low => low === Number.parseInt(selector.slice(1), 16);
  const [, mod, from, to = from] = /^([mr]?)\/(\d)(?:-(\d))?$/.exec(selector)!;
  return low => (!mod || mod === modOf(low)) && ((low >> 3) & 7) >= Number(from) && ((low >> 3) & 7) <= Number(to);
}

function parse(line: string): Row {
  const [range = '', ...words] = line.trim().split(/\s+/);
  const [first = 0, last = first] = range.split('-').map(n => Number.parseInt(n, 16));
  const selectors = words.filter(word => SELECTOR.test(word));
  const sizeWord = words.find(word => SIZE_WORD.test(word)) ?? '';
  const rest = words.filter(word => !selectors.includes(word) && word !== sizeWord);
  const [op, codes = ''] = rest;
  assert(op && rest.length <= 2, `row "${line}" of the opcode map`);

  const size = selectors.includes('66') ? 'no16' : BYTE_OPERANDS.test(codes) ? 'byte' : 'usual';
  const form: Form = {
    op,
    operands: codes ? codes.split(',').map(operandOf) : [],
    sizes: SIZES[sizeWord] ?? SIZES[size]!,
    lockable: LOCKABLE.has(op),
    repeatable: REPEATABLE.has(op),
    conditional: op.endsWith('cc'),
  };
  const prefix = PREFIXES.findIndex(name => selectors.includes(name));
  // M is memory only, U and N are registers only.
  const mod = /(^|,)M/.test(codes) ? 'm' : /(^|,)[UN]/.test(codes) ? 'r' : undefined;
  const tests = selectors.filter(selector => !PREFIXES.includes(selector)).map(testOf);
  if (mod) tests.push(low => modOf(low) === mod);
  return {
    first,
    last,
    prefix,
    wide: ['w0', 'w1'].indexOf(sizeWord),
    lows: tests.length ? LOWS.filter(low => tests.every(test => test(low))) : LOWS,
    hasModrm: selectors.some(s => /[/=]/.test(s)) || BY_MODRM.test(codes),
    strength: 1 + Number(prefix >= 0) + 2 * Number(selectors.includes('b')),
    form: op === '(bad)' ? undefined : form,
  };
}

function slotOf(rows: readonly Row[]): Slot {
  const hasModrm = rows.some(row => row.hasModrm);
  const forms = [undefined, ...rows.map(row => row.form)];
  const [only] = rows;
  if (rows.length === 1 && only!.prefix < 0 && only!.wide < 0 && only!.lows.length === 256) {
    return { hasModrm, forms, cells: new Uint8Array() };
  }
  const cells = new Uint8Array(CELLS);
  const strengths = new Uint8Array(CELLS);
  rows.forEach(({ prefix, wide, lows, strength, form }, n) => {
    for (const p of prefix < 0 ? [0, 1, 2, 3] : [prefix]) {
      for (const w of wide < 0 ? [0, 1] : [wide]) {
        for (const low of lows) {
          const cell = cellOf(p, w, low);
          assert(strengths[cell] !== strength, `two rows of the opcode map claim the same bytes: ${form?.op}`);
          if (strengths[cell]! > strength) continue;
          strengths[cell] = strength;
          cells[cell] = n + 1;
        }
      }
    }
  });
  return { hasModrm, forms, cells };
}

function compile(lines: readonly string[]): readonly (Slot | undefined)[] {
  const rows = lines.filter(line => line.trim()).map(parse);
  return Array.from({ length: 256 }, (_, opcode) => {
    const mine = rows.filter(row => row.first <= opcode && opcode <= row.last);
    return mine.length ? slotOf(mine) : undefined;
  });
}

/** The two maps by opcode byte; undefined is invalid in 64-bit mode, or an instruction set extension we do not have. */
export const MAP_ONE = compile([...ONE_BYTE, ...X87]);
export const MAP_0F = compile([...TWO_BYTE, ...SSE]);

/** Every operation the decoder can name, sorted. */
export const OPS: readonly string[] = [
  ...new Set([...MAP_ONE, ...MAP_0F].flatMap(slot => slot?.forms ?? []).flatMap(form => form?.op ?? [])),
].sort();
