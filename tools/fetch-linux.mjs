// Gets a stock Debian kernel and busybox, unpacks them, and builds a small initramfs: what `npm run demo:linux` records and
// the linux tests boot. Nothing is installed and no root is needed: apt-get only downloads. Everything goes to a cache
// outside the source tree; what is there already is used again.
//
//   $XDG_CACHE_HOME/rewalk/linux/<package>/vmlinuz      initrd      shell (an initrd with a shell)      busybox
//
// Usage: node tools/fetch-linux.mjs [--cloud] [--dir DIR]      prints the folder
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cpio } from './linux/cpio.mjs';
import { INIT, SHELL } from './linux/init.mjs';

const { values } = parseArgs({ options: { cloud: { type: 'boolean' }, dir: { type: 'string' } } });
const cache = values.dir ?? join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rewalk', 'linux');
const say = text => process.stderr.write(`rewalk: ${text}\n`);

function die(why) {
  say(why);
  say(
    'by hand: put a Debian vmlinuz and a static busybox into a folder, and pass --kernel and --initrd to `rewalk record`',
  );
  process.exit(2);
}
function run(file, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  if (error) die(`${file} is not here; fetching needs apt-get and dpkg-deb (Debian, Ubuntu)`);
  if (status !== 0) die(`${file} ${args.join(' ')} failed: ${stderr.trim().split('\n').at(-1)}`);
  return stdout;
}

/** The package that a meta package stands for: linux-image-amd64 -> linux-image-6.1.0-50-amd64. */
function currentKernel() {
  const meta = values.cloud ? 'linux-image-cloud-amd64' : 'linux-image-amd64';
  const depends = run('apt-cache', ['depends', meta]);
  const found = /Depends: (linux-image-\d\S*)/.exec(depends)?.[1];
  return found ?? die(`apt does not know ${meta}; is the package list there (apt-get update) and the machine amd64?`);
}
/** Downloads a package and gives back one file of it. */
function fileOf(name, work, pattern) {
  const into = join(work, name);
  mkdirSync(into, { recursive: true });
  run('apt-get', ['download', '-q', name], into);
  const deb = readdirSync(into).find(f => f.endsWith('.deb')) ?? die(`apt-get download ${name} brought nothing`);
  run('dpkg-deb', ['-x', deb, 'x'], into);
  const path = readdirSync(join(into, 'x'), { recursive: true }).find(f => pattern.test(f));
  return readFileSync(join(into, 'x', path ?? die(`${name} has no ${pattern}`)));
}

const kernel = currentKernel();
const folder = join(cache, kernel);
if (!existsSync(join(folder, 'initrd'))) {
  say(`fetching ${kernel} and busybox-static`);
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  process.on('exit', () => rmSync(work, { recursive: true, force: true }));
  process.on('SIGINT', () => process.exit(130));
  const vmlinuz = fileOf(kernel, work, /^boot\/vmlinuz-/);
  const busybox = fileOf('busybox-static', work, /bin\/busybox$/);
  mkdirSync(folder, { recursive: true });
  const put = (name, bytes) => {
    writeFileSync(join(work, name), bytes);
    renameSync(join(work, name), join(folder, name));
  };
  put('vmlinuz', vmlinuz);
  put('busybox', busybox);
  chmodSync(join(folder, 'busybox'), 0o755);
  put('initrd', cpio(INIT(busybox))); // last: that it is there means that all is
}
const shell = cpio(SHELL(readFileSync(join(folder, 'busybox'))));
if (!existsSync(join(folder, 'shell')) || !readFileSync(join(folder, 'shell')).equals(shell)) {
  writeFileSync(join(folder, `shell.${process.pid}`), shell);
  renameSync(join(folder, `shell.${process.pid}`), join(folder, 'shell'));
}
process.stdout.write(`${folder}\n`);
