// The same kernel and initramfs on real Xen 4.17, as dom0 under QEMU, counted beside a recording of ours: between the two
// markers, and the whole boot. Xen counts nothing in a release build, and a debugger's stops take time that the guest
// notices. So QEMU's translator is asked to log the registers where code begins that carries calls out (-d exec,cpu with
// -dfilter): nothing is stopped, and with -icount the boot is the same, instruction by instruction, every time.
//
// What makes the two comparable:
//   -icount shift=0   a nanosecond an instruction, as ours is
//   the processor     with our features, so that the C library chooses the same functions
//   norandmaps        where a stack lies decides whether it needs one page table or two, in every child again
//   continuations     Xen interrupts long calls for its own timers and lets the guest call again: counted once
// What still differs, between the markers: QEMU's cmpxchg reads before it writes, so that the first one of every process, on
// a page of zeros, faults twice (one more mmu_update and one more flush each); a real processor asks for writing at once.
//
// Usage: node tools/linux/real-xen.mjs [boot.rewalk]      one recorded with --append norandmaps
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MARKERS } from './init.mjs';
import { placesOf } from './places.mjs';
import { qemuArguments, realXen } from './xen.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'rewalk-xen-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
])
  process.on(signal, () => process.exit(code));
const at = path => fileURLToPath(new URL(path, import.meta.url));
const dist = path => import(at(`../../dist/${path}`));
const APPEND = 'norandmaps';
const PROCESSOR = 'qemu64,level=1,vendor=GenuineIntel,family=6,model=15,stepping=1,-sse3,-svm';
const RTC = 'base=2020-01-01T00:00:00,clock=vm';
const CALLS = ['mmu_update', 'mmuext_op', 'update_va_mapping', 'multicall'];
const MULTICALL_BYTES = 64n;
/** In the count of a list: the call goes on where it was interrupted (MMU_UPDATE_PREEMPTED). */
const CONTINUED = 0x8000_0000n;
const SECONDS_MAX = 600;
const END_OF_LINE = 2;

function run(file, args) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8', maxBuffer: 2 ** 30 });
  if (error || status !== 0) {
    process.stderr.write(`rewalk: ${file} ${args.join(' ')}: ${error?.message ?? stderr.trim().split('\n').at(-1)}\n`);
    process.exit(2);
  }
  return stdout;
}
const add = (counts, name, n = 1) => counts.set(name, (counts.get(name) ?? 0) + n);

/**
 * Boots on real Xen. Returns what happened at the places looked at, in order: {name, n}, where n is how much of it: entries
 * of a list, characters written. Calls that go on are not told again.
 */
