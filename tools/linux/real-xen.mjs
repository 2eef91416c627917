// The same kernel and initramfs on real Xen 4.17, as dom0 under QEMU, counted between the two markers, beside a recording
// of ours. Xen counts nothing in a release build, so QEMU's debugger does: it stops at the functions that carry calls out
// and looks at their arguments. Xen and its symbols come by apt and are not installed; QEMU must be.
//
// Stopping takes time the guest notices: timers ring between any two calls, and tasks of the kernel run that otherwise would
// not, so loads of base pointers, and multicalls around them, are many more than ours; what processes do with their memory
// is the same. (-icount would tie time to instructions; with it this Xen stalls.)
//
// Usage: node tools/linux/real-xen.mjs [--dir DIR] [boot.rewalk]      DIR keeps what was fetched
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { Gdb } from './gdb.mjs';
import { MARKERS } from './init.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { dir: { type: 'string' } } });
const scratch = mkdtempSync(join(tmpdir(), 'rewalk-xen-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
])
  process.on(signal, () => process.exit(code));
const dir = values.dir ?? scratch;
const at = path => fileURLToPath(new URL(path, import.meta.url));
const PACKAGES = ['xen-hypervisor-4.17-amd64', 'xen-hypervisor-4.17-amd64-dbg'];
const COUNTED = ['mmu_update', 'mmuext_op', 'update_va_mapping', 'multicall'];
const PIN = { from: 0, to: 3 };
const MMUEXT = { 4: 'unpin', 5: 'new_baseptr', 15: 'new_user_baseptr' };
const MMUEXT_BYTES = 24;
const PREEMPTED = 0x8000_0000n;
const SECONDS_MAX = 600;

function run(file, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 30 });
  if (error || status !== 0) {
    process.stderr.write(`rewalk: ${file} ${args.join(' ')}: ${error?.message ?? stderr.trim().split('\n').at(-1)}\n`);
    process.exit(2);
  }
  return stdout;
}
/** Xen's image and the addresses of its functions. */
function xen() {
  mkdirSync(dir, { recursive: true });
  const root = join(dir, 'root');
  if (!existsSync(root))
    for (const name of PACKAGES) {
      run('apt-get', ['download', '-q', name], dir);
      const deb = readdirSync(dir).find(f => f.startsWith(`${name}_`));
      run('dpkg-deb', ['-x', deb, 'root'], dir);
    }
  const image = join(dir, 'xen.elf');
  writeFileSync(image, gunzipSync(readFileSync(join(root, 'boot/xen-4.17-amd64.gz'))));
  const map = readFileSync(join(root, 'usr/lib/debug/boot/xen-syms-4.17-amd64.map'), 'utf8');
  const addressOf = name => BigInt(new RegExp(`^(0x\\w+) [Tt] ${name}$`, 'm').exec(map)[1]);
  return { image, addressOf };
}
const newCounts = () => ({ pins: 0, 'mmu_update entries': 0, 'mmuext_op entries': 0 });
const add = (counts, name, n = 1) => {
  counts[name] = (counts[name] ?? 0) + n;
};
const addMmuext = (counts, command) => {
  if (command >= PIN.from && command <= PIN.to) add(counts, 'pins');
  else if (MMUEXT[command]) add(counts, MMUEXT[command]);
};

