/** A run that is watched is typed into, in the debugger's console pane, while its recording grows. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, it } from 'vitest';
import { openRecording } from '../../src/recording/reader.js';
import { eventsOf } from '../session/guests.js';
import { echoImage } from '../systems/xen/echo.js';
import { Screen } from './terminal.js';

const folder = mkdtempSync(join(tmpdir(), 'rewalk-watch-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const elf = join(folder, 'echo.elf');
writeFileSync(elf, echoImage());
let screen: Screen | undefined;
afterEach(() => {
  if (screen && !screen.exit) screen.kill('SIGKILL');
});
const watch = (file: string, columns = 120, rows = 40): Screen => {
  screen = new Screen(
    ['record', '--watch', '--system', 'xen', elf, '--memory', '5M', '-o', file],
    columns,
    rows,
    { NO_COLOR: '1' },
    fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)),
  );
  return screen;
};
const typed = (file: string): string =>
  eventsOf(openRecording(file))
    .flatMap(e => (e.kind === 'input' ? [e.text] : []))
    .join('');
const events = (lines: readonly string[]): number => Number(/(\d+) events/.exec(lines[0]!)?.[1]);

it('I types into the guest as it is now, wherever one looks; Ctrl-] gives the keys back; its end too', async () => {
  const file = join(folder, 'watched.rewalk');
  const s = watch(file);
  const before = events(await s.shows(/[1-9]\d+ events/));
  s.keys('I');
  expect((await s.shows('console, live')).at(-1)).toMatch(/^typing into the guest +Ctrl-\] back to the debugger/);
  s.keys('hello\x03 \x1b[A');
  await s.shows(/^hello /);
  s.keys('\x1d<');
  await s.shows(/^start/); // keys move again
  s.keys('Iworld');
  const lines = await s.shows(/^hello .*world/);
  expect(lines.some(l => l.includes('before the first event'))).toBe(true); // and one stays there
  await s.becomes(now => events(now) > before); // while it grows
  s.keys('q');
  await s.shows('the run is over');
  s.keys('I');
  await s.shows('nothing reads any more');
  s.keys('>');
  await s.shows(/end how=halted/);
  s.keys('q');
  expect(await s.ended()).toBe(0);
  expect(s.alternate).toBe(false);
  expect(typed(file)).toBe('hello\x03 \x1b[Aworldq');
});
it('quitting ends the run with what was typed in the recording', async () => {
  const file = join(folder, 'quit.rewalk');
  const s = watch(file, 80, 24);
  await s.shows('2 events');
  s.keys('Iab');
  await s.shows(/^ab/);
  s.keys('\x1d');
  await s.becomes(lines => !lines.at(-1)!.includes('typing into'));
  s.keys('q');
  expect(await s.ended()).toBe(0);
  expect(typed(file)).toBe('ab');
  expect(eventsOf(openRecording(file)).at(-1)).toMatchObject({ kind: 'end', how: 'stopped' });
});
