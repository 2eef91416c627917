/** All numbers of a frame at a position, each with the event that made it so, from the index alone. */
import type { Frame } from '../base/brand.js';
import { FRAME_KINDS, type FrameKind } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { locate } from './at.js';

export interface FrameNumber {
  readonly kind: FrameKind;
  /** Flags are 0 or 1; a type is a number of the lexicon's frameType table. */
  readonly value: number;
  /** The event that set it, -1 for none: then it is zero. */
  readonly since: number;
}
/** The numbers of `frame` just after event `seq`, in the order of FRAME_KINDS. */
export function frameAt(source: Source, frame: Frame, seq: number): FrameNumber[] {
  return FRAME_KINDS.map(kind => {
    const since = source.index.lastFrameChange(kind, frame, seq + 1);
    if (since < 0) return { kind, value: 0, since };
    const { block, i } = locate(source, since);
    return { kind, value: block.col[kind].new[block.row[i]!]!, since };
  });
}
