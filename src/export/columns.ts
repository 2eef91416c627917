/**
 * The columns of a Parquet table, each with the rows that wait for its next row group. What a field becomes follows from its
 * schema alone:
 *
 *   word    number, enum, words of the lexicon    UINT_8 UINT_16 UINT_32, or its name as STRING; a flag is BOOLEAN
 *           frame, stack                          UINT_32, null for none
 *   pair                                          UINT_64, exact: never a double
 *   u64s, derived                                 LIST of UINT_64
 *   bytes                                         STRING, one character a byte
 *
 * Numbers of events and ticks are INT64: they stay below 2^53, and what is subtracted from each other should not wrap.
 */
import type { ColumnSource, SchemaElement } from 'hyparquet-writer';
import { type LooseColumns, listStart } from '../events/block.js';
import { NO_FRAME } from '../events/kinds.js';
import { type Lexicon, wordOf } from '../events/lexicon.js';
import type { AnyField } from '../events/schema.js';

export interface Column {
  readonly name: string;
  /** Its elements in the schema of the file, depth first. */
  readonly elements: readonly SchemaElement[];
  /** Bytes that wait, roughly. */
  readonly bytes: number;
  /** Gives what waits as one row group's values, and forgets it. */
  drain(): ColumnSource;
}
/** A column of a kind's field: takes rows from..to-1 of the kind's columns in a block. */
export interface FieldColumn extends Column {
  take(columns: LooseColumns, from: number, to: number): void;
}

const FIRST_ROOM = 1024;
/** u32 words in a row, more whenever they are needed. */
class Words {
  words = new Uint32Array(FIRST_ROOM);
  length = 0;
  /** Makes room for n words more and returns where they go. */
  grow(n: number): number {
    const at = this.length;
    this.length += n;
    if (this.length > this.words.length) {
      const words = new Uint32Array(Math.max(this.length, this.words.length * 2));
      words.set(this.words);
      this.words = words;
    }
    return at;
  }
  /** All of them, copied; then there are none. */
  drain(): Uint32Array<ArrayBuffer> {
    const all = this.words.slice(0, this.length);
    this.length = 0;
    return all;
  }
}
const leaf = (name: string, type: 'INT32' | 'INT64', converted: SchemaElement['converted_type']): SchemaElement => ({
  name,
  type,
  repetition_type: 'REQUIRED',
  ...(converted ? { converted_type: converted } : {}),
});
const optional = (element: SchemaElement): SchemaElement => ({ ...element, repetition_type: 'OPTIONAL' });

/** Whole numbers below 2^53, in order or nearly: events, ticks. Below zero is null, where that may be. */
export class Count implements Column {
  readonly name: string;
  readonly elements: readonly SchemaElement[];
  private readonly nullable: boolean;
  private values: number[] = [];

  constructor(name: string, nullable = false) {
    this.name = name;
    this.nullable = nullable;
    const element = leaf(name, 'INT64', undefined);
    this.elements = [nullable ? optional(element) : element];
  }
  get bytes(): number {
    return this.values.length * 8;
  }
  push(value: number): void {
    this.values.push(value);
  }
  drain(): ColumnSource {
    const { name, values } = this;
    this.values = [];
    if (this.nullable) return { name, data: values.map(v => (v < 0 ? null : BigInt(v))) };
    return { name, data: BigInt64Array.from(values, BigInt), encoding: 'DELTA_BINARY_PACKED' };
  }
}

/** Words as numbers; `none` is null. */
export class Numbers implements FieldColumn {
  readonly name: string;
  readonly elements: readonly SchemaElement[];
  private readonly none: number | undefined;
  private readonly words = new Words();

  constructor(name: string, store: AnyField['store'], none?: number) {
    this.name = name;
    this.none = none;
    const element = leaf(name, 'INT32', ({ u8: 'UINT_8', u16: 'UINT_16', u32: 'UINT_32' } as const)[store as 'u8']);
    this.elements = [none === undefined ? element : optional(element)];
  }
  get bytes(): number {
    return this.words.length * 4;
  }
  push(value: number): void {
    this.words.words[this.words.grow(1)] = value;
  }
  take(columns: LooseColumns, from: number, to: number): void {
    const at = this.words.grow(to - from);
    this.words.words.set(columns[this.name]!.subarray(from, to), at);
  }
  drain(): ColumnSource {
    // An array, not a Uint32Array: of that the library takes no value above 2^31.
    const { none } = this;
    return { name: this.name, data: Array.from(this.words.drain(), v => (v === none ? null : v)) };
  }
}

/** Words by name, and flags: what a number means, from a function asked once for each number. */
export class Named<T extends string | boolean> implements FieldColumn {
  readonly name: string;
  readonly elements: readonly SchemaElement[];
  private readonly means: (word: number) => T;
  private readonly words = new Words();

