/** The worker of a threaded writer: does with a Scribe what the messages say, in their order; see ring.ts. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { assertNever } from '../base/assert.js';
import { leaveRoom } from '../base/leave.js';
import { Trouble } from '../base/trouble.js';
import { Blocks } from '../events/block.js';
import { RingIndexer } from './indexer.js';
import {
  type Answer,
  BEHIND_BLOCKS,
  blocksWaiting,
  DONE,
  ENDED,
  type Message,
  PAGES_KIB,
  release,
  SENT,
  sleepWhile,
  type WorkerData,
} from './ring.js';
import { Scribe, type Summary } from './scribe.js';

const { path, header, control, ring, port } = workerData as WorkerData;
const blocks = new Blocks(ring);
/** Messages carried out, also in control[DONE]. */
let done = 0;
const indexer = new RingIndexer({
  control,
  buffer: ring,
  slotOf: block => blocks.slotOf(block),
  release: slot => release(control, slot),
  isBehind: () => blocksWaiting(control) > BEHIND_BLOCKS,
});

const count = (at: number, n: number): void => {
  Atomics.add(control, at, n);
  Atomics.notify(control, at);
};
/** Carries out one message; returns the summary for the last. */
function carryOut(scribe: Scribe, message: Message): Summary | 'aborted' | undefined {
  switch (message.do) {
    case 'block':
      scribe.block(message.stream, blocks.at(message.slot));
      release(control, message.slot);
      return undefined;
    case 'tail':
      scribe.tail(blocks.at(message.slot));
      release(control, message.slot);
      return undefined;
    case 'lexicon':
      scribe.lexicon(message.lexicon);
      return undefined;
    case 'symbols':
      scribe.symbols(message.symbols);
      return undefined;
    case 'stacks':
      scribe.stacks(message.first, message.stacks);
      return undefined;
    case 'memory':
      scribe.memory(message.pages);
      count(PAGES_KIB, -(message.pages.bytes.length >> 10));
      return undefined;
    case 'close':
      return scribe.close();
    case 'abort':
      scribe.abort();
      return 'aborted';
    default:
      return assertNever(message);
  }
}

function work(): Answer {
  const scribe = new Scribe(path, header, indexer.make);
  for (; ; done++) {
    sleepWhile(control, SENT, done);
    const message = receiveMessageOnPort(port)!.message as Message;
    const summary = carryOut(scribe, message);
    if (summary === 'aborted') return { trouble: `${path}: the recording was given up` };
    if (summary) return { summary };
    count(DONE, 1);
  }
}

function answer(): Answer {
  try {
    return work();
  } catch (error) {
    if (error instanceof Trouble) return { trouble: error.message };
    return { bug: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

port.postMessage(answer());
Atomics.store(control, ENDED, 1);
// Whoever waits for a block or for room must hear that none will come.
for (let at = 0; at < control.length; at++) Atomics.notify(control, at);
port.close();
indexer.stop();
leaveRoom();
