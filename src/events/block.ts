/**
 * A block: the columns of one chunk of events. The recorder fills blocks and the reader decodes into them; every part of
 * the replay half reads them. Events as objects (`eventAt`) are for people and for rare paths.
 *
 *   kind  ticks  vcpu  back     one element an event, in order
 *   row                         which row of its kind's columns the event is
 *   col.pte.table[row] ...      the fields, one element an event of that kind
 */
import { assert } from '../base/assert.js';
import { hi32, lo32, u64 } from '../base/u64.js';
import { type Draft, type Event, KIND_NAMES, KINDS, type KindName } from './kinds.js';
import { type AnyField, type Columns, columnSpecs, type Store } from './schema.js';

/** A chunk ends after this many events, ... */
export const CHUNK_EVENTS = 16_384;
/** ... or this many ticks, or when one of its lists could overflow: all functions of the events alone. */
export const CHUNK_TICKS = 2 ** 24;
/** Elements in the pool of one list field of a block. */
export const POOL_ITEMS = 2 ** 18;
/** Elements one list may have: a 16 KiB table of 4-byte entries. */
export const LIST_ITEMS = 4096;

export type BlockColumns = { readonly [K in KindName]: Columns<(typeof KINDS)[K]> };
/** Columns by field name, where code is generic over kinds. */
export type LooseColumns = Readonly<Record<string, Uint8Array | Uint16Array | Uint32Array>>;

export interface Block {
  /** Seq of event 0 (in a detail block: how many events of the main stream came before detail entry 0). */
  first: number;
  /** How many events. */
  count: number;
  readonly kind: Uint8Array;
  readonly row: Uint16Array;
  readonly ticks: Float64Array;
  readonly vcpu: Uint8Array;
  /** seq - cause, 0 for no cause (in a detail block: main-stream events since `first`). */
  readonly back: Uint32Array;
  /** Rows in use, by kind number. */
  readonly rows: Uint32Array;
  readonly col: BlockColumns;
}

const BYTES: Record<Store, number> = { u8: 1, u16: 2, u32: 4 };
const view = (store: Store, buffer: ArrayBufferLike, at: number, n: number) =>
  store === 'u8'
    ? new Uint8Array(buffer, at, n)
    : store === 'u16'
      ? new Uint16Array(buffer, at, n)
      : new Uint32Array(buffer, at, n);
const aligned = (n: number): number => (n + 7) & ~7;

/** How the columns of a full-size block lie from its start; the same for every block, so only the buffer crosses threads. */
const LAYOUT = (() => {
  let bytes = 0;
  const take = (n: number): number => {
    const at = bytes;
    bytes += aligned(n);
    return at;
  };
  const head = {
    rows: take(4 * KIND_NAMES.length),
    counters: take(16),
    kind: take(CHUNK_EVENTS),
    row: take(2 * CHUNK_EVENTS),
    ticks: take(8 * CHUNK_EVENTS),
    vcpu: take(CHUNK_EVENTS),
    back: take(4 * CHUNK_EVENTS),
  };
  const columns = KIND_NAMES.map(name =>
    columnSpecs(KINDS[name].fields).map(spec => {
      const items = spec.per === 'row' ? CHUNK_EVENTS : POOL_ITEMS;
      return { ...spec, items, at: take(items * BYTES[spec.store]) };
    }),
  );
  return { bytes, head, columns };
})();
/**
 * A full-size block as a few arrays over all of it, for those who write a million rows a second: element `row` of a column is at
 * placesOf(kind).column + row in the array of the column's width. Between two events the guest has been through the processor's
 * cache: so every array that is looked at is waited for, and a row has two dozen columns.
 */
export interface BlockMemory {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
}
export function memoryOf({ rows }: Block): BlockMemory {
  const { buffer, byteOffset: start } = rows; // what a block begins with
  return {
    u8: new Uint8Array(buffer, start, LAYOUT.bytes),
    u16: new Uint16Array(buffer, start, LAYOUT.bytes / 2),
    u32: new Uint32Array(buffer, start, LAYOUT.bytes / 4),
    f64: new Float64Array(buffer, start, LAYOUT.bytes / 8),
  };
}
/** Where the columns of a kind begin in the arrays of a BlockMemory. */
export const placesOf = <K extends KindName>(kind: K): { readonly [C in keyof BlockColumns[K]]: number } =>
  Object.fromEntries(LAYOUT.columns[KIND_NAMES.indexOf(kind)]!.map(s => [s.name, s.at / BYTES[s.store]])) as never;
