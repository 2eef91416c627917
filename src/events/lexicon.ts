/**
 * The words of a system, carried by each recording: names for the numbers in its events. Nothing in the replay half knows
 * a system's words otherwise, so an old recording stays readable and a new system needs no change here.
 */
import type { Space } from './kinds.js';
import type { WordTable } from './schema.js';

/** A named range of the guest's virtual addresses, end exclusive, as hex u64 strings (JSON has no u64). */
export interface Region {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

export interface Lexicon {
  /** Names by number, for each table of words. */
  readonly words: Readonly<Partial<Record<WordTable, readonly string[]>>>;
  /** Call names: class number -> call number -> name. */
  readonly calls: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly regions: readonly Region[];
  /** The paging format of the tables in each space, by its name in the isa. */
  readonly paging: Readonly<Partial<Record<Space, string>>>;
  /** Names of registers by number. They are the processor's and not in the file: whoever opens it adds them. */
  readonly registers?: readonly string[];
}
export const EMPTY_LEXICON: Lexicon = { words: {}, calls: {}, regions: [], paging: {} };

/** The name of a word, or `table:number` for one the recording does not explain. */
export const wordOf = (lexicon: Lexicon, table: WordTable, n: number): string =>
  lexicon.words[table]?.[n] ?? `${table}:${n}`;
export const registerName = ({ registers }: Lexicon, n: number): string => registers?.[n] ?? `register ${n}`;
/** The name of a call, or `call number`. */
export const callName = (lexicon: Lexicon, cls: number, n: number): string =>
  lexicon.calls[cls]?.[n] ?? `${wordOf(lexicon, 'class', cls)} ${n}`;
