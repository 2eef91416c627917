import { describe, expect, it, test } from 'vitest';
import { readKallsyms } from '../../../src/kernels/linux/kallsyms.js';

const BASE = 0xffff_ffff_8100_0000n;
interface Symbol {
  readonly at: bigint;
  readonly kind: string;
  readonly name: string;
}
type Form = '5.x' | '6.1' | '6.4';

/** A thousand functions, one with a long name, one whose letters are tokens of several characters, and per-cpu data. */
const SYMBOLS: readonly Symbol[] = [
  { at: 0x1fb80n, kind: 'A', name: 'current_task' },
  ...Array.from({ length: 1000 }, (_, n) => ({ at: BASE + BigInt(16 * n), kind: 't', name: `function_${n}` })),
  { at: BASE + 0x10_0000n, kind: 'T', name: 'x'.repeat(200) },
  { at: BASE + 0x10_0010n, kind: 'T', name: 'xen_set_pgd' },
];
/** Tokens: each printable character for itself, and three longer ones where no character is. */
const TOKENS = Array.from({ length: 256 }, (_, n) => (n >= 0x20 && n < 0x7f ? String.fromCharCode(n) : ''));
TOKENS[0] = 'function_';
TOKENS[1] = 'xen_';
TOKENS[200] = 'set_';

function encodeName(text: string): number[] {
  const tokens: number[] = [];
  for (let at = 0; at < text.length; ) {
    const long = [0, 1, 200].find(n => text.startsWith(TOKENS[n]!, at));
    const token = long ?? text.charCodeAt(at);
    tokens.push(token);
    at += TOKENS[token]!.length;
  }
  const length = tokens.length < 128 ? [tokens.length] : [0x80 | (tokens.length & 0x7f), tokens.length >> 7];
  return [...length, ...tokens];
}
const pad8 = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
const words = (values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, n) => {
    bytes.writeInt32LE(value | 0, 4 * n);
  });
  return bytes;
};

/** .rodata as scripts/kallsyms.c of that time lays it out, with other data around. */
function rodata(form: Form, symbols = SYMBOLS, absolute = true): Buffer {
  const names: number[] = [];
  const markers: number[] = [];
  symbols.forEach(({ kind, name }, n) => {
    if (n % 256 === 0) markers.push(names.length);
    names.push(...encodeName(kind + name));
  });
  const texts = Buffer.from(`${TOKENS.join('\0')}\0`, 'latin1');
  const index = Buffer.alloc(512);
  TOKENS.reduce((at, text, n) => {
    index.writeUInt16LE(at, 2 * n);
    return at + text.length + 1;
  }, 0);
  const offsets = words(
    symbols.map(({ at }) => Number(!absolute ? at - BASE : at < BASE ? at : BigInt.asIntN(32, BASE - 1n - at))),
  );
  const base = Buffer.alloc(8);
  base.writeBigUInt64LE(BASE);
  const seqs = Buffer.from(symbols.flatMap((_, n) => [0, n >> 8, n & 255]));
  const where = [offsets, base];
  const what = [words([symbols.length]), Buffer.from(names), words(markers)];
  const tokens = [texts, index];
  const parts = {
    '5.x': [...where, ...what, ...tokens],
    '6.1': [...where, ...what, seqs, ...tokens],
    '6.4': [...what, ...tokens, ...where, seqs],
  }[form];
  const noise = Buffer.from(Array.from({ length: 4096 }, (_, n) => (n * n * 7 + 1) & 0xff));
  const digits = Buffer.from('/\x000\x001\x002\x003\x004\x005\x006\x007\x008\x009\0:\0', 'latin1'); // a decoy
  return Buffer.concat([noise, pad8(digits), ...parts.map(pad8), noise]);
}

describe('the symbols in a kernel', () => {
  test.for<Form>(['5.x', '6.1', '6.4'])('are found in the layout of %s', form => {
    expect(readKallsyms(rodata(form))).toEqual(SYMBOLS);
  });
  it('may be without absolute ones', () => {
    const functions = SYMBOLS.slice(1);
    expect(readKallsyms(rodata('6.4', functions, false))).toEqual(functions);
  });
  it('are none where there is no table, or a torn one', () => {
    expect(readKallsyms(new Uint8Array())).toBeUndefined();
    expect(readKallsyms(Buffer.alloc(100_000))).toBeUndefined();
    const whole = rodata('6.1');
    for (let cut = 0; cut < whole.length - 4096; cut += 501)
      expect(readKallsyms(whole.subarray(0, cut))).toBeUndefined();
  });
  it('are the right ones or none, whatever byte is changed', () => {
    const whole = rodata('6.1');
    const from = 4096;
    let refused = 0;
    for (let at = from; at < whole.length - 4096; at += 37) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 0x81;
      const found = readKallsyms(changed);
      if (!found) refused++;
      else expect(found.length).toBe(SYMBOLS.length);
    }
    expect(refused).toBeGreaterThan(20);
  });
});
