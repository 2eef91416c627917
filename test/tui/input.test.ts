/** What a terminal sends becomes keys, in whatever pieces it comes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Input } from '../../src/tui/screen/input.js';

function heard(): { input: Input; keys: string[] } {
  const keys: string[] = [];
  const input = new Input(
    name => keys.push(name),
    text => keys.push(`pasted ${text}`),
  );
  return { input, keys };
}
const SENT: readonly (readonly [sent: string, keys: readonly string[]])[] = [
  ['jjk', ['j', 'j', 'k']],
  ['g#12\r', ['g', '#', '1', '2', 'enter']],
  ['ab\x7f\x08\x0f\x06', ['a', 'b', 'backspace', 'backspace', 'C-o', 'C-f']],
  ['\x1b[A\x1b[5~j\x1b[H\x1b[4~', ['up', 'pageup', 'j', 'home', 'end']],
  ['\x1bOB\x1bOF', ['down', 'end']],
  ['\x1b[1;5C', ['right']],
  ['\x1bq', ['escape', 'q']],
  ['\x1b:\x1b\x1b/', ['escape', ':', 'escape', 'escape', '/']],
  ['\x1b[<0;10;20Mj\x1b[I\x1b[?1;2cj', ['j', 'j']], // a mouse, focus, an answer to a question
  ['\x1b[15~\x1bOPx', ['x']], // F5, F1
  ['\x1b[200~root 1005\r\nrm\x1b[201~z', ['pasted root 1005  rm', 'z']],
  ['\x1b[200~a\x1b[Ab\x1b[201~', ['pasted ab']],
  ['\x1d\x1f', ['C-]', 'C-_']],
  ['äñ', ['ä', 'ñ']],
  ['\x00\x9b1m', ['1', 'm']],
];
test.for(SENT)('%j', ([sent, expected]) => {
  const { input, keys } = heard();
  input.take(sent);
  expect(keys).toEqual(expected);
});
test.for(SENT)('%j the same, a character at a time', ([sent, expected]) => {
  const { input, keys } = heard();
  for (const c of sent) input.take(c);
  expect(keys).toEqual(expected);
});
test('Esc alone is a key after a moment, and so is one with half a sequence behind it', async () => {
  const { input, keys } = heard();
  input.take('\x1b');
  expect(keys).toEqual([]);
  await sleep(60);
  expect(keys).toEqual(['escape']);
  input.take('\x1b[1');
  await sleep(60);
  expect(keys).toEqual(['escape', 'escape', '[', '1']);
});
test('endless sequences and pastes end', () => {
  const { input, keys } = heard();
  input.take(`\x1b[${'1'.repeat(1000)}`);
  expect(keys).toContain('1');
  input.take(`\x1b[200~${'x'.repeat(100_000)}\x1b[201~`);
  expect(keys.at(-1)!.length).toBeLessThan(1000);
});
