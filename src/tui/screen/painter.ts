/**
 * What Ink lays out, painted. Ink measures and styles every cell it is given, which takes tens of milliseconds for a full
 * screen; so it is given one character of the private use area for each row of a pane, and the row itself, ready made,
 * is put there afterwards. Only lines that differ from what is on the screen are written, in one piece.
 */
import { EventEmitter } from 'node:events';
import { fitLine, type Line } from './text.js';
import { type Depth, render } from './theme.js';

/** U+E000 .. U+F8FF: as many rows as a frame can have. */
const FIRST = 0xe000;
const ROWS_MAX = 0x1900;

interface Row {
  readonly text: string;
  readonly width: number;
}
/** Rows that the panes of the coming frame hand over, each against the character that stands for it. */
export class Rows {
  private rows: Row[] = [];
  private readonly ids = new Map<string, number>();
  readonly depth: Depth;

  constructor(depth: Depth) {
    this.depth = depth;
  }
  /** The character that stands for a row in Ink's layout. The same row has the same one as long as there is room. */
  put(line: Line, width: number): string {
    const text = render(fitLine(line, width), this.depth);
    const key = `${width}:${text}`;
    let id = this.ids.get(key);
    if (id === undefined) {
      if (this.rows.length >= ROWS_MAX) this.forget();
      id = this.rows.length;
      this.rows.push({ text, width });
      this.ids.set(key, id);
    }
    return String.fromCharCode(FIRST + id);
  }
  /** Everything handed over so far is drawn anew by whoever still shows it. */
  private forget(): void {
    this.rows = [];
    this.ids.clear();
    this.generation++;
  }
  /** Counts up when characters get a new meaning: panes that kept theirs must put their rows again. */
  generation = 0;

  /** A line of Ink's with the rows in their places. */
  fill(inked: string): string {
    let out = '';
    for (let at = 0; at < inked.length; at++) {
      const row = this.rows[inked.charCodeAt(at) - FIRST];
      if (!row) {
        out += inked[at];
        continue;
      }
      out += row.text;
      for (let n = 1; n < row.width && inked[at + 1] === ' '; n++) at++; // the room Ink kept for it
    }
    return out;
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
  get columns(): number {
    return this.size.columns;
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
  /** The whole screen is painted again with the next frame. */
  repaint(): void {
    this.shown = [];
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
