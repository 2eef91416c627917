/**
 * Long operations are generators: they yield how far they are, and whoever drives them decides what that means. The
 * terminal drives them in slices between key presses, a command prints progress and listens for Ctrl-C, a test runs
 * them to the end. Nothing that computes needs to know which.
 */
export interface Progress {
  readonly done: number;
  readonly total: number;
}
export type Work<T> = Generator<Progress, T, void>;

export interface Watch {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((p: Progress) => void) | undefined;
}

/** Runs to the end without a pause and returns the result. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

const SLICE_MS = 8;
const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/**
 * Runs in slices of about 8 ms and lets the event loop turn in between, so that keys and signals are heard.
 * @returns the result; rejects with the signal's reason when cancelled (the generator's `finally` blocks run).
 */
export async function drive<T>(work: Work<T>, { signal, onProgress }: Watch = {}): Promise<T> {
  let sliceEnd = performance.now() + SLICE_MS;
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() < sliceEnd) continue;
    onProgress?.(step.value);
    await nextTurn();
    if (signal?.aborted) {
      work.return(undefined as never);
      throw signal.reason;
    }
    sliceEnd = performance.now() + SLICE_MS;
  }
}
