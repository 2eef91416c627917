import { brotliDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compress } from '../../src/recording/compress.js';
import { inflateLiterals } from '../../src/recording/inflate.js';
import { prepare, writeLiterals } from '../../src/recording/literals.js';
import { theRoom } from '../../src/recording/loops/writing.js';
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
/** What zlib reads; and our own reader too, or it would not be worth having. */
function inflated(bytes: Uint8Array): Uint8Array {
  const { stream } = literalsOf(bytes);
  const own = inflateLiterals(stream, bytes.length);
  expect(own).toBeDefined();
  const out = new Uint8Array(brotliDecompressSync(stream));
  expect(Buffer.compare(own!, out)).toBe(0);
  return out;
}
/** Numbers that are the same on every machine. */
function randomBelow(seed: number): (n: number) => number {
  let state = seed;
  return n => {
    state = (Math.imul(state, 0x5851_f42d) + 0x1405_7b7d) >>> 0;
    return (state >>> 8) % n;
  };
}

describe('literals as a brotli stream', () => {
  it('are read as what they were by zlib and by ourselves, whatever bytes there are and how often', () => {
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

describe('our own reader of literals', () => {
  const random = randomBelow(11);
  /** Streams of all sorts: few and many different bytes, codes of all lengths. */
  const streams = Array.from({ length: 40 }, (_, k) => {
    const n = 2 + random(k < 20 ? 400 : 6000);
    const kinds = 2 + random(254);
    const bytes = Uint8Array.from({ length: n }, () =>
      Math.min(random(kinds), random(kinds), random(1 + (k % 5) * kinds)),
    );
    bytes[0] = bytes[1]! ^ 1;
    return { bytes, stream: literalsOf(bytes).stream };
  });
  const zlib = (stream: Uint8Array, n: number): Uint8Array | undefined => {
    try {
      const out = brotliDecompressSync(stream, { maxOutputLength: n });
      return out.length === n ? new Uint8Array(out) : undefined;
    } catch {
      return undefined;
    }
  };

  it('says of damaged streams what zlib says, or nothing', () => {
    let read = 0;
    for (let k = 0; k < 20_000; k++) {
      const { bytes, stream } = streams[k % streams.length]!;
      const damaged = Uint8Array.from(stream);
      // Mostly in the head, where the codes are.
      const end = k % 3 === 0 ? damaged.length : Math.min(damaged.length, 100);
      for (let flips = 1 + random(2); flips > 0; flips--) damaged[random(end)]! ^= 1 << random(8);
      const n = k % 5 === 0 ? random(2 * bytes.length) : bytes.length;
      const own = inflateLiterals(damaged, n);
      if (!own) continue;
      read++;
      expect(Buffer.compare(own, zlib(damaged, n) ?? new Uint8Array()), `stream ${k}`).toBe(0);
    }
    expect(read).toBeGreaterThan(1000);
  });

  it('leaves streams that are cut, or longer, or of another length, to zlib', () => {
    for (const { bytes, stream } of streams) {
      for (let cut = 0; cut < stream.length; cut += 1 + (stream.length >> 5))
        expect(inflateLiterals(stream.subarray(0, cut), bytes.length)).toBeUndefined();
      expect(inflateLiterals(Uint8Array.of(...stream, 0), bytes.length)).toBeUndefined();
      expect(inflateLiterals(stream, bytes.length - 1)).toBeUndefined();
      expect(inflateLiterals(stream, bytes.length + 1)).toBeUndefined();
    }
  });

  it('reads nothing that is no stream, whatever its bytes are', () => {
    const noise = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => random(256));
    for (let k = 0; k < 5000; k++) {
      const stream = noise(6 + random(600));
      // As a stream of literals begins, or all random.
      if (k % 2 === 0) stream.set(streams[k % streams.length]!.stream.subarray(0, 6));
      const n = k % 2 === 0 ? streams[k % streams.length]!.bytes.length : random(5000);
      const own = inflateLiterals(stream, n);
      if (own) expect(Buffer.compare(own, zlib(stream, n) ?? new Uint8Array()), `stream ${k}`).toBe(0);
    }
    for (const n of [-1, 0, 1, 1.5, 2 ** 20 + 1, 2 ** 32])
      expect(inflateLiterals(streams[0]!.stream, n)).toBeUndefined();
  });
});
