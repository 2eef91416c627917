/**
 * A stock Debian kernel, unmodified, boots on Xen, runs processes and powers off. The kernel comes from apt, or from the
 * cache (tools/fetch-linux.mjs). A machine without it skips these tests and says why, unless REWALK_LINUX=required.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { finish } from '../../../src/base/work.js';
import { type Budget, findPrinted, spend } from '../../../src/compare/budget.js';
import { eventAt } from '../../../src/events/block.js';
import { type Event, KIND, type KindName } from '../../../src/events/kinds.js';
import { unpackKernel } from '../../../src/kernels/linux/image.js';
import { openRecording, type Recording } from '../../../src/recording/reader.js';
import { RULES } from '../../../src/rules/registry.js';
import { type Recorded, record } from '../../../src/session/record.js';
import { rerunEvents } from '../../../src/session/rerun.js';
import { createTimeline } from '../../../src/state/timeline.js';
import { CLASS, HYPERCALL } from '../../../src/systems/xen/names.js';
import { causesOf } from '../../../src/views/at.js';
import { rootOfProcess } from '../../../src/views/process.js';
import { spaceMap } from '../../../src/views/spaces.js';
import { callCounts } from '../../../src/views/stats.js';
import { needFormat } from '../../../src/views/walk.js';
import { eventsIn } from '../../session/guests.js';

const HERE = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const MAIN = HERE('../../../dist/cli/main.js');
const MINUTES = 60_000;
const MEMORY = 256 * 2 ** 20;
const PROCESSES = 20;

function fetched(...args: string[]): { folder?: string; why?: string } {
  const { status, stdout, stderr } = spawnSync('node', [HERE('../../../tools/fetch-linux.mjs'), ...args], {
    encoding: 'utf8',
  });
  if (status === 0) return { folder: stdout.trim() };
  const why = stderr.trim().split('\n')[0] ?? 'no kernel';
  if (process.env.REWALK_LINUX === 'required') throw new Error(why);
  process.stderr.write(`linux tests are skipped: ${why}\n`);
  return { why };
}
const { folder } = fetched();
const cloud = folder === undefined ? {} : fetched('--cloud');

const scratch = mkdtempSync(join(tmpdir(), 'rewalk-linux-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The test's own program, and what it prints natively; undefined without a C compiler. */
function program(): { data: Buffer; prints: string } | undefined {
  const path = join(scratch, 'compute');
  const built = spawnSync('gcc', ['-O2', '-static', '-o', path, HERE('compute.c'), '-lm'], { encoding: 'utf8' });
  if (built.status === 0) return { data: readFileSync(path), prints: spawnSync(path, { encoding: 'utf8' }).stdout };
  if (process.env.REWALK_LINUX === 'required') throw new Error(`no static C program: ${built.stderr ?? built.error}`);
  return undefined;
}

interface Booted {
  readonly result: Recorded;
  readonly file: string;
  readonly printed: readonly string[];
}
async function boot(from: string, name: string, programs: object[] = []): Promise<Booted> {
  const { cpio } = await import(HERE('../../../tools/linux/cpio.mjs'));
  const { INIT } = await import(HERE('../../../tools/linux/init.mjs'));
  const file = join(scratch, `${name}.rewalk`);
  const printed: string[] = [];
  const result = finish(
    record({
      system: 'xen',
      guest: 'vmlinuz',
      image: await unpackKernel(readFileSync(join(from, 'vmlinuz')), 'vmlinuz'),
      out: file,
      detail: 'mmu',
      ramdisk: cpio(INIT(readFileSync(join(from, 'busybox')), programs)),
      commandLine: 'console=hvc0',
      memoryBytes: MEMORY,
      limits: { ticks: 10_000_000_000, events: 100_000_000 },
      checkpointTicks: 2 ** 25,
      printed: line => printed.push(line),
    }),
  );
  return { result, file, printed };
}
/** Events of some kinds, in order. */
function eventsOf(source: Recording, ...kinds: KindName[]): Event[] {
  const wanted = new Set<number>(kinds.map(kind => KIND[kind]));
  const found: Event[] = [];
  source.chunks.forEach((_, n) => {
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) if (wanted.has(block.kind[i]!)) found.push(eventAt(block, i));
  });
  return found;
}
const isMarker = (e: Event, text: string): boolean => e.kind === 'console' && e.text.includes(text);

