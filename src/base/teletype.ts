/**
 * What a guest prints, character by character, for a terminal that must not obey it. Control sequences (ECMA-48) are taken
 * apart; those that put text somewhere on the screen may pass, and nothing else does: no modes, titles, clipboards, reports or
 * anything that makes a terminal answer.
 *
 *   CSI   ESC [ parameters intermediates final     30..3f, 20..2f, 40..7e
 *   OSC, DCS, SOS, PM, APC   ESC ] P X ^ _ text, ended by BEL or ESC \
 */

/** Text, a control character, or a control sequence with its parameters; what has no business here is left out. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'control'; readonly text: '\n' | '\r' | '\b' | '\t' | '\x07' }
  | {
      readonly kind: 'sequence';
      readonly final: string;
      readonly parameters: readonly number[];
      readonly text: string;
    };

const CONTROLS = new Set(['\n', '\r', '\b', '\t', '\x07']);
/** Moves of the cursor, erasing, inserting, deleting, colours. */
const SEQUENCES = new Set([...'ABCDEFGHJKLMPX@dfm']);
/** A longer sequence is none. */
const SEQUENCE_MAX = 64;
const PARAMETER_MAX = 9999;
/** What is no letter, mark, number, sign or space: controls, directions, what has no meaning. */
const UNSEEN = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

export class Teletype {
  private state: 'text' | 'escape' | 'sequence' | 'string' | 'string-escape' = 'text';
  private sequence = '';
  private readonly utf8 = new TextDecoder('utf-8');

  /** The pieces of a text, one character a byte. What is cut off in the midst of a sequence comes with the next text. */
  take(bytes: string): Piece[] {
    const pieces: Piece[] = [];
    let run = '';
    const flush = (): void => {
      const text = this.utf8.decode(Buffer.from(run, 'latin1'), { stream: true }).replace(UNSEEN, '\ufffd');
      run = '';
      if (text) pieces.push({ kind: 'text', text });
    };
    for (const c of bytes) {
      if (this.state === 'text' && c >= ' ' && c !== '\x7f') {
        run += c;
        continue;
      }
      if (run) flush();
      const piece = this.next(c);
      if (piece) pieces.push(piece);
    }
    if (run) flush();
    return pieces;
  }
  /** A character that is not plain text where it stands. */
  private next(c: string): Piece | undefined {
    switch (this.state) {
      case 'text':
        if (c === '\x1b') this.state = 'escape';
        return CONTROLS.has(c) ? ({ kind: 'control', text: c } as Piece) : undefined;
      case 'escape':
        this.state = c === '[' ? 'sequence' : ']PX^_'.includes(c) ? 'string' : c === '\x1b' ? 'escape' : 'text';
        this.sequence = '';
        return undefined;
      case 'sequence':
        return this.inSequence(c);
      case 'string':
        this.state = c === '\x07' ? 'text' : c === '\x1b' ? 'string-escape' : 'string';
        return undefined;
      case 'string-escape':
        this.state = c === '\\' ? 'text' : 'string';
        return undefined;
    }
  }
  private inSequence(c: string): Piece | undefined {
    if (c === '\x1b') {
      this.state = 'escape';
      return undefined;
    }
    if (c < '@' || c > '~') {
      this.sequence += c;
      if (c < ' ' || c > '~' || this.sequence.length > SEQUENCE_MAX) this.state = 'text';
      return undefined;
    }
    this.state = 'text';
    const { sequence } = this;
    if (!SEQUENCES.has(c) || !/^[\d;:]*$/.test(sequence)) return undefined;
    const parameters = sequence === '' ? [] : sequence.split(/[;:]/).map(p => Math.min(PARAMETER_MAX, Number(p)));
    return { kind: 'sequence', final: c, parameters, text: `\x1b[${sequence}${c}` };
  }
}

const LINE_MAX = 1000;
const TAB = 8;
/** Rows that the cursor can be put into: a console that says nothing of its size is taken to have 24. */
const PAGE = 24;

/** What was printed, as the lines one would see, the last ones; without colours. */
export class Sheet {
  /** At least one. */
  readonly lines: string[] = [''];
  column = 0;
  /** The line the cursor is in. */
  row = 0;
  private readonly teletype = new Teletype();
  private readonly kept: number;

  constructor(kept: number) {
    this.kept = kept;
  }
  write(bytes: string): void {
    for (const piece of this.teletype.take(bytes)) {
      if (piece.kind === 'text') this.put(piece.text);
      else if (piece.kind === 'control') this.control(piece.text);
      else this.obey(piece.final, piece.parameters);
    }
  }
  private get line(): string {
    return this.lines[this.row]!;
  }
  private set line(text: string) {
    this.lines[this.row] = text.slice(0, LINE_MAX);
  }
  private get top(): number {
    return Math.max(0, this.lines.length - PAGE);
  }
  private put(text: string): void {
    const before = this.line.slice(0, this.column).padEnd(this.column);
    this.line = before + text + this.line.slice(this.column + text.length);
    this.column = Math.min(LINE_MAX, this.column + text.length);
  }
  private control(c: string): void {
    if (c === '\r') this.column = 0;
    else if (c === '\b') this.column = Math.max(0, this.column - 1);
    else if (c === '\t') this.column = Math.min(LINE_MAX, this.column + TAB - (this.column % TAB));
    else if (c === '\n') {
      this.column = 0; // as a terminal's driver does (onlcr): early kernels and Xen send no \r
      this.goTo(this.row + 1);
    }
  }
  private goTo(row: number): void {
    this.row = Math.max(0, row);
    while (this.lines.length <= this.row) this.lines.push('');
    const over = this.lines.length - this.kept;
    if (over <= 0) return;
    this.lines.splice(0, over);
    this.row = Math.max(0, this.row - over);
  }
  private obey(final: string, parameters: readonly number[]): void {
    const [first = 0, second = 0] = parameters;
    const count = Math.max(1, first);
    const { line, column, row, top } = this;
    const rowAt = (n: number): number => top + Math.min(PAGE, Math.max(1, n)) - 1;
    switch (final) {
      case 'A':
      case 'F':
        this.goTo(Math.max(top, row - count));
        break;
      case 'B':
      case 'E':
        this.goTo(Math.min(top + PAGE - 1, row + count));
        break;
      case 'C':
        this.column = Math.min(LINE_MAX, column + count);
        break;
      case 'D':
        this.column = Math.max(0, column - count);
        break;
      case 'G':
        this.column = Math.min(LINE_MAX, count - 1);
        break;
      case 'd':
        this.goTo(rowAt(first));
        break;
      case 'H':
      case 'f':
        this.goTo(rowAt(first));
        this.column = Math.min(LINE_MAX, Math.max(1, second) - 1);
        break;
      case 'K':
        this.line =
          first === 0
            ? line.slice(0, column)
            : ' '.repeat(first === 1 ? column : 0) + (first === 1 ? line.slice(column) : '');
        break;
      case 'J':
        if (first === 0) {
          this.line = line.slice(0, column);
          this.lines.length = row + 1;
        } else for (let n = top; n < this.lines.length; n++) this.lines[n] = '';
        break;
      case 'P':
        this.line = line.slice(0, column) + line.slice(column + count);
        break;
      case '@':
        this.line = line.slice(0, column).padEnd(column) + ' '.repeat(Math.min(LINE_MAX, count)) + line.slice(column);
        break;
    }
    if (final === 'E' || final === 'F') this.column = 0;
  }
}
