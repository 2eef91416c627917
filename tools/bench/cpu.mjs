/**
 * The speed of the emulated processor, beside the real one and QEMU's system emulation (TCG, plain and with -icount): the
 * same image in all, built with gcc (cpu/), worlds in turn within one run. `--against DIST` compares two builds of ours.
 *
 * A ratio is QEMU's seconds by ours, each the median of the rounds.
 */
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { image } from './cpu/build.mjs';
import { costs } from './cpu/costs.mjs';
import { emulated, native, qemu } from './cpu/worlds.mjs';
import { calibration, row } from './rows.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist');
const INSTALL = 'QEMU is not there (Debian: apt-get install qemu-system-x86)';

/** `what` as in programs.c; `n` so that the slowest of them takes a second or two. */
const PROGRAMS = [
  { name: 'sha256', what: 0, n: 100, kind: 'hot' },
  { name: 'hash_table', what: 1, n: 10_000_000, kind: 'hot' },
  { name: 'sort', what: 2, n: 50, kind: 'hot' },
  { name: 'lists', what: 3, n: 100, kind: 'hot' },
  { name: 'flat', what: 5, n: 2_000_000, kind: 'flat' },
  { name: 'floats', what: 4, n: 3000, kind: 'sse2' },
];
const ROUNDS = 3;

const geometricMean = numbers => Math.exp(numbers.reduce((sum, x) => sum + Math.log(x), 0) / numbers.length);

/** The middle one: on a shared machine the least is sometimes too good to be true, and the mean is anybody's. */
const median = numbers => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/** Runs every program in every world, in turn; returns the median seconds by program and world. */
async function race(worlds, programs) {
  const all = new Map();
  for (const program of programs) {
    const times = {};
    const missing = {};
    let result;
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, world] of Object.entries(worlds)) {
        if (missing[name]) continue;
        const r = await world.run(program.what, program.n);
        if (r.missing) {
          missing[name] = r.missing;
          continue;
        }
        result ??= r.result;
        if (r.result !== result) throw new Error(`${program.name} gives ${r.result} in ${name}, ${result} elsewhere`);
        times[name] ??= { all: [], instructions: r.instructions };
        times[name].all.push(r.seconds);
        times[name].seconds = median(times[name].all);
      }
    }
    all.set(program.name, { program, times, missing });
  }
  return all;
}

export async function* rows(options) {
  yield calibration();
  const file = image('programs');
  const ours = await emulated(file, dist);
  yield* warmUp(ours);
  const worlds = { native: native(file), tcg: qemu(file), icount: qemu(file, ['-icount', 'shift=0']), ours };
  if (options.against) worlds.other = await emulated(file, resolve(options.against));
  for (const [name, world] of Object.entries(worlds)) if (!world) delete worlds[name];
  const only = options.only?.split(',');
  const raced = await race(
    worlds,
    PROGRAMS.filter(p => !only || only.includes(p.name)),
  );
  for (const [name, { times }] of raced) {
    for (const [world, { seconds }] of Object.entries(times)) yield row(`${name}_${world}_s`, seconds, 's');
    if (times.ours) yield row(`${name}_mips`, times.ours.instructions / times.ours.seconds / 1e6, 'MIPS');
  }
  yield* ratios(raced, worlds);
  if (!only || only.includes('costs')) yield* costs(dist);
}

/** One run of a hot program as it comes, against the same when the generated code has been optimised. */
function* warmUp(world) {
  const { what, n } = PROGRAMS[0];
  const first = world.run(what, n).seconds;
  const settled = Math.min(world.run(what, n).seconds, world.run(what, n).seconds);
  yield row('warm_up_s', Math.max(0, first - settled), 's');
}

function* ratios(raced, worlds) {
  const of = (kind, reference, mine) =>
    [...raced.values()]
      .filter(b => b.program.kind === kind && b.times[mine] && b.times[reference])
      .map(b => b.times[reference].seconds / b.times[mine].seconds);
  const targets = {
    hot: ['cpu_hot_ratio', '>= 0.35'],
    flat: ['cpu_flat_ratio', '>= 0.95'],
    sse2: ['sse2_ratio', '>= 0.2'],
  };
  for (const [kind, [name, target]] of Object.entries(targets)) {
    const lacking = [...raced.values()].find(b => b.program.kind === kind && b.missing.ours);
    if (lacking) yield row(name, 0, `not yet: ${lacking.missing.ours}`);
    else if (!worlds.tcg) yield row(name, 0, INSTALL);
    else if (of(kind, 'tcg', 'ours').length > 0) {
      yield row(name, geometricMean(of(kind, 'tcg', 'ours')), 'x TCG', target);
      yield row(`${name}_icount`, geometricMean(of(kind, 'icount', 'ours')), 'x TCG -icount');
    }
    const gains = of(kind, 'other', 'ours');
    if (gains.length > 0) yield row(`${kind}_gain`, geometricMean(gains), 'x the other build');
  }
}
