/**
 * A stock kernel's boot: how long it takes with the recording on, beside QEMU recording the same kernel and initramfs on real
 * Xen; how large the recording is, and how fast it answers. `--file F` asks the questions of a recording that is there.
 *
 * Both boots run in turn, ROUNDS times, up to the line that is the second marker; the least time of each counts. Seconds of
 * processor time are told beside them: ours has threads that write, and a machine that is shared has no core to spare.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MARKERS } from '../linux/init.mjs';
import { qemuArguments, realXen } from '../linux/xen.mjs';
import { calibration, row } from './rows.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', '..', 'dist');
const ROUNDS = 2;
const SECONDS_MAX = 600;
/** Of /proc/PID/stat, per second. */
const CLOCK_TICKS = 100;

/** Seconds of processor time of a process that runs: user and system, fields 14 and 15 (proc(5)). */
function processorTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}
/** Runs until the second marker is printed, and on to its end: {seconds, cpu} up to the marker. */
function boot(file, args) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), SECONDS_MAX * 1000);
    let [text, wrong, found] = ['', '', undefined];
    child.stdout.setEncoding('utf8').on('data', data => {
      text = (text + data).slice(-1000);
      if (!found && text.includes(MARKERS.done))
        found = { seconds: (performance.now() - began) / 1000, cpu: processorTime(child.pid) };
    });
    child.stderr.setEncoding('utf8').on('data', data => {
      wrong = (wrong + data).slice(-1000);
    });
    child.on('error', reject);
    child.on('close', code => {
      clearTimeout(timer);
      if (found && code === 0) resolve(found);
      else reject(new Error(`${file} ended with ${code}: ${wrong || text}`));
    });
  });
}
/** Runs a part of this benchmark in a fresh process; it prints one JSON object a line. */
function apart(script, args) {
  const r = spawnSync(process.execPath, ['--expose-gc', join(here, script), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (r.status !== 0) throw new Error(`${script} ended with ${r.status ?? r.signal}`);
  return r.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}
function fetched() {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(here, '..', 'fetch-linux.mjs')], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr.trim());
  return stdout.trim();
}
function xenOrWhy() {
  try {
    return { xen: realXen() };
  } catch (error) {
    return { why: error.message };
  }
}

async function* boots(file, scratch) {
  const folder = fetched();
  const kernel = { vmlinuz: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd') };
  const record = ['record', '--kernel', kernel.vmlinuz, '--initrd', kernel.initrd, '-o', file];
  const { xen, why } = xenOrWhy();
  const replay = `shift=5,rr=record,rrfile=${join(scratch, 'qemu.rr')}`;
  const [ours, theirs] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await boot(process.execPath, [join(dist, 'cli/main.js'), ...record]));
    if (!xen) continue;
    const machine = qemuArguments(xen, kernel, 'com1=115200,8n1 console=com1');
    theirs.push(await boot('qemu-system-x86_64', [...machine, '-serial', 'stdio', '-icount', replay]));
  }
  const least = (boots, what) => Math.min(...boots.map(b => b[what]));
  yield row('linux_boot_s', least(ours, 'seconds'), 's');
  yield row('linux_boot_cpu_s', least(ours, 'cpu'), 's');
  if (!xen) {
    yield row('linux_boot_vs_qemu_record', 0, why);
    return;
  }
  yield row('qemu_record_s', least(theirs, 'seconds'), 's');
  yield row('qemu_record_cpu_s', least(theirs, 'cpu'), 's');
  yield row('linux_boot_vs_qemu_record', least(ours, 'seconds') / least(theirs, 'seconds'), 'x QEMU', '<= 1.5');
}

export async function* rows(options) {
  yield calibration();
  const scratch = mkdtempSync(join(tmpdir(), 'rewalk-bench-'));
  const file = options.file ?? join(scratch, 'boot.rewalk');
  try {
    if (!options.file) yield* boots(file, scratch);
    yield row('linux_recording_mb', statSync(file).size / 1e6, 'MB', '<= 60');
    yield* apart('linux-reader.mjs', [file, options.seed ?? '1']);
    if (options.keep) process.stderr.write(`rewalk: bench: kept ${file}\n`);
  } finally {
    if (!options.keep) rmSync(scratch, { recursive: true, force: true });
  }
}
