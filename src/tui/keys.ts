/**
 * The keys: a table, from which the help, the README and what happens all come. A key means the first line that has it and
 * holds in the focused pane.
 */

import type { Action } from './actions/action.js';
import { choose } from './actions/choose.js';
import {
  focusNext,
  focusOn,
  help,
  mark,
  nextTopic,
  nextView,
  quit,
  scale,
  scroll,
  showTopic,
  zoom,
} from './actions/look.js';
import {
  back,
  forward,
  inwards,
  outwards,
  searchOn,
  step,
  toBatch,
  toCall,
  toNote,
  toTrap,
  toWrite,
} from './actions/move.js';
import { copy, copyCommand, why } from './actions/outside.js';
import { ask, bookmark } from './actions/prompt.js';
import { fold, foldAll, instruction, outOf, over, toBreak } from './actions/run.js';
import { beginTyping, LEAVE, leaveTyping } from './live.js';
import { PANES, type PaneId } from './state.js';

export interface Binding {
  /** Names of keys, as screen/input.ts gives them. */
  readonly keys: readonly string[];
  readonly does: string;
  readonly action: Action;
  /** Only where one of these panes has the keys. */
  readonly panes?: readonly PaneId[];
  /** What it is pressed to see: where there is no screen, that is printed. */
  readonly shows?: 'detail' | 'focused';
}

const PAGE = 20;
const LISTS: readonly PaneId[] = ['registers', 'space', 'detail'];

