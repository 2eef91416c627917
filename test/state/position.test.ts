import { expect, it } from 'vitest';
import { Trouble } from '../../src/base/trouble.js';
import type { Draft } from '../../src/events/kinds.js';
import { comparePositions, formatPosition, parsePosition } from '../../src/state/position.js';
import { recordingOf } from './memory-source.js';

const console = (ticks: number): Draft => ({ kind: 'console', ticks, vcpu: 0, cause: -1, from: 'guest', text: 'x' });
/** Events 0..9 at ticks 100, 110, 110, 130, 140 ... 190, in chunks of three. */
const source = recordingOf(
  [100, 110, 110, 130, 140, 150, 160, 170, 180, 190].map(t => console(t)),
  { chunkEvents: 3 },
);
const bookmarks = (name: string) => (name === 'bug' ? { seq: 4, sub: 2 } : name === 'far' ? { seq: 99 } : undefined);
const parse = (text: string) => parsePosition(text, source, bookmarks);

it.each([
  ['#0', { seq: 0 }],
  ['#9', { seq: 9 }],
  [' 7 ', { seq: 7 }],
  ['#7.0', { seq: 7 }],
  ['#7.37', { seq: 7, sub: 37 }],
  ['start', { seq: -1 }],
  ['end', { seq: 9 }],
  ['0%', { seq: -1 }],
  ['50%', { seq: 4 }],
  ['100%', { seq: 9 }],
  ['@0', { seq: -1 }],
  ['@100', { seq: -1 }],
  ['@101', { seq: 0 }],
  ['@110', { seq: 0 }],
  ['@111', { seq: 2 }],
  ['@190', { seq: 8 }],
  ["'bug", { seq: 4, sub: 2 }],
])('reads %s', (text, position) => {
  expect(parse(text)).toEqual(position);
});

it.each([
  ['#10', 'memory: position #10: out of range; the recording has events #0 to #9'],
  ['@191', 'memory: position @191: out of range; the recording has ticks @100 to @190'],
  ['101%', 'a share is from 0% to 100%'],
  ["'nobody", 'no bookmark of this name'],
  ["'far", 'out of range; the recording has events #0 to #9'],
  ['', '(empty): not a position; write #48211'],
  ['#-1', 'not a position'],
  ['#1.2.3', 'not a position'],
  ['#99999999999999999999', 'not a position'],
  ['zebra', 'not a position'],
])('refuses %j in one line that says why', (text, why) => {
  let error: unknown;
  try {
    parse(text);
  } catch (e) {
    error = e;
  }
  expect(error).toBeInstanceOf(Trouble);
  expect((error as Trouble).message).toContain(why);
  expect((error as Trouble).message).not.toContain('\n');
});

it('says that an empty recording has no events', () => {
  const empty = recordingOf([]);
  expect(parsePosition('end', empty)).toEqual({ seq: -1 });
  expect(() => parsePosition('#0', empty)).toThrow('the recording has no events');
});

it('writes what it reads, and orders positions', () => {
  for (const text of ['#7', '#7.37', 'start']) expect(formatPosition(parse(text))).toBe(text);
  const sorted = ['#3.2', 'start', '#3', '#4', '#3.10'].map(parse).sort(comparePositions).map(formatPosition);
  expect(sorted).toEqual(['start', '#3', '#3.2', '#3.10', '#4']);
});
