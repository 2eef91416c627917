/**
 * A block of events out of bytes: the canonical body of a chunk, which hashes and comparisons go by. The same events give the
 * same bytes, on every machine and in every version of Node (body-encode.ts); compression comes after (pieces.ts).
 *
 *   body     events u32 | kinds u32 | bytes of head u32 | per kind: number, rows, bytes u32 | head | part of kind | ...
 *   head     ticks of event 0 f64 | columns kind, ticks low, ticks high, vcpu | causes
 *   part     [registers at the start] | columns in the order of the layout
 *
 * Parts stand alone but for the head: who asks for one kind decodes one kind, and a decoded block does so when its columns
 * are first touched. All loops run over the values of one column; nothing is done field by field for each event.
 */
import { Trouble } from '../base/trouble.js';
import { type Block, type BlockColumns, CHUNK_EVENTS, LIST_ITEMS, POOL_ITEMS } from '../events/block.js';
import { KIND, KIND_NAMES, KINDS, type KindName } from '../events/kinds.js';
import { type ColumnSpec, columnSpecs, type Fields } from '../events/schema.js';
import { Bytes } from './bytes.js';
import { decodeColumn, skipColumn } from './column-decode.js';
import type { Numbers } from './column-tags.js';
import { Head, type Order } from './head.js';
import { type KindPlan, LAYOUT, type Layout, missingColumns, type Plan, planOf } from './layout.js';
import { type StoredPieces, sameStored } from './pieces.js';
import { RegisterFile } from './register-file.js';
import { type Loose, registerEnds, restoreChanges, restoreRegisters } from './restore.js';

export const TABLE_BYTES = 12;

/** Processor of each row of a kind. */
export function vcpusOf(block: Block, kind: number): Uint8Array {
  const vcpus = new Uint8Array(block.rows[kind]!).fill(block.vcpu[0]!);
  const { vcpu, count } = block;
  let i = 1;
  while (i < count && vcpu[i] === vcpu[0]) i++;
  if (i < count) for (i = 0; i < count; i++) if (block.kind[i] === kind) vcpus[block.row[i]!] = block.vcpu[i]!;
  return vcpus;
}

/** A body whose bytes may have to be made first: `need` does that for from .. to-1. */
export interface Body {
  readonly bytes: Uint8Array;
  need(from: number, to: number): void;
  /** Bytes that it is made from, which are kept as long as it is. */
  readonly kept: number;
  /** How bytes from .. to-1 are stored; undefined where they never were. */
  readonly storedAt?: (from: number, to: number) => StoredPieces;
}
export const wholeBody = (bytes: Uint8Array): Body => ({ bytes, need: () => {}, kept: 0 });

/** How to read the bodies of one recording. */
export interface Reading {
  readonly layout: Layout;
  readonly plan: Plan;
  /** By number in the file: the number here. */
  readonly kindHere: Uint8Array;
  /** By number in the file: columns of the kind that the file has not. */
  readonly missing: readonly (readonly ColumnSpec[])[];
  /** The same for recordings of the same layout. */
  readonly key: string;
}
export const readingOf = (layout: Layout): Reading => ({
  layout,
  plan: planOf(layout),
  kindHere: Uint8Array.from(layout, k => KIND_NAMES.indexOf(k.name as KindName)),
  missing: layout.map(missingColumns),
  key: JSON.stringify(layout),
});
/** For bodies that this program wrote. */
export const OWN: Reading = readingOf(LAYOUT);

const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array };
const emptyColumns = (name: KindName, rows: number, items: (field: string) => number): Loose =>
  Object.fromEntries(
    columnSpecs(KINDS[name].fields as Fields).map(s => [
      s.name,
      new ARRAYS[s.store](s.per === 'row' ? rows : items(s.field)),
    ]),
  );
const EMPTY = KIND_NAMES.map(name => emptyColumns(name, 0, () => 0));

