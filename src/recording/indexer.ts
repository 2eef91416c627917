/**
 * Who makes the indexes while a recording is written. What comes of each block is known later: the scribe holds back what
 * stands behind it in the file until then.
 *
 * A threaded writer has a worker for it (index-worker.ts), which reads the same shared buffers as the scribe's worker. It is told of
 * each by a message and answers each with one; both sides sleep on counters, as in ring.ts.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Block } from '../events/block.js';
import type { Lexicon } from '../events/lexicon.js';
import { type Payloads, Segments } from './index/segments.js';
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

const post = (port: MessagePort, counters: Int32Array, message: IndexMessage): void => {
  port.postMessage(message);
  Atomics.add(counters, ASKED, 1);
  Atomics.notify(counters, ASKED);
};
/** Ends the worker, if it has not ended. */
export function stopIndexer(port: MessagePort, counters: Int32Array): void {
  post(port, counters, { do: 'end' });
  port.close();
}

/** In the worker behind `port`. @param slotOf the number of a shared buffer */
export const threadedIndexer =
  (port: MessagePort, counters: Int32Array, slotOf: (block: Block) => number): MakeIndexer =>
  (header, lexicon) => {
    let taken = 0;
    const send = (message: IndexMessage): void => post(port, counters, message);
    send({ do: 'begin', header, lexicon });
    return {
      add: block => send(block ? { do: 'block', slot: slotOf(block) } : { do: 'end' }),
      result: wait => {
        if (Atomics.load(counters, ANSWERED) === taken) {
          if (!wait) return undefined;
          while (Atomics.load(counters, ANSWERED) === taken)
            if (Atomics.wait(counters, ANSWERED, taken, PATIENCE_MS) === 'timed-out')
              throw new Error('internal error: the index worker does not answer');
        }
        const { message } = receiveMessageOnPort(port) as { message: IndexAnswer };
        taken++;
        if ('bug' in message) throw new Error(message.bug);
        return message.result;
      },
    };
  };
