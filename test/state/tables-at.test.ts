import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asPaddr } from '../../src/base/brand.js';
import { Trouble } from '../../src/base/trouble.js';
import { hex, hex16 } from '../../src/base/u64.js';
import { finish } from '../../src/base/work.js';
import { tablesOf } from '../../src/cli/map.js';
import { RangeLines } from '../../src/cli/range-lines.js';
import { CHUNK_TICKS } from '../../src/events/block.js';
import { type Draft, KIND, NO_FRAME, SPACES, type Space } from '../../src/events/kinds.js';
import { EMPTY_LEXICON, type Lexicon } from '../../src/events/lexicon.js';
import type { PagingFormat } from '../../src/isa/isa.js';
import { openRecording } from '../../src/recording/reader.js';
import type { Source } from '../../src/recording/source.js';
import { createRecording } from '../../src/recording/writer.js';
import { permissionText, sizeText } from '../../src/report/words.js';
import { formatOf } from '../../src/state/formats.js';
import { Pool } from '../../src/state/pool.js';
import { LIMITS, type Limits, TablesAt, tablesAt, wayTo } from '../../src/state/tables-at.js';
import { createTimeline } from '../../src/state/timeline.js';
import { LEAF_WORDS, SECTION } from '../../src/state/words.js';
import { rootAt } from '../../src/views/slots.js';
import { addressOf, type SpaceRun, spaceRuns } from '../../src/views/spaces.js';
import { unpackPermissions } from '../../src/views/tables.js';
import { HEADER, scratchDir } from '../recording/make.js';
import { consistentDrafts, dice } from './consistent.js';
import { recordingOf } from './memory-source.js';

const LEXICON: Lexicon = {
  ...EMPTY_LEXICON,
  paging: { guest: 'x86-64-4level', shadow: 'armv7-short', master: 'i386-2level', host: 'i386-pae' },
};
/** Where tables may be: of 8-byte entries, of 4-byte ones, four to a frame, and over four frames. */
const PLACES: readonly { space: Space; table: number; offset: number; entries: number; bytes: 4 | 8 }[] = [
  ...[16, 17, 18].map(table => ({ space: 'guest' as const, table, offset: 0, entries: 512, bytes: 8 as const })),
  { space: 'guest', table: 20, offset: 2048, entries: 512, bytes: 8 }, // reaches into the frame after it
  { space: 'shadow', table: 32, offset: 0, entries: 4096, bytes: 4 },
  ...[0, 1024, 2048, 3072].map(offset => ({
    space: 'shadow' as const,
    table: 40,
    offset,
    entries: 256,
    bytes: 4 as const,
  })),
  { space: 'master', table: 16, offset: 0, entries: 1024, bytes: 4 },
  { space: 'master', table: 0x40_0010, offset: 0, entries: 1024, bytes: 4 }, // the same place in many a hash
  ...[0, 32, 64].map(offset => ({ space: 'host' as const, table: 16, offset, entries: 4, bytes: 8 as const })),
];
/** Memory that is written and never adopted. */
const BARE = [
  { space: 'guest', table: 50, offset: 0, entries: 512, bytes: 8 },
  { space: 'shadow', table: 16, offset: 0, entries: 4096, bytes: 4 },
] as const;

