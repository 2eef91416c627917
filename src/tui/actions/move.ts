/** Moving through time: by events, by what they are, by what they happened inside, by what is selected. */

import { Trouble } from '../../base/trouble.js';
import type { Work } from '../../base/work.js';
import { eventAt } from '../../events/block.js';
import type { KindName } from '../../events/kinds.js';
import { lineOf } from '../../events/text.js';
import { findEvent, type Match } from '../../state/find.js';
import { type Position, parsePosition } from '../../state/position.js';
import { lastRegisters } from '../../views/registers.js';
import { anyFolded, isHidden } from '../folds.js';
import { Search } from '../search.js';
import type { Thing, Ui } from '../state.js';
import type { Task } from '../task.js';
import { thingOf } from '../thing.js';
import type { World } from '../world.js';
import { type Action, atOnce, change, moved, note } from './action.js';

/** Calls of the machine to its host, as moves know them. */
const BATCHES: readonly KindName[] = ['batch'];
const CALLS: readonly KindName[] = ['call'];
const TRAPS: readonly KindName[] = ['trap', 'interrupt'];
type Direction = 1 | -1;

/** Events that the filter lets through and no fold hides; all, if there is neither. */
export function shown(ui: Ui, world: World): Match {
  const words = ui.filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && !anyFolded(ui)) return {};
  return {
    where: (block, i) => {
      if (isHidden(ui, world, block, i)) return false;
      if (words.length === 0) return true;
      const text = lineOf(eventAt(block, i), world.source.lexicon).toLowerCase();
      return words.every(word => (word.startsWith('!') ? !text.includes(word.slice(1)) : text.includes(word)));
    },
  };
}

/** `count` shown events on or back; as far as there are. */
export const step = (count: number): Action =>
  function* (ui, world) {
    const direction = count > 0 ? 1 : -1;
    let { seq } = ui.at;
    if (!ui.filter && !anyFolded(ui)) {
      const to = Math.min(Math.max(seq + count, -1), world.last);
      if (to === seq) return moved(ui, world, { seq: seq + direction });
      return moved(ui, world, { seq: to });
    }
    for (let left = Math.abs(count); left > 0; left--) {
      const found: number = yield* findEvent(world.source, seq + direction, direction, shown(ui, world));
      if (found < 0) break;
      seq = found;
    }
    if (seq === ui.at.seq && direction === -1 && count < -1) return moved(ui, world, { seq: -1 });
    if (seq === ui.at.seq) return note(ui, direction === 1 ? 'no later event is shown' : 'no earlier event is shown');
    return moved(ui, world, { seq });
  };

/** To the next or previous event that matches; says `what` there is none of. */
function* seek(ui: Ui, world: World, direction: Direction, match: Match, what: string): Task<Ui> {
  const found = yield* findEvent(world.source, ui.at.seq + direction, direction, match);
  if (found < 0) return note(ui, `no ${direction === 1 ? 'later' : 'earlier'} ${what}`);
  return moved(ui, world, { seq: found }, true);
}
const kind =
  (kinds: readonly KindName[], what: string) =>
  (direction: Direction): Action =>
  (ui, world) =>
    seek(ui, world, direction, { kinds }, what);
export const toBatch = kind(BATCHES, 'batch');
export const toCall = kind(CALLS, 'call');
export const toTrap = kind(TRAPS, 'trap');

/** What questions are about: what was chosen, else what the event at the position is about. */
export const thing = (ui: Ui, world: World): Thing | undefined =>
  ui.thing ?? (ui.at.seq >= 0 ? thingOf(world.event(ui.at.seq)) : undefined);

/** To the previous or next write of the thing. */
export const toWrite = (direction: Direction): Action =>
  function* (ui, world) {
    const about = thing(ui, world);
    if (!about) return note(ui, 'nothing is selected: choose an entry, a frame or a register');
    const found = yield* writeOf(world, about, ui.at.seq, direction);
    if (found < 0) return note(ui, direction === 1 ? 'never written again' : 'never written before');
    return { ...moved(ui, world, { seq: found }, true), thing: about };
  };
