/** One comparison in a process of its own: node compare-reader.mjs diff A B. Prints {ms, cpuMs, found, peakMb}. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist');
const [, a, b] = process.argv.slice(2);
const { openRecording } = await import(join(dist, 'recording/reader.js'));
const { compareRecordings } = await import(join(dist, 'compare/recordings.js'));
const { finish } = await import(join(dist, 'base/work.js'));

const open = file => openRecording(file, { cacheBytes: 2 ** 25 }); // as rewalk diff does
const began = performance.now();
const cpu = process.cpuUsage();
const found = finish(compareRecordings(open(a), open(b)));
const ms = performance.now() - began;
const { user, system } = process.cpuUsage(cpu);
const cpuMs = (user + system) / 1000;
const peakMb = process.resourceUsage().maxRSS / 1024;
const n = Object.values(found.counted).reduce((x, y) => x + y, 0);
process.stdout.write(JSON.stringify({ ms, cpuMs, found: n, peakMb, counted: found.counted }));
