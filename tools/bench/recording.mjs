/**
 * The recording core: how fast events reach the file, how large they are there, and how fast questions are answered.
 * `--events N` (10 M by default), `--file F` asks the questions of a real recording instead, `--keep` leaves the made one.
 *
 * Everything that reads runs in a process of its own, so that its peak memory is the reader's.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generate, HEADER, LEXICON } from './generate.mjs';
import { calibration, row } from './rows.mjs';
import { Tape } from './tape.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', '..', 'dist');
/** As many events are kept in memory to be appended: 400 MB of them. */
const TAPE_EVENTS = 10_000_000;

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
  yield calibration();
  if (options.file) {
    yield* questions(options.file, options);
    return;
  }
  const events = Number(options.events ?? 10_000_000);
  const seed = Number(options.seed ?? 1);
  const dir = mkdtempSync(join(tmpdir(), 'rewalk-bench-'));
  const file = join(dir, 'bench.rewalk');
  try {
    const parts = ['events/kinds.js', 'events/schema.js', 'events/log.js', 'events/block.js', 'recording/writer.js'];
    const build = Object.assign({}, ...(await Promise.all(parts.map(part => import(join(dist, part))))));
    yield* appends(build, { file, events: Math.min(events, TAPE_EVENTS), seed });
    if (events > TAPE_EVENTS) {
      const writer = build.createRecording(file, HEADER, { thread: true });
      writer.lexicon(LEXICON);
      generate(writer.log, build.KIND, { events, seed });
      writer.close();
    }
    yield* questions(file, options);
    if (options.keep) process.stderr.write(`rewalk: bench: kept ${file}\n`);
  } finally {
    if (!options.keep) rmSync(dir, { recursive: true, force: true });
  }
}

/** Nanoseconds of processor time since then, of all threads. */
const cpuNs = since => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) * 1000;
};

/**
 * How fast events get to the file, from before it is opened until it is closed. They are thought up beforehand: the generator
 * takes as long as all the rest. CPU is of all threads, compilers and collectors too: on a machine with other things to do
 * it says more than the rate.
 */
function* appends(build, { file, events, seed }) {
  const { Log, BLOCK_BYTES, blockOver, createRecording, KIND } = build;
  const tape = new Tape(build);
  const { randomShare } = generate(tape.log, KIND, { events, seed });
  tape.log.flush();
  const hotLoop = () => {
    const nowhere = new Log({ swap: full => full }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
    const began = process.cpuUsage();
    tape.play(nowhere);
    return cpuNs(began) / events;
  };
  hotLoop(); // warms up
  yield row('hot_loop_ns_per_event', hotLoop(), 'ns');

  const cpu = process.cpuUsage();
  const began = performance.now();
  const writer = createRecording(file, HEADER, { thread: true });
  writer.lexicon(LEXICON);
  tape.play(writer.log);
  writer.close();
  const seconds = (performance.now() - began) / 1000;
  const spent = cpuNs(cpu);
  yield row('append_events_per_s', events / seconds, '1/s', '>= 4,000,000');
  yield row('append_cpu_ns_per_event', spent / events, 'ns');
  yield row('random_words_share', randomShare, '', '>= 0.3');
}

function* questions(file, options) {
  yield* apart('size', { file });
  yield row('file_mb', statSync(file).size / 1e6, 'MB');
  yield* apart('ask', { file, seed: Number(options.seed ?? 1) });
  yield* apart('cold', { file, count: 80 });
}
