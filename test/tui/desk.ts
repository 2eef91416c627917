/** A debugger without a terminal: keys in, the text of the panes out. */
import { openRecording } from '../../src/recording/reader.js';
import { Desk } from '../../src/tui/desk.js';
import { layoutOf } from '../../src/tui/layout.js';
import { Notes } from '../../src/tui/notes.js';
import type { Outside } from '../../src/tui/outside.js';
import { fitLine, textOf } from '../../src/tui/screen/text.js';
import { initial } from '../../src/tui/state.js';
import { World } from '../../src/tui/world.js';

export interface Session {
  readonly desk: Desk;
  /** Presses keys, one after the other, and waits until everything is shown. */
  press(...keys: string[]): Promise<void>;
  /** The lines of each pane, by its name. */
  screen(): Record<string, string[]>;
  close(): void;
}

export async function openSession(
  file: string,
  size = { columns: 160, rows: 50 },
  at = -1,
  outside?: Outside,
): Promise<Session> {
  const source = openRecording(file);
  const world = new World(source, Notes.of(file, source.count), outside);
  const desk = new Desk(initial({ seq: at }, source.count, size), world, () => {});
  await desk.work();
  return {
    desk,
    async press(...keys) {
      for (const key of keys) desk.press(key);
      while (!desk.settled) await new Promise(resolve => setImmediate(resolve));
    },
    screen() {
      return Object.fromEntries(
        layoutOf(desk.ui).map(({ pane, width, height }) => [
          pane,
          desk
            .linesOf(pane)
            .slice(0, height)
            .map(l => textOf(fitLine(l, width)).trimEnd()),
        ]),
      );
    },
    close: () => source.close(),
  };
}