  constructor(name: string, means: (word: number) => T, kind: 'text' | 'flag') {
    this.name = name;
    this.means = means;
    this.elements = [
      kind === 'flag'
        ? { name, type: 'BOOLEAN', repetition_type: 'REQUIRED' }
        : { name, type: 'BYTE_ARRAY', repetition_type: 'REQUIRED', converted_type: 'UTF8' },
    ];
  }
  get bytes(): number {
    return this.words.length * 4;
  }
  take(columns: LooseColumns, from: number, to: number): void {
    const at = this.words.grow(to - from);
    this.words.words.set(columns[this.name]!.subarray(from, to), at);
  }
  drain(): ColumnSource {
    const known = new Map<number, T>();
    const meaning = (word: number): T => {
      let m = known.get(word);
      if (m === undefined) known.set(word, (m = this.means(word)));
      return m;
    };
    return { name: this.name, data: Array.from(this.words.drain(), meaning) };
  }
}

/** The two words of u64 values as the u64s they are: lo and hi alternate, which is how this machine has them in memory. */
const u64sOf = (words: Uint32Array<ArrayBuffer>): BigUint64Array => new BigUint64Array(words.buffer);
function interleave(to: Words, lo: LooseColumns[string], hi: LooseColumns[string], from: number, end: number): void {
  let at = to.grow(2 * (end - from));
  const { words } = to;
  for (let i = from; i < end; i++) {
    words[at++] = lo[i]!;
    words[at++] = hi[i]!;
  }
}

/** u64 values. */
export class Pairs implements FieldColumn {
  readonly name: string;
  readonly elements: readonly SchemaElement[];
  private readonly words = new Words();

  constructor(name: string) {
    this.name = name;
    this.elements = [leaf(name, 'INT64', 'UINT_64')];
  }
  get bytes(): number {
    return this.words.length * 4;
  }
  push(value: bigint): void {
    const at = this.words.grow(2);
    this.words.words[at] = Number(value & 0xffff_ffffn);
    this.words.words[at + 1] = Number(value >> 32n);
  }
  take(columns: LooseColumns, from: number, to: number): void {
    interleave(this.words, columns[`${this.name}Lo`]!, columns[`${this.name}Hi`]!, from, to);
  }
  drain(): ColumnSource {
    return { name: this.name, data: u64sOf(this.words.drain()) };
  }
}

/** Lists of u64. */
export class Lists implements FieldColumn {
  readonly name: string;
  readonly elements: readonly SchemaElement[];
  /** The field whose ends say how long the lists are: itself, or for a derived field the one beside it. */
  private readonly ends: string;
  private readonly words = new Words();
  private lengths: number[] = [];

  constructor(name: string, beside = name) {
    this.name = name;
    this.ends = `${beside}End`;
    this.elements = [
      { name, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      leaf('element', 'INT64', 'UINT_64'),
    ];
  }
  get bytes(): number {
    return this.words.length * 4 + this.lengths.length * 8;
  }
  take(columns: LooseColumns, from: number, to: number): void {
    const ends = columns[this.ends] as Uint32Array;
    const start = listStart(ends, from);
    const end = to > from ? ends[to - 1]! : start;
    interleave(this.words, columns[`${this.name}Lo`]!, columns[`${this.name}Hi`]!, start, end);
    for (let row = from; row < to; row++) this.lengths.push(ends[row]! - listStart(ends, row));
  }
  drain(): ColumnSource {
    const { name, lengths } = this;
    const all = u64sOf(this.words.drain());
    this.lengths = [];
    let at = 0;
    return { name, data: lengths.map(n => Array.from(all.subarray(at, (at += n)))) };
  }
}

/** Text. */
export class Texts implements FieldColumn {
  readonly name: string;
  readonly elements: readonly SchemaElement[];
  bytes = 0;
  private values: (string | null)[] = [];

  constructor(name: string, nullable = false) {
    this.name = name;
    const element: SchemaElement = { name, type: 'BYTE_ARRAY', repetition_type: 'REQUIRED', converted_type: 'UTF8' };
    this.elements = [nullable ? optional(element) : element];
  }
  push(value: string | null): void {
    this.values.push(value);
    this.bytes += 16 + (value?.length ?? 0);
  }
  take(columns: LooseColumns, from: number, to: number): void {
    const ends = columns[`${this.name}End`] as Uint32Array;
    const pool = columns[`${this.name}Bytes`] as Uint8Array;
    for (let row = from; row < to; row++)
      this.push(Buffer.from(pool.subarray(listStart(ends, row), ends[row]!)).toString('latin1'));
  }
  drain(): ColumnSource {
    const data = this.values;
    this.values = [];
    this.bytes = 0;
    return { name: this.name, data };
  }
}

/** The column of a field. */
export function columnOf(name: string, field: AnyField, lexicon: Lexicon): FieldColumn {
  switch (field.shape) {
    case 'pair':
      return new Pairs(name);
    case 'u64s':
      return new Lists(name);
    case 'derived':
      return new Lists(name, field.beside);
    case 'bytes':
      return new Texts(name);
  }
  switch (field.show) {
    case 'flag':
      return new Named(name, word => word !== 0, 'flag');
    case 'enum':
      return new Named(name, word => field.names?.[word] ?? `?${word}`, 'text');
    case 'word':
      return new Named(name, word => wordOf(lexicon, field.table!, word), 'text');
    case 'stack':
      return new Numbers(name, 'u32', 0);
    case 'hex':
      return new Numbers(name, field.store, NO_FRAME);
    default:
      return new Numbers(name, field.store);
  }
}
