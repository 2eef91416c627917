/** why, check, explain, mem and expand as a user asks them: the built program (npm test builds it first). */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const XEN = join(ROOT, 'recordings/xen');
const BARE = join(ROOT, 'recordings/bare/address-spaces.rewalk');
const folder = mkdtempSync(join(tmpdir(), 'rewalk-why-'));
/** Recorded now: a re-run needs checkpoints of this very program. */
const CRASH = join(folder, 'crash.rewalk');
beforeAll(() => {
  rewalk(['record', 'xen/early-pagetable-crash', '-q', '-o', CRASH]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function rewalk(args: readonly string[], { input = '', root = ROOT } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    encoding: 'utf8',
    input,
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}
const BAD_TYPE = 'mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn b1d89 (pfn bacf7)';

describe('why', () => {
  it('early-pagetable-crash ended is the store in the mapping loop that made the frame writable, not the pin', () => {
    const { status, stdout, stderr } = rewalk(['why', CRASH, '--json']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const why = JSON.parse(stdout);
    expect(why.what).toMatch(/^pin_l1_table of frame [0-9a-f]+ was refused: EINVAL$/);
    expect(why.messages[0].text).toMatch(/Bad type \(saw 7400000000000001 != exp 1000000000000000\) for mfn/);
    expect(why.because[0]).toMatch(
      /is writable and 1 reference holds it so; it was asked for as a page table of level 1/,
    );
    expect(why.holders).toHaveLength(1);
    const [{ origin, made, text }] = why.holders;
    expect(text).toMatch(/maps it writable/);
    expect(made.event.kind).toBe('adopt');
    expect(origin.kind).toBe('store');
    expect(origin.stack.map((s: { symbol: string }) => s.symbol.replace(/\+.*/, '')).slice(0, 4)).toEqual([
      'phys_pte_init',
      'phys_pmd_init',
      'phys_pud_init',
      'init_memory_mapping',
    ]);
    expect(origin.ticks).toBeLessThan(made.event.ticks); // before its table was ever pinned
    expect(why.before[0]).toMatch(/stored read-only, before #\d+ made its table live \(pin_l1_table\)/);
    expect(why.after.map((a: { text: string }) => a.text).join('\n')).toMatch(
      /invalid opcode[\s\S]*the run ended: killed/,
    );
  });
  it('it is the same for the refused entry, the message, the call and the end of the run', () => {
    const first = rewalk(['why', CRASH, '--no-rerun']).stdout;
    const log = rewalk(['log', CRASH, '--grep', 'Bad type', '--json']).stdout;
    const message = JSON.parse(log);
    for (const seq of [message.seq, message.cause])
      expect(rewalk(['why', CRASH, `#${seq}`, '--no-rerun']).stdout).toBe(first);
  });
  it('user-pagetables-broken ended is the path that set the kernel half alone', () => {
    const { stdout } = rewalk(['why', join(XEN, 'user-pagetables-broken.rewalk'), '--no-rerun']);
    expect(stdout).toMatch(/entry 2 is [0-9a-f]+ in kernel L4 [0-9a-f]+ and 0 in its user L4/);
    expect(stdout).toMatch(
      /queued at @\d+ by[\s\S]* set_pgd\+[\s\S]* pte_alloc\+[\s\S]* do_anonymous_page\+[\s\S]*entry 2 of the user L4/,
    );
    expect(stdout).toMatch(/the user half in the same batch: mmu_update of machine address [0-9a-f]+ to [0-9a-f]+/);
    expect(stdout).toMatch(
      /page fault of the guest.s user code .* address 10000000000, though the kernel.s tables map it/,
    );
  });
  it('early-pagetable-reuse ended is a write through an entry that the mapping loop made read-only', () => {
    const { stdout } = rewalk(['why', join(XEN, 'early-pagetable-reuse.rewalk'), '--no-rerun']);
    expect(stdout).toMatch(/^page fault of the guest.s kernel at setup_log_buf\+/);
    expect(stdout).toMatch(/it is a write, and the L1 entry is read-only[\s\S]*stored at [\s\S]* phys_pte_init\+/);
  });
  it('a guest that halted has nothing to explain', () => {
    expect(rewalk(['why', join(XEN, 'early-pagetable-reverted.rewalk')])).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^nothing was refused/),
    });
  });
  it('without the half that executes, it answers what the recording says, and says what is missing', () => {
    const root = join(folder, 'replay-only');
    for (const part of ['dist', 'package.json']) cpSync(join(ROOT, part), join(root, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    const live = /^\/\/ (machine|session|kernels|systems\/\w+\/model)\//m; // the bundler names the modules in a file
    const files = readdirSync(join(root, 'dist/cli')).map(name => join(root, 'dist/cli', name));
    const executing = files.filter(file => live.test(readFileSync(file, 'utf8')));
    expect(executing.length).toBeGreaterThan(3);
    for (const file of executing) rmSync(file);
    const { status, stdout } = rewalk(['why', CRASH], { root });
    expect(status).toBe(0);
    expect(stdout).toMatch(
      / phys_pte_init\+[\s\S]*its callers are known only by running again: this program was made without emulator/,
    );
    expect(rewalk(['check', CRASH], { root }).status).toBe(0);
  }, 60_000);
});

describe('check', () => {
  it('names the rule, the event and the call stack, and exits with 1', () => {
    const { status, stdout } = rewalk(['check', join(XEN, 'user-pagetables-broken.rewalk')]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^broken: below the limit a user L4[\s\S]*path=update[\s\S]* set_pgd\+/);
  });
  it('exits with 0 where all rules hold, 2 where there are none', () => {
    expect(rewalk(['check', join(XEN, 'user-pagetables.rewalk')])).toMatchObject({ status: 0, stderr: '' });
    expect(rewalk(['check', join(XEN, 'user-pagetables.rewalk'), '--all']).stdout).toMatch(
      /^window #\d+ .*\(user-l4\)$/m,
    );
    expect(rewalk(['check', BARE])).toMatchObject({ status: 2, stderr: expect.stringMatching(/no rules for bare/) });
  });
});

describe('explain', () => {
  it('takes a line as words or on a pipe, and passes what it does not know', () => {
    expect(rewalk(['explain', ...BAD_TYPE.split(' ')]).stdout).toMatch(
      /saw {3}7400000000000001 {2}writable memory, validated, 1 reference/,
    );
    const log = `(XEN) Brought up 2 CPUs\n(XEN) ${BAD_TYPE}\nnoise\n(XEN) ${BAD_TYPE}\n(XEN) mm.c:3027:d0 Error while pinning mfn b1d89\n`;
    const { status, stdout } = rewalk(['explain'], { input: log });
    expect(status).toBe(0);
    expect(stdout).not.toMatch(/noise|Brought up/);
    expect(stdout.match(/Known causes/g)).toHaveLength(2); // each message once
    const lines = rewalk(['explain', '--json'], { input: log })
      .stdout.trim()
      .split('\n')
      .map(l => JSON.parse(l));
    expect(lines.map(l => l.id)).toEqual(['bad-type', 'bad-type', 'pin-failed']);
    expect(lines[0].words[0]).toEqual({
      name: 'saw',
      value: '0x7400000000000001',
      means: 'writable memory, validated, 1 reference',
    });
  });
  it('says so when nothing is a message it knows, and exits with 1', () => {
    const nothing = rewalk(['explain'], { input: 'one\ntwo\n' });
    expect(nothing).toMatchObject({ status: 1, stdout: '', stderr: expect.stringMatching(/none of 2 lines/) });
  });
  it('finds the message in a recording, with what it happened inside', () => {
    const { status, stdout } = rewalk(['explain', BAD_TYPE, '--in', CRASH]);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /has such a message, with other frames, at #\d+ @\d+\n#\d+ .*Bad type[\s\S]*inside .* pin_l1_table[\s\S]* pin_pagetable_pfn\+/,
    );
    expect(rewalk(['explain', 'mm.c:809:d0 Bad L1 flags 80', '--in', CRASH])).toMatchObject({ status: 1 });
  });
});

describe('a re-run', () => {
  it('gives memory as it was, before and after a store', () => {
    const at = (seq: number): string => rewalk(['mem', BARE, '100a010', '8', '--physical', '--at', `#${seq}`]).stdout;
    expect(at(215)).toMatch(/^000000000100a010 {2}65 d0 00 01 00 00 00 00/m);
    expect(at(216)).toMatch(/^000000000100a010 {2}07 80 01 01 00 00 00 00/m);
    expect(rewalk(['mem', BARE, '601ff0', '32'])).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^0000000000601ff0-0000000000602010 {2}not mapped: L2\[3\] is not present$/m),
    });
    const json = JSON.parse(rewalk(['mem', BARE, '100a010', '8', '-p', '-a', '#216', '--json']).stdout);
    expect(json).toMatchObject({ physical: '0x100a010', bytes: '0780010100000000' });
  });
  it('gives the detail of a window, in a file of its own', () => {
    const mmu = join(folder, 'mmu.rewalk');
    rewalk(['record', 'bare/address-spaces', '--detail', 'mmu', '-q', '-o', mmu]);
    const { status, stdout } = rewalk(['expand', mmu, '#210..#212']);
    expect(status).toBe(0);
    const made = join(folder, 'mmu-210-212.rewalk');
    expect(stdout).toMatch(new RegExp(`^${made}: \\d+ detail entries after #210 to #212, 280 events`));
    const window = ['#210', '#212', '--detail'];
    expect(rewalk(['log', made, ...window]).stdout).toBe(rewalk(['log', BARE, ...window]).stdout);
    expect(rewalk(['expand', mmu, '#5..#2'])).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/ends before/),
    });
    expect(rewalk(['expand', mmu, '#1..#2', '-o', mmu])).toMatchObject({ status: 2 });
    expect(existsSync(mmu)).toBe(true);
  });
});
