/**
 * The rare events that a keyframe repeats: the last one for each thing they set, all of those that change host address
 * spaces. They are looked for backwards in each chunk, kind by kind, so that of a thing set a thousand times one event becomes an object.
 */
import { asFrame } from '../../base/brand.js';
import {
  BLOCK_BYTES,
  type Block,
  type BlockColumns,
  blockOver,
  CHUNK_EVENTS,
  eventAt,
  type LooseColumns,
  listStart,
  POOL_ITEMS,
  writeRow,
} from '../../events/block.js';
import { type Draft, type Event, KIND, KIND_NAMES, KINDS, type KindName, SPACES } from '../../events/kinds.js';
import { type AnyField, columnSpecs, type Fields } from '../../events/schema.js';
import type { KindOrder } from './order.js';

type KeyOf<K extends KindName> = (c: BlockColumns[K], row: number, vcpu: number) => number | string;
type Keys = { readonly [K in KindName]?: KeyOf<K> };

/** Which thing an event sets. For `each` it does not matter: none replaces another. */
const each = () => '';
const table: KeyOf<'adopt' | 'release'> = (c, r) => `table ${c.space[r]} ${c.table[r]} ${c.offset[r]}`;
const KEYS: Keys = {
  end: () => 'end',
  root: (c, r, vcpu) => vcpu * 2 ** 16 + c.space[r]! * 2 ** 8 + c.role[r]!,
  descriptor: (c, r, vcpu) => vcpu * 2 ** 24 + c.table[r]! * 2 ** 16 + c.index[r]!,
  msr: (c, r, vcpu) => vcpu * 2 ** 32 + c.register[r]!,
  adopt: table,
  release: table,
  m2p: (c, r) => c.machine[r]!,
  p2m: (c, r) => c.guest[r]!,
  map: each,
  unmap: each,
  protect: each,
  pending: (c, r) => c.port[r]!,
  mask: (c, r) => c.port[r]!,
  task: (_, __, vcpu) => vcpu,
};
/** By kind number; keys of adopt and release mean the same thing, those of other kinds do not. */
const KEY_OF = KIND_NAMES.map(name => KEYS[name] as KeyOf<KindName> | undefined);
const EACH = new Set([KIND.map, KIND.unmap, KIND.protect]);
/** A key of any kind as one number, where it is a number: below 2^40, so that the kind fits above. */
const KIND_STEP = 2 ** 41;

const EVENTS_MAX = CHUNK_EVENTS;

export class Others {
  private readonly events = new Map<number | string, Event>();
  private unique = 0;
  private items = 0;

  /** True if they should not become many more: so many events, or such long lists in them. */
  get full(): boolean {
    return this.events.size >= EVENTS_MAX || this.items >= POOL_ITEMS;
  }

  /** Takes the events i >= from of a block. */
  add(block: Block, order: KindOrder, from: number): void {
    KEY_OF.forEach((keyOf, k) => {
      if (!keyOf || block.rows[k] === 0) return;
      const columns = block.col[KIND_NAMES[k]!];
      const events = order.events(k);
      const seen = new Set<number | string>();
      for (let r = events.length - 1; r >= 0 && events[r]! >= from; r--) {
        const i = events[r]!;
        const own = keyOf(columns as never, r, block.vcpu[i]!);
        const key = EACH.has(k) ? `each ${this.unique++}` : typeof own === 'string' ? own : k * KIND_STEP + own;
        if (seen.has(key)) continue;
        seen.add(key);
        this.keep(key, block, i);
      }
    });
  }

  /** Keeps an event, unless there is a later one: adopt and release share their keys. */
  private keep(key: number | string, block: Block, i: number): void {
    const k = block.kind[i]!;
    if ((this.events.get(key)?.seq ?? -1) > block.first + i) return;
    const event = k === KIND.adopt || k === KIND.release ? tableEvent(block, i) : eventAt(block, i);
    if (EACH.has(k)) this.items += itemsOf(event);
    this.events.set(key, event);
  }

  /** All of them in order, and forgets them. */
  take(): Event[] {
    const all = [...this.events.values()].sort((a, b) => a.seq - b.seq);
    this.events.clear();
    this.items = 0;
    return all;
  }
}

