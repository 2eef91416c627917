/**
 * Keys from what a terminal sends. Ink reads keys too, but takes sequences that it does not know for letters, hears only the
 * last of several control keys that come in one piece, and loses an Esc with another key close behind it.
 *
 *   ESC [ 5 ~       a control sequence: parameters, then one letter or ~ (ECMA-48, 5.4; xterm's ctlseqs, "PC-Style Function Keys")
 *   ESC O A         the same keys in application mode
 *   ESC [ 200 ~     from here to ESC [ 201 ~ is pasted (bracketed paste)
 *   ESC             itself, when nothing follows soon
 */

/** The rest of a sequence comes with its beginning, or very soon. */
const SOON_MS = 25;

const BY_LETTER: Readonly<Record<string, string>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  H: 'home',
  F: 'end',
};
const BY_NUMBER: Readonly<Record<string, string>> = {
  '1': 'home',
  '3': 'backspace', // delete
  '4': 'end',
  '5': 'pageup',
  '6': 'pagedown',
  '7': 'home',
  '8': 'end',
};
const BY_CODE: Readonly<Record<number, string>> = {
  8: 'backspace',
  9: 'tab',
  10: 'enter',
  13: 'enter',
  32: 'space',
  127: 'backspace',
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: sequences begin with one
const SEQUENCE = /^\x1b(?:\[([\x30-\x3f]*)[\x20-\x2f]*([\x40-\x7e])|O([\x40-\x7e]))/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what may still become a sequence
const BEGUN = /^\x1b(?:\[[\x20-\x3f]*|O)?$/;
/** Longer sequences are none; of a longer paste the rest is dropped. */
const SEQUENCE_MAX = 64;
const PASTE_MAX = 500;

/** The name of a character's key: itself, or C-a .. C-z, C-\\ .. C-_; undefined for those that nobody types. */
function nameOf(c: string): string | undefined {
  const code = c.codePointAt(0)!;
  const known = BY_CODE[code];
  if (known) return known;
  if (code >= 1 && code <= 26) return `C-${String.fromCharCode(0x60 + code)}`;
  if (code >= 28 && code <= 31) return `C-${String.fromCharCode(0x40 + code)}`;
  return code >= 0x20 && !(code >= 0x7f && code < 0xa0) ? c : undefined;
}

/** Takes what the terminal sends, in whatever pieces, and tells keys by their names, and what was pasted, on one line. */
export class Input {
  private readonly key: (name: string) => void;
  private readonly paste: (text: string) => void;
  private pending = '';
  private pasted: string | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(key: (name: string) => void, paste: (text: string) => void) {
    this.key = key;
    this.paste = paste;
  }
  take(text: string): void {
    clearTimeout(this.timer);
    let rest = this.pending + text;
    this.pending = '';
    while (rest !== '') {
      if (BEGUN.test(rest) && rest.length <= SEQUENCE_MAX) {
        this.pending = rest;
        this.timer = setTimeout(() => this.end(), SOON_MS);
        return;
      }
      rest = rest.slice(this.one(rest));
    }
  }
  /** What was pending is all there is. */
  private end(): void {
    const [, ...others] = this.pending;
    this.pending = '';
    this.key('escape');
    for (const c of others) this.character(c);
  }
  /** The first key of a text; gives how many characters it was. */
  private one(text: string): number {
    const [whole, parameters = '', letter = '', single = ''] = SEQUENCE.exec(text) ?? [];
    if (whole === undefined) {
      const [c = ''] = text;
      if (c === '\x1b') this.key('escape');
      else this.character(c);
      return c.length;
    }
    const number = parameters.split(';')[0]!;
    if (letter === '~' && number === '200') this.pasted = '';
    else if (letter === '~' && number === '201') {
      if (this.pasted) this.paste(this.pasted);
      this.pasted = undefined;
    } else {
      const name = letter === '~' ? BY_NUMBER[number] : BY_LETTER[letter || single];
      if (name && this.pasted === undefined && !/^[<=>?]/.test(parameters)) this.key(name);
    }
    return whole.length;
  }
  private character(c: string): void {
    const name = nameOf(c);
    if (name === undefined) return;
    if (this.pasted === undefined) this.key(name);
    else if (this.pasted.length < PASTE_MAX) this.pasted += name.length > 1 ? ' ' : c; // a line break ends no command
  }
}
