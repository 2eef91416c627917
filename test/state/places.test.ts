import { expect, it } from 'vitest';
import { Trouble } from '../../src/base/trouble.js';
import { Places } from '../../src/state/places.js';
import { dice } from './consistent.js';

it('gives every leaf a place of its own, in order, and finds it again', () => {
  const places = new Places();
  const roll = dice(3);
  const known = new Map<string, number>();
  for (let n = 0; n < 20_000; n++) {
    const section = roll(18);
    const id = roll(2 ** 31) * 2 ** 10 + roll(2 ** 10); // below 2^41
    const name = `${section} ${id}`;
    expect(places.find(section, id), `seed 3, leaf ${name}`).toBe(known.get(name) ?? -1);
    if (known.has(name)) continue;
    known.set(name, places.add(section, id));
    expect(known.get(name)).toBe(known.size - 1);
  }
  for (const [name, place] of known) {
    const [section, id] = name.split(' ').map(Number) as [number, number];
    expect(places.find(section, id)).toBe(place);
    expect([places.sectionOf(place), places.idOf(place)]).toEqual([section, id]);
  }
});

/** The hash of the first table (no seed yet), as in places.ts: who wants to do harm can compute it too. */
function firstHash(key: number): number {
  let h = Math.imul(key | 0, 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 15) ^ (key / 2 ** 32), 0x9e37_79b1);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

it('is not slowed down by ids chosen to collide', () => {
  // All of these want one of a few neighbouring cells, even in a table of 2^16 cells.
  const hostile: number[] = [];
  for (let id = 0; hostile.length < 1500; id += 3) if ((firstHash(id) & 0xffff) < 16) hostile.push(id);
  const places = new Places();
  hostile.forEach((id, n) => void expect(places.add(0, id)).toBe(n));
  for (const [n, id] of hostile.entries()) expect(places.find(0, id)).toBe(n);
  // Hashed anew they lie apart: no row of taken cells as long as the ids are many.
  expect(places.longestRun).toBeLessThan(64);
});

it('refuses more leaves than it can hold, in one line', () => {
  const places = new Places();
  const flood = () => {
    for (let id = 0; id <= 2 ** 20; id++) places.add(1, id * 64);
  };
  expect(flood).toThrow(Trouble);
  expect(places.count).toBe(2 ** 20);
});
