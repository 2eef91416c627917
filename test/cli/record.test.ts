/** The verbs that run guests, as a user runs them: the built program (npm test builds it first). */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { openRecording } from '../../src/recording/reader.js';
import { bytes } from '../machine/engine/guest.js';
import { eventsOf, RECORDINGS } from '../session/guests.js';
import { imageOf } from '../systems/bare/image.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rewalk-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => join(folder, name);
const rewalk = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { cwd: folder, encoding: 'utf8' });
  return { status, stdout, stderr };
};
const image = (name: string, code: string): string => {
  writeFileSync(file(name), imageOf({ 1048576: bytes(code) }));
  return file(name);
};

test('records a built-in guest, prints what it prints, and makes the golden recording', () => {
  const { status, stdout, stderr } = rewalk('record', 'bare/address-spaces');
  expect(status).toBe(0);
  expect(stdout.split('\n').slice(0, 2)).toEqual([
    'kernel: building page tables',
    'kernel: loading cr3 0000000001000000',
  ]);
  expect(stderr).toMatch(/^rewalk: halted: hlt with interrupts off; 280 events in 177436 ticks/);
  const golden = openRecording(join(RECORDINGS, 'bare/address-spaces.rewalk'));
  expect(openRecording(file('address-spaces.rewalk')).chain).toBe(golden.chain);
});

test('the exit code says how the run ended, and --expect what is wanted', () => {
  const killed = image('killed.elf', '0f0b');
  const out = ['--image', killed, '-o', file('killed.rewalk')];
  expect(rewalk('record', 'bare/killed', ...out)).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/killed: triple fault/),
  });
  expect(rewalk('record', 'bare/killed', ...out, '--expect', 'killed').status).toBe(0);
  expect(rewalk('record', 'bare/killed', ...out, '--expect', 'halted').status).toBe(1);
  const json = JSON.parse(rewalk('record', 'bare/killed', ...out, '--json').stdout);
  expect(json).toMatchObject({ v: 1, how: 'killed', ticks: 0 });
});

test('what a guest prints cannot reach the terminal as more than text', () => {
  // mov al, 0x1b; out 0xe9, al; mov al, 10; out 0xe9, al; hlt
  const elf = image('escape.elf', 'b01b e6e9 b00a e6e9 f4');
  expect(rewalk('record', 'bare/escape', '--image', elf).stdout).toBe('\\x1b\n');
});

test('trouble is one line that names the thing, exit code 2, and leaves no file', () => {
  writeFileSync(file('text.elf'), 'this is no image, however long it may be: seventy bytes and a little more');
  const trouble = (why: RegExp, ...args: string[]): void => {
    const { status, stdout, stderr } = rewalk('record', ...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(why);
    expect(stderr.trimEnd().split('\n').length).toBe(1);
  };
  trouble(/no built-in guest is called bare\/none/, 'bare/none');
  trouble(/system\/guest/, 'none');
  trouble(/absent\.elf: no such image/, 'bare/a', '--image', file('absent.elf'));
  trouble(/text\.elf: not an ELF image/, 'bare/a', '--image', file('text.elf'));
  trouble(/checkpoints every 0 ticks/, 'bare/address-spaces', '-o', file('a.rewalk'), '--checkpoint', '0');
  trouble(/\/x\.rewalk: cannot write/, 'bare/address-spaces', '-q', '-o', '/nonexistent/x.rewalk');
  expect(existsSync(file('a.rewalk'))).toBe(false);
});

test('Ctrl-C ends a recording as stopped, whole', async () => {
  const spin = image('spin.elf', 'ebfe');
  const child = spawn(process.execPath, [MAIN, 'record', 'bare/spin', '--image', spin], { cwd: folder });
  let stderr = '';
  child.stderr.on('data', data => (stderr += data));
  setTimeout(() => child.kill('SIGINT'), 2000);
  const status = await new Promise(resolve => child.on('close', resolve));
  expect(status).toBe(0);
  expect(stderr).toMatch(/stopped: interrupted/);
  const source = openRecording(file('spin.rewalk'));
  expect(source.closed).toBe(true);
  expect(eventsOf(source).at(-1)).toMatchObject({ kind: 'end', how: 'stopped' });
});

test('guests lists every guest with its files', () => {
  expect(rewalk('guests').stdout).toMatch(/^bare\/address-spaces +demand paging/);
  for (const line of rewalk('guests', '--json').stdout.trim().split('\n')) {
    const guest = JSON.parse(line);
    expect(existsSync(guest.image)).toBe(true);
    expect(existsSync(guest.recording)).toBe(true);
  }
});

test('a system is given with an image of one’s own; memory of Xen’s comes on top of the guest’s', () => {
  const elf = join(RECORDINGS, 'xen/early-pagetable-crash.elf');
  const again = rewalk('record', '--system', 'xen', elf, '-o', file('mine.rewalk'), '-q');
  expect(again.status).toBe(1);
  expect(again.stderr).toMatch(/^rewalk: killed: no handler for invalid opcode \(#UD\); /);
  const made = openRecording(file('mine.rewalk'));
  expect([made.header.system, made.header.guest, made.header.memoryBytes]).toEqual([
    'xen',
    'early-pagetable-crash',
    16 * 2 ** 20,
  ]);
  expect(rewalk('record', '--system', 'xen', elf, '-o', file('mine.rewalk'), '-q', '--expect', 'killed').status).toBe(
    0,
  );
  expect(rewalk('record', '--system', 'nonesuch', elf).stderr).toMatch(/^rewalk: no system is called nonesuch/);
});
