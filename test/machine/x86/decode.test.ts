import { Decoder, Instruction } from 'iced-x86';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../src/machine/x86/decode.js';
import type { Decoded, Insn } from '../../../src/machine/x86/insn.js';
import { OPS } from '../../../src/machine/x86/opcodes.js';
import { reasonFor } from './differences.js';
import { textOf } from './elf-text.js';
import { icedOpinion, ourText } from './oracle.js';

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
const decodeHex = (hex: string): Decoded => {
  const bytes = bytesOf(hex);
  return decode(bytes, 0, bytes.length);
};
const insn = (hex: string): Insn => {
  const d = decodeHex(hex);
  if (!('operands' in d)) throw new Error(`${hex} is ${d.op}`);
  return d;
};
const isInsn = (d: Decoded): d is Insn => 'operands' in d;
/** Operands as the oracle writes them, without length and prefixes. */
const text = (hex: string): string => ourText(decodeHex(hex), false).replace(/^\d+ /, '').trimEnd();

/** Decodes at many positions of one buffer with both decoders. */
class Comparison {
  readonly #bytes: Uint8Array;
  readonly #decoder: Decoder;
  readonly #scratch = new Instruction();
  readonly ops = new Set<string>();
  compared = 0;
  excused = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#decoder = new Decoder(64, bytes, 0);
  }
  /** Throws when they disagree without a reason. @returns the length iced sees, at least 1. */
  at(pos: number, limit = this.#bytes.length, seed = ''): number {
    const ours = decode(this.#bytes, pos, limit);
    const iced = icedOpinion(this.#decoder, pos, this.#scratch, isInsn(ours) && ours.addressBytes === 4);
    const oursText = ourText(ours, iced.sized);
    this.compared++;
    if (isInsn(ours)) this.ops.add(ours.op);
    if (oursText !== iced.text) {
      if (reasonFor(iced.text, oursText, this.#scratch) === undefined) {
        const hex = Buffer.from(this.#bytes.subarray(pos, pos + 15)).toString('hex');
        throw new Error(`${hex}${seed}\n  iced ${iced.text}\n  ours ${oursText}`);
      }
      this.excused++;
    }
    return Math.max(1, iced.length);
  }
  free(): void {
    this.#decoder.free();
    this.#scratch.free();
  }
}

/** xorshift32 (Marsaglia): the same numbers for the same seed on every machine. */
function random(seed: number): (below: number) => number {
  let x = seed >>> 0 || 1;
  return below => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return ((x >>> 0) >>> 4) % below;
  };
}

const SLOT = 16;
const SLOTS = 4096;
const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x64, 0x65, 0x2e, 0x3e, 0x40, 0x48];

/** Random bytes, with prefixes and two-byte opcodes far more often than chance would have them. */
function fillRandom(bytes: Uint8Array, next: (below: number) => number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = next(256);
  for (let slot = 0; slot < SLOTS; slot++) {
    let pos = slot * SLOT;
    for (let n = next(4); n > 0; n--) bytes[pos++] = PREFIXES[next(PREFIXES.length)]!;
    if (next(2)) bytes[pos++] = 0x40 + next(16);
    if (next(2)) bytes[pos++] = 0x0f;
  }
}

describe('next to iced-x86', () => {
  it('agrees about every opcode with every ModRM byte and every mandatory prefix, and names every op', () => {
    const ops = new Set<string>();
    for (const prefix of [[], [0x66], [0xf3], [0xf2], [0x48], [0xf0], [0x41]]) {
      for (const map of [[], [0x0f]]) {
        const bytes = new Uint8Array(256 * 256 * SLOT);
        for (let n = 0; n < 256 * 256; n++) {
          bytes.set([...prefix, ...map, n >> 8, n & 0xff, 0x25, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86], n * SLOT);
        }
        const comparison = new Comparison(bytes);
        // Locked and REX.B forms differ by the opcode and mod alone: every ninth ModRM byte meets all regs and all rms.
        const step = prefix[0] === 0xf0 || prefix[0] === 0x41 ? 9 : 1;
        for (let n = 0; n < 256 * 256; n += step) comparison.at(n * SLOT, n * SLOT + SLOT);
        for (const op of comparison.ops) ops.add(op);
        comparison.free();
      }
    }
    expect(OPS.filter(op => !ops.has(op))).toEqual([]);
  });

  const tries = Number(process.env.REWALK_DECODE_TRIES ?? 300_000);
  const seed = Number(process.env.REWALK_SEED ?? 1);
  it(`agrees about ${tries} random instructions from seed ${seed}`, () => {
    const next = random(seed);
    const bytes = new Uint8Array(SLOT * SLOTS);
    let compared = 0;
    let excused = 0;
    while (compared < tries) {
      fillRandom(bytes, next);
      const comparison = new Comparison(bytes);
      for (let slot = 0; slot < SLOTS; slot++) comparison.at(slot * SLOT, slot * SLOT + SLOT, ` (seed ${seed})`);
      compared += comparison.compared;
      excused += comparison.excused;
      comparison.free();
    }
    expect(excused / compared).toBeLessThan(0.02);
  });

  const bytesMax = Number(process.env.REWALK_DECODE_BYTES ?? 600_000);
  for (const file of [
    '/bin/bash',
    '/lib/x86_64-linux-gnu/libc.so.6',
    '/lib/x86_64-linux-gnu/libm.so.6',
    process.execPath,
  ]) {
    const code = textOf(file);
    const name = `agrees about the first ${bytesMax} bytes of code in ${file}`;
    if (typeof code === 'string') {
      it.skip(`${name} (${code})`);
      continue;
    }
    it(name, () => {
      const bytes = code.slice(0, bytesMax);
      const comparison = new Comparison(bytes);
      for (let pos = 0; pos < bytes.length - 15; ) pos += comparison.at(pos);
      comparison.free();
      expect(comparison.compared).toBeGreaterThan(bytes.length / 8);
    });
  }
});

describe('bytes that are not there', () => {
  it('says (short) for every beginning of an instruction, and reads nothing past the limit', () => {
    const seed = 7;
    const bytes = new Uint8Array(SLOT * SLOTS);
    fillRandom(bytes, random(seed));
    let whole = 0;
    for (let at = 0; at < bytes.length; at += SLOT) {
      const d = decode(bytes, at, at + SLOT);
      if (!isInsn(d)) continue;
      whole++;
      for (let n = 0; n < d.length; n++)
        expect(decode(bytes, at, at + n), `seed ${seed}, ${at}`).toEqual({ op: '(short)' });
      expect(decode(bytes, at, at + d.length)).toEqual(d);
    }
    expect(whole).toBeGreaterThan(SLOTS / 2);
  });

  it('raises #GP for more than 15 bytes, and #UD for bad ones within them', () => {
    const prefixes = (n: number) => '66'.repeat(n);
    expect(decodeHex(`${prefixes(14)} 90`)).toMatchObject({ op: 'nop', length: 15 });
    expect(decodeHex(`${prefixes(15)} 90`)).toEqual({ op: '(bad)', length: 15, gp: true });
    expect(decodeHex(`${prefixes(40)}`)).toEqual({ op: '(bad)', length: 15, gp: true });
    expect(decodeHex(`${prefixes(14)}`)).toEqual({ op: '(short)' });
    expect(decodeHex(`${prefixes(9)} 81 05 00 00 00 00 34 12`)).toEqual({ op: '(bad)', length: 15, gp: true });
    expect(decodeHex(`${prefixes(14)} 06`)).toEqual({ op: '(bad)', length: 15 });
    expect(decodeHex('')).toEqual({ op: '(short)' });
  });
});

describe('prefixes', () => {
  it('forgets REX when a legacy prefix follows it, and takes the last of two', () => {
    expect(text('48 66 01 c8')).toBe('add reg2:0 reg2:1');
    expect(text('66 48 01 c8')).toBe('add reg8:0 reg8:1');
    expect(text('48 41 01 c8')).toBe('add reg4:8 reg4:1');
  });
  it('names ah to bh without REX, spl to dil with any REX', () => {
    expect(text('88 e0')).toBe('mov reg1:0 reg1h:0');
    expect(text('40 88 e0')).toBe('mov reg1:0 reg1:4');
  });
  it('counts fs and gs only, and a later ds does not undo them', () => {
    expect(insn('64 8b 00').operands[1]).toMatchObject({ segment: 4 });
    expect(insn('65 3e 8b 00').operands[1]).toMatchObject({ segment: 5 });
    expect(insn('2e 8b 00').operands[1]).toMatchObject({ segment: -1 });
  });
  it('lets fs reach the source of movs, and nothing reach its destination', () => {
    expect(insn('64 a4').operands).toMatchObject([
      { base: 7, segment: -1 },
      { base: 6, segment: 4 },
    ]);
  });
  it('allows lock on memory destinations of a few instructions', () => {
    expect(insn('f0 48 0f c7 0e')).toMatchObject({ op: 'cmpxchg16b', lock: true });
    expect(insn('f0 87 06')).toMatchObject({ op: 'xchg', lock: true });
    for (const hex of ['f0 01 c0', 'f0 03 06', 'f0 39 06', 'f0 89 06', 'f0 90', 'f0 0f a3 06']) {
      expect(decodeHex(hex).op, hex).toBe('(bad)');
    }
  });
  it('makes f3 and f2 repetition on string instructions only', () => {
    expect(insn('f3 48 ab')).toMatchObject({ op: 'stos', rep: 'rep', size: 8 });
    expect(insn('f2 ae')).toMatchObject({ op: 'scas', rep: 'repne', size: 1 });
    expect(insn('f3 c3')).toMatchObject({ op: 'ret', rep: '' });
  });
});

describe('64-bit mode', () => {
  it('takes 8 bytes for stack and near branches without REX.W, and ignores 66 on branches as Intel does', () => {
    expect(insn('50').size).toBe(8);
    expect(insn('66 50').size).toBe(2);
    expect(insn('66 e8 00 00 00 00')).toMatchObject({ length: 6, size: 8 });
    expect(insn('66 0f 84 00 00 00 00')).toMatchObject({ op: 'jcc', cc: 4, length: 7 });
  });
  it('sign-extends immediates to the operand size and no further', () => {
    expect(text('83 c0 ff')).toBe(`add reg4:0 imm4:${0xffffffffn}`);
    expect(text('48 83 c0 ff')).toBe(`add reg8:0 imm8:${0xffffffffffffffffn}`);
    expect(text('6a ff')).toBe(`push imm8:${0xffffffffffffffffn}`);
    expect(text('48 b8 08 07 06 05 04 03 02 81')).toBe(`mov reg8:0 imm8:${0x8102030405060708n}`);
    expect(text('cd 80')).toBe('int imm1:128');
  });
  it('reads all of an absolute address, and four bytes of it under 67', () => {
    expect(insn('48 a1 08 07 06 05 04 03 02 81').operands[1]).toMatchObject({
      disp: BigInt.asIntN(64, 0x8102030405060708n),
    });
    expect(insn('67 a1 04 03 02 81')).toMatchObject({
      length: 6,
      addressBytes: 4,
      operands: [{}, { disp: 0x81020304n }],
    });
  });
  it('tells xchg, nop and pause apart by REX.B before f3', () => {
    expect(['90', '48 90', 'f3 90', '41 90', 'f3 41 90'].map(hex => decodeHex(hex).op)).toEqual([
      'nop',
      'nop',
      'pause',
      'xchg',
      'xchg',
    ]);
  });
  it('refuses what left the instruction set, and registers that do not exist', () => {
    for (const hex of [
      '06',
      '27',
      '60',
      '9a',
      'ea',
      'ce',
      'd6',
      '82 c0 00',
      'c5 f8 77',
      '62 f1 7c 48 58 c0',
      '8e c8',
    ]) {
      expect(decodeHex(hex).op, hex).toBe('(bad)');
    }
    expect(decodeHex('0f 20 c8').op).toBe('(bad)');
    expect(text('0f 20 d8')).toBe('mov reg8:0 cr:3');
    expect(text('44 0f 22 c0')).toBe('mov cr:8 reg8:0');
    expect(decodeHex('44 0f 23 c0').op).toBe('(bad)');
  });
});

it('lists every op once, in order', () => {
  expect([...OPS]).toEqual([...new Set(OPS)].sort());
  expect(OPS).toContain('cmpxchg16b');
  expect(OPS).not.toContain('(bad)');
});
