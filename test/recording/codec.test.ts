import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Trouble } from '../../src/base/trouble.js';
import { BLOCK_BYTES, type Block, blockOver, eventAt } from '../../src/events/block.js';
import { type Draft, KIND, KIND_NAMES } from '../../src/events/kinds.js';
import { Log } from '../../src/events/log.js';
import { encodeBlock, encodeBody } from '../../src/recording/body-encode.js';
import { Bytes, Sink } from '../../src/recording/bytes.js';
import { type DecodedBlock, decodeBlock, decodeBody, someColumns, wholeBody } from '../../src/recording/codec.js';
import { decodeColumn, skipColumn } from '../../src/recording/column-decode.js';
import { encodeColumn } from '../../src/recording/column-encode.js';
import { partOf, stepsOf } from '../../src/recording/column-part.js';
import type { Numbers, Trait } from '../../src/recording/column-tags.js';
import { compress, packBody } from '../../src/recording/compress.js';
import { decompress, unpackBody } from '../../src/recording/pieces.js';
import { Registers } from '../../src/recording/register-file.js';
import { draftOf } from '../events/arbitrary.js';
import { randomBelow, someDrafts } from './make.js';

const buffer = new ArrayBuffer(BLOCK_BYTES);
/** The drafts as one block of the hot path. */
function blockOf(drafts: readonly Draft[]): Block {
  const log = new Log({ swap: full => full }, blockOver(buffer));
  for (const d of drafts) log.put(d);
  expect(log.current.count).toBe(drafts.length);
  return log.current;
}
const eventsOf = (block: Block) => Array.from({ length: block.count }, (_, i) => eventAt(block, i));
const withoutOlds = (e: object): object => ({ ...e, olds: [] });

