/**
 * Text as the debugger draws it: lines of spans, each with a style by its meaning. A line is made to fit before it is
 * drawn, and whatever a guest put into it is harmless by then.
 */
import { harmless } from '../../events/text.js';

/** What a piece of text means; the theme says how that looks. Shape says the same without colour. */
export type Style =
  | 'plain'
  | 'dim'
  | 'bold'
  | 'title'
  | 'focused' // title of the pane that has the keys
  | 'selected' // the line under the cursor
  | 'added'
  | 'removed'
  | 'changed'
  | 'warning'
  | 'symbol'
  | 'key';

export interface Span {
  readonly text: string;
  readonly style: Style;
}
/** One row of a pane. `fill` styles the whole row, to its end. */
export interface Line {
  readonly spans: readonly Span[];
  readonly fill?: Style;
}
/** The lines of a pane. An array is one; where there are thousands, those that are looked at are made then. */
export interface Lines {
  readonly length: number;
  slice(from?: number, to?: number): readonly Line[];
}
/** `length` lines, each made by `line` when it is looked at. */
export const linesMade = (length: number, line: (n: number) => Line): Lines => ({
  length,
  slice: (from = 0, to = length) =>
    Array.from({ length: Math.max(0, Math.min(to, length) - from) }, (_, n) => line(from + n)),
});

export const span = (text: string, style: Style = 'plain'): Span => ({ text, style });
export const line = (...parts: readonly (string | Span)[]): Line => ({
  spans: parts.map(p => (typeof p === 'string' ? span(p) : p)),
});
export const filled = (fill: Style, ...parts: readonly (string | Span)[]): Line => ({ ...line(...parts), fill });
export const textOf = ({ spans }: Line): string => spans.map(s => s.text).join('');

/** Text in lines of at most `width` columns, broken between words where it can be; what goes on is indented. */
export function wrapped(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  for (let rest of text.split('\n')) {
    while (rest.length > Math.max(width, indent.length + 1)) {
      const space = rest.lastIndexOf(' ', width);
      const end = space > width / 2 ? space : width;
      lines.push(rest.slice(0, end));
      rest = indent + rest.slice(end).trimStart();
    }
    lines.push(rest);
  }
  return lines;
}

/** Exactly `width` columns: cut with an ellipsis, or filled with spaces. Every character is one column wide by then. */
export function fitLine({ spans, fill }: Line, width: number): Line {
  const fitted: Span[] = [];
  let left = width;
  for (const { text, style } of spans) {
    if (left === 0) break;
    const safe = oneColumn(text);
    const cut = safe.length <= left ? safe : `${safe.slice(0, left - 1)}…`;
    fitted.push({ text: cut, style });
    left -= cut.length;
  }
  if (left > 0) fitted.push(span(' '.repeat(left)));
  return fill ? { spans: fitted, fill } : { spans: fitted };
}
/** The few characters beyond ASCII that the debugger itself draws with; all are one column wide. */
const OURS = /[^\x20-\x7e…│─▏▎▍▌▋▊▉█▁▂▃▄▅▆▇▲▼◆●○▸▾·→←↑↓✗■’“”]/g;
const oneColumn = (text: string): string => text.replace(OURS, c => harmless(c).slice(0, 4));
