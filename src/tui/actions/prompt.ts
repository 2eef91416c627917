/** What is typed at the bottom line: a position, a search, a filter, a bookmark, a command. */
import { reasonOf } from '../../base/trouble.js';
import type { Watch } from '../../base/work.js';
import { type Prompt, TOPICS, type Topic, type Ui } from '../state.js';
import type { Task } from '../task.js';
import type { World } from '../world.js';
import { type Action, atOnce, change, note } from './action.js';
import { help, quit, underRoot } from './look.js';
import { goTo, searchOn } from './move.js';
import { askVerb, copy } from './outside.js';
import { forgetBreaks, toggleBreak } from './run.js';

/** What each prompt says before what is typed. */
export const PROMPTS: Readonly<Record<Prompt['kind'], string>> = {
  command: ':',
  search: '/',
  goto: 'go to ',
  filter: 'only events with ',
  bookmark: 'name of the bookmark, and a remark ',
  break: 'stop at ',
};
/** Asks for something, beginning with `text`. */
export const ask = (kind: Prompt['kind'], text = ''): Action =>
  change(ui => {
    ui.prompt = { kind, text, back: 0 };
    ui.message = undefined;
  });
export const bookmark: Action = function* (ui, world, watch) {
  if (ui.at.seq < 0) return note(ui, 'nothing has happened yet that a bookmark could name');
  return yield* ask('bookmark')(ui, world, watch);
};

const TEXT_MAX = 500;
const TYPED_MAX = 200;
/** A key while something is typed. */
export function* typed(ui: Ui, world: World, key: string, watch: Watch): Task<Ui> {
  const { prompt } = ui;
  if (!prompt) return ui;
  const text = (to: string): Ui => ({ ...ui, prompt: { ...prompt, text: to.slice(0, TEXT_MAX), back: 0 } });
  switch (key) {
    case 'escape':
    case 'C-c':
      return { ...ui, prompt: undefined };
    case 'enter':
      return yield* answer(remember(ui, prompt), world, prompt, watch);
    case 'backspace':
      return prompt.text === '' ? { ...ui, prompt: undefined } : text(prompt.text.slice(0, -1));
    case 'C-u':
      return text('');
    case 'up':
    case 'C-p':
      return recall(ui, prompt, 1);
    case 'down':
    case 'C-n':
      return recall(ui, prompt, -1);
    case 'tab':
      return prompt.kind === 'command' ? text(complete(prompt.text, world)) : ui;
    default:
      return key === 'space' || (key.length === 1 && key >= ' ')
        ? text(prompt.text + (key === 'space' ? ' ' : key))
        : ui;
  }
}
/** What was pasted goes where something is typed; elsewhere its letters would be commands. */
export const paste = (text: string): Action =>
  atOnce((ui, { outside: { live } }) => {
    if (ui.typing) live?.type(Buffer.from(text, 'utf8').toString('latin1'));
    else if (ui.prompt)
      return { ...ui, prompt: { ...ui.prompt, text: `${ui.prompt.text}${text}`.slice(0, TEXT_MAX), back: 0 } };
    else return note(ui, 'what is pasted goes into a prompt: : / g & B');
    return ui;
  });
/** Closes the prompt and keeps what was typed, the newest last. */
function remember(ui: Ui, { kind, text }: Prompt): Ui {
  const others = ui.typed.filter(t => t.kind !== kind || t.text !== text).slice(1 - TYPED_MAX);
  return { ...ui, prompt: undefined, typed: text.trim() ? [...others, { kind, text }] : ui.typed };
}
/** What was typed at such a prompt before, further back (1) or less (-1). */
function recall(ui: Ui, prompt: Prompt, by: 1 | -1): Ui {
  const before = ui.typed.filter(t => t.kind === prompt.kind);
  const back = Math.max(0, Math.min(before.length, prompt.back + by));
  return { ...ui, prompt: { ...prompt, back, text: back === 0 ? '' : before.at(-back)!.text } };
}

