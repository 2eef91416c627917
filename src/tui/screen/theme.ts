/** How each style looks, by what the terminal can do. Blue and orange instead of green and red: most colour-blind people tell them apart. */
import type { Line, Style } from './text.js';

/** 0 no colour at all, 16, 256, or 2^24 (true colour). */
export type Depth = 0 | 4 | 8 | 24;

/** SGR parameters of each style: without colour, with 16, with 256, with all. */
const LOOKS: Readonly<Record<Style, readonly [none: string, ansi16: string, ansi256: string, rgb: string]>> = {
  plain: ['', '', '', ''],
  dim: ['2', '2', '38;5;245', '38;2;138;138;138'],
  bold: ['1', '1', '1', '1'],
  title: ['4', '4', '4', '4'],
  focused: ['1;7', '1;7', '1;38;5;231;48;5;24', '1;38;2;255;255;255;48;2;0;80;130'],
  selected: ['7', '7', '48;5;238', '48;2;62;66;74'],
  added: ['', '94', '38;5;75', '38;2;90;170;255'],
  removed: ['', '33', '38;5;208', '38;2;255;145;50'],
  changed: ['1', '1', '1;38;5;222', '1;38;2;255;215;135'],
  warning: ['1', '1;33', '1;38;5;214', '1;38;2;255;175;0'],
  symbol: ['', '36', '38;5;109', '38;2;135;175;185'],
  key: ['1', '1;94', '1;38;5;75', '1;38;2;90;170;255'],
};
const COLUMN: Readonly<Record<Depth, number>> = { 0: 0, 4: 1, 8: 2, 24: 3 };

/**
 * How much colour to use. NO_COLOR wins over all, FORCE_COLOR over what the terminal says of itself.
 * Source: no-color.org; COLORTERM as terminals set it.
 */
export function depthOf(env: Readonly<Record<string, string | undefined>>): Depth {
  if (env.NO_COLOR) return 0;
  const forced: Readonly<Record<string, Depth>> = { '0': 0, '1': 4, '2': 8, '3': 24 };
  if (env.FORCE_COLOR && env.FORCE_COLOR in forced) return forced[env.FORCE_COLOR]!;
  if (env.TERM === 'dumb' || env.TERM === undefined) return 0;
  if (env.COLORTERM === 'truecolor' || env.COLORTERM === '24bit') return 24;
  return env.TERM.includes('256') ? 8 : 4;
}

/** A fitted line as text with escape sequences. */
export function render(line: Line, depth: Depth): string {
  const column = COLUMN[depth];
  const base = line.fill ? LOOKS[line.fill][column]! : '';
  let out = '';
  let now = '';
  for (const { text, style } of line.spans) {
    const own = LOOKS[style][column]!;
    const want = base && own ? `${base};${own}` : base || own;
    if (want !== now) out += want ? `\x1b[0;${want}m` : '\x1b[0m';
    now = want;
    out += text;
  }
  return now ? `${out}\x1b[0m` : out;
}
