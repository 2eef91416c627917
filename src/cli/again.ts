/**
 * Re-runs for verbs that can do without: the live half is loaded when it is needed, and where it is missing, or cannot run the
 * recording, the verb says why and answers what it can.
 */

import type { Paddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import { drive } from '../base/work.js';
import type { Space } from '../events/kinds.js';
import type { Rerun, RerunOptions } from '../recording/rerun.js';
import type { Source } from '../recording/source.js';
import type { Origin } from '../views/stores.js';
import { originOf } from '../views/stores.js';
import { watched } from './session.js';

/** A way to run `source` again, or why there is none. */
export async function rerunFor(source: Source): Promise<Rerun | string> {
  try {
    const { whyNoRerun } = await import('../session/may-rerun.js');
    return whyNoRerun(source) ?? (await import('../session/detail.js')).rerunOf(source);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND')
      return 'this program was made without emulator';
    throw error;
  }
}

/** Who wrote an entry that arrived with an adopt event. */
export const findOrigin = (
  source: Source,
  space: Space,
  at: Paddr,
  adopt: number,
  rerun: Rerun | string,
): Promise<Origin> =>
  watched('looking for the store', async watch => {
    const ask = (again: Rerun | string): Promise<Origin> =>
      originOf(source, space, at, adopt, again, work => drive(work, watch), watch as RerunOptions);
    try {
      return await ask(rerun);
    } catch (error) {
      if (!(error instanceof Trouble) || typeof rerun === 'string') throw error;
      return await ask(`that failed: ${error.message}`); // a recording of another version, or one that is damaged
    }
  });
