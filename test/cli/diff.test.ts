/** Comparing in CI, as a job does it: the built program (npm test builds it first). */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'dist/cli/main.js');
const recording = (name: string): string => join(ROOT, 'recordings', `${name}.rewalk`);
const [GOOD, BAD] = [recording('xen/user-pagetables'), recording('xen/user-pagetables-broken')];
const folder = mkdtempSync(join(tmpdir(), 'rewalk-diff-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const run = (args: string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', CI: '', ...env },
    maxBuffer: 1 << 26,
  });
const rewalk = (...args: string[]) => run(args);

describe('rewalk diff', () => {
  it('exits as diff(1): 0 the same, 1 different, 2 trouble', () => {
    expect(rewalk('diff', GOOD, GOOD)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^no difference/) });
    expect(rewalk('diff', GOOD, BAD)).toMatchObject({ status: 1, stderr: '' });
    const missing = rewalk('diff', GOOD, '/nowhere.rewalk');
    expect(missing.status).toBe(2);
    expect(missing.stderr).toMatch(/^rewalk: .*nowhere.rewalk.*\n$/);
    expect(rewalk('diff', GOOD, BAD, '--ignore', 'nonsense')).toMatchObject({ status: 2 });
    expect(rewalk('diff', GOOD, BAD, '--ignore', 'trap.nonsense')).toMatchObject({ status: 2 });
  });
  it('stops at the first difference where that is asked for', () => {
    const { stdout } = rewalk('diff', GOOD, BAD, '--first', '--json');
    const lines = stdout
      .trim()
      .split('\n')
      .map(l => JSON.parse(l));
    expect(lines.filter(l => l.what === 'finding').length).toBe(1);
  });
  it('leaves out what is ignored', () => {
    const { stdout } = rewalk(
      'diff',
      GOOD,
      BAD,
      '--ignore',
      'console,path:walker',
      '--ignore',
      'function:printk',
      '--context',
      '0',
    );
    expect(stdout).not.toMatch(/^[-+] #\d+ (console|.*printk|.*path=walker)/m);
    expect(stdout).toMatch(/^[-+] #\d+ /m);
  });
  it('compares address spaces at one moment of both', () => {
    expect(rewalk('diff', GOOD, GOOD, '--state', '50%')).toMatchObject({ status: 0 });
    const { status, stdout } = rewalk('diff', GOOD, BAD, '--state', 'end');
    expect([status, stdout.split('\n')[0]]).toEqual([
      expect.any(Number),
      expect.stringMatching(/^A at #13141, B at #/),
    ]);
  });
  it('gives GitHub one error, and the rest as the summary of the step', () => {
    const summary = join(folder, 'summary.md');
    const { status, stdout } = run(['diff', GOOD, BAD, '--github'], { GITHUB_STEP_SUMMARY: summary });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^::error file=[^\n]*\n$/);
    expect(readFileSync(summary, 'utf8')).toMatch(/^## rewalk diff: \d+ differences/);
  });
  it('writes JUnit and SARIF to files beside the text', () => {
    const { stdout } = rewalk('diff', GOOD, BAD, '--junit', 'out.xml', '--sarif', 'out.sarif');
    expect(stdout).toMatch(/^--- A /);
    expect(readFileSync(join(folder, 'out.xml'), 'utf8')).toMatch(/<testsuites /);
    expect(JSON.parse(readFileSync(join(folder, 'out.sarif'), 'utf8')).version).toBe('2.1.0');
  });
});

describe('golden recordings', () => {
  const dir = join(folder, 'golden');
  const golden = join(dir, 'address-spaces.rewalk');
  const again = (env = {}) => run(['record', 'bare/address-spaces', '--golden', dir, '--quiet'], env);
  it('are only ever written by accept, and that not in CI', () => {
    mkdirSync(dir);
    expect(again()).toMatchObject({ status: 1, stderr: expect.stringMatching(/rewalk accept/) });
    expect(existsSync(golden)).toBe(false);
    expect(run(['accept', golden], { CI: 'true' }).status).toBe(2);
    expect(rewalk('accept', golden).status).toBe(0);
    expect(readFileSync(join(dir, 'address-spaces.txt'), 'utf8')).toBe(
      readFileSync(join(ROOT, 'recordings/bare/address-spaces.txt'), 'utf8'),
    );
    expect(again({ CI: 'true' })).toMatchObject({ status: 0 });
    expect(existsSync(`${golden}.new`)).toBe(false);
    expect(rewalk('accept', dir).status).toBe(2);
  });
  it('that differ stay as they are, with the new run beside them', () => {
    copyFileSync(GOOD, golden);
    const { status, stdout } = again({ CI: 'true' });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^--- A .*golden/m);
    expect(readFileSync(golden)).toEqual(readFileSync(GOOD));
    expect(existsSync(`${golden}.new`)).toBe(true);
  });
});

describe('budgets', () => {
  const budgets = (list: unknown): string => {
    const file = join(folder, 'budget.json');
    writeFileSync(file, JSON.stringify({ budgets: list }));
    return file;
  };
  it('that are kept are said so, and the event that was one too many is named', () => {
    const file = budgets([
      { name: 'all calls', count: 'hypercalls', most: 69 },
      { name: 'calls', count: 'hypercalls', most: 68 },
      { name: 'early calls', count: 'hypercalls', most: 3, between: ['start', '#11829'] },
      { name: 'in printk', count: 'hypercalls', most: 1, function: 'printk' },
      { name: 'ptes a fault', count: 'pte writes', most: 1, per: 'fault' },
    ]);
    const { status, stdout } = rewalk('check', GOOD, '--budget', file, '--json');
    const found = stdout
      .trim()
      .split('\n')
      .map(l => JSON.parse(l))
      .filter(l => l.what === 'budget');
    expect(status).toBe(1);
    expect(found.map(b => b.kept)).toEqual([true, false, false, false, false]);
    expect(found.map(b => b.value).slice(0, 3)).toEqual([69, 69, 4]);
    expect(found[2].seq).toBe(11829);
    expect(found[3].seq).toBe(11810);
  });
  it('that make no sense are refused in one line that names the place', () => {
    for (const [list, what] of [
      [[{ name: 'x', count: 'dogs', most: 1 }], /budgets\[0\]\.count: one of/],
      [[{ name: 'x', count: 'faults', most: -1 }], /budgets\[0\]\.most/],
      [[{ name: 'x', count: 'faults', most: 1, pre: 1 }], /budgets\[0\]\.pre/],
      [7, /budgets: a list is expected/],
    ] as const) {
      const { status, stderr } = rewalk('check', GOOD, '--budget', budgets(list));
      expect([status, stderr]).toEqual([2, expect.stringMatching(what)]);
      expect(stderr.trim().split('\n').length).toBe(1);
    }
  });
});

it('rewalk verify --rerun runs every built-in recording again', () => {
  const { status, stdout } = rewalk('verify', '--rerun', GOOD, BAD);
  expect(status).toBe(0);
  expect(stdout).toMatch(/run again: \d+ events from #11798 on are the same/);
});
