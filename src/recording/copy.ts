/**
 * A recording again in another file, with more detail: everything of the main stream as it is, chunk for chunk, so that
 * positions and the hash of what happened stay the same; the detail stream anew.
 */
import { rmSync } from 'node:fs';
import type { Work } from '../base/work.js';
import { BLOCK_BYTES, type Block, blockOver } from '../events/block.js';
import { Log } from '../events/log.js';
import { Scribe, type Summary } from './scribe.js';
import type { Source } from './source.js';
import { partsOf } from './writer.js';

/** Stacks a frame of the file. */
const STACKS = 1024;

/**
 * Writes the copy to `path`, which is overwritten.
 * @param config settings that the copy has besides
 * @param details gives the detail stream, in order: sets `log.anchor!.before` and writes each entry
 * @throws Trouble when the file cannot be written; it is removed then, as when the work is given up
 */
export function* copyRecording(
  source: Source,
  path: string,
  config: Readonly<Record<string, string>>,
  details: (log: Log) => Work<void>,
): Work<Summary> {
  const { version: _, ...header } = source.header;
  const scribe = new Scribe(path, { ...header, config: { ...header.config, ...config } });
  let whole = false;
  try {
    scribe.lexicon(source.lexicon);
    scribe.symbols(source.symbols);
    copyStacks(source, scribe);
    yield* copyMain(source, scribe);
    const swap = (full: Block): Block => {
      scribe.block('detail', full);
      return full;
    };
    const log = new Log({ swap }, blockOver(new ArrayBuffer(BLOCK_BYTES)), { before: 0 });
    yield* details(log);
    log.flush();
    const summary = scribe.close();
    whole = true;
    return summary;
  } finally {
    if (!whole) {
      scribe.abort();
      rmSync(path, { force: true });
    }
  }
}

/** They are numbered from 1 without a gap, and none is empty. */
function copyStacks(source: Source, scribe: Scribe): void {
  for (let first = 1; ; first += STACKS) {
    const stacks: bigint[][] = [];
    for (let id = first; id < first + STACKS && source.stack(id).length > 0; id++) stacks.push([...source.stack(id)]);
    if (stacks.length > 0) scribe.stacks(first, stacks);
    if (stacks.length < STACKS) return;
  }
}

/** Checkpoints stand before the chunk that follows them. */
function* copyMain(source: Source, scribe: Scribe): Work<void> {
  let checkpoint = 0;
  const checkpointsUpTo = (seq: number): void => {
    for (; checkpoint < source.checkpoints.length && source.checkpoints[checkpoint]!.seq <= seq; checkpoint++)
      for (const part of partsOf({ ...source.checkpoints[checkpoint]!, ...source.checkpoint(checkpoint) }))
        scribe.memory(part);
  };
  for (const [n, info] of source.chunks.entries()) {
    scribe.block('main', source.chunk(n));
    checkpointsUpTo(info.first + info.count);
    yield { done: info.first + info.count, total: source.count };
  }
  checkpointsUpTo(Number.POSITIVE_INFINITY);
}
