import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { paddrOf } from '../../src/base/brand.js';
import { Trouble } from '../../src/base/trouble.js';
import { finish } from '../../src/base/work.js';
import { eventAt } from '../../src/events/block.js';
import { KIND } from '../../src/events/kinds.js';
import { FORMAT_VERSION } from '../../src/recording/frames.js';
import { openRecording } from '../../src/recording/reader.js';
import { verify } from '../../src/recording/verify.js';
import { createRecording } from '../../src/recording/writer.js';
// @ts-expect-error plain JavaScript, no types
import { generate } from '../../tools/bench/generate.mjs';
import {
  CHECKPOINTS,
  digestOf,
  HEADER,
  LEXICON,
  makeRecording,
  readAll,
  scratchDir,
  someDrafts,
  writeSome,
} from './make.js';

const dir = scratchDir();
const at = (name: string): string => join(dir, name);
const drafts = someDrafts(3, 600);

describe('a recording', () => {
  it('gives back all that was put into it', () => {
    makeRecording(at('all'), drafts, 100);
    const r = openRecording(at('all'));
    expect(r.header).toEqual({ ...HEADER, version: FORMAT_VERSION });
    expect(r.lexicon).toMatchObject(LEXICON);
    expect([r.count, r.chunks.length, r.closed, r.damage]).toEqual([600, 6, true, undefined]);
    expect(r.symbols).toEqual([{ at: 0xffff_ffff_8100_0000n, bytes: 64, name: 'start_kernel' }]);
    drafts.forEach((d, seq) => {
      const n = r.chunkOf(seq);
      const block = r.chunk(n);
      const e = eventAt(block, seq - block.first) as unknown as Record<string, unknown>;
      expect(e.kind).toBe(d.kind);
      expect([e.seq, e.cause, e.vcpu]).toEqual([seq, d.cause, d.vcpu]);
      if (d.kind === 'pte') expect([e.old, e.new]).toEqual([d.old, d.new]);
      if ('stack' in d) expect(r.stack(e.stack as number)).toEqual([BigInt(seq % 7), 0xffff_8000_0000_0000n]);
    });
    expect(r.stack(0)).toEqual([]);
    expect(r.chunks.map(c => c.counts[KIND.pte])).toEqual(
      [0, 1, 2, 3, 4, 5].map(n => drafts.slice(100 * n, 100 * n + 100).filter(d => d.kind === 'pte').length),
    );
    expect(r.endTicks).toBe(eventAt(r.chunk(5), 99).ticks);
    r.close();
  });

  it('gives the pages and the state of each checkpoint, each content from one place', () => {
    const r = openRecording(at('all'));
    expect(r.checkpoints.map(c => c.seq)).toEqual([0, 90]);
    CHECKPOINTS.forEach((given, n) => {
      const found = r.checkpoint(n);
      expect(Buffer.compare(found.state, given.state)).toBe(0);
      expect([...found.pages].map(([f, b]) => [f, b[0], b.every(x => x === b[0])])).toEqual(
        given.pages.map(([f, b]) => [f, b[0], true]),
      );
    });
    expect(r.pageHash(1, 5)).toBe(r.pageHash(1, 5));
    expect(r.pageHash(0, 2)).not.toBe(r.pageHash(1, 2));
    expect(r.pageHash(1, 1)).toBe(r.pageHash(0, 1));
    expect(r.pageHash(0, 3)).toBe(r.pageHash(0, 9));
    expect([r.pageHash(0, 5), r.pageHash(1, 77)]).toEqual([undefined, undefined]);
  });

  it('gives the details between two events, as blocks that cover them', () => {
    const r = openRecording(at('all'));
    const found = [...r.details(200, 300)].flatMap(b =>
      Array.from({ length: b.count }, (_, i) => b.first + b.back[i]!),
    );
    const wanted = Array.from({ length: 20 }, (_, i) => 205 + 5 * i);
    expect(found).toEqual(expect.arrayContaining(wanted));
    const one = [...r.details(204, 205)].map(b => eventAt(b, b.back.indexOf(205 - b.first)) as { new?: bigint })[0];
    expect(one?.new).toBe(204n);
  });

  it('has the same bytes each time, and from a worker the same as in place', () => {
    const bytes = makeRecording(at('one'), drafts, 50);
    expect(Buffer.compare(makeRecording(at('two'), drafts, 50), bytes)).toBe(0);
    expect(Buffer.compare(makeRecording(at('three'), drafts, 50, { thread: true }), bytes)).toBe(0);
    const busy = (name: string, events: number, thread: boolean): Buffer => {
      const recorder = createRecording(at(name), HEADER, { thread });
      generate(recorder.log, KIND, { events, seed: 4 });
      recorder.close();
      return readFileSync(at(name));
    };
    expect(Buffer.compare(busy('busy', 200_000, true), busy('idle', 200_000, false))).toBe(0);
    // So many at once that a second worker is called in for the indexes.
    expect(Buffer.compare(busy('flood', 1_200_000, true), busy('still', 1_200_000, false))).toBe(0);
  });

  it('has an id of what was run and a chain of what happened', () => {
    const first = openRecording(at('one'));
    const other = createRecording(at('other'), { ...HEADER, config: { a: '1', b: '3' } });
    writeSome(other, drafts, 50);
    const { id, chain } = other.close();
    expect(id).not.toBe(first.id);
    expect(chain).toBe(first.chain);
    const sorted = createRecording(at('sorted'), { ...HEADER, config: { a: '1', b: '2' } });
    writeSome(sorted, drafts.slice(1), 50);
    const shorter = sorted.close();
    expect(shorter.id).toBe(first.id);
    expect(shorter.chain).not.toBe(first.chain);
  });

  it('is not changed by tails on the way, also where events have stacks of their own', () => {
    const write = (name: string, tailEvery: number): void => {
      const recorder = createRecording(at(name), HEADER);
      const { put } = recorder.log;
      let n = 0;
      recorder.log.put = draft => {
        recorder.intern([BigInt(n)]);
        if (++n % tailEvery === 0) recorder.tail();
        return put.call(recorder.log, draft);
      };
      writeSome(recorder, drafts, 50);
      recorder.close();
    };
    write('stacks', Number.POSITIVE_INFINITY);
    write('stacks-tails', 7);
    expect(Buffer.compare(readFileSync(at('stacks-tails')), readFileSync(at('stacks')))).toBe(0);
  });

  it('is not changed by tails on the way', () => {
    const recorder = createRecording(at('tails'), HEADER);
    const { put } = recorder.log;
    let n = 0;
    recorder.log.put = draft => {
      if (++n % 7 === 0) recorder.tail();
      return put.call(recorder.log, draft);
    };
    writeSome(recorder, drafts, 50);
    recorder.close();
    expect(Buffer.compare(readFileSync(at('tails')), readFileSync(at('one')))).toBe(0);
  });

  it('carries an index and a keyframe for each 64 chunks and for the rest, and the index knows the writes of an entry', () => {
    makeRecording(at('indexed'), drafts, 4);
    const r = openRecording(at('indexed'));
    expect(r.keyframes).toEqual([
      { from: 0, seq: 256 },
      { from: 256, seq: 512 },
      { from: 512, seq: 600 },
    ]);
    expect(r.keyframes.map((_, n) => r.keyframe(n).seq)).toEqual([256, 512, 600]);
    let asked = 0;
    drafts.forEach((d, seq) => {
      // The entry of a table beyond all memory would be in no frame.
      if (d.kind !== 'pte' || d.table > 0xffff_0000) return;
      const place = paddrOf(d.table, d.offset);
      expect(r.index.lastSlotWrite(d.space, place, seq + 1)).toBe(seq);
      asked++;
    });
    expect(asked).toBeGreaterThan(5);
  });

  it('of many pages is cut into parts', () => {
    const recorder = createRecording(at('pages'), HEADER);
    const page = (n: number): Uint8Array => new Uint8Array(new Uint32Array(1024).fill(n).buffer);
    const pages = Array.from({ length: 2500 }, (_, f) => [f, page(f % 2000)] as const);
    recorder.checkpoint({ seq: 0, ticks: 0, state: Uint8Array.of(5), pages });
    recorder.close();
    const r = openRecording(at('pages'));
    expect(r.checkpoints.length).toBe(1);
    let seen = 0;
    for (const [frame, bytes] of r.checkpoint(0).pages) {
      expect(Buffer.compare(bytes, pages[frame]![1])).toBe(0);
      seen++;
    }
    expect([seen, r.checkpoint(0).state[0]]).toEqual([2500, 5]);
  });

  it('that is whole is found to be whole', () => {
    expect(finish(verify(at('all')))).toMatchObject({
      events: 600,
      chunks: 6,
      closed: true,
      damage: undefined,
      reencoded: true,
      reindexed: true,
    });
    expect(finish(verify(at('pages')))).toMatchObject({ events: 0, damage: undefined });
  });

  it('keeps no more decoded chunks than it may', () => {
    const r = openRecording(at('busy'), { cacheBytes: 1 << 20 });
    const again = openRecording(at('busy'));
    const a = r.chunk(0);
    const b = again.chunk(0);
    readAll(r);
    readAll(again);
    expect(r.chunk(0)).not.toBe(a);
    expect(again.chunk(0)).toBe(b);
  });
});

