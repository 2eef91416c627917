/**
 * The recipe of docs/ci.md from one end to the other: a bare repository with a base and a head commit of a guest's image, a
 * job that checks both out, and what action.yml runs. No network.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rewalk-action-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const git = (cwd: string, ...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], { cwd, encoding: 'utf8' });

it('a pull request that forgets the user half is told so, and one that changes nothing passes', () => {
  const [bare, author, job] = ['bare.git', 'author', 'job'].map(d => join(folder, d)) as [string, string, string];
  git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', bare);
  git(folder, 'clone', '--quiet', bare, author);
  const commit = (image: string, branch: string): void => {
    git(author, 'checkout', '--quiet', '-B', branch);
    copyFileSync(join(ROOT, `recordings/xen/${image}.elf`), join(author, 'kernel.elf'));
    git(author, 'add', 'kernel.elf');
    git(author, 'commit', '--quiet', '--allow-empty', '-m', image);
    git(author, 'push', '--quiet', 'origin', branch);
  };
  commit('user-pagetables', 'main');
  commit('user-pagetables', 'harmless');
  commit('user-pagetables-broken', 'harmful');
  mkdirSync(job);
  for (const branch of ['main', 'harmless', 'harmful'])
    git(folder, 'clone', '--quiet', '--branch', branch, bare, join(job, branch));

  const rewalk = join(folder, 'rewalk');
  writeFileSync(rewalk, `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'dist/cli/main.js')}" "$@"\n`, {
    mode: 0o755,
  });
  const act = (head: string) => {
    const [output, summary] = ['output', 'summary'].map(f => join(folder, `${head}-${f}`)) as [string, string];
    for (const f of [output, summary]) writeFileSync(f, '');
    const { status, stdout } = spawnSync('bash', [join(ROOT, 'tools/action.sh')], {
      encoding: 'utf8',
      cwd: job,
      env: {
        ...process.env,
        REWALK: rewalk,
        BASE: 'main/kernel.elf',
        HEAD: `${head}/kernel.elf`,
        SYSTEM: 'xen',
        IGNORE: 'function:printk',
        VERSION: '',
        GITHUB_OUTPUT: output,
        GITHUB_STEP_SUMMARY: summary,
      },
    });
    return { status, stdout, output: readFileSync(output, 'utf8'), summary: readFileSync(summary, 'utf8') };
  };
  expect(act('harmless')).toMatchObject({ status: 0, output: 'different=false\n' });
  const harmful = act('harmful');
  expect(harmful).toMatchObject({ status: 1, output: 'different=true\n' });
  expect(harmful.stdout).toMatch(/^::error file=/m);
  expect(harmful.summary).toMatch(/set_pgd/);
});

it('the action runs the script that is tested here, and asks for nothing that it does not name', () => {
  const action = readFileSync(join(ROOT, 'action.yml'), 'utf8');
  expect(action).toMatch(/using: composite/);
  expect(action).toMatch(/bash "\$GITHUB_ACTION_PATH\/tools\/action.sh"/);
  const inputs = [...action.matchAll(/\$\{\{ inputs\.(\w+) \}\}/g)].map(m => m[1]!);
  for (const input of inputs) expect(action).toMatch(new RegExp(`^ {2}${input}:$`, 'm'));
});
