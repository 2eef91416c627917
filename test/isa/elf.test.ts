import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseElf } from '../../src/isa/elf.js';

const image = readFileSync(new URL('../../recordings/bare/address-spaces.elf', import.meta.url));

describe('an ELF image', () => {
  it('gives what to load where, and where to begin', () => {
    const elf = parseElf(image, 'x.elf');
    expect(elf).toMatchObject({ bits: 64, machine: 62, entry: 0x100000n });
    expect(elf.segments.map(s => [s.physical, s.flags.write, s.flags.execute])).toEqual([
      [0x100000n, false, true],
      [0x102000n, true, false],
    ]);
    expect(elf.segments[1]!.memoryBytes).toBeGreaterThan(elf.segments[1]!.data.length);
  });
  it('gives its symbols in the order of addresses, functions before labels', () => {
    const { symbols } = parseElf(image, 'x.elf');
    const at = (name: string) => symbols.find(s => s.name === name)!.at;
    expect(symbols.map(s => s.at)).toEqual(symbols.map(s => s.at).toSorted((a, b) => (a < b ? -1 : 1)));
    expect(at('trap') < at('kernel_main')).toBe(true);
    expect(symbols.findIndex(s => s.name === 'kernel_main')).toBeGreaterThan(0);
    expect(at('user_start')).toBe(0x101000n);
  });
  it('gives its sections by name, those without bytes in the file empty', () => {
    const { sections, segments } = parseElf(image, 'x.elf');
    const section = (name: string) => sections.find(s => s.name === name)!;
    expect(section('.text').at).toBe(0x100000n);
    const text = section('.text').data;
    expect(text.length).toBeGreaterThan(1000);
    expect(Buffer.compare(text, segments[0]!.data.subarray(0, text.length))).toBe(0);
    expect([section('.bss').at, section('.bss').data.length]).toEqual([0x102010n, 0]);
  });
  it('that is damaged anywhere is refused with its name, or read; never more', () => {
    let refused = 0;
    for (let i = 0; i < 64; i++) {
      for (const value of [0, 0xff, 0x80]) {
        const bytes = Uint8Array.from(image);
        bytes[i] = value;
        try {
          parseElf(bytes, 'torn.elf');
        } catch (error) {
          expect((error as Error).name).toBe('Trouble');
          expect((error as Error).message).toMatch(/^torn\.elf: /);
          refused++;
        }
      }
    }
    for (let cut = 0; cut < image.length; cut += 97) {
      try {
        parseElf(image.subarray(0, cut), 'torn.elf');
      } catch (error) {
        expect((error as Error).name).toBe('Trouble');
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});
