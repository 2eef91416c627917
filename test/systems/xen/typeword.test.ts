import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bareType,
  decodeTypeWord,
  encodeTypeWord,
  TYPE_NAMES,
  type WordLayout,
} from '../../../src/systems/xen/typeword.js';

const LAYOUTS: readonly WordLayout[] = ['4.1', '4.17'];

test('the words of the seed are a writable frame, validated, with one reference, and a level-1 table', () => {
  expect(decodeTypeWord('4.1', 0x7400000000000001n)).toEqual({
    type: 'writable',
    pinned: false,
    validated: true,
    partial: false,
    locked: false,
    paeXenL2: false,
    nonCoherent: false,
    count: 1n,
  });
  expect(decodeTypeWord('4.1', 0x1000000000000000n)).toMatchObject({ type: 'l1', count: 0n, validated: false });
});

test('the same failure in the layout since 4.10', () => {
  expect(encodeTypeWord('4.17', { type: 'writable', validated: true, count: 1n })).toBe(0xe400000000000001n);
  expect(bareType('4.17', 'l1')).toBe(0x2000000000000000n);
  expect(bareType('4.17', 'l4')).toBe(0x8000000000000000n);
  expect(bareType('4.1', 'l4')).toBe(0x4000000000000000n);
});

test('shared is 8 until 4.9 and 6 since; 6 until 4.9 and 9 are nothing', () => {
  expect(bareType('4.1', 'shared')).toBe(8n << 60n);
  expect(bareType('4.17', 'shared')).toBe(6n << 61n);
  expect(decodeTypeWord('4.1', 6n << 60n)).toBeUndefined();
  expect(decodeTypeWord('4.1', 9n << 60n)).toBeUndefined();
});

test('locked is bit 55 until 4.9 and bit 60 since', () => {
  expect(encodeTypeWord('4.1', { type: 'none', locked: true })).toBe(1n << 55n);
  expect(encodeTypeWord('4.17', { type: 'none', locked: true })).toBe(1n << 60n);
});

test('decoding a word gives what it was encoded from, in both layouts', () => {
  const word = fc.record({
    type: fc.constantFrom(...TYPE_NAMES),
    pinned: fc.boolean(),
    validated: fc.boolean(),
    partial: fc.boolean(),
    locked: fc.boolean(),
    paeXenL2: fc.boolean(),
    nonCoherent: fc.constant(false),
    count: fc.bigInt({ min: 0n, max: (1n << 55n) - 1n }),
  });
  for (const layout of LAYOUTS)
    fc.assert(fc.property(word, w => void expect(decodeTypeWord(layout, encodeTypeWord(layout, w))).toEqual(w)));
});
