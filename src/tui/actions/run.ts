/** Running to somewhere: breaks and conditions, over and out of what happens inside, one instruction, folds. */
import { type Block, causeAt } from '../../events/block.js';
import { findEvent } from '../../state/find.js';
import { anyOf, FORMS, parseBreak, stopsAt } from '../breaks.js';
import { foldOver, hasEffects, isFolded } from '../folds.js';
import { instructionBeside } from '../instructions.js';
import type { Ui } from '../state.js';
import type { Task } from '../task.js';
import type { World } from '../world.js';
import { type Action, atOnce, change, moved, note } from './action.js';

type Direction = 1 | -1;

/** Sets a break, or takes it away when it is there. */
export function toggleBreak(ui: Ui, world: World, text: string): Ui {
  if (text === '') return note(ui, FORMS.map(f => f.says.split(':')[0]).join('   '));
  const stop = parseBreak(text, world.source);
  if (typeof stop === 'string') return note(ui, stop, 'warning');
  const had = ui.breaks.includes(text);
  const breaks = had ? ui.breaks.filter(b => b !== text) : [...ui.breaks, text];
  return note(
    { ...ui, breaks },
    had ? `no longer stops at ${text}` : `stops at ${text}: ) runs on to it, ( back to it`,
  );
}
/** On or back to the next event that a break names. */
export const toBreak = (direction: Direction): Action =>
  function* (ui, world) {
    if (ui.breaks.length === 0) return note(ui, 'no break is set: B sets one');
    const { source } = world;
    const found = yield* findEvent(source, ui.at.seq + direction, direction, anyOf(ui.breaks, source));
    if (found < 0)
      return note(ui, direction === 1 ? 'no break is met up to the end' : 'no break is met back to the start');
    const block = source.chunk(source.chunkOf(found));
    return note(
      moved(ui, world, { seq: found }, true),
      `break: ${stopsAt(ui.breaks, source, block, found - block.first)}`,
    );
  };

/** To the next or previous event for which `holds` of its cause. */
function* byCause(ui: Ui, world: World, direction: Direction, holds: (cause: number) => boolean): Task<Ui> {
  const where = (block: Block, i: number): boolean => holds(causeAt(block, i));
  const found = yield* findEvent(world.source, ui.at.seq + direction, direction, { where });
  if (found < 0) return note(ui, direction === 1 ? 'the end of the recording' : 'the beginning of the recording');
  return moved(ui, world, { seq: found }, true);
}
/** Over what happened inside this event: to the next one beside it, or the one before. */
export const over = (direction: Direction): Action =>
  function* (ui, world) {
    const { seq } = ui.at;
    const cause = seq < 0 ? -1 : world.event(seq).cause;
    if (direction === 1) return yield* byCause(ui, world, 1, c => c < Math.max(seq, 0));
    return yield* byCause(ui, world, -1, c => c <= cause);
  };
/** On, out of the call, batch or trap that this happened inside: the first event behind it. */
export const outOf: Action = function* (ui, world) {
  const cause = ui.at.seq < 0 ? -1 : world.event(ui.at.seq).cause;
  if (cause < 0) return note(ui, 'happened inside nothing');
  return yield* byCause(ui, world, 1, c => c < cause);
};

/** One instruction on or back; between events they come from the detail of the recording or from running again. */
export const instruction = (direction: Direction): Action =>
  function* (ui, world, watch) {
    const { seq, sub = 0 } = ui.at;
    // Between the event and the next one; back from the event itself: between the one before and this.
    const place = direction === -1 && sub === 0 ? { seq: seq - 1, sub: Number.POSITIVE_INFINITY } : { seq, sub };
    const none = direction === 1 ? { seq: seq + 1 } : { seq: place.seq };
    if (place.seq < 0) return moved(ui, world, none);
    const found = yield* instructionBeside(world, place, direction, watch);
    if (typeof found === 'string') return note(moved(ui, world, none), found, 'warning');
    return moved(ui, world, found ? { seq: place.seq, sub: found.sub } : none);
  };

/** Folds what happened inside the event, or what this one happened inside; again: unfolds. */
export const fold = atOnce((ui, world) => {
  const { seq } = ui.at;
  if (seq < 0) return note(ui, 'nothing to fold');
  const about = hasEffects(world, seq) || isFolded(ui, seq) ? seq : world.event(seq).cause;
  if (about < 0) return note(ui, 'nothing happened inside it');
  const unlike = ui.unlike.includes(about) ? ui.unlike.filter(s => s !== about) : [...ui.unlike, about];
  const folded = { ...ui, unlike };
  return isFolded(folded, about) && about !== seq ? moved(folded, world, { seq: about }) : folded;
});
/** Folds everything, or unfolds it. */
export const foldAll = atOnce((ui, world) => {
  const folded: Ui = { ...ui, folded: !ui.folded, unlike: [] };
  const cause = ui.at.seq < 0 ? -1 : world.event(ui.at.seq).cause;
  const outermost = foldOver(folded, world, cause);
  const told = note(
    folded,
    folded.folded ? 'only what happened inside nothing; space unfolds one' : 'everything is shown',
  );
  return outermost < 0 ? told : { ...moved(folded, world, { seq: outermost }), message: told.message };
});
export const forgetBreaks = change(ui => {
  ui.breaks = [];
  ui.message = { text: 'no breaks', tone: 'note' };
});