/** The event that wrote the thing, after (1) or before (-1) `seq`; -1 for none. */
function* writeOf(world: World, about: Thing, seq: number, direction: Direction): Work<number> {
  const { source } = world;
  if (direction === -1) {
    switch (about.kind) {
      case 'slot':
        return source.index.lastSlotWrite(about.space, about.at, seq);
      case 'frame':
        return (yield* source.index.frameChanges(about.frame, seq)).at(-1) ?? -1;
      case 'register':
        return seq < 1 ? -1 : (lastRegisters(source, 0, seq - 1, 1n << BigInt(about.number))[0]?.asOf ?? -1);
      case 'address':
        return yield* findEvent(source, seq - 1, -1, { where: (block, i) => isAbout(world, block.first + i, about) });
    }
  }
  // Forwards the index has no question: all writes to the end of the recording, and the first behind us.
  switch (about.kind) {
    case 'slot': {
      const all = yield* source.index.slotWrites(about.space, about.at, source.count);
      return [...all].reverse().find(s => s > seq) ?? -1;
    }
    case 'frame':
      return (yield* source.index.frameChanges(about.frame, source.count)).find(s => s > seq) ?? -1;
    case 'register':
      return yield* findEvent(source, seq + 1, 1, {
        kinds: ['regs'],
        where: (block, i) => {
          const [row, mask] = [block.row[i]!, block.col.regs];
          const word = about.number < 32 ? mask.maskLo[row]! : mask.maskHi[row]!;
          return ((word >>> (about.number % 32)) & 1) !== 0;
        },
      });
    case 'address':
      return yield* findEvent(source, seq + 1, 1, { where: (block, i) => isAbout(world, block.first + i, about) });
  }
}
function isAbout(world: World, seq: number, about: Extract<Thing, { kind: 'address' }>): boolean {
  const other = thingOf(world.event(seq));
  return other?.kind === 'address' && other.at === about.at;
}

/** Out to the event this one happened inside. */
export const outwards = atOnce((ui, world) => {
  const cause = ui.at.seq >= 0 ? world.event(ui.at.seq).cause : -1;
  return cause < 0 ? note(ui, 'happened inside nothing') : moved(ui, world, { seq: cause }, true);
});
/** In to the first event that happened inside this one. Effects follow their cause closely. */
const EFFECTS_WITHIN = 100_000;
export const inwards: Action = function* (ui, world) {
  const { seq } = ui.at;
  for (let at = seq + 1; seq >= 0 && at <= Math.min(world.last, seq + EFFECTS_WITHIN); at++) {
    if (world.event(at).cause === seq) return moved(ui, world, { seq: at }, true);
    if (at % 4096 === 0) yield { done: at - seq, total: EFFECTS_WITHIN };
  }
  return note(ui, 'nothing happened inside it');
};

/** To a position as people write it; what is none is said, not thrown. */
export function goTo(ui: Ui, world: World, text: string): Ui {
  try {
    const at: Position = parsePosition(text, world.source, world.notes.bookmarks);
    return moved(ui, world, at, true);
  } catch (error) {
    if (error instanceof Trouble) return note(ui, error.message, 'warning');
    throw error;
  }
}
/** Through the notes beside the recording, which tell its story. */
export const toNote = (direction: Direction): Action =>
  atOnce((ui, world) => {
    const next = world.notes.next(ui.at.seq, direction);
    if (next) return moved(ui, world, { seq: next.seq }, true);
    return note(ui, world.notes.all.length === 0 ? 'no notes beside this recording' : 'no further note');
  });

/** Through the positions one was at. */
export const back = change((ui, world) => {
  const to = ui.past.pop();
  if (!to) {
    ui.message = { text: 'nowhere to go back to', tone: 'note' };
    return;
  }
  ui.future.push(ui.at);
  show(ui, world, to);
});
export const forward = change((ui, world) => {
  const to = ui.future.pop();
  if (!to) {
    ui.message = { text: 'nowhere to go forward to', tone: 'note' };
    return;
  }
  ui.past.push(ui.at);
  show(ui, world, to);
});
function show(draft: { at: Position; thing: unknown; message: unknown }, _world: World, to: Position): void {
  draft.at = to;
  draft.thing = undefined;
  draft.message = undefined;
}

/** To the next event that has the searched text: in its line, in a function it came from, or in what it printed. */
export const searchOn = (direction: Direction): Action =>
  function* (ui, world) {
    if (!ui.search) return note(ui, 'nothing was searched yet: /');
    const search = new Search(world, ui.search);
    const after = yield* seek(ui, world, direction, search.match, `event, function or output with "${ui.search}"`);
    const where = after.at === ui.at ? '' : search.found(world.event(after.at.seq));
    return where ? note(after, `"${ui.search}" ${where}`) : after;
  };
