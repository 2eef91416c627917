import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BLOCK_BYTES,
  type Block,
  blockOver,
  CHUNK_EVENTS,
  CHUNK_TICKS,
  eventAt,
  HEAD_PLACES,
  LIST_ITEMS,
  memoryOf,
  POOL_ITEMS,
  placesOf,
} from '../../src/events/block.js';
import { type Event, KIND, KIND_NAMES, KINDS } from '../../src/events/kinds.js';
import { EMPTY_LEXICON } from '../../src/events/lexicon.js';
import { Log, poison } from '../../src/events/log.js';
import { type AnyField, columnSpecs } from '../../src/events/schema.js';
import { eventJson, harmless, lineOf } from '../../src/events/text.js';
import { bodyOf, draftOf } from './arbitrary.js';

const fresh = (): Block => blockOver(new ArrayBuffer(BLOCK_BYTES));
const collect = () => {
  const blocks: Block[] = [];
  const log = new Log(
    {
      swap: full => {
        blocks.push(full);
        return fresh();
      },
    },
    fresh(),
  );
  return { log, blocks };
};
const withoutOlds = (e: object): object => ({ ...e, olds: [] });

describe('events', () => {
  it('of every kind come back from the columns as they were put, every u64 exact', () => {
    fc.assert(
      fc.property(fc.array(draftOf(KIND_NAMES), { minLength: 1, maxLength: 60 }), drafts => {
        const { log } = collect();
        let ticks = 0;
        const put = drafts.map(d => ({ ...d, ticks: (ticks += d.ticks) }));
        for (const d of put) log.put(d);
        put.forEach((d, i) => {
          expect(withoutOlds(eventAt(log.current, i))).toEqual(withoutOlds({ ...d, seq: i }));
        });
      }),
      { numRuns: 60 },
    );
  });

  it('overwrite every column of their row: a forgotten one would keep the poison', () => {
    for (const kind of KIND_NAMES) {
      fc.assert(
        fc.property(bodyOf(kind), body => {
          const { log } = collect();
          poison(log.col, KIND[kind], 0);
          log.put({ kind, ...body, ticks: 0, vcpu: 0, cause: -1 } as never);
          const back = eventAt(log.current, 0) as unknown as Record<string, unknown>;
          for (const name of Object.keys(KINDS[kind].fields))
            if (name !== 'olds') expect(back[name]).toEqual(body[name]);
        }),
        { numRuns: 5 },
      );
    }
  });

  it('have the same numbers forever: the order of kinds and their fields is in every recording', () => {
    const declared = KIND_NAMES.map(
      (name, n) =>
        `${n} ${name}: ${Object.entries(KINDS[name].fields as Record<string, AnyField>)
          .map(([f, { shape, store }]) => `${f} ${shape === 'word' ? store : shape}`)
          .join(', ')}`,
    );
    expect(declared.join('\n')).toMatchSnapshot();
  });

  it('have distinct column names within a kind', () => {
    for (const kind of KIND_NAMES) {
      const names = columnSpecs(KINDS[kind].fields).map(s => s.name);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('stand in the memory of a block where places say, kind by kind and column by column', () => {
    const block = fresh();
    const memory = memoryOf(block);
    const array = (bytes: number) => (bytes === 1 ? memory.u8 : bytes === 2 ? memory.u16 : memory.u32);
    let value = 0;
    for (const kind of KIND_NAMES) {
      const places = placesOf(kind) as Record<string, number>;
      const columns = Object.entries(block.col[kind] as unknown as Record<string, Uint8Array>);
      expect(Object.keys(places)).toEqual(columns.map(([name]) => name));
      for (const [name, column] of columns) {
        column[7] = value = (value % 250) + 1;
        expect(array(column.BYTES_PER_ELEMENT)[places[name]! + 7], `${kind}.${name}`).toBe(value);
      }
    }
    block.rows[3] = 5;
    [block.kind[7], block.row[7], block.ticks[7], block.vcpu[7], block.back[7]] = [1, 2, 3.5, 4, 6];
    const { u8, u16, u32, f64 } = memory;
    const head = HEAD_PLACES;
    expect([u32[head.rows + 3], u8[head.kind + 7], u16[head.row + 7], f64[head.ticks + 7]]).toEqual([5, 1, 2, 3.5]);
    expect([u8[head.vcpu + 7], u32[head.back + 7]]).toEqual([4, 6]);
  });

  it('refuse values that do not fit, and missing ones: that is our own bug', () => {
    const { log } = collect();
    const head = { ticks: 1, vcpu: 0, cause: -1 };
    expect(() => log.put({ ...head, kind: 'task', old: 0, pid: 2 ** 32, oldName: '', name: '' })).toThrow(/task.pid/);
    expect(() => log.put({ ...head, kind: 'task', old: 0, pid: 1, oldName: '' } as never)).toThrow(/without task.name/);
    expect(() => log.put({ ...head, kind: 'idle', skipped: 1n, ticks: 0 })).toThrow(/time went backwards/);
  });
});

describe('a log', () => {
  it('ends a chunk after 16,384 events', () => {
    const { log, blocks } = collect();
    for (let i = 0; i <= CHUNK_EVENTS; i++)
      log.put({ kind: 'trapret', ticks: i, vcpu: 0, cause: i - 1, pc: 0n as never, user: false });
    expect(blocks.map(b => [b.first, b.count])).toEqual([[0, CHUNK_EVENTS]]);
    expect(eventAt(log.current, 0)).toMatchObject({ seq: CHUNK_EVENTS, cause: CHUNK_EVENTS - 1 });
  });

  it('ends a chunk before it would span 2^24 ticks', () => {
    const { log, blocks } = collect();
    for (const ticks of [5, 5 + CHUNK_TICKS - 1, 5 + CHUNK_TICKS])
      log.put({ kind: 'idle', ticks, vcpu: 0, cause: -1, skipped: 0n });
    expect(blocks.map(b => b.count)).toEqual([2]);
  });

  it('ends a chunk when a pool could overflow, however large the lists are', () => {
    const { log, blocks } = collect();
    const entries = Array.from({ length: LIST_ITEMS }, (_, i) => BigInt(i));
    const n = POOL_ITEMS / LIST_ITEMS + 1;
    for (let i = 0; i < n; i++)
      log.put({
        kind: 'adopt',
        ticks: i,
        vcpu: 0,
        cause: -1,
        space: 'guest',
        table: i as never,
        offset: 0,
        level: 1,
        bytes: 4,
        format: 0,
        entries,
      });
    expect(blocks.map(b => b.count)).toEqual([n - 1]);
    expect(eventAt(log.current, 0)).toMatchObject({ entries });
  });

  it('ends it there and nowhere else, whatever sizes the lists have', () => {
    const size = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: LIST_ITEMS }) }, fc.constant(LIST_ITEMS));
    fc.assert(
      fc.property(fc.array(size, { minLength: 60, maxLength: 400 }), sizes => {
        const { log, blocks } = collect();
        const expected: number[] = [];
        let [used, rows] = [0, 0];
        for (const n of sizes) {
          if (used + LIST_ITEMS > POOL_ITEMS) {
            expected.push(rows);
            [used, rows] = [0, 0];
          }
          const row = log.open(KIND.regs, 0, 0, -1);
          log.col.regs.valuesEnd[row] = used += n;
          rows++;
        }
        expect(blocks.map(b => b.count)).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });
});

describe('text', () => {
  const e = {
    kind: 'pte',
    seq: 7,
    ticks: 99,
    vcpu: 0,
    cause: 3,
    space: 'guest',
    table: 0x1a3,
    offset: 24,
    level: 1,
    bytes: 8,
    path: 1,
    old: 0n,
    new: 0x8000_0000_b1d8_9067n,
    stack: 0,
  } as unknown as Event;
  const lexicon = { ...EMPTY_LEXICON, words: { path: ['store', 'hypercall'] } };
  it('is one line with words from the recording and old -> new', () => {
    expect(lineOf(e, lexicon)).toBe(
      '#7 @99 pte space=guest table=1a3 offset=24 level=1 bytes=8 path=hypercall 0 -> 80000000b1d89067 <#3',
    );
  });
  it('names registers, and errors by their number', () => {
    const head = { seq: 1, ticks: 2, vcpu: 0, cause: -1 };
    const text = (body: object) =>
      lineOf({ ...head, ...body } as unknown as Event, { ...lexicon, registers: ['rax', 'rcx'] });
    expect(text({ kind: 'regs', mask: 0b111n, values: [1n, 0xffn, 3n], olds: [] })).toBe(
      '#1 @2 regs rax=1 rcx=ff register 2=3',
    );
    expect(text({ kind: 'regs', mask: 2n ** 30n - 1n, values: [], olds: [] })).toMatch(/ \+10$/);
    expect(text({ kind: 'result', value: BigInt.asUintN(64, -22n) })).toBe('#1 @2 result value=-22');
    expect(text({ kind: 'result', value: BigInt.asUintN(64, -4096n) })).toBe('#1 @2 result value=fffffffffffff000');
    expect(text({ kind: 'result', value: 0x22n })).toBe('#1 @2 result value=22');
  });
  it('as JSON has u64 as strings and words by name', () => {
    expect(eventJson(e, lexicon)).toMatchObject({
      v: 1,
      kind: 'pte',
      seq: 7,
      path: 'hypercall',
      new: '0x80000000b1d89067',
      cause: 3,
    });
  });
  it('of a guest never reaches a terminal as control sequences', () => {
    expect(harmless('ok\x1b[2J\x9b31m\x07\r\n\u00ff')).toBe('ok\\x1b[2J\\x9b31m\\x07\\r\\n\\xff');
  });
});