async function onRealXen(folder) {
  const xen = realXen();
  const { addressOf, behindCalls } = placesOf(xen);
  const places = new Map([
    ...CALLS.map(name => [addressOf(`do_${name}`), name]),
    [addressOf('new_guest_cr3'), 'new_baseptr'],
    // It takes types for pins, and for MMUEXT_CLEAR_PAGE and COPY_PAGE, which Linux does not use.
    ...behindCalls('do_mmuext_op', 'arch/x86/mm.c#_get_page_type').map(at => [at, 'pins']),
    [addressOf('do_console_io'), 'console'],
  ]);
  const kernel = { vmlinuz: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd'), append: APPEND };
  const log = ['-d', 'exec,cpu,nochain', '-dfilter', [...places.keys()].map(a => `0x${a.toString(16)}+1`).join()];
  const time = ['-icount', 'shift=0,sleep=off', '-cpu', PROCESSOR, '-serial', 'none', '-rtc', RTC];
  const qemu = spawn('qemu-system-x86_64', [...qemuArguments(xen, kernel, 'console=none'), ...time, ...log], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = () => qemu.kill('SIGKILL');
  const timer = setTimeout(stop, SECONDS_MAX * 1000);
  process.on('exit', stop);
  const told = [];
  let name;
  let registers = new Map();
  let multicall = { at: 0n, end: 0n };
  const tell = () => {
    const [rdi, rsi] = ['RDI', 'RSI'].map(r => registers.get(r));
    switch (name) {
      case 'mmu_update':
      case 'mmuext_op':
        if (!(rsi & CONTINUED)) told.push({ name, n: Number(rsi) });
        break;
      case 'multicall': {
        const last = multicall;
        multicall = { at: rdi, end: rdi + MULTICALL_BYTES * (rsi & 0xffff_ffffn) };
        if (!(multicall.at > last.at && multicall.end === last.end)) told.push({ name });
        break;
      }
      case 'pins':
        if (registers.get('RAX') === 0n) told.push({ name }); // else it failed, or is to go on
        break;
      case 'console':
        if ((rdi & 0xffff_ffffn) === 0n) told.push({ name, n: Number(rsi) });
        break;
      default:
        told.push({ name });
    }
  };
  for await (const line of createInterface({ input: qemu.stderr })) {
    const trace = /^Trace \d+: \S+ \[\w+\/(\w+)/.exec(line);
    if (trace) [name, registers] = [places.get(BigInt(`0x${trace[1]}`)), new Map()];
    else if (name && /^R\w\w ?=/.test(line)) {
      for (const [, r, value] of line.matchAll(/(R\w\w?) *=(\w{16})/g)) registers.set(r, BigInt(`0x${value}`));
      if (registers.has('RDI')) {
        tell();
        name = undefined;
      }
    }
  }
  clearTimeout(timer);
  return told;
}

/** Where the text of the first marker is followed by that of the second: all we know of it is how long it is. */
function between(told) {
  const written = told.map((t, index) => ({ ...t, index })).filter(t => t.name === 'console');
  const lengths = [MARKERS.ready.length, END_OF_LINE, MARKERS.done.length, END_OF_LINE];
  const found = written.filter((_, k) => lengths.every((n, i) => written[k + i]?.n === n));
  if (found.length !== 1) throw new Error(`${found.length} pairs of markers on real Xen, not one`);
  const k = written.indexOf(found[0]);
  return told.slice(written[k + 1].index, written[k + 2].index);
}
function countReal(told) {
  const counts = new Map();
  for (const { name, n } of told) {
    if (name === 'console') continue;
    add(counts, name);
    if (name === 'mmu_update' || name === 'mmuext_op') add(counts, `${name} entries`, n);
  }
  return counts;
}

/** The same of a recording, calls and entries of multicalls alike: {between, whole}. */
async function ofOurs(file) {
  const { openRecording } = await dist('recording/reader.js');
  const { eventAt } = await dist('events/block.js');
  const { KIND } = await dist('events/kinds.js');
  const { CLASS, HYPERCALL, MMUEXT } = await dist('systems/xen/names.js');
  const calls = new Map(CALLS.map(name => [HYPERCALL[name], name]));
  const source = openRecording(file);
  const counts = { whole: new Map(), between: new Map() };
  let to = [counts.whole];
  const count = name => {
    for (const c of to) add(c, name);
  };
  const kinds = new Set([KIND.call, KIND.entry, KIND.console]);
  for (let n = 0; n < source.chunks.length; n++) {
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) {
      if (!kinds.has(block.kind[i])) continue;
      const e = eventAt(block, i);
      if (e.kind === 'console' && e.text.includes(MARKERS.ready)) to = [counts.whole, counts.between];
      else if (e.kind === 'console' && e.text.includes(MARKERS.done)) to = [counts.whole];
      else if (e.class === CLASS.update) count('mmu_update entries');
      else if (e.class === CLASS.hypercall && calls.has(e.number)) count(calls.get(e.number));
      else if (e.class === CLASS.mmuext) {
        count('mmuext_op entries');
        if (e.number <= MMUEXT.pin_l4_table) count('pins');
        if (e.number === MMUEXT.new_baseptr) count('new_baseptr');
      }
    }
  }
  source.close();
  return counts;
}
function print(title, real, ours) {
  process.stdout.write(`${title.padEnd(24)}   real     ours   ours is\n`);
  for (const name of [...new Set([...real.keys(), ...ours.keys()])].sort()) {
    const [r, o] = [real.get(name) ?? 0, ours.get(name) ?? 0];
    const percent = r === 0 ? '' : `${((100 * (o - r)) / r).toFixed(1)} %`;
    process.stdout.write(
      `${name.padEnd(22)} ${String(r).padStart(8)} ${String(o).padStart(8)} ${percent.padStart(9)}\n`,
    );
  }
}

const folder = run(process.execPath, [at('../fetch-linux.mjs')]).trim();
const given = process.argv[2];
const file = given ?? join(scratch, 'boot.rewalk');
if (!given) {
  const kernel = ['--kernel', join(folder, 'vmlinuz'), '--initrd', join(folder, 'initrd'), '--append', APPEND];
  run(process.execPath, [at('../../dist/cli/main.js'), 'record', '-q', ...kernel, '-o', file]);
}
const ours = await ofOurs(file);
const told = await onRealXen(folder);
print('between the markers', countReal(between(told)), ours.between);
print('\nthe whole boot', countReal(told), ours.whole);
process.exit(0);
