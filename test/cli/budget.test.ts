/** Budgets as a job has them: a file, bookmarks and printed texts, every format (the built program; npm test builds it first). */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RUN = join(ROOT, 'recordings/xen/user-pagetables.rewalk');
const folder = mkdtempSync(join(tmpdir(), 'rewalk-budget-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const rewalk = (...args: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'dist/cli/main.js'), ...args], {
    encoding: 'utf8',
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', GITHUB_STEP_SUMMARY: join(folder, 'summary.md') },
  });
const check = (budget: object, ...args: string[]) => {
  writeFileSync(
    join(folder, 'rewalk.budget.json'),
    JSON.stringify({ budgets: [{ name: 'mine', most: 0, ...budget }] }),
  );
  return rewalk('check', RUN, ...args);
};
const json = (budget: object) =>
  check(budget, '--json')
    .stdout.split('\n')
    .filter(l => l.includes('"what":"budget"'))
    .map(l => JSON.parse(l))[0];

describe('a budget', () => {
  it('of a fork names the event that was one too many, and the fork', () => {
    const { status, stdout } = check({ count: 'pte writes', most: 20, per: 'fork' });
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^over budget: mine: \d+ pte writes in one fork \(\d+ on average, 1 of them\), at most 20\n {2}in the fork at #12364 @\d+\n#\d+ @\d+ pte /m,
    );
    expect(stdout).toMatch(/^ {2}inside #12364 @\d+ call syscall 57/m);
  });
  it('between two bookmarks counts what lies behind the first, up to the second', () => {
    const writes = rewalk('log', RUN, '#12387', '#12408', '--kind', 'pte').stdout.trim().split('\n').length;
    expect(json({ count: 'pte writes', between: ["'fork", "'child-pinned"] })).toMatchObject({
      value: writes,
      kept: false,
    });
  });
  it('between two printed texts, too', () => {
    const entries = rewalk('log', RUN, '#12171', '#12353', '--kind', 'entry').stdout.trim().split('\n').length;
    expect(json({ count: 'batch entries', between: ['console:hello from ring', 'console:wrote at 1 TiB'] }).value).toBe(
      entries,
    );
  });
  it('that cannot be judged is trouble of one line', () => {
    for (const [budget, why] of [
      [{ between: ['console:never said', 'end'] }, /console:never said: .* has no such line$/m],
      [{ between: ['console:exits', 'console:hello'] }, /console:hello: .* has no such line after #1267\d$/m],
      [{ between: ["'nowhere", 'end'] }, /no bookmark of this name/],
      [{ between: ['90%', '10%'] }, /budget mine: 10% is before 90%/],
      [{ per: 'dog' }, /budgets\[0\]\.per: fork, exec, switch/],
    ] as const) {
      const { status, stderr } = check({ count: 'faults', ...budget });
      expect([status, stderr]).toEqual([2, expect.stringMatching(why)]);
      expect(stderr.trim().split('\n').length).toBe(1);
    }
    copyFileSync(join(ROOT, 'recordings/bare/address-spaces.rewalk'), join(folder, 'bare.rewalk'));
    writeFileSync(join(folder, 'f.json'), '{"budgets":[{"name":"n","count":"faults","most":1,"per":"exec"}]}');
    const { status, stderr } = rewalk('check', 'bare.rewalk', '--budget', 'f.json');
    expect([status, stderr]).toEqual([2, expect.stringMatching(/budget n: exec is known by its system call/)]);
  });
  it('that is broken is so in every format', () => {
    const budget = { count: 'pte writes', most: 20, per: 'fork' };
    const title = /mine: \d+ pte writes in one fork .*at most 20 in the fork at #12364/;
    for (const format of ['--markdown', '--github', '--junit', '--sarif']) {
      const { status, stdout } = check(budget, format);
      expect([format, status]).toEqual([format, 1]);
      expect(format === '--github' ? decodeURIComponent(stdout) : stdout.replaceAll('\\', ''), format).toMatch(title);
    }
    expect(readFileSync(join(folder, 'summary.md'), 'utf8').replaceAll('\\', '')).toMatch(title);
    expect(json(budget)).toMatchObject({ kept: false, per: 'fork', units: 1, unit: 12364 });
  });
});
