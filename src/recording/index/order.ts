/**
 * The events of a block kind by kind. Whoever goes through a block event by event and asks of each what kind it is waits for
 * the answer: kinds follow each other as they like, and no processor can foresee them. Kind by kind nothing is asked.
 */
import { type Block, CHUNK_EVENTS } from '../../events/block.js';
import { KIND_NAMES } from '../../events/kinds.js';

export class KindOrder {
  private readonly all = new Uint16Array(CHUNK_EVENTS);
  private readonly starts = new Uint32Array(KIND_NAMES.length + 1);

  /** Sorts the events of a block; what `events` gave is no longer valid. */
  of({ count, kind, row, rows }: Block): this {
    const { all, starts } = this;
    for (let k = 0; k < rows.length; k++) starts[k + 1] = starts[k]! + rows[k]!;
    for (let i = 0; i < count; i++) all[starts[kind[i]!]! + row[i]!] = i;
    return this;
  }

  /** For each row of a kind the number of its event in the block, ascending. */
  events(kind: number): Uint16Array {
    return this.all.subarray(this.starts[kind]!, this.starts[kind + 1]!);
  }
}

/** The first row of a kind whose event is at or behind event `from`. */
export function rowsFrom(order: KindOrder, kind: number, from: number): number {
  if (from === 0) return 0;
  const events = order.events(kind);
  let r = 0;
  while (r < events.length && events[r]! < from) r++;
  return r;
}