/** Random writes to page tables, with the old values that were there. A new chunk begins after so many events. */
function tableDrafts(seed: number, n: number, perChunk: number): Draft[] {
  const roll = dice(seed);
  const memory = new Map<string, bigint>();
  const adopted = new Set<number>();
  const drafts: Draft[] = [];
  const key = (space: Space, at: number): string => `${space} ${at}`;
  const value = (bytes: 4 | 8): bigint => {
    if (roll(5) === 0) return 0n;
    return bytes === 4 ? BigInt(roll(2 ** 32)) : (BigInt(roll(2 ** 32)) << 32n) | BigInt(roll(2 ** 32));
  };
  while (drafts.length < n) {
    const head = { vcpu: 0, cause: -1, ticks: drafts.length + Math.floor(drafts.length / perChunk) * CHUNK_TICKS };
    const number = roll(PLACES.length + BARE.length);
    const bare = number >= PLACES.length;
    const place = bare ? BARE[number - PLACES.length]! : PLACES[number]!;
    const { space, table, offset, entries, bytes } = place;
    const at = (i: number): string => key(space, table * 4096 + offset + i * bytes);
    const adopt = { ...head, space, table, offset, level: 1, bytes, format: 0 };
    if (roll(8) === 0) drafts.push({ ...head, kind: 'console', from: 'guest', text: 'x' } as Draft);
    else if (!bare && roll(12) === 0 && adopted.has(number)) {
      adopted.delete(number);
      const were = Array.from({ length: entries }, (_, i) => memory.get(at(i)) ?? 0n);
      for (let i = 0; i < entries; i++) memory.set(at(i), 0n);
      drafts.push({ ...adopt, kind: 'release', entries: were } as unknown as Draft);
    } else if (!bare && !adopted.has(number)) {
      adopted.add(number);
      const fresh = Array.from({ length: entries }, () => (roll(20) === 0 ? value(bytes) : 0n));
      fresh.forEach((v, i) => void memory.set(at(i), v));
      drafts.push({ ...adopt, kind: 'adopt', entries: fresh } as unknown as Draft);
    } else {
      const i = roll(4) ? roll(6) * Math.floor(entries / 6) : entries - 1 - roll(3);
      const [old, now] = [memory.get(at(i)) ?? 0n, value(bytes)];
      memory.set(at(i), now);
      const entry = {
        ...head,
        space,
        table,
        offset: offset + i * bytes,
        level: 1,
        bytes,
        path: 0,
        stack: 0,
        old,
        new: now,
      };
      drafts.push({ ...entry, kind: 'pte' } as unknown as Draft);
    }
  }
  return drafts;
}

/** Words of all frames that any of the tests' tables may have touched, a leaf after the other. */
function* leavesAt(read: (section: number, id: number) => Uint32Array | undefined) {
  const frames = [0, ...Array.from({ length: 64 }, (_, i) => i + 12), 0x40_0010];
  for (let s = 0; s < SPACES.length; s++)
    for (const frame of frames)
      for (let n = 0; n < 16; n++) {
        const leaf = read(SECTION.memory + s, frame * 16 + n);
        if (leaf?.some(w => w !== 0)) yield `${s} ${frame}+${n}: ${leaf.join()}`;
      }
}

const WAYS: Record<string, Partial<Limits>> = {
  'as it chooses': {},
  'from the nearest keyframe, on either side': { keyframeEvents: 0 },
  'from the keyframe before': { keyframeEvents: Infinity },
};

/** Compares every leaf with the timeline's at these positions; returns how often each direction was taken. */
function compare(source: Source, positions: readonly number[]): Record<string, number> {
  const taken: Record<string, number> = { forward: 0, backward: 0 };
  const timeline = createTimeline(source, { tablesOnly: true });
  for (const seq of [...positions].sort((a, b) => a - b)) {
    const state = timeline.seekNow(seq);
    const expected = [...leavesAt((s, id) => state.words.leaf(s, id))];
    for (const [name, ways] of Object.entries(WAYS)) {
      const limits = { ...LIMITS, ...ways };
      const { words, seq: at } = finish(tablesAt(source, seq, limits))!;
      expect(words).toBeInstanceOf(TablesAt);
      expect(at).toBe(seq);
      const leaves = (s: number, id: number) => {
        const leaf = words.leaf(s, id);
        if (leaf) expect([leaf.length, leaf.some(w => w !== 0)]).toEqual([LEAF_WORDS, true]);
        return leaf;
      };
      expect([...leavesAt(leaves)], `at event ${seq}, ${name}`).toEqual(expected);
      taken[wayTo(source, seq + 1, limits).direction]!++;
    }
  }
  return taken;
}

/** The ends of some chunks, the first and the last moment, and some anywhere. */
function somePositions(source: Source, seed: number, count: number): number[] {
  const roll = dice(seed);
  const ends = source.chunks.map(c => c.first + c.count - 1);
  return [
    -1,
    0,
    source.count - 1,
    ...Array.from({ length: count }, () => ends[roll(ends.length)]! + roll(3) - 1),
    ...Array.from({ length: count }, () => roll(source.count)),
  ].filter(seq => seq < source.count);
}

