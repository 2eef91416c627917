/**
 * SPARSE keyframes are in the file, one per million events: what changed in their span, with the values at its end. Laid over
 * a state at their start, or anywhere in their span, they give the state at their end. For short ways see deltas.ts.
 */
import { FRAME_KINDS, SPACES, type Space } from '../events/kinds.js';
import type { Keyframe, Source } from '../recording/source.js';
import { FOLD_FORWARD } from './fold.js';
import { entryBytesOf } from './formats.js';
import type { Pool } from './pool.js';
import { EVERYTHING } from './sweep.js';
import {
  FRAME_FIELDS,
  LEAF_SHIFT,
  LEAF_WORDS,
  memoryWord,
  putEntry,
  registerWord,
  SECTION,
  SECTIONS,
} from './words.js';

/** Lays a sparse keyframe over the pool, which then is the state before event `keyframe.seq`. */
export function layOver(pool: Pool, keyframe: Keyframe, source: Pick<Source, 'lexicon'>): void {
  // Tables come and go first: an adopt without its entries leaves the memory to `slots`.
  const { kind, row, vcpu, col, count } = keyframe.others.block;
  for (let i = 0; i < count; i++)
    if (pool.wanted[kind[i]!] === 1) FOLD_FORWARD[kind[i]!]!(pool, col, row[i]!, vcpu[i]!);

  const wide = (SPACES as readonly Space[]).map(space => entryBytesOf(source, space) === 8);
  layEntries(pool, keyframe.slots, wide);
  if (pool.wanted === EVERYTHING) {
    layNumbers(pool, keyframe.frames);
    layRegisters(pool, keyframe.registers);
  }
  pool.applied = keyframe.seq;
}

/** Entries come sorted, some twenty to a leaf: the leaf is looked up once. */
function layEntries(pool: Pool, { space, frame, offset, lo, hi }: Keyframe['slots'], wide: readonly boolean[]): void {
  let at = -1;
  let lastId = -1;
  let section = -1;
  for (let i = 0; i < frame.length; i++) {
    const word = memoryWord(frame[i]!, offset[i]!);
    const id = Math.floor(word / LEAF_WORDS);
    if (id !== lastId || section !== SECTION.memory + space[i]!) {
      section = SECTION.memory + space[i]!;
      lastId = id;
      at = pool.leafToWrite(section, id);
    }
    const { words } = pool;
    putEntry(words, at + word - id * LEAF_WORDS, wide[space[i]!]!, lo[i]!, hi[i]!);
  }
}

/** Numbers come sorted by frame; each section has its leaf of the frame. */
function layNumbers(pool: Pool, { kind, frame, value }: Keyframe['frames']): void {
  const at = new Float64Array(SECTIONS);
  let lastId = -1;
  for (let i = 0; i < frame.length; i++) {
    const { section, shift, mask } = FIELDS[kind[i]!]!;
    const id = frame[i]! >>> LEAF_SHIFT;
    if (id !== lastId) at.fill(-1);
    lastId = id;
    if (at[section] === -1) at[section] = pool.leafToWrite(section, id);
    const { words } = pool;
    const n = at[section]! + (frame[i]! & (LEAF_WORDS - 1));
    words[n] = (words[n]! & ~(mask << shift)) | ((value[i]! & mask) << shift);
  }
}

function layRegisters(pool: Pool, registers: Keyframe['registers']): void {
  registers.forEach((values, v) => {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
    for (let r = 0; r < values.length; r++)
      pool.setPair(SECTION.registers, registerWord(v, r), words[2 * r]!, words[2 * r + 1]!);
  });
}
const FIELDS = FRAME_KINDS.map(name => FRAME_FIELDS[name]);
