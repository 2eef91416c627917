/**
 * The recordings that come with the program are what the program records today: each guest is recorded again and compared by
 * what happened (the chained hash of all events, which no compressor and no version of Node changes), and by its digest, the
 * log as text, which says in words what is different.
 *
 * After a change that is meant: REWALK_RECORD=1 npx vitest run test/recordings.test.ts writes them anew.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hex } from '../src/base/u64.js';
import { GUESTS, imageOf, recordingOf } from '../src/cli/built-in.js';
import type { Event } from '../src/events/kinds.js';
import { lineOf } from '../src/events/text.js';
import { openRecording } from '../src/recording/reader.js';
import type { Source } from '../src/recording/source.js';
import { eventsOf, freshFile, recorded } from './session/guests.js';

/** Of these there are thousands, one for every frame: a run of them with one cause is a line that counts them. */
const BULK = new Set(['m2p', 'p2m', 'total', 'type', 'typecount', 'validated']);
const BULK_MIN = 8;

/** The log without register values, with call stacks by name and bulk counted: what a person compares. */
function digestOf(source: Source): string {
  const nameOf = (at: bigint): string => {
    const symbol = source.symbols.findLast(s => s.at < at); // a return address is behind the call, maybe behind the function
    return symbol ? `${symbol.name}+${hex(at - symbol.at)}` : hex(at);
  };
  const stackOf = (e: Event): string =>
    'stack' in e && e.stack ? ` [${source.stack(e.stack).map(nameOf).join(' < ')}]` : '';
  const textOf = (e: Event): string => `${lineOf(e, source.lexicon).replace(/ stack=\d+/, '')}${stackOf(e)}\n`;
  const events = eventsOf(source).filter(e => e.kind !== 'regs');
  let text = '';
  for (let i = 0; i < events.length; ) {
    const first = events[i]!;
    let end = i + 1;
    if (BULK.has(first.kind))
      while (end < events.length && BULK.has(events[end]!.kind) && events[end]!.cause === first.cause) end++;
    const run = events.slice(i, end);
    text += run.length < BULK_MIN ? run.map(textOf).join('') : bulkText(run);
    i = end;
  }
  return text;
}
function bulkText(run: readonly Event[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of run) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
  return `#${run[0]!.seq}..#${run.at(-1)!.seq} @${run[0]!.ticks} ${kinds} <#${run[0]!.cause}\n`;
}

test.for(GUESTS)('the recording of $name is what it records today', guest => {
  const golden = recordingOf(guest);
  const digest = golden.replace(/\.rewalk$/, '.txt');
  const [system, name] = guest.name.split('/') as [string, string];
  const again = process.env.REWALK_RECORD ? golden : freshFile();
  const { memoryBytes, ends = 'halted' } = guest;
  const { result } = recorded({
    system,
    guest: name,
    image: readFileSync(imageOf(guest)),
    detail: 'full',
    out: again,
    memoryBytes,
  });
  expect(result.how).toBe(ends);
  const source = openRecording(again);
  if (process.env.REWALK_RECORD) writeFileSync(digest, digestOf(source));
  expect(existsSync(golden), `${golden}: run with REWALK_RECORD=1`).toBe(true);
  expect(digestOf(source)).toBe(readFileSync(digest, 'utf8'));
  const known = openRecording(golden);
  expect(source.chain).toBe(known.chain);
  expect(source.id).toBe(known.id);
  expect([...source.details(0, source.count)].length).toBe([...known.details(0, known.count)].length);
  known.close();
  source.close();
  if (!process.env.REWALK_RECORD) rmSync(again);
});
