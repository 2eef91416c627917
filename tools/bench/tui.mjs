/**
 * The debugger as a person has it: in a pseudo-terminal of 200x60, keys in, bytes out. `--events N` (10 M by default) of a
 * generated recording, or `--file F`.
 *
 * A key is answered by a frame, which ends with the terminal's "end of synchronised update"; what arrives first after the
 * key counts. Going somewhere is answered when the bottom line shows the place.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pty from '@lydell/node-pty';
import { generate, HEADER, LEXICON } from './generate.mjs';
import { calibration, row } from './rows.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist');
const END_OF_FRAME = '\x1b[?2026l';
const WAIT_MS = 60_000;
/** Keys come this long after the screen was last busy, as a person's do; slow panes are being computed by then. */
const PAUSE_MS = 100;

async function make(file, events, seed) {
  const { KIND } = await import(join(dist, 'events/kinds.js'));
  const { createRecording } = await import(join(dist, 'recording/writer.js'));
  const writer = createRecording(file, HEADER, { thread: true });
  writer.lexicon(LEXICON);
  generate(writer.log, KIND, { events, seed });
  await writer.close();
}
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** A debugger in a terminal. */
class Session {
  constructor(file) {
    this.began = performance.now();
    this.text = '';
    this.child = pty.spawn(process.execPath, [join(dist, 'cli/main.js'), 'open', file, '50%'], {
      cols: 200,
      rows: 60,
      env: { ...process.env, CI: 'false', TERM: 'xterm-256color' },
    });
    this.child.onData(data => {
      this.text += data;
      this.heard = performance.now();
      this.wake?.();
    });
  }
  /** Milliseconds from now until `seen` holds of what was sent since. */
  async until(seen) {
    const began = performance.now();
    while (!seen(this.text)) {
      if (performance.now() - began > WAIT_MS)
        throw new Error(`no answer; last: ${JSON.stringify(this.text.slice(-300))}`);
      await new Promise(resolve => {
        this.wake = resolve;
        setTimeout(resolve, 1000);
      });
    }
    return performance.now() - began;
  }
  async quiet(ms = PAUSE_MS) {
    while (performance.now() - (this.heard ?? 0) < ms) await sleep(5);
  }
  /** Presses keys and measures until a frame came, or until the screen says `text`. */
  async answer(keys, text) {
    await this.quiet();
    this.text = '';
    this.child.write(keys);
    return this.until(sent => (text ? sent.includes(text) : true) && sent.includes(END_OF_FRAME));
  }
  get rssMb() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024;
  }
  close() {
    this.child.write('q');
    this.child.kill('SIGKILL');
  }
}
const percentile = (values, p) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))];

export async function* rows(options) {
  yield calibration();
  const dir = mkdtempSync(join(tmpdir(), 'rewalk-bench-'));
  const file = options.file ?? join(dir, 'bench.rewalk');
  try {
    if (!options.file) await make(file, Number(options.events ?? 10_000_000), Number(options.seed ?? 1));
    const first = [];
    for (let n = 0; n < 5; n++) {
      const s = new Session(file);
      first.push(await s.until(sent => sent.includes(END_OF_FRAME)));
      s.close();
    }
    yield row('first_screen_ms', percentile(first, 0.5), 'ms', '<= 400');

    const s = new Session(file);
    await s.until(sent => sent.includes(END_OF_FRAME));
    await s.quiet(1000);
    const keys = [];
    for (const [name, press] of [
      ['scroll', ['\x1b[6~', '\x1b[5~']],
      ['step', ['j', 'j', 'k']],
      ['pane', ['o', '2']],
    ]) {
      const times = [];
      for (let n = 0; n < 60; n++) times.push(await s.answer(press[n % press.length]));
      keys.push(...times);
      yield row(`${name}_p95_ms`, percentile(times, 0.95), 'ms');
    }
    yield row('key_to_bytes_p50_ms', percentile(keys, 0.5), 'ms');
    yield row('key_to_bytes_p95_ms', percentile(keys, 0.95), 'ms', '<= 16');
    const gone = [];
    for (let n = 0; n < 40; n++) {
      const share = (n * 37 + 11) % 100;
      s.child.write(`g${share}%`);
      await s.quiet();
      gone.push(await s.answer('\r', '▸'));
    }
    yield row('goto_p50_ms', percentile(gone, 0.5), 'ms');
    yield row('goto_p95_ms', percentile(gone, 0.95), 'ms', '<= 50');
    await s.quiet(1000);
    yield row('rss_mb', s.rssMb, 'MB', '<= 400');
    s.close();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
