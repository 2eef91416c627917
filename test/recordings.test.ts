/**
 * The recordings that come with the program are what the program records today: each guest is recorded again and compared by
 * what happened (the chained hash of all events, which no compressor and no version of Node changes), and by its digest, the
 * log as text, which says in words what is different.
 *
 * After a change that is meant: REWALK_RECORD=1 npx vitest run test/recordings.test.ts writes them anew.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GUESTS, imageOf, recordingOf } from '../src/cli/built-in.js';
import { openRecording } from '../src/recording/reader.js';
import { digestOf } from '../src/report/digest.js';
import { freshFile, recorded } from './session/guests.js';

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
  if (process.env.REWALK_RECORD) writeFileSync(digest, [...digestOf(source)].join(''));
  expect(existsSync(golden), `${golden}: run with REWALK_RECORD=1`).toBe(true);
  expect([...digestOf(source)].join('')).toBe(readFileSync(digest, 'utf8'));
  const known = openRecording(golden);
  expect(source.chain).toBe(known.chain);
  expect(source.id).toBe(known.id);
  expect([...source.details(0, source.count)].length).toBe([...known.details(0, known.count)].length);
  known.close();
  source.close();
  if (!process.env.REWALK_RECORD) rmSync(again);
});
