import { expect, test } from 'vitest';
import { asPaddr, asTicks } from '../../../src/base/brand.js';
import { BLOCK_BYTES, type Block, blockOver, eventAt } from '../../../src/events/block.js';
import type { Event } from '../../../src/events/kinds.js';
import { Log } from '../../../src/events/log.js';
import { layoutOf, PAGE_FLAGS } from '../../../src/machine/engine/layout.js';
import { Memory } from '../../../src/machine/engine/memory.js';
import { Tables } from '../../../src/systems/bare/model/tables.js';

const MIB = 1 << 20;
const PRESENT = 1n;
const LARGE = 0x80n;

/** mulberry32: numbers below n, the same for the same seed. */
function random(seed: number): (n: number) => number {
  let a = seed;
  return n => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** Tables over a machine's memory, with stores into them told as the host does; events as they happen. */
function world() {
  const memory = new Memory(layoutOf(4 * MIB, 1 << 16));
  const machine = { memory, ticks: asTicks(0) };
  const events: Event[] = [];
  const drain = (block: Block): Block => {
    for (let i = 0; i < block.count; i++) events.push(eventAt(block, i));
    return block;
  };
  const log = new Log({ swap: drain }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
  const tables = new Tables(machine, log);
  const entry = (frame: number, index: number): bigint => memory.read(asPaddr(frame * 4096 + 8 * index), 8);
  memory.onWatched = (at, bytes) => {
    for (let index = (at % 4096) >>> 3; index <= ((at + bytes - 1) % 4096) >>> 3; index++) {
      const table = tables.at(at >>> 12);
      if (!table) return;
      const now = entry(at >>> 12, index);
      tables.written(at >>> 12, table, index, Number(now & 0xffff_ffffn), Number(now >> 32n), -1);
    }
  };
  return {
    machine,
    memory,
    tables,
    entry,
    taken: (): Event[] => {
      log.flush();
      return events.splice(0);
    },
    set: (frame: number, index: number, value: bigint) => memory.hostStore(asPaddr(frame * 4096 + 8 * index), 8, value),
  };
}
const to = (frame: number): bigint => (BigInt(frame) * 4096n) | PRESENT;
const summary = (events: readonly Event[]): string[] =>
  events.map(e => (e.kind === 'adopt' || e.kind === 'release' ? `${e.kind} ${e.table} L${e.level}` : e.kind));

test('loading a root adopts everything the processor may walk, parents first', () => {
  const { set, tables, taken } = world();
  set(10, 0, to(20));
  set(20, 3, to(30));
  set(20, 4, to(31));
  set(30, 0, to(40));
  set(31, 0, to(40) | LARGE); // a large page, not a table
  tables.load(10, -1);
  expect(summary(taken())).toEqual(['adopt 10 L4', 'adopt 20 L3', 'adopt 30 L2', 'adopt 40 L1', 'adopt 31 L2']);
});

test('a store that makes a subtree reachable adopts it, one that cuts it off releases it', () => {
  const { set, tables, taken, memory } = world();
  tables.load(10, -1);
  set(20, 0, to(30)); // not reachable yet
  expect(summary(taken())).toEqual(['adopt 10 L4']);
  set(10, 5, to(20));
  expect(summary(taken())).toEqual(['adopt 20 L3', 'adopt 30 L2']);
  set(10, 6, to(20)); // a second way there
  set(10, 5, 0n);
  expect(taken()).toEqual([]);
  set(10, 6, to(21)); // to another table in one store
  expect(summary(taken())).toEqual(['adopt 21 L3', 'release 20 L3', 'release 30 L2']);
  expect(memory.pageFlags[20]! & PAGE_FLAGS.watched).toBe(0);
  expect(memory.pageFlags[21]! & PAGE_FLAGS.watched).toBe(PAGE_FLAGS.watched);
});

test('tables that two roots share stay until neither refers to them', () => {
  const { set, tables, taken } = world();
  for (const root of [10, 11]) set(root, 256, to(20));
  tables.load(10, -1);
  tables.load(11, -1);
  expect(summary(taken())).toEqual(['adopt 10 L4', 'adopt 20 L3', 'adopt 11 L4']);
  set(10, 256, 0n); // the last entry of a root that is not loaded: nobody comes back to it
  expect(summary(taken())).toEqual(['release 10 L4']);
  set(11, 256, 0n); // empty, but loaded
  expect(summary(taken())).toEqual(['release 20 L3']);
  tables.load(12, -1);
  expect(summary(taken())).toEqual(['adopt 12 L4', 'release 11 L4']);
});

test('a root that maps itself is one table, and goes like any other', () => {
  const { set, tables, taken } = world();
  set(10, 511, to(10));
  tables.load(10, -1);
  tables.load(11, -1);
  expect(summary(taken())).toEqual(['adopt 10 L4', 'adopt 11 L4']);
  set(10, 511, 0n);
  expect(summary(taken())).toEqual(['release 10 L4']);
});

test('a frame that was a table of two levels is adopted anew when the first one has gone', () => {
  const { set, tables, taken } = world();
  tables.load(10, -1);
  set(10, 0, to(20));
  set(20, 0, to(30));
  set(10, 1, to(30)); // level 2 below 20, level 3 below the root
  expect(summary(taken())).toEqual(['adopt 10 L4', 'adopt 20 L3', 'adopt 30 L2']);
  set(20, 0, 0n);
  expect(summary(taken())).toEqual(['release 30 L2', 'adopt 30 L3']);
});

test('one store over two entries changes both', () => {
  const { set, tables, taken, memory } = world();
  set(10, 0, to(20));
  tables.load(10, -1);
  taken();
  // Entry 0 gets a frame beyond memory, entry 1 the table in frame 21.
  memory.hostStore(asPaddr(10 * 4096 + 4), 8, 0x8n | (to(21) << 32n));
  expect(summary(taken())).toEqual(['release 20 L3', 'adopt 21 L3']);
});

test.for([1, 2, 3, 4, 5, 6])('what is a table is what can be reached, after any stores (seed %i)', seed => {
  const { set, tables, taken, memory, entry } = world();
  const pick = random(seed);
  // Frames of level n are 32 n .. 32 n + 7, so that a frame has one level: then reachability is the whole truth.
  const frameAt = (level: number): number => 32 * level + pick(8);
  const roots = new Set<number>();
  const told = new Map<number, bigint[]>();
  let loaded = -1;
  for (let round = 0; round < 400; round++) {
    if (pick(10) === 0) {
      loaded = frameAt(4);
      tables.load(loaded, -1);
      roots.add(loaded);
    } else {
      const level = 1 + pick(4);
      const value = [0n, to(frameAt(level - 1)), to(frameAt(level - 1)), to(frameAt(level - 1)) | LARGE][pick(4)]!;
      if (level > 1) set(frameAt(level), pick(3), value);
    }
    const present = (frame: number): boolean => [0, 1, 2].some(i => entry(frame, i) & PRESENT);
    for (const root of roots) if (root !== loaded && !present(root)) roots.delete(root);
    const reachable = new Map<number, number>();
    const visit = (frame: number, level: number): void => {
      if (reachable.has(frame)) return;
      reachable.set(frame, level);
      for (let i = 0; i < 512 && level > 1; i++) {
        const value = entry(frame, i);
        if (value & PRESENT && (level === 4 || !(value & LARGE))) visit(Number(value >> 12n), level - 1);
      }
    };
    for (const root of roots) visit(root, 4);
    for (const e of taken()) {
      if (e.kind === 'adopt') told.set(e.table, [...e.entries]);
      else if (e.kind === 'release') {
        expect(told.has(e.table), `seed ${seed}, round ${round}`).toBe(true);
        told.delete(e.table);
      }
    }
    expect([...told.keys()].sort(), `seed ${seed}, round ${round}`).toEqual([...reachable.keys()].sort());
    for (const [frame, level] of reachable) expect(tables.at(frame)?.level).toBe(level);
  }
  expect(memory.pageFlags.filter(f => f & PAGE_FLAGS.watched).length).toBe(told.size);
});

test.for([11, 12, 13, 14])('frames at several levels, and cycles, never lose count (seed %i)', seed => {
  const { set, tables, taken, machine, memory, entry } = world();
  const pick = random(seed);
  const live = new Set<number>();
  for (let round = 0; round < 3000; round++) {
    if (pick(20) === 0) tables.load(1 + pick(10), -1);
    else set(1 + pick(10), pick(4), pick(3) === 0 ? 0n : to(1 + pick(10)));
    for (const e of taken()) {
      if (e.kind === 'adopt') {
        expect(live.has(e.table), `seed ${seed}, round ${round}`).toBe(false);
        live.add(e.table);
      } else if (e.kind === 'release') expect(live.delete(e.table), `seed ${seed}, round ${round}`).toBe(true);
    }
  }
  expect(memory.pageFlags.filter(f => f & PAGE_FLAGS.watched).length).toBe(live.size);
  for (const frame of live) {
    const entries = tables.at(frame)!.entries;
    for (let i = 0; i < 512; i++) expect(BigInt(entries[2 * i]!)).toBe(entry(frame, i) & 0xffff_ffffn);
  }
  // Saved and restored, the counts are the same: emptying everything releases everything but the loaded root.
  const again = new Tables(machine, new Log({ swap: b => b }, blockOver(new ArrayBuffer(BLOCK_BYTES))));
  again.restore(JSON.parse(JSON.stringify(tables.save())));
  expect(again.save()).toEqual(tables.save());
  for (let frame = 1; frame <= 10; frame++) for (let i = 0; i < 4; i++) set(frame, i, 0n);
  expect(tables.save().tables.map(([frame]) => frame)).toEqual([tables.save().loaded]);
});
