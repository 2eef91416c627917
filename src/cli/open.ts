/** rewalk open: the terminal debugger on a recording. */
import type { Command } from 'commander';
import { formatPosition, parsePosition } from '../state/position.js';
import type { Live } from '../tui/live.js';
import { Notes } from '../tui/notes.js';
import { out } from './output.js';
import { outsideOf } from './outside.js';
import { withRecording } from './session.js';
import type { Verb } from './verb.js';

export interface OpenOptions {
  readonly plain?: true;
  readonly follow?: true;
}

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('[position]', 'where to begin', 'start')
    .option('-p, --plain', 'the same commands at a prompt, text out: for screen readers, pipes and dumb terminals')
    .option('-F, --follow', 'look for new events while the recording grows; at its end, stay at its end')
    .addHelpText(
      'after',
      `
In the debugger ? shows the keys, and the bottom line the shell command that answers the same. rewalk FILE opens it too.
Bookmarks and remarks are kept in FILE.notes.json.

  rewalk open run.rewalk
  rewalk open run.rewalk end --follow
  echo 'n' | rewalk open --plain recordings/xen/early-pagetable-crash.rewalk`,
    )
    .action((file: string, position: string, options: OpenOptions) => run(() => open(file, position, options)));
};

/** Opens the debugger; without a terminal says what to ask instead, and gives 2. */
export const open = (file: string, position: string, { plain, follow }: OpenOptions, live?: Live): Promise<number> =>
  withRecording(file, async source => {
    const notes = Notes.of(file, source.count);
    const at = parsePosition(position, source, notes.bookmarks);
    if (plain) {
      const { openPlain } = await import('../tui/plain.js');
      await openPlain(source, at, notes, outsideOf(source), { follow: follow ?? false });
      return 0;
    }
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      out(`${file}: ${source.header.system}/${source.header.guest}, ${source.count} events, ${source.endTicks} ticks`);
      out('not a terminal; rewalk open --plain reads commands from a pipe, and these answer without it:');
      for (const words of [`stats ${file}`, `log ${file}`, `map ${file} ${formatPosition(at)}`, `why ${file}`])
        out(`  rewalk ${words}`);
      return 2;
    }
    process.env.NODE_ENV ??= 'production'; // React's checks for developers cost more than drawing
    const { openDebugger } = await import('../tui/open.js');
    await openDebugger(source, at, notes, { ...outsideOf(source), live }, { follow: follow ?? false });
    return 0;
  });
