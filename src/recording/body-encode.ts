/** A block of events to the body of a chunk: see codec.ts for how that looks. */
import type { Block } from '../events/block.js';
import { KIND, type KindName } from '../events/kinds.js';
import { Scratch, Sink } from './bytes.js';
import { TABLE_BYTES, vcpusOf } from './codec.js';
import { encodeColumn, encodeWords } from './column-encode.js';
import type { Numbers } from './column-tags.js';
import { type KindPlan, PLAN, type Plan } from './layout.js';
import { theRoom } from './loops/writing.js';
import { reduceChanges, reduceRegisters, type Staged } from './reduce.js';
import { Registers } from './register-file.js';
import type { Loose } from './restore.js';

const scratch = { lengths: new Scratch() };

/** What the envelope of a chunk tells besides its body. */
export interface Encoded {
  /** Registers that any regs event sets, low and high word. */
  readonly regsMask: readonly [number, number];
}

/**
 * Appends the body of a block to `out`, whose `cuts` then say where to cut it for compression.
 * @param registers what the registers were before the block; afterwards what they are
 * @param plan of a layout whose kinds have the numbers they have here
 */
export function encodeBody(out: Sink, block: Block, registers: Registers, plan: Plan = PLAN): Encoded {
  const start = out.at;
  const kinds = plan.flatMap((_, k) => (block.rows[k]! > 0 ? [k] : []));
  out.need(TABLE_BYTES * (kinds.length + 1));
  out.at += TABLE_BYTES * (kinds.length + 1);
  out.setU32(start, block.count);
  out.setU32(start + 4, kinds.length);
  encodeHead(out, block, kinds);
  out.setU32(start + 8, out.at - start - TABLE_BYTES * (kinds.length + 1));
  kinds.forEach((k, n) => {
    const at = out.at;
    if (at - (out.cuts.at(-1) ?? start) >= 2048) out.cut(at);
    encodePart(out, plan[k]!, k, block, registers);
    const entry = start + TABLE_BYTES * (n + 1);
    out.setU32(entry, k);
    out.setU32(entry + 4, block.rows[k]!);
    out.setU32(entry + 8, out.at - at);
  });
  return { regsMask: maskOf(block) };
}

function maskOf(block: Block): readonly [number, number] {
  const { maskLo, maskHi } = block.col.regs;
  let lo = 0;
  let hi = 0;
  const rows = block.rows[KIND.regs]!;
  for (let r = 0; r < rows; r++) {
    lo |= maskLo[r]!;
    hi |= maskHi[r]!;
  }
  return [lo >>> 0, hi >>> 0];
}

/** Ticks are differences, as two words. */
function encodeHead(out: Sink, block: Block, kinds: readonly number[]): void {
  const { count, kind, ticks, vcpu } = block;
  const room = theRoom();
  const mark = room.mark();
  out.f64(count > 0 ? ticks[0]! : 0);
  encodeWords(out, room.words(kind, count), count, 'few');
  const all = room.take(8 * count);
  room.f64.set(ticks.subarray(0, count), all >> 3);
  const [low, high] = [room.take(4 * count), room.take(4 * count)];
  room.loops.ticks(all, count, low, high);
  for (const words of [low, high]) {
    room.clearWords(words, count);
    encodeWords(out, words, count, 'plain');
  }
  room.free(mark);
  encodeColumn(out, vcpu, count, 'plain');
  encodeCauses(out, block, kinds);
}

/**
 * Causes: most kinds of events have always one or never, and it stays the same for a while.
 *
 *   kinds that have causes, a u8 each | runs u32 | columns lengths, distances
 *
 * A run is of events of those kinds with one cause (or none); its distance is that of its first event (or 0). Where runs
 * are short, as in details, `runs` is 0 and one column has the distance of each event of those kinds.
 */
function encodeCauses(out: Sink, block: Block, kinds: readonly number[]): void {
  const { count } = block;
  const room = theRoom();
  const { loops } = room;
  const mark = room.mark();
  const kind = room.copy(block.kind, count);
  const back = room.words(block.back, count);
  const flags = room.zeros(256);
  loops.caused(kind, back, count, flags);
  const places = room.take(4 * (count + 1));
  const events = loops.flagged(kind, count, flags, places);
  const [lengths, distances] = [room.take(4 * count), room.take(4 * count)];
  const runs = loops.runs(places, events, back, lengths, distances);
  encodeColumn(
    out,
    Uint8Array.from(kinds, k => room.bytes[flags + k]!),
    kinds.length,
    'plain',
  );
  const short = 4 * runs > events;
  out.u32(short ? 0 : runs);
  if (short) {
    loops.pick(places, events, back, distances);
    room.clearWords(distances, events);
    encodeWords(out, distances, events, 'near');
  } else
    for (const words of [lengths, distances]) {
      room.clearWords(words, runs);
      encodeWords(out, words, runs, 'plain');
    }
  room.free(mark);
}

function encodePart(out: Sink, plan: KindPlan, kind: number, block: Block, registers: Registers): void {
  const rows = block.rows[kind]!;
  const own = block.col[plan.name as KindName] as unknown as Loose;
  const room = theRoom();
  const mark = room.mark();
  let staged: Staged = {};
  if (plan.registers) {
    const file = registers.of(plan.name);
    file.write(out);
    staged = reduceRegisters(own, rows, vcpusOf(block, kind), file);
  } else if (plan.changes.length > 0) staged = reduceChanges(plan, own, rows);
  for (const { name, what, ends, trait } of plan.columns) {
    const n = what === 'item' ? own[ends]![rows - 1]! : rows;
    if (staged[name] !== undefined) encodeWords(out, staged[name], n, trait);
    else if (what !== 'end') encodeColumn(out, own[name]!, n, trait);
    else if (!plan.registers) encodeColumn(out, lengthsOf(own[name]!, rows), rows, 'plain');
  }
  room.free(mark);
}

function lengthsOf(ends: Numbers, rows: number): Uint32Array {
  const lengths = scratch.lengths.of(rows);
  for (let r = 0, start = 0; r < rows; r++) {
    lengths[r] = ends[r]! - start;
    start = ends[r]!;
  }
  return lengths;
}

/** A block as bytes that stand alone: registers count as zero before it. For copies of events outside chunks. */
export function encodeBlock(block: Block): Uint8Array {
  const out = new Sink();
  encodeBody(out, block, new Registers());
  return out.bytes.slice(0, out.at);
}
