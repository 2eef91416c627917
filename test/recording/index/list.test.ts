import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Trouble } from '../../../src/base/trouble.js';
import { columnWords, packColumn, unpackColumn } from '../../../src/recording/index/bits.js';
import { ListReader, ListWriter } from '../../../src/recording/index/list.js';
import { BlockCache } from '../../../src/recording/index/list-block.js';
import { Rows } from '../../../src/recording/index/rows.js';
import { SeqSet } from '../../../src/recording/index/seqs.js';
import { Sorter, wholeWord } from '../../../src/recording/index/sort.js';
import { randomBelow } from '../make.js';

const u32 = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constant(0xffff_ffff),
);

describe('a packed column', () => {
  it('unpacks to what was packed, in no more words than promised', () => {
    fc.assert(
      fc.property(fc.array(u32, { maxLength: 200 }), fc.nat(31), fc.nat(31), (values, left, right) => {
        const column = Uint32Array.from(values, v => (v << left) >>> right);
        const words = new Uint32Array(columnWords(column.length) + 3);
        const end = packColumn(column, column.length, words, 1);
        expect(end - 1).toBeLessThanOrEqual(columnWords(column.length));
        const back = new Uint32Array(column.length).fill(7);
        expect(unpackColumn(words, 1, column.length, back)).toBe(end);
        expect(back).toEqual(column);
      }),
      { numRuns: 1000 },
    );
  });
  it('of words that are none is refused', () => {
    fc.assert(
      fc.property(fc.array(u32, { maxLength: 40 }), fc.integer({ min: 1, max: 100 }), (words, n) => {
        const end = unpackColumn(Uint32Array.from(words), 0, n, new Uint32Array(n));
        expect(end === -1 || (end > 0 && end <= words.length)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

type Row = readonly [key: number, value: number, note: number];
function listOf(rows: readonly Row[]): ListReader {
  const writer = new ListWriter();
  for (const row of rows) writer.push(...row);
  const { fences, bytes, blocks } = writer.finish();
  const all = new Uint8Array(fences.length + bytes.length);
  all.set(fences);
  all.set(bytes, fences.length);
  const place = { rows: rows.length, blocks, fencesAt: 0, blocksAt: fences.length, end: all.length };
  return new ListReader(place, (at, n) => all.subarray(at, at + n), 2 ** 32, new BlockCache(0), 'test');
}

describe('a sorted list', () => {
  it.each([1, 2, 3, 4, 5, 6])('finds rows as a search in an array does (seed %i)', seed => {
    const below = randomBelow(seed);
    const spread = [3, 1000, 2 ** 20, 2 ** 32, 2 ** 46, 1][seed % 6]!;
    const rows: Row[] = Array.from({ length: 5000 }, () => [
      Math.floor((below(2 ** 31) / 2 ** 31) * spread),
      below(seed % 2 ? 2 ** 20 : 2 ** 32),
      seed % 3 ? 0 : below(9),
    ]);
    rows.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const list = listOf(rows);
    rows.forEach(([key, value, note], r) => {
      const block = list.blockOf(r);
      const i = r - block.first;
      if (block.key(i) !== key || block.value(i) !== value || block.note(i) !== note)
        expect([block.key(i), block.value(i), block.note(i)]).toEqual([key, value, note]);
    });
    for (let q = 0; q < 300; q++) {
      const [key, value] = rows[below(rows.length)]!;
      const k = key + below(3) - 1;
      const v = Math.max(0, value + below(3) - 1);
      const before = rows.filter(r => r[0] < k || (r[0] === k && r[1] < v));
      expect(list.lowerBound(k, v)).toBe(before.length);
      expect(list.lastBefore(k, v)).toBe(before.at(-1)?.[0] === k ? before.at(-1)![1] : -1);
    }
  });
  it('without rows finds nothing', () => {
    const list = listOf([]);
    expect(list.lowerBound(5, 5)).toBe(0);
    expect(list.lastBefore(5, 5)).toBe(-1);
  });
  it('that names what is not there is refused', () => {
    const writer = new ListWriter();
    writer.push(1, 100, 0);
    const { fences, bytes, blocks } = writer.finish();
    const all = Uint8Array.from([...fences, ...bytes]);
    const place = { rows: 1, blocks, fencesAt: 0, blocksAt: fences.length, end: all.length };
    const list = new ListReader(place, (at, n) => all.subarray(at, at + n), 100, new BlockCache(0), 'test');
    expect(() => list.blockOf(0)).toThrow(Trouble);
  });
});

describe('the sort', () => {
  it('is that of an array, and stable', () => {
    const sorter = new Sorter();
    fc.assert(
      fc.property(fc.array(fc.tuple(u32, fc.nat(5), fc.nat(3)), { maxLength: 300 }), rows => {
        const table = new Rows(3);
        table.need(rows.length);
        for (const row of rows) table.words.set(row, table.add());
        const want = rows
          .map((_, i) => i)
          .sort((a, b) => {
            for (const c of [2, 1, 0]) if (rows[a]![c] !== rows[b]![c]) return rows[a]![c]! - rows[b]![c]!;
            return a - b;
          });
        expect([...sorter.sort(table, [0, 1, 2].map(wholeWord))]).toEqual(want);
      }),
    );
  });
});

describe('a set of seqs', () => {
  it('gives each once, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3000)), values => {
        const set = new SeqSet(1e9, 3001);
        for (const v of values) set.add(v);
        expect([...set.ascending()]).toEqual([...new Set(values)].sort((a, b) => a - b).map(v => 1e9 + v));
      }),
    );
  });
});
