/** The debugger end to end: the built program in a pseudo-terminal. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, test } from 'vitest';
import { BINDINGS } from '../../src/tui/keys.js';
import { random, SEED } from './desk.js';
import { Screen } from './terminal.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const GOLDEN = at('recordings/bare/address-spaces.rewalk');
const folder = mkdtempSync(join(tmpdir(), 'rewalk-terminal-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let screen: Screen | undefined;
afterEach(() => {
  if (screen && !screen.exit) screen.kill('SIGKILL');
});
const open = (columns: number, rows: number, env?: Record<string, string>, ...args: string[]): Screen => {
  screen = new Screen(['open', GOLDEN, ...args], columns, rows, env);
  return screen;
};
/** The path of the recording is this machine's: not part of a snapshot. */
const text = (lines: readonly string[]): string => lines.map(l => l.replaceAll(GOLDEN, 'FILE').trimEnd()).join('\n');

/** Parameters of colours that a text sets. */
const coloursIn = (sent: string): string[] =>
  sent
    .split('\x1b[')
    .flatMap(piece => /^([\d;]*)m/.exec(piece)?.[1]?.split(';') ?? [])
    .filter(parameter => /^(3\d|4[0-8]|9\d)$/.test(parameter));

describe('the screen', () => {
  test.for([
    [80, 24, 'narrow'],
    [120, 40, 'medium'],
    [200, 60, 'wide'],
  ] as const)('at %i columns and %i rows has everything in its place', async ([columns, rows, name]) => {
    const s = open(columns, rows, { NO_COLOR: '1' }, '#216');
    if (name !== 'narrow') await s.shows('through 7 tables'); // the pane that comes last
    const lines = await s.shows(name === 'narrow' ? 'trap vector=14' : 'save+1f');
    expect(Math.max(...lines.map(l => l.length))).toBeLessThanOrEqual(columns);
    await expect(text(lines).replace(/rewalk show .*/, 'rewalk show')).toMatchFileSnapshot(`screens/${name}.txt`);
    s.keys('q');
    expect(await s.ended()).toBe(0);
  });
  it('says the same without colour as with it', async () => {
    const plain = text(await open(120, 40, { NO_COLOR: '1' }, '#216').shows('through 7 tables'));
    const sent = screen!.sent;
    screen!.kill('SIGKILL');
    const coloured = text(await open(120, 40, { COLORTERM: 'truecolor' }, '#216').shows('through 7 tables'));
    expect(coloured).toBe(plain);
    expect(coloursIn(sent)).toEqual([]);
    expect(coloursIn(screen!.sent).length).toBeGreaterThan(10);
  });
  it('follows the terminal when it changes its size', async () => {
    const s = open(160, 50, { NO_COLOR: '1' }, '#216');
    await s.shows('4 address space');
    s.resize(90, 30);
    const lines = await s.settles(
      now => now.some(l => l.startsWith('2 events')) && !now.some(l => l.includes('address space')),
    );
    expect(lines.filter(l => /^2 events/.test(l))).toHaveLength(1);
    s.resize(160, 50);
    await s.shows('4 address space');
  });
});

describe('keys', () => {
  it('struck quickly are all heard', async () => {
    const s = open(120, 40, { NO_COLOR: '1' }, '#100');
    await s.shows('#100 @');
    s.keys('jjjjjjjjjjkk');
    await s.shows('#108 @');
    s.keys('\x1b[A'); // an arrow
    await s.shows('#107 @');
  });
  it('show the help, and a command by a few of its letters', async () => {
    const s = open(120, 40, { NO_COLOR: '1' });
    await s.shows('q quit');
    s.keys('?');
    await s.shows('one event on');
    s.keys('?:gt #2');
    await s.shows(':gt #2');
    s.keys('\r');
    await s.shows('#2 @');
  });
});

describe('the terminal', () => {
  test.for([
    ['q', 0],
    ['\x03', 0],
  ] as const)('is given back after %j', async ([keys, code]) => {
    const s = open(80, 24);
    await s.shows('2 events');
    expect(s.alternate).toBe(true);
    s.keys(keys);
    expect(await s.ended()).toBe(code);
    expect(s.alternate).toBe(false);
    expect(s.sent.lastIndexOf('[?25h')).toBeGreaterThan(s.sent.lastIndexOf('[?25l')); // the cursor
  });
  test.for(['SIGTERM', 'SIGHUP'])('is given back after %s', async signal => {
    const s = open(80, 24);
    await s.shows('2 events');
    s.kill(signal);
    expect(await s.ended()).toBe(signal === 'SIGTERM' ? 143 : 129);
    expect(s.alternate).toBe(false);
  });
  it('that is none gets a summary, the verbs that answer without one, and exit code 2', () => {
    const { status, stdout } = spawnSync(process.execPath, [at('dist/cli/main.js'), 'open', GOLDEN], {
      encoding: 'utf8',
    });
    expect(status).toBe(2);
    expect(stdout).toMatch(/bare\/address-spaces, 280 events/);
    expect(stdout).toMatch(/rewalk stats/);
  });
});

describe('ten thousand keys in any order', () => {
  const BYTES: Readonly<Record<string, string>> = {
    escape: '\x1b',
    up: '\x1b[A',
    down: '\x1b[B',
    right: '\x1b[C',
    left: '\x1b[D',
    pageup: '\x1b[5~',
    pagedown: '\x1b[6~',
    home: '\x1b[H',
    end: '\x1b[F',
    enter: '\r',
    tab: '\t',
    space: ' ',
    'C-f': '\x06',
    'C-b': '\x02',
    'C-o': '\x0f',
    'C-]': '\x1d',
  };
  const SIZES = [
    [80, 24],
    [200, 60],
    [20, 8],
    [120, 40],
    [5, 3],
    [300, 100],
  ] as const;
  it('and sizes leave a debugger that works and a terminal that is whole', { timeout: 240_000 }, async () => {
    const file = join(folder, 'keys.rewalk'); // bookmarks are kept beside it
    copyFileSync(GOLDEN, file);
    const s = (screen = new Screen(['open', file, '#100'], 80, 24, {}));
    await s.shows('2 events');
    // Not those that end it, and not `w`, which starts a process each time.
    const keys = BINDINGS.flatMap(b => b.keys).filter(key => !['q', 'C-c', 'w'].includes(key));
    expect(keys.filter(key => key.length > 1 && !BYTES[key])).toEqual([]);
    const dice = random(SEED);
    for (let n = 0; n < 100; n++) {
      const some = Array.from({ length: 100 }, () => keys[dice.next().value % keys.length]!);
      s.keys(some.map(key => BYTES[key] ?? key).join(''));
      if (n % 10 === 9) {
        const [columns, rows] = SIZES[dice.next().value % SIZES.length]!;
        s.resize(columns, rows);
      }
      await sleep(20);
      s.keys('\x1b');
      await sleep(100);
      expect(s.exit, `seed ${SEED}, after ${100 * (n + 1)} keys: ${some.join(' ')}`).toBeUndefined();
    }
    s.resize(120, 40);
    s.keys('\x1b');
    await sleep(100);
    s.keys(':xyzzy\r');
    await s.becomes(lines => lines.at(-1)!.includes('no command is like xyzzy'));
    s.keys('q');
    expect(await s.ended()).toBe(0);
    expect(s.alternate).toBe(false);
    expect(s.sent.lastIndexOf('[?25h')).toBeGreaterThan(s.sent.lastIndexOf('[?25l'));
    expect(s.sent.match(/\?2026h/g)!.length).toBe(s.sent.match(/\?2026l/g)!.length); // every frame was whole
  });
});
