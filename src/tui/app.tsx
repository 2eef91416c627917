/**
 * The screen: panes in their places, a title above each, one line at the bottom. For Ink every pane is two letters wide, which
 * stand for its rows (screen/painter.ts): what it lays out is small, however large the terminal is.
 */
import { Box, type Instance, render } from 'ink';
import { type ReactElement, useSyncExternalStore } from 'react';
import type { Desk } from './desk.js';
import { bottom, paneLines } from './frame.js';
import { layoutOf, type Place } from './layout.js';
import type { Painter, Rows } from './screen/painter.js';
import { Bulk, RowsContext } from './screen/rows.js';

/** What React listens to: the desk draws by counting up. */
export interface Drawn {
  readonly subscribe: (listener: () => void) => () => void;
  readonly count: () => number;
}

export function App({ desk, drawn, rows }: { desk: Desk; drawn: Drawn; rows: Rows }): ReactElement {
  useSyncExternalStore(drawn.subscribe, drawn.count);
  rows.begin();
  const { ui } = desk;
  const places = layoutOf(ui);
  const column = (n: Place['column']): ReactElement[] =>
    places.filter(p => p.column === n).map(p => <Pane key={p.pane} desk={desk} place={p} />);
  return (
    <RowsContext.Provider value={rows}>
      <Box flexDirection="column" height={ui.size.rows}>
        {column(0)}
        <Box flexDirection="row">
          <Box flexDirection="column">{column(1)}</Box>
          <Box flexDirection="column">{column(2)}</Box>
        </Box>
        <Bulk lines={[bottom(desk)]} width={ui.size.columns} height={1} />
      </Box>
    </RowsContext.Provider>
  );
}

function Pane({ desk, place }: { desk: Desk; place: Place }): ReactElement {
  const { width, height } = place;
  const { title, lines } = paneLines(desk, place);
  return (
    <Box flexDirection="column">
      <Bulk lines={[title]} width={width} height={1} />
      <Bulk lines={lines} width={width} height={height} />
    </Box>
  );
}

/** Hands the screen to Ink. */
export const mount = (desk: Desk, drawn: Drawn, rows: Rows, painter: Painter): Instance =>
  render(<App desk={desk} drawn={drawn} rows={rows} />, {
    stdout: painter as unknown as NodeJS.WriteStream,
    stdin: process.stdin,
    debug: true, // whole frames, at once: painter.ts
    exitOnCtrlC: false,
    patchConsole: false,
  });
