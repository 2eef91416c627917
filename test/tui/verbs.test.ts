/** Sessions from end to end on the built-in recordings: the built program in a pseudo-terminal, or at a plain prompt. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import { Screen } from './terminal.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const MAIN = at('dist/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'rewalk-verbs-'));
const CRASH = join(folder, 'crash.rewalk');
const BARE = join(folder, 'bare.rewalk');
beforeAll(() => {
  for (const [from, to] of [
    ['xen/early-pagetable-crash', CRASH],
    ['bare/address-spaces', BARE],
  ] as const)
    for (const end of ['', '.notes.json']) copyFileSync(at(`recordings/${from}.rewalk${end}`), `${to}${end}`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const screens: Screen[] = [];
afterEach(() => {
  for (const s of screens.splice(0)) if (!s.exit) s.kill('SIGKILL');
});
const open = (columns: number, rows: number, ...args: string[]): Screen => {
  const s = new Screen(args, columns, rows, { NO_COLOR: '1' });
  screens.push(s);
  return s;
};
const plain = (file: string, input: string, ...args: string[]): string =>
  spawnSync(process.execPath, [MAIN, 'open', '--plain', file, ...args], { input, encoding: 'utf8' }).stdout;

describe('the tour', () => {
  it('of the crash is eight presses of n, each with its words on the screen', async () => {
    const s = open(100, 40, CRASH);
    await s.shows('n goes to the next');
    const { notes } = JSON.parse(readFileSync(`${CRASH}.notes.json`, 'utf8'));
    expect(notes).toHaveLength(8);
    for (const note of notes) {
      s.keys('n');
      await s.shows(`#${note.seq} @`);
      await s.shows(note.text.slice(0, 40));
    }
    s.keys('n');
    await s.shows('no further note');
  });
});

describe('a verb', () => {
  test.for([
    ['w', 'what holds frame 6a9 as writable', 'rewalk why'],
    [':walk ffffffff80100000\r', 'L4[511]', 'rewalk walk'],
    [':map\r', 'mapped through', 'rewalk map'],
    [':frame 6a9\r', '6a9', 'rewalk frame'],
    [':blame frame:6a9\r', 'inside', 'rewalk blame'],
    [':regs\r', 'rip', 'rewalk regs'],
    [':show\r', 'inside', 'rewalk show'],
    [':check\r', 'rules hold', 'rewalk check'],
    [':stats\r', 'events', 'rewalk stats'],
  ] as const)('%j answers in the last pane, under the command that asks the same', async ([keys, answer, command]) => {
    const s = open(120, 60, CRASH, '#14179');
    await s.shows('#14179 @');
    s.keys(keys);
    await s.shows(`$ ${command}`);
    s.keys('5z');
    await s.shows(answer);
    s.keys('q');
    expect(await s.ended()).toBe(0);
  });
  it('that is refused says why', async () => {
    const s = open(120, 40, BARE, '#216');
    await s.shows('#216 @');
    s.keys(':walk nonsense\r');
    await s.shows("value 'nonsense' is invalid");
  });
});

describe('at a plain prompt', () => {
  it('the same keys and commands give text', () => {
    const text = plain(
      BARE,
      ['n', 'goto #216', 'b', '', 'f', 'B', 'trap vector=14', ')', 'walk 602000', 'q', 'j'].join('\n'),
    );
    const lines = text.split('\n');
    expect(lines[0]).toMatch(/^bare\/address-spaces: 280 events/);
    expect(text).toMatch(/^#18 @50742 root /m);
    expect(text).toMatch(/#216 [\s\S]*#181 [\s\S]*#102 /); // b, and b again
    expect(text).toMatch(/^frame 100d/m);
    expect(text).toMatch(/stop at\?\nstops at trap vector=14/);
    expect(text).toMatch(/^break: trap vector=14/m);
    expect(text).toMatch(/^\$ rewalk walk .* 602000/m);
    expect(text).toMatch(/^L4\[/m);
    expect(text).not.toContain('\x1b');
  });
  it('nonsense is answered, and the end of input is the end', () => {
    expect(plain(BARE, 'xyzzy!\ngoto #999\n')).toMatch(/no command is like xyzzy!; [\s\S]*out of range/);
  });
});

describe('a growing recording', () => {
  it('is followed, and a second terminal on the same file shows the same', async () => {
    const file = join(folder, 'growing.rewalk');
    const whole = readFileSync(BARE);
    writeFileSync(file, whole.subarray(0, 4096));
    const s = open(120, 40, 'open', '--follow', file);
    await s.shows('0 events');
    appendFileSync(file, whole.subarray(4096));
    await s.shows('280 events');
    const other = open(120, 40, file, '#100');
    await other.shows('#100 @');
    s.keys('g#100\r');
    await s.shows('#100 @');
    const events = (screen: Screen): string[] =>
      screen
        .lines()
        .filter(l => /^[ ▸][ ●◆] *\d{1,3} /.test(l))
        .map(l => l.slice(0, 60));
    expect(events(s).length).toBeGreaterThan(5);
    expect(events(s)).toEqual(events(other));
  });
  it('by a run that is watched, which quitting ends', async () => {
    const file = join(folder, 'watched.rewalk');
    const s = open(120, 40, 'record', '--watch', 'bare/address-spaces', '-o', file);
    await s.shows('280 events');
    s.keys('g#216\r');
    await s.shows('#216 @172066');
    s.keys('q');
    expect(await s.ended()).toBe(0);
    expect(existsSync(file)).toBe(true);
    expect(s.alternate).toBe(false);
  });
});

describe('an internal error', () => {
  it('gives the terminal back, says what happened and where the notes are', async () => {
    const s = new Screen([BARE], 100, 30, {}, at('test/tui/broken.mjs'));
    screens.push(s);
    await s.shows('#100 @');
    s.keys('mhere\r');
    await s.shows('is #100; kept in');
    s.keys('a');
    expect(await s.ended()).toBe(2);
    expect(s.alternate).toBe(false);
    const text = s.lines().join('\n');
    expect(text).toMatch(/internal error: [\s\S]*broken on purpose/);
    expect(text).toMatch(/your notes are in/);
  });
});
