/**
 * Long operations are generators: they yield how far they are, and whoever drives them decides what that means. The
 * terminal drives them in slices between key presses, a command prints progress and listens for Ctrl-C, a test runs
 * them to the end. Nothing that computes needs to know which.
 */
export interface Progress {
  readonly done: number;
  readonly total: number;
  /** There is nothing to do before this is settled. Who drives to the end without a pause may go on at once. */
  readonly pause?: Promise<unknown>;
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
 * Runs in slices of about 8 ms and lets the event loop turn in between, so that keys and signals are heard; and waits where
 * the work does.
 * @returns the result; rejects with the signal's reason when cancelled (the generator's `finally` blocks run).
 */
export async function drive<T, P extends Progress = Progress>(
  work: Generator<P, T, void>,
  { signal, onProgress }: Omit<Watch, 'onProgress'> & { readonly onProgress?: ((p: P) => void) | undefined } = {},
): Promise<T> {
  let sliceEnd = performance.now() + SLICE_MS;
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    const { pause } = step.value;
    if (!pause && performance.now() < sliceEnd) continue;
    onProgress?.(step.value);
    await (pause ?? nextTurn());
    if (signal?.aborted) {
      work.return(undefined as never);
      throw signal.reason;
    }
    sliceEnd = performance.now() + SLICE_MS;
  }
}
