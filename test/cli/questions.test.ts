/** The questions of the command line, as a user asks them: the built program (npm test builds it first). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { VERBS } from '../../src/cli/verbs.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const GOLDEN = fileURLToPath(new URL('../../recordings/bare/address-spaces.rewalk', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rewalk-ask-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const rewalk = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
};
const write = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};

describe('a question', () => {
  it('about one address is answered level by level, with who wrote each entry', () => {
    const { status, stdout } = rewalk('walk', GOLDEN, '602000', '#200');
    expect(status).toBe(0);
    expect(stdout).toMatch(/L1\[ {2}2\] at {4}100a010 {2}000000000100d065 {2}written #181/);
    expect(stdout).toMatch(/-> 100d000 in frame 100d, 4K page, ro USER x/);
    expect(rewalk('walk', GOLDEN, '602000').status).toBe(1);
  });
  it('about who wrote an entry names the store, the fault it happened in, and the functions', () => {
    const { status, stdout } = rewalk('blame', GOLDEN, '602000', '#218');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^#216 .* path=store 100d065 -> 1018007/m);
    expect(stdout).toMatch(/inside #211 .* trap vector=14/);
    expect(stdout).toMatch(/ trap\+/);
  });
  it('can be asked again further back', () => {
    const { stdout } = rewalk('blame', GOLDEN, 'slot:100a010', '#218', '--count', '3', '--json');
    const seqs = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).event.seq);
    expect(seqs[0]).toBe(216);
    expect(seqs[1]).toBe(181);
    expect(seqs).toEqual([...seqs].sort((a, b) => b - a));
  });
  it('about two moments, or two processes, shows what is different and who wrote it, and exits with 1', () => {
    const moments = rewalk('map', GOLDEN, '#209', '--diff', '#222');
    expect(moments.status).toBe(1);
    expect(moments.stdout).toMatch(
      /^~ 0000000000602000-0000000000603000 +4K ro USER x L1 100d -> RW USER x L1 1018 {2}written #2/m,
    );
    const processes = rewalk('map', GOLDEN, '#260', '--root', '1005', '--diff-root', '1013');
    expect(processes.stdout).toMatch(/^~ 0000000000602000-0000000000603000/m);
    expect(rewalk('map', GOLDEN, '#222', '--diff', '#222')).toMatchObject({ status: 0 });
  });
  it('about a frame says who maps it, now and ever', () => {
    const { stdout } = rewalk('frame', GOLDEN, '100d', '#218', '--ever');
    expect(stdout).toMatch(/L1 at {4}1004068/);
    expect(stdout).toMatch(/#216 .* ended/);
  });
  it('gives one JSON object a line, with a version, and nothing else on stdout', () => {
    for (const args of [
      ['log', GOLDEN],
      ['log', GOLDEN, '--detail', '--limit', '50'],
      ['stats', GOLDEN],
      ['show', GOLDEN, '#216'],
      ['regs', GOLDEN, '#216'],
      ['walk', GOLDEN, '602000'],
      ['map', GOLDEN, '#216'],
      ['map', GOLDEN, '#209', '--diff', '#222'],
      ['blame', GOLDEN, 'reg:rip'],
      ['frame', GOLDEN, '100d', '--ledger'],
      ['verify', GOLDEN],
    ]) {
      const { stdout, stderr } = rewalk(...args, '--json');
      const lines = stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(line.v).toBe(1);
      expect(stderr).toBe('');
    }
  });
  it('about everything can be cut short by a closed pipe without a word', () => {
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-c', `"$0" "$1" log "$2" --detail | head -n 2`, process.execPath, MAIN, GOLDEN],
      { encoding: 'utf8' },
    );
    expect(stdout.split('\n').length).toBe(3);
    expect(stderr).toBe('');
  });
  it('has help with examples for every verb', () => {
    for (const { name } of VERBS) {
      const { status, stdout } = rewalk('help', name);
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`rewalk ${name}`));
      expect(rewalk(name, '--help').stdout).toBe(stdout);
    }
  });
});

describe('trouble is one line that says what and where, exit code 2:', () => {
  const trouble = (why: RegExp, ...args: string[]): void => {
    const { status, stdout, stderr } = rewalk(...args);
    expect(stderr).toMatch(why);
    expect(stderr.trim().split('\n').length).toBe(1);
    expect(stderr).not.toMatch(/\bat .*\.js:/);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  };
  it('a position out of range, or nonsense', () => {
    trouble(/#99999.*events #0 to #279/, 'walk', GOLDEN, '602000', '#99999');
    trouble(/@999999999.*out of range/, 'regs', GOLDEN, '@999999999');
    trouble(/not a position/, 'map', GOLDEN, 'yesterday');
    trouble(/from 0% to 100%/, 'map', GOLDEN, '101%');
    trouble(/no event has happened/, 'show', GOLDEN, 'start');
  });
  it('an unknown verb, option, kind, register or address', () => {
    trouble(/unknown command 'wlak'/, 'wlak', GOLDEN);
    trouble(/unknown option/, 'log', GOLDEN, '--nonsense');
    trouble(/no kind of event is called ptes/, 'log', GOLDEN, '--kind', 'ptes');
    trouble(/no register eax/, 'blame', GOLDEN, 'reg:eax');
    trouble(/hex digits/, 'walk', GOLDEN, 'xyz');
    trouble(/missing required argument/, 'walk', GOLDEN);
  });
  it('no file, an empty one, one that is no recording, a folder, one of a newer version', () => {
    trouble(/nowhere\.rewalk/, 'log', join(folder, 'nowhere.rewalk'));
    trouble(/empty\.rewalk/, 'stats', write('empty.rewalk', ''));
    trouble(/text\.rewalk/, 'walk', write('text.rewalk', 'x'.repeat(10_000)), '0');
    trouble(/rewalk-ask-/, 'map', folder);
  });
  it('a file cut off in the header; one cut later is used up to there, and says so', () => {
    const bytes = readFileSync(GOLDEN);
    trouble(/cut\.rewalk/, 'stats', write('cut.rewalk', bytes.subarray(0, 2000)));
    const { status, stderr } = rewalk('stats', write('torn.rewalk', bytes.subarray(0, bytes.length - 500)));
    expect(status).toBe(0);
    expect(stderr === '' || /damaged at byte \d+/.test(stderr)).toBe(true);
    const flipped = Uint8Array.from(bytes);
    flipped[6000]! ^= 1;
    expect(rewalk('verify', write('flipped.rewalk', flipped))).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/damaged at byte \d+: /),
    });
  });
});
