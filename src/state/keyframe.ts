/**
 * SPARSE keyframes are in the file, one per million events: what changed in their span, with the values at its end. Laid over
 * a state at their start, or anywhere in their span, they give the state at their end. For short ways see deltas.ts.
 */
import { FRAME_KINDS, SPACES, type Space } from '../events/kinds.js';
import type { Keyframe, Source } from '../recording/source.js';
import { FOLD_FORWARD } from './fold.js';
import { entryBytesOf } from './formats.js';
import type { Pool } from './pool.js';
import { FRAME_FIELDS, memoryWord, registerWord, SECTION } from './words.js';

/** Lays a sparse keyframe over the pool, which then is the state before event `keyframe.seq`. */
export function layOver(pool: Pool, keyframe: Keyframe, source: Pick<Source, 'lexicon'>): void {
  const { others, slots, frames, registers } = keyframe;
  // Tables come and go first: an adopt without its entries leaves the memory to `slots`.
  const { kind, row, vcpu, col, count } = others.block;
  for (let i = 0; i < count; i++) FOLD_FORWARD[kind[i]!]!(pool, col, row[i]!, vcpu[i]!);

  const wide = (SPACES as readonly Space[]).map(space => entryBytesOf(source, space) === 8);
  for (let i = 0; i < slots.frame.length; i++) {
    const space = slots.space[i]! & 3;
    const word = memoryWord(slots.frame[i]!, slots.offset[i]!);
    if (wide[space]) pool.setPair(SECTION.memory + space, word - (word % 2), slots.lo[i]!, slots.hi[i]!);
    else pool.set(SECTION.memory + space, word, slots.lo[i]!);
  }
  for (let i = 0; i < frames.frame.length; i++) {
    const { section, shift, mask } = FRAME_FIELDS[FRAME_KINDS[frames.kind[i]!] ?? 'type'];
    pool.setBits(section, frames.frame[i]!, shift, mask, frames.value[i]!);
  }
  registers.forEach((values, v) => {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
    for (let r = 0; r < values.length; r++)
      pool.setPair(SECTION.registers, registerWord(v, r), words[2 * r]!, words[2 * r + 1]!);
  });
  pool.applied = keyframe.seq;
}
