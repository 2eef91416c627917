/** Where the panes are. Wide screens have two columns, narrow ones show fewer panes; an enlarged pane has everything. */
import type { PaneId, Ui } from './state.js';

export interface Place {
  readonly pane: PaneId;
  /** Of the pane's lines, without its title. */
  readonly width: number;
  readonly height: number;
  /** 0: across the screen, 1 and 2: left and right. */
  readonly column: 0 | 1 | 2;
}

/** From this width on there are two columns. */
export const WIDE = 110;
const TITLE = 1;
const BOTTOM = 1;
const STRIP = 3;
/** A screen too small for anything is treated as one of this size. */
const SMALLEST = { columns: 20, rows: 8 };

export function layoutOf({ size, zoomed, focus }: Ui): readonly Place[] {
  const columns = Math.max(SMALLEST.columns, size.columns);
  const rows = Math.max(SMALLEST.rows, size.rows) - BOTTOM;
  if (zoomed) return [{ pane: focus, width: columns, height: rows - TITLE, column: 0 }];
  const strip: Place = { pane: 'timeline', width: columns, height: STRIP, column: 0 };
  const rest = rows - TITLE - STRIP;
  if (columns < WIDE) {
    // The list, and below it the pane that has the keys, or the one that follows.
    const below = focus === 'registers' || focus === 'space' ? focus : 'detail';
    const upper = Math.max(2, Math.ceil(rest * 0.55) - TITLE);
    return [
      strip,
      { pane: 'events', width: columns, height: upper, column: 0 },
      { pane: below, width: columns, height: Math.max(1, rest - upper - 2 * TITLE), column: 0 },
    ];
  }
  const left = Math.floor(columns * 0.52);
  const right = columns - left - 1;
  const registers = Math.min(24, Math.floor(rest * 0.42));
  const events = Math.floor(rest * 0.6) - TITLE;
  return [
    strip,
    { pane: 'events', width: left, height: events, column: 1 },
    { pane: 'detail', width: left, height: rest - events - 2 * TITLE, column: 1 },
    { pane: 'registers', width: right, height: registers - TITLE, column: 2 },
    { pane: 'space', width: right, height: rest - registers - TITLE, column: 2 },
  ];
}
