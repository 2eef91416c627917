/**
 * How a kind of event is declared, and everything that derives from a declaration: its TypeScript type, the columns the
 * hot path writes and the file stores, one line of text, one object of JSON. A kind is declared once, in kinds.ts.
 *
 * A field has a SHAPE, which says how it lies in columns:
 *
 *   word     one typed array            name
 *   pair     a u64 as two u32 arrays    nameLo  nameHi
 *   u64s     a list of u64              nameEnd (row -> end in the pool; it starts where the row before ended), nameLo  nameHi (pool)
 *   bytes    a list of bytes            nameEnd, nameBytes (pool)
 *   derived  a list of u64 beside another list's pool, never stored: nameLo  nameHi   (see `was` below)
 */
import type { Frame, Vaddr } from '../base/brand.js';

interface Stores {
  u8: Uint8Array;
  u16: Uint16Array;
  u32: Uint32Array;
}
export type Store = keyof Stores;
export type Shape = 'word' | 'pair' | 'u64s' | 'bytes' | 'derived';

/** Tables of words that a recording brings along: frame types, paths, call classes ... (see lexicon.ts). */
export type WordTable = 'frameType' | 'path' | 'class' | 'batch' | 'format' | 'object';

/** A field; V is what people read. `unit` and `doc` are for the generated reference and for JSON consumers. */
export interface Field<V, S extends Shape = 'word', T extends Store = 'u32'> {
  readonly shape: S;
  /** The column's width where the shape is `word`. */
  readonly store: T;
  /** Store differences from the row before: addresses, frames, low words of entries. */
  readonly delta: boolean;
  /** How a word is shown and what it means. */
  readonly show: 'number' | 'hex' | 'flag' | 'enum' | 'word' | 'text' | 'stack';
  /** For enums: the closed list of names. */
  readonly names?: readonly string[];
  /** For words: the lexicon's table. */
  readonly table?: WordTable;
  /** For derived fields: the list it lies beside. */
  readonly beside?: string;
  /** Only for the type; never present. */
  readonly value?: V;
}

const word = <V, T extends Store>(
  store: T,
  show: Field<V>['show'],
  more: Partial<Field<V, 'word', T>> = {},
): Field<V, 'word', T> => ({
  shape: 'word',
  store,
  delta: false,
  show,
  ...more,
});
export const u8 = word<number, 'u8'>('u8', 'number');
export const u16 = word<number, 'u16'>('u16', 'number');
export const u32 = word<number, 'u32'>('u32', 'number');
export const flag = word<boolean, 'u8'>('u8', 'flag');
export const frame = word<Frame, 'u32'>('u32', 'hex', { delta: true });
/** A call stack: number of an interned stack of the recording, 0 for none. */
export const stack = word<number, 'u32'>('u32', 'stack');
/** A number whose name is in the recording's lexicon. */
export const wordIn = (table: WordTable): Field<number, 'word', 'u8'> => word<number, 'u8'>('u8', 'word', { table });
export const enumOf = <const E extends readonly string[]>(
  ...names: E
): Field<E[number], 'word', 'u8'> & { readonly names: E } => ({
  ...word<E[number], 'u8'>('u8', 'enum'),
  names,
});
export const u64: Field<bigint, 'pair'> = { shape: 'pair', store: 'u32', delta: false, show: 'hex' };
/** A u64 whose low word moves in small steps: entries of page tables, byte addresses. */
export const u64near: Field<bigint, 'pair'> = { ...u64, delta: true };
export const count64: Field<bigint, 'pair'> = { ...u64, show: 'number' };
export const vaddr = u64near as unknown as Field<Vaddr, 'pair'>;
export const u64s: Field<readonly bigint[], 'u64s'> = { shape: 'u64s', store: 'u32', delta: false, show: 'hex' };
/** Text or raw bytes of the guest, as a latin-1 string: one character a byte. */
export const text: Field<string, 'bytes'> = { shape: 'bytes', store: 'u32', delta: false, show: 'text' };
/**
 * The values that the list `beside` replaced. Not stored: a chunk carries the registers at its start, and whoever
 * decodes it knows each old value from the event before.
 */
