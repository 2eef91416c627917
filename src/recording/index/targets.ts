/**
 * What an entry points to, as one number: KEY = (space * 2^32 + first frame) * 8 + size, or -1 for nothing. The size
 * tells a large page from a table or a small page at the same frame, so that looking for what contains a frame is one
 * look at each size.
 */
import { SPACES, type Space } from '../../events/kinds.js';
import type { Lexicon } from '../../events/lexicon.js';
import { pagingOf } from '../../isa/index.js';
import type { Level, PagingFormat } from '../../isa/isa.js';

/** log2 of the frames of each size: the position here is the number in keys, so append only. */
export const SIZES: readonly number[] = [0, 4, 8, 9, 10, 12, 18];
const FRAMES = 2 ** 32;

export const targetKey = (space: number, frame: number, size: number): number => (space * FRAMES + frame) * 8 + size;

/** Levels by number, for the path that sees every event. */
type Levels = readonly (Level | undefined)[];
const levelsOf = (format: PagingFormat | undefined): Levels => {
  const levels: (Level | undefined)[] = [];
  for (const level of format?.levels ?? []) levels[level.number] = level;
  return levels;
};

export class Targets {
  private readonly bySpace: readonly Levels[];
  private readonly byFormat: readonly (Levels | undefined)[];

  constructor(lexicon: Lexicon) {
    const named = (name: string | undefined) => (name === undefined ? undefined : pagingOf(name));
    this.bySpace = SPACES.map((space: Space) => levelsOf(named(lexicon.paging[space])));
    this.byFormat = (lexicon.words.format ?? []).map(name => (pagingOf(name) ? levelsOf(pagingOf(name)) : undefined));
  }

  /** The level of a table, undefined where the paging format is not known. */
  level(space: number, number: number): Level | undefined {
    return this.bySpace[space]?.[number];
  }
  /** The level of a table that says its format. */
  levelIn(format: number, space: number, number: number): Level | undefined {
    return (this.byFormat[format] ?? this.bySpace[space])?.[number];
  }
}

/** The first frame of what an entry points to, -1 for nothing (and for frames beyond u32, which have no number here). */
export function frameOf(level: Level | undefined, lo: number, hi: number): number {
  const frame = level ? level.target(lo, hi) : -1;
  return frame < FRAMES ? frame : -1;
}
/** How much an entry that points somewhere points to, as a number for keys. */
export function sizeOf(level: Level, lo: number, hi: number): number {
  const span = level.span(lo, hi);
  return span === 0 ? 0 : SIZES.indexOf(span);
}
