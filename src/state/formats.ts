/** How the tables of a recording's spaces are laid out: the lexicon names the format, the isa has it. */
import type { Space } from '../events/kinds.js';
import type { Isa, PagingFormat } from '../isa/isa.js';
import { X86_64 } from '../isa/x86_64.js';
import type { Source } from '../recording/source.js';

const ISAS: readonly Isa[] = [X86_64];

/** The processor of a recording; undefined if this version does not know it. */
export const isaOfSource = (source: Pick<Source, 'header'>): Isa | undefined =>
  ISAS.find(isa => isa.name === source.header.isa);

/** The paging format of a space; undefined if the recording names none, or one this version does not know. */
export function formatOf(source: Pick<Source, 'lexicon'>, space: Space): PagingFormat | undefined {
  const name = source.lexicon.paging[space];
  for (const isa of ISAS) for (const format of isa.paging) if (format.name === name) return format;
  return undefined;
}
/** Bytes of an entry in the tables of a space; 8 where the format is not known. */
export const entryBytesOf = (source: Pick<Source, 'lexicon'>, space: Space): 4 | 8 =>
  formatOf(source, space)?.entryBytes ?? 8;
