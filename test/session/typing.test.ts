/** Somebody types into a run while it goes on: the recording has when, and a re-run does the same without them. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { drive, finish } from '../../src/base/work.js';
import { lineOf } from '../../src/events/text.js';
import { openRecording } from '../../src/recording/reader.js';
import { expand } from '../../src/session/expand.js';
import { memoryAt } from '../../src/session/memory.js';
import { type Recorded, type RecordOptions, record } from '../../src/session/record.js';
import { fromOutside } from '../../src/session/repeated.js';
import { rerunEvents } from '../../src/session/rerun.js';
import type { Typist } from '../../src/session/typist.js';
import { verifyByRerun } from '../../src/session/verify.js';
import { randomBelow } from '../recording/make.js';
import { echoImage } from '../systems/xen/echo.js';
import { MIB } from '../systems/xen/guest.js';
import { eventsIn, eventsOf, freshFile } from './guests.js';

const base = {
  system: 'xen',
  guest: 'echo',
  detail: 'mmu' as const,
  memoryBytes: 5 * MIB,
  limits: { ticks: Number.MAX_SAFE_INTEGER, events: 1e6 },
};
type Options = Partial<RecordOptions> & { readonly image: Uint8Array };
async function recorded(options: Options): Promise<{ file: string; result: Recorded; printed: string }> {
  const file = freshFile();
  let printed = '';
  const result = await drive(record({ ...base, wrote: text => (printed += text), ...options, out: file }));
  return { file, result, printed };
}
/** Types a text a few characters at a time, whenever `now` says so; then is gone, or stays. */
function typist(
  text: string,
  now: (reads: boolean) => boolean,
  stays = true,
): Typist & { pauses: number; turn: number } {
  let rest = text;
  let piece = '';
  const self = {
    pauses: 0,
    turn: 0,
    next: (reads: boolean): string | undefined => {
      if (piece === '' && now(reads)) piece = rest.slice(0, 3);
      return piece || (rest || stays ? '' : undefined);
    },
    taken: (count: number): void => {
      rest = rest.slice(count);
      piece = '';
      self.turn++;
    },
    pause: async (ms: number): Promise<void> => {
      self.pauses++;
      await new Promise(resolve => setTimeout(resolve, Math.min(ms, 1)));
    },
  };
  return self;
}
const TEXT = 'the fast brown fox jumps over the lazy dog\rq';

describe('what is typed into a run', () => {
  test.for([1, 2, 3, 4, 5])('when nobody can foresee, comes again when it came, seed %i', async seed => {
    const roll = randomBelow(seed);
    const image = echoImage([10, 1000, 8000][seed % 3], BigInt(roll(3)) * 40_000_000n);
    const hand = typist(TEXT, () => roll(4) === 0);
    const checkpointTicks = [5000, 30_000, 2 ** 25][roll(3)]!;
    const detail = seed % 2 ? 'mmu' : 'full';
    const made = await recorded({ image, typist: hand, checkpointTicks, detail });
    expect(made.printed).toBe(TEXT.slice(0, TEXT.indexOf('q')));
    const source = openRecording(made.file);
    const events = eventsOf(source);
    expect(
      events
        .flatMap(e => (e.kind === 'input' ? [e.text] : []))
        .join('')
        .startsWith(made.printed),
    ).toBe(true);

    expect(finish(verifyByRerun(source)).divergence).toBeUndefined();
    for (let n = 0; n < source.checkpoints.length; n += 1 + Math.floor(source.checkpoints.length / 3)) {
      const again: string[] = [];
      const block = (b: Parameters<typeof eventsIn>[0]) =>
        void again.push(...eventsIn(b).map(e => lineOf(e, source.lexicon)));
      finish(rerunEvents(source, n, { block }));
      const first = source.checkpoints[n]!.seq;
      const strip = (line: string): string => line.replace(/ stack=\d+/, '');
      expect(again.map(strip)).toEqual(events.slice(first).map(e => strip(lineOf(e, source.lexicon))));
    }
    const twin = await recorded({ image, outside: fromOutside(source, 0), checkpointTicks, detail });
    expect(readFileSync(twin.file).equals(readFileSync(made.file))).toBe(true);
    source.close();
  });
  test('comes while the guest runs, and while it waits', async () => {
    const hand = typist(TEXT, reads => (hand.turn % 2 ? reads && hand.pauses > 2 : !reads));
    const made = await recorded({ image: echoImage(100_000), typist: hand });
    const events = eventsOf(openRecording(made.file));
    const isIdle = (seq: number): boolean => events[seq - 1]!.kind === 'idle' || events[seq - 2]!.kind === 'idle';
    const waited = events.flatMap(e => (e.kind === 'input' ? [isIdle(e.seq)] : []));
    expect(new Set(waited)).toEqual(new Set([true, false]));
  });
  test('ahead of a guest that does not read waits until there is room', async () => {
    const text = `${'x'.repeat(5000)}q`;
    const made = await recorded({
      image: echoImage(0x1000),
      typist: { ...typist(text, () => true), ...inOnePiece(text) },
    });
    expect(made.printed).toBe('x'.repeat(5000));
    const source = openRecording(made.file);
    expect(eventsOf(source).filter(e => e.kind === 'input').length).toBeGreaterThan(4);
    expect(finish(verifyByRerun(source)).divergence).toBeUndefined();
  });
});

