/**
 * What is on the screen, as lines: each pane under its title, and the line at the bottom. Ink lays the panes out (app.tsx) and
 * hears the keys. The same screen is put together here without it: loading Ink takes longer than opening a recording, and
 * its layout of a large screen longer than everything else that a key does.
 */
import { formatPosition } from '../state/position.js';
import { candidates, PROMPTS } from './actions/prompt.js';
import type { Desk } from './desk.js';
import { bindingsOf } from './keys.js';
import { layoutOf, type Place } from './layout.js';
import type { Rows } from './screen/painter.js';
import { filled, type Line, line, span } from './screen/text.js';
import { PANES, type PaneId, type Ui, viewText } from './state.js';
import type { World } from './world.js';

/** The lines of a pane and its title, exactly as many as it has room for. */
export function paneLines(desk: Desk, place: Place): { readonly title: Line; readonly lines: readonly Line[] } {
  const { ui } = desk;
  const { pane, height } = place;
  const helping = ui.help && pane === ui.focus;
  const all = helping ? helpLines(pane) : desk.linesOf(pane);
  const top = topOf(ui, pane, all.length, height);
  const shown = all.slice(top, top + height);
  const follows =
    !helping && pane !== 'events' && pane !== 'timeline' && pane !== 'registers' && pane === ui.focus && !ui.typing;
  const cursor = ui.scroll[pane].cursor - top;
  const lines = follows
    ? shown.map((l, n) => (n === Math.min(cursor, shown.length - 1) ? { ...l, fill: 'selected' as const } : l))
    : shown;
  return {
    title: title(
      ui,
      pane,
      desk,
      all.length > height ? `${top + 1}-${Math.min(all.length, top + height)}/${all.length}` : '',
    ),
    lines,
  };
}
/** The first line shown: so that the cursor is in sight. */
function topOf(ui: Ui, pane: PaneId, count: number, height: number): number {
  if (pane === 'events' || pane === 'timeline') return 0;
  const cursor = Math.min(ui.scroll[pane].cursor, Math.max(0, count - 1));
  return Math.max(0, Math.min(cursor - Math.floor(height / 2), count - height));
}

const NAMES: Readonly<Record<PaneId, string>> = {
  timeline: 'recording',
  events: 'events',
  registers: 'registers',
  space: 'address space',
  detail: '',
};
function title(ui: Ui, pane: PaneId, desk: Desk, range: string): Line {
  const { source } = desk.world;
  const extra: Readonly<Record<PaneId, string>> = {
    timeline: ` ${source.header.system}/${source.header.guest}  ${source.count} events  ${source.endTicks} ticks`,
    events: `${ui.filter ? `  only: ${ui.filter}` : ''}${ui.folded ? '  folded' : ''}${ui.breaks.length > 0 ? `  ${ui.breaks.length} breaks` : ''}`,
    registers: '',
    space: `  ${viewText(ui.view)}${ui.mark === undefined ? '' : `  against ${ui.mark < 0 ? 'start' : `#${ui.mark}`}`}`,
    detail: ui.help && ui.focus === pane ? 'keys' : ui.typing ? 'console, live' : ui.topic,
  };
  const text = `${PANES.indexOf(pane) + 1} ${NAMES[pane]}${extra[pane]}`;
  return filled(pane === ui.focus ? 'focused' : 'title', text, span(range ? `  ${range}` : '', 'dim'));
}
const helpLines = (pane: PaneId): Line[] =>
  bindingsOf(pane).map(b => line(span(`  ${b.keys.join(' ')}`.padEnd(18), 'key'), b.does));

/** What the typed letters can become, and what the first of it does. */
function hintOf(word: string, world: World): string {
  const names = candidates(word, world);
  const summary = world.outside.verbs.find(v => v.name === names[0])?.summary;
  return `${names.join(' ')}${summary ? `   ${names[0]}: ${summary}` : ''}`;
}
export function bottom({ ui, progress, world }: Desk): Line {
  if (ui.typing) return line(span('typing into the guest  ', 'key'), span('Ctrl-] back to the debugger', 'dim'));
  if (ui.prompt) {
    const { kind, text } = ui.prompt;
    const hint = kind === 'command' && text ? `   ${hintOf(text.split(' ')[0]!, world)}` : '';
    return line(span(PROMPTS[kind], 'key'), text, span('▏', 'bold'), span(hint, 'dim'));
  }
  if (progress)
    return line(span(`${progress.what} ${Math.floor(100 * progress.share)} %  `, 'changed'), span('Esc stops', 'dim'));
  const at = ui.at.seq < 0 ? 'start' : `${formatPosition(ui.at)} @${world.event(ui.at.seq).ticks}`;
  if (ui.message)
    return line(span(`${at}  `, 'bold'), span(ui.message.text, ui.message.tone === 'warning' ? 'warning' : 'plain'));
  return line(span(`${at}  `, 'bold'), span(ui.shell, 'dim'), span(ui.shell ? '' : '? keys   q quit', 'dim'));
}

/** The whole screen as Ink would hand it over: rows that stand for panes' lines, and the bottom line. */
export function screenOf(desk: Desk, rows: Rows): string {
  rows.begin();
  const { ui } = desk;
  const places = layoutOf(ui);
  const texts = (column: Place['column']): string[] =>
    places
      .filter(p => p.column === column)
      .flatMap(place => {
        const { title, lines } = paneLines(desk, place);
        const shown = Array.from({ length: place.height }, (_, n) => lines[n] ?? line(''));
        return [title, ...shown].map(l => rows.put(l, place.width));
      });
  const [across, left, right] = [texts(0), texts(1), texts(2)];
  const beside = left.map((text, n) => text + (right[n] ?? ''));
  return [...across, ...beside, rows.put(bottom(desk), ui.size.columns)].join('\n');
}
