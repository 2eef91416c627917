/** Entries whose meaning is known from the manuals and from kernels' own page tables. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hi32, lo32 } from '../../src/base/u64.js';
import { ISAS, isaOf, pagingOf } from '../../src/isa/index.js';
import { flagWords, type Level, type PagingFormat } from '../../src/isa/isa.js';

const level = (format: string, number: number): Level => pagingOf(format)!.levels.find(l => l.number === number)!;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

type Known = readonly [
  what: string,
  format: string,
  level: number,
  entry: bigint,
  kind: string,
  at?: number,
  bytes?: number,
];
const KNOWN: readonly Known[] = [
  ['x86-64: a table', 'x86-64-4level', 4, 0x1_2345_6067n, 'table', 0x1_2345_6000],
  ['x86-64: a page, NX', 'x86-64-4level', 1, 0x8000_0000_b1d8_9063n, 'leaf', 0xb1d8_9000, 4 * KIB],
  ['x86-64: 2 MiB with PAT', 'x86-64-4level', 2, 0x0020_10e3n, 'leaf', 0x0020_0000, 2 * MIB],
  ['x86-64: 1 GiB above 4 GiB', 'x86-64-4level', 3, 0x1_4000_00e3n, 'leaf', 0x1_4000_0000, GIB],
  ['x86-64: bit 7 at L1 is PAT', 'x86-64-4level', 1, 0x0012_30e3n, 'leaf', 0x0012_3000, 4 * KIB],
  ['x86-64: swapped out', 'x86-64-4level', 1, 0x1234_5678_0000_0ffen, 'none'],
  ['i386: a table (3 GiB of a 2.6 kernel)', 'i386-2level', 2, 0x0000_2067n, 'table', 0x2000],
  ['i386: 4 MiB', 'i386-2level', 2, 0x0040_01e3n, 'leaf', 0x0040_0000, 4 * MIB],
  ['i386: 4 MiB beyond 4 GiB by PSE-36', 'i386-2level', 2, 0x0040_21e3n, 'leaf', 0x1_0040_0000, 4 * MIB],
  ['i386: a page', 'i386-2level', 1, 0xfee0_017bn, 'leaf', 0xfee0_0000, 4 * KIB],
  ['PAE: a first-level entry', 'i386-pae', 3, 0x0000_0000_0074_d001n, 'table', 0x74_d000],
  ['PAE: 2 MiB', 'i386-pae', 2, 0x8000_0001_0020_01e3n, 'leaf', 0x1_0020_0000, 2 * MIB],
  ['PAE: a page above 4 GiB', 'i386-pae', 1, 0x0000_0002_1234_5063n, 'leaf', 0x2_1234_5000, 4 * KIB],
  ['ARM: a 1 KiB table in the middle of a frame', 'armv7-short', 2, 0x6000_8c01n, 'table', 0x6000_8c00],
  ['ARM: a section of the kernel', 'armv7-short', 2, 0x6011_140en, 'leaf', 0x6010_0000, MIB],
  [
    'ARM: a supersection with an extended base',
    'armv7-short',
    2,
    0x8114_0002n | (1n << 18n) | (3n << 5n),
    'leaf',
    0x30_0000_0000 + 0x1_0000_0000 + 0x8100_0000,
    16 * MIB,
  ],
  ['ARM: a section with PXN', 'armv7-short', 2, 0x6010_0003n, 'leaf', 0x6010_0000, MIB],
  ['ARM: nothing', 'armv7-short', 2, 0x6010_0000n, 'none'],
  ['ARM: a large page', 'armv7-short', 1, 0x1234_0031n, 'leaf', 0x1234_0000, 64 * KIB],
  ['ARM: a small page, XN', 'armv7-short', 1, 0x1234_5057n, 'leaf', 0x1234_5000, 4 * KIB],
  ['ARM: no page', 'armv7-short', 1, 0x1234_5000n, 'none'],
];

describe('page-table entries', () => {
  for (const [what, format, number, entry, kind, at, bytes] of KNOWN)
    it(what, () => {
      const decoded = level(format, number).decode(entry);
      expect(decoded.kind).toBe(kind);
      if (decoded.kind !== 'none') expect(decoded.at).toBe(at);
      if (decoded.kind === 'leaf') expect(decoded.bytes).toBe(bytes);
    });

  it('allow what their bits say', () => {
    const flags = (format: string, number: number, entry: bigint) => {
      const decoded = level(format, number).decode(entry);
      return decoded.kind === 'none' ? undefined : decoded.flags;
    };
    expect(flags('i386-2level', 1, 0x1063n)).toEqual({ write: true, user: false, execute: true, global: false });
    expect(flags('i386-pae', 1, 0x8000_0000_0000_1165n)).toEqual({
      write: false,
      user: true,
      execute: false,
      global: true,
    });
    // A first-level entry of PAE has no such bits.
    expect(flags('i386-pae', 3, 0x1001n)).toEqual({ write: true, user: true, execute: true, global: false });
    // AP = 011: full access; nG set, XN clear
    expect(flags('armv7-short', 1, 0x1000_0832n)).toEqual({ write: true, user: true, execute: true, global: false });
    // AP = 101: read-only for the kernel alone; XN
    expect(flags('armv7-short', 1, 0x1000_0213n)).toEqual({ write: false, user: false, execute: false, global: true });
    // A section of the kernel, AP = 001
    expect(flags('armv7-short', 2, 0x6010_0402n)).toEqual({ write: true, user: false, execute: true, global: true });
  });

  it('have flags in words', () => {
    expect(flagWords(level('i386-2level', 2), 0x0040_01e3n)).toBe('PRESENT RW ACCESSED DIRTY PSE GLB');
    expect(flagWords(level('i386-pae', 1), 0x8000_0000_0000_1005n)).toBe('PRESENT USER NX');
  });

  const all = ISAS.flatMap(isa => isa.paging).flatMap((f: PagingFormat) =>
    f.levels.map(l => [f.name, l.name, l] as const),
  );
  it.each(all)('%s %s: target and span say in numbers what decode says', (formatName, _name, l) => {
    const format = pagingOf(formatName)!;
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << BigInt(8 * format.entryBytes)) - 1n }), entry => {
        const decoded = l.decode(entry);
        const target = l.target(lo32(entry), hi32(entry));
        expect(target).toBe(decoded.kind === 'none' ? -1 : Math.floor(decoded.at / 4096));
        if (decoded.kind === 'leaf') expect(4096 * 2 ** l.span(lo32(entry), hi32(entry))).toBe(decoded.bytes);
        if (decoded.kind === 'table') expect(l.span(lo32(entry), hi32(entry))).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('processors', () => {
  it.each(ISAS.map(isa => [isa.name, isa] as const))(
    '%s has its parts played by registers of that name',
    (name, isa) => {
      expect(isaOf(name)).toBe(isa);
      expect(isa.registers.length).toBeLessThanOrEqual(64); // a mask of registers is a u64
      expect(new Set(isa.registers.map(r => r.name)).size).toBe(isa.registers.length);
      for (const n of Object.values(isa.roles)) expect(isa.registers[n]).toBeDefined();
      for (const format of isa.paging) {
        expect(pagingOf(format.name)).toBe(format);
        // Levels cover the address without a gap.
        let low = 12;
        for (const l of [...format.levels].reverse()) {
          expect(l.shift).toBe(low);
          low += l.bits;
        }
        expect(low).toBe(format.vaddrBits);
      }
    },
  );
  it('that are not known have no name', () => {
    expect(isaOf('vax')).toBeUndefined();
    expect(pagingOf('vax')).toBeUndefined();
  });
});