/** Everything at once. */
function inOnePiece(text: string): Pick<Typist, 'next' | 'taken'> {
  let rest = text;
  return {
    next: () => rest,
    taken: count => {
      rest = rest.slice(count);
    },
  };
}

describe('a guest that waits', () => {
  test('for its timer takes the time of the person who looks on', async () => {
    const timer = 300e6;
    let began = 0;
    const hand = typist('q', () => began > 0 && performance.now() - began > 400);
    const { pause } = hand;
    hand.pause = ms => {
      began ||= performance.now();
      return pause(ms);
    };
    const made = await recorded({ image: echoImage(10, BigInt(timer)), typist: hand });
    const rang = eventsOf(openRecording(made.file)).find(e => e.kind === 'pending' && e.ticks >= timer);
    expect(rang?.ticks).toBe(timer);
    expect(performance.now() - began).toBeGreaterThan(300);
    expect(made.result.ticks).toBeGreaterThan(timer);
  });
  test('takes none when nobody looks on, and ends when nothing can come', async () => {
    const began = performance.now();
    const made = await recorded({ image: echoImage(10, BigInt(3600e9)), typist: typist('', () => false, false) });
    expect(made.result).toMatchObject({ how: 'halted', reason: expect.stringMatching(/nothing that could raise one/) });
    expect(made.result.ticks).toBeGreaterThan(3600e9);
    expect(performance.now() - began).toBeLessThan(30_000);
  });
  test('is stopped by who waits with it: the recording is whole, and runs again up to there', async () => {
    const abort = new AbortController();
    const hand = typist('ab', () => true);
    const pause = hand.pause.bind(hand);
    hand.pause = async ms => {
      await pause(ms);
      if (hand.pauses > 20) abort.abort();
    };
    const made = await recorded({ image: echoImage(10), typist: hand, signal: abort.signal });
    expect(made.result).toMatchObject({ how: 'stopped', reason: 'interrupted' });
    const source = openRecording(made.file);
    const last = source.count - 1;
    expect(finish(verifyByRerun(source))).toMatchObject({
      divergence: undefined,
      events: source.count - source.checkpoints[0]!.seq,
    });
    const key = finish(memoryAt(source, { seq: last })).includes(0x62); // b
    expect(key).toBe(true);
    const detailed = freshFile();
    expect(finish(expand(source, last - 20, last, detailed)).entries).toBeGreaterThan(20);
    expect(openRecording(detailed).chain).toBe(source.chain);
  });
  test('comes to the limit like any other', async () => {
    const limits = { ...base.limits, ticks: 50_000_000 };
    const made = await recorded({ image: echoImage(10), typist: typist('', () => false), limits });
    expect(made.result).toMatchObject({ how: 'limit', ticks: 50_000_000 });
    const source = openRecording(made.file);
    expect(finish(verifyByRerun(source))).toMatchObject({ divergence: undefined });
  });
  test('is not run at all: a minute of it is one event', async () => {
    const real = performance.now.bind(performance);
    let ahead = 0;
    performance.now = () => real() + ahead;
    try {
      const hand = typist('q', () => hand.pauses > 60);
      const pause = hand.pause.bind(hand);
      hand.pause = async ms => {
        ahead += 1000;
        await pause(ms);
      };
      const made = await recorded({ image: echoImage(10), typist: hand });
      const idle = eventsOf(openRecording(made.file)).filter(e => e.kind === 'idle');
      expect(idle.length).toBe(1);
      expect(Number(idle[0]!.skipped)).toBeGreaterThan(60e9);
    } finally {
      performance.now = real;
    }
  });
});
