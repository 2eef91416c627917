import { describe, expect, it } from 'vitest';
import { asFrame, asPaddr, frameOf, offsetOf, paddrOf } from '../../src/base/brand.js';
import { parseHex } from '../../src/base/u64.js';
import { drive, finish, type Work } from '../../src/base/work.js';

function* busy(turns: number, ms: number): Work<string> {
  for (let i = 0; i < turns; i++) {
    const until = performance.now() + ms;
    while (performance.now() < until);
    yield { done: i, total: turns };
  }
  return 'done';
}

describe('long work', () => {
  it('gives its result, in slices or at once', async () => {
    expect(finish(busy(3, 0))).toBe('done');
    await expect(drive(busy(3, 0))).resolves.toBe('done');
  });
  it('reports progress and is cancelled between slices', async () => {
    const abort = new AbortController();
    const seen: number[] = [];
    const run = drive(busy(1000, 3), {
      signal: abort.signal,
      onProgress: p => {
        seen.push(p.done);
        if (seen.length === 3) abort.abort();
      },
    });
    await expect(run).rejects.toThrow(/abort/i);
    expect(seen.length).toBe(3);
  });
});

describe('addresses', () => {
  it('of tables may reach past their first frame', () => {
    expect(paddrOf(asFrame(0x10), 0x3ffc)).toBe(0x13ffc);
    expect(frameOf(asPaddr(0x13ffc))).toBe(0x13);
    expect(offsetOf(asPaddr(0x13ffc))).toBe(0xffc);
  });
  it('are read as people paste them', () => {
    expect(parseHex('0xFFFFFFFF81000000')).toBe(0xffffffff81000000n);
    expect(parseHex('ffffffff`81000000')).toBe(0xffffffff81000000n);
    expect(parseHex('nonsense')).toBeUndefined();
    expect(parseHex('11112222333344445')).toBeUndefined();
  });
});
