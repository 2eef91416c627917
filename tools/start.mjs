// npm start: opens the debugger on a built-in recording with a story, which n tells step by step. Without a terminal, or with
// --script: records a built-in guest and shows what can be asked of it, each answer under the command that gives it.
// With arguments it is the command itself: npm start -- map run.rewalk 50%
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'dist', 'cli', 'main.js');
const given = process.argv.slice(2);
const script = given[0] === '--script';
if (given.length > 0 && !script)
  process.exit(spawnSync(process.execPath, [main, ...given], { stdio: 'inherit' }).status ?? 2);

const dir = mkdtempSync(join(tmpdir(), 'rewalk-'));
const TOUR = 'early-pagetable-crash.rewalk';
if (!script && process.stdin.isTTY && process.stdout.isTTY) {
  // A copy: bookmarks are kept beside the recording, and the one that comes with rewalk stays as it is.
  for (const name of [TOUR, `${TOUR}.notes.json`]) copyFileSync(join(root, 'recordings', 'xen', name), join(dir, name));
  const { status } = spawnSync(process.execPath, [main, 'open', TOUR], { stdio: 'inherit', cwd: dir });
  rmSync(dir, { recursive: true, force: true });
  process.exit(status ?? 2);
}
const RUN = 'run.rewalk';
const STORY = [
  [
    'A small kernel with page tables of its own runs, and everything it does to them is recorded.',
    ['record', 'bare/address-spaces', '-o', RUN],
  ],
  [
    'It forks, and the parent writes one page. What changed in its address space?',
    ['map', RUN, '#160', '--diff', '#222'],
  ],
  [
    'The child runs and writes another page. In what do the two processes differ now?',
    ['map', RUN, '#260', '--root', '1005', '--diff-root', '1013'],
  ],
  ['Who wrote the entry of the page that was copied, and on whose behalf?', ['blame', RUN, '602000', '#218']],
];
try {
  for (const [why, args] of STORY) {
    process.stdout.write(`\n# ${why}\n$ rewalk ${args.join(' ')}\n`);
    const { status } = spawnSync(process.execPath, [main, ...args], { stdio: 'inherit', cwd: dir });
    if (status !== 0 && status !== 1) process.exitCode = 2;
  }
  process.stdout.write(
    '\n# The same recording comes with rewalk: recordings/bare/address-spaces.rewalk. Go on with\n$ npx rewalk log recordings/bare/address-spaces.rewalk\n$ npx rewalk --help\n',
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
