/** Where results go: text or NDJSON on stdout, everything else on stderr, colour only where a person looks. */
import { writeSync } from 'node:fs';

/** A closed pipe (`rewalk log ... | head`) is a reader who has seen enough: end quietly. */
export function onClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

/** True if stdout may carry colour: a terminal, and NO_COLOR unset; FORCE_COLOR=1 overrides the first. */
export const colourful = (): boolean =>
  !process.env.NO_COLOR &&
  (process.env.FORCE_COLOR === '1' || (process.stdout.isTTY === true && process.env.TERM !== 'dumb'));

type Paint = (s: string) => string;
const sgr =
  (code: string): Paint =>
  s =>
    colourful() ? `\x1b[${code}m${s}\x1b[0m` : s;
/** Few colours, told apart by the colour-blind; shape always says the same ( + - ~ ). */
export const paint = { dim: sgr('2'), bold: sgr('1'), blue: sgr('34'), orange: sgr('33') } as const;

/** Width of the terminal, 80 on a pipe where a width is needed, but lines are only cut for a terminal. */
export const columns = (): number => process.stdout.columns ?? 80;

/** Cuts a plain line to the terminal's width; pipes and files get everything. */
export function fit(line: string): string {
  if (!process.stdout.isTTY || line.length <= columns()) return line;
  return `${line.slice(0, Math.max(1, columns() - 1))}…`;
}

/** What was said and is not written yet: the first `used` bytes. */
const pending = Buffer.allocUnsafe(1 << 16);
let used = 0;

/** Writes a line to stdout, gathered into large writes. */
export function out(line: string): void {
  const most = 3 * line.length + 1; // as UTF-8
  makeRoom(most);
  if (most > pending.length) writeAll(Buffer.from(`${line}\n`));
  else {
    used += pending.write(line, used);
    pending[used++] = NEWLINE;
  }
}
/** The same of a line of ASCII, the first `length` of these bytes, cut to the terminal's width: for thousands of them. */
export function outBytes(bytes: Buffer, length: number): void {
  if (process.stdout.isTTY) out(fit(bytes.toString('latin1', 0, length)));
  else {
    makeRoom(length + 1);
    used += bytes.copy(pending, used, 0, length);
    pending[used++] = NEWLINE;
  }
}
const NEWLINE = 10;
function makeRoom(bytes: number): void {
  if (used + bytes > pending.length) flushOut();
}
/** One JSON object a line. */
export const json = (value: unknown): void => out(JSON.stringify(value));

/** Writes out what was gathered; blocks while the reader is slower than we are, so memory stays bounded. */
export function flushOut(): void {
  const bytes = pending.subarray(0, used);
  used = 0;
  writeAll(bytes);
}
function writeAll(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') process.exit(0);
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5); // a full non-blocking pipe: look again in 5 ms
    }
  }
}
