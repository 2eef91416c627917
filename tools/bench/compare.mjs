/**
 * How fast two recordings are compared: the same, with edits, and the same run with other frames. `--events N` takes the place
 * of the 10 M. And how fast all rules of Xen are checked over a real run: the boot of a stock kernel (1.7 M events, told as the
 * time for 1 M), which is recorded first, or the one that `--file F` names; no such row without a kernel. Everything that compares runs in a process of its own, so that its peak memory is the comparison's.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generate, HEADER, LEXICON } from './generate.mjs';
import { calibration, row } from './rows.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', '..', 'dist');

/** A log that passes events on, with every `every`-th page-table write changed, and frames renamed by `shift`. */
async function make(file, { events, seed = 1, every = 0, shift = 0 }) {
  const { KIND } = await import(join(dist, 'events/kinds.js'));
  const { createRecording } = await import(join(dist, 'recording/writer.js'));
  const writer = createRecording(file, HEADER, { thread: true });
  writer.lexicon(LEXICON);
  const { log } = writer;
  let last = 0;
  /** Called before the next event is opened: the one before is complete, and may be edited in its block. */
  const edit = () => {
    const block = log.current;
    const rows = block.rows[KIND.pte];
    if (every > 0 && log.seq - last >= every && rows > 0 && block.kind[log.seq - 1 - block.first] === KIND.pte) {
      block.col.pte.newLo[rows - 1] ^= 0x200; // a software bit
      last = log.seq;
    }
    if (shift > 0) rename(block, KIND, shift);
  };
  const done = new Map(); // rows renamed already, by block
  function rename(block, K, by) {
    const i = log.seq - 1 - block.first;
    if (i < 0 || done.get(block) === log.seq) return;
    done.set(block, log.seq);
    const kind = block.kind[i];
    const r = block.row[i];
    const move = column => {
      if (column[r] !== 0xffff_ffff) column[r] += by;
    };
    const { col } = block;
    const moveEntry = (lo, hi, n) => {
      if (!(lo[n] & 1)) return;
      const frame = (hi[n] & 0xfffff) * 2 ** 20 + (lo[n] >>> 12) + by;
      lo[n] = ((frame << 12) | (lo[n] & 0xfff)) >>> 0;
      hi[n] = (hi[n] & 0xfff0_0000) | Math.floor(frame / 2 ** 20);
    };
    if (kind === K.pte) {
      move(col.pte.table);
      moveEntry(col.pte.newLo, col.pte.newHi, r);
      moveEntry(col.pte.oldLo, col.pte.oldHi, r);
    } else if (kind === K.adopt) {
      move(col.adopt.table);
      const from = r === 0 ? 0 : col.adopt.entriesEnd[r - 1];
      for (let n = from; n < col.adopt.entriesEnd[r]; n++) moveEntry(col.adopt.entriesLo, col.adopt.entriesHi, n);
    } else if (kind === K.root) {
      move(col.root.new);
      move(col.root.old);
    } else
      for (const name of ['type', 'typecount', 'total', 'pinned', 'validated', 'partial'])
        if (kind === K[name]) move(col[name].frame);
  }
  const open = log.open.bind(log);
  const put = log.put.bind(log);
  log.open = (...args) => {
    edit();
    return open(...args);
  };
  log.put = draft => {
    edit();
    return put(draft);
  };
  generate(log, KIND, { events, seed });
  writer.close();
}

function apart(a, b, what = 'diff') {
  const r = spawnSync(process.execPath, [join(here, 'compare-reader.mjs'), what, a, b ?? ''], { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(r.stderr);
  return JSON.parse(r.stdout);
}

/** A boot of a stock kernel on Xen, undefined where none can be had. */
function boot(file) {
  const run = (script, args) =>
    spawnSync(process.execPath, [script, ...args], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const { status, stdout } = run(join(here, '..', 'fetch-linux.mjs'), []);
  if (status !== 0) return undefined;
  const image = ['--kernel', join(stdout.trim(), 'vmlinuz'), '--initrd', join(stdout.trim(), 'initrd')];
  return run(join(dist, 'cli/main.js'), ['record', ...image, '-o', file]).status === 0 ? file : undefined;
}

export async function* rows(options) {
  yield calibration();
  const many = Number(options.events ?? 10_000_000);
  const few = Math.min(many, 1_000_000);
  const dir = mkdtempSync(join(tmpdir(), 'rewalk-compare-'));
  const at = name => join(dir, `${name}.rewalk`);
  try {
    await make(at('few'), { events: few });
    await make(at('few-edits'), { events: few, every: Math.floor(few / 201) });
    await make(at('few-renamed'), { events: few, shift: 0x2_0000 });
    let r = apart(at('few'), at('few-edits'));
    yield row('diff_1m_200_edits_ms', r.ms, 'ms', '<= 500');
    yield row('diff_1m_200_edits_cpu_ms', r.cpuMs, 'ms cpu');
    yield row('diff_1m_200_edits_found', r.found, '', '>= 190');
    r = apart(at('few'), at('few-renamed'));
    yield row('diff_renamed_1m_ms', r.ms, 'ms', '<= 2,000');
    yield row('diff_renamed_1m_found', r.found, '', '<= 0');
    for (const name of ['few', 'few-edits', 'few-renamed']) rmSync(at(name));
    await make(at('many'), { events: many });
    r = apart(at('many'), at('many'));
    yield row('diff_identical_10m_ms', r.ms, 'ms', '<= 200');
    await make(at('many-edits'), { events: many, every: Math.floor(many / 2010) });
    r = apart(at('many'), at('many-edits'));
    yield row('diff_10m_2000_edits_ms', r.ms, 'ms', '<= 3,000');
    yield row('diff_10m_2000_edits_cpu_ms', r.cpuMs, 'ms cpu');
    yield row('diff_10m_2000_edits_found', r.found, '', '>= 1,900');
    yield row('diff_10m_peak_mb', r.peakMb, 'MB');
    const run = options.file ?? boot(at('boot'));
    if (run === undefined) return;
    r = apart(run, undefined, 'check');
    yield row('check_1m_ms', (r.ms * 1e6) / r.events, 'ms', '<= 3,000');
    yield row('check_1m_cpu_ms', (r.cpuMs * 1e6) / r.events, 'ms cpu');
    yield row('check_events', r.events, '');
    yield row('check_peak_mb', r.peakMb, 'MB');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
