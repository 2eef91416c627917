import { brotliDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compress } from '../../src/recording/compress.js';
import { prepare, writeLiterals } from '../../src/recording/literals.js';
import { theRoom } from '../../src/recording/loops/room.js';
import { decompress } from '../../src/recording/pieces.js';

/** The stream, and whether matches would be looked for. */
function literalsOf(bytes: Uint8Array): { stream: Uint8Array; repeats: boolean } {
  const room = theRoom();
  const mark = room.mark();
  const prepared = prepare(bytes)!;
  const stream = writeLiterals(prepared);
  expect(stream.length).toBe(prepared.size);
  room.free(mark);
  return { stream, repeats: prepared.repeats };
}
const inflated = (bytes: Uint8Array): Uint8Array => new Uint8Array(brotliDecompressSync(literalsOf(bytes).stream));
/** Numbers that are the same on every machine. */
function randomBelow(seed: number): (n: number) => number {
  let state = seed;
  return n => {
    state = (Math.imul(state, 0x5851_f42d) + 0x1405_7b7d) >>> 0;
    return (state >>> 8) % n;
  };
}

describe('literals as a brotli stream', () => {
  it('are read by zlib as what they were, whatever bytes there are and how often', () => {
    const pieces = fc.record({
      // How much more frequent a byte is than the next: from all alike to a tree as deep as it may be.
      weights: fc.array(fc.nat(20), { minLength: 2, maxLength: 256 }),
      first: fc.nat(255),
      n: fc.oneof(fc.integer({ min: 2, max: 300 }), fc.integer({ min: 300, max: 70_000 })),
      seed: fc.nat(0xffff_ffff),
    });
    fc.assert(
      fc.property(pieces, ({ weights, first, n, seed }) => {
        const random = randomBelow(seed);
        const sums: number[] = [];
        weights.reduce((sum, w) => (sums[sums.length] = sum + 2 ** w), 0);
        const bytes = Uint8Array.from({ length: n }, () => {
          const at = random(sums.at(-1)!);
          return first + sums.findIndex(sum => at < sum);
        });
        bytes[0] = bytes[1]! ^ 1;
        expect(Buffer.compare(inflated(bytes), bytes)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('have no code longer than 15 bits where counts grow as Fibonacci numbers do', () => {
    const counts = [1, 1];
    while (counts.length < 26) counts.push(counts.at(-1)! + counts.at(-2)!);
    const bytes = Uint8Array.from(counts.flatMap((count, s) => Array<number>(count).fill(s)));
    expect(Buffer.compare(inflated(bytes), bytes)).toBe(0);
  });

  it.each([2, 3, 255, 256])('of %i different bytes, all as frequent as the others', kinds => {
    const bytes = Uint8Array.from({ length: 16 * kinds }, (_, i) => i % kinds);
    expect(Buffer.compare(inflated(bytes), bytes)).toBe(0);
  });

  it.each([65_536, 65_537, 1 << 20])('of %i bytes', n => {
    const random = randomBelow(n);
    const bytes = Uint8Array.from({ length: n }, () => random(5) * random(5));
    expect(Buffer.compare(inflated(bytes), bytes)).toBe(0);
  });

  it('more than a mebibyte are left to the compressor', () => {
    const bytes = Uint8Array.from({ length: (1 << 20) + 1 }, (_, i) => i % 251);
    expect(prepare(bytes)).toBeUndefined();
    expect(Buffer.compare(decompress(compress(bytes), bytes.length), bytes)).toBe(0);
  });

  it('are given up for matches where bytes repeat, and only there', () => {
    const random = randomBelow(7);
    const noise = Uint8Array.from({ length: 4096 }, () => random(64));
    const twice = Uint8Array.of(...noise, ...noise);
    expect(literalsOf(noise).repeats).toBe(false);
    expect(literalsOf(twice).repeats).toBe(true);
    expect(compress(twice).length).toBeLessThan(0.6 * literalsOf(twice).stream.length);
    expect(compress(noise).length).toBe(literalsOf(noise).stream.length);
  });
});
