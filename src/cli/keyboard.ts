/**
 * What is typed while a guest runs, from stdin. At a terminal every key goes to the guest at once, but for two: Ctrl-C ends the
 * recording, as everywhere in rewalk, and Ctrl-] (telnet's and xl console's way out) says what the next key means. Lines from a
 * pipe wait until the guest waits and has read the one before: nobody sees a prompt there, and a line that comes too early is
 * thrown away by many a program.
 */
import { fstatSync, readFileSync } from 'node:fs';

/** Where the keys come from: a person at a terminal, a pipe or file, or a debugger that has a person's keys. */
export type Hand = 'terminal' | 'pipe' | 'debugger';

const CTRL_C = '\x03';
const ESCAPE = '\x1d'; // Ctrl-]
export const ESCAPE_HELP = 'c sends Ctrl-C to the guest, ] sends Ctrl-], q ends the recording';
/** Who knows what comes next needs no help. */
const HELP_MS = 600;
/** As much as is kept of what was typed ahead. */
const AHEAD_MAX = 2 ** 20;
const LINE_MAX = 1024;
const FIRST_MS = 200;

/** Who could type here: a terminal that is ours to read, a pipe, nobody. */
export function handAt(stdin: { readonly isTTY?: boolean }): 'terminal' | 'pipe' | undefined {
  if (stdin.isTTY) return isForeground() ? 'terminal' : undefined;
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isSocket() || stat.isFile() ? 'pipe' : undefined;
  } catch {
    return undefined; // closed
  }
}
/** A job in the background is stopped when it reads from its terminal. /proc/self/stat: pid (name) state ppid pgrp session tty tpgid. */
function isForeground(): boolean {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[2] === fields[5];
  } catch {
    return true; // no Linux
  }
}

/** A Typist (session/typist.ts). */
export class Keyboard {
  private readonly hand: Hand;
  private readonly stop: () => void;
  private readonly say: (text: string) => void;
  private ahead = '';
  private over = false;
  /** The escape character came last. */
  private escaped = false;
  private help: NodeJS.Timeout | undefined;
  private wake: (() => void) | undefined;
  private readonly heard = (data: Buffer): void => this.hear(data.toString('latin1'));
  private readonly ended = (): void => {
    this.over = true;
    if (this.hand === 'debugger') this.stop(); // it is gone, and nobody can end the run
    this.wake?.();
  };
  private readonly continued = (): void => {
    process.stdin.setRawMode(true);
  };

  /**
   * @param stop ends the recording
   * @param say tells the person something
   */
  constructor(hand: Hand, stop: () => void, say: (text: string) => void) {
    this.hand = hand;
    this.stop = stop;
    this.say = say;
  }
  /** Hears from now on. What a pipe has already, is there when this is settled. */
  async open(): Promise<void> {
    const { stdin } = process;
    if (this.hand === 'terminal') {
      stdin.setRawMode(true);
      process.on('SIGCONT', this.continued);
    }
    stdin.on('data', this.heard);
    stdin.on('end', this.ended);
    stdin.on('error', this.ended);
    if (this.hand === 'pipe') await this.pause(FIRST_MS);
  }
  /** The terminal is as it was, and nothing is read any more. */
  close(): void {
    const { stdin } = process;
    clearTimeout(this.help);
    this.over = true;
    stdin.removeListener('data', this.heard);
    stdin.removeListener('end', this.ended);
    stdin.pause();
    if (this.hand !== 'terminal') {
      stdin.destroy();
      return;
    }
    process.removeListener('SIGCONT', this.continued);
    stdin.setRawMode(false);
  }

  next(reads: boolean): string | undefined {
    const { ahead } = this;
    if (ahead === '') return this.over ? undefined : '';
    if (this.hand !== 'pipe') return ahead;
    if (!reads) return '';
    const end = ahead.indexOf('\n');
    return ahead.slice(0, Math.min(end < 0 ? ahead.length : end + 1, LINE_MAX));
  }
  taken(count: number): void {
    this.ahead = this.ahead.slice(count);
    if (this.ahead.length < AHEAD_MAX) process.stdin.resume();
  }
  pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.wake?.(), ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
    });
  }
  /** Whoever pauses looks around. */
  nudge(): void {
    this.wake?.();
  }

  private hear(text: string): void {
    this.ahead += this.hand === 'terminal' ? [...text].map(key => this.key(key)).join('') : text;
    if (this.ahead.length >= AHEAD_MAX) process.stdin.pause();
    this.wake?.();
  }
  /** What a key of the terminal is for the guest. */
  private key(key: string): string {
    if (this.escaped) return this.afterEscape(key);
    if (key === CTRL_C) {
      this.stop();
      return '';
    }
    if (key !== ESCAPE) return key;
    this.escaped = true;
    this.help = setTimeout(() => this.say(ESCAPE_HELP), HELP_MS);
    return '';
  }
  private afterEscape(key: string): string {
    this.escaped = false;
    clearTimeout(this.help);
    if (key === 'c' || key === CTRL_C) return CTRL_C;
    if (key === ']' || key === ESCAPE) return ESCAPE;
    if (key === 'q' || key === '.') this.stop();
    else this.say(ESCAPE_HELP);
    return '';
  }
}
