/**
 * Makes a recording: the machine's owner gets a log for its events and hands over whatever else belongs in the file.
 *
 *   const recording = createRecording('boot.rewalk', header, { thread: true });
 *   recording.lexicon(words);
 *   ... recording.log.open(KIND.pte, ...) ...
 *   recording.close();
 */
import { assert } from '../base/assert.js';
import { PAGE_BYTES } from '../base/brand.js';
import { BLOCK_BYTES, type Block, blockOver } from '../events/block.js';
import type { Lexicon } from '../events/lexicon.js';
import { Log } from '../events/log.js';
import { StackNumbers } from '../events/stacks.js';
import { MEMORY_FRAMES } from './envelopes.js';
import { threadedDesk } from './ring.js';
import { type HeaderGiven, type PagesGiven, Scribe, type Stream, type Summary } from './scribe.js';
import type { Symbol as NamedRange } from './source.js';

/** The way from the logs to the file: in place, or through a ring to a worker. */
export interface Desk {
  /** Empty blocks to begin with. */
  readonly first: Readonly<Record<Stream, Block>>;
  /** Takes a full block and returns an empty one. */
  swap(stream: Stream, full: Block): Block;
  tail(block: Block): void;
  lexicon(lexicon: Lexicon): void;
  symbols(symbols: readonly NamedRange[]): void;
  stacks(first: number, stacks: readonly (readonly bigint[])[]): void;
  memory(pages: PagesGiven): void;
  close(): Summary;
  abort(): void;
}

export interface WriterOptions {
  /** Encode and write in a worker: a run then waits for the file only when it is faster by several chunks. */
  readonly thread?: boolean;
}

export interface CheckpointGiven {
  /** Events before it. */
  readonly seq: number;
  readonly ticks: number;
  /** The machine's own state. */
  readonly state: Uint8Array;
  /** Pages that changed since the checkpoint before, each 4096 bytes; a page may be reused after the next is taken. */
  readonly pages: Iterable<readonly [frame: number, bytes: Uint8Array]>;
}

export interface Recorder {
  /** The main stream. */
  readonly log: Log;
  /** What only full detail has. Set `detail.anchor!.before` to `log.seq` before an entry. */
  readonly detail: Log;
  /** The number of a call stack, innermost address first, at most 255 of them; the same for the same addresses. 0 if empty. */
  intern(addresses: readonly bigint[]): number;
  /** The words of the system; before the first event. */
  lexicon(lexicon: Lexicon): void;
  symbols(symbols: readonly NamedRange[]): void;
  checkpoint(checkpoint: CheckpointGiven): void;
  /** Makes the events so far (but the last) readable for who follows the file. Changes no byte of the finished file. */
  tail(): void;
  /** Writes what is left and ends the file. Throws Trouble if it could not be written. */
  close(): Summary;
  /** Gives up: the file stays as far as it was written. */
  abort(): void;
}

/**
 * Begins a recording at `path`, which is overwritten.
 * @throws Trouble when the file cannot be written; with a thread at the latest from `close`
 */
export function createRecording(path: string, header: HeaderGiven, options: WriterOptions = {}): Recorder {
  const desk = options.thread ? threadedDesk(path, header) : placedDesk(path, header);
  let fresh: bigint[][] = [];
  let told = 0;
  const stacks = new StackNumbers(addresses => {
    assert(addresses.length <= 255, `a stack of ${addresses.length} addresses`);
    fresh.push([...addresses]);
  });
  const flushStacks = (): void => {
    if (fresh.length === 0) return;
    desk.stacks(told + 1, fresh);
    told += fresh.length;
    fresh = [];
  };
  const sink = (stream: Stream) => ({
    swap: (full: Block): Block => {
      flushStacks();
      return desk.swap(stream, full);
    },
  });
  const log = new Log(sink('main'), desk.first.main);
  const detail = new Log(sink('detail'), desk.first.detail, { before: 0 });
  return {
    log,
    detail,
    intern: addresses => stacks.of(addresses),
    lexicon: lexicon => desk.lexicon(lexicon),
    symbols: symbols => desk.symbols(symbols),
    checkpoint: checkpoint => {
      for (const part of partsOf(checkpoint)) desk.memory(part);
    },
    tail: () => {
      // Without its stacks: when a tail comes is a matter of time, and STACKS frames stay. Those come with the chunk.
      if (log.current.count >= 2) desk.tail(withoutLast(log.current));
    },
    close: () => {
      log.flush();
      detail.flush();
      flushStacks();
      return desk.close();
    },
    abort: () => desk.abort(),
  };
}

/** The same block but for its last event, which may not be complete. Shares its columns. */
function withoutLast(block: Block): Block {
  const rows = block.rows.slice();
  rows[block.kind[block.count - 1]!]!--;
  const { first, kind, row, ticks, vcpu, back, col } = block;
  return { first, count: block.count - 1, kind, row, ticks, vcpu, back, rows, col };
}

/** Room for the pages of a part to begin with: memory that is asked for has to be cleared. */
const FEW_FRAMES = 16;
function twice(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(2 * bytes.length);
  larger.set(bytes);
  return larger;
}

/** Cuts the pages of a checkpoint into parts; there is at least one. */
export function* partsOf({ seq, ticks, state, pages }: CheckpointGiven): Generator<PagesGiven> {
  let frames: number[] = [];
  let bytes = new Uint8Array(FEW_FRAMES * PAGE_BYTES);
  const part = (more: boolean): PagesGiven => ({
    seq,
    ticks,
    frames: Uint32Array.from(frames),
    bytes: bytes.subarray(0, PAGE_BYTES * frames.length),
    more,
    state: more ? new Uint8Array(0) : state,
  });
  for (const [frame, page] of pages) {
    if (frames.length === MEMORY_FRAMES) {
      yield part(true);
      frames = [];
      bytes = new Uint8Array(MEMORY_FRAMES * PAGE_BYTES);
    }
    assert(page.length === PAGE_BYTES, `a page of ${page.length} bytes`);
    if (PAGE_BYTES * frames.length === bytes.length) bytes = twice(bytes);
    bytes.set(page, PAGE_BYTES * frames.length);
    frames.push(frame);
  }
  yield part(false);
}

/** Encodes and writes in place. */
function placedDesk(path: string, header: HeaderGiven): Desk {
  const scribe = new Scribe(path, header);
  const fresh = (): Block => blockOver(new ArrayBuffer(BLOCK_BYTES));
  return {
    first: { main: fresh(), detail: fresh() },
    swap: (stream, full) => {
      scribe.block(stream, full);
      return full;
    },
    tail: block => scribe.tail(block),
    lexicon: lexicon => scribe.lexicon(lexicon),
    symbols: symbols => scribe.symbols(symbols),
    stacks: (first, stacks) => scribe.stacks(first, stacks),
    memory: pages => scribe.memory(pages),
    close: () => scribe.close(),
    abort: () => scribe.abort(),
  };
}
