import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { asPaddr, paddrOf } from '../../src/base/brand.js';
import { drive } from '../../src/base/work.js';
import { eventAt } from '../../src/events/block.js';
import { KIND } from '../../src/events/kinds.js';
import type { Source } from '../../src/recording/source.js';
import { rerunOf } from '../../src/session/detail.js';
import { type Origin, originOf } from '../../src/views/stores.js';
import { eventsOf, opened, RECORDINGS } from './guests.js';

/** Entries that arrived with an adopt event after the guest had run a while, at most so many a table. */
function arrived(source: Source, each: number): { at: number; adopt: number; value: bigint }[] {
  return eventsOf(source).flatMap(e =>
    e.kind === 'adopt' && e.ticks > 0
      ? e.entries
          .map((value, i) => ({ at: paddrOf(e.table, e.offset + i * e.bytes) as number, adopt: e.seq, value }))
          .filter(({ value }) => value !== 0n)
          .slice(-each)
      : [],
  );
}
interface Entry {
  readonly seq: number;
  readonly sub: number;
  readonly at: number;
  readonly bytes: number;
  readonly new: bigint;
}
/** Every store of the guest that a full recording has. */
function storesOf(source: Source): Entry[] {
  const found: Entry[] = [];
  let [seq, sub] = [-2, 0];
  for (const block of source.details(0, source.count))
    for (let i = 0; i < block.count; i++) {
      const after = block.first + block.back[i]! - 1;
      sub = after === seq ? sub + 1 : 1;
      seq = after;
      if (block.kind[i] !== KIND.store) continue;
      const e = eventAt(block, i);
      if (e.kind === 'store' && e.at !== 0n)
        found.push({ seq, sub, at: Number(e.physical), bytes: e.bytes, new: e.new });
    }
  return found;
}
const ask = (source: Source, at: number, adopt: number, again: boolean): Promise<Origin> =>
  originOf(source, 'guest', asPaddr(at), adopt, again ? rerunOf(source) : 'nobody runs', drive);

for (const [system, guest] of [
  ['bare', 'address-spaces'],
  ['xen', 'early-pagetable-crash'],
] as const)
  test(`the store behind an entry that came with its table is found in ${system}/${guest}: recorded, or by a re-run`, async () => {
    const image = readFileSync(`${RECORDINGS}${system}/${guest}.elf`);
    const full = opened({ system, guest, image, detail: 'full' });
    const mmu = opened({ system, guest, image, checkpointTicks: 9_000 });
    const entries = arrived(mmu, 2);
    expect(entries.length).toBeGreaterThan(3);
    const all = storesOf(full);
    let stores = 0;
    for (const { at, adopt } of entries.slice(-4)) {
      const last = all.findLast(s => s.seq < adopt && s.at < at + 8 && s.at + s.bytes > at);
      const expected = last && { seq: last.seq, sub: last.sub, new: last.new };
      const recorded = await ask(full, at, adopt, false);
      const rerun = await ask(mmu, at, adopt, true);
      if (recorded.kind !== 'store' || rerun.kind !== 'store') {
        expect([recorded.kind, rerun.kind]).toEqual(['event', 'event']); // it was a table, and stayed as it was
        continue;
      }
      stores++;
      expect(recorded.store).toMatchObject(expected!);
      expect(rerun.store).toMatchObject(expected!);
      expect(rerun.store.stack[0]).toEqual(recorded.store.stack[0]);
      expect(rerun.store.stack.length).toBeGreaterThan(1);
    }
    expect(stores).toBeGreaterThan(1);
    const { at, adopt } = entries.at(-1)!;
    expect(await ask(mmu, at, adopt, false)).toMatchObject({
      kind: 'unknown',
      why: expect.stringMatching(/nobody runs$/),
    });
  });