describe.skipIf(folder === undefined)('a stock Debian kernel', () => {
  const compute = program();
  let first: Booted;
  let source: Recording;
  const programs = compute ? [{ name: 'compute', data: compute.data }] : [];
  beforeAll(async () => {
    first = await boot(folder!, 'first', programs);
    source = openRecording(first.file);
  }, 10 * MINUTES);

  test('boots to its init, and powers off', () => {
    expect(first.result).toMatchObject({ how: 'halted', reason: 'the guest powered off' });
    const text = first.printed.join('');
    expect(text).toMatch(/Linux version 6\.\d+/);
    expect(text.indexOf('rewalk: ready')).toBeGreaterThan(0);
    expect(text.indexOf('rewalk: done')).toBeGreaterThan(text.indexOf('rewalk: ready'));
    expect(text).not.toMatch(/BUG:|Oops|kernel panic|WARNING:|W\+X mappings: FAILED/);
  });
  test('runs a process for every turn between the markers, each told as a task with a number of its own', () => {
    const told = eventsOf(source, 'console', 'task');
    const [from, to] = ['rewalk: ready', 'rewalk: done'].map(m => told.findIndex(e => isMarker(e, m)));
    const pids = told.slice(from, to).flatMap(e => (e.kind === 'task' && e.name === 'busybox' ? [e.pid] : []));
    expect(new Set(pids).size).toBe(PROCESSES);
  });
  test('pins and unpins a page table for every process', () => {
    const told = eventsOf(source, 'console', 'call');
    const [from, to] = ['rewalk: ready', 'rewalk: done'].map(m => told.findIndex(e => isMarker(e, m)));
    const pins = told.slice(from, to).filter(e => e.kind === 'call' && e.class === CLASS.hypercall);
    expect(pins.some(e => e.kind === 'call' && e.number === HYPERCALL.mmuext_op)).toBe(true);
    const roots = eventsOf(source, 'root').length;
    expect(roots).toBeGreaterThan(PROCESSES * 2);
  });
  test('is judged by budgets: every fork, exec and process switch between the markers is told apart', () => {
    const budget = (count: Budget['count'], per: string, most: number): Budget => ({
      name: per,
      count,
      per,
      most,
      between: ['rewalk: ready', 'rewalk: done'],
    });
    const budgets = [
      budget('hypercalls', 'fork', 20),
      budget('hypercalls', 'exec', 40),
      budget('hypercalls', 'switch', 3),
      budget('pte writes', 'fork', 1),
    ];
    const [fork, exec, change, strict] = finish(spend(source, budgets, (text, at) => findPrinted(source, text, at)));
    expect(fork).toMatchObject({ units: PROCESSES, seq: -1 });
    expect(exec).toMatchObject({ units: PROCESSES, seq: -1 });
    // To the child and back, each time.
    expect(change!.units).toBeGreaterThanOrEqual(2 * PROCESSES - 1);
    expect(change!.seq).toBe(-1);
    const over = eventAt(
      source.chunk(source.chunkOf(strict!.seq)),
      strict!.seq - source.chunks[source.chunkOf(strict!.seq)]!.first,
    );
    expect(over.kind).toBe('pte');
    expect(causesOf(source, over.seq).at(-1)).toMatchObject({ kind: 'call', number: 56, seq: strict!.unit });
  });
  test('shows a fork’s tables: what it shares with its parent neither may write to', () => {
    const told = eventsOf(source, 'console', 'task', 'call');
    // A new process, before it becomes another program.
    const done = told.findIndex(e => isMarker(e, 'rewalk: done'));
    const born = told.slice(0, done).findLastIndex(e => e.kind === 'task' && e.pid > 1 && e.name === 'init');
    const { pid } = told[born] as { pid: number };
    const { seq } = told.slice(born).find(e => e.kind === 'call' && e.class === CLASS.syscall)!;
    const root = (of: number, at: number) => finish(rootOfProcess(source, 'guest', of, at));
    const state = finish(createTimeline(source).seek(seq));
    /** Writable or not, by address and frame. */
    const pages = (of: number): Map<string, boolean> => {
      const { ranges } = finish(
        spaceMap(state, 'guest', needFormat(source, 'guest'), root(of, seq), source.lexicon, { frames: true }),
      );
      const found = new Map<string, boolean>();
      for (const r of ranges.filter(r => r.region === 'user'))
        for (let n = 0; n < Number(r.bytes / 4096n); n++)
          found.set(`${r.from + BigInt(n * 4096)} ${r.frame + n}`, r.permissions.write);
      return found;
    };
    const [child, parent] = [pages(pid), pages(1)];
    const shared = [...child.keys()].filter(page => parent.has(page));
    expect(shared.length).toBeGreaterThan(20); // fork copies entries of memory that is no file's; the rest is faulted in
    expect(shared.filter(page => child.get(page) || parent.get(page))).toEqual([]);
    expect(() => root(pid, source.count - 1)).toThrow(/is gone: its root table was released/);
    expect(() => root(99_999, seq)).toThrow(/no process 99999 ran/);
  });
  test('is refused nothing but what Xen refuses a domain without devices', () => {
    const calls = new Map<number, number>();
    const refused = new Map<string, number>();
    for (const e of eventsOf(source, 'call', 'result')) {
      if (e.kind === 'call' && e.class === CLASS.hypercall) calls.set(e.seq, e.number);
      if (e.kind !== 'result' || e.value < 1n << 63n) continue;
      const number = calls.get(e.cause);
      if (number === undefined) continue;
      const key = `${number} ${BigInt.asIntN(64, e.value)}`;
      refused.set(key, (refused.get(key) ?? 0) + 1);
    }
    const told = finish(callCounts(source)).filter(c => c.class === CLASS.hypercall && c.calls > 0);
    const listed = told.flatMap(c => c.refused.map(({ error, count }) => [`${c.number} -${error}`, count]));
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(refused)); // what rewalk stats prints
    expect(Object.fromEntries(refused)).toEqual({
      [`${HYPERCALL.vcpu_op} -2`]: expect.any(Number), // is there a processor 1, 2, ... 8191?
      [`${HYPERCALL.hvm_op} -22`]: 1, // an upcall vector is for HVM guests
      '40 -95': 2, // xenpmu_op: off, as Xen's default is
    });
  });
  test.skipIf(!compute)('runs a user program to the very output it has natively', () => {
    const lines = first.printed.join('').replaceAll('\r', '');
    expect(lines).toContain(compute!.prints);
  });
  test('breaks no rule of Xen at any return to the guest', { timeout: 5 * MINUTES }, () => {
    const rules = RULES.find(r => r.id === 'xen')!;
    const checked = finish(rules.check!(source, false));
    expect(checked.violations).toEqual([]);
    expect(checked.events).toBe(source.count);
  });
  test('is the same again from a checkpoint in its middle', { timeout: 2 * MINUTES }, () => {
    const n = source.checkpoints.length - 3;
    const { seq } = source.checkpoints[n]!;
    let at = seq;
    const text = (e: Event): string =>
      JSON.stringify(e, (key, v) => (key === 'stack' ? 0 : typeof v === 'bigint' ? `${v}n` : v));
    const whole = source.chunks.flatMap((c, i) => (c.first + c.count > seq ? eventsIn(source.chunk(i)) : []));
    const base = whole[0]!.seq;
    finish(
      rerunEvents(source, n, {
        block: block => {
          for (const e of eventsIn(block)) {
            if (text(e) !== text(whole[at - base]!)) expect(e).toEqual(whole[at - base]);
            at++;
          }
        },
      }),
    );
    expect(at).toBe(source.count);
  });
  test('boots twice to the same recording', { timeout: 10 * MINUTES }, async () => {
    const second = await boot(folder!, 'second', programs);
    expect(second.result.chain).toBe(first.result.chain); // over the canonical bodies of all chunks
    expect(second.result.events).toBe(first.result.events);
    expect(readFileSync(second.file).equals(readFileSync(first.file))).toBe(true);
  });
  test.skipIf(cloud.folder === undefined)('boots as the cloud kernel too', { timeout: 10 * MINUTES }, async () => {
    const { result, printed } = await boot(cloud.folder!, 'cloud');
    expect(result).toMatchObject({ how: 'halted', reason: 'the guest powered off' });
    expect(printed.join('')).toMatch(/rewalk: ready[\s\S]*rewalk: done/);
  });
});