export const was = (beside: string): Field<readonly bigint[], 'derived'> => ({
  shape: 'derived',
  store: 'u32',
  delta: false,
  show: 'hex',
  beside,
});

export type AnyField = Field<any, any, any>;
export type Fields = Readonly<Record<string, AnyField>>;
export interface Kind<K extends string = string, F extends Fields = Fields> {
  readonly kind: K;
  readonly doc: string;
  readonly fields: F;
}
export const event = <const K extends string, F extends Fields>(kind: K, doc: string, fields: F): Kind<K, F> => ({
  kind,
  doc,
  fields,
});

type Plain<T> = { [P in keyof T]: T[P] } & {};
type Value<D> = D extends Field<infer V, any, any> ? V : never;
/** What every event carries. `cause` is the event it happened inside, -1 for none. */
export interface Head {
  readonly seq: number;
  readonly ticks: number;
  readonly vcpu: number;
  readonly cause: number;
}
export type BodyOf<S> = S extends Kind<any, infer F> ? Plain<{ readonly [P in keyof F]: Value<F[P]> }> : never;
export type EventOf<S> =
  S extends Kind<infer K, infer F>
    ? Plain<Head & { readonly kind: K } & { readonly [P in keyof F]: Value<F[P]> }>
    : never;

type ColumnsOfField<N extends string, D> =
  D extends Field<any, infer S, infer T>
    ? S extends 'word'
      ? { readonly [P in N]: Stores[T] }
      : S extends 'pair' | 'derived'
        ? { readonly [P in `${N}Lo` | `${N}Hi`]: Uint32Array }
        : S extends 'u64s'
          ? { readonly [P in `${N}End` | `${N}Lo` | `${N}Hi`]: Uint32Array }
          : S extends 'bytes'
            ? { readonly [P in `${N}End`]: Uint32Array } & { readonly [P in `${N}Bytes`]: Uint8Array }
            : never
    : never;
type Intersect<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void ? I : never;
/** The open columns of a kind: typed arrays, one row an event of that kind. */
export type Columns<S> =
  S extends Kind<any, infer F>
    ? Plain<Intersect<{ [P in keyof F & string]: ColumnsOfField<P, F[P]> }[keyof F & string]>>
    : never;

/** One typed array of a kind's columns; `per` says whether it has an element a row or an element a list item. */
export interface ColumnSpec {
  readonly name: string;
  readonly store: Store;
  readonly per: 'row' | 'item';
  readonly field: string;
}
/** The typed arrays of a kind, in the order of the file. */
export function columnSpecs(fields: Fields): ColumnSpec[] {
  return Object.entries(fields).flatMap(([name, f]): ColumnSpec[] => {
    const spec = (suffix: string, store: Store, per: 'row' | 'item'): ColumnSpec => ({
      name: name + suffix,
      store,
      per,
      field: name,
    });
    switch (f.shape as Shape) {
      case 'word':
        return [spec('', f.store, 'row')];
      case 'pair':
        return [spec('Lo', 'u32', 'row'), spec('Hi', 'u32', 'row')];
      case 'u64s':
        return [spec('End', 'u32', 'row'), spec('Lo', 'u32', 'item'), spec('Hi', 'u32', 'item')];
      case 'bytes':
        return [spec('End', 'u32', 'row'), spec('Bytes', 'u8', 'item')];
      case 'derived':
        return [spec('Lo', 'u32', 'item'), spec('Hi', 'u32', 'item')];
    }
  });
}

/** The value of `names` codes an enum field by name: code('guest') is 0. Throws on a name it has not. */
export function codeOf<E extends readonly string[]>(field: { readonly names: E }, name: E[number]): number {
  const code = field.names.indexOf(name);
  if (code < 0) throw new Error(`internal error: ${name} is none of ${field.names.join(' ')}`);
  return code;
}
