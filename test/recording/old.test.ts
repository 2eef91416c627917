/**
 * Old recordings stay readable. test/fixtures/recordings/v1.rewalk was written once by the first version of the format and
 * v1.txt says what is in it; v1-zeros is of its last days, with today's kinds of events. Never write them anew: a version that cannot read them is wrong. A new version of the format
 * adds its own pair (makeRecording in make.ts, lineOf for the text).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { finish } from '../../src/base/work.js';
import { BLOCK_BYTES, blockOver, eventAt } from '../../src/events/block.js';
import { type Event, KIND, KIND_NAMES } from '../../src/events/kinds.js';
import type { Lexicon } from '../../src/events/lexicon.js';
import { Log } from '../../src/events/log.js';
import { eventText, fieldsText, lineOf } from '../../src/events/text.js';
import { encodeBody } from '../../src/recording/body-encode.js';
import { Sink } from '../../src/recording/bytes.js';
import { packBody } from '../../src/recording/compress.js';
import { packChunk } from '../../src/recording/envelopes-pack.js';
import { FORMAT_VERSION, FRAME, headerBytes } from '../../src/recording/frames.js';
import { LAYOUT, type Layout, planOf } from '../../src/recording/layout.js';
import { openRecording, type Recording } from '../../src/recording/reader.js';
import { Registers } from '../../src/recording/register-file.js';
import { verify } from '../../src/recording/verify.js';
import { CHECKPOINTS, frameBytes, HEADER, scratchDir } from './make.js';

const dir = scratchDir();
const fixtures = join(dirname(fileURLToPath(import.meta.url)), '..', 'fixtures', 'recordings');
const old = readdirSync(fixtures).filter(f => f.endsWith('.rewalk'));

/** A line without what later versions say more nicely. */
const bare = (e: Event, lexicon: Lexicon): string =>
  lineOf(e, lexicon).replace(eventText(e, lexicon), () => fieldsText(e, lexicon));
const textOf = (r: Recording): string =>
  r.chunks
    .flatMap((_, n) => {
      const block = r.chunk(n);
      return Array.from({ length: block.count }, (_, i) => `${bare(eventAt(block, i), r.lexicon)}\n`);
    })
    .join('');

it.each(old)('%s reads as it always did', name => {
  const path = join(fixtures, name);
  expect(textOf(openRecording(path))).toBe(readFileSync(path.replace(/rewalk$/, 'txt'), 'utf8'));
  expect(finish(verify(path))).toMatchObject({ damage: undefined, closed: true });
});
it('there is a recording of each version', () => {
  for (let v = 1; v <= FORMAT_VERSION; v++) expect(old).toContain(`v${v}.rewalk`);
});
it('the first keyframe of version 1 has entries that came as zeros, and otherwise the same', () => {
  const [before, now] = ['v1-zeros', 'v2'].map(name => {
    const { slots } = openRecording(join(fixtures, `${name}.rewalk`)).keyframe(0);
    return Array.from(slots.frame, (frame, i) => [frame, slots.offset[i]!, slots.lo[i]!, slots.hi[i]!]);
  });
  expect(before).toContainEqual([0x100, 0, 0, 0]);
  expect(now).not.toContainEqual([0x100, 0, 0, 0]);
  expect(before!.filter(([, , lo, hi]) => lo !== 0 || hi !== 0)).toEqual(
    now!.filter(([, , lo, hi]) => lo !== 0 || hi !== 0),
  );
});
it('indexes are made again where they are as this version makes them', () => {
  const reindexed = (name: string) => finish(verify(join(fixtures, `${name}.rewalk`))).reindexed;
  expect(['v1', 'v1-zeros', 'v2', 'v3'].map(reindexed)).toEqual([false, false, true, true]);
});
it('version 3 says the same events in other bytes: what happened has the same hash', () => {
  const [before, now] = ['v2', 'v3'].map(name => openRecording(join(fixtures, `${name}.rewalk`)));
  expect(now!.chain).toBe(before!.chain);
  const states = [before!, now!].map(r => Uint8Array.from(r.checkpoint(1).state));
  expect(states).toEqual([CHECKPOINTS[1]!.state, CHECKPOINTS[1]!.state]);
  const [a, b] = ['v2', 'v3'].map(name => readFileSync(join(fixtures, `${name}.rewalk`)).length);
  expect(b!).toBeLessThan(a!);
});

describe('a recording whose list of kinds is', () => {
  /** One chunk of two events, written as a program with this layout would have. */
  const write = (name: string, layout: Layout, body = layout): string => {
    const log = new Log({ swap: full => full }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
    const head = { ticks: 7, vcpu: 0, cause: -1 };
    log.put({ ...head, kind: 'call', class: 1, number: 26, args: [1n, 2n], stack: 5 });
    log.put({ ...head, kind: 'trapret', pc: 0x1000n as never, user: true });
    const block = log.current;
    const out = new Sink();
    encodeBody(out, block, new Registers(), planOf(body));
    const payload = packChunk({
      first: 0,
      last: 1,
      count: 2,
      firstTicks: 7,
      lastTicks: 7,
      chain: new Uint8Array(32),
      regsMask: [0, 0],
      rows: block.rows.slice(0, layout.length),
      packed: packBody(out.bytes.subarray(0, out.at), out.cuts),
    });
    const path = join(dir, name);
    writeFileSync(
      path,
      Buffer.concat([headerBytes({ ...HEADER, version: 1 }, layout), frameBytes(FRAME.chunk, 2, 0, 0, payload)]),
    );
    return path;
  };
  const without = (kind: string, field: string): Layout =>
    LAYOUT.map(k => (k.name === kind ? { ...k, fields: k.fields.filter(f => f.name !== field) } : k));

  it('shorter, since some came later, has none of those', () => {
    const r = openRecording(write('shorter', LAYOUT.slice(0, KIND.trapret + 6)));
    expect(r.damage).toBeUndefined();
    expect([r.count, r.chunks[0]!.counts.length, r.chunk(0).col.task.pid.length]).toEqual([2, KIND_NAMES.length, 0]);
    expect(eventAt(r.chunk(0), 1)).toMatchObject({ kind: 'trapret', pc: 0x1000n, user: true });
  });
  it('without a field that came later has zeros and empty lists there', () => {
    const [call, args] = [without('call', 'stack'), without('call', 'args')].map((layout, n) =>
      eventAt(openRecording(write(`without${n}`, layout)).chunk(0), 0),
    );
    expect(call).toMatchObject({ kind: 'call', number: 26, args: [1n, 2n], stack: 0 });
    expect(args).toMatchObject({ kind: 'call', number: 26, args: [], stack: 5 });
  });
  it('longer or other than this program knows is Trouble that names the kind', () => {
    const more: Layout = [...LAYOUT, { name: 'quantum', fields: [], key: [] }];
    const call = LAYOUT[KIND.call]!;
    const other = LAYOUT.map(k =>
      k === call ? { ...k, fields: k.fields.map(f => (f.name === 'stack' ? { ...f, shape: 'pair' as const } : f)) } : k,
    );
    expect(() => openRecording(write('more', more))).toThrow(/more: it has events of a kind .*: quantum/);
    expect(() => openRecording(write('other', other, LAYOUT))).toThrow(/does not read: call \(field stack\)/);
  });
});
