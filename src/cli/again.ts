/**
 * Re-runs for verbs that can do without: the live half is loaded when it is needed, and where it is missing, or cannot run the
 * recording, the verb says why and answers what it can.
 */

import type { Paddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { drive, type Work } from '../base/work.js';
import type { Space } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import type { Rerun } from '../views/rerun.js';
import type { Origin } from '../views/stores.js';
import { originOf } from '../views/stores.js';

/** A way to run `source` again, or why there is none. */
export async function rerunFor(source: Source): Promise<Rerun | string> {
  try {
    const { rerunOf, whyNoRerun } = await import('../session/detail.js');
    return whyNoRerun(source) ?? rerunOf(source);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND')
      return 'this program was made without emulator';
    throw error;
  }
}

const QUIET_MS = 500;

/** Who wrote an entry that arrived with an adopt event; with a progress line, and Ctrl-C to give up. */
export async function findOrigin(
  source: Source,
  space: Space,
  at: Paddr,
  adopt: number,
  rerun: Rerun | string,
): Promise<Origin> {
  const abort = new AbortController();
  const { signal } = abort;
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  const began = performance.now();
  let drawn = false;
  const onProgress = ({ done, total }: { done: number; total: number }): void => {
    if (!process.stderr.isTTY || performance.now() - began < QUIET_MS) return;
    drawn = true;
    process.stderr.write(`\r\x1b[Klooking for the store ${total > 0 ? `${Math.floor((100 * done) / total)} %` : ''}`);
  };
  try {
    const watched = <T>(work: Work<T>): Promise<T> => drive(work, { signal, onProgress });
    const ask = (again: Rerun | string): Promise<Origin> =>
      originOf(source, space, at, adopt, again, watched, { signal, onProgress });
    try {
      return await ask(rerun);
    } catch (error) {
      if (!(error instanceof Trouble) || typeof rerun === 'string') throw error;
      return await ask(`that failed: ${error.message}`); // a recording of another version, or one that is damaged
    }
  } finally {
    process.removeListener('SIGINT', stop);
    if (drawn) process.stderr.write('\r\x1b[K');
  }
}
