/** rewalk accept: the new run is the right one. */
import type { Command } from 'commander';
import { Trouble } from '../base/trouble.js';
import { acceptGolden, waiting } from './golden.js';
import { flushOut, out } from './output.js';
import type { Verb } from './verb.js';

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<files...>', 'golden recordings, or folders of them')
    .addHelpText(
      'after',
      `
Puts FILE.new, which rewalk record --golden left, in the place of FILE, and its digest with it. Not where CI is set: golden
recordings change in a commit that somebody reads.

  rewalk accept recordings/xen
  rewalk accept recordings/xen/user-pagetables.rewalk`,
    )
    .action((files: string[]) => run(async () => accept(files)));
};

function accept(files: readonly string[]): number {
  if (process.env.CI && process.env.CI !== 'false')
    throw new Trouble('CI is set: golden recordings are accepted by a person, in a commit');
  for (const file of files) {
    const found = waiting(file);
    if (found.length === 0) throw new Trouble(`${file}: nothing to accept: there is no ${file}.new`);
    for (const golden of found) {
      acceptGolden(golden);
      out(`accepted ${golden}`);
    }
  }
  flushOut();
  return 0;
}
