/** What every verb does around its question: open the file, understand positions, show progress, hear Ctrl-C. */
import { InvalidArgumentError } from 'commander';
import type { Frame, Vaddr } from '../base/brand.js';
import { asFrame, asVaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { parseHex } from '../base/u64.js';
import { drive, type Progress, type Watch, type Work } from '../base/work.js';
import { SPACES, type Space } from '../events/kinds.js';
import { openRecording } from '../recording/reader.js';
import type { Source } from '../recording/source.js';
import { flushOut } from './output.js';

/** Progress is shown only for what takes longer than this, and only to a terminal. */
const QUIET_MS = 500;
const REDRAW_MS = 100;

/** Runs something long with a progress line on stderr and Ctrl-C as cancellation. */
export async function watched<T>(what: string, run: (watch: Required<Watch>) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  const began = performance.now();
  let drawn = 0;
  const onProgress = ({ done, total }: Progress): void => {
    const now = performance.now();
    if (!process.stderr.isTTY || now - began < QUIET_MS || now - drawn < REDRAW_MS) return;
    drawn = now;
    process.stderr.write(`\r\x1b[K${what} ${total > 0 ? `${Math.floor((100 * done) / total)} %` : ''}`);
  };
  try {
    return await run({ signal: abort.signal, onProgress });
  } finally {
    process.removeListener('SIGINT', stop);
    if (drawn) process.stderr.write('\r\x1b[K');
  }
}
/** The same for work that is a generator. */
export const work = <T>(what: string, long: Work<T>): Promise<T> => watched(what, watch => drive(long, watch));

/** Opens a recording, says on stderr what is wrong with its end, and closes it after `use`. */
export async function withRecording(file: string, use: (source: Source) => Promise<number>): Promise<number> {
  const source = openRecording(file);
  try {
    if (source.damage)
      process.stderr.write(
        `rewalk: ${file}: damaged at byte ${source.damage.offset}: ${source.damage.reason}; using the ${source.count} events before it\n`,
      );
    return await use(source);
  } finally {
    source.close();
    flushOut();
  }
}

/** What a machine may have: see engine/layout.ts. */
const MEMORY_MAX = 2 ** 30;
/** Argument parsers for commander: their errors become usage errors. */
export function addressArgument(text: string): Vaddr {
  const value = parseHex(text);
  if (value === undefined) throw new InvalidArgumentError('an address is 1 to 16 hex digits, like ffffffff81000000.');
  return asVaddr(value);
}
export function frameArgument(text: string): Frame {
  const value = parseHex(text);
  if (value === undefined || value > 0xffff_fffen)
    throw new InvalidArgumentError('a frame number is 1 to 8 hex digits, like b1d89.');
  return asFrame(Number(value));
}
export function countArgument(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}
/** 64M, 1G, or bytes. */
export function memoryArgument(text: string): number {
  const [, digits, unit] = /^(\d{1,12})([KMG]?)i?B?$/i.exec(text) ?? [];
  const bytes = Number(digits) * { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[(unit ?? '').toUpperCase() as 'K']!;
  if (!(bytes > 0 && bytes % 4096 === 0 && bytes <= MEMORY_MAX))
    throw new InvalidArgumentError('memory is a size like 256M, in pages of 4K, at most 1G.');
  return bytes;
}
export function spaceArgument(text: string): Space {
  const found = SPACES.find((s): s is Space => s === text);
  if (!found) throw new InvalidArgumentError(`a space is one of ${SPACES.join(', ')}.`);
  return found;
}
/** Refuses an empty recording where a question needs at least one event. */
export function needEvents(source: Source): void {
  if (source.count === 0) throw new Trouble(`${source.name}: no events in this recording`);
}
