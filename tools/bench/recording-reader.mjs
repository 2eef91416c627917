/**
 * The reading half of the recording benchmark, in a process of its own: node recording-reader.mjs PART ARGS. Prints rows, one
 * JSON object a line. Positions are random but seeded; a row's times are of single questions.
 */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { peakMb, surroundings } from './rows.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist');
const load = path => import(join(dist, path));
const [part, given] = process.argv.slice(2);
const { file, seed = 1, count = 24 } = JSON.parse(given);

const { openRecording } = await load('recording/reader.js');
const { finish } = await load('base/work.js');
const say = row => process.stdout.write(`${JSON.stringify(row)}\n`);
const row = (name, value, unit, target = '') => say({ name, value, unit, target });
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const random = (
  s => () =>
    (s = (Math.imul(s, 1664525) + 1013904223) >>> 0) / 2 ** 32
)(seed);
const pick = n => Math.floor(random() * n);
/** Milliseconds of each of n calls, ascending. */
const times = (n, work) => {
  const out = [];
  for (let i = 0; i < n; i++) {
    const began = performance.now();
    work(i);
    out.push(performance.now() - began);
  }
  return out.sort((a, b) => a - b);
};

/** Slots and frames that the recording really has: of random page-table writes, `each` of a random chunk. */
function samples(source, n, each = 1) {
  const out = [];
  for (let tries = 0; out.length < n && tries < 50 * n; tries++) {
    const block = source.chunk(pick(source.chunks.length));
    const rows = block.col.pte.table.length && countOf(block);
    if (!rows) continue;
    const c = block.col.pte;
    for (let k = 0; k < each; k++) {
      const r = pick(rows);
      out.push({
        slot: c.table[r] * 4096 + c.offset[r],
        target: ((c.newHi[r] & 0xfffff) * 2 ** 20 + (c.newLo[r] >>> 12)) >>> 0,
      });
    }
  }
  return out;
}
const { KIND } = await load('events/kinds.js');
const countOf = block => block.rows[KIND.pte];

