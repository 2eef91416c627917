/** What is shown, and how much of it: focus, zoom, topics, marks, the strip. */
import { PANES, type PaneId, TOPICS, type Topic } from '../state.js';
import { type Action, change } from './action.js';

export const focusNext = (by: 1 | -1): Action =>
  change(ui => {
    const n = PANES.indexOf(ui.focus);
    ui.focus = PANES[(n + by + PANES.length) % PANES.length]!;
  });
export const focusOn = (pane: PaneId): Action =>
  change(ui => {
    ui.focus = pane;
  });
export const zoom = change(ui => {
  ui.zoomed = !ui.zoomed;
});
export const showTopic = (topic: Topic): Action =>
  change(ui => {
    ui.topic = topic;
    ui.scroll.detail = { cursor: 0, top: 0 };
  });
export const nextTopic = (by: 1 | -1): Action =>
  change(ui => {
    const n = TOPICS.indexOf(ui.topic);
    ui.topic = TOPICS[(n + by + TOPICS.length) % TOPICS.length]!;
    ui.scroll.detail = { cursor: 0, top: 0 };
  });
/** The moment to compare with; at the same moment again: no longer. */
export const mark = change(ui => {
  const { seq } = ui.at;
  if (ui.mark === seq) {
    ui.mark = undefined;
    ui.message = { text: 'no longer compared', tone: 'note' };
  } else {
    ui.mark = seq;
    ui.message = { text: `marked #${seq}: the address space is compared with this moment`, tone: 'note' };
  }
});
export const help = change(ui => {
  ui.help = !ui.help;
  ui.scroll.detail = { cursor: 0, top: 0 };
});
export const quit = change(ui => {
  ui.quit = true;
});
/** The strip shows half as much, or twice, around the position. */
export const scale = (factor: number): Action =>
  change((ui, { source }) => {
    const width = Math.max(16, Math.min(source.count || 1, Math.round((ui.window.to - ui.window.from) * factor)));
    const from = Math.max(0, Math.min(ui.at.seq - Math.floor(width / 2), source.count - width));
    ui.window = { from, to: from + width };
  });
/** The cursor of the focused pane, for panes that are lists of their own. */
export const scroll = (by: number): Action =>
  change(ui => {
    const pane = ui.scroll[ui.focus];
    pane.cursor = Math.max(0, pane.cursor + by);
  });
