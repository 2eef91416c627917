/** A recording with full detail in a window: a copy of it, and what a re-run of the window gives besides. */
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { type Block, eventAt } from '../events/block.js';
import type { Log } from '../events/log.js';
import { copyRecording } from '../recording/copy.js';
import type { Summary } from '../recording/scribe.js';
import type { Source } from '../recording/source.js';
import { rerunDetail } from './rerun.js';

export interface Expanded extends Summary {
  /** Detail entries of the window. */
  readonly entries: number;
}

/** Where detail entry i stands: after this event. */
const anchorOf = (block: Block, i: number): number => block.first + block.back[i]! - 1;

/**
 * Writes `source` to `path` with the detail that follows events from .. to. Detail that it has elsewhere stays.
 * @throws Trouble when it has full detail already, cannot be run again, or the file cannot be written
 */
export function* expand(source: Source, from: number, to: number, path: string): Work<Expanded> {
  if (source.header.detail === 'full') throw new Trouble(`${source.name}: has full detail already`);
  let entries = 0;
  const keep = (log: Log, block: Block, first: number, last: number): void => {
    for (let i = 0; i < block.count; i++) {
      const after = anchorOf(block, i);
      if (after < first || after > last) continue;
      log.anchor!.before = after + 1;
      log.put({ ...eventAt(block, i), cause: -1 });
      entries++;
    }
  };
  const old = function* (log: Log, first: number, last: number): Work<void> {
    if (first > last) return;
    for (const block of source.details(first, last + 1)) {
      keep(log, block, first, last);
      yield { done: 0, total: 0 };
    }
  };
  const windows = [source.header.config.expanded, `#${from}..#${to}`].filter(w => w !== undefined).join(' ');
  const summary = yield* copyRecording(source, path, { expanded: windows }, function* (log) {
    yield* old(log, -1, from - 1);
    entries = 0;
    yield* rerunDetail(source, from, to + 1, block => keep(log, block, from, to));
    const fresh = entries;
    yield* old(log, to + 1, source.count - 1);
    entries = fresh;
  });
  return { ...summary, entries };
}
