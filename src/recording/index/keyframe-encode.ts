/** The payload of a KEYFRAME, made: see keyframe.ts. */
import type { Event } from '../../events/kinds.js';
import { encodeBlock } from '../body-encode.js';
import { Sink } from '../bytes.js';
import { encodeColumn } from '../column-encode.js';
import { packBody } from '../compress.js';
import { VERSION } from './keyframe.js';
import { blocksOf } from './others.js';
import type { LastNumbers, LastSlots } from './rows.js';

export interface KeyframeParts {
  readonly from: number;
  readonly seq: number;
  readonly ticks: number;
  /** The last write of each entry, in order of space, frame and offset. */
  readonly slots: LastSlots;
  /** The last of each number of each frame, in order of frame and kind. */
  readonly numbers: LastNumbers;
  readonly others: readonly Event[];
  /** Per vcpu: lo and hi word of each register. */
  readonly registers: readonly Uint32Array[];
}

type Numbers = Uint8Array | Uint16Array | Uint32Array;
/** Used again for the next: growing from nothing each time touches megabytes of new memory. */
const scratch = new Sink();

export function encodeKeyframe(parts: KeyframeParts): Uint8Array {
  const { slots, numbers, others, registers } = parts;
  const out = scratch;
  out.clear();
  const column = (values: Numbers, n: number, near = false) => encodeColumn(out, values, n, near ? 'near' : 'plain');
  const blocks: Uint8Array[] = [];
  for (const block of blocksOf(others)) blocks.push(encodeBlock(block)); // one at a time: the block is used again
  const registerCount = (registers[0]?.length ?? 0) / 2;

  out.u32(VERSION);
  for (const v of [parts.from, parts.seq, parts.ticks]) out.f64(v);
  for (const n of [slots.n, numbers.n, registers.length, registerCount, others.length, blocks.length]) out.u32(n);
  column(slots.space, slots.n);
  column(slots.frame, slots.n, true);
  column(slots.offset, slots.n);
  column(slots.lo, slots.n);
  column(slots.hi, slots.n);
  column(numbers.kind, numbers.n);
  column(numbers.frame, numbers.n, true);
  column(numbers.value, numbers.n);
  const words = registers.length * registerCount;
  const lo = new Uint32Array(words);
  const hi = new Uint32Array(words);
  for (let i = 0; i < words; i++) {
    lo[i] = registers[Math.floor(i / registerCount)]![2 * (i % registerCount)]!;
    hi[i] = registers[Math.floor(i / registerCount)]![2 * (i % registerCount) + 1]!;
  }
  column(lo, words);
  column(hi, words);
  column(
    Uint32Array.from(others, e => e.seq - parts.from),
    others.length,
    true,
  );
  for (const block of blocks) {
    out.u32(block.length);
    out.need(block.length);
    out.bytes.set(block, out.at);
    out.at += block.length;
  }
  const { table, stored } = packBody(out.bytes.subarray(0, out.at), out.cuts);
  const payload = new Uint8Array(new SharedArrayBuffer(4 + table.length + stored.length)); // as an index, see build.ts
  new DataView(payload.buffer).setUint32(0, table.length / 8, true);
  payload.set(table, 4);
  payload.set(stored, 4 + table.length);
  return payload;
}
