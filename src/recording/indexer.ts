/**
 * Who makes the indexes while a recording is written. What comes of each block is known later: the scribe holds back what
 * stands behind it in the file until then.
 *
 * A threaded writer's scribe does it in place too, as long as it keeps up, which is nearly always: a guest raises a million
 * events a second, and a scribe makes twice as many with their indexes. Where blocks wait for it when a segment begins, it
 * starts a worker (index-worker.ts) that goes on with the indexes and reads the blocks of the same ring. That one is told of
 * each by a message and answers each with one; both sides sleep on counters, as in ring.ts. Who does it shows in no byte.
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
  | {
      readonly do: 'begin';
      readonly header: Header;
      readonly lexicon: Lexicon;
      readonly before: readonly Uint32Array[];
    }
  | { readonly do: 'block'; readonly slot: number }
  | { readonly do: 'end' };
export type IndexAnswer = { readonly result: Payloads | 'nothing' } | { readonly bug: string };

/** Counters of the index worker in its `counters`: messages for it, and answers it gave. */
export const ASKED = 0;
export const ANSWERED = 1;
/** A worker that does nothing for this long is taken for dead. */
const PATIENCE_MS = 120_000;

/** What a threaded writer's scribe knows of its ring. */
export interface Ring {
  readonly control: Int32Array;
  readonly buffer: SharedArrayBuffer;
  /** The number of a block. */
  slotOf(block: Block): number;
  /** Says that the index has done with a block. */
  release(slot: number): void;
  /** True while so many blocks wait for the scribe that it needs help. */
  isBehind(): boolean;
}

/** Who indexes for a threaded writer's scribe: the scribe, and from some segment on a worker. */
export class RingIndexer {
  private readonly channel = new MessageChannel();
  private readonly port = this.channel.port1;
  private readonly counters = new Int32Array(new SharedArrayBuffer(8));
  private readonly ring: Ring;
  private started = false;
  private taken = 0;

  constructor(ring: Ring) {
    this.ring = ring;
  }

  readonly make: MakeIndexer = (header, lexicon) => {
    const { ring } = this;
    const here = new Segments(header, lexicon);
    const results: (Payloads | 'nothing')[] = [];
    return {
      add: block => {
        if (block && !this.started && here.between && ring.isBehind()) this.start(header, lexicon, here.registers);
        if (this.started) this.post(block ? { do: 'block', slot: ring.slotOf(block) } : { do: 'end' });
        else {
          results.push((block ? here.add(block) : here.end()) ?? 'nothing');
          if (block) ring.release(ring.slotOf(block));
        }
      },
      result: wait => results.shift() ?? (this.started ? this.result(wait) : undefined),
    };
  };
  private start(header: Header, lexicon: Lexicon, before: readonly Uint32Array[]): void {
    const { control, buffer } = this.ring;
    start('index-worker', { control, counters: this.counters, ring: buffer, port: this.channel.port2 });
    this.started = true;
    this.post({ do: 'begin', header, lexicon, before });
  }

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