/** The same for `rows` and what every event has. */
export const HEAD_PLACES = {
  rows: LAYOUT.head.rows / 4,
  kind: LAYOUT.head.kind,
  row: LAYOUT.head.row / 2,
  ticks: LAYOUT.head.ticks / 8,
  vcpu: LAYOUT.head.vcpu,
  back: LAYOUT.head.back / 4,
} as const;
/** Bytes of a full-size block. Most of it is never touched, so the system never backs it with memory. */
export const BLOCK_BYTES = LAYOUT.bytes;

/** A full-size block. A class, since V8 looks up every property of an object literal with accessors in a hash table. */
class FullBlock implements Block {
  readonly kind: Uint8Array;
  readonly row: Uint16Array;
  readonly ticks: Float64Array;
  readonly vcpu: Uint8Array;
  readonly back: Uint32Array;
  readonly rows: Uint32Array;
  readonly col: BlockColumns;
  /** In the buffer too, for whoever reads it in another thread. */
  private readonly counters: Float64Array;

  constructor(buffer: ArrayBufferLike, start: number) {
    const { head } = LAYOUT;
    this.kind = new Uint8Array(buffer, start + head.kind, CHUNK_EVENTS);
    this.row = new Uint16Array(buffer, start + head.row, CHUNK_EVENTS);
    this.ticks = new Float64Array(buffer, start + head.ticks, CHUNK_EVENTS);
    this.vcpu = new Uint8Array(buffer, start + head.vcpu, CHUNK_EVENTS);
    this.back = new Uint32Array(buffer, start + head.back, CHUNK_EVENTS);
    this.rows = new Uint32Array(buffer, start + head.rows, KIND_NAMES.length);
    this.col = Object.fromEntries(
      LAYOUT.columns.map((specs, k) => [
        KIND_NAMES[k],
        Object.fromEntries(specs.map(s => [s.name, view(s.store, buffer, start + s.at, s.items)])),
      ]),
    ) as unknown as BlockColumns;
    this.counters = new Float64Array(buffer, start + head.counters, 2);
  }
  get first(): number {
    return this.counters[0]!;
  }
  set first(n: number) {
    this.counters[0] = n;
  }
  get count(): number {
    return this.counters[1]!;
  }
  set count(n: number) {
    this.counters[1] = n;
  }
}

/** A full-size block over BLOCK_BYTES of a buffer; shared buffers make it readable from a worker. */
export const blockOver = (buffer: ArrayBufferLike, start = 0): Block => new FullBlock(buffer, start);
/**
 * As many blocks as a buffer has room for. Each is made when it is first asked for: it is some 300 arrays, and who is quick
 * uses few of them.
 */
export class Blocks {
  private readonly buffer: ArrayBufferLike;
  private readonly made: (Block | undefined)[];

  constructor(buffer: ArrayBufferLike) {
    this.buffer = buffer;
    this.made = new Array<undefined>(Math.floor(buffer.byteLength / BLOCK_BYTES)).fill(undefined);
  }
  at(slot: number): Block {
    return (this.made[slot] ??= blockOver(this.buffer, slot * BLOCK_BYTES));
  }
  /** Which of these blocks it is. */
  slotOf(block: Block): number {
    return this.made.indexOf(block);
  }
}

/** Where the list `field` of `row` starts in its pool. */
export const listStart = (ends: Uint32Array, row: number): number => (row === 0 ? 0 : ends[row - 1]!);

/** Seq of the cause of event i of a main-stream block, -1 for none. */
export const causeAt = (block: Block, i: number): number =>
  block.back[i] === 0 ? -1 : block.first + i - block.back[i]!;

type Loose = Record<string, unknown>;

/** Reads one field of one row as people read it. */
function readField(name: string, f: AnyField, c: LooseColumns, row: number, beside?: Uint32Array): unknown {
  const list = (ends: Uint32Array): bigint[] => {
    const out: bigint[] = [];
    for (let i = listStart(ends, row); i < ends[row]!; i++) out.push(u64(c[`${name}Lo`]![i]!, c[`${name}Hi`]![i]!));
    return out;
  };
  switch (f.shape) {
    case 'word': {
      const v = c[name]![row]!;
      return f.show === 'flag' ? v !== 0 : f.show === 'enum' ? (f.names![v] ?? `?${v}`) : v;
    }
    case 'pair':
      return u64(c[`${name}Lo`]![row]!, c[`${name}Hi`]![row]!);
    case 'u64s':
      return list(c[`${name}End`] as Uint32Array);
    case 'derived':
      return list(beside!);
    default: {
      const ends = c[`${name}End`] as Uint32Array;
      return Buffer.from(c[`${name}Bytes`]!.subarray(listStart(ends, row), ends[row]!) as Uint8Array).toString(
        'latin1',
      );
    }
  }
}