describe('a glance at a chunk', () => {
  it('gives what the chunk gives, whether or not that is kept', () => {
    makeRecording(at('glanced'), drafts, 50);
    const r = openRecording(at('glanced'));
    const other = openRecording(at('glanced'));
    r.chunk(3);
    for (let n = r.chunks.length - 1; n >= 0; n--) expect(digestOf(r.glance(n))).toBe(digestOf(other.chunk(n)));
    expect(r.chunks.length).toBeGreaterThan(5);
  });
});

describe('trouble of one line with the path', () => {
  const message = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      if (error instanceof Trouble) return error.message;
      throw error;
    }
    throw new Error('no Trouble');
  };
  it('is what a reader says of files that are no recordings', () => {
    writeFileSync(at('empty'), '');
    writeFileSync(at('text'), 'hello, I am no recording at all, but long enough to be one');
    mkdirSync(at('folder'));
    const newer = Buffer.from(readFileSync(at('all')));
    newer.writeUInt16LE(FORMAT_VERSION + 1, 8);
    writeFileSync(at('newer'), newer);
    writeFileSync(at('short'), newer.subarray(0, 9));
    expect(
      ['missing', 'empty', 'text', 'folder', 'newer', 'short'].map(n => message(() => openRecording(at(n)))),
    ).toEqual([
      expect.stringMatching(/^\/.*missing: cannot be opened: ENOENT/),
      `${at('empty')}: the file is empty`,
      `${at('text')}: this is no rewalk recording`,
      `${at('folder')}: this is no file`,
      `${at('newer')}: made by another version of rewalk (format ${FORMAT_VERSION + 1}, this one reads up to ${FORMAT_VERSION})`,
      `${at('short')}: the file ends within its header`,
    ]);
  });

  it('is what a writer says of a path it cannot write, in place and from its worker', () => {
    for (const thread of [false, true]) {
      const write = (path: string) => () => {
        const recorder = createRecording(path, HEADER, { thread });
        writeSome(recorder, drafts, 50);
        recorder.close();
      };
      expect(message(write(at('no/such/folder')))).toMatch(/no\/such\/folder: cannot write the recording: ENOENT/);
      if (process.platform === 'linux')
        expect(message(write('/dev/full'))).toMatch(/^\/dev\/full: cannot write the recording: ENOSPC/);
    }
  });

  it('comes back each time a writer that failed is asked', () => {
    const recorder = createRecording(at('no/such/folder'), HEADER, { thread: true });
    expect(message(() => recorder.close())).toMatch(/ENOENT/);
    expect(message(() => recorder.close())).toMatch(/ENOENT/);
  });
});
