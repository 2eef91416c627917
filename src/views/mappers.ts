/** Who points to a frame, now or ever: entries that map it as memory or name it as a table. */
import { asPaddr, type Frame, frameOf, type Paddr, paddrOf } from '../base/brand.js';
import type { Work } from '../base/work.js';
import type { Event, Space } from '../events/kinds.js';
import { flagWords, type Level, type PagingFormat } from '../isa/isa.js';
import { someColumns } from '../recording/codec.js';
import type { Source } from '../recording/source.js';
import { eventOf } from './at.js';
import { valueIn } from './slots.js';
import { needFormat } from './walk.js';

export interface Mapper {
  /** Byte address of the entry. */
  readonly at: Paddr;
  readonly level: number;
  readonly value: bigint;
  readonly flags: string;
  /** The event that wrote the entry as it is. */
  readonly since: number;
  readonly sinceTicks: number;
}
const levelOf = (format: PagingFormat, number: number): Level | undefined =>
  format.levels.find(l => l.number === number);

/** The chunks of so many events are worth keeping, for the next question about the frame; those of more go over each other. */
const FEW = 32;

/** Entries that point to `frame` just after event `seq`, by address. */
export function* mappersAt(source: Source, space: Space, frame: Frame, seq: number): Work<Mapper[]> {
  const format = needFormat(source, space);
  const { at, since, levels } = yield* source.index.mappers(space, frame, seq + 1);
  const few = at.length <= FEW;
  const out = new Array<Mapper>(at.length);
  const order = Uint32Array.from(at.keys()).sort((a, b) => since[a]! - since[b]!);
  for (let n = 0; n < order.length; ) {
    const chunk = source.chunkOf(since[order[n]!]!);
    const block = few ? source.chunk(chunk) : source.glance(chunk);
    const values = few ? undefined : someColumns(block, 'pte', ['newLo', 'newHi']);
    const end = block.first + block.count;
    for (; n < order.length && since[order[n]!]! < end; n++) {
      const m = order[n]!;
      const i = since[m]! - block.first;
      const value = valueIn(block, i, asPaddr(at[m]!), values);
      const level = levelOf(format, levels[m]!);
      out[m] = {
        at: asPaddr(at[m]!),
        level: levels[m]!,
        value,
        flags: level ? flagWords(level, value) : '',
        since: since[m]!,
        sinceTicks: block.ticks[i]!,
      };
    }
    yield { done: n, total: order.length };
  }
  return out;
}

export interface MappingChange {
  readonly seq: number;
  readonly ticks: number;
  readonly what: 'made' | 'ended' | 'changed';
  readonly at: Paddr;
  readonly level: number;
  /** Values before and after; 0n where the event does not say (what memory held before an adopt). */
  readonly old: bigint;
  readonly new: bigint;
}
/** Every event up to `seq` that made or ended a mapping of `frame`, oldest first, entry by entry. */
export function* mappingsEver(source: Source, space: Space, frame: Frame, seq: number): Work<MappingChange[]> {
  const format = needFormat(source, space);
  const events = yield* source.index.mappingHistory(space, frame, seq + 1);
  const out: MappingChange[] = [];
  for (const [n, at] of events.entries()) {
    if (n % 256 === 0) yield { done: n, total: events.length };
    out.push(...changesOf(format, frame, eventOf(source, at)));
  }
  return out;
}

function changesOf(format: PagingFormat, frame: Frame, e: Event): MappingChange[] {
  if (e.kind !== 'pte' && e.kind !== 'adopt' && e.kind !== 'release') return [];
  const level = levelOf(format, e.level);
  const points = (value: bigint): boolean => {
    const entry = level?.decode(value);
    return entry !== undefined && entry.kind !== 'none' && frameOf(entry.at) === frame;
  };
  const change = (at: Paddr, old: bigint, value: bigint): MappingChange[] => {
    const [before, after] = [points(old), points(value)];
    if (!before && !after) return [];
    const what = before && after ? 'changed' : after ? 'made' : 'ended';
    return [{ seq: e.seq, ticks: e.ticks, what, at, level: e.level, old, new: value }];
  };
  const start = paddrOf(e.table, e.offset);
  if (e.kind === 'pte') return change(start, e.old, e.new);
  return e.entries.flatMap((v, i) => {
    const at = asPaddr(start + i * e.bytes);
    return e.kind === 'adopt' ? change(at, 0n, v) : change(at, v, 0n);
  });
}
