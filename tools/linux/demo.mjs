// The demo: gets a stock Debian kernel, records its boot on Xen, and opens the recording with the debugger; without a
// terminal it says what to ask. A recording that is there already is used again.
//
// Usage: npm run demo:linux [-- --cloud] [-- FILE]
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const at = path => fileURLToPath(new URL(path, import.meta.url));
const CLI = at('../../dist/cli/main.js');
const args = process.argv.slice(2);
const file = args.find(a => !a.startsWith('-')) ?? 'boot.rewalk';

function node(script, rest, stdio = 'inherit') {
  const { status, stdout, signal } = spawnSync(process.execPath, [script, ...rest], { stdio, encoding: 'utf8' });
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1));
  return stdout;
}

if (existsSync(file)) process.stderr.write(`rewalk: ${file} is there; delete it to boot again\n`);
else {
  const fetch = args.includes('--cloud') ? ['--cloud'] : [];
  const folder = node(at('../fetch-linux.mjs'), fetch, ['inherit', 'pipe', 'inherit']).trim();
  const kernel = ['--kernel', join(folder, 'vmlinuz'), '--initrd', join(folder, 'initrd')];
  node(CLI, ['record', ...kernel, '-o', file]);
}
if (process.stdin.isTTY && process.stdout.isTTY) node(CLI, ['open', file]);
else
  process.stdout.write(`
ask it, for example:
  rewalk stats ${file}                         what happened, and what Xen refused
  rewalk log ${file} --kind task               which processes ran
  rewalk map ${file} end                       the last address space, with Linux's regions
  rewalk map ${file} 50% --diff end            what became of it
  rewalk check ${file}                         do Xen's rules hold at every return to the guest
  rewalk open ${file}                          the debugger, on a terminal
`);