const parts = {
  /** Bytes an event, of chunks and of everything but memory checkpoints. */
  async size() {
    const { FRAME } = await load('recording/frames.js');
    const { RecordingFile, Scanner } = await load('recording/scan.js');
    const recording = new RecordingFile(file);
    const scanner = new Scanner(recording);
    while (scanner.next(recording.size()));
    const bytes = new Map();
    for (const p of scanner.directory.places) bytes.set(p.type, (bytes.get(p.type) ?? 0) + p.bytes + 32);
    const events = scanner.directory.events;
    const memory = bytes.get(FRAME.memory) ?? 0;
    row('events', events, '');
    row('bytes_per_event', (bytes.get(FRAME.chunk) ?? 0) / events, 'B', '<= 6.5');
    row('bytes_per_event_with_indexes', (recording.size() - memory) / events, 'B', '<= 9');
    recording.close();
  },
  async ask() {
    const { createTimeline } = await load('state/timeline.js');
    const { blameSlot } = await load('views/blame.js');
    const { compareSpaces } = await load('compare/moments.js');
    const { needFormat } = await load('views/walk.js');
    const { rootAt } = await load('views/slots.js');
    row(
      'open_ms',
      at(
        times(5, () => openRecording(file).close()),
        0.5,
      ),
      'ms',
      '<= 100',
    );

    const source = openRecording(file);
    const cold = openRecording(file, { cacheBytes: 1 });
    const timeline = createTimeline(cold);
    const first = performance.now();
    timeline.seekNow(Math.floor(source.count * 0.9));
    row('first_seek_ms', performance.now() - first, 'ms');
    // Passing once through the recording leaves the deltas and stills that later seeks go by, as a terminal does at leisure.
    for (let seq = 0; seq < source.count; seq += 65_536) timeline.seekNow(seq);
    const seeks = times(300, () => timeline.seekNow(pick(source.count)));
    row('seek_p50_ms', at(seeks, 0.5), 'ms', '<= 3');
    row('seek_p99_ms', at(seeks, 0.99), 'ms', '<= 16');
    const steps = [];
    for (let i = 0; i < 40; i++) {
      timeline.seekNow(1000 + pick(source.count - 1000));
      timeline.step(-1);
      for (const t of times(25, () => timeline.step(-1))) steps.push(t);
    }
    row(
      'step_back_p99_ms',
      at(
        steps.sort((a, b) => a - b),
        0.99,
      ),
      'ms',
      '<= 0.5',
    );

    const known = samples(source, 2000, 5); // of fewer, the slowest hundredth would be a handful
    const look = i => source.index.lastSlotWrite('guest', known[i].slot, pick(source.count));
    row('blame_first_ms', times(1, () => look(0))[0], 'ms');
    times(50, look); // the fences of the segments are read once
    const blames = times(known.length, look);
    row('blame_p50_ms', at(blames, 0.5), 'ms');
    row('blame_p99_ms', at(blames, 0.99), 'ms', '<= 1');
    const stories = times(400, i => blameSlot(source, 'guest', known[i].slot, pick(source.count)));
    row('blame_story_p50_ms', at(stories, 0.5), 'ms');
    row('blame_story_p99_ms', at(stories, 0.99), 'ms');
    const ask = i => finish(source.index.mappers('guest', known[i].target, pick(source.count)));
    row('reverse_map_first_ms', times(1, () => ask(0))[0], 'ms');
    const maps = times(known.length, ask);
    row('reverse_map_p50_ms', at(maps, 0.5), 'ms');
    row('reverse_map_p99_ms', at(maps, 0.99), 'ms', '<= 5');

    const format = needFormat(source, 'guest');
    const diffs = [];
    for (let i = 0; i < 40; i++) {
      const seq = 20_000 + pick(source.count - 40_000);
      const { at: root } = finish(rootAt(source, { space: 'guest' }, seq));
      const a = { space: 'guest', root: { at: root }, state: finish(timeline.snapshot(seq)) };
      const b = { ...a, state: finish(timeline.snapshot(seq + 2000)) };
      diffs.push(times(1, () => finish(compareSpaces(source, format, a, b)))[0]);
    }
    row(
      'space_diff_p50_ms',
      at(
        diffs.sort((x, y) => x - y),
        0.5,
      ),
      'ms',
      '<= 5',
    );
    row('reader_peak_mb', peakMb(), 'MB', '<= 400');
    // What is held when all that is garbage is gone: it grows with a recording only by its directory and its indexes' fences.
    globalThis.gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    row('reader_held_mb', (heapUsed + arrayBuffers) / 1e6, 'MB');
  },
  /** New processes that answer one question each at a random position. From here, since who holds a gigabyte takes long to fork. */
  cold() {
    const spent = commandsAbout(file, count).map(args => {
      const began = performance.now();
      const r = spawnSync(process.execPath, [join(dist, 'cli/main.js'), ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
        encoding: 'utf8',
      });
      if (r.status !== 0 && r.status !== 1)
        throw new Error(`rewalk ${args.join(' ')} ended with ${r.status}: ${r.stderr}`);
      return performance.now() - began;
    });
    spent.sort((a, b) => a - b);
    row('cold_cli_p50_ms', at(spent, 0.5), 'ms');
    row('cold_cli_p95_ms', at(spent, 0.95), 'ms', '<= 400');
    for (const calibration of surroundings()) say(calibration);
  },
  /** The same commands, to be asked otherwise. */
  commands() {
    say({ commands: commandsAbout(file, count) });
  },
};

/** Commands at random positions about things the recording has. */
function commandsAbout(path, n) {
  const source = openRecording(path);
  const commands = samples(source, n).map(({ slot, target }, i) => {
    const where = `#${1000 + pick(source.count - 1000)}`;
    const page = (pick(30_000) * 4096).toString(16);
    return [
      ['walk', path, page, where],
      ['blame', path, `slot:${slot.toString(16)}`, where],
      ['map', path, where],
      ['frame', path, target.toString(16), where],
    ][i % 4];
  });
  source.close();
  return commands;
}
await parts[part]();
