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

const PENDING_BYTES = 1 << 16;
let pending: string[] = [];
let pendingBytes = 0;

/** Writes a line to stdout, gathered into large writes. */
export function out(line: string): void {
  pending.push(line, '\n');
  pendingBytes += line.length + 1;
  if (pendingBytes >= PENDING_BYTES) flushOut();
}
/** One JSON object a line. */
export const json = (value: unknown): void => out(JSON.stringify(value));

/** Writes out what was gathered; blocks while the reader is slower than we are, so memory stays bounded. */
export function flushOut(): void {
  const bytes = Buffer.from(pending.join(''));
  pending = [];
  pendingBytes = 0;
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
