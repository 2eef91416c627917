/**
 * What a key or a command does: from one state of the screen to the next. A generator, so that a search over ten million
 * events shows how far it is and can be stopped; most never yield. Recipes of immer write the new state.
 */
import { type Draft, produce } from 'immer';
import type { Watch } from '../../base/work.js';
import type { Position } from '../../state/position.js';
import type { Message, Ui } from '../state.js';
import type { Task } from '../task.js';
import type { World } from '../world.js';

export type Action = (ui: Ui, world: World, watch: Watch) => Task<Ui>;

/** An action that never waits. */
export const atOnce = (act: (ui: Ui, world: World) => Ui): Action =>
  // biome-ignore lint/correctness/useYield: it never waits
  function* (ui, world) {
    return act(ui, world);
  };
/** One that changes the screen's state by a recipe, and little more. */
export const change = (recipe: (draft: Draft<Ui>, world: World) => void): Action =>
  atOnce((ui, world) => produce(ui, draft => recipe(draft, world)));

export const note = (ui: Ui, text: string, tone: Message['tone'] = 'note'): Ui => ({ ...ui, message: { text, tone } });

/** Goes to a position and remembers where it was. At the ends of history it says so and stays. */
export function moved(ui: Ui, world: World, to: Position, remember = false): Ui {
  if (to.seq < -1) return note(ui, 'the beginning of the recording');
  if (to.seq > world.last) return note(ui, 'the end of the recording');
  return produce(ui, draft => {
    if (remember) {
      draft.past.push(ui.at);
      draft.future = [];
    }
    draft.at = to;
    draft.thing = undefined;
    draft.message = undefined;
    draft.expanded = undefined;
    const { from, to: end } = draft.window;
    const width = end - from;
    if (to.seq < from || to.seq >= end) {
      draft.window.from = Math.max(0, Math.min(to.seq - Math.floor(width / 2), world.source.count - width));
      draft.window.to = draft.window.from + width;
    }
  });
}
