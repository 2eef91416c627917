/**
 * Every verb of the `:` line as a person sees it: the built program in a pseudo-terminal, at three sizes, with and without
 * colour, which say the same. `npx vitest run test/tui/screens.test.ts -u` writes the screens anew.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { VERBS } from '../../src/cli/verbs.js';
import { Screen } from './terminal.js';

const RECORDINGS = fileURLToPath(new URL('../../recordings/', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const SIZES = [
  [120, 40],
  [200, 60],
  [80, 24],
] as const;
const folder = mkdtempSync(join(tmpdir(), 'rewalk-screens-'));
let plain: Screen;
let coloured: Screen;
beforeAll(() => {
  for (const [from, to] of [
    ['xen/early-pagetable-crash', 'crash'],
    ['xen/early-pagetable-workaround', 'other'],
  ])
    copyFileSync(`${RECORDINGS}${from}.rewalk`, join(folder, `${to}.rewalk`));
  const open = (env: Readonly<Record<string, string>>): Screen =>
    new Screen(['open', 'crash.rewalk', '#14179'], ...SIZES[0], env, MAIN, folder); // relative: paths are on the screen
  plain = open({ NO_COLOR: '1' });
  coloured = open({ COLORTERM: 'truecolor' });
});
afterAll(async () => {
  for (const s of [plain, coloured]) {
    s.keys('\x1bq');
    await s.ended();
  }
  rmSync(folder, { recursive: true, force: true });
});

/** What is typed, by verb; what it says in the end is in the screens. */
const TYPED: Readonly<Record<string, string>> = {
  guests: 'guests',
  record: 'record bare/address-spaces -o made.rewalk',
  stats: 'stats',
  log: 'log #14170 #14179',
  show: 'show',
  regs: 'regs',
  walk: 'walk ffffffff80100000',
  map: 'map',
  blame: 'blame frame:6a9',
  frame: 'frame 6a9',
  why: 'why',
  diff: 'diff crash.rewalk other.rewalk',
  accept: 'accept crash.rewalk',
  check: 'check crash.rewalk',
  mem: 'mem ffffffff80100000 64',
  expand: 'expand #100..#103 -o wider.rewalk',
  export: 'export #14170 #14179 --perfetto trace.json',
  explain: "explain 'mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn 6a9 (pfn 5fc)'",
  verify: 'verify crash.rewalk',
};
/** How well a file is compressed is not what these screens are about. */
const steady = (text: string): string =>
  text.replace(/\b\d{4,} bytes/g, 'N bytes').replace(/\b\d+\.\d+ an event/g, 'N an event');

async function screens(s: Screen, verb: string): Promise<string[]> {
  s.keys(`:${TYPED[verb]}\r`);
  const all: string[] = [];
  for (const [columns, rows] of SIZES) {
    s.resize(columns, rows);
    const lines = await s.settles(
      now =>
        now[0]!.startsWith('1 recording') && // both ends are in their places: what was before the new size is gone
        now.at(-1)!.startsWith('#14179 @') &&
        now.some(l => l.startsWith(`$ rewalk ${verb}`)) &&
        (columns < 110 || now.some(l => l.includes('through 16 tables'))),
    );
    expect(Math.max(...lines.map(l => l.length))).toBeLessThanOrEqual(columns);
    all.push(lines.map(l => steady(l.trimEnd())).join('\n'));
  }
  s.resize(...SIZES[0]);
  return all;
}

describe('every verb behind ":"', { timeout: 60_000 }, () => {
  test.for(Object.keys(TYPED).map(verb => [verb] as const))(
    '%s answers at three sizes, with and without colour',
    async ([verb]) => {
      const [text, other] = await Promise.all([screens(plain, verb), screens(coloured, verb)]);
      expect(other).toEqual(text);
      await expect(text.join('\n')).toMatchFileSnapshot(`screens/verbs/${verb}.txt`);
    },
  );
  it('is typed here, but for the debugger itself', () => {
    const verbs = VERBS.map(v => v.name).filter(name => name !== 'open');
    expect(Object.keys(TYPED).sort()).toEqual(verbs.sort());
  });
  it('colours only where colours are wanted', () => {
    const colours = (sent: string): number => sent.split(';38;2;').length - 1;
    expect(colours(plain.sent)).toBe(0);
    expect(colours(coloured.sent)).toBeGreaterThan(100);
  });
  it('that writes files wants its whole name', async () => {
    plain.keys(':recor bare/address-spaces -o never.rewalk\r');
    await plain.shows('record writes files: type its whole name to mean it');
    expect(existsSync(join(folder, 'never.rewalk'))).toBe(false);
    expect(existsSync(join(folder, 'made.rewalk'))).toBe(true);
  });
});
