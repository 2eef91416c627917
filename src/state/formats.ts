/** How the tables of a recording's spaces are laid out: the lexicon names the format, the isa has it. */
import type { Space } from '../events/kinds.js';
import { isaOf, pagingOf } from '../isa/index.js';
import type { Isa, PagingFormat } from '../isa/isa.js';
import type { Source } from '../recording/source.js';

/** The processor of a recording; undefined if this version does not know it. */
export const isaOfSource = (source: Pick<Source, 'header'>): Isa | undefined => isaOf(source.header.isa);

/** The paging format of a space; undefined if the recording names none, or one this version does not know. */
export function formatOf(source: Pick<Source, 'lexicon'>, space: Space): PagingFormat | undefined {
  const name = source.lexicon.paging[space];
  return name === undefined ? undefined : pagingOf(name);
}
/** Bytes of an entry in the tables of a space; 8 where the format is not known. */
export const entryBytesOf = (source: Pick<Source, 'lexicon'>, space: Space): 4 | 8 =>
  formatOf(source, space)?.entryBytes ?? 8;