/** Columns of a decoded block: made when first asked for. */
class LazyColumns {
  readonly made: (Loose | undefined)[];
  readonly make: (kind: number) => Loose;
  constructor(make: (kind: number) => Loose) {
    this.made = KIND_NAMES.map(() => undefined);
    this.make = make;
  }
}
KIND_NAMES.forEach((name, kind) => {
  Object.defineProperty(LazyColumns.prototype, name, {
    enumerable: true,
    get(this: LazyColumns) {
      return this.made[kind] ?? (this.made[kind] = this.make(kind));
    },
  });
});

/** A block of a recording; its columns are as long as they need to be. Touching what is damaged throws Trouble. */
export interface DecodedBlock extends Block {
  /** Bytes of memory it holds; grows as columns are made. */
  readonly held: number;
  readonly origin: Origin;
}
/** Where a block's columns come from, for another block that may have the same. */
interface Origin {
  readonly reading: Reading;
  readonly body: Body;
  readonly parts: ReadonlyMap<number, Part>;
  readonly some: (kind: number, names: readonly string[]) => Loose;
}
type Wanted = ReadonlySet<string>;
/**
 * Some columns of a kind, of one without lists: for who asks once. They are decoded for the caller alone, and the others are
 * passed by. Throws Trouble where they are damaged.
 */
export function someColumns<K extends KindName, C extends keyof BlockColumns[K] & string>(
  block: Block,
  kind: K,
  names: readonly C[],
): Pick<BlockColumns[K], C> {
  if (!('origin' in block)) return block.col[kind];
  return (block as DecodedBlock).origin.some(KIND[kind], names) as unknown as Pick<BlockColumns[K], C>;
}
/** These columns and those that they are made of: what an event found is known from the ones before it. */
function wantedOf({ key, changes, counts }: KindPlan, names: readonly string[]): Wanted {
  const found = changes.some(([old, now]) => names.includes(old) || (counts && names.includes(now)));
  return new Set(found ? [...names, ...key, ...changes.flat()] : names);
}
/** True if two blocks have the same columns of a kind, as far as that shows without decoding them. */
export function storedAlike(a: Block, b: Block, kind: number): boolean {
  const [x, y] = [a, b].map(block => ('origin' in block ? (block as DecodedBlock).origin : undefined));
  const [p, q] = [x?.parts.get(kind), y?.parts.get(kind)];
  return a === b || (!!p && !!q && x!.reading.key === y!.reading.key && sameParts(x!.body, p, y!.body, q));
}
/** True if two parts have the same bytes, as far as that shows without inflating them. */
const sameParts = (a: Body, x: Part, b: Body, y: Part): boolean =>
  x.rows === y.rows &&
  a.storedAt !== undefined &&
  b.storedAt !== undefined &&
  sameStored(a.storedAt(x.from, x.to), b.storedAt(y.from, y.to));

export interface DecodeOptions {
  readonly reading?: Reading;
  /** The most events there may be. */
  readonly events?: number;
  /** The most elements one column of list items may have. */
  readonly items?: number;
  /** Every cause must be an event of the recording: true for chunks, not for details and copies. */
  readonly causes?: boolean;
  /** What ticks must begin and end with. */
  readonly ticks?: readonly [first: number, last: number];
  /** What an error message begins with: the file and the place. */
  readonly where?: string;
  /** A block of another recording of the same layout: columns that are stored alike are taken from it, and never written to. */
  readonly like?: DecodedBlock | undefined;
}

/**
 * Decodes the table of a body now, its head and its parts when they are touched.
 * Whatever the bytes are, it ends in bounded memory: a valid block or Trouble.
 * @param first seq of event 0
 */
export function decodeBody(body: Body, first: number, options: DecodeOptions = {}): DecodedBlock {
  try {
    return decode(body, first, options);
  } catch (error) {
    throw placed(error, options.where);
  }
}

