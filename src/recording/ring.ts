/**
 * The writer's desk with workers behind it. Full blocks lie in a ring in shared memory; everything, blocks too, is
 * announced in one queue of messages, so that the worker writes what an unthreaded writer would, in the same order. Where it
 * does not keep up, a second worker makes the indexes (indexer.ts) from the same ring: a block is free again when both the one
 * who writes it and the one who indexes it have done with it.
 *
 * Neither side uses its event loop: the run does not turn one, and the worker sleeps on a counter. The run waits only when
 * the next block of the ring is still being written, when too many bytes of pages are under way, and at the end. What
 * goes wrong in the worker comes back as Trouble at the next swap, checkpoint or close.
 *
 *   control   0 messages sent | 1 messages done | 2 worker has ended | 3 KiB of pages under way | 4.. who still reads a block
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { Trouble } from '../base/trouble.js';
import { BLOCK_BYTES, type Block, Blocks } from '../events/block.js';
import type { Lexicon } from '../events/lexicon.js';
import type { HeaderGiven, PagesGiven, Stream, Summary } from './scribe.js';
import type { Symbol as NamedRange } from './source.js';
import type { Desk } from './writer.js';

export const SENT = 0;
export const DONE = 1;
export const ENDED = 2;
export const PAGES_KIB = 3;
export const BUSY = 4;

/** While the index of a segment is made, so many blocks can wait: 0.2 s of the fastest run, 40 MB in use. */
const MAIN_BLOCKS = 48;
/** Where more of them wait when a segment begins, the indexes get a worker. */
export const BEHIND_BLOCKS = 16;
const DETAIL_BLOCKS = 3;
const TAIL_SLOT = MAIN_BLOCKS + DETAIL_BLOCKS;
const BLOCKS = TAIL_SLOT + 1;
const PAGES_KIB_MAX = 64 << 10;
/** A worker that does nothing for this long is taken for dead. */
const PATIENCE_MS = 120_000;

/** How many blocks of the main stream were handed over and are not free again. */
export function blocksWaiting(control: Int32Array): number {
  let n = 0;
  for (let slot = 0; slot < MAIN_BLOCKS; slot++) if (Atomics.load(control, BUSY + slot) !== 0) n++;
  return n;
}

export type Message =
  | { readonly do: 'block'; readonly stream: Stream; readonly slot: number }
  | { readonly do: 'tail'; readonly slot: number }
  | { readonly do: 'lexicon'; readonly lexicon: Lexicon }
  | { readonly do: 'symbols'; readonly symbols: readonly NamedRange[] }
  | { readonly do: 'stacks'; readonly first: number; readonly stacks: readonly (readonly bigint[])[] }
  | { readonly do: 'memory'; readonly pages: PagesGiven }
  | { readonly do: 'close' }
  | { readonly do: 'abort' };
/** The worker's last word. */
export type Answer = { readonly summary: Summary } | { readonly trouble: string } | { readonly bug: string };

export interface IndexWorkerData {
  readonly control: Int32Array;
  /** See indexer.ts. */
  readonly counters: Int32Array;
  readonly ring: SharedArrayBuffer;
  readonly port: MessagePort;
}
export interface WorkerData {
  readonly path: string;
  readonly header: HeaderGiven;
  readonly control: Int32Array;
  readonly ring: SharedArrayBuffer;
  readonly port: MessagePort;
}

/**
 * Sleeps while a counter has a value. The one who counts may be late to say so: by then the sleeper may have seen it and
 * sleep again, so waking up proves nothing.
 */
export function sleepWhile(counters: Int32Array, at: number, value: number): void {
  while (Atomics.load(counters, at) === value) Atomics.wait(counters, at, value);
}

/** Says that one who read a block has done with it. */
export function release(control: Int32Array, slot: number): void {
  Atomics.sub(control, BUSY + slot, 1);
  Atomics.notify(control, BUSY + slot);
}

/** Starts a worker. Node loads no TypeScript: from the sources (tests) it is the built one. */
export function start(name: string, workerData: WorkerData | IndexWorkerData): void {
  const folder = import.meta.url.endsWith('.ts') ? '../../dist/recording' : '.';
  const url = new URL(`${folder}/${name}.js`, import.meta.url);
  const worker = new Worker(url, { workerData, transferList: [workerData.port] });
  // Its errors come through the port. This one would be for an error that the worker could not catch, such as no memory.
  worker.on('error', () => {});
  worker.unref();
}

