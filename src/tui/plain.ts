/**
 * The debugger at a prompt: the same keys and commands, a line each, and text out. For screen readers, dumb terminals and
 * pipes. A line is the name of a key (j, n, pagedown), or a command as behind ":"; an empty one repeats the last.
 */
import { createInterface } from 'node:readline';
import { lineOf } from '../events/text.js';
import type { Source } from '../recording/source.js';
import { formatPosition, type Position } from '../state/position.js';
import { commandLine, PROMPTS } from './actions/prompt.js';
import { Desk } from './desk.js';
import { follow } from './follow.js';
import { bindingOf, bindingsOf } from './keys.js';
import type { Notes } from './notes.js';
import type { Outside } from './outside.js';
import { textOf } from './screen/text.js';
import { initial, type PaneId, type Ui } from './state.js';
import { World } from './world.js';

/** Wide enough for every pane to have its place; lines are not cut. */
const SIZE = { columns: 160, rows: 60 };
const PROMPT = 'rewalk> ';

export async function openPlain(
  source: Source,
  at: Position,
  notes: Notes,
  outside: Outside,
  options: { readonly follow: boolean },
): Promise<void> {
  const say = (text: string): boolean => process.stdout.write(`${text}\n`);
  const world = new World(source, notes, outside);
  let failure: { readonly error: unknown } | undefined;
  const desk = new Desk(
    initial(at, source.count, SIZE),
    world,
    () => {},
    error => {
      failure = { error };
    },
  );
  const unfollow = options.follow ? follow(desk) : () => {};
  const settled = async (): Promise<void> => {
    while (!desk.settled && !failure) await new Promise(resolve => setTimeout(resolve, 2));
    if (failure) throw failure.error;
  };
  const paneText = (pane: PaneId): void => {
    for (const line of desk.linesOf(pane).slice()) say(textOf(line).trimEnd());
  };

  const interactive = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    ...(interactive && { output: process.stdout }),
    prompt: PROMPT,
  });
  let last = '';
  try {
    say(
      `${source.header.system}/${source.header.guest}: ${source.count} events. A key or a command a line; ? lists keys, q quits.`,
    );
    say(placeText(desk.ui, world));
    if (interactive) lines.prompt();
    for await (const typed of lines) {
      const before = desk.ui;
      const text = typed.trim() === '' && !before.prompt ? last : typed.trim();
      if (!before.prompt) last = text;
      const binding = before.prompt ? undefined : bindingOf(text, before.focus);
      if (before.prompt) {
        desk.ui = { ...before, prompt: { ...before.prompt, text: before.prompt.text + text } };
        desk.enqueue('enter');
      } else if (binding) desk.enqueue(text);
      else if (text) desk.enqueue(commandLine(text));
      void desk.work();
      await settled();
      const { ui } = desk;
      if (ui.quit) break;
      if (ui.help) {
        for (const b of bindingsOf(ui.focus)) say(`${b.keys.join(' ')}: ${b.does}`);
        desk.ui = { ...ui, help: false };
      } else if (ui.prompt) say(`${PROMPTS[ui.prompt.kind].trim()}?`);
      else {
        if (ui.message) say(ui.message.text);
        if (ui.at !== before.at || !ui.message) say(placeText(ui, world));
        if (ui.answer !== before.answer || ui.topic !== before.topic || binding?.shows === 'detail') paneText('detail');
        else if (binding?.shows === 'focused') paneText(ui.focus);
        else if (ui.at !== before.at) for (const t of world.notes.at(ui.at.seq)?.text.split('\n') ?? []) say(t);
      }
      if (interactive) lines.prompt();
    }
  } finally {
    unfollow();
    lines.close();
  }
}

const placeText = ({ at }: Ui, world: World): string => {
  if (at.seq < 0) return 'start';
  const event = lineOf(world.event(at.seq), world.source.lexicon);
  return at.sub === undefined ? event : `${formatPosition(at)}, after ${event}`;
};