export const BINDINGS: readonly Binding[] = [
  { keys: ['j', 'down'], does: 'next line', action: scroll(1), panes: LISTS },
  { keys: ['k', 'up'], does: 'previous line', action: scroll(-1), panes: LISTS },
  { keys: ['pagedown', 'C-f'], does: 'a page on', action: scroll(PAGE), panes: LISTS },
  { keys: ['pageup', 'C-b'], does: 'a page back', action: scroll(-PAGE), panes: LISTS },
  { keys: ['enter'], does: 'select what the cursor is on', action: choose, panes: LISTS },

  { keys: ['l', 'j', 'right', 'down'], does: 'one event on', action: step(1) },
  { keys: ['h', 'k', 'left', 'up'], does: 'one event back', action: step(-1) },
  { keys: ['pagedown', 'C-f'], does: 'a page of events on', action: step(PAGE) },
  { keys: ['pageup', 'C-b'], does: 'a page of events back', action: step(-PAGE) },
  { keys: ['<', 'home'], does: 'the beginning', action: step(Number.MIN_SAFE_INTEGER) },
  { keys: ['>', 'end', 'G'], does: 'the end', action: step(Number.MAX_SAFE_INTEGER) },
  { keys: ['L'], does: 'the next batch', action: toBatch(1) },
  { keys: ['H'], does: 'the batch before', action: toBatch(-1) },
  { keys: ['c'], does: 'the next call', action: toCall(1) },
  { keys: ['C'], does: 'the call before', action: toCall(-1) },
  { keys: ['t'], does: 'the next trap', action: toTrap(1) },
  { keys: ['T'], does: 'the trap before', action: toTrap(-1) },
  { keys: ['}'], does: 'one instruction on', action: instruction(1) },
  { keys: ['{'], does: 'one instruction back', action: instruction(-1) },
  { keys: ['J'], does: 'on, over what happened inside this', action: over(1) },
  { keys: ['K'], does: 'back, over what happened inside the one before', action: over(-1) },
  { keys: ['U'], does: 'on, out of the call, batch or trap', action: outOf },
  { keys: ['u'], does: 'out, to what this happened inside', action: outwards },
  { keys: ['i', 'enter'], does: 'in, to what happened inside this', action: inwards },
  { keys: [']'], does: 'the next write of the selected thing', action: toWrite(1) },
  { keys: ['['], does: 'the write of it before', action: toWrite(-1) },
  { keys: ['b'], does: 'blame: who wrote the selected thing; again: who before that', action: toWrite(-1) },
  {
    keys: ['B'],
    does: 'set a break: pte, trap vector=14, in f, at 602000, rax = 1, frame 6a9 writable; again: not',
    action: ask('break'),
  },
  { keys: [')'], does: 'run on to a break', action: toBreak(1) },
  { keys: ['('], does: 'run back to a break', action: toBreak(-1) },
  { keys: ['n'], does: 'the next note of the story', action: toNote(1) },
  { keys: ['N'], does: 'the note before', action: toNote(-1) },
  { keys: ['escape', 'C-o'], does: 'back to where you were', action: back },
  { keys: ['tab'], does: 'forward again', action: forward },

  { keys: ['e'], does: 'show the event', action: showTopic('event'), shows: 'detail' },
  { keys: ['p'], does: 'show the page walk', action: showTopic('walk'), shows: 'detail' },
  { keys: ['f'], does: "show the frame's ledger", action: showTopic('frame'), shows: 'detail' },
  { keys: ['r'], does: 'show who maps the frame', action: showTopic('mappers'), shows: 'detail' },
  { keys: ['x'], does: 'show the batch, queued against applied', action: showTopic('batch'), shows: 'detail' },
  { keys: ['a'], does: 'show the instructions', action: showTopic('code'), shows: 'detail' },
  { keys: ['s'], does: 'show the call stack', action: showTopic('stack'), shows: 'detail' },
  { keys: ['v'], does: 'show the console up to now', action: showTopic('console'), shows: 'detail' },
  { keys: ['I'], does: 'type into the guest, while it runs (record --watch)', action: beginTyping },
  { keys: [LEAVE], does: 'while typing: back to the debugger', action: leaveTyping },
  { keys: ['w'], does: 'ask why: what was refused here, or what the run ended with', action: why, shows: 'detail' },
  { keys: ['W'], does: 'show the last answer of a verb', action: showTopic('answer'), shows: 'detail' },
  { keys: ['D'], does: 'show the breaks', action: showTopic('breaks'), shows: 'detail' },
  { keys: ['.'], does: 'the next of these', action: nextTopic(1), shows: 'detail' },
  { keys: [','], does: 'the one before', action: nextTopic(-1), shows: 'detail' },
  { keys: ['d'], does: 'mark here, and compare with it; here again: no longer', action: mark },
  { keys: ['R'], does: 'other tables: of user space, shadow, host', action: nextView, shows: 'focused' },
  { keys: ['space'], does: 'fold what happened inside; again: unfold', action: fold },
  { keys: ['F'], does: 'fold everything; again: unfold', action: foldAll },

  { keys: ['g'], does: 'go to a position: #48211, @ticks, 37%, end, a bookmark', action: ask('goto') },
  { keys: ['/'], does: 'search in events, names of functions and what was printed', action: ask('search') },
  { keys: ['*'], does: 'the next that was searched', action: searchOn(1) },
  { keys: ['#'], does: 'the one before', action: searchOn(-1) },
  { keys: ['&'], does: 'show only events with these words (! before a word: without it)', action: ask('filter') },
  { keys: ['m'], does: 'bookmark this event', action: bookmark },
  { keys: ["'"], does: 'go to a bookmark', action: ask('goto', "'") },
  { keys: [':'], does: 'a command: every verb of the command line, and more', action: ask('command') },
  { keys: ['y'], does: 'copy the position, or the pane as text', action: copy },
  { keys: ['Y'], does: 'copy the shell command that says the same', action: copyCommand },

  { keys: ['o'], does: 'the next pane', action: focusNext(1), shows: 'focused' },
  { keys: ['O'], does: 'the pane before', action: focusNext(-1), shows: 'focused' },
  ...PANES.map(
    (pane, n): Binding => ({
      keys: [String(n + 1)],
      does: `the ${pane} pane`,
      action: focusOn(pane),
      shows: 'focused',
    }),
  ),
  { keys: ['z'], does: 'enlarge the pane; again: all panes', action: zoom },
  { keys: ['+', '='], does: 'the strip shows less, larger', action: scale(0.5) },
  { keys: ['-'], does: 'the strip shows more', action: scale(2) },
  { keys: ['?'], does: 'these keys', action: help },
  { keys: ['q', 'C-c'], does: 'quit', action: quit },
];

/** The binding of a key in a pane. */
export const bindingOf = (key: string, pane: PaneId): Binding | undefined =>
  BINDINGS.find(b => b.keys.includes(key) && (b.panes?.includes(pane) ?? true));
/** What holds in a pane, without those that another line of the pane hides. */
export const bindingsOf = (pane: PaneId): readonly Binding[] =>
  BINDINGS.filter(b => b.keys.some(key => bindingOf(key, pane) === b));