describe('a column', () => {
  const words = fc.oneof(
    fc.constantFrom(0, 1, 0xff, 0x100, 0xffff, 0x1_0000, 0xffffff, 0x100_0000, 0xffff_ffff),
    fc.nat(0xffff_ffff),
  );
  const columns: fc.Arbitrary<Numbers> = fc.oneof(
    fc.array(fc.nat(255)).map(a => Uint8Array.from(a)),
    fc.array(fc.nat(65535)).map(a => Uint16Array.from(a)),
    fc.array(words).map(a => Uint32Array.from(a)),
    fc
      .tuple(words, fc.array(fc.integer({ min: -3, max: 300 })))
      .map(([v, steps]) => Uint32Array.from(steps, s => (v = (v + s) >>> 0))),
  );
  /** Long stretches of the same value, as entries have frames. */
  const runs = fc
    .array(fc.tuple(words, fc.nat(90)))
    .map(a => Uint32Array.from(a.flatMap(([v, n]) => new Array<number>(n).fill(v))));
  it('of any width and values comes back, takes all its bytes, and encodes to the same again', () => {
    fc.assert(
      fc.property(columns, fc.constantFrom(...(['plain', 'near', 'few'] as const)), (values, trait) => {
        const out = new Sink();
        encodeColumn(out, values, values.length, trait);
        const from = new Bytes(out.bytes, 0, out.at);
        const back = new (values.constructor as Uint32ArrayConstructor)(values.length);
        decodeColumn(from, back);
        expect(from.at).toBe(from.end);
        expect(back).toEqual(values);
        const past = new Bytes(out.bytes, 0, out.at);
        skipColumn(past, values.length, values.BYTES_PER_ELEMENT as 1 | 2 | 4);
        expect(past.at).toBe(past.end);
        const again = new Sink();
        encodeColumn(again, back, back.length, trait);
        expect(again.bytes.subarray(0, again.at)).toEqual(out.bytes.subarray(0, out.at));
      }),
      { numRuns: 500 },
    );
  });
  it('gives some of its values without the others, and the places where they change', () => {
    fc.assert(
      fc.property(
        fc.oneof(columns, runs),
        fc.constantFrom(...(['plain', 'near', 'few'] as const)),
        fc.array(fc.tuple(fc.nat(), fc.nat())),
        (values, trait, asked) => {
          const n = values.length;
          const width = values.BYTES_PER_ELEMENT as 1 | 2 | 4;
          const out = new Sink();
          encodeColumn(out, values, n, trait);
          const from = new Bytes(out.bytes, 0, out.at);
          const part = partOf(from, n, width);
          expect(from.at).toBe(from.end);
          for (const [a, b] of [...asked, [0, n] as const]) {
            const [first, end] = [Math.min(a % (n + 1), b % (n + 1)), Math.max(a % (n + 1), b % (n + 1))];
            const into = new Uint32Array(end - first);
            part(first, into);
            expect([...into]).toEqual([...values.subarray(first, end)]);
          }
          if (width === 2) return;
          const rows = [...values.keys()].filter(i => i === 0 || values[i] !== values[i - 1]);
          const steps = stepsOf(new Bytes(out.bytes, 0, out.at), n, width);
          expect(steps).toEqual({ rows, values: rows.map(i => values[i]) });
        },
      ),
      { numRuns: 500 },
    );
  });
  it('that is damaged gives Trouble or numbers, also where only some are read', () => {
    const below = randomBelow(5);
    const values = Uint32Array.from({ length: 700 }, (_, i) => (i % 9 === 0 ? below(2 ** 32) : i >> 5));
    let troubles = 0;
    for (const trait of ['plain', 'near', 'few'] as const) {
      const out = new Sink();
      encodeColumn(out, values, values.length, trait);
      for (let n = 0; n < 300; n++) {
        const bytes = out.bytes.slice(0, out.at - below(2) * below(40));
        bytes[below(below(2) ? bytes.length : 20)]! ^= 1 << below(8);
        try {
          partOf(new Bytes(bytes), values.length, 4)(below(600), new Uint32Array(100));
          stepsOf(new Bytes(bytes), values.length, 4);
        } catch (error) {
          if (!(error instanceof Trouble)) throw error;
          troubles++;
        }
      }
    }
    expect(troubles).toBeGreaterThan(200);
  });
  it('that is constant takes five bytes, and one that moves in small steps about one a value', () => {
    const sizeOf = (values: Uint32Array, trait: Trait): number => {
      const out = new Sink();
      encodeColumn(out, values, values.length, trait);
      return out.at;
    };
    expect(sizeOf(new Uint32Array(10_000).fill(0xdead_beef), 'plain')).toBe(5);
    expect(
      sizeOf(
        Uint32Array.from({ length: 10_000 }, (_, i) => 0x8100_0000 + 8 * i),
        'near',
      ),
    ).toBeLessThan(12_600);
  });
  it('takes no more bits than its values need, and half a byte where most are one of fifteen', () => {
    const tagAndSize = (values: Numbers, trait: Trait): number[] => {
      const out = new Sink();
      encodeColumn(out, values, values.length, trait);
      return [out.bytes[0]!, out.at];
    };
    const below = (n: number): Uint8Array => Uint8Array.from({ length: 1000 }, (_, i) => i % n);
    expect(tagAndSize(below(2), 'plain')).toEqual([4, 2 + 125]);
    expect(tagAndSize(below(4), 'plain')).toEqual([4, 2 + 250]);
    expect(tagAndSize(below(16), 'plain')).toEqual([4, 2 + 500]);
    expect(tagAndSize(below(17), 'plain')).toEqual([1, 1 + 1000]);
    const masks = Uint32Array.from({ length: 1000 }, (_, i) => (i % 10 < 9 ? 1 << (i % 9) : i * 0x10_0001));
    expect(tagAndSize(masks, 'few')[0]).toBe(5);
    expect(tagAndSize(masks, 'few')[1]).toBeLessThan(1000);
    expect(tagAndSize(masks, 'plain')[1]).toBeGreaterThan(1000);
    // Wide values of one length are planes without lengths; a plane that is always the same is five bytes.
    expect(
      tagAndSize(
        Uint32Array.from(masks, (_, i) => 0x8000_0000 + (i & 255)),
        'plain',
      ),
    ).toEqual([1, 2 + 1001 + 15]);
  });
});

