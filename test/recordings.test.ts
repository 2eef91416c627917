/**
 * The recordings that come with the program are golden: what the program records today, as a job of anybody's would check it
 * (rewalk record --golden). Each guest is then recorded once more and compared to the byte: by
 * what happened (the chained hash of all events, which no compressor and no version of Node changes), and by its digest, the
 * log as text, which says in words what is different.
 *
 * After a change that is meant: REWALK_RECORD=1 npx vitest run test/recordings.test.ts writes them anew.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { GUESTS, imageOf, recordingOf } from '../src/cli/built-in.js';
import { openRecording } from '../src/recording/reader.js';
import { digestOf } from '../src/report/digest.js';
import { freshFile, recorded } from './session/guests.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const rewalk = (...args: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...args], { cwd: ROOT, encoding: 'utf8' });

test.skipIf(process.env.REWALK_RECORD).for(GUESTS)(
  'rewalk record $name --golden finds no difference from what is in recordings/',
  ({ name }) => {
    const system = name.split('/')[0]!;
    const { status, stdout, stderr } = rewalk('record', name, '--golden', `recordings/${system}`, '--quiet');
    // What differs is told as a diff, and lies beside the golden recording as .new.
    expect(stdout).toBe('');
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^rewalk: (halted|panic|killed): /)]);
    expect(existsSync(join(ROOT, `recordings/${name}.rewalk.new`))).toBe(false);
  },
);

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
