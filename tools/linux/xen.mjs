// Real Xen 4.17 under QEMU, with a kernel as its dom0: what our Xen is held against. Xen and its symbols come by apt, into the
// cache of tools/fetch-linux.mjs; nothing is installed. QEMU must be.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const VERSION = '4.17';
const PACKAGES = [`xen-hypervisor-${VERSION}-amd64`, `xen-hypervisor-${VERSION}-amd64-dbg`];
/** What of the packages is kept: the image that boots, and the same with symbols. */
const FILES = { image: 'xen', symbols: 'xen-syms', map: 'xen-syms.map' };

function run(file, args, cwd) {
  const { status, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  if (error || status !== 0)
    throw new Error(`${file} ${args.join(' ')}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}
function fetchTo(folder) {
  const work = `${folder}.${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    for (const name of PACKAGES) {
      run('apt-get', ['download', '-q', name], work);
      const deb = readdirSync(work).find(f => f.startsWith(`${name}_`));
      run('dpkg-deb', ['-x', deb, 'root'], work);
      rmSync(join(work, deb));
    }
    const [boot, debug] = ['root/boot', 'root/usr/lib/debug/boot'].map(d => join(work, d));
    writeFileSync(join(work, FILES.image), gunzipSync(readFileSync(join(boot, `xen-${VERSION}-amd64.gz`))));
    renameSync(join(debug, `xen-syms-${VERSION}-amd64`), join(work, FILES.symbols));
    renameSync(join(debug, `xen-syms-${VERSION}-amd64.map`), join(work, FILES.map));
    rmSync(join(work, 'root'), { recursive: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
/**
 * The paths of Xen's image, of the same with symbols, and of the list of its symbols.
 * @throws Error with a line that says what is missing
 */
export function realXen() {
  const qemu = spawnSync('qemu-system-x86_64', ['--version']);
  if (qemu.error) throw new Error('qemu-system-x86_64 is not there (Debian: apt-get install qemu-system-x86)');
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'rewalk', 'linux', `xen-${VERSION}`);
  if (!existsSync(folder)) fetchTo(folder);
  return Object.fromEntries(Object.entries(FILES).map(([what, name]) => [what, join(folder, name)]));
}

/**
 * QEMU's arguments for a dom0 of 512 MiB.
 * @param kernel {vmlinuz, initrd, append}
 * @param options more of Xen's command line
 */
export const qemuArguments = ({ image }, { vmlinuz, initrd, append = '' }, options) => [
  ...['-m', '1024', '-smp', '1', '-display', 'none', '-no-reboot', '-nic', 'none'],
  ...['-kernel', image, '-append', `dom0_mem=512M xpti=off ${options}`],
  ...['-initrd', `${vmlinuz} console=hvc0 ${append},${initrd}`],
];