function* answer(ui: Ui, world: World, { kind, text }: Prompt, watch: Watch): Task<Ui> {
  const words = text.trim();
  switch (kind) {
    case 'goto':
      return words ? goTo(ui, world, words) : ui;
    case 'search':
      return words ? yield* searchOn(1)({ ...ui, search: words }, world, watch) : ui;
    case 'filter':
      return { ...ui, filter: words, message: undefined };
    case 'bookmark':
      return keep(ui, world, words);
    case 'break':
      return toggleBreak(ui, world, words);
    case 'command':
      return yield* command(ui, world, words, watch);
  }
}
function keep(ui: Ui, world: World, words: string): Ui {
  const [, name = '', text = ''] = /^(\S+)\s*(.*)$/.exec(words) ?? [];
  if (!name) return note(ui, 'a bookmark needs a name');
  try {
    world.notes.put({ seq: ui.at.seq, name, text });
  } catch (error) {
    return note(ui, `${world.notes.file} cannot be written: ${reasonOf(error)}`, 'warning');
  }
  return note(ui, `'${name} is #${ui.at.seq}; kept in ${world.notes.file}`);
}

/** Commands of the debugger itself: name and what follows it. Every verb of the command line is one besides. */
const COMMANDS: Readonly<Record<string, (rest: string) => Action>> = {
  goto: rest => atOnce((ui, world) => goTo(ui, world, rest)),
  filter: rest =>
    change(ui => {
      ui.filter = rest;
    }),
  search: rest =>
    function* (ui, world, watch) {
      return rest ? yield* searchOn(1)({ ...ui, search: rest }, world, watch) : ui;
    },
  pane: rest =>
    change(ui => {
      const topic = TOPICS.find((t): t is Topic => t.startsWith(rest) && rest !== '');
      if (topic) ui.topic = topic;
      else ui.message = { text: `which pane? ${TOPICS.join(', ')}`, tone: 'warning' };
    }),
  break: rest => atOnce((ui, world) => toggleBreak(ui, world, rest)),
  unbreak: () => forgetBreaks,
  root: rest => underRoot(rest),
  bookmark: rest => atOnce((ui, world) => (ui.at.seq < 0 ? note(ui, 'no event is here') : keep(ui, world, rest))),
  copy: () => copy,
  keys: () => help,
  quit: () => quit,
};
const letters = (wanted: string, name: string): boolean => {
  let at = 0;
  for (const c of name) if (c === wanted[at]) at++;
  return at === wanted.length;
};
/** Commands whose names have the typed letters in their order, those that begin so first. */
export const candidates = (word: string, world: World): string[] =>
  [...Object.keys(COMMANDS), ...world.outside.verbs.map(v => v.name)]
    .filter(name => letters(word, name))
    .sort((a, b) => Number(b === word) - Number(a === word) || Number(b.startsWith(word)) - Number(a.startsWith(word)));
function complete(text: string, world: World): string {
  const [first] = candidates(text.trim(), world);
  return first && !text.includes(' ') ? `${first} ` : text;
}
function* command(ui: Ui, world: World, words: string, watch: Watch): Task<Ui> {
  if (/^[#@'\d]|^(start|end)$/.test(words)) return goTo(ui, world, words);
  const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(words) ?? [];
  if (!name) return ui;
  const [found] = candidates(name, world);
  if (!found) return note(ui, `no command is like ${name}; there are ${candidates('', world).join(' ')}`, 'warning');
  const own = COMMANDS[found];
  if (own) return yield* own(rest)(ui, world, watch);
  if (found !== name && world.outside.verbs.some(v => v.name === found && v.writes))
    return note(ui, `${found} writes files: type its whole name to mean it`, 'warning');
  return (yield* askVerb(ui, world, [found, ...shellWords(rest)], watch)).ui;
}
/** A command as it is typed behind ":". */
export const commandLine =
  (text: string): Action =>
  (ui, world, watch) =>
    command(ui, world, text, watch);
/** Words as a shell would take them apart: by spaces, but not within quotes. */
const shellWords = (text: string): string[] =>
  [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(m => m[1] ?? m[2] ?? m[3]!);
