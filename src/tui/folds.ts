/** Folding: an event that is folded hides everything that happened inside it, at any depth. */
import { type Block, causeAt } from '../events/block.js';
import type { Ui } from './state.js';
import type { World } from './world.js';

/** Causes are earlier events, so a chain ends; a hostile one is cut here. */
const CHAIN_MAX = 64;
/** Effects follow their cause closely: a fold mark looks at so many events. */
const NEAR = 4;

export const isFolded = (ui: Ui, seq: number): boolean => ui.folded !== ui.unlike.includes(seq);
/** False while every event is shown. */
export const anyFolded = (ui: Ui): boolean => ui.folded || ui.unlike.length > 0;

/** The outermost folded event that `cause`, or what that happened inside, is; -1 for none. */
export function foldOver(ui: Ui, world: World, cause: number): number {
  let outermost = -1;
  for (let n = 0, at = cause; at >= 0 && n < CHAIN_MAX; n++) {
    if (isFolded(ui, at)) outermost = at;
    const next = world.event(at).cause;
    if (next >= at) break;
    at = next;
  }
  return outermost;
}
export const isHidden = (ui: Ui, world: World, block: Block, i: number): boolean =>
  anyFolded(ui) && foldOver(ui, world, causeAt(block, i)) >= 0;

/** Whether something happened inside the event, as far as is seen right behind it. */
export function hasEffects(world: World, seq: number): boolean {
  for (let at = seq + 1; at <= Math.min(world.last, seq + NEAR); at++) if (world.event(at).cause === seq) return true;
  return false;
}