describe('page tables at a moment', () => {
  it('are those of the timeline, for any writes, adopts and releases, chunks and keyframes', () => {
    const all: Record<string, number> = { forward: 0, backward: 0 };
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 6 }),
        (seed, chunk, keyframe) => {
          const options = { lexicon: LEXICON, chunkEvents: chunk, ...(keyframe > 0 && { keyframeChunks: keyframe }) };
          const source = recordingOf(tableDrafts(seed, 15 * chunk * Math.max(1, keyframe), chunk), options);
          const taken = compare(source, somePositions(source, seed, 4));
          for (const d of ['forward', 'backward']) all[d]! += taken[d]!;
        },
      ),
      { numRuns: 25 },
    );
    expect(Math.min(all.forward!, all.backward!)).toBeGreaterThan(30);
  });

  it.each([1, 2])('are those of the timeline with all kinds of events around (seed %i)', seed => {
    const source = recordingOf(consistentDrafts(seed, 1200), { chunkEvents: 48, keyframeChunks: 4 });
    compare(source, somePositions(source, seed, 12));
  });

  const dir = scratchDir();
  it.each([3, 4])('are those of the timeline in a file with several keyframes and a tail (seed %i)', seed => {
    const path = join(dir, `${seed}.rewalk`);
    const recorder = createRecording(path, HEADER);
    recorder.lexicon(LEXICON);
    const drafts = tableDrafts(seed, 800, 3);
    for (const draft of drafts.slice(0, 700)) recorder.log.put(draft);
    recorder.tail();
    const living = openRecording(path);
    expect(living.closed).toBe(false);
    expect(living.count).toBe(699); // the last chunk is still open
    expect(living.keyframes.length).toBe(3);
    compare(living, somePositions(living, seed, 12));
    living.close();
    for (const draft of drafts.slice(700)) recorder.log.put(draft);
    recorder.close();
    const source = openRecording(path);
    expect(source.keyframes.length).toBe(5);
    const taken = compare(source, somePositions(source, seed, 12));
    expect(Math.min(taken.forward!, taken.backward!)).toBeGreaterThan(5);
    source.close();
  });

  it('come from a timeline where too much would have to be opened, and are the same', async () => {
    const source = recordingOf(tableDrafts(9, 200, 5), { lexicon: LEXICON, chunkEvents: 5, keyframeChunks: 3 });
    const timeline = createTimeline(source, { tablesOnly: true });
    const few: Partial<Limits>[] = [{ keyframes: 5 }, { slots: 100 }, { events: 6 }];
    for (const most of few) {
      const limits = { ...LIMITS, ...most };
      const folded: boolean[] = [];
      for (const seq of [190, 133, 5, -1]) {
        const { words } = await tablesOf(source, seq, limits);
        const expected = timeline.seekNow(seq).words;
        expect([...leavesAt((s, id) => words.leaf(s, id))]).toEqual([...leavesAt((s, id) => expected.leaf(s, id))]);
        expect(words instanceof Pool).toBe(finish(tablesAt(source, seq, limits)) === undefined);
        folded.push(words instanceof Pool);
      }
      expect(folded, JSON.stringify(most)).toContain(true);
      expect(folded.at(-1)).toBe(false);
    }
  });

  it('tell how far they are while they are opened', () => {
    const source = recordingOf(tableDrafts(9, 200, 5), { lexicon: LEXICON, chunkEvents: 5, keyframeChunks: 3 });
    const told = [...tablesAt(source, 133)];
    expect(told.map(p => p.done)).toEqual(told.map((_, n) => n + 1));
    expect(told.at(-1)!.done).toBe(told[0]!.total);
  });

  it('hold nothing else: asking for more is our bug', () => {
    const { words } = finish(tablesAt(recordingOf(tableDrafts(1, 20, 5), { lexicon: LEXICON }), 10))!;
    for (const ask of [
      () => words.leaf(SECTION.tables, 0),
      () => words.leaf(SECTION.registers, 0),
      () => words.leaves(SECTION.memory),
      () => words.hosts,
      () => words.tasks,
      () => words.ending,
    ])
      expect(ask).toThrow(/^internal error/);
  });
});

