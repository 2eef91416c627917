/**
 * What Ink lays out, painted. Ink measures and styles every cell it is given, which takes tens of milliseconds for a full
 * screen; so it is given two letters for each row of a pane, as if that were all there is of it, and the row itself, ready
 * made, is put there afterwards; a blank stands between panes beside each other. (Letters, since Ink looks at every other
 * character ten times as long.) Only lines that differ from what is on the screen are written, in one piece.
 */
import { EventEmitter } from 'node:events';
import { fitLine, type Line } from './text.js';
import { type Depth, render } from './theme.js';

/** Printable ASCII without the blank. */
const FIRST = 0x21;
const LETTERS = 94;
/** More rows than two frames have: Terminal sees to that. */
const ROWS_MAX = LETTERS * LETTERS;
/** Letters for a row. */
export const ROW_LETTERS = 2;
/** Panes beside each other. */
const COLUMNS_MAX = 2;

/** Rows that the panes of the coming frame hand over, each against the letters that stand for it. */
export class Rows {
  private rows: string[] = [];
  private readonly ids = new Map<string, number>();
  readonly depth: Depth;

  constructor(depth: Depth) {
    this.depth = depth;
  }
  /** Before the rows of a frame are put, all of them: the letters of an earlier one may get a new meaning. */
  begin(): void {
    if (this.rows.length < ROWS_MAX / 2) return;
    this.rows = [];
    this.ids.clear();
  }
  /** The letters that stand for a row in Ink's layout. */
  put(line: Line, width: number): string {
    const text = render(fitLine(line, width), this.depth);
    let id = this.ids.get(text);
    if (id === undefined) {
      id = this.rows.length;
      this.rows.push(text);
      this.ids.set(text, id);
    }
    return String.fromCharCode(FIRST + Math.floor(id / LETTERS), FIRST + (id % LETTERS));
  }

  /** A line of Ink's with the rows in their places. */
  fill(inked: string): string {
    const out: string[] = [];
    for (let at = 0; at < inked.length; at += ROW_LETTERS)
      out.push(this.rows[(inked.charCodeAt(at) - FIRST) * LETTERS + inked.charCodeAt(at + 1) - FIRST] ?? '');
    return out.join(' ');
  }
}

const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';

/** A stream for Ink to write whole frames to, which paints them on the real one. */
export class Painter extends EventEmitter {
  readonly isTTY = true;
  private readonly bulk: Rows;
  private readonly out: (text: string) => void;
  private size: { columns: number; rows: number };
  private shown: string[] = [];
  /** Bytes written for the last frame, and how many frames: for benchmarks. */
  readonly stats = { frames: 0, bytes: 0 };

  constructor(rows: Rows, size: { columns: number; rows: number }, out: (text: string) => void) {
    super();
    this.bulk = rows;
    this.size = size;
    this.out = out;
  }
  /** Ink's: letters that stand for rows. */
  get columns(): number {
    return COLUMNS_MAX * ROW_LETTERS;
  }
  /** One more than there are: at a full screen Ink would clear the terminal before each frame. */
  get rows(): number {
    return this.size.rows + 1;
  }
  resize(size: { columns: number; rows: number }): void {
    this.size = size;
    this.shown = [];
    this.emit('resize');
  }
  write(frame: string): boolean {
    const lines = frame.replace(/\n$/, '').split('\n');
    let out = '';
    for (let y = 0; y < this.size.rows; y++) {
      const text = this.bulk.fill(lines[y] ?? '');
      if (this.shown[y] === text) continue;
      this.shown[y] = text;
      out += `\x1b[${y + 1};1H${text}\x1b[K`;
    }
    if (out) this.out(`${BEGIN}${out}${END}`);
    this.stats.frames++;
    this.stats.bytes += out.length;
    return true;
  }
}
