/** What is shown, and how much of it: focus, zoom, topics, marks, the strip. */
import { asFrame } from '../../base/brand.js';
import { parseHex } from '../../base/u64.js';
import { SPACES, type Space } from '../../events/kinds.js';
import { KERNEL, PANES, type PaneId, type SpaceView, sameView, TOPICS, type Topic, viewText } from '../state.js';
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
/** The moment and the tables to compare with; at the same ones again: no longer. */
export const mark = change(ui => {
  const { seq } = ui.at;
  if (ui.mark === seq && sameView(ui.markView, ui.view)) {
    ui.mark = undefined;
    ui.message = { text: 'no longer compared', tone: 'note' };
  } else {
    ui.mark = seq;
    ui.markView = { ...ui.view };
    ui.message = {
      text: `marked ${seq < 0 ? 'start' : `#${seq}`}, ${viewText(ui.view)}: the address space is compared with it`,
      tone: 'note',
    };
  }
});
/** Other tables in the space pane: of the kernel, of user space, shadow, master, host; as far as the recording has them. */
export const nextView = change((ui, { source }) => {
  const views = (SPACES as readonly Space[])
    .filter(space => source.lexicon.paging[space] !== undefined)
    .flatMap((space): SpaceView[] =>
      space === 'guest'
        ? [KERNEL, { space, role: 'user', root: undefined }]
        : [{ space, role: 'kernel', root: undefined }],
    );
  const n = views.findIndex(v => sameView(v, ui.view));
  ui.view = { ...(views[(n + 1) % Math.max(1, views.length)] ?? KERNEL) };
  ui.expanded = undefined;
  ui.message = { text: `shows ${viewText(ui.view)}`, tone: 'note' };
});
/** The tables under a root by its frame, such as another process's; without one those of the loaded root. */
export const underRoot = (text: string): Action =>
  change(ui => {
    const frame = text === '' ? undefined : parseHex(text);
    if (text !== '' && (frame === undefined || frame > 0xffff_ffffn)) {
      ui.message = { text: `${text}: a frame number is 1 to 8 hex digits`, tone: 'warning' };
      return;
    }
    ui.view = { ...ui.view, root: frame === undefined ? undefined : asFrame(Number(frame)) };
    ui.expanded = undefined;
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
