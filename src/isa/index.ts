/** Every processor and every paging format, by name: the names are in recordings. */
import { ARMV7 } from './armv7.js';
import { I386_ISA } from './i386.js';
import type { Isa, PagingFormat } from './isa.js';
import { X86_64 } from './x86_64.js';

export const ISAS: readonly Isa[] = [X86_64, I386_ISA, ARMV7];
/** The processor of this name, undefined for one this version does not know. */
export const isaOf = (name: string): Isa | undefined => ISAS.find(isa => isa.name === name);
/** The paging format of this name, undefined for one this version does not know. */
export const pagingOf = (name: string): PagingFormat | undefined =>
  ISAS.flatMap(isa => isa.paging).find(format => format.name === name);
