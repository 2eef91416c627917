/** The rows of a pane as Ink has them: two letters each, see painter.ts. */
import { Box, Text } from 'ink';
import { createContext, type ReactElement, useContext } from 'react';
import { ROW_LETTERS, type Rows } from './painter.js';
import { type Line, line } from './text.js';

export const RowsContext = createContext<Rows | undefined>(undefined);

interface Props {
  readonly lines: readonly Line[];
  readonly width: number;
  /** Rows of the pane; what is missing is empty, what is too much is not shown. */
  readonly height: number;
}
const EMPTY = line('');

export function Bulk({ lines, width, height }: Props): ReactElement | null {
  const rows = useContext(RowsContext);
  if (!rows || width < 1 || height < 1) return null;
  const marks = Array.from({ length: height }, (_, n) => rows.put(lines[n] ?? EMPTY, width));
  return (
    <Box width={ROW_LETTERS} height={height} flexShrink={0}>
      <Text>{marks.join('\n')}</Text>
    </Box>
  );
}
