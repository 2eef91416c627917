/**
 * The end of the live half that writes: machine and models open a row, fill its columns, and go on. Nothing is allocated
 * and nothing is encoded here; a full block goes to the recorder, which hands back an empty one.
 *
 *   const row = log.open(KIND.pte, ticks, vcpu, cause);
 *   log.col.pte.table[row] = table; ...           every column of the kind, or the row keeps what was there before
 *
 * or, where it must be quick, log.memory.u32[PTE.table + row] = table; ... with PTE = placesOf('pte').
 */
import { assert } from '../base/assert.js';
import {
  type Block,
  type BlockColumns,
  type BlockMemory,
  CHUNK_EVENTS,
  CHUNK_TICKS,
  HEAD_PLACES,
  LIST_ITEMS,
  listStart,
  memoryOf,
  POOL_ITEMS,
  writeRow,
} from './block.js';
import { type Draft, KIND, KIND_NAMES, KINDS } from './kinds.js';
import { type AnyField, columnSpecs } from './schema.js';

/** Whoever takes full blocks. `swap` gets one (count and first set) and returns an empty one. */
export interface BlockSink {
  swap(full: Block): Block;
}

/** By kind: the columns that say where its lists end. */
const LISTS = KIND_NAMES.map(name =>
  Object.entries(KINDS[name].fields as Record<string, AnyField>)
    .filter(([, f]) => f.shape === 'u64s' || f.shape === 'bytes')
    .map(([field]) => `${field}End`),
);
/** In every event: an imported constant is looked up each time, one of the module's own is part of the instruction. */
const FULL = CHUNK_EVENTS;
const HEAD = HEAD_PLACES;

export class Log {
  /** The open columns; valid until the next `open`. */
  col: BlockColumns;
  /** The same block in a few arrays; see BlockMemory. */
  memory: BlockMemory;
  /** How many events were written; the seq of the next one. */
  seq = 0;
  private block: Block;
  private readonly sink: BlockSink;
  private count = 0;
  /** By kind: up to this row its lists have room in the block, however long they are. */
  private readonly fits = new Uint32Array(KIND_NAMES.length);
  /** The first ticks that are another chunk's; 0 while the block is empty. */
  private endTicks = 0;
  private lastTicks = 0;
  /** In a detail log, events of the main stream so far; set by the owner before `open`. */
  readonly anchor: { before: number } | undefined;

  /**
   * @param first an empty block
   * @param anchor given for a detail stream: where its entries stand in the main stream
   */
  constructor(sink: BlockSink, first: Block, anchor?: { before: number }) {
    this.sink = sink;
    this.block = first;
    this.col = first.col;
    this.memory = memoryOf(first);
    this.anchor = anchor;
    this.reset();
  }

  private reset(): void {
    this.block.first = this.anchor ? this.anchor.before : this.seq;
    this.block.count = this.count = 0;
    this.block.rows.fill(0);
    this.fits.fill(0);
    this.endTicks = 0;
  }

  /**
   * Begins an event and returns its row in the columns of its kind. Ends the one before.
   * @param ticks never smaller than the event before
   * @param cause seq of the event it happens inside, -1 for none
   */
  open(kind: number, ticks: number, vcpu: number, cause: number): number {
    if (this.count === FULL || ticks >= this.endTicks || this.memory.u32[HEAD.rows + kind]! >= this.fits[kind]!)
      this.makeRoom(kind, ticks);
    assert(ticks >= this.lastTicks, 'time went backwards from one event to the next');
    this.lastTicks = ticks;
    const { u8, u16, u32, f64 } = this.memory;
    const i = this.count++;
    const row = u32[HEAD.rows + kind]!++;
    u8[HEAD.kind + i] = kind;
    u16[HEAD.row + i] = row;
    f64[HEAD.ticks + i] = ticks;
    u8[HEAD.vcpu + i] = vcpu;
    u32[HEAD.back + i] = this.anchor ? this.anchor.before - this.block.first : cause < 0 ? 0 : this.seq - cause;
    this.seq++;
    return row;
  }
  /** Before an event that is the first of its block, or the first of another one, or whose lists may not fit. */
  private makeRoom(kind: number, ticks: number): void {
    let fits = this.fitting(kind);
    if (this.count > 0 && (this.count === FULL || ticks >= this.endTicks || this.block.rows[kind]! >= fits)) {
      this.flush();
      fits = this.fitting(kind);
    }
    this.fits[kind] = fits;
    if (this.count > 0) return;
    this.endTicks = ticks + CHUNK_TICKS;
    if (this.anchor) this.block.first = this.anchor.before;
  }
  /** The rows of this kind that the block has room for: those it has, and as many more with lists of the largest size. */
  private fitting(kind: number): number {
    const rows = this.block.rows[kind]!;
    const columns = this.col[KIND_NAMES[kind]!] as unknown as Record<string, Uint32Array>;
    const used = LISTS[kind]!.map(ends => listStart(columns[ends]!, rows));
    return used.length === 0 ? FULL : rows + Math.floor((POOL_ITEMS - Math.max(...used)) / LIST_ITEMS);
  }

  /** Writes a whole event, checked field by field: for kinds that are rare. Returns its seq. */
  put(draft: Draft): number {
    const row = this.open(KIND[draft.kind], draft.ticks, draft.vcpu, draft.cause);
    writeRow(this.block, draft, row);
    return this.seq - 1;
  }

  /** Hands over what is there, full or not: at the end of a run only, since it decides where a chunk ends. */
  flush(): void {
    if (this.count === 0) return;
    this.block = this.sink.swap(this.current);
    this.col = this.block.col;
    this.memory = memoryOf(this.block);
    this.reset();
  }

  /** The block being filled; its events are complete but for the last one opened. */
  get current(): Block {
    this.block.count = this.count; // kept here meanwhile: the block's own is in shared memory
    return this.block;
  }
}

/** Fills row `row` of a kind with a pattern, so that a test sees a column that an emitter forgot. */
export function poison(columns: BlockColumns, kind: number, row: number): void {
  const c = columns[KIND_NAMES[kind]!] as unknown as Record<string, Uint8Array | Uint16Array | Uint32Array>;
  for (const spec of columnSpecs(KINDS[KIND_NAMES[kind]!].fields))
    if (spec.per === 'row' && !spec.name.endsWith('End')) c[spec.name]![row] = 0xa5a5_a5a5;
}
