/** One comparison or check in a process of its own: node compare-reader.mjs diff A B | check A. Prints {ms, cpuMs, found, peakMb}. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { peakMb } from './rows.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist');
const [what, a, b] = process.argv.slice(2);
const { openRecording } = await import(join(dist, 'recording/reader.js'));
const { compareRecordings } = await import(join(dist, 'compare/recordings.js'));
const { RULES } = await import(join(dist, 'rules/registry.js'));
const { finish } = await import(join(dist, 'base/work.js'));

const open = file => openRecording(file, { cacheBytes: 2 ** 25 }); // as rewalk diff does
const began = performance.now();
const cpu = process.cpuUsage();
const first = open(a);
const found =
  what === 'diff'
    ? finish(compareRecordings(first, open(b)))
    : finish(RULES.find(r => r.id === first.header.system).check(first, false));
const ms = performance.now() - began;
const { user, system } = process.cpuUsage(cpu);
const cpuMs = (user + system) / 1000;
const peak = peakMb();
const n = Object.values(found.counted).reduce((x, y) => x + y, 0);
process.stdout.write(
  JSON.stringify({ ms, cpuMs, found: n, peakMb: peak, events: first.count, counted: found.counted }),
);
