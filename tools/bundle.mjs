// Makes one program of dist/cli: what every verb needs in one file, and what only some need in others, loaded with them. A new
// process spends its time on files: loading eighty modules one by one took a quarter of `rewalk blame`.
// The modules that tsc made stay beside it, for benchmarks and tests that ask them directly. Run by setup.mjs, after tsc.
import { renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist');
const from = (...path) => join(dist, ...path);

// Threads are begun by a file beside the one that begins them.
const input = {
  main: from('cli', 'main.js'),
  worker: from('recording', 'worker.js'),
  'index-worker': from('recording', 'index-worker.js'),
  'maps-worker': from('tui', 'maps-worker.js'),
};
// What finds its own parts by where it lies: binaries, and React, which asks for the environment as it is loaded.
const external = [/^node:/, 'ink', 'react', 'lzma-native', 'iced-x86'];
// What half of the verbs share is one file. What fewer do is not in it, since its modules are run as they are loaded, wanted or
// not; the live half is nobody's but who asked for it.
const common = {
  name: 'common',
  test: /dist\/(base|isa|events|recording|state|views|cli)\/|node_modules\/(commander|msgpackr)\//,
  minShareCount: 12,
};

const bundle = await rolldown({ input, external, platform: 'node', cwd: dist });
await bundle.write({
  dir: from('bundle'),
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
  comments: false,
  codeSplitting: { groups: [common] },
});
await bundle.close();
rmSync(from('cli'), { recursive: true });
renameSync(from('bundle'), from('cli'));
