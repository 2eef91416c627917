/** Notes of the golden recordings: each names the event it says. REWALK_RECORD=1 writes them anew, after the recordings. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GUESTS, recordingOf } from '../../../src/cli/built-in.js';
import { openRecording } from '../../../src/recording/reader.js';
import { Notes } from '../../../src/tui/notes.js';
import { eventsOf } from '../../session/guests.js';
import { Finder, STORIES } from './stories.js';

test.for(Object.entries(STORIES))('the notes of %s are where their story happens', ([guest, story]) => {
  const file = recordingOf(GUESTS.find(g => g.name === guest)!);
  const source = openRecording(file);
  const finder = new Finder(source, eventsOf(source));
  const notes = story.map(({ name, text, find }) => ({ seq: find(finder).seq, name, text }));
  const path = `${file}.notes.json`;
  if (process.env.REWALK_RECORD) writeFileSync(path, `${JSON.stringify({ v: 1, notes }, undefined, 2)}\n`);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ v: 1, notes });
  expect(Notes.of(file, source.count).all).toEqual(notes);
  source.close();
});
test('every built-in guest of Xen has its story', () => {
  expect(Object.keys(STORIES).toSorted()).toEqual(
    GUESTS.map(g => g.name)
      .filter(name => name.startsWith('xen/'))
      .toSorted(),
  );
});