const placed = (error: unknown, where: string | undefined): unknown =>
  error instanceof Trouble && where ? new Trouble(`${where}: ${error.message}`) : error;

interface Part {
  readonly plan: KindPlan;
  readonly rows: number;
  readonly from: number;
  readonly to: number;
  readonly number: number;
}

function decode(body: Body, first: number, options: DecodeOptions): DecodedBlock {
  const { reading = OWN, events = CHUNK_EVENTS, items = POOL_ITEMS, causes = false, ticks, where } = options;
  body.need(0, Math.min(body.bytes.length, TABLE_BYTES * 257));
  const table = new Bytes(body.bytes);
  const count = table.u32();
  const kinds = table.u32();
  const headBytes = table.u32();
  if (count > events) throw new Trouble(`${count} events in a chunk`);
  if (kinds > reading.plan.length) throw new Trouble(`${kinds} kinds of events in a chunk`);
  const parts = new Map<number, Part>();
  const rows = new Uint32Array(KIND_NAMES.length);
  const kindNumbers: number[] = [];
  let at = TABLE_BYTES * (kinds + 1) + headBytes;
  for (let n = 0, before = -1; n < kinds; n++) {
    const number = table.u32();
    const r = table.u32();
    const bytes = table.u32();
    const plan = reading.plan[number];
    if (!plan || number <= before || r === 0 || r > count) throw new Trouble(`its table of kinds is not valid`);
    const here = reading.kindHere[number]!;
    rows[here] = r;
    parts.set(here, { plan, rows: r, from: at, to: (at += bytes), number });
    kindNumbers.push(number);
    before = number;
  }
  if (rows.reduce((sum, n) => sum + n, 0) !== count) throw new Trouble('its table of kinds does not fit its events');
  if (at !== body.bytes.length) throw new Trouble(`a body of ${body.bytes.length} bytes that should have ${at}`);

  const headStart = TABLE_BYTES * (kinds + 1);
  const headEnd = headStart + headBytes;
  const head = new Head(new Bytes(body.bytes, headStart, headEnd, body.need), {
    first,
    count,
    rows,
    kindHere: reading.kindHere,
    table: Uint8Array.from(kindNumbers, n => reading.kindHere[n]!),
    causes,
    ticks,
  });
  const like = options.like?.origin.reading.key === reading.key ? options.like : undefined;
  const ofPart = (part: Part, kind: number, wanted?: Wanted): Loose => {
    try {
      const from = new Bytes(body.bytes, part.from, part.to, body.need);
      return decodePart(from, part, kind, block, reading, items, wanted);
    } catch (error) {
      throw placed(error, where);
    }
  };
  const make = (kind: number): Loose => {
    const part = parts.get(kind);
    if (!part) return EMPTY[kind]!;
    const twin = part.plan.registers ? undefined : like?.origin.parts.get(kind);
    if (twin && sameParts(like!.origin.body, twin, body, part)) return like!.col[KIND_NAMES[kind]!] as unknown as Loose;
    const columns = ofPart(part, kind);
    for (const column of Object.values(columns)) held += column.byteLength;
    return columns;
  };
  const some: Origin['some'] = (kind, names) => {
    const part = parts.get(kind);
    return part ? ofPart(part, kind, wantedOf(part.plan, names)) : EMPTY[kind]!;
  };
  let held = body.bytes.length + body.kept + 16 * count + 4096;
  const col = new LazyColumns(make) as unknown as BlockColumns;
  const ofHead = <T>(made: () => T): T => {
    try {
      return made();
    } catch (error) {
      throw placed(error, where);
    }
  };
  const block = new BodyBlock(first, count, rows, col, {
    head,
    ofHead,
    held: () => held,
    origin: { reading, body, parts, some },
  });
  return block;
}

