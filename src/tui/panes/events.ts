/**
 * The list of events around the position: nested by cause, filtered, as long as the pane is high. Nothing else is read, so
 * ten million events scroll as a hundred do.
 */
import { hex16 } from '../../base/u64.js';
import type { Work } from '../../base/work.js';
import type { Event } from '../../events/kinds.js';
import { eventText } from '../../events/text.js';
import { findEvent } from '../../state/find.js';
import { symbolText } from '../../views/symbols.js';
import { shown } from '../actions/move.js';
import { anyFolded, hasEffects, isFolded } from '../folds.js';
import { filled, type Line, line, type Span, span } from '../screen/text.js';
import type { Ui } from '../state.js';
import type { World } from '../world.js';

/** Deeper nesting is drawn like this one. */
const DEPTH_MAX = 8;
/** The position stays this far from the edges of the pane, as in an editor. */
const SHARE_ABOVE = 0.4;

/** Events to show in `height` rows: those before the position, it, those after. */
export function* eventsAround(ui: Ui, world: World, height: number): Work<number[]> {
  const { seq } = ui.at;
  const { source } = world;
  const above = Math.floor(height * SHARE_ABOVE);
  if (!ui.filter && !anyFolded(ui)) {
    const first = Math.max(-1, Math.min(seq - above, source.count - height));
    return Array.from({ length: Math.min(height, source.count - first) }, (_, n) => first + n);
  }
  const match = shown(ui, world);
  const list = [seq];
  for (let n = 0; n < above; n++) {
    const found: number = yield* findEvent(source, list[0]! - 1, -1, match);
    if (found < 0) break;
    list.unshift(found);
  }
  while (list.length < height) {
    const found: number = yield* findEvent(source, list.at(-1)! + 1, 1, match);
    if (found < 0) break;
    list.push(found);
  }
  return list;
}

export function eventLines(ui: Ui, world: World, list: readonly number[]): Line[] {
  const { at } = ui;
  return list.flatMap(seq => {
    const here = seq === at.seq && at.sub === undefined;
    const row = seq < 0 ? [span('start', 'dim'), span('  before the first event', 'dim')] : eventRow(world, seq, ui);
    const parts = [span(here ? '▸' : ' ', 'key'), ...row];
    const shown = here ? filled('selected', ...parts) : line(...parts);
    return seq === at.seq && at.sub !== undefined ? [shown, ...instructionLines(ui, world)] : [shown];
  });
}
/** Instructions of the stretch between two events that the position is in: those around it. */
const INSTRUCTIONS_AROUND = 3;
function instructionLines({ at }: Ui, world: World): Line[] {
  const list = world.stretches.get(at.seq)?.list ?? [];
  const n = list.findIndex(i => i.sub === at.sub);
  if (n < 0) return [filled('selected', span('▸', 'key'), span(` #${at.seq}.${at.sub}`, 'dim'))];
  return list.slice(Math.max(0, n - INSTRUCTIONS_AROUND), n + INSTRUCTIONS_AROUND + 1).map(i => {
    const here = i.sub === at.sub;
    const parts = [
      span(here ? '▸' : ' ', 'key'),
      span(` #${at.seq}.${i.sub} `, 'dim'),
      span(`step to ${hex16(i.pc)} `),
      span(symbolText(world.source.symbols, i.pc), 'symbol'),
    ];
    return here ? filled('selected', ...parts) : line(...parts);
  });
}

const COLOUR: Readonly<Partial<Record<Event['kind'], Span['style']>>> = {
  console: 'changed',
  trap: 'warning',
  end: 'warning',
  pte: 'added',
  adopt: 'added',
  release: 'removed',
  call: 'bold',
  batch: 'bold',
  regs: 'dim',
  total: 'dim',
  typecount: 'dim',
};
function eventRow(world: World, seq: number, ui: Ui): Span[] {
  const e = world.event(seq);
  const depth = Math.min(DEPTH_MAX, depthOf(world, e));
  const marked = ui.mark === seq ? '◆' : world.notes.at(seq) ? '●' : ' ';
  const text = eventText(e, world.source.lexicon);
  const [kind, rest] = [text.slice(0, e.kind.length), text.slice(e.kind.length)];
  return [
    span(`${marked}${String(seq).padStart(String(world.source.count).length)} `, 'dim'),
    span('  '.repeat(depth)),
    span(anyFolded(ui) && isFolded(ui, seq) && hasEffects(world, seq) ? '▸ ' : ''),
    span(kind, COLOUR[e.kind] ?? 'plain'),
    span(rest, e.kind === 'regs' ? 'dim' : 'plain'),
  ];
}
/** How many events this one happened inside. */
function depthOf(world: World, e: Event): number {
  let depth = 0;
  for (let at = e; at.cause >= 0 && at.cause < at.seq && depth < DEPTH_MAX; depth++) at = world.event(at.cause);
  return depth;
}
