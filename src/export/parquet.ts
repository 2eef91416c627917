/**
 * A recording as Parquet: a table for every kind of event, derived from its schema, in folders as clusters want them:
 *
 *   DIR/pte/recording=NAME/pte.parquet       seq ticks vcpu cause, then the fields of the kind
 *   DIR/detail_store/recording=NAME/...      with --detail: seq sub ticks vcpu, then the fields
 *   DIR/stack/recording=NAME/...             the call stacks that events name, a row a frame
 *   DIR/recording/recording=NAME/...         one row: what was recorded
 *
 * A table is a folder and a recording a partition of it, so that thousands of recordings are one table. Rows wait in columns
 * until they are a row group; what waits is bounded, so a recording of any length takes the same memory.
 */
import { join } from 'node:path';
import type { KeyValue } from 'hyparquet-writer';
import { asVaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { type Block, causeAt, type LooseColumns } from '../events/block.js';
import { KIND_NAMES, KINDS, type KindName } from '../events/kinds.js';
import { callName } from '../events/lexicon.js';
import type { AnyField } from '../events/schema.js';
import { isaOf } from '../isa/index.js';
import type { Source } from '../recording/source.js';
import { stackOf, symbolAt } from '../views/symbols.js';
import { type Column, Count, columnOf, type FieldColumn, Numbers, Pairs, Texts } from './columns.js';
import { Table } from './table.js';

export interface ParquetOptions {
  readonly dir: string;
  /** The partition; letters, digits and . _ - only. */
  readonly name: string;
  /** First event, and the one after the last. */
  readonly from: number;
  readonly to: number;
  /** Kinds by number; all if not given. */
  readonly kinds?: ReadonlySet<number> | undefined;
  /** Also the detail stream. */
  readonly detail: boolean;
  /** sha-256 of what happened, for the table of recordings. */
  readonly chain: string;
}
export interface Exported {
  readonly tables: number;
  /** Events of the main stream. */
  readonly events: number;
  readonly bytes: number;
}

/** Bytes that may wait in all tables together. */
const WAITING_BYTES = 64 << 20;

/** Writes the tables; they appear together at the end. @throws Trouble where the folder cannot be written */
export function* exportParquet(source: Source, options: ParquetOptions): Work<Exported> {
  const out = new Tables(source, options);
  try {
    yield* events(source, options, out);
    if (options.detail) yield* details(source, options, out);
    out.finish();
    return out.exported;
  } finally {
    out.drop();
  }
}

function* events(source: Source, { from, kinds, ...rest }: ParquetOptions, out: Tables): Work<void> {
  const to = Math.min(rest.to, source.count);
  const tables = KIND_NAMES.map((kind, n) => (!kinds || kinds.has(n) ? out.ofKind(kind, false) : undefined));
  for (let seq = from; seq < to; ) {
    const n = source.chunkOf(seq);
    const { first, count, counts } = source.chunks[n]!;
    const end = Math.min(to, first + count);
    if (!kinds || [...kinds].some(k => counts[k]! > 0)) {
      const block = source.chunk(n);
      takeRows(block, seq - first, end - first, tables, i => [block.first + i, causeAt(block, i)]);
      out.events += end - seq;
      out.settle();
    }
    seq = end;
    yield { done: seq - from, total: to - from };
  }
}

/** Detail entries are numbered behind the event they follow, from 1 on. */
function* details(source: Source, { from, to, kinds }: ParquetOptions, out: Tables): Work<void> {
  const tables = KIND_NAMES.map((): KindTable | undefined => undefined);
  let [seq, sub] = [-1, 0];
  for (const block of source.details(from, to)) {
    for (const [k, kind] of KIND_NAMES.entries())
      if (block.rows[k]! > 0 && (!kinds || kinds.has(k))) tables[k] ??= out.ofKind(kind, true);
    // The window's blocks may begin before it and end behind it.
    const anchor = (i: number): number => block.first + block.back[i]! - 1;
    let [start, end] = [0, block.count];
    while (start < end && anchor(start) < from) start++;
    while (end > start && anchor(end - 1) >= to) end--;
    if (start > 0) [seq, sub] = [-1, 0];
    takeRows(block, start, end, tables, i => {
      if (anchor(i) !== seq) [seq, sub] = [anchor(i), 0];
      return [seq, ++sub];
    });
    out.settle();
    yield { done: Math.min(block.first, to) - from, total: to - from };
  }
}

/** Events start..end-1 of a block into the tables of their kinds. @param place seq and cause of an event, or seq and sub */
function takeRows(
  block: Block,
  start: number,
  end: number,
  tables: readonly (KindTable | undefined)[],
  place: (i: number) => readonly [number, number],
): void {
  const firstRow = new Int32Array(KIND_NAMES.length).fill(-1);
  const lastRow = new Int32Array(KIND_NAMES.length);
  for (let i = start; i < end; i++) {
    const kind = block.kind[i]!;
    if (firstRow[kind]! < 0) firstRow[kind] = block.row[i]!;
    lastRow[kind] = block.row[i]!;
    const at = place(i);
    tables[kind]?.head(at[0], at[1], block.ticks[i]!, block.vcpu[i]!);
  }
  for (const [kind, table] of tables.entries())
    if (table && firstRow[kind]! >= 0)
      table.take(block.col[KIND_NAMES[kind]!] as unknown as LooseColumns, firstRow[kind]!, lastRow[kind]! + 1);
}

/** The table of a kind. */
class KindTable {
  readonly table: Table;
  private readonly seq = new Count('seq');
  /** The event that is its cause; in the detail stream the number behind the event it follows. */
  private readonly second: Count;
  private readonly ticks = new Count('ticks');
  private readonly vcpu = new Numbers('vcpu', 'u8');
  private readonly fields: readonly FieldColumn[];
  private readonly callNames: Texts | undefined;
  private readonly source: Source;
  private readonly stacks: Set<number>;

  constructor(path: string, kind: KindName, detail: boolean, source: Source, about: KeyValue[], stacks: Set<number>) {
    this.source = source;
    this.stacks = stacks;
    const fields = KINDS[kind].fields as Record<string, AnyField>;
    this.fields = Object.entries(fields).map(([name, f]) => columnOf(name, f, source.lexicon));
    this.second = detail ? new Count('sub') : new Count('cause', true);
    this.callNames = 'class' in fields && 'number' in fields ? new Texts('name') : undefined;
    const columns = [this.seq, this.second, this.ticks, this.vcpu, ...this.fields];
    const all: Column[] = this.callNames ? [...columns, this.callNames] : columns;
    this.table = new Table(path, all, [...about, { key: 'rewalk.kind', value: `${kind}: ${KINDS[kind].doc}` }]);
  }
  head(seq: number, second: number, ticks: number, vcpu: number): void {
    this.seq.push(seq);
    this.second.push(second);
    this.ticks.push(ticks);
    this.vcpu.push(vcpu);
  }
  take(columns: LooseColumns, from: number, to: number): void {
    for (const f of this.fields) f.take(columns, from, to);
    if (columns.stack) for (let row = from; row < to; row++) this.stacks.add(columns.stack[row]!);
    if (this.callNames)
      for (let row = from; row < to; row++)
        this.callNames.push(callName(this.source.lexicon, columns.class![row]!, columns.number![row]!));
    this.table.took(to - from);
  }
}

/** All tables of an export. */
class Tables {
  events = 0;
  private readonly all: Table[] = [];
  private readonly stacks = new Set<number>();
  private readonly source: Source;
  private readonly options: ParquetOptions;
  private readonly about: KeyValue[];

  constructor(source: Source, options: ParquetOptions) {
    if (!/^\w[\w.-]*$/.test(options.name))
      throw new Trouble(`${options.name}: the name of a recording has letters, digits and . _ - only`);
    this.source = source;
    this.options = options;
    this.about = [{ key: 'rewalk.recording', value: JSON.stringify(source.header) }];
  }
  ofKind(kind: KindName, detail: boolean): KindTable {
    const path = this.path(detail ? `detail_${kind}` : kind);
    const made = new KindTable(path, kind, detail, this.source, this.about, this.stacks);
    this.all.push(made.table);
    return made;
  }
  /** Writes the largest table's rows while too much waits. */
  settle(): void {
    while (this.all.reduce((sum, t) => sum + t.pending, 0) > WAITING_BYTES)
      this.all.reduce((a, b) => (b.pending > a.pending ? b : a)).flush();
  }
  /** The tables that are no kind's; then every file gets its name. */
  finish(): void {
    this.stackTable();
    this.recordingTable();
    for (const table of this.all) table.close();
    for (const table of this.all) table.file.keep();
  }
  /** Removes what has no name yet: the last first, since the first made the folder that all are in. */
  drop(): void {
    for (const table of this.all.toReversed()) table.file.drop();
  }
  get exported(): Exported {
    return { tables: this.all.length, events: this.events, bytes: this.all.reduce((sum, t) => sum + t.file.bytes, 0) };
  }

  private path(table: string): string {
    return join(this.options.dir, table, `recording=${this.options.name}`, `${table}.parquet`);
  }
  /** A row for each frame of each stack that an exported event names, innermost first. */
  private stackTable(): void {
    const columns = {
      stack: new Numbers('stack', 'u32'),
      depth: new Numbers('depth', 'u8'),
      address: new Pairs('address'),
      symbol: new Texts('symbol'),
      function: new Texts('function', true),
    };
    const table = this.made('stack', Object.values(columns));
    for (const id of [...this.stacks].filter(id => id > 0).sort((a, b) => a - b)) {
      const frames = stackOf(this.source, id);
      for (const [depth, { at, text }] of frames.entries()) {
        columns.stack.push(id);
        columns.depth.push(depth);
        columns.address.push(at);
        columns.symbol.push(text);
        // A return address is behind its call, and behind the function where that does not return.
        columns.function.push(symbolAt(this.source.symbols, asVaddr(at - 1n))?.name ?? null);
      }
      table.took(frames.length);
    }
  }
  private recordingTable(): void {
    const { header, count, endTicks, name } = this.source;
    const texts: Record<string, string> = {
      file: name,
      system: header.system,
      guest: header.guest,
      isa: header.isa,
      detail: header.detail,
      config: JSON.stringify(header.config),
      images: JSON.stringify(header.images),
      registers: JSON.stringify(isaOf(header.isa)?.registers.map(r => r.name) ?? []),
      chain: this.options.chain,
    };
    const numbers: Record<string, number> = {
      vcpus: header.vcpus,
      memory_bytes: header.memoryBytes,
      events: count,
      ticks: endTicks,
      first_exported: this.options.from,
      behind_exported: this.options.to,
    };
    const push = <C extends { push(v: V): void }, V>(column: C, value: V): C => {
      column.push(value);
      return column;
    };
    const columns = [
      ...Object.entries(texts).map(([key, value]) => push(new Texts(key), value)),
      ...Object.entries(numbers).map(([key, value]) => push(new Count(key), value)),
    ];
    this.made('recording', columns).took(1);
  }
  private made(name: string, columns: readonly Column[]): Table {
    const table = new Table(this.path(name), columns, this.about);
    this.all.push(table);
    return table;
  }
}
