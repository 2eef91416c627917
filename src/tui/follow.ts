/** A recording that grows while it is looked at: new events come in between two key presses, never within one. */
import { type Action, change } from './actions/action.js';
import type { Desk } from './desk.js';

const LOOK_MS = 300;

/** Takes in what is new. Whoever stood at the end stands at the new one; everybody else stays. */
const grow: Action = change((ui, { source }) => {
  const before = source.count;
  if (!source.refresh()) return;
  if (ui.window.to >= before) ui.window.to = Math.max(1, source.count);
  if (ui.at.seq === before - 1 && ui.at.sub === undefined) ui.at = { seq: source.count - 1 };
});

/** Looks at the file again and again; the result ends that. A writer that closed the file ends it too. */
export function follow(desk: Desk): () => void {
  const timer = setInterval(() => {
    if (desk.world.source.closed) clearInterval(timer);
    else if (desk.idle) desk.enqueue(grow, false);
  }, LOOK_MS);
  return () => clearInterval(timer);
}
