/** A guest is typed into, at a terminal and through a pipe: the built program, and a guest that prints what it reads. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { openRecording } from '../../src/recording/reader.js';
import { eventsOf } from '../session/guests.js';
import { echoImage } from '../systems/xen/echo.js';
import { Screen } from '../tui/terminal.js';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const MAIN = at('../../dist/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'rewalk-typing-'));
const screens: Screen[] = [];
afterAll(() => {
  for (const screen of screens) if (!screen.exit) screen.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
const elf = join(folder, 'echo.elf');
writeFileSync(elf, echoImage());
let files = 0;
const fresh = (): string => join(folder, `${files++}.rewalk`);
const args = (file: string, ...more: string[]): string[] => [
  'record',
  '--system',
  'xen',
  elf,
  '--memory',
  '5M',
  '-o',
  file,
  ...more,
];

interface Told {
  readonly typed: string;
  readonly end: string;
  readonly closed: boolean;
}
function told(file: string): Told {
  const source = openRecording(file);
  try {
    const events = eventsOf(source);
    const last = events.at(-1);
    return {
      typed: events.flatMap(e => (e.kind === 'input' ? [e.text] : [])).join(''),
      end: last?.kind === 'end' ? last.how : 'none',
      closed: source.closed,
    };
  } finally {
    source.close();
  }
}
/** A run at a terminal, under a shell's eyes: what the terminal is like behind it is printed. */
function begin(file: string, more: readonly string[] = [], env: Record<string, string> = {}): Screen {
  const screen = new Screen(args(file, ...more), 100, 24, env, at('then-stty.mjs'));
  screens.push(screen);
  return screen;
}

describe('at a terminal', () => {
  test('keys go to the guest one by one, what it prints comes back, and Ctrl-C ends the recording', async () => {
    const file = fresh();
    const s = begin(file);
    await s.shows('the guest waits');
    s.keys('hel');
    await s.shows(/^hel$/);
    s.keys('lo');
    await s.shows(/^hello$/);
    s.keys('\x03');
    const lines = await s.shows('exit 0');
    expect(lines[0]).toBe('hello');
    expect(lines.join(' ')).toMatch(/rewalk: stopped: interrupted; \d+ events/);
    expect(lines.join(' ')).toMatch(/ icanon .* echo /);
    expect(told(file)).toEqual({ typed: 'hello', end: 'stopped', closed: true });
    const again = spawnSync(process.execPath, [MAIN, 'verify', '--rerun', file], { encoding: 'utf8' });
    expect([again.status, again.stdout]).toEqual([0, expect.stringMatching(/are the same/)]);
  });
  test('Ctrl-] says what the next key means: a Ctrl-C or a Ctrl-] for the guest, help, the end', async () => {
    const file = fresh();
    const s = begin(file);
    await s.shows('the guest waits');
    s.keys('\x1dc\x1d]x');
    await s.shows(/^x$/);
    s.keys('\x1d');
    await s.shows(/rewalk: c sends Ctrl-C to the guest, \] sends Ctrl-\], q ends the recording/);
    s.keys('q');
    await s.shows('exit 0');
    expect(told(file)).toEqual({ typed: '\x03\x1dx', end: 'stopped', closed: true });
  });
  test('what a guest prints cannot change the terminal or make it answer, unless asked for', async () => {
    const evil = '\x1b]0;owned\x07\x1b[6n\x1b[?1049h\x1bc\x0e\x1b[31mA\u00e9';
    const s = begin(fresh());
    await s.shows('the guest waits');
    s.keys(evil);
    await s.shows(/^A\u00e9$/);
    for (const text of ['owned', '[6n', '1049', '\x1bc', '\x0e']) expect(s.sent).not.toContain(text);
    s.keys('q');
    await s.shows('exit 0');
    const raw = begin(fresh(), ['--raw']);
    await raw.shows('the guest waits');
    raw.keys('\x1b]0;title\x07A');
    await raw.shows(/^A$/);
    expect(raw.sent).toContain('\x1b]0;title\x07');
    raw.keys('q');
    await raw.shows('exit 0');
  });
  test.for(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)(
    'is given back after %s, and the recording is whole',
    async signal => {
      const file = fresh();
      const s = begin(file, [], { SIGNAL: signal });
      await s.shows('the guest waits');
      s.kill('SIGUSR2');
      const code = { SIGTERM: 143, SIGHUP: 129, SIGINT: 0 }[signal];
      const lines = await s.shows(`exit ${code}`);
      expect(lines.join(' ')).toMatch(/ icanon .* echo /);
      expect(told(file)).toMatchObject({ end: 'stopped', closed: true });
    },
  );
});

describe('through a pipe', () => {
  const piped = (file: string, input: string, ...more: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args(file, ...more)], { encoding: 'utf8', input });
  test('lines are typed as the guest reads them; the same lines give the same bytes, and so does what was recorded', () => {
    const [first, second, third] = [fresh(), fresh(), fresh()];
    const made = piped(first, 'one\ntwo\nthreeq\n');
    expect([made.status, made.stdout]).toEqual([0, 'one\ntwo\nthree\n']);
    expect(told(first)).toEqual({ typed: 'one\ntwo\nthreeq\n', end: 'halted', closed: true });
    piped(second, 'one\ntwo\nthreeq\n');
    expect(readFileSync(second).equals(readFileSync(first))).toBe(true);
    expect(piped(third, '', '--input', first).status).toBe(0);
    expect(readFileSync(third).equals(readFileSync(first))).toBe(true);
  });
  test('one that says something later is waited for', async () => {
    const file = fresh();
    const child = spawn(process.execPath, [MAIN, ...args(file)]);
    let heard = '';
    child.stdout.on('data', piece => (heard += piece));
    setTimeout(() => child.stdin.write('late\n'), 1500);
    while (!heard.includes('late')) await new Promise(resolve => setTimeout(resolve, 20));
    child.stdin.write('q');
    expect(await new Promise(resolve => child.on('close', resolve))).toBe(0);
    expect(told(file).typed).toBe('late\nq');
  });
  test('that is closed types nothing, and neither does a run that nobody can type into', () => {
    const [file, out] = [fresh(), fresh()];
    const made = piped(file, '');
    expect(made.stderr).toMatch(/halted: the guest waits for an event, and there is nothing that could raise one/);
    const nobody = openSync('/dev/null', 'r');
    const alone = spawnSync(process.execPath, [MAIN, ...args(out)], { stdio: [nobody, 'pipe', 'pipe'] });
    expect(alone.status).toBe(0);
    expect(readFileSync(out).length).toBeGreaterThan(4096);
    expect(told(out)).toEqual({ typed: '', end: 'halted', closed: true });
  });
  test('a recording is not read as input while it is written', () => {
    const file = fresh();
    expect(piped(file, 'q').status).toBe(0);
    expect(piped(file, '', '--input', file)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/cannot be read while it is overwritten/),
    });
  });
});