describe('a damaged recording', () => {
  const dir = scratchDir();
  const path = join(dir, 'damaged.rewalk');
  const recorder = createRecording(path, HEADER);
  recorder.lexicon(LEXICON);
  for (const draft of tableDrafts(5, 600, 4)) recorder.log.put(draft);
  recorder.close();
  const whole = readFileSync(path);

  const said = (run: () => unknown): string => {
    try {
      run();
      return 'nothing';
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      return error.message;
    }
  };
  const leavesOf = (source: Source): string[] => {
    const { words } = finish(tablesAt(source, 590, { ...LIMITS, keyframeEvents: 0 }))!;
    return [...leavesAt((s, id) => words.leaf(s, id))];
  };
  it('gives the same line as through the timeline, or the right tables', () => {
    const roll = dice(8);
    let troubles = 0;
    const source = openRecording(path);
    const right = leavesOf(source);
    for (let n = 0; n < 300; n++) {
      const bytes = Buffer.from(whole);
      bytes[4096 + roll(bytes.length - 4096)]! ^= 1 << roll(8);
      writeFileSync(path, bytes);
      const reader = openRecording(path);
      if (reader.count === 600) {
        const told = said(() => expect(leavesOf(reader)).toEqual(right));
        if (told !== 'nothing') {
          expect(told).toMatch(/damaged\.rewalk: damaged at byte \d+: .*checksum/);
          expect(told).not.toContain('\n');
          troubles++;
        }
      }
      reader.close();
    }
    expect(troubles).toBeGreaterThan(20);
  });
});

describe('the ranges of an address space in a recording that comes with rewalk', () => {
  const root = join(import.meta.dirname, '../../recordings');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(f => f.endsWith('.rewalk'));
  expect(files.length).toBeGreaterThan(5);
  it.each(files)('are the same as through the timeline: %s', file => {
    const source = openRecording(join(root, file));
    const timeline = createTimeline(source, { tablesOnly: true });
    const roots = rootsOf(source);
    const format = formatOf(source, 'guest')!;
    let ranges = 0;
    for (const seq of somePositions(source, 1, 6).sort((a, b) => a - b)) {
      const own = finish(rootAt(source, { space: 'guest' }, seq)).at;
      const states = [
        timeline.seekNow(seq),
        ...Object.values(WAYS).map(w => finish(tablesAt(source, seq, { ...LIMITS, ...w }))!),
      ];
      for (const at of [own, ...roots.map(frame => asPaddr(frame * 4096))])
        for (const frames of [true, false]) {
          const [expected, ...found] = states.map(s => finish(spaceRuns(s, 'guest', format, { at }, { frames })));
          for (const runs of found) expect(runs, `at event ${seq}, root ${at}`).toEqual(expected);
          const lines = new RangeLines(format, frames);
          expect(expected!.runs.map(run => lines.text(run))).toEqual(
            expected!.runs.map(
              run => plainLine(format, run) + (frames ? ` ${hex(Math.floor(run.target / 4096))}` : ''),
            ),
          );
          ranges += expected!.runs.length;
        }
    }
    expect(ranges).toBeGreaterThan(50);
    source.close();
  });
});

/** A range as `map` prints it, the slow and obvious way. */
function plainLine(format: PagingFormat, { page, pages, level, permissions }: SpaceRun): string {
  const [from, bytes] = [addressOf(format, page), BigInt(pages) << 12n];
  const words = permissionText(unpackPermissions(permissions));
  return `${hex16(from)}-${hex16(from + bytes)} ${sizeText(bytes).padStart(6)} ${words} ${level.name}`;
}
/** A few frames that were ever loaded as roots. */
function rootsOf(source: Source): number[] {
  const roots = new Set<number>();
  for (let n = 0; n < source.chunks.length; n++)
    for (const frame of source.chunk(n).col.root.new.subarray(0, source.chunks[n]!.counts[KIND.root])) roots.add(frame);
  return [...roots].filter(frame => frame !== NO_FRAME).slice(0, 4);
}