describe('a block', () => {
  it('of any events of all kinds comes back as it was, and encodes to the same bytes again', () => {
    fc.assert(
      fc.property(fc.array(draftOf(KIND_NAMES), { maxLength: 80 }), drafts => {
        let ticks = 0;
        const block = blockOf(drafts.map(d => ({ ...d, ticks: (ticks += d.ticks) }) as Draft));
        const bytes = encodeBlock(block);
        const back = decodeBlock(bytes, 0);
        expect(eventsOf(back).map(withoutOlds)).toEqual(eventsOf(block).map(withoutOlds));
        expect(Buffer.compare(encodeBlock(back), bytes)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps causes near and far, and ticks that jump', () => {
    const head = { kind: 'trapret', vcpu: 0, pc: 0n, user: false };
    const causes = [-1, 0, 0, -1, 2, 0, 4, 4];
    const block = blockOf(causes.map((cause, i) => ({ ...head, cause, ticks: i }) as unknown as Draft));
    block.ticks.set([2 ** 40 + 3, 2 ** 40 + 3, 2 ** 52], 5);
    expect(eventsOf(decodeBlock(encodeBlock(block), 0))).toEqual(eventsOf(block));
  });

  it('tells what each register was before, from chunk to chunk and for each processor', () => {
    const chunks = [1, 2, 3].map(seed => someDrafts(seed, 400).map(d => ({ ...d, cause: -1 }) as Draft));
    const known = new Map<string, bigint>();
    const writing = new Registers();
    for (const drafts of chunks) {
      const out = new Sink();
      encodeBody(out, blockOf(drafts), writing);
      const back = decodeBody(wholeBody(out.bytes.slice(0, out.at)), 0);
      for (const e of eventsOf(back)) {
        if (e.kind !== 'regs') continue;
        let item = 0;
        for (let reg = 0n; reg < 64n; reg++)
          if ((e.mask >> reg) & 1n) {
            const name = `${e.vcpu}.${reg}`;
            expect(e.olds[item]).toBe(known.get(name) ?? 0n);
            known.set(name, e.values[item++]!);
          }
      }
    }
    expect(known.size).toBeGreaterThan(100);
  });

  it('decodes only the kinds that are asked for', () => {
    const block = blockOf(someDrafts(5, 2000));
    const out = new Sink();
    encodeBody(out, block, new Registers());
    const body = unpackBody(packBody(out.bytes.subarray(0, out.at), out.cuts), 1 << 26);
    const asked: [number, number][] = [];
    const back = decodeBody(
      {
        bytes: body.bytes,
        kept: 0,
        need: (from, to) => {
          asked.push([from, to]);
          body.need(from, to);
        },
      },
      0,
    );
    const bytesAsked = (): number => asked.splice(0).reduce((sum, [from, to]) => sum + to - from, 0);
    expect(bytesAsked()).toBe(12 * 257); // the table of kinds
    expect(back.kind).toBe(back.kind);
    const order = bytesAsked();
    expect([back.ticks.length, back.vcpu.length, back.back.length]).toEqual([2000, 2000, 2000]);
    const head = order + bytesAsked();
    expect(order).toBeLessThan(head);
    expect(back.col.pte).toBe(back.col.pte);
    const pte = bytesAsked();
    expect(pte).toBeGreaterThan(0);
    expect(head + pte).toBeLessThan(body.bytes.length / 2);
    expect(eventAt(back, back.kind.indexOf(KIND_NAMES.indexOf('pte')))).toEqual(
      eventAt(block, back.kind.indexOf(KIND_NAMES.indexOf('pte'))),
    );
    expect(asked).toEqual([]);
  });

  it('gives some columns of a kind as they are among all of them, whichever are asked for', () => {
    const drafts = someDrafts(31, 900);
    const [some, all] = [0, 1].map(() => decodeBlock(encodeBlock(blockOf(drafts)), 0)) as [DecodedBlock, DecodedBlock];
    for (const kind of ['pte', 'total', 'm2p', 'msr', 'root', 'trapret'] as const) {
      const columns = all.col[kind] as unknown as Record<string, Numbers>;
      expect(all.rows[KIND[kind]]).toBeGreaterThan(5);
      for (const names of [...Object.keys(columns).map(name => [name]), Object.keys(columns).slice(1, 4)]) {
        const found = someColumns(some, kind, names as never[]) as Record<string, Numbers>;
        for (const name of names) expect(found[name], `${kind}.${name}`).toEqual(columns[name]);
      }
    }
    expect(someColumns(blockOf(drafts), 'pte', ['table']).table.length).toBeGreaterThan(0);
  });
  it('gives the parts of its head in whatever order they are asked for', () => {
    const block = blockOf(someDrafts(8, 3000));
    const back = (): DecodedBlock => decodeBlock(encodeBlock(block), 0);
    const [forwards, backwards] = [back(), back()];
    const parts = ['kind', 'row', 'ticks', 'vcpu', 'back'] as const;
    for (const part of parts) expect(forwards[part], part).toEqual(block[part].subarray(0, block.count));
    for (const part of [...parts].reverse()) expect(backwards[part], part).toEqual(forwards[part]);
  });

  it('whose bytes were changed at random is Trouble or another valid block, never anything else', () => {
    const seed = 20_261_121;
    const next = randomBelow(seed);
    const good = encodeBlock(blockOf(someDrafts(11, 300)));
    let refused = 0;
    for (let run = 0; run < 4000; run++) {
      const bytes = good.slice(0, run % 4 === 0 ? next(good.length) : good.length);
      for (let k = next(4); k >= 0 && bytes.length > 0; k--)
        bytes[next(run % 2 ? Math.min(600, bytes.length) : bytes.length)] = next(256);
      try {
        const block = decodeBlock(bytes, 0, { causes: true });
        for (const e of eventsOf(block))
          if (e.cause >= e.seq || e.cause < -1) throw new Error(`cause ${e.cause} of ${e.seq}`);
      } catch (error) {
        if (!(error instanceof Trouble))
          throw new Error(`seed ${seed}, run ${run}: ${String(error)}`, { cause: error });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
    expect(refused).toBeLessThan(4000);
  });
});

describe('compression', () => {
  it('gives back any bytes, and nothing for a length that is not theirs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(9), (some, times) => {
        const bytes = Buffer.concat(Array.from({ length: times + 1 }, () => some));
        const stored = compress(bytes);
        expect(Buffer.compare(decompress(stored, bytes.length), bytes)).toBe(0);
        if (1 < stored.length && stored.length < bytes.length) {
          expect(() => decompress(stored, bytes.length - 1)).toThrow(Trouble);
          expect(() => decompress(stored, bytes.length + 1)).toThrow(Trouble);
        }
      }),
      { numRuns: 200 },
    );
  });
  it('of one byte again and again is that byte, alone and as a piece of a body', () => {
    expect(compress(new Uint8Array(50_000).fill(7))).toEqual(Uint8Array.of(7));
    expect(decompress(Uint8Array.of(7), 3)).toEqual(Uint8Array.of(7, 7, 7));
    expect([0, 1].map(n => compress(new Uint8Array(n)).length)).toEqual([0, 1]);
    const body = Uint8Array.from({ length: 9000 }, (_, i) => (i < 3000 ? i >> 7 : i < 6000 ? 0x80 : 0));
    const packed = packBody(body, [3000, 6000]);
    expect(packed.stored.subarray(-2)).toEqual(Buffer.of(0x80, 0));
    const back = unpackBody(packed, 9000);
    back.need(0, 9000);
    expect(back.bytes).toEqual(body);
    expect(() => unpackBody(packed, 8999)).toThrow(Trouble);
  });
  it('of a bomb stops at the length it may have', () => {
    const bomb = compress(new Uint8Array(50 << 20).fill(1, 1));
    expect(bomb.length).toBeLessThan(20_000);
    const before = process.memoryUsage().rss;
    expect(() => decompress(bomb, 4096)).toThrow(Trouble);
    expect(process.memoryUsage().rss - before).toBeLessThan(20 << 20);
  });
});