/** Event i of a main-stream block, as an object. For a detail block `seq` and `cause` have no meaning. */
export function eventAt(block: Block, i: number): Event {
  assert(i >= 0 && i < block.count, `event ${i} of a block of ${block.count}`);
  const kind = KIND_NAMES[block.kind[i]!]!;
  const fields = KINDS[kind].fields as Record<string, AnyField>;
  const c = block.col[kind] as unknown as LooseColumns;
  const out: Loose = {
    kind,
    seq: block.first + i,
    ticks: block.ticks[i]!,
    vcpu: block.vcpu[i]!,
    cause: causeAt(block, i),
  };
  for (const [name, f] of Object.entries(fields))
    out[name] = readField(name, f, c, block.row[i]!, f.beside ? (c[`${f.beside}End`] as Uint32Array) : undefined);
  return out as unknown as Event;
}

type Row = (columns: LooseColumns, draft: Loose, row: number) => void;

const unfit = (what: string, v: unknown): never => {
  throw new Error(`internal error: ${v === undefined ? `event without ${what}` : `${what} = ${String(v)}`}`);
};
function writeBytes(ends: Uint32Array, pool: Uint8Array, v: string, row: number, what: string): void {
  const from = listStart(ends, row);
  if (typeof v !== 'string' || v.length > LIST_ITEMS) unfit(what, v?.length);
  for (let i = 0; i < v.length; i++) pool[from + i] = v.charCodeAt(i);
  ends[row] = from + v.length;
}
function writeList(
  ends: Uint32Array,
  lo: Uint32Array,
  hi: Uint32Array,
  v: readonly bigint[],
  row: number,
  what: string,
): void {
  let at = listStart(ends, row);
  if (!Array.isArray(v) || v.length > LIST_ITEMS) unfit(what, v?.length);
  for (const item of v) {
    lo[at] = lo32(item);
    hi[at++] = hi32(item);
  }
  ends[row] = at;
}

/** The function that writes one kind's rows, made once from its schema: a loop over fields costs microseconds an event. */
function rowWriter(kind: KindName): Row {
  const codes: Loose = {};
  const lines = Object.entries(KINDS[kind].fields as Record<string, AnyField>).map(([name, f]) => {
    const what = `'${kind}.${name}'`;
    const bad = `unfit(${what}, d.${name})`;
    switch (f.shape) {
      case 'derived':
        return '';
      case 'pair':
        return `if (typeof d.${name} !== 'bigint') ${bad}; c.${name}Lo[row] = lo32(d.${name}); c.${name}Hi[row] = hi32(d.${name});`;
      case 'bytes':
        return `writeBytes(c.${name}End, c.${name}Bytes, d.${name}, row, ${what});`;
      case 'u64s':
        return `writeList(c.${name}End, c.${name}Lo, c.${name}Hi, d.${name}, row, ${what});`;
    }
    if (f.show === 'flag') return `if (typeof d.${name} !== 'boolean') ${bad}; c.${name}[row] = d.${name} ? 1 : 0;`;
    if (f.show === 'enum') {
      codes[name] = new Map(f.names!.map((n, code) => [n, code]));
      return `{ const code = codes.${name}.get(d.${name}); if (code === undefined) ${bad}; c.${name}[row] = code; }`;
    }
    const max = 256 ** BYTES[f.store as Store] - 1;
    return `if (!(d.${name} >= 0 && d.${name} <= ${max} && d.${name} % 1 === 0)) ${bad}; c.${name}[row] = d.${name};`;
  });
  const make = new Function(
    'codes',
    'unfit',
    'lo32',
    'hi32',
    'writeBytes',
    'writeList',
    `return (c, d, row) => {\n${lines.join('\n')}\n};`,
  );
  return make(codes, unfit, lo32, hi32, writeBytes, writeList) as Row;
}
const ROW_WRITERS = Object.fromEntries(KIND_NAMES.map(kind => [kind, rowWriter(kind)])) as Record<KindName, Row>;

/** Writes the fields of `draft` into row `row` of its kind, each checked. Lists go to the end of their pools. */
export function writeRow(block: Block, draft: Draft, row: number): void {
  ROW_WRITERS[draft.kind](block.col[draft.kind] as unknown as LooseColumns, draft as unknown as Loose, row);
}
