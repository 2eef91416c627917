import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asVaddr, type Vaddr } from '../../src/base/brand.js';
import { disassemble } from '../../src/isa/disassemble.js';

const AT = asVaddr(0xffffffff81000000n);
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
const texts = (hex: string, symbols: Record<string, string> = {}): string[] =>
  disassemble(bytes(hex), AT, at => symbols[at.toString(16)]).map(line => line.text);

it('does not load iced-x86 before the first instruction is asked for', () => {
  const isLoaded = () => Object.keys(createRequire(import.meta.url).cache).some(file => file.includes('iced-x86'));
  expect(isLoaded()).toBe(false);
  expect(texts('90')).toEqual(['nop']);
  expect(isLoaded()).toBe(true);
});

it('writes Intel syntax with hexadecimal numbers as C writes them', () => {
  expect(texts('48 89 5c 24 10  f0 48 0f b1 0f  f3 48 a5  c7 00 ff 00 00 00  65 48 8b 04 25 28 00 00 00')).toEqual([
    'mov [rsp+0x10], rbx',
    'lock cmpxchg [rdi], rcx',
    'rep movsq [rdi], [rsi]',
    'mov dword ptr [rax], 0xff',
    'mov rax, gs:[0x28]',
  ]);
});

it('names branch targets and rip-relative memory, and writes the address where there is no name', () => {
  const code = 'e8 fb 00 00 00  74 f9  48 8b 05 f2 ff ff ff  48 8d 3d 00 10 00 00  eb 00';
  const symbols = { ffffffff81000100: 'do_fork', ffffffff81000000: '_stext', ffffffff81000015: 'init_mm+0x50' };
  expect(texts(code, symbols)).toEqual([
    'call do_fork',
    'je _stext',
    'mov rax, [_stext]',
    'lea rdi, [0xffffffff81001015]',
    'jmp 0xffffffff81000017',
  ]);
});

it('puts a name with a dollar sign in as it is', () => {
  expect(texts('48 8b 05 f9 ff ff ff', { ffffffff81000000: "a$&b$'c" })).toEqual(["mov rax, [a$&b$'c]"]);
});

it('says where bytes are no instruction and where they end inside one', () => {
  expect(texts('06 90 48 8b')).toEqual(['(bad)', 'nop', '(cut off)']);
  expect(disassemble(new Uint8Array(), AT)).toEqual([]);
});

it('counts addresses through the end of the address space', () => {
  const lines = disassemble(bytes('90 eb 00'), asVaddr(0xffffffffffffffffn));
  expect(lines.map(line => [line.at, line.text])).toEqual([
    [0xffffffffffffffffn, 'nop'],
    [0n, 'jmp 0x2'],
  ]);
});

it('covers any bytes without a gap', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (data, start) => {
      let at = asVaddr(start);
      const seen: number[] = [];
      for (const line of disassemble(data, at)) {
        expect(line.at).toBe(at);
        expect(line.bytes.length).toBeGreaterThan(0);
        seen.push(...line.bytes);
        at = asVaddr(at + BigInt(line.bytes.length)) as Vaddr;
      }
      expect(seen).toEqual([...data]);
    }),
    { numRuns: 300 },
  );
});
