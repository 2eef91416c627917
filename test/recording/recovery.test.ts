import { spawn } from 'node:child_process';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Trouble } from '../../src/base/trouble.js';
import { finish } from '../../src/base/work.js';
import { CHUNK_EVENTS } from '../../src/events/block.js';
import { FRAME, FRAME_BYTES, msgpack } from '../../src/recording/frames.js';
import { openRecording } from '../../src/recording/reader.js';
import { verify } from '../../src/recording/verify.js';
import { createRecording } from '../../src/recording/writer.js';
import {
  digestOf,
  frameBytes,
  frameOffsets,
  HEADER,
  makeRecording,
  randomBelow,
  readAll,
  readAllOf,
  scratchDir,
  someDrafts,
  writeSome,
} from './make.js';

const dir = scratchDir();
const at = (name: string): string => join(dir, name);
const RUNS = 1000;

const good = makeRecording(at('good'), someDrafts(8, 400), 40);
const offsets = frameOffsets(good);
const digests = readAllOf(at('good'));
const typeOf = (offset: number): number => good.readUInt8(offset + 24);
const firstFrame = offsets[0]!;
const footer = offsets.at(-2)!;
/** Whole chunks in the first `bytes` bytes. */
const chunksIn = (bytes: number): number =>
  offsets.filter((o, i) => i + 1 < offsets.length && typeOf(o) === FRAME.chunk && offsets[i + 1]! <= bytes).length;
/** The frame that byte `p` is in. */
const frameAt = (p: number): number => offsets.filter(o => o <= p).at(-1)!;

