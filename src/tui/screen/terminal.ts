/**
 * The terminal while the debugger has it: alternate screen, no cursor, keys one by one. Whatever way the program ends, the
 * terminal is as it was: on a return, on an error, on SIGINT, SIGTERM and SIGHUP.
 */
import type { WriteStream } from 'node:tty';

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J\x1b[?2004h';
const LEAVE = '\x1b[?2004l\x1b[?25h\x1b[?1049l\x1b[0m';
/** Larger ones are nobody's: what is beyond stays empty. */
const COLUMNS_MAX = 1000;
const ROWS_MAX = 1000;
const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;
const EXIT_BASE = 128;
const NUMBERS = { SIGTERM: 15, SIGHUP: 1, SIGINT: 2 } as const;

export class Terminal {
  private readonly out: WriteStream;
  private open = false;
  private readonly leave = (): void => this.close();
  private readonly killed = new Map<string, () => void>();
  private readonly onResize: () => void;

  /** @param beforeEnd what must be saved when a signal ends the program */
  constructor(out: WriteStream, onResize: () => void, beforeEnd: () => void) {
    this.out = out;
    this.onResize = onResize;
    for (const signal of SIGNALS)
      this.killed.set(signal, () => {
        beforeEnd();
        this.close();
        process.exit(EXIT_BASE + NUMBERS[signal]);
      });
  }
  get size(): { columns: number; rows: number } {
    return { columns: Math.min(this.out.columns || 80, COLUMNS_MAX), rows: Math.min(this.out.rows || 24, ROWS_MAX) };
  }
  enter(): void {
    this.open = true;
    this.out.write(ENTER);
    process.on('exit', this.leave);
    for (const [signal, end] of this.killed) process.on(signal, end);
    this.out.on('resize', this.onResize);
  }
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.out.write(LEAVE);
    process.removeListener('exit', this.leave);
    for (const [signal, end] of this.killed) process.removeListener(signal, end);
    this.out.removeListener('resize', this.onResize);
  }
  write(text: string): void {
    this.out.write(text);
  }
  /** To the shell (Ctrl-Z) and back. */
  suspend(resumed: () => void): void {
    this.out.write(LEAVE);
    process.once('SIGCONT', () => {
      this.out.write(ENTER);
      resumed();
    });
    process.kill(process.pid, 'SIGSTOP');
  }
}
