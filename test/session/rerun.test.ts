import { createHash } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { Trouble } from '../../src/base/trouble.js';
import { finish } from '../../src/base/work.js';
import type { Block } from '../../src/events/block.js';
import type { Event } from '../../src/events/kinds.js';
import { encodeBody } from '../../src/recording/body-encode.js';
import { Sink } from '../../src/recording/bytes.js';
import type { Recording } from '../../src/recording/reader.js';
import { Registers } from '../../src/recording/register-file.js';
import type { Rerun } from '../../src/recording/rerun.js';
import type { Source } from '../../src/recording/source.js';
import { rerunOf } from '../../src/session/detail.js';
import { SYSTEM_NAMES, whyNoRerun } from '../../src/session/may-rerun.js';
import { rerunDetail, rerunEvents } from '../../src/session/rerun.js';
import { SYSTEMS } from '../../src/session/systems.js';
import { eventsIn, eventsOf, opened } from './guests.js';

let full: Recording;
let mmu: Recording;
beforeAll(() => {
  full = opened({ detail: 'full', checkpointTicks: 20_000 });
  mmu = opened({ checkpointTicks: 20_000 });
});

/** A detail entry and the event it follows. */
type Entry = readonly [after: number, entry: Omit<Event, 'seq' | 'cause'>];
function entriesIn(blocks: Iterable<Block>, from: number, to: number): Entry[] {
  const found: Entry[] = [];
  for (const block of blocks)
    eventsIn(block).forEach(({ seq: _, cause: __, ...entry }, i) => {
      const after = block.first + block.back[i]! - 1;
      if (after >= from && after < to) found.push([after, entry]);
    });
  return found;
}
function again(source: Source, from: number, to: number): Entry[] {
  const found: Entry[] = [];
  finish(rerunDetail(source, from, to, block => found.push(...entriesIn([block], from, to))));
  return found;
}

test('a re-run gives the detail that a full recording has, of any stretch, from a recording without any', () => {
  const { count } = mmu;
  const stretches = [
    [0, 1],
    [5, 6],
    [6, 30],
    [17, 20],
    [100, 101],
    [244, 246],
    [249, 261],
    [count - 12, count],
  ];
  for (const [from, to] of stretches as [number, number][]) {
    const expected = entriesIn(full.details(from, to), from, to);
    expect(again(mmu, from, to), `${from} to ${to}`).toEqual(expected);
  }
});

test('the detail of a whole run, run again, is that of the recording, byte for byte', () => {
  const bodies = () => {
    const registers = new Registers();
    const found: string[] = [];
    return {
      found,
      add: (block: Block): void => {
        const out = new Sink();
        encodeBody(out, block, registers);
        found.push(createHash('sha256').update(out.bytes.subarray(0, out.at)).digest('hex'));
      },
    };
  };
  const [expected, got] = [bodies(), bodies()];
  for (const block of full.details(0, full.count)) expected.add(block);
  finish(rerunDetail(mmu, 0, mmu.count, got.add));
  expect(expected.found.length).toBeGreaterThan(10);
  expect(got.found).toEqual(expected.found);
});

test('every entry of detail says which instruction it is of, and stops when asked', async () => {
  const from = eventsOf(mmu).findIndex(e => e.kind === 'pte' && e.path === 0);
  const again: Rerun = rerunOf(mmu); // is what the views ask for
  const entries = [];
  for await (const entry of again.detail(from, from + 2)) entries.push(entry);
  const subs = entries.filter(e => e.seq === from).map(e => e.sub);
  expect(subs).toEqual(subs.map((_, i) => i + 1));
  let pc = entries[0]!.pc;
  for (const { what, pc: at } of entries) {
    expect(at).toBe(pc);
    if (what.kind === 'step') pc = (what.registers.find(([register]) => register === 16)?.[1] ?? pc) as typeof pc;
  }
  const abort = new AbortController();
  const all = rerunOf(mmu).detail(0, mmu.count, { signal: abort.signal, onProgress: () => abort.abort() });
  await expect(async () => {
    for await (const _ of all);
  }).rejects.toThrow(/abort/);
  expect(whyNoRerun(mmu)).toBeUndefined();
});

test('a re-run from any checkpoint gives the events of the recording, with the same stacks', () => {
  const whole = eventsOf(mmu);
  expect(mmu.checkpoints.length).toBe(9);
  mmu.checkpoints.forEach((checkpoint, n) => {
    const events: [Event, readonly bigint[]][] = [];
    const stackOf = (e: Event, of: (id: number) => readonly bigint[]) => ('stack' in e ? of(e.stack) : []);
    finish(
      rerunEvents(mmu, n, {
        block: (block, stack) => events.push(...eventsIn(block).map(e => [e, stackOf(e, stack)] as [Event, bigint[]])),
      }),
    );
    const plain = (e: Event) => ({ ...e, stack: 0 });
    expect(events.map(([e]) => plain(e))).toEqual(whole.slice(checkpoint.seq).map(plain));
    for (const [e, stack] of events) expect(stack).toEqual(stackOf(whole[e.seq]!, id => mmu.stack(id)));
  });
});

test('says what it cannot run again', () => {
  expect(() => again(mmu, 5, 5)).toThrow(/no events #5 to #4/);
  expect(() => again(mmu, 0, mmu.count + 1)).toThrow(Trouble);
  const without: Source = Object.create(mmu, { checkpoints: { value: [] } });
  expect(() => again(without, 1, 2)).toThrow(/no checkpoint/);
  const damaged = (change: (state: Uint8Array) => Uint8Array): Source =>
    Object.create(mmu, {
      checkpoint: { value: (n: number) => ({ ...mmu.checkpoint(n), state: change(mmu.checkpoint(n).state.slice()) }) },
    });
  const refuses = (change: (state: Uint8Array) => Uint8Array, why: RegExp) => {
    expect(() => again(damaged(change), 10, 11)).toThrow(Trouble);
    expect(() => again(damaged(change), 10, 11)).toThrow(why);
  };
  refuses(() => new Uint8Array(3), /has no state/);
  refuses(s => s.subarray(0, 4000), /cut off/);
  refuses(s => s.subarray(0, s.length - 3), /no JSON/);
  refuses(s => s.fill(0, 0, 4), /host's state is damaged/);
  const json = (edit: (saved: Record<string, unknown>) => void) => (s: Uint8Array) => {
    const at = 4 + new DataView(s.buffer).getUint32(0, true);
    const saved = JSON.parse(Buffer.from(s.subarray(at)).toString('latin1'));
    edit(saved);
    return Uint8Array.from([...s.subarray(0, at), ...Buffer.from(JSON.stringify(saved), 'latin1')]);
  };
  refuses(
    json(s => (s.tables = { loaded: 1, tables: [] })),
    /the root/,
  );
  refuses(
    json(s => (s.tables = { loaded: -1, tables: [[1e9, 1, 0]] })),
    /a table/,
  );
  refuses(
    json(
      s =>
        (s.tables = {
          loaded: -1,
          tables: [
            [3, 1, 0],
            [3, 2, 0],
          ],
        }),
    ),
    /a table/,
  );
  refuses(
    json(s => (s.registers = [])),
    /registers/,
  );
  refuses(
    json(s => (s.causes = ['x'])),
    /causes/,
  );
  refuses(
    json(s => delete s.line),
    /console/,
  );
});

test('the systems that may be run again are those that there are models of', () => {
  expect(SYSTEMS.map(s => s.id)).toEqual([...SYSTEM_NAMES]);
});
