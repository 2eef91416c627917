// Runs rewalk in this terminal and prints, when it is over, its exit code and what the terminal is like. SIGUSR2 sends it
// the signal named in SIGNAL.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const child = spawn(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
process.on('SIGUSR2', () => child.kill(process.env.SIGNAL));
process.on('SIGINT', () => {});
child.on('close', code => {
  spawnSync('stty', ['-a'], { stdio: 'inherit' });
  process.stdout.write(`exit ${code}\n`);
});
