// What must hold before the tests run: formatting and lint (biome), types of everything, types of the replay half alone.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (...p) => join(root, 'node_modules', ...p);
const tsc = bin('typescript', 'bin', 'tsc');
const checks = [
  ['format and lint', bin('@biomejs', 'biome', 'bin', 'biome'), ['check', '--error-on-warnings']],
  ['types', tsc, ['-p', join(root, 'tsconfig.test.json')]],
  ['types of the replay half alone', tsc, ['-p', join(root, 'tsconfig.replay.json')]],
];
let failed = false;
for (const [what, file, args] of checks) {
  const { status } = spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    process.stderr.write(
      `rewalk: ${what}: failed; the reasons are above${what.startsWith('format') ? ' (npm run format mends most)' : ''}\n`,
    );
    failed = true;
  }
}
process.exit(failed ? 1 : 0);
