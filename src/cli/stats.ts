/** rewalk stats: what a recording holds. */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { JSON_VERSION } from '../events/text.js';
import { callCounts, statsOf } from '../views/stats.js';
import { json, out, paint } from './output.js';
import { withRecording, work } from './session.js';
import type { Verb } from './verb.js';

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .option('--json', 'as one JSON object')
    .addHelpText('after', '\n  rewalk stats boot.rewalk\n  rewalk stats boot.rewalk --json | jq .events')
    .action((file: string, options: { json?: true }) => run(() => stats(file, options)));
};

/** Error numbers that matter here, as Xen and Linux both have them; others are shown as they are. */
const ERRORS: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  3: 'ESRCH',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  16: 'EBUSY',
  17: 'EEXIST',
  22: 'EINVAL',
  38: 'ENOSYS',
};
const errorName = (error: number): string => `-${ERRORS[error] ?? error}`;

const stats = (file: string, options: { json?: true }): Promise<number> =>
  withRecording(file, async source => {
    const s = statsOf(source);
    const calls = await work('counting calls', callCounts(source));
    const { header } = source;
    const bytes = statSync(file).size;
    if (options.json) {
      const { checkpoints } = source;
      json({
        v: JSON_VERSION,
        file,
        header,
        closed: source.closed,
        bytes,
        ...s,
        calls,
        checkpoints: checkpoints.length,
      });
      return 0;
    }
    const line = (name: string, value: string): void => out(`${name.padEnd(12)} ${value}`);
    line('guest', `${header.system}/${header.guest} on ${header.isa}, ${header.memoryBytes / 2 ** 20} MiB`);
    line('events', `${s.events} in ${s.ticks} ticks, ${s.chunks} chunks, ${header.detail} detail`);
    line(
      'file',
      `${bytes} bytes${s.events ? `, ${(bytes / s.events).toFixed(2)} an event` : ''}${source.closed ? '' : ', not closed by its writer'}`,
    );
    line('checkpoints', `${source.checkpoints.length}, ${source.keyframes.length} keyframes`);
    line('tables', `${s.tablesLeft} adopted and not released`);
    out('');
    for (const { kind, count } of s.byKind) out(`${String(count).padStart(12)}  ${kind}`);
    if (calls.length > 0) out(paint.bold('\n       calls     entries  name, and what was refused'));
    for (const c of calls) {
      const refused = c.refused.map(({ error, count }) => `${count} x ${errorName(error)}`).join(', ');
      const numbers = `${String(c.calls).padStart(12)}${String(c.entries).padStart(12)}`;
      out(`${numbers}  ${c.name}${refused && `  ${paint.orange(refused)}`}`);
    }
    return 0;
  });
