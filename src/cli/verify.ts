/** rewalk verify: is every byte of the recording what its writer wrote? */
import type { Command } from 'commander';
import { Trouble } from '../base/trouble.js';
import { JSON_VERSION } from '../events/text.js';
import { verify as verifyFile } from '../recording/verify.js';
import { flushOut, json, out } from './output.js';
import { work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  json?: true;
  quick?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<files...>', 'recordings')
    .option('--quick', 'do not make the indexes again: a wrong one with a right checksum is then not found')
    .option('--json', 'one JSON object a file')
    .addHelpText(
      'after',
      '\nExit code: 0 all good, 1 something is damaged, 2 not a recording.\n\n  rewalk verify *.rewalk',
    )
    .action((files: string[], options: Options) => run(() => verify(files, options)));
};

async function verify(files: readonly string[], options: Options): Promise<number> {
  let code = 0;
  for (const file of files) {
    try {
      const v = await work(`checking ${file}`, verifyFile(file, { quick: options.quick === true }));
      if (v.damage) code = Math.max(code, 1);
      if (options.json) json({ v: JSON_VERSION, file, ...v, damage: v.damage ?? null });
      else if (v.damage)
        out(`${file}: damaged at byte ${v.damage.offset}: ${v.damage.reason}; ${v.events} events before it are good`);
      else
        out(
          `${file}: good: ${v.events} events in ${v.chunks} chunks, ${v.bytes} bytes${v.closed ? '' : ', not closed by its writer'}; ${v.chain}`,
        );
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      process.stderr.write(`rewalk: ${error.message}\n`);
      code = 2;
    }
    flushOut();
  }
  return code;
}
