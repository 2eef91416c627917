/** Opens the debugger on a recording and the terminal, and gives the terminal back when it ends. */

import type { WriteStream } from 'node:tty';
import type { Instance } from 'ink';
import { Trouble } from '../base/trouble.js';
import type { Source } from '../recording/source.js';
import type { Position } from '../state/position.js';
import { note } from './actions/action.js';
import { paste } from './actions/prompt.js';
import type { Drawn } from './app.js';
import { Desk } from './desk.js';
import { follow } from './follow.js';
import { screenOf } from './frame.js';
import { mapsInThread } from './maps-thread.js';
import type { Notes } from './notes.js';
import type { Outside } from './outside.js';
import { Input } from './screen/input.js';
import { Painter, Rows } from './screen/painter.js';
import { Terminal } from './screen/terminal.js';
import { depthOf } from './screen/theme.js';
import { initial, type Ui } from './state.js';
import { World } from './world.js';

/** Keys that repeat come some 30 ms apart. */
const PATIENCE_MS = 50;

/**
 * Shows `source` from position `at` on until the user quits. Needs a terminal on stdin and stdout.
 * @throws what went wrong inside, after the terminal was given back, with where the notes are
 */
export async function openDebugger(
  source: Source,
  at: Position,
  notes: Notes,
  outside: Outside,
  options: { readonly follow: boolean },
): Promise<void> {
  const rows = new Rows(depthOf(process.env));
  const listeners = new Set<() => void>();
  let count = 0;
  let failure: { readonly error: unknown } | undefined;
  const drawn: Drawn = {
    subscribe: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    count: () => count,
  };
  const draw = (): void => {
    count++;
    // At once, and a tenth of Ink's time; Ink lays out the same behind it, and what is the same is not written again.
    if (!desk.ui.quit) painter.write(screenOf(desk, rows));
    for (const listener of listeners) listener();
    if (desk.ui.quit) app?.unmount();
  };
  const resized = (): void => {
    painter.resize(terminal.size);
    desk.resize(terminal.size);
  };
  const fail = (error: unknown): void => {
    failure ??= { error };
    app?.unmount();
  };
  const terminal = new Terminal(process.stdout as WriteStream, resized, () => {});
  const painter = new Painter(rows, terminal.size, text => terminal.write(text));
  const copy = (text: string): boolean => {
    terminal.write(`\x1b]52;c;${Buffer.from(text).toString('base64')}\x07`);
    return true;
  };
  const maps = mapsInThread(source);
  const world = new World(source, notes, { ...outside, copy }, maps);
  const desk: Desk = new Desk(welcome(initial(at, source.count, terminal.size), notes), world, draw, fail, PATIENCE_MS);
  const input = new Input(
    name => desk.press(name),
    text => desk.enqueue(paste(text)),
  );
  const hear = (text: string): void => input.take(text);
  terminal.enter();
  let app: Instance | undefined;
  let unfollow = (): void => {};
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  try {
    process.stdin.setRawMode(true);
    process.stdin.setEncoding('utf8').on('data', hear);
    painter.write(screenOf(desk, rows));
    const { mount } = await import('./app.js');
    app = mount(desk, drawn, rows, painter);
    if (desk.ui.quit) app.unmount();
    if (options.follow) unfollow = follow(desk);
    void desk.work();
    await app.waitUntilExit();
  } catch (error) {
    failure ??= { error };
  } finally {
    unfollow();
    maps.close();
    process.removeListener('uncaughtException', fail);
    process.removeListener('unhandledRejection', fail);
    process.stdin.removeListener('data', hear).pause();
    process.stdin.setRawMode(false);
    terminal.close();
  }
  if (failure) throw withNotes(failure.error, notes);
}

/** Says that there is a story, where there is one. */
const welcome = (ui: Ui, { all }: Notes): Ui =>
  ui.at.seq < 0 && all.length > 0
    ? note(ui, `${all.length} notes tell what happens here: n goes to the next   ? keys   q quit`)
    : ui;

/** Says where what the user wrote is; nothing of it is lost, since notes are written at once. */
function withNotes(error: unknown, notes: Notes): unknown {
  if (error instanceof Trouble) return error;
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const kept = notes.written ? `your notes are in ${notes.file}` : 'you wrote no notes';
  const told = new Error(`internal error: ${message}\n${kept}`);
  told.stack = told.message;
  return told;
}
