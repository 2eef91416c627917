/**
 * The questions of the linux benchmark, in a process of their own: node linux-reader.mjs FILE SEED. Prints rows, one JSON
 * object a line. Positions are random but seeded; a row's times are of single questions.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist');
const load = path => import(join(dist, path));
const [file, seed] = process.argv.slice(2);
const { openRecording } = await load('recording/reader.js');
const { RecordingFile, Scanner } = await load('recording/scan.js');
const { FRAME } = await load('recording/frames.js');
const { finish } = await load('base/work.js');
const { KIND } = await load('events/kinds.js');
const { createTimeline } = await load('state/timeline.js');
const { blameSlot } = await load('views/blame.js');
const { advance, logFrom, SLICE_TICKS, Stacks } = await load('session/rerun.js');
const { resumeHost } = await load('session/state.js');

/** Enough for the slowest hundredth to be more than the first few, which find nothing unpacked. */
const RERUNS = 400;
const QUESTIONS = 400;
const row = (name, value, unit, target = '') =>
  process.stdout.write(`${JSON.stringify({ name, value, unit, target })}\n`);
const random = (
  s => () =>
    (s = (Math.imul(s, 1664525) + 1013904223) >>> 0) / 2 ** 32
)(Number(seed));
const pick = n => Math.floor(random() * n);
/** Milliseconds of processor time so far: others on a shared machine add none. */
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
/** Milliseconds of each of n calls, ascending: by the clock, and of the processor. */
function times(n, work) {
  const all = { clock: [], cpu: [] };
  for (let i = 0; i < n; i++) {
    const [began, used] = [performance.now(), cpu()];
    work(i);
    all.clock.push(performance.now() - began);
    all.cpu.push(cpu() - used);
  }
  for (const list of Object.values(all)) list.sort((a, b) => a - b);
  return all;
}
/** The middle one and the 99th of a hundred. */
function told(name, all, target) {
  const p99 = list => list[Math.min(list.length - 1, Math.floor(list.length * 0.99))];
  row(`${name}_p50`, all.clock[all.clock.length >> 1], 'ms');
  row(`${name}_cpu_p99`, p99(all.cpu), 'ms');
  row(`${name}_p99`, p99(all.clock), 'ms', target);
}

/** Events and their indexes; memory is what re-runs start from. */
function bytesPerEvent() {
  const recording = new RecordingFile(file);
  const scanner = new Scanner(recording);
  while (scanner.next(recording.size()));
  const { events, places } = scanner.directory;
  const memory = places.filter(p => p.type === FRAME.memory).reduce((sum, p) => sum + p.bytes + 32, 0);
  row('linux_bytes_per_event', (recording.size() - memory) / events, 'B', '<= 9');
  recording.close();
}
/** Places that a random page-table write of the recording wrote to. */
function slots(source, n) {
  const found = [];
  while (found.length < n) {
    const block = source.chunk(pick(source.chunks.length));
    const { table, offset } = block.col.pte;
    const rows = block.rows[KIND.pte];
    const r = pick(rows);
    if (rows > 0) found.push(table[r] * 4096 + offset[r]);
  }
  return found;
}
/** The machine as it was at one tick: the checkpoint before it, and what follows run again. */
function rerunTo(source, tick) {
  const n = source.checkpoints.findLastIndex(c => c.ticks <= tick);
  const log = logFrom(source.checkpoints[n].seq, () => {});
  const host = resumeHost(source, n, { log, intern: new Stacks().intern });
  finish(advance(host, tick, SLICE_TICKS.plain, () => false));
}

bytesPerEvent();
const source = openRecording(file);
const timeline = createTimeline(source);
// Passing once through the recording leaves the differences that later seeks go along, as a terminal does at leisure.
for (let seq = 0; seq < source.count; seq += 65_536) timeline.seekNow(seq);
told(
  'linux_seek_ms',
  times(QUESTIONS, () => timeline.seekNow(pick(source.count))),
  '<= 16',
);
const known = slots(source, QUESTIONS);
const blame = i => blameSlot(source, 'guest', known[i], pick(source.count));
times(50, blame); // the fences of the indexes are read once
told('linux_blame_ms', times(QUESTIONS, blame), '<= 5');
rerunTo(source, pick(source.endTicks)); // the interpreter is generated
told(
  'linux_rerun_ms',
  times(RERUNS, () => rerunTo(source, pick(source.endTicks))),
  '<= 500',
);
