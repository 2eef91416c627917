/** What a person sees of a run: what the guest prints, and how far it is, which never stands in its way. */
import { statSync } from 'node:fs';
import { Teletype } from '../base/teletype.js';
import type { Progress } from '../base/work.js';
import { harmless } from '../events/text.js';
import { flushOut, out } from './output.js';

/**
 * How the guest's console is shown: in lines, with control characters spelled out; as at a terminal, without the sequences that
 * do more than place text; just as it is; not at all.
 */
export type Show = 'lines' | 'terminal' | 'raw' | 'nothing';

const REDRAW_MS = 100;
const MILLION = 1e6;

export interface RunProgress extends Progress {
  readonly events: number;
}

export class RunScreen {
  private readonly show: Show;
  private readonly file: string;
  private readonly teletype = new Teletype();
  /** Nothing stands where the next line begins. */
  private atLineStart = true;
  private drawn = false;
  private last = { at: 0, done: 0, speed: 0 };

  /** @param file the recording */
  constructor(show: Show, file: string) {
    this.show = show;
    this.file = file;
  }
  /** For the recorder: whole lines. */
  get printed(): ((line: string) => void) | undefined {
    if (this.show !== 'lines') return undefined;
    return line => {
      this.clear();
      out(harmless(line.replace(/\r?\n$/, '')));
    };
  }
  /** For the recorder: what is printed, when it is. */
  get wrote(): ((text: string) => void) | undefined {
    if (this.show === 'raw') return text => this.write(Buffer.from(text, 'latin1'));
    if (this.show !== 'terminal') return undefined;
    return text =>
      this.write(
        this.teletype
          .take(text)
          .map(piece => piece.text)
          .join(''),
      );
  }
  private write(text: string | Buffer): void {
    if (text.length === 0) return;
    this.clear();
    this.atLineStart = text.at(-1) === '\n' || text.at(-1) === 10;
    process.stdout.write(text);
  }
  /** A word of our own, on a line of its own. */
  say(text: string): void {
    this.clear();
    process.stderr.write(`${this.atLineStart ? '' : '\r\n'}[rewalk: ${text}]\r\n`);
    this.atLineStart = true;
  }
  progress(p: RunProgress): void {
    flushOut();
    const now = performance.now();
    const { at, done, speed } = this.last;
    if (!process.stderr.isTTY || !this.atLineStart || now - at < REDRAW_MS) return;
    const mips = (p.done - done) / (now - at) / 1000;
    this.last = { at: now, done: p.done, speed: done === 0 || p.pause ? speed : 0.8 * speed + 0.2 * mips };
    const most = p.total < Number.MAX_SAFE_INTEGER ? ` of at most ${(p.total / MILLION).toFixed(0)}` : '';
    const size = (statSync(this.file, { throwIfNoEntry: false })?.size ?? 0) / MILLION;
    const how = p.pause ? 'the guest waits' : `${this.last.speed.toFixed(0)} MIPS`;
    const text = `${this.file}: ${(p.done / MILLION).toFixed(1)}${most} million ticks, ${how}, ${p.events} events, ${size.toFixed(1)} MB`;
    process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    this.drawn = true;
  }
  clear(): void {
    if (this.drawn) process.stderr.write('\r\x1b[K');
    this.drawn = false;
  }
  /** The run is over: what comes next begins on a line of its own. */
  close(): void {
    this.clear();
    flushOut();
    if (this.show === 'terminal' || this.show === 'raw') {
      if (process.stdout.isTTY) process.stdout.write(`\x1b[0m${this.atLineStart ? '' : '\r\n'}`);
      this.atLineStart = true;
    }
  }
}
