/** Whether a recording can be run again here: to be asked before anything that runs is loaded, which takes a tenth of a second. */
import type { Source } from '../recording/source.js';

/** The systems that can run, see systems.ts. */
export const SYSTEM_NAMES = ['bare', 'xen'] as const;
export type SystemName = (typeof SYSTEM_NAMES)[number];

/** Why a recording cannot be run again here; undefined if it can. */
export function whyNoRerun({ header, checkpoints }: Pick<Source, 'header' | 'checkpoints'>): string | undefined {
  if (!SYSTEM_NAMES.some(name => name === header.system))
    return `this program does not run the system ${header.system}`;
  return checkpoints.length === 0 ? 'the recording has no checkpoint' : undefined;
}
