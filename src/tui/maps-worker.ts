/** The thread of maps-thread.ts: one question at a time, the newest; what nobody waits for is given up. */
import { parentPort, workerData } from 'node:worker_threads';
import { Trouble } from '../base/trouble.js';
import { drive, type Progress } from '../base/work.js';
import { openRecording } from '../recording/reader.js';
import { createTimeline } from '../state/timeline.js';
import { answer, type Question } from './maps.js';
import type { Asked, Said } from './maps-thread.js';

/** Decoded chunks to keep: it folds through most of them once. */
const CACHE_BYTES = 8 << 20;
const PROGRESS_MS = 100;
const [TRIES, TRY_MS] = [20, 50];

const source = openRecording((workerData as { file: string }).file, { cacheBytes: CACHE_BYTES });
const timeline = createTimeline(source, { tablesOnly: true });
const say = (said: Said): void => parentPort!.postMessage(said);

let stop = new AbortController();
let turn = Promise.resolve();
parentPort!.on('message', ({ id, question }: Asked) => {
  stop.abort();
  if (!question) return;
  const mine = new AbortController();
  stop = mine;
  turn = turn.then(() => (mine.signal.aborted ? undefined : run(id, question, mine.signal)));
});

/** Whoever asks may have seen an end of a growing recording that its writer is about to write once more, in a larger piece. */
async function grown(seq: number): Promise<void> {
  for (let tries = 0; seq >= source.count; tries++) {
    if (tries === TRIES) throw new Trouble(`${source.name}: event #${seq} is being written`);
    if (tries > 0) await new Promise(resolve => setTimeout(resolve, TRY_MS));
    source.refresh();
  }
}
/** An error that is none of the recording's ends the thread, and is thrown again by whoever asked. */
async function run(id: number, question: Question, signal: AbortSignal): Promise<void> {
  let told = performance.now();
  const onProgress = (progress: Progress): void => {
    if (performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    say({ id, progress });
  };
  try {
    const latest = question.kind === 'ranges' ? question.at.seq : Math.max(question.before.seq, question.after.seq);
    await grown(latest);
    say({ id, answer: await drive(answer(timeline, question), { signal, onProgress }) });
  } catch (error) {
    if (error instanceof Trouble) say({ id, trouble: error.message });
    else if (!signal.aborted) throw error;
  }
}
