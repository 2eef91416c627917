/**
 * The emulated processor by itself: hot loops, watched stores, TLB misses, string instructions. What is measured is in
 * test/machine/engine/speed.ts, beside the guests that the tests use; vite, which comes with vitest, loads it.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export async function* rows() {
  const file = join(root, 'test', 'machine', 'engine', 'speed.ts');
  const { module } = await runnerImport(file, { root, configFile: false, logLevel: 'warn' });
  yield* module.rows();
}
