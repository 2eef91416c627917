/** What leaves the debugger: verbs of the command line, and text for the clipboard. */

import type { Watch } from '../../base/work.js';
import { lineOf } from '../../events/text.js';
import { formatPosition } from '../../state/position.js';
import type { Ui } from '../state.js';
import { type Task, wait } from '../task.js';
import type { World } from '../world.js';
import { type Action, atOnce, note } from './action.js';

/** Longer answers are cut: nobody reads them here. */
const LINES_MAX = 20_000;
/** Terminals refuse more in one piece. */
const COPY_MAX = 75_000;

/** Asks a verb; its answer is shown in the last pane, and stays until another is asked. */
export function* askVerb(
  ui: Ui,
  world: World,
  words: readonly string[],
  watch: Watch,
  position = formatPosition(ui.at),
): Task<{ readonly ui: Ui; readonly code: number }> {
  const { outside, source } = world;
  const command = yield* wait(outside.complete(words, source.name, position));
  const { lines, code } = yield* wait(outside.run(command, watch));
  const shown = lines.length > LINES_MAX ? [...lines.slice(0, LINES_MAX), '… and more'] : lines;
  const answer = { command, lines: shown.length > 0 ? shown : [`nothing; exit code ${code}`] };
  const scroll = { ...ui.scroll, detail: { cursor: 0, top: 0 } };
  return { ui: { ...ui, answer, topic: 'answer', scroll, message: undefined }, code };
}
/** Why the operation here was refused; where none was, why the run ended as it did. */
export const why: Action = function* (ui, world, watch) {
  const here = yield* askVerb(ui, world, ['why'], watch);
  if (ui.at.seq < 0 || here.code === 0) return here.ui;
  const ended = yield* askVerb(ui, world, ['why'], watch, 'start');
  return note(ended.ui, 'nothing was refused here: this is what the run ended with');
};

/** The position, or, in a pane that is a table, all of that as text. */
export const copy = atOnce((ui, world) => {
  const { seq } = ui.at;
  const line = seq < 0 ? 'start' : lineOf(world.event(seq), world.source.lexicon);
  if (ui.focus === 'events' || ui.focus === 'timeline') return copied(ui, world, line, formatPosition(ui.at));
  const text = world.textOf(ui.focus);
  return copied(ui, world, text, `${text.split('\n').length} lines of ${ui.focus === 'detail' ? ui.topic : ui.focus}`);
});
export const copyCommand = atOnce((ui, world) =>
  ui.shell ? copied(ui, world, ui.shell, ui.shell) : note(ui, 'no command says the same'),
);
function copied(ui: Ui, world: World, text: string, what: string): Ui {
  if (text.length > COPY_MAX) return note(ui, `too long to copy: ${text.length} characters`, 'warning');
  return world.outside.copy(text)
    ? note(ui, `copied ${what} (by OSC 52, if the terminal allows it)`)
    : note(ui, 'there is no clipboard here', 'warning');
}
