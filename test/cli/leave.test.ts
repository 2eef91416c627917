import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const golden = new URL('../../recordings/bare/address-spaces.rewalk', import.meta.url).pathname;
/** What node says of the collections in a command. */
const collections = (...args: string[]): string[] => {
  const { stdout } = spawnSync(process.execPath, ['--trace-gc', main, ...args], { encoding: 'utf8' });
  return stdout.split('\n').filter(line => /ms: (Scavenge|Mark-Compact)/.test(line));
};

// Without it node's own threads may wait for each other for ever: see src/base/leave.ts.
it.each([['stats', golden], ['walk', golden, '1000'], ['nonsense'], ['stats', '/no/such/file']])(
  'the last thing that "%s" does is to collect garbage',
  (...args) => {
    expect(collections(...args).at(-1)).toMatch(/Mark-Compact .* testing/);
  },
);
