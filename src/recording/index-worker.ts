/** The worker that makes the indexes of a threaded writer: does what the messages say, in their order; see indexer.ts. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { leaveRoom } from '../base/leave.js';
import { Blocks } from '../events/block.js';
import { type Payloads, Segments } from './index/segments.js';
import { ANSWERED, ASKED, type IndexAnswer, type IndexMessage } from './indexer.js';
import { type IndexWorkerData, release, sleepWhile } from './ring.js';

const { counters, control, ring, port } = workerData as IndexWorkerData;
const blocks = new Blocks(ring);
let segments: Segments | undefined;

const answer = (message: IndexAnswer): void => {
  port.postMessage(message);
  Atomics.add(counters, ANSWERED, 1);
  Atomics.notify(counters, ANSWERED);
};

/** Carries out one message; true for the last. */
function carryOut(message: IndexMessage): boolean {
  let result: Payloads | undefined;
  switch (message.do) {
    case 'begin':
      segments = new Segments(message.header, message.lexicon, message.before);
      return false;
    case 'block':
      result = segments!.add(blocks.at(message.slot));
      release(control, message.slot);
      break;
    case 'end':
      result = segments?.end();
  }
  answer({ result: result ?? 'nothing' });
  return message.do === 'end';
}

try {
  for (let done = 0, last = false; !last; done++) {
    sleepWhile(counters, ASKED, done);
    last = carryOut(receiveMessageOnPort(port)!.message as IndexMessage);
  }
} catch (error) {
  answer({ bug: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
port.close();
leaveRoom();