describe.skipIf(folder === undefined)('a shell on a stock kernel', () => {
  const run = (name: string, input: string, ...args: string[]) => {
    const kernel = ['--kernel', join(folder!, 'vmlinuz'), '--initrd', join(folder!, 'shell'), '--memory', '128M'];
    const out = join(scratch, name);
    const { status, stdout } = spawnSync(process.execPath, [MAIN, 'record', ...kernel, '-o', out, ...args], {
      encoding: 'utf8',
      input,
    });
    expect(status, stdout).toBe(0);
    return { out, stdout };
  };
  test('answers what is typed, and the same is recorded when the same is typed again', {
    timeout: 10 * MINUTES,
  }, () => {
    const typed = 'echo typed $((6*7))\nsleep 1; cat /proc/uptime\npoweroff -f\n';
    const first = run('typed.rewalk', typed);
    expect(first.stdout).toMatch(/# .*echo typed \$\(\(6\*7\)\)\ntyped 42\n/);
    expect(first.stdout).toMatch(/\n\d+\.\d\d \d+\.\d\d\n# poweroff -f\n/);
    const inputs = eventsOf(openRecording(first.out), 'input').map(e => e.kind === 'input' && e.text);
    expect(inputs.join('')).toBe(typed);
    const again = run('again.rewalk', '', '--quiet', '--input', first.out);
    expect(readFileSync(again.out).equals(readFileSync(first.out))).toBe(true);
  });
});

describe('what is no such kernel is refused in a line, with exit code 2, and leaves nothing behind', () => {
  const refused = (bytes: Uint8Array, ...options: string[]): string => {
    const folder = mkdtempSync(join(scratch, 'refused-'));
    writeFileSync(join(folder, 'k'), bytes);
    const args = ['record', '--kernel', 'k', '-o', 'out.rewalk', ...options];
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { cwd: folder, encoding: 'utf8' });
    expect({ status, stdout, left: readdirSync(folder) }).toEqual({ status: 2, stdout: '', left: ['k'] });
    expect(stderr).toMatch(/^rewalk: [^\n]+\n$/);
    return stderr.slice('rewalk: '.length);
  };
  test('an image for another processor', () => {
    const arm = new Uint8Array(4096); // arm64 Image: Documentation/arm64/booting.rst
    arm.set(Buffer.from('ARMd'), 56);
    expect(refused(arm)).toMatch(/^k: neither a bzImage nor an ELF image/);
  });
  test.skipIf(!existsSync('/bin/true'))('an ELF image for another processor', () => {
    const other = readFileSync('/bin/true');
    other.writeUInt16LE(183, 18); // e_machine: EM_AARCH64
    expect(refused(other)).toMatch(/^k: /);
  });
  test.skipIf(folder === undefined)('a truncated kernel', () => {
    const whole = readFileSync(join(folder!, 'vmlinuz'));
    expect(refused(whole.subarray(0, whole.length / 2))).toMatch(/^k: cut off: its payload is at/);
  });
  test.skipIf(folder === undefined)('a truncated vmlinux', { timeout: MINUTES }, async () => {
    const whole = await unpackKernel(readFileSync(join(folder!, 'vmlinuz')), 'k');
    expect(refused(whole.subarray(0, whole.length / 4))).toMatch(/^k: /);
  });
  test.skipIf(folder === undefined)('too little memory', { timeout: MINUTES }, () => {
    expect(refused(readFileSync(join(folder!, 'vmlinuz')), '--memory', '32M')).toMatch(/^k: /);
  });
  test.skipIf(folder === undefined)('a kernel that says nothing of Xen', { timeout: MINUTES }, async () => {
    const whole = Buffer.from(await unpackKernel(readFileSync(join(folder!, 'vmlinuz')), 'k'));
    // The notes' owner: with another name they are nobody's, as in a kernel without CONFIG_XEN_PV.
    for (let at = whole.indexOf('Xen\0'); at >= 0; at = whole.indexOf('Xen\0', at + 1)) whole.write('Yen\0', at);
    expect(refused(whole)).toMatch(/^k: .*Xen/);
  });
  test.skipIf(!existsSync('/bin/true'))('a program, which has no Xen notes', () => {
    expect(refused(readFileSync('/bin/true'))).toMatch(/^k: /);
  });
  test('a file that is nothing of the kind', () => {
    expect(refused(Buffer.from('not a kernel'))).toMatch(/^k: neither/);
  });
});