/** What a decoded block makes its head of. */
interface Making {
  readonly head: Head;
  readonly ofHead: <T>(made: () => T) => T;
  readonly held: () => number;
  readonly origin: Origin;
}
class BodyBlock implements DecodedBlock {
  readonly first: number;
  readonly count: number;
  readonly rows: Uint32Array;
  readonly col: BlockColumns;
  readonly origin: Origin;
  private readonly making: Making;
  private order: Order | undefined;
  private times: Float64Array | undefined;
  private vcpus: Uint8Array | undefined;
  private causes: Uint32Array | undefined;

  constructor(first: number, count: number, rows: Uint32Array, col: BlockColumns, making: Making) {
    this.first = first;
    this.count = count;
    this.rows = rows;
    this.col = col;
    this.making = making;
    this.origin = making.origin;
  }
  get held(): number {
    return this.making.held();
  }
  get kind(): Uint8Array {
    return (this.order ??= this.making.ofHead(() => this.making.head.order())).kind;
  }
  get row(): Uint16Array {
    return (this.order ??= this.making.ofHead(() => this.making.head.order())).row;
  }
  get ticks(): Float64Array {
    return (this.times ??= this.making.ofHead(() => this.making.head.ticks()));
  }
  get vcpu(): Uint8Array {
    return (this.vcpus ??= this.making.ofHead(() => this.making.head.vcpu()));
  }
  get back(): Uint32Array {
    return (this.causes ??= this.making.ofHead(() => this.making.head.back(this)));
  }
}

function decodePart(
  from: Bytes,
  { plan, rows, number }: Part,
  kind: number,
  block: Block,
  reading: Reading,
  most: number,
  wanted?: Wanted,
): Loose {
  const columns: Loose = {};
  const file = plan.registers ? RegisterFile.read(from) : undefined;
  for (const { name, store, what, ends, names } of plan.columns) {
    if (wanted && !wanted.has(name)) {
      skipColumn(from, rows, ARRAYS[store].BYTES_PER_ELEMENT as 1 | 2 | 4);
      continue;
    }
    const n = what === 'item' ? columns[ends]![rows - 1]! : rows;
    if (what === 'end' && plan.registers) columns[name] = registerEnds(columns, rows);
    else {
      const column = new ARRAYS[store](n);
      decodeColumn(from, column);
      columns[name] = column;
      if (what === 'end') endsOf(column as Uint32Array, name);
    }
    if (what === 'end' && columns[name]![rows - 1]! > most) throw new Trouble(`${plan.name}.${name}: too many items`);
    if (names > 0) checkEnum(columns[name]!, names, `${plan.name}.${name}`);
  }
  if (from.at !== from.end) throw new Trouble(`${from.end - from.at} bytes too many after ${plan.name}`);
  if (file) restoreRegisters(columns, rows, vcpusOf(block, kind), file);
  else if (plan.changes.length > 0 && plan.changes.every(([old]) => columns[old])) restoreChanges(plan, columns, rows);
  // An older recording lacks what came later. A list that is missing is empty.
  for (const spec of reading.missing[number]!)
    columns[spec.name] = new ARRAYS[spec.store](spec.per === 'row' ? rows : 0);
  return columns;
}

/** Lengths to ends, in place. */
function endsOf(lengths: Uint32Array, name: string): void {
  let end = 0;
  for (let r = 0; r < lengths.length; r++) {
    if (lengths[r]! > LIST_ITEMS) throw new Trouble(`${name}: a list of ${lengths[r]} items`);
    lengths[r] = end += lengths[r]!;
  }
}

function checkEnum(column: Numbers, names: number, what: string): void {
  for (let r = 0; r < column.length; r++)
    if (column[r]! >= names) throw new Trouble(`${what}: ${column[r]} is no name of it`);
}

/** Reads what encodeBlock wrote. Throws Trouble where it is damaged; see DecodeOptions for limits. */
export const decodeBlock = (bytes: Uint8Array, first: number, options: DecodeOptions = {}): DecodedBlock =>
  decodeBody(wholeBody(bytes), first, options);
