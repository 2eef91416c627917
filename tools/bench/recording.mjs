/**
 * The recording core: how fast events reach the file, how large they are there, and how fast questions are answered.
 * `--events N` (10 M by default), `--file F` asks the questions of a real recording instead, `--keep` leaves the made one.
 *
 * Everything that reads runs in a process of its own, so that its peak memory is the reader's.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generate, HEADER, LEXICON } from './generate.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', '..', 'dist');
const row = (name, value, unit, target = '') => ({ name, value, unit, target });

/** How fast this machine is just now: sha-256 of 256 MiB. */
function calibration() {
  const data = Buffer.alloc(1 << 20, 7);
  const began = performance.now();
  const h = createHash('sha256');
  for (let i = 0; i < 256; i++) h.update(data);
  h.digest();
  return (256 * (1 << 20)) / 1e6 / ((performance.now() - began) / 1000);
}

/** Runs a part of this benchmark in a fresh process; it prints one JSON object a line. */
function apart(part, args) {
  const r = spawnSync(
    process.execPath,
    ['--expose-gc', join(here, 'recording-reader.mjs'), part, JSON.stringify(args)],
    { encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (r.status !== 0) throw new Error(`${part} ended with ${r.status ?? r.signal}`);
  return r.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));
}

export async function* rows(options) {
  yield row('calibration', calibration(), 'MB/s sha256');
  if (options.file) {
    yield* questions(options.file, options);
    return;
  }
  const events = Number(options.events ?? 10_000_000);
  const seed = Number(options.seed ?? 1);
  const dir = mkdtempSync(join(tmpdir(), 'rewalk-bench-'));
  const file = join(dir, 'bench.rewalk');
  try {
    const { KIND } = await import(join(dist, 'events/kinds.js'));
    const { Log } = await import(join(dist, 'events/log.js'));
    const { BLOCK_BYTES, blockOver } = await import(join(dist, 'events/block.js'));
    const { createRecording } = await import(join(dist, 'recording/writer.js'));

    const sample = Math.min(events, 2_000_000);
    const hotLoop = () => {
      const nowhere = new Log({ swap: full => full }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
      const began = performance.now();
      generate(nowhere, KIND, { events: sample, seed });
      return ((performance.now() - began) * 1e6) / sample;
    };
    hotLoop(); // warms up
    yield row('hot_loop_ns_per_event', hotLoop(), 'ns');

    const began = performance.now();
    const writer = createRecording(file, HEADER, { thread: true });
    writer.lexicon(LEXICON);
    const { randomShare } = generate(writer.log, KIND, { events, seed });
    await writer.close();
    const seconds = (performance.now() - began) / 1000;
    yield row('append_events_per_s', events / seconds, '1/s', '>= 4,000,000');
    yield row('random_words_share', randomShare, '', '>= 0.3');
    yield* questions(file, options);
    if (options.keep) process.stderr.write(`rewalk: bench: kept ${file}\n`);
  } finally {
    if (!options.keep) rmSync(dir, { recursive: true, force: true });
  }
}

function* questions(file, options) {
  yield* apart('size', { file });
  yield row('file_mb', statSync(file).size / 1e6, 'MB');
  yield* apart('ask', { file, seed: Number(options.seed ?? 1) });
  yield* coldCommands(file);
}

/** New processes that answer one question each at a random position. */
function* coldCommands(file) {
  const [{ commands }] = apart('commands', { file, count: 24 });
  const times = commands.map(args => {
    const began = performance.now();
    const r = spawnSync(process.execPath, [join(dist, 'cli/main.js'), ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    if (r.status !== 0 && r.status !== 1)
      throw new Error(`rewalk ${args.join(' ')} ended with ${r.status}: ${r.stderr}`);
    return performance.now() - began;
  });
  times.sort((a, b) => a - b);
  yield row('cold_cli_p50_ms', times[times.length >> 1], 'ms');
  yield row('cold_cli_p95_ms', times[Math.floor(times.length * 0.95)], 'ms', '<= 400');
}
