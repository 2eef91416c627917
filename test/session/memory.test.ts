import { expect, test } from 'vitest';
import { asFrame, asPaddr, asVaddr, paddrOf } from '../../src/base/brand.js';
import { finish } from '../../src/base/work.js';
import { eventAt } from '../../src/events/block.js';
import { isaOf } from '../../src/isa/index.js';
import type { Source } from '../../src/recording/source.js';
import { memoryAt } from '../../src/session/memory.js';
import { memoryPieces, physically, through } from '../../src/views/memory.js';
import { dice } from '../state/consistent.js';
import { eventsOf, opened } from './guests.js';

/** Every store of a run, with where it stands: what a recording in full detail says of memory. */
function storesOf(source: Source): { seq: number; sub: number; at: number; bytes: number; value: bigint }[] {
  const stores = [];
  let [seq, sub] = [-2, 0];
  for (const block of source.details(0, source.count))
    for (let i = 0; i < block.count; i++) {
      const after = block.first + block.back[i]! - 1;
      sub = after === seq ? sub + 1 : 1;
      seq = after;
      const e = eventAt(block, i);
      if (e.kind === 'store') stores.push({ seq, sub, at: Number(e.physical), bytes: e.bytes, value: e.new });
    }
  for (const e of eventsOf(source))
    if (e.kind === 'pte')
      stores.push({ seq: e.seq, sub: 0, at: e.table * 4096 + e.offset, bytes: e.bytes, value: e.new });
  return stores.sort((a, b) => a.seq - b.seq || a.sub - b.sub);
}

test('memory at any moment is the first checkpoint and every store up to that moment', () => {
  const full = opened({ detail: 'full' });
  const mmu = opened({ checkpointTicks: 30_000 });
  const stores = storesOf(full);
  expect(stores.length).toBeGreaterThan(10_000);
  const seed = 20_110_412;
  const roll = dice(seed);
  const moments = Array.from({ length: 12 }, () => {
    const { seq, sub } = stores[roll(stores.length)]!;
    return roll(3) === 0 || sub === 0 ? { seq } : { seq, sub };
  });
  moments.push({ seq: 0 }, { seq: full.count - 1 }, { seq: 216 }, { seq: 215 });
  for (const moment of moments.sort((a, b) => a.seq - b.seq)) {
    const expected = new Uint8Array(full.header.memoryBytes);
    for (const [frame, bytes] of full.checkpoint(0).pages) expected.set(bytes, frame * 4096);
    const view = new DataView(expected.buffer);
    for (const s of stores) {
      if (s.seq > moment.seq || (s.seq === moment.seq && s.sub > (moment.sub ?? 0))) break;
      for (let n = 0; n < s.bytes; n++) view.setUint8(s.at + n, Number((s.value >> BigInt(8 * n)) & 0xffn));
    }
    const got = finish(memoryAt(mmu, moment));
    expect(Buffer.compare(got, expected), `seed ${seed}, #${moment.seq}.${moment.sub ?? 0}`).toBe(0);
  }
});

test('a detail entry that an event does not have is refused', () => {
  expect(() => finish(memoryAt(opened(), { seq: 216, sub: 1_000_000 }))).toThrow(/#216 is followed by \d+ detail/);
});

const FORMAT = isaOf('x86_64')!.paging[0]!;

test('addresses are read through the tables in memory, and a stretch that leads nowhere says at which level', () => {
  const memory = new Uint8Array(8 * 4096);
  const view = new DataView(memory.buffer);
  const table = (frame: number, index: number, entry: bigint): void =>
    view.setBigUint64(frame * 4096 + index * 8, entry, true);
  table(1, 0, 0x2067n);
  table(2, 0, 0x3067n);
  table(3, 0, 0x4067n);
  table(4, 1, 0x5067n);
  table(4, 2, 0x6067n);
  table(4, 4, 0x900_0067n); // far outside memory
  memory.set([1, 2, 3], 0x5ffd);
  memory.set([4, 5], 0x6000);
  const find = through(memory, FORMAT, paddrOf(asFrame(1)));
  const pieces = memoryPieces(memory, 0x1ffdn, 3 * 4096, find);
  expect(pieces.map(p => ('bytes' in p ? [p.from, p.physical, p.bytes.length] : [p.from, p.length, p.why]))).toEqual([
    [0x1ffdn, 0x5ffd, 3],
    [0x2000n, 0x6000, 4096],
    [0x3000n, 4096, 'L1[3] is not present'],
    [0x4000n, 4093, 'outside memory'],
  ]);
  expect(find(asVaddr(0x8000_0000_0000n))).toEqual({ stops: 'not canonical' });
  expect(memoryPieces(memory, 0x7ff0n, 32, physically)).toMatchObject([
    { physical: asPaddr(0x7ff0) },
    { from: 0x8000n, length: 16, why: 'outside memory' },
  ]);
});
