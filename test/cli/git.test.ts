/** Recordings in git, as docs/ci.md has it: attributes and a text conversion, in a repository of its own. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rewalk-git-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(
  join(folder, 'rewalk'),
  `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'dist/cli/main.js')}" "$@"\n`,
  {
    mode: 0o755,
  },
);
const repository = join(folder, 'repository');
const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', '-C', repository, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}`, GIT_CONFIG_NOSYSTEM: '1', HOME: folder },
  });

it('git diff shows a recording as text where a clone is told how, and keeps its bytes in any case', () => {
  const text = readFileSync(join(ROOT, 'docs/ci.md'), 'utf8');
  const attributes = /^ {4}(\*\.rewalk .*)$/m.exec(text)![1]!;
  const convert = /^ {4}git config (\S+) '(.*)'$/m.exec(text)!.slice(1);
  expect(readFileSync(join(ROOT, '.gitattributes'), 'utf8')).toContain(`\n${attributes}\n`);

  execFileSync('git', ['init', '--quiet', '--initial-branch=main', repository]);
  writeFileSync(join(repository, '.gitattributes'), `${attributes}\n`);
  const golden = join(repository, 'guest.rewalk');
  const commit = (guest: string): void => {
    copyFileSync(join(ROOT, `recordings/xen/${guest}.rewalk`), golden);
    git('add', '.');
    git('commit', '--quiet', '-m', guest);
  };
  commit('user-pagetables');
  commit('user-pagetables-broken');
  expect(git('diff', 'HEAD~1')).toMatch(/^Binary files a\/guest\.rewalk and b\/guest\.rewalk differ$/m);
  git('config', ...convert);
  const shown = git('diff', 'HEAD~1');
  expect(shown).toMatch(/^-#\d+ @\d+ pte space=guest .* path=update /m);
  expect(shown).toMatch(/^\+#\d+ @\d+ console from=guest /m);
  expect(shown).not.toMatch(/^[-+]#\d+ @\d+ regs /m);
  git('rm', '--quiet', '--cached', 'guest.rewalk');
  git('checkout', '--quiet', '--force', 'HEAD', '--', 'guest.rewalk');
  expect(readFileSync(golden)).toEqual(readFileSync(join(ROOT, 'recordings/xen/user-pagetables-broken.rewalk')));
});
