/** The shell command that shows what the debugger shows: so that using the one teaches the other. */
import { hex } from '../base/u64.js';
import { isaOfSource } from '../state/formats.js';
import { formatPosition } from '../state/position.js';
import { thing } from './actions/move.js';
import { type SpaceView, sameView, type Ui } from './state.js';
import type { World } from './world.js';

const quoted = (word: string): string => (/^[\w./@%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

export const commandText = (words: readonly string[]): string => ['rewalk', ...words.map(quoted)].join(' ');

export function equivalent(ui: Ui, world: World, before: Ui): string {
  if (ui.answer && ui.answer !== before.answer) return commandText(ui.answer.command);
  const file = quoted(world.source.name);
  const at = quoted(formatPosition(ui.at));
  const about = thing(ui, world);
  if (ui.mark !== undefined && !(ui.mark === ui.at.seq && sameView(ui.view, ui.markView))) return mapDiff(ui, file, at);
  if (ui.filter && ui.filter !== before.filter) return `rewalk log ${file} --grep ${quoted(ui.filter)}`;
  switch (ui.topic) {
    case 'frame':
      return about?.kind === 'frame' ? `rewalk frame ${file} ${hex(about.frame)} ${at}` : '';
    case 'mappers':
      return about?.kind === 'frame' ? `rewalk frame ${file} ${hex(about.frame)} ${at} --mappers` : '';
    case 'walk':
      return about?.kind === 'address' ? `rewalk walk ${file} ${hex(about.at)} ${at}` : `rewalk regs ${file} ${at}`;
    case 'console':
      return `rewalk log ${file} start ${at} --kind console`;
    default:
      if (about?.kind === 'register')
        return `rewalk blame ${file} ${isaOfSource(world.source)?.registers[about.number]?.name ?? ''} ${at}`;
      return ui.at.seq < 0 ? `rewalk stats ${file}` : `rewalk show ${file} ${at}`;
  }
}

/** The comparison with the mark, as far as one command can say it. */
function mapDiff({ mark, view, markView }: Ui, file: string, at: string): string {
  const from = quoted(formatPosition({ seq: mark! }));
  const root = ({ root, role, space }: SpaceView): string =>
    `${space === 'guest' ? '' : ` --space ${space}`}${role === 'user' ? ' --role user' : ''}${root === undefined ? '' : ` --root ${hex(root)}`}`;
  if (sameView(view, markView)) return `rewalk map ${file} ${from} --diff ${at}${root(view)}`;
  if (view.root === undefined || view.space !== markView.space) return '';
  return `rewalk map ${file} ${from} --diff ${at}${root(markView)} --diff-root ${hex(view.root)}`;
}
