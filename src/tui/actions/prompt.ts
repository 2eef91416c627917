/** What is typed at the bottom line: a position, a search, a filter, a bookmark, a command. */
import type { Work } from '../../base/work.js';
import { type Prompt, TOPICS, type Topic, type Ui } from '../state.js';
import type { World } from '../world.js';
import { type Action, atOnce, change, note } from './action.js';
import { help, quit } from './look.js';
import { goTo, searchOn } from './move.js';

export const ask = (kind: Prompt['kind']): Action =>
  change(ui => {
    ui.prompt = { kind, text: '' };
    ui.message = undefined;
  });
export const bookmark: Action = function* (ui, world) {
  if (ui.at.seq < 0) return note(ui, 'nothing has happened yet that a bookmark could name');
  return yield* ask('bookmark')(ui, world);
};

const TEXT_MAX = 500;
/** A key while something is typed. */
export function* typed(ui: Ui, world: World, key: string): Work<Ui> {
  const { prompt } = ui;
  if (!prompt) return ui;
  const text = (to: string): Ui => ({ ...ui, prompt: { ...prompt, text: to.slice(0, TEXT_MAX) } });
  switch (key) {
    case 'escape':
    case 'C-c':
      return { ...ui, prompt: undefined };
    case 'enter':
      return yield* answer({ ...ui, prompt: undefined }, world, prompt);
    case 'backspace':
      return prompt.text === '' ? { ...ui, prompt: undefined } : text(prompt.text.slice(0, -1));
    case 'C-u':
      return text('');
    case 'tab':
      return prompt.kind === 'command' ? text(complete(prompt.text)) : ui;
    default:
      return key.length === 1 && key >= ' ' ? text(prompt.text + key) : ui;
  }
}

function* answer(ui: Ui, world: World, { kind, text }: Prompt): Work<Ui> {
  const words = text.trim();
  switch (kind) {
    case 'goto':
      return words ? goTo(ui, world, words) : ui;
    case 'search':
      return words ? yield* searchOn(1)({ ...ui, search: words }, world) : ui;
    case 'filter':
      return { ...ui, filter: words, message: undefined };
    case 'bookmark':
      return keep(ui, world, words);
    case 'command':
      return yield* command(ui, world, words);
  }
}
function keep(ui: Ui, world: World, words: string): Ui {
  const [, name = '', text = ''] = /^(\S+)\s*(.*)$/.exec(words) ?? [];
  if (!name) return note(ui, 'a bookmark needs a name');
  world.notes.put({ seq: ui.at.seq, name, text });
  return note(ui, `'${name} is #${ui.at.seq}; kept in ${world.notes.file}`);
}

/** Commands: name and what follows it. */
const COMMANDS: Readonly<Record<string, (rest: string) => Action>> = {
  goto: rest => atOnce((ui, world) => goTo(ui, world, rest)),
  filter: rest =>
    change(ui => {
      ui.filter = rest;
    }),
  search: rest =>
    function* (ui, world) {
      return yield* searchOn(1)({ ...ui, search: rest }, world);
    },
  show: rest =>
    change(ui => {
      const topic = TOPICS.find((t): t is Topic => t.startsWith(rest) && rest !== '');
      if (topic) ui.topic = topic;
      else ui.message = { text: `show what? ${TOPICS.join(', ')}`, tone: 'warning' };
    }),
  help: () => help,
  quit: () => quit,
};
const letters = (wanted: string, name: string): boolean => {
  let at = 0;
  for (const c of name) if (c === wanted[at]) at++;
  return at === wanted.length;
};
/** Commands whose names have the typed letters in their order, those that begin so first. */
export const candidates = (word: string): string[] =>
  Object.keys(COMMANDS)
    .filter(name => letters(word, name))
    .sort((a, b) => Number(b.startsWith(word)) - Number(a.startsWith(word)));
function complete(text: string): string {
  const [first] = candidates(text.trim());
  return first && !text.includes(' ') ? `${first} ` : text;
}
function* command(ui: Ui, world: World, words: string): Work<Ui> {
  if (/^[#@'\d]|^(start|end)$/.test(words)) return goTo(ui, world, words);
  const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(words) ?? [];
  if (!name) return ui;
  const [found] = candidates(name);
  if (!found) return note(ui, `no command is like ${name}; there are ${Object.keys(COMMANDS).join(', ')}`, 'warning');
  return yield* COMMANDS[found]!(rest)(ui, world);
}
