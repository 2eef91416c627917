/** rewalk expand: a recording again, with every instruction and store of a window. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Trouble } from '../base/trouble.js';
import { JSON_VERSION } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { expand as expandRecording } from '../session/expand.js';
import { whyNoRerun } from '../session/may-rerun.js';
import { wholePosition } from './ask.js';
import { json, out } from './output.js';
import { withRecording, work } from './session.js';
import type { Verb } from './verb.js';

interface Options {
  readonly output?: string;
  readonly json?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('<window>', 'two positions: A..B; the detail that follows each event from A to B is kept')
    .option('-o, --output <file>', 'the new recording (default: the name with -A-B before its ending)')
    .option('--json', 'the result as one JSON object')
    .addHelpText(
      'after',
      `
The new recording has the same events at the same positions. Ctrl-C leaves no file behind.

  rewalk expand run.rewalk '#200..#220'
  rewalk log run-200-220.rewalk '#210' '#212' --detail`,
    )
    .action((file: string, window: string, options: Options) => run(() => expand(file, window, options)));
};

function windowOf(text: string, source: Source): { from: number; to: number } {
  const [, a, b] = /^(.+?)\.\.(.+)$/.exec(text) ?? [];
  if (a === undefined || b === undefined) throw new Trouble(`${text}: a window is two positions, like #200..#220`);
  const from = Math.max(0, wholePosition(a, source, 'expand'));
  const to = wholePosition(b, source, 'expand');
  if (to < from) throw new Trouble(`${text}: the window ends before it begins`);
  return { from, to };
}

const expand = (file: string, window: string, options: Options): Promise<number> =>
  withRecording(file, async source => {
    const why = whyNoRerun(source);
    if (why) throw new Trouble(`${file}: cannot be run again: ${why}`);
    const { from, to } = windowOf(window, source);
    const output = options.output ?? `${file.replace(/\.rewalk$/, '')}-${from}-${to}.rewalk`;
    if (resolve(output) === resolve(file))
      throw new Trouble(`${output}: would overwrite the recording it is made from`);
    const { entries, events, bytes, chain } = await work('running again', expandRecording(source, from, to, output));
    if (options.json) json({ v: JSON_VERSION, file: output, from, to, entries, events, bytes, chain });
    else out(`${output}: ${entries} detail entries after #${from} to #${to}, ${events} events, ${bytes} bytes`);
    return 0;
  });
