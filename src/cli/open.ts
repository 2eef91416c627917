/** rewalk open: the terminal debugger on a recording. */
import type { Command } from 'commander';
import { parsePosition } from '../state/position.js';
import { Notes } from '../tui/notes.js';
import { out } from './output.js';
import { withRecording } from './session.js';
import type { Verb } from './verb.js';

export const define: Verb['define'] = (command: Command, run): void => {
  command
    .argument('<file>', 'recording')
    .argument('[position]', 'where to begin', 'start')
    .addHelpText(
      'after',
      `
In the debugger ? shows the keys, and the bottom line the shell command that answers the same.

  rewalk open run.rewalk
  rewalk open run.rewalk end`,
    )
    .action((file: string, position: string) => run(() => open(file, position)));
};

const open = (file: string, position: string): Promise<number> =>
  withRecording(file, async source => {
    const notes = Notes.of(file, source.count);
    const at = parsePosition(position, source, notes.bookmarks);
    if (!process.stdin.isTTY || !process.stdout.isTTY) {
      out(`${file}: ${source.header.system}/${source.header.guest}, ${source.count} events, ${source.endTicks} ticks`);
      out('not a terminal; without one, ask by verbs:');
      for (const verb of ['stats', 'log', 'map', 'show'])
        out(`  rewalk ${verb} ${file}${verb === 'show' ? " '#0'" : ''}`);
      return 2;
    }
    process.env.NODE_ENV ??= 'production'; // React's checks for developers cost more than drawing
    const { openDebugger } = await import('../tui/open.js');
    await openDebugger(source, at, notes);
    return 0;
  });
