/**
 * The recording as a strip: how many events, and which, in each part; where one is; marks (◆), notes (●), keyframes (·), events that
 * break a rule (✗) and the end of the run (■). One column is an equal share of the events shown.
 */
import { KIND } from '../../events/kinds.js';
import { type Line, line, type Span, span } from '../screen/text.js';
import type { Ui } from '../state.js';
import type { World } from '../world.js';

const BARS = ' ▁▂▃▄▅▆▇█';
const TABLES = ['pte', 'adopt', 'release'] as const;
const HOST = ['call', 'batch', 'entry', 'trap', 'interrupt'] as const;
/** Columns that span less than a chunk are counted event by event; more chunks than this would take too long to decode. */
const DECODE_MAX = 4;

interface Column {
  tables: number;
  host: number;
  all: number;
}

export function timelineLines(ui: Ui, world: World, width: number): Line[] {
  const { from, to } = ui.window;
  const columns = density(ui, world, width);
  const most = Math.max(1, ...columns.map(c => c.tables));
  const mostHost = Math.max(1, ...columns.map(c => c.host));
  const bar = (n: number, max: number): string => BARS[n === 0 ? 0 : 1 + Math.floor((7 * n) / max)] ?? '█';
  const columnOf = (seq: number): number => Math.floor(((seq - from) * width) / Math.max(1, to - from));
  const marks: Span[] = Array.from({ length: width }, () => span(' '));
  const put = (seq: number, text: string, style: Span['style']): void => {
    const n = columnOf(seq);
    if (seq >= from && seq < to && n >= 0 && n < width) marks[n] = span(text, style);
  };
  for (const keyframe of world.source.keyframes) put(keyframe.seq, '·', 'dim');
  if (world.last >= 0 && world.event(world.last).kind === 'end') put(world.last, '■', 'warning');
  for (const { seq } of world.broken) put(seq, '✗', 'warning');
  for (const note of world.notes.all) put(note.seq, '●', 'key');
  if (ui.mark !== undefined) put(ui.mark, '◆', 'changed');
  put(Math.max(0, ui.at.seq), '▲', 'warning');
  return [
    line(...columns.map(c => span(bar(c.tables, most), 'added'))),
    line(...columns.map(c => span(bar(c.host, mostHost), 'removed'))),
    line(...marks),
  ];
}

/** Events by column. Whole chunks are spread evenly, but where the window is so small that they can be counted. */
function density(ui: Ui, world: World, width: number): Column[] {
  const { source } = world;
  const { from, to } = ui.window;
  const columns = Array.from({ length: width }, (): Column => ({ tables: 0, host: 0, all: 0 }));
  if (source.count === 0) return columns;
  const each = (to - from) / width;
  const [first, last] = [source.chunkOf(Math.max(0, from)), source.chunkOf(Math.min(source.count, to) - 1)];
  if (last - first < DECODE_MAX) {
    const [tables, host] = [new Set(TABLES.map(k => KIND[k])), new Set(HOST.map(k => KIND[k]))];
    for (let n = first; n <= last; n++) {
      const block = source.chunk(n);
      for (let i = Math.max(0, from - block.first); i < block.count && block.first + i < to; i++) {
        const column = columns[Math.floor((block.first + i - from) / each)];
        if (!column) continue;
        column.all++;
        if (tables.has(block.kind[i]!)) column.tables++;
        if (host.has(block.kind[i]!)) column.host++;
      }
    }
    return columns;
  }
  for (let n = first; n <= last; n++) {
    const chunk = source.chunks[n]!;
    const sum = (kinds: readonly (keyof typeof KIND)[]): number =>
      kinds.reduce((s, k) => s + chunk.counts[KIND[k]]!, 0);
    const [tables, host] = [sum(TABLES), sum(HOST)];
    const begin = Math.max(0, Math.floor((chunk.first - from) / each));
    const end = Math.min(width, Math.max(begin + 1, Math.ceil((chunk.first + chunk.count - from) / each)));
    for (let c = begin; c < end; c++) {
      const column = columns[c]!;
      column.tables += tables / (end - begin);
      column.host += host / (end - begin);
      column.all += chunk.count / (end - begin);
    }
  }
  return columns;
}
