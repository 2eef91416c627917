/**
 * Places in a recording, as people write them:
 *
 *   #48211      after event 48211           start   before the first event
 *   #48211.37   after detail entry 37 of it  end     after the last event
 *   @12345678   before the first event with ticks >= N
 *   37%         that share of all events     'name   a bookmark
 */
import { Trouble } from '../base/trouble.js';
import type { Source } from '../recording/source.js';

/** After event `seq` (-1: before the first), and after entry `sub` (from 1) of the detail that follows it. */
export interface Position {
  readonly seq: number;
  readonly sub?: number;
}
/** Finds a bookmark by its name. */
export type Bookmarks = (name: string) => Position | undefined;
type Measured = Pick<Source, 'name' | 'count' | 'endTicks' | 'chunks' | 'chunk'>;

const range = (source: Measured): string =>
  source.count === 0 ? 'the recording has no events' : `the recording has events #0 to #${source.count - 1}`;

/** The first event with ticks >= n; source.count if there is none. */
export function seqAtTicks(source: Measured, n: number): number {
  const { chunks } = source;
  let lo = 0;
  let hi = chunks.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (chunks[mid]!.lastTicks < n) lo = mid + 1;
    else hi = mid;
  }
  if (lo === chunks.length) return source.count;
  const block = source.chunk(lo);
  let first = 0;
  let end = block.count;
  while (first < end) {
    const mid = (first + end) >>> 1;
    if (block.ticks[mid]! < n) first = mid + 1;
    else end = mid;
  }
  return block.first + first;
}

/**
 * What `text` means in this recording. Throws a Trouble of one line that says what the range is, or what can be written.
 * @param bookmarks finds 'names; without it there are none
 */
export function parsePosition(text: string, source: Measured, bookmarks?: Bookmarks): Position {
  const refuse = (why: string): never => {
    throw new Trouble(`${source.name}: position ${text.trim() || '(empty)'}: ${why}`);
  };
  const inRange = (p: Position): Position =>
    p.seq >= -1 && p.seq < source.count ? p : refuse(`out of range; ${range(source)}`);
  const word = text.trim();
  if (word === 'start') return { seq: -1 };
  if (word === 'end') return { seq: source.count - 1 };

  const event = /^#?(\d{1,15})(?:\.(\d{1,9}))?$/.exec(word);
  if (event) {
    const seq = Number(event[1]);
    return inRange(event[2] === undefined || Number(event[2]) === 0 ? { seq } : { seq, sub: Number(event[2]) });
  }
  const ticks = /^@(\d{1,15})$/.exec(word);
  if (ticks) {
    const seq = seqAtTicks(source, Number(ticks[1]));
    if (seq === source.count && Number(ticks[1]) > source.endTicks)
      refuse(`out of range; the recording has ticks @${source.chunks[0]?.firstTicks ?? 0} to @${source.endTicks}`);
    return { seq: seq - 1 };
  }
  const percent = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(word);
  if (percent) {
    const share = Number(percent[1]);
    if (share > 100) refuse('a share is from 0% to 100%');
    return { seq: Math.round((source.count * share) / 100) - 1 };
  }
  if (word.startsWith("'")) return inRange(bookmarks?.(word.slice(1)) ?? refuse('no bookmark of this name'));
  return refuse("not a position; write #48211, #48211.37, @12345678 (ticks), 37%, start, end or 'bookmark");
}

/** The position as people write it: `#48211`, `#48211.37`, `start`. */
export const formatPosition = ({ seq, sub }: Position): string =>
  seq < 0 && sub === undefined ? 'start' : sub === undefined ? `#${seq}` : `#${seq}.${sub}`;

/** Earlier first. */
export const comparePositions = (a: Position, b: Position): number => a.seq - b.seq || (a.sub ?? 0) - (b.sub ?? 0);