async function onRealXen(folder) {
  const { image, addressOf } = xen();
  const socket = join(scratch, 'gdb');
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ...['-m', '1024', '-smp', '1', '-display', 'none', '-no-reboot', '-serial', `file:${join(scratch, 'serial')}`],
      ...['-kernel', image, '-append', 'com1=115200,8n1 console=com1 dom0_mem=512M xpti=off sync_console'],
      ...['-initrd', `${join(folder, 'vmlinuz')} console=hvc0,${join(folder, 'initrd')}`],
      ...['-S', '-chardev', `socket,path=${socket},server=on,wait=off,id=gdb`, '-gdb', 'chardev:gdb'],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const timer = setTimeout(() => qemu.kill(), SECONDS_MAX * 1000);
  process.on('exit', () => qemu.kill());
  const gdb = await Gdb.to(socket);
  const consoleIo = addressOf('do_console_io');
  const functions = new Map(COUNTED.map(name => [addressOf(`do_${name}`), name]));
  const counts = newCounts();
  let [counting, text] = [false, ''];
  await gdb.ask('?');
  await gdb.breakAt(consoleIo);
  for (let stopped = await gdb.ask('c'); stopped?.startsWith('T'); stopped = await gdb.next()) {
    const registers = await gdb.registers();
    const [rdx, rsi, rdi, rip] = [registers[3], registers[4], registers[5], registers[16]];
    if (rip === consoleIo) {
      if ((rdi & 0xffff_ffffn) === 0n) text = (text + (await gdb.memory(rdx, Number(rsi & 0xfffn)))).slice(-200);
      if (!counting && text.includes(MARKERS.ready)) {
        counting = true;
        for (const address of functions.keys()) await gdb.breakAt(address);
      } else if (text.includes(MARKERS.done)) break;
      continue;
    }
    const name = functions.get(rip);
    if (!name) continue;
    if (!(rsi & PREEMPTED) || name === 'update_va_mapping') add(counts, name);
    if (name === 'mmu_update' || name === 'mmuext_op') add(counts, `${name} entries`, Number(rsi & 0x7fff_ffffn));
    if (name !== 'mmuext_op') continue;
    const list = await gdb.memory(rdi, MMUEXT_BYTES * Number(rsi & 0xfffn));
    for (let n = 0; n + MMUEXT_BYTES <= list.length; n += MMUEXT_BYTES) addMmuext(counts, list.readUInt32LE(n));
  }
  clearTimeout(timer);
  gdb.close();
  qemu.kill();
  if (!counting || !text.includes(MARKERS.done)) throw new Error(`it did not get between the markers: ${text}`);
  return counts;
}

/** The same of a recording: calls and entries of multicalls between the markers. */
function ofOurs(file) {
  const lines = run(process.execPath, [
    at('../../dist/cli/main.js'),
    'log',
    file,
    '-k',
    'call,entry,console',
    '--json',
  ]);
  const counts = newCounts();
  let counting = false;
  for (const line of lines.split('\n')) {
    if (line === '') continue;
    const e = JSON.parse(line);
    if (e.kind === 'console') {
      if (e.text.includes(MARKERS.ready)) counting = true;
      if (e.text.includes(MARKERS.done)) break;
    } else if (!counting) continue;
    else if (e.class === 'mmuext') {
      add(counts, 'mmuext_op entries');
      addMmuext(counts, e.number);
    } else if (e.class === 'update') add(counts, 'mmu_update entries');
    else if (e.class === 'hypercall' && COUNTED.includes(e.name)) add(counts, e.name);
  }
  return counts;
}

const folder = run(process.execPath, [at('../fetch-linux.mjs')]).trim();
const file = positionals[0] ?? join(scratch, 'boot.rewalk');
if (!positionals[0]) {
  const given = ['--kernel', join(folder, 'vmlinuz'), '--initrd', join(folder, 'initrd')];
  run(process.execPath, [at('../../dist/cli/main.js'), 'record', '-q', ...given, '-o', file]);
}
const ours = ofOurs(file);
const real = await onRealXen(folder);
process.stdout.write('between the markers        real      ours   difference\n');
for (const name of [...new Set([...Object.keys(real), ...Object.keys(ours)])].sort()) {
  const [r, o] = [real[name] ?? 0, ours[name] ?? 0];
  const percent = r === 0 ? '' : `${((100 * (o - r)) / r).toFixed(1)} %`;
  process.stdout.write(
    `${name.padEnd(20)} ${String(r).padStart(10)} ${String(o).padStart(9)} ${percent.padStart(12)}\n`,
  );
}
process.exit(0);
