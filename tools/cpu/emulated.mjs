// The emulated processor as a runner for fuzz.mjs. It and its differences are TypeScript, of the tests; vite, which comes
// with vitest, loads them.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const load = async name =>
  (
    await runnerImport(join(root, 'test', 'machine', 'x86', `${name}.ts`), {
      root,
      configFile: false,
      logLevel: 'warn',
    })
  ).module;

/** @returns {Promise<import('./replay.mjs').Runner>} */
export async function createRunner() {
  const { DIFFERENCES } = await load('native-differences');
  const runner = (await load('runner')).createRunner();
  return {
    ...runner,
    run: c => runner.run(c),
    known: (form, native, ours) => DIFFERENCES.find(d => d.accounts(form, native, ours))?.reason,
  };
}