describe('a damaged recording', () => {
  it(`cut off anywhere is the exact prefix, and says where and why (${RUNS} times)`, () => {
    const seed = 401;
    const next = randomBelow(seed);
    for (let run = 0; run < RUNS; run++) {
      const cut = run < offsets.length ? offsets[run]! : next(good.length);
      const name = `seed ${seed}, run ${run}, cut at ${cut}`;
      writeFileSync(at('cut'), good.subarray(0, cut));
      if (cut < firstFrame) {
        expect(() => openRecording(at('cut')), name).toThrow(Trouble);
        expect(() => openRecording(at('cut')), name).toThrow(at('cut'));
        continue;
      }
      const r = openRecording(at('cut'));
      const whole = chunksIn(cut);
      expect(readAll(r), name).toEqual(digests.slice(0, whole));
      expect([r.count, r.closed], name).toEqual([40 * whole, cut === good.length]);
      if (offsets.includes(cut)) expect(r.damage, name).toBeUndefined();
      else expect(r.damage, name).toEqual({ offset: frameAt(cut), reason: expect.stringMatching(/file (ends|has)/) });
      r.close();
    }
  });

  it(`with a bit flipped anywhere is the exact prefix, or Trouble with file and offset, and never a wrong answer (${RUNS} times)`, () => {
    const seed = 300;
    const next = randomBelow(seed);
    for (let run = 0; run < RUNS; run++) {
      const byte = run % 3 === 0 ? offsets[next(offsets.length - 1)]! + next(FRAME_BYTES) : next(good.length);
      const bytes = Buffer.from(good);
      bytes[byte] = bytes[byte]! ^ (1 << next(8));
      const name = `seed ${seed}, run ${run}, byte ${byte}`;
      writeFileSync(at('flip'), bytes);
      if (byte < firstFrame) {
        expect(() => openRecording(at('flip')), name).toThrow(at('flip'));
        continue;
      }
      const hit = frameAt(byte);
      const before = digests.slice(0, chunksIn(hit));
      // With every checksum looked at first: the prefix.
      const checked = openRecording(at('flip'), { check: true });
      expect(readAll(checked), name).toEqual(before);
      expect(checked.damage, name).toEqual({ offset: hit, reason: expect.any(String) });
      checked.close();
      // By the footer: all that is good, and trouble for what is not, when it is touched.
      const quick = openRecording(at('flip'));
      if (quick.closed) {
        expect(quick.count, name).toBe(400);
        expect(() => readAll(quick), name).toThrow(`${at('flip')}: damaged at byte ${hit}: `);
        const n = next(before.length || 1);
        if (before.length > 0) expect(digestOf(quick.chunk(n)), name).toBe(before[n]);
      } else expect(readAll(quick), name).toEqual(before);
      quick.close();
      if (run % 20 === 0)
        expect(finish(verify(at('flip'))), name).toMatchObject({ events: 40 * before.length, damage: { offset: hit } });
    }
  });

  it(`made to harm, with good checksums, is Trouble or harmless, within little memory (${RUNS} times)`, () => {
    const seed = 77;
    const next = randomBelow(seed);
    const rss = process.memoryUsage().rss;
    let refused = 0;
    for (let run = 0; run < RUNS; run++) {
      const bytes = Buffer.from(good);
      const n = next(offsets.length - 1);
      const start = offsets[n]!;
      const end = offsets[n + 1]!;
      for (let k = next(3); k >= 0; k--)
        bytes[start + FRAME_BYTES + next(Math.min(end - start - FRAME_BYTES, 400))] = next(256);
      bytes.writeUInt32LE(crc32(bytes.subarray(start + FRAME_BYTES, end)), start + 8);
      if (run % 4 === 0) bytes.writeDoubleLE([2 ** 53, -1, 1e300, next(1000)][(run % 16) >> 2]!, start + 16);
      if (run % 5 === 0) bytes.writeUInt32LE(next(2 ** 31), start + 12);
      bytes.writeUInt32LE(crc32(bytes.subarray(start, start + 28)), start + 28);
      writeFileSync(at('harm'), bytes);
      for (const read of [() => readAllOf(at('harm'), run % 2 === 0), () => finish(verify(at('harm')))])
        try {
          read();
        } catch (error) {
          if (!(error instanceof Trouble))
            throw new Error(`seed ${seed}, run ${run}: ${String(error)}`, { cause: error });
          expect(error.message).toMatch(at('harm'));
          refused++;
        }
    }
    expect(refused).toBeGreaterThan(100);
    expect(process.memoryUsage().rss - rss).toBeLessThan(300 << 20);
  });

  it('that promises far more than it has is refused before anything is made for it', () => {
    const begin = good.subarray(0, firstFrame);
    const open = (...frames: Buffer[]) => {
      writeFileSync(at('large'), Buffer.concat([begin, ...frames]));
      return openRecording(at('large'));
    };
    const long = frameBytes(FRAME.chunk, 1, 0, 0, new Uint8Array(8));
    long.writeUInt32LE(0xffff_fff0, 4);
    long.writeUInt32LE(crc32(long.subarray(0, 28)), 28);
    expect(open(long).damage?.reason).toBe('a chunk frame of 4294967280 bytes');
    long.writeUInt32LE(60 << 20, 4);
    long.writeUInt32LE(crc32(long.subarray(0, 28)), 28);
    expect(open(long).damage?.reason).toBe('a chunk frame of 62914560 bytes where the file has 8 more');

    // A chunk whose one piece claims to be 4 GiB; a lexicon that claims 3 GiB.
    const i = offsets.findIndex(o => typeOf(o) === FRAME.chunk);
    const chunk = msgpack.unpack(good.subarray(offsets[i]! + FRAME_BYTES, offsets[i + 1]!)) as { stored: Uint8Array };
    const pieces = new Uint8Array(Uint32Array.of(0xffff_ffff, chunk.stored.length).buffer);
    const bomb = frameBytes(FRAME.chunk, 40, 0, 0, msgpack.pack({ ...chunk, pieces }));
    expect(() => open(bomb).chunk(0)).toThrow(
      `${at('large')}: damaged at byte ${firstFrame}: a body of 4294967295 bytes`,
    );
    const words = frameBytes(FRAME.lexicon, 1, 0, 0, msgpack.pack({ bytes: 3 * 2 ** 30, stored: new Uint8Array(99) }));
    expect(() => open(words).lexicon).toThrow('the lexicon is not valid');
  });

  it('whose chunks do not follow each other ends before the gap', () => {
    const chunks = offsets.filter(o => o < footer && typeOf(o) === FRAME.chunk);
    const [, second, third] = chunks as [number, number, number];
    writeFileSync(at('gap'), Buffer.concat([good.subarray(0, second), good.subarray(third)]));
    const r = openRecording(at('gap'));
    expect([r.count, r.damage?.offset]).toEqual([40, second + frameAt(third) - third]);
    expect(r.damage?.reason).toMatch(/begins at 80 where 40 should follow|does not|not what/);
  });
});

