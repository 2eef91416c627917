/** rewalk guests: the guests that come with the program. */
import type { Command } from 'commander';
import { GUESTS, imageOf, recordingOf } from './built-in.js';
import { fit, flushOut, json, out } from './output.js';
import type { Verb } from './verb.js';

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .option('--json', 'one JSON object a line, with the files')
    .addHelpText('after', '\n  rewalk record bare/address-spaces')
    .action(({ json: asJson }: { json?: true }) =>
      run(async () => {
        const width = Math.max(...GUESTS.map(g => g.name.length));
        for (const guest of GUESTS) {
          if (asJson) json({ v: 1, ...guest, image: imageOf(guest), recording: recordingOf(guest) });
          else out(fit(`${guest.name.padEnd(width)}  ${guest.summary}`));
        }
        flushOut();
        return 0;
      }),
    );
};
