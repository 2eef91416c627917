/**
 * A run that goes on while its recording is looked at: its console can be typed into. Keys go to the guest as it is now,
 * wherever in the recording one stands; what it prints comes back at once, and into the recording by and by.
 */
import { Sheet } from '../base/teletype.js';
import { type Action, atOnce, change, note } from './actions/action.js';
import { type Line, line, span } from './screen/text.js';

const LINES_KEPT = 2000;

export class Live {
  /** What it printed, as one would see it. */
  readonly sheet = new Sheet(LINES_KEPT);
  /** Counts what changed. */
  version = 0;
  /** The run is over. */
  over = false;
  /** Hears of every change. */
  changed: () => void = () => {};
  /** Sends characters to the guest, one a byte. */
  readonly type: (bytes: string) => void;

  constructor(type: (bytes: string) => void) {
    this.type = type;
  }
  printed(bytes: string): void {
    this.sheet.write(bytes);
    this.version++;
    this.changed();
  }
  ended(): void {
    this.over = true;
    this.version++;
    this.changed();
  }
  /** The sheet as lines of a pane, the cursor shown. */
  lines(): Line[] {
    const { lines, row, column } = this.sheet;
    return lines.map((text, n) =>
      n === row && !this.over
        ? line(text.slice(0, column).padEnd(column), span(text[column] ?? ' ', 'selected'), text.slice(column + 1))
        : line(text),
    );
  }
}

export const LEAVE = 'C-]';
/** Begins to type. */
export const beginTyping = atOnce((ui, { outside: { live } }) => {
  if (!live) return note(ui, 'nothing runs here that could be typed into: rewalk record --watch --kernel ...');
  if (live.over) return note(ui, 'the run is over: nothing reads any more');
  const scroll = { ...ui.scroll, detail: { cursor: Number.MAX_SAFE_INTEGER, top: 0 } };
  return { ...ui, typing: true, topic: 'console', focus: 'detail', help: false, message: undefined, scroll };
});
/** Keys belong to the debugger again. */
export const leaveTyping: Action = change((ui, { outside: { live } }) => {
  ui.typing = false;
  if (live?.over) ui.message = { text: 'the run is over', tone: 'note' };
});

const SEQUENCES: Readonly<Record<string, string>> = {
  enter: '\r',
  tab: '\t',
  escape: '\x1b',
  backspace: '\x7f',
  space: ' ',
  up: '\x1b[A',
  down: '\x1b[B',
  right: '\x1b[C',
  left: '\x1b[D',
  home: '\x1b[H',
  end: '\x1b[F',
  pageup: '\x1b[5~',
  pagedown: '\x1b[6~',
};
/** What a terminal sends for a key, one character a byte. */
export function bytesOf(key: string): string {
  const control = /^C-([@-_a-z])$/.exec(key)?.[1];
  if (control !== undefined) return String.fromCharCode(control.charCodeAt(0) & 0x1f);
  return SEQUENCES[key] ?? Buffer.from(key, 'utf8').toString('latin1');
}
/** A key while the guest is typed into. */
export const typeKey = (key: string): Action =>
  key === LEAVE
    ? leaveTyping
    : atOnce((ui, { outside: { live } }) => {
        live?.type(bytesOf(key));
        return ui;
      });