describe('a recording that still grows', () => {
  it('is followed by whole frames only, whatever part of one is there', () => {
    const seed = 55;
    const next = randomBelow(seed);
    let have = firstFrame;
    writeFileSync(at('grow'), good.subarray(0, have));
    const r = openRecording(at('grow'));
    expect([r.count, r.closed]).toEqual([0, false]);
    while (have < good.length) {
      have = Math.min(good.length, have + 1 + next(3000));
      writeFileSync(at('grow.tmp'), good.subarray(0, have));
      copyFileSync(at('grow.tmp'), at('grow'));
      const before = r.count;
      expect(r.refresh(), `seed ${seed}, ${have} bytes`).toBe(r.count > before);
      expect(r.count).toBe(40 * chunksIn(have));
      expect(r.chunks.length).toBe(chunksIn(have));
    }
    expect(r.closed).toBe(true);
    expect(r.damage).toBeUndefined();
    expect(readAll(r)).toEqual(digests);
    expect(r.refresh()).toBe(false);
  });

  it.each([false, true])(
    'shows its tail to who follows, and to who opens it after the writer was killed (thread %s)',
    thread => {
      const path = at(`tail${thread}`);
      const recorder = createRecording(path, HEADER, { thread });
      const drafts = someDrafts(21, 230);
      writeSome(recorder, drafts.slice(0, 130), 100);
      recorder.tail();
      if (thread) waitFor(() => countOf(path) === 129);
      const r = openRecording(path);
      // 100 in a chunk, 29 in the tail: the last event may not be complete.
      expect([r.count, r.chunks.length, r.chunkOf(128), r.closed]).toEqual([129, 2, 1, false]);
      const seen = readAll(r);
      const ticks = r.endTicks;
      for (const d of drafts.slice(130)) recorder.log.put({ ...d, ticks: d.ticks + 2 ** 25 } as never);
      recorder.close();
      expect(r.refresh()).toBe(true);
      expect([r.count, r.closed, r.damage]).toEqual([230, true, undefined]);
      expect(r.endTicks).toBeGreaterThan(ticks);
      expect(readAll(r)[0]).toBe(seen[0]);
      expect(finish(verify(path)).damage).toBeUndefined();
    },
  );
});

/** Events in a file that a worker may not have begun yet. */
function countOf(path: string): number {
  try {
    return openRecording(path).count;
  } catch (error) {
    if (error instanceof Trouble) return -1;
    throw error;
  }
}
function waitFor(what: () => boolean): void {
  const end = performance.now() + 20_000;
  while (!what()) if (performance.now() > end) throw new Error('waited too long');
}

describe('an index or a keyframe that is not that of its events', () => {
  /** The recording with a byte of the payload of the n-th frame of a type changed, and checksums made right again. */
  function forged(path: string, type: number, at: (payload: Buffer) => number): void {
    const bytes = readFileSync(path);
    for (
      let offset = bytes.readUInt32LE(12);
      offset + 32 < bytes.length;
      offset += 32 + bytes.readUInt32LE(offset + 4)
    ) {
      if (bytes.readUInt8(offset + 24) !== type) continue;
      const payload = bytes.subarray(offset + 32, offset + 32 + bytes.readUInt32LE(offset + 4));
      const place = at(payload);
      payload.writeUInt8(payload.readUInt8(place) ^ 1, place);
      bytes.writeUInt32LE(crc32(payload), offset + 8);
      bytes.writeUInt32LE(crc32(bytes.subarray(offset, offset + 28)), offset + 28);
      writeFileSync(path, bytes);
      return;
    }
    throw new Error('no such frame');
  }

  it('is found, though its checksum is right, but not by a quick look', () => {
    for (const [type, name] of [
      [FRAME.index, 'index'],
      [FRAME.keyframe, 'keyframe'],
    ] as const) {
      const path = at(`forged-${name}`);
      makeRecording(path, someDrafts(5, 3000), 400);
      expect(finish(verify(path))).toMatchObject({ damage: undefined, reindexed: true });
      forged(path, type, payload => payload.length - 1);
      expect(finish(verify(path)).damage?.reason, name).toMatch(/is not that of its events|damaged|not valid|keyframe/);
      expect(finish(verify(path, { quick: true }))).toMatchObject({ damage: undefined, reindexed: false });
    }
  });
});

describe('a writer that is killed', () => {
  const here = dirname(fileURLToPath(import.meta.url));
  it.each([false, true])('leaves whole chunks: lost are those under way, at most 50 (thread %s)', async thread => {
    const path = at(`killed${thread}`);
    const child = spawn(process.execPath, [join(here, 'endless.mjs'), path, String(thread)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let told = 0;
    child.stdout.on('data', (data: Buffer) => {
      told = Math.max(told, ...data.toString().trim().split('\n').map(Number));
    });
    await new Promise<void>((resolve, reject) => {
      child.on('exit', () => reject(new Error('the writer ended by itself')));
      const timer = setInterval(() => {
        if (told < 150 * CHUNK_EVENTS) return;
        clearInterval(timer);
        child.removeAllListeners('exit');
        child.on('exit', () => resolve());
        child.kill('SIGKILL');
      }, 5);
    });
    const r = openRecording(path);
    expect(r.closed).toBe(false);
    expect(r.count).toBeGreaterThanOrEqual(told - 50 * CHUNK_EVENTS);
    expect(readAll(r).length).toBe(r.chunks.length);
    const verdict = finish(verify(path));
    expect([verdict.events, verdict.closed]).toEqual([r.count, false]);
    expect(verdict.damage === undefined || verdict.damage.offset < statSync(path).size).toBe(true);
  });
});
