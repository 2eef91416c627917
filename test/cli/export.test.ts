/** rewalk export, as a user runs it: the built program (npm test builds it first). */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { KIND } from '../../src/events/kinds.js';
import { createRecording } from '../../src/recording/writer.js';
// @ts-expect-error plain JavaScript, without types
import { generate, HEADER, LEXICON } from '../../tools/bench/generate.mjs';
import { sql, views } from '../export/duck.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'dist/cli/main.js');
const RUN = join(ROOT, 'recordings/xen/user-pagetables.rewalk');
const folder = mkdtempSync(join(tmpdir(), 'rewalk-export-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const rewalk = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 27 });

it('writes tables that any number of recordings share, and says what on stderr', async () => {
  const bad = RUN.replace('.rewalk', '-broken.rewalk');
  for (const file of [RUN, RUN, bad]) {
    const { status, stdout, stderr } = rewalk('export', file, '--parquet', 'runs', '--kind', 'call,trap');
    expect([status, stdout]).toEqual([0, '']);
    expect(stderr).toMatch(
      /^rewalk: 1\d{4} events in 4 tables, \d+ bytes, in runs as recording=user-pagetables.*-[0-9a-f]{12}\n$/,
    );
  }
  await views(join(folder, 'runs'), ['call', 'trap', 'recording']);
  const guests = await sql(
    'select guest, count(*) as n from recording join call using (recording) group by 1 order by 1',
  );
  expect(guests.map(g => g.guest)).toEqual(['user-pagetables', 'user-pagetables-broken']);
  expect(guests[0]!.n).toBe(77n);
});

it('writes to a pipe, and ends quietly when nobody reads on', () => {
  const { status, stdout } = rewalk('export', RUN, '--perfetto', '-');
  expect(status).toBe(0);
  expect(JSON.parse(stdout).traceEvents.length).toBeGreaterThan(500);
  const cut = spawnSync('sh', ['-c', `"${process.execPath}" "${MAIN}" export "${RUN}" --json | head -n 2; echo done`], {
    encoding: 'utf8',
  });
  expect(cut.stderr).toBe('');
  expect(cut.stdout.split('\n').slice(1, 3)).toEqual([expect.stringMatching(/^{"v":1,"kind":"start"/), 'done']);
  const { stderr } = rewalk('export', RUN, '#12000', '#12009', '--json', 'ten.json');
  expect(stderr).toMatch(/^rewalk: 10 events, \d+ bytes in ten.json\n$/);
  expect(readFileSync(join(folder, 'ten.json'), 'utf8').match(/"seq":/g)!.length).toBe(10);
});

it('interrupted, leaves no file', async () => {
  const file = join(folder, 'large.rewalk');
  const writer = createRecording(file, HEADER);
  writer.lexicon(LEXICON);
  generate(writer.log, KIND, { events: 400_000, seed: 1 });
  await writer.close();
  for (const [args, out] of [
    [['--parquet', 'cut'], 'cut'],
    [['--json', 'cut.json'], 'cut.json'],
    [['--perfetto', 'new/cut.json'], 'new'],
  ] as const) {
    const child = spawn(process.execPath, [MAIN, 'export', file, ...args], { cwd: folder });
    let stderr = '';
    child.stderr.on('data', data => (stderr += data));
    const ended = new Promise(resolve => child.on('close', resolve));
    const parts = (): boolean => readdirSync(folder, { recursive: true }).some(f => String(f).endsWith('.part'));
    for (let i = 0; i < 2000 && !parts(); i++) await sleep(5);
    child.kill('SIGINT');
    expect([await ended, stderr], out).toEqual([2, 'rewalk: interrupted\n']);
    expect(existsSync(join(folder, out))).toBe(false);
    expect(parts()).toBe(false);
  }
});

it('says in one line what is wrong', () => {
  for (const [args, why] of [
    [[], /say which: --parquet DIR, --perfetto FILE or --json/],
    [['--json', '--perfetto', 'x'], /say which/],
    [['--parquet', 'x', '--kind', 'dog'], /no kind of event is called dog/],
    [['--parquet', 'x', '--as', '../y'], /letters, digits/],
    [['--json', '--detail'], /go with --parquet/],
    [['--perfetto', 'x', '--kind', 'pte'], /--kind does not go with --perfetto/],
    [['--parquet', '/dev/null/x'], /\/dev\/null\/x.*: cannot be written: ENOTDIR/],
    [['--json', join(folder)], /cannot be written: EISDIR/],
    [['#99999999', '--json'], /out of range/],
  ] as const) {
    const { status, stderr } = rewalk('export', RUN, ...args);
    expect([status, stderr]).toEqual([2, expect.stringMatching(why)]);
    expect(stderr.trim().split('\n').length).toBe(1);
  }
  expect(readdirSync(folder).filter(f => f === 'x' || f.endsWith('.part'))).toEqual([]);
});
