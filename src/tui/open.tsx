/** Opens the debugger on a recording and the terminal, and gives the terminal back when it ends. */

import type { WriteStream } from 'node:tty';
import { render } from 'ink';
import type { Source } from '../recording/source.js';
import type { Position } from '../state/position.js';
import { App, type Drawn } from './app.js';
import { Desk } from './desk.js';
import type { Notes } from './notes.js';
import { Painter, Rows } from './screen/painter.js';
import { Terminal } from './screen/terminal.js';
import { depthOf } from './screen/theme.js';
import { initial } from './state.js';
import { World } from './world.js';

/**
 * Shows `source` from position `at` on until the user quits. Needs a terminal on stdin and stdout.
 * @throws what went wrong inside, after the terminal was given back
 */
export async function openDebugger(source: Source, at: Position, notes: Notes): Promise<void> {
  const rows = new Rows(depthOf(process.env));
  const listeners = new Set<() => void>();
  let count = 0;
  const drawn: Drawn = {
    subscribe: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    count: () => count,
  };
  const draw = (): void => {
    count++;
    for (const listener of listeners) listener();
    if (desk.ui.quit) app.unmount();
  };
  const resized = (): void => {
    painter.resize(terminal.size);
    desk.resize(terminal.size);
  };
  const terminal = new Terminal(process.stdout as WriteStream, resized, () => {});
  const painter = new Painter(rows, terminal.size, text => terminal.write(text));
  const world = new World(source, notes);
  const desk = new Desk(initial(at, source.count, terminal.size), world, draw);
  terminal.enter();
  const app = render(<App desk={desk} drawn={drawn} rows={rows} />, {
    stdout: painter as unknown as NodeJS.WriteStream,
    stdin: process.stdin,
    debug: true, // whole frames, at once: painter.ts
    exitOnCtrlC: false,
    patchConsole: false,
  });
  try {
    void desk.work();
    await app.waitUntilExit();
  } finally {
    terminal.close();
  }
}
