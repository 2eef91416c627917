/** A debugger without a terminal: keys in, the text of the panes out. */
import { openRecording } from '../../src/recording/reader.js';
import { Desk } from '../../src/tui/desk.js';
import { bottom } from '../../src/tui/frame.js';
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
  /** The lines of each pane, by its name, and the line at the bottom. */
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
      const panes = layoutOf(desk.ui).map(({ pane, width, height }) => [
        pane,
        desk
          .linesOf(pane)
          .slice(0, height)
          .map(l => textOf(fitLine(l, width)).trimEnd()),
      ]);
      return { ...Object.fromEntries(panes), bottom: [textOf(bottom(desk))] };
    },
    close: () => source.close(),
  };
}

/** Numbers from a seed (xorshift32); a test that fails prints its seed. */
export function* random(seed: number): Generator<number, never> {
  for (let x = seed | 1; ; ) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}
export const SEED = Number(process.env.REWALK_SEED ?? 2026);
