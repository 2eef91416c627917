/**
 * npm run bench -- NAME [--json] [--check]   recording: [--events N] [--file F]   cpu: [--only sha256,flat] [--against DIST]
 *
 * Each benchmark yields rows {name, value, unit, target}; a target is text like "<= 16" or ">= 0.4". Machines are shared and
 * noisy: calibration rows say how fast this one is right now, and ratios within one run say more than times.
 */
import { parseArgs } from 'node:util';

const BENCHMARKS = {
  compare: () => import('./compare.mjs'),
  cpu: () => import('./cpu.mjs'),
  engine: () => import('./engine.mjs'),
  linux: () => import('./linux.mjs'),
  recording: () => import('./recording.mjs'),
  tui: () => import('./tui.mjs'),
};

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    check: { type: 'boolean' },
    events: { type: 'string' },
    file: { type: 'string' },
    seed: { type: 'string' },
    keep: { type: 'boolean' },
    only: { type: 'string' },
    against: { type: 'string' },
  },
});
const [name] = positionals;
if (!name || !(name in BENCHMARKS)) {
  process.stderr.write(
    `rewalk: bench: say which: ${Object.keys(BENCHMARKS).join(', ')}   (npm run bench -- recording --events 1000000)\n`,
  );
  process.exit(2);
}

/** True if `value` meets a target such as "<= 16"; rows without a target always do. */
function meets(value, target) {
  if (!target) return true;
  const [, sign, limit] = /^([<>]=) ([\d.,]+)$/.exec(target);
  const bound = Number(limit.replaceAll(',', ''));
  return sign === '<=' ? value <= bound : value >= bound;
}
const shown = value =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(4)).toString();

let missed = 0;
if (!options.json) process.stdout.write(`${'row'.padEnd(34)}${'value'.padStart(14)} ${'unit'.padEnd(12)}target\n`);
const { rows } = await BENCHMARKS[name]();
for await (const row of rows(options)) {
  const ok = meets(row.value, row.target);
  if (!ok) missed++;
  if (options.json) process.stdout.write(`${JSON.stringify(row)}\n`);
  else
    process.stdout.write(
      `${row.name.padEnd(34)}${shown(row.value).padStart(14)} ${row.unit.padEnd(12)}${row.target ? `${row.target}${ok ? '' : '   MISSED'}` : ''}\n`,
    );
}
process.exit(options.check && missed > 0 ? 1 : 0);
