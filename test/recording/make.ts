/** Small recordings with everything in them, made from a seed, and what a reader should find in them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll } from 'vitest';
import { type Block, CHUNK_TICKS } from '../../src/events/block.js';
import { type Draft, KIND_NAMES } from '../../src/events/kinds.js';
import type { Lexicon } from '../../src/events/lexicon.js';
import { FRAME_BYTES, frameHead } from '../../src/recording/frames.js';
import { openRecording, type Recording } from '../../src/recording/reader.js';
import { createRecording, type Recorder, type WriterOptions } from '../../src/recording/writer.js';
import { draftOf } from '../events/arbitrary.js';

export const HEADER = {
  system: 'bare',
  guest: 'none',
  isa: 'x86_64',
  vcpus: 4,
  memoryBytes: 1 << 20,
  detail: 'full' as const,
  config: { b: '2', a: '1' },
  images: [{ name: 'none.elf', sha256: '00'.repeat(32) }],
};
export const LEXICON: Lexicon = {
  words: { path: ['store', 'hypercall'] },
  calls: { 0: { 1: 'mmu_update' } },
  regions: [{ name: 'kernel', from: 'ffff800000000000', to: 'ffffffffffffffff' }],
  paging: { guest: 'x86-64-4level' },
};

/** A folder that is gone after the tests of the file. */
export function scratchDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'rewalk-test-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Random events of all kinds of the main stream with rising ticks. */
export function someDrafts(seed: number, count: number): Draft[] {
  let ticks = 0;
  return fc
    .sample(draftOf(KIND_NAMES.filter(k => k !== 'step')), { seed, numRuns: count })
    .map((d, i) => ({ ...d, ticks: (ticks += d.ticks), cause: i % 3 === 0 ? i - 1 - (i % 2) : -1 })) as Draft[];
}

const page = (byte: number): Uint8Array => new Uint8Array(4096).fill(byte);
export const CHECKPOINTS = [
  { seq: 0, ticks: 0, state: Uint8Array.of(1, 2, 3), pages: [1, 2, 3, 9].map(f => [f, page(f % 3)] as const) },
  { seq: 90, ticks: 50, state: new Uint8Array(300).fill(7), pages: [2, 5].map(f => [f, page(f + 4)] as const) },
];

/**
 * Writes events in chunks of `perChunk` (their ticks are spread so that chunks end there), with details, stacks, symbols and
 * two checkpoints among them.
 */
export function writeSome(recorder: Recorder, drafts: readonly Draft[], perChunk = Number.POSITIVE_INFINITY): void {
  recorder.lexicon(LEXICON);
  recorder.symbols([{ at: 0xffff_ffff_8100_0000n as never, bytes: 64, name: 'start_kernel' }]);
  recorder.checkpoint(CHECKPOINTS[0]!);
  let skipped = 0;
  drafts.forEach((draft, i) => {
    if (i > 0 && i % perChunk === 0) skipped += CHUNK_TICKS;
    const stack = recorder.intern([BigInt(i % 7), 0xffff_8000_0000_0000n]);
    const ticks = draft.ticks + skipped;
    recorder.log.put({ ...draft, ticks, ...('stack' in draft ? { stack } : {}) } as Draft);
    if (i % 5 === 4) {
      recorder.detail.anchor!.before = recorder.log.seq;
      recorder.detail.put({
        kind: 'store',
        ticks,
        vcpu: 0,
        cause: -1,
        at: 5n,
        physical: 6n,
        bytes: 8,
        old: 0n,
        new: BigInt(i),
      } as Draft);
    }
    if (i === 89) recorder.checkpoint({ ...CHECKPOINTS[1]!, ticks });
  });
}

/** A recording at `path`; returns its bytes. */
export function makeRecording(
  path: string,
  drafts: readonly Draft[],
  perChunk?: number,
  options?: WriterOptions,
): Buffer {
  const recorder = createRecording(path, HEADER, options);
  writeSome(recorder, drafts, perChunk);
  recorder.close();
  return readFileSync(path);
}

/** A number for everything in a block: two blocks with the same one are the same. */
export function digestOf(block: Block): number {
  let crc = block.first;
  const add = (a: ArrayBufferView): void => {
    crc = crc32(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), crc);
  };
  for (const a of [block.kind, block.row, block.ticks, block.vcpu, block.back, block.rows]) add(a);
  for (const name of KIND_NAMES) for (const column of Object.values(block.col[name])) add(column as Uint8Array);
  return crc;
}

/** Everything that can be asked of a recording, so that all its bytes are read. Returns digests of its chunks. */
export function readAll(recording: Recording): number[] {
  void recording.lexicon.words;
  const digests = recording.chunks.map((_, n) => digestOf(recording.chunk(n)));
  for (const block of recording.details(0, recording.count)) digestOf(block);
  for (let id = 0; id < 9; id++) recording.stack(id);
  void recording.symbols;
  recording.keyframes.forEach((_, n) => {
    const { slots, frames, registers } = recording.keyframe(n);
    void [slots.frame, slots.inFrame(0, 1), frames, registers];
  });
  // Not for each prefix without one: it would be made anew in memory.
  if (recording.keyframes.length > 0) recording.index.lastSlotWrite('guest', 0 as never, recording.count);
  recording.checkpoints.forEach((_, n) => {
    for (const [frame] of recording.checkpoint(n).pages) recording.pageHash(n, frame);
  });
  return digests;
}
export function readAllOf(path: string, check = false): number[] {
  const recording = openRecording(path, { check });
  try {
    return readAll(recording);
  } finally {
    recording.close();
  }
}

/** Where the frames of a good file are: offsets, with the end of the file as the last. */
export function frameOffsets(bytes: Buffer): number[] {
  const offsets = [bytes.readUInt32LE(12)];
  while (offsets.at(-1)! < bytes.length)
    offsets.push(offsets.at(-1)! + FRAME_BYTES + bytes.readUInt32LE(offsets.at(-1)! + 4));
  return offsets;
}

/** A small seeded generator of numbers below n. */
export function randomBelow(seed: number): (n: number) => number {
  let a = seed | 0;
  return n => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** A whole frame as it is in the file. */
export const frameBytes = (...frame: Parameters<typeof frameHead>): Buffer =>
  Buffer.concat([frameHead(...frame), frame[4]]);