export function threadedDesk(path: string, header: HeaderGiven): Desk {
  const control = new Int32Array(new SharedArrayBuffer(4 * (BUSY + BLOCKS)));
  // One buffer: as large as it is, it is fresh from the system, which backs what is touched. Small ones may have been in use.
  const ring = new SharedArrayBuffer(BLOCKS * BLOCK_BYTES);
  const blocks = new Blocks(ring);
  const { port1: port, port2 } = new MessageChannel();
  start('worker', { path, header, control, ring, port: port2 });

  let last: Answer | undefined;
  /** The worker's last word; throws if it is a bad one, each time it is asked. */
  const answer = (): Summary => {
    const message = (last ??= receiveMessageOnPort(port)?.message as Answer | undefined);
    port.close();
    if (message && 'summary' in message) return message.summary;
    if (message && 'bug' in message) throw new Error(message.bug);
    throw new Trouble(message?.trouble ?? `${path}: cannot write the recording: its writer was stopped`);
  };
  const check = (): void => {
    if (Atomics.load(control, ENDED) !== 0) answer();
  };
  /** Sleeps until control[at] is no longer what `waiting` refuses; sees to it that the worker is alive. */
  const wait = (at: number, waiting: (value: number) => boolean): void => {
    let done = Atomics.load(control, DONE);
    for (let slept = 0; ; ) {
      const value = Atomics.load(control, at);
      if (!waiting(value)) return;
      if (at !== ENDED) check();
      if (Atomics.wait(control, at, value, 500) !== 'timed-out') continue;
      slept = done === Atomics.load(control, DONE) ? slept + 500 : 0;
      done = Atomics.load(control, DONE);
      if (slept >= PATIENCE_MS) throw new Trouble(`${path}: cannot write the recording: its writer does not answer`);
    }
  };
  const send = (message: Message, moved: ArrayBuffer[] = []): void => {
    check();
    port.postMessage(message, moved);
    Atomics.add(control, SENT, 1);
    Atomics.notify(control, SENT);
  };
  const markBusy = (slot: number, readers: number): void => {
    Atomics.store(control, BUSY + slot, readers);
  };
  const free = (slot: number): Block => {
    wait(BUSY + slot, busy => busy !== 0);
    return blocks.at(slot);
  };
  /** By stream: its slots, and those that were handed over and may not be free again, oldest first. */
  const streams = {
    main: { slots: [...Array(MAIN_BLOCKS).keys()], full: [] as number[] },
    detail: { slots: [...Array(DETAIL_BLOCKS).keys()].map(n => MAIN_BLOCKS + n), full: [] as number[] },
  };
  /**
   * The first block that is free: a run that is slower than its workers uses the same two or three again and again, which
   * stay in the processor's cache, and touches no others. Where none is free, the one handed over first will be.
   */
  const next = ({ slots, full }: (typeof streams)[Stream]): Block => {
    const isFree = (slot: number): boolean => Atomics.load(control, BUSY + slot) === 0;
    while (full.length > 0 && isFree(full[0]!)) full.shift();
    return free(slots.find(isFree) ?? full[0]!);
  };

  return {
    first: { main: blocks.at(0), detail: blocks.at(MAIN_BLOCKS) },
    swap: (stream, full) => {
      const slot = blocks.slotOf(full);
      markBusy(slot, stream === 'main' ? 2 : 1);
      send({ do: 'block', stream, slot });
      streams[stream].full.push(slot);
      return next(streams[stream]);
    },
    tail: block => {
      copyBlock(block, free(TAIL_SLOT));
      markBusy(TAIL_SLOT, 1);
      send({ do: 'tail', slot: TAIL_SLOT });
    },
    lexicon: lexicon => send({ do: 'lexicon', lexicon }),
    symbols: symbols => send({ do: 'symbols', symbols }),
    stacks: (first, stacks) => send({ do: 'stacks', first, stacks }),
    memory: pages => {
      wait(PAGES_KIB, kib => kib > PAGES_KIB_MAX);
      Atomics.add(control, PAGES_KIB, pages.bytes.length >> 10);
      // Moved, since copying would take the whole buffer, which is mostly empty.
      send({ do: 'memory', pages }, [pages.bytes.buffer as ArrayBuffer]);
    },
    close: () => {
      send({ do: 'close' });
      wait(ENDED, ended => ended === 0);
      return answer();
    },
    abort: () => {
      if (Atomics.load(control, ENDED) !== 0) return;
      send({ do: 'abort' });
      wait(ENDED, ended => ended === 0);
      port.close();
    },
  };
}

/** Copies the rows in use. */
function copyBlock(from: Block, to: Block): void {
  const { count } = from;
  to.first = from.first;
  to.count = count;
  for (const column of ['kind', 'row', 'ticks', 'vcpu', 'back'] as const)
    (to[column] as Uint8Array).set(from[column].subarray(0, count) as Uint8Array);
  to.rows.set(from.rows);
  const columnsOf = (block: Block) => Object.values(block.col) as unknown as Record<string, Uint8Array>[];
  const targets = columnsOf(to);
  columnsOf(from).forEach((columns, kind) => {
    const rows = from.rows[kind]!;
    if (rows === 0) return;
    for (const [name, column] of Object.entries(columns)) {
      const ends = columns[name.replace(/(Lo|Hi|Bytes)$/, 'End')];
      const items = ends && ends !== column ? ends[rows - 1]! : rows;
      targets[kind]![name]!.set(column.subarray(0, items));
    }
  });
}
