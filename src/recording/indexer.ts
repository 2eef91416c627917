/**
 * Who makes the indexes while a recording is written. What comes of each block is known later: the scribe holds back what
 * stands behind it in the file until then.
 *
 * A threaded writer's scribe has a worker for it (index-worker.ts), which reads the blocks of the same ring. It is told of each
 * by a message and answers each with one; both sides sleep on counters, as in ring.ts.
 */
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import type { Block } from '../events/block.js';
import type { Lexicon } from '../events/lexicon.js';
import { type Payloads, Segments } from './index/segments.js';
import { start } from './ring.js';
import type { Header } from './source.js';

export interface Indexer {
  /** Takes the next block of the main stream, and in the end `undefined` for what is left. */
  add(block: Block | undefined): void;
  /**
   * What came of the oldest one that was not asked for yet: a segment's payloads, or 'nothing'.
   * @param wait until it is known; otherwise undefined if it is not
   */
  result(wait: boolean): Payloads | 'nothing' | undefined;
}
export type MakeIndexer = (header: Header, lexicon: Lexicon) => Indexer;

/** In place. */
export const placedIndexer: MakeIndexer = (header, lexicon) => {
  const segments = new Segments(header, lexicon);
  const results: (Payloads | 'nothing')[] = [];
  return {
    add: block => void results.push((block ? segments.add(block) : segments.end()) ?? 'nothing'),
    result: () => results.shift(),
  };
};

export type IndexMessage =
  | { readonly do: 'begin'; readonly header: Header; readonly lexicon: Lexicon }
  | { readonly do: 'block'; readonly slot: number }
  | { readonly do: 'end' };
export type IndexAnswer = { readonly result: Payloads | 'nothing' } | { readonly bug: string };

/** Counters of the index worker in its `counters`: messages for it, and answers it gave. */
export const ASKED = 0;
export const ANSWERED = 1;
/** A worker that does nothing for this long is taken for dead. */
const PATIENCE_MS = 120_000;

/** The worker behind a threaded writer's scribe. */
export class IndexWorker {
  private readonly channel = new MessageChannel();
  private readonly port = this.channel.port1;
  private readonly counters = new Int32Array(new SharedArrayBuffer(8));
  private readonly control: Int32Array;
  private readonly ring: SharedArrayBuffer;
  private readonly slotOf: (block: Block) => number;
  private started = false;
  private taken = 0;

  /** @param slotOf the number of a block in the ring */
  constructor(control: Int32Array, ring: SharedArrayBuffer, slotOf: (block: Block) => number) {
    this.control = control;
    this.ring = ring;
    this.slotOf = slotOf;
  }

  /** Starts it, with the first block: until then whoever encodes that has the processor for its own start. */
  readonly make: MakeIndexer = (header, lexicon) => {
    const { control, counters, ring } = this;
    start('index-worker', { control, counters, ring, port: this.channel.port2 });
    this.started = true;
    this.post({ do: 'begin', header, lexicon });
    return {
      add: block => this.post(block ? { do: 'block', slot: this.slotOf(block) } : { do: 'end' }),
      result: wait => this.result(wait),
    };
  };

  /** Ends it, if it has not ended. */
  stop(): void {
    if (this.started) this.post({ do: 'end' });
    this.port.close();
  }

  private post(message: IndexMessage): void {
    this.port.postMessage(message);
    Atomics.add(this.counters, ASKED, 1);
    Atomics.notify(this.counters, ASKED);
  }

  private result(wait: boolean): Payloads | 'nothing' | undefined {
    const { counters, taken } = this;
    if (Atomics.load(counters, ANSWERED) === taken) {
      if (!wait) return undefined;
      while (Atomics.load(counters, ANSWERED) === taken)
        if (Atomics.wait(counters, ANSWERED, taken, PATIENCE_MS) === 'timed-out')
          throw new Error('internal error: the index worker does not answer');
    }
    const { message } = receiveMessageOnPort(this.port) as { message: IndexAnswer };
    this.taken++;
    if ('bug' in message) throw new Error(message.bug);
    return message.result;
  }
}
