/**
 * Answers about address spaces from a thread of its own (maps-worker.ts), which has the recording open a second time: a seek
 * takes steps of tens of milliseconds and leaves garbage, and neither is felt by the thread that answers keys.
 */
import { Worker } from 'node:worker_threads';
import { Trouble } from '../base/trouble.js';
import type { Progress } from '../base/work.js';
import type { Source } from '../recording/source.js';
import type { AnswerTo, Maps, Question } from './maps.js';
import { type Task, wait } from './task.js';

/** To the worker: a question, or without one: nobody waits any more. */
export interface Asked {
  readonly id: number;
  readonly question?: Question;
}
/** From the worker, about question `id`: how far it is, and at last one of the others. */
export interface Said {
  readonly id: number;
  readonly progress?: Progress;
  readonly answer?: AnswerTo[Question['kind']];
  readonly trouble?: string;
}

/** The thread begins with the first question. */
export function mapsInThread(source: Source): Maps {
  let worker: Worker | undefined;
  let asked = 0;
  let failure: unknown;
  /** What was said and not heard yet, and who waits for more. */
  let heard: Said[] = [];
  let wake = (): void => {};

  const start = (): Worker => {
    const begun = new Worker(new URL('./maps-worker.js', import.meta.url), { workerData: { file: source.name } });
    begun.on('message', (said: Said) => {
      heard.push(said);
      wake();
    });
    begun.on('error', error => {
      failure = error;
      wake();
    });
    begun.unref();
    return begun;
  };
  function* next(id: number): Task<Said> {
    for (;;) {
      if (failure) throw failure;
      heard = heard.filter(s => s.id === id);
      const said = heard.shift();
      if (said) return said;
      yield* wait(
        new Promise<void>(resolve => {
          wake = resolve;
        }),
      );
    }
  }
  return {
    *ask<K extends Question['kind']>(question: Question & { readonly kind: K }) {
      worker ??= start();
      const id = ++asked;
      worker.postMessage({ id, question } satisfies Asked);
      try {
        for (;;) {
          const { progress, answer, trouble } = yield* next(id);
          if (trouble !== undefined) throw new Trouble(trouble);
          if (answer) return answer as AnswerTo[K];
          if (progress) yield progress;
        }
      } finally {
        worker.postMessage({ id } satisfies Asked);
      }
    },
    close: () => {
      void worker?.terminate();
    },
  };
}
