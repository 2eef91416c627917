/**
 * Work that may have to wait for something outside of the debugger, a re-run or another process: it yields how far it is, or
 * a promise to wait for. Whoever drives it hears of both, and can stop it in either.
 */
import type { Progress, Watch } from '../base/work.js';

export type Task<T> = Generator<Progress | Promise<unknown>, T, void>;

const SLICE_MS = 8;
const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** Runs in slices, as base/work.ts does; rejects with the signal's reason when it is stopped, also while it waits. */
export async function driveTask<T>(task: Task<T>, { signal, onProgress }: Watch): Promise<T> {
  let sliceEnd = performance.now() + SLICE_MS;
  for (;;) {
    const step = task.next();
    if (step.done) return step.value;
    if (step.value instanceof Promise) {
      await orStopped(step.value, signal);
      sliceEnd = performance.now(); // how far it is was worth waiting for: it is told at once
    } else {
      if (performance.now() < sliceEnd) continue;
      onProgress?.(step.value);
      await nextTurn();
      sliceEnd = performance.now() + SLICE_MS;
    }
    if (signal?.aborted) {
      task.return(undefined as never);
      throw signal.reason;
    }
  }
}
/** Resolves with the promise or when stopped; what it says then is looked at by nobody. */
async function orStopped(promise: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  let hear = (): void => {};
  const stopped = new Promise<void>(resolve => {
    hear = resolve;
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', hear);
  });
  promise.catch(() => {}); // a failure after the stop is nobody's
  try {
    await Promise.race([promise, stopped]);
  } finally {
    signal?.removeEventListener('abort', hear);
  }
}

/** Waits for a promise inside a task, and gives what it resolves to. Throws what it rejects with. */
export function* wait<T>(promise: Promise<T>): Task<T> {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  yield promise.then(
    value => {
      outcome = { value };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  if (!outcome) throw new Error('internal error: went on before the promise was settled');
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}