/** An adopt or release without its entries, which are many. */
function tableEvent(block: Block, i: number): Event {
  const kind = block.kind[i] === KIND.adopt ? 'adopt' : 'release';
  const c = block.col[kind];
  const r = block.row[i]!;
  return {
    kind,
    seq: block.first + i,
    ticks: block.ticks[i]!,
    vcpu: block.vcpu[i]!,
    cause: -1,
    space: SPACES[c.space[r]!]!,
    table: asFrame(c.table[r]!),
    offset: c.offset[r]!,
    level: c.level[r]!,
    bytes: c.bytes[r]!,
    format: c.format[r]!,
    entries: [],
  };
}

let scratch: Block | undefined;

/** Elements of the lists of an event, all together. */
const itemsOf = (event: Event): number =>
  Object.values(event).reduce((sum, v) => sum + (typeof v === 'string' || Array.isArray(v) ? v.length : 0), 0);

/**
 * Blocks that together hold these events, each as large as a block can be; each is used again for the next.
 * Vcpu and ticks are kept, causes are not: they would point out of the block.
 */
export function* blocksOf(events: readonly Event[]): Generator<Block> {
  const block = (scratch ??= blockOver(new ArrayBuffer(BLOCK_BYTES)));
  const clear = (): void => {
    block.first = block.count = 0;
    block.rows.fill(0);
  };
  let items = 0;
  clear();
  for (const event of events) {
    const more = itemsOf(event);
    if (block.count === CHUNK_EVENTS || items + more > POOL_ITEMS) {
      yield block;
      clear();
      items = 0;
    }
    items += more;
    const i = block.count++;
    const k = KIND[event.kind];
    block.kind[i] = k;
    block.row[i] = block.rows[k]!++;
    block.ticks[i] = event.ticks;
    block.vcpu[i] = event.vcpu;
    block.back[i] = 0;
    writeRow(block, event as Draft, block.row[i]!);
  }
  if (block.count > 0) yield block;
}

/** One block that holds the events of all these, in order. */
export function joined(blocks: readonly Block[]): Block {
  if (blocks.length === 1) return blocks[0]!;
  const count = blocks.reduce((n, b) => n + b.count, 0);
  const rows = new Uint32Array(KIND_NAMES.length);
  for (const b of blocks) for (let k = 0; k < rows.length; k++) rows[k]! += b.rows[k]!;
  const out = {
    first: 0,
    count,
    kind: new Uint8Array(count),
    row: new Uint16Array(count),
    ticks: new Float64Array(count),
    vcpu: new Uint8Array(count),
    back: new Uint32Array(count),
    rows,
  };
  const seen = new Uint32Array(rows.length);
  let at = 0;
  for (const b of blocks) {
    for (const name of ['kind', 'ticks', 'vcpu'] as const) out[name].set(b[name].subarray(0, b.count), at);
    for (let i = 0; i < b.count; i++) out.row[at + i] = seen[b.kind[i]!]!++;
    at += b.count;
  }
  const col = Object.fromEntries(KIND_NAMES.map((name, k) => [name, joinedColumns(blocks, name, k)]));
  return { ...out, col: col as unknown as BlockColumns };
}

function joinedColumns(blocks: readonly Block[], name: KindName, k: number): LooseColumns {
  const columns: Record<string, Uint8Array | Uint16Array | Uint32Array> = {};
  for (const spec of columnSpecs(KINDS[name].fields as Fields)) {
    const field = (KINDS[name].fields as Record<string, AnyField>)[spec.field]!;
    const endsName = `${field.beside ?? spec.field}End`;
    const parts = blocks.map(b => {
      const c = b.col[name] as unknown as Record<string, Uint32Array>;
      const n = spec.per === 'row' ? b.rows[k]! : listStart(c[endsName]!, b.rows[k]!);
      return c[spec.name]!.subarray(0, n);
    });
    const whole = new ARRAYS[spec.store](parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    let items = 0;
    for (const part of parts) {
      whole.set(part, at);
      if (spec.name.endsWith('End')) for (let i = at; i < at + part.length; i++) whole[i]! += items;
      at += part.length;
      if (at > 0) items = whole[at - 1]!;
    }
    columns[spec.name] = whole;
  }
  return columns;
}
const ARRAYS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array };
