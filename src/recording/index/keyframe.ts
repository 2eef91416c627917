/**
 * The payload of a KEYFRAME: what changed in a span of events, with the values at its end.
 *
 *   payload   pieces u32 | table of pieces | pieces                                   pieces.ts
 *   body      version u32 | from f64 | seq f64 | ticks f64
 *             | slots u32 | numbers u32 | vcpus u32 | registers u32 | others u32 | blocks u32
 *             | slots:   spaces, frame differences, offsets, lo, hi
 *             | numbers: kinds, frame differences, values                             columns: see column-tags.ts
 *             | registers lo, hi
 *             | others:  seqs - from | per block: bytes u32 | body of a chunk
 *
 * RULE. State at `seq` is state at `from` with, in this order: the events in `others` folded forwards, where an adopt adds
 * a table and a release removes one and neither touches an entry; then `slots`, `frames` and `registers` set. Entries of
 * an adopt are in `slots` (those that are zero too), entries of a release are in `slots` as zeros, unless something later
 * in the span wrote them.
 */
import { Trouble } from '../../base/trouble.js';
import { CHUNK_EVENTS } from '../../events/block.js';
import { FRAME_KINDS } from '../../events/kinds.js';
import { Bytes } from '../bytes.js';
import { type Body, decodeBlock, OWN, type Reading } from '../codec.js';
import { decodeColumn, skipColumn } from '../column-decode.js';
import { unpackBody } from '../pieces.js';
import type { Keyframe, KeyframeInfo } from '../source.js';
import { joined } from './others.js';
import { KeyframeSlots } from './slots.js';

export const VERSION = 1;
/** The most bytes a body may have when it is decompressed. */
const BODY_MAX = 2 ** 27;
const SLOTS_MAX = 2 ** 22;
const NUMBERS_MAX = 2 ** 22;
const VCPUS_MAX = 256;
const REGISTERS_MAX = 64;
/** Rows have u16 numbers. */
const OTHERS_MAX = 2 ** 16 - 1;

/**
 * Reads a payload; throws Trouble, which begins with `where`, for anything that is none.
 * @param reading the layout of the file it is from
 */
export function decodeKeyframe(payload: Uint8Array, where = 'keyframe', reading: Reading = OWN): Keyframe {
  return placed(where, () => decode(payload, where, reading));
}
function placed<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof Trouble ? new Trouble(`${where}: ${error.message}`) : error;
  }
}

const must = (ok: boolean, what: string): void => {
  if (!ok) throw new Trouble(`a keyframe with ${what}`);
};

/** The body of a payload, decompressed: what is the same whatever compressed it. Throws Trouble where there is none. */
export function keyframeBody(payload: Uint8Array): Uint8Array {
  const body = bodyOf(payload);
  body.need(0, body.bytes.length);
  return body.bytes;
}
function bodyOf(payload: Uint8Array): Body {
  must(payload.length >= 4, 'too few bytes');
  const tableBytes = 8 * new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  must(4 + tableBytes <= payload.length, 'too few bytes');
  const packed = { table: payload.subarray(4, 4 + tableBytes), stored: payload.subarray(4 + tableBytes) };
  return unpackBody(packed, BODY_MAX);
}

/** How many there are of each thing. */
interface Counts {
  readonly slots: number;
  readonly numbers: number;
  readonly vcpus: number;
  readonly registers: number;
  readonly others: number;
  readonly blocks: number;
}

function decode(payload: Uint8Array, where: string, reading: Reading): Keyframe {
  const body = bodyOf(payload);
  const bytes = new Bytes(body.bytes, 0, body.bytes.length, body.need);

  const version = bytes.u32();
  must(version === VERSION, `the unknown version ${version}`);
  const [from, seq, ticks] = [bytes.f64(), bytes.f64(), bytes.f64()];
  for (const n of [from, seq, ticks]) must(Number.isSafeInteger(n) && n >= 0, 'a place out of range');
  must(seq >= from, 'its end before its start');
  const count = (most: number): number => {
    const n = bytes.u32();
    must(n <= most, `a count of ${n}`);
    return n;
  };
  const counts: Counts = {
    slots: count(SLOTS_MAX),
    numbers: count(NUMBERS_MAX),
    vcpus: count(VCPUS_MAX),
    registers: count(REGISTERS_MAX),
    others: count(OTHERS_MAX),
    blocks: count(OTHERS_MAX),
  };
  must(counts.blocks <= counts.others, `a count of ${counts.blocks}`);
  const slots = new KeyframeSlots(bytes.part(bytes.at, bytes.end), counts.slots, work => placed(where, work));
  // Each is decoded when it is first asked for: who looks at page tables wants entries, and often nothing else.
  let numbers: Keyframe['frames'] | undefined;
  let rest: Pick<Keyframe, 'others' | 'registers'> | undefined;
  const numbersAt = (): Bytes => slots.after();
  const restOf = () => (rest ??= placed(where, () => decodeRest(numbersAt(), { from, seq }, counts, reading)));
  return {
    from,
    seq,
    ticks,
    slots,
    get frames() {
      return (numbers ??= placed(where, () => decodeNumbers(numbersAt(), counts.numbers)));
    },
    get others() {
      return restOf().others;
    },
    get registers() {
      return restOf().registers;
    },
  };
}

function decodeNumbers(from: Bytes, n: number): Keyframe['frames'] {
  const made = { kind: new Uint8Array(n), frame: new Uint32Array(n), value: new Uint32Array(n) };
  for (const values of [made.kind, made.frame, made.value]) decodeColumn(from, values);
  checkNumbers(made);
  return made;
}

/** What comes after the numbers of frames, which are passed by. */
function decodeRest(
  bytes: Bytes,
  { from, seq }: KeyframeInfo,
  counts: Counts,
  reading: Reading,
): Pick<Keyframe, 'others' | 'registers'> {
  for (const width of [1, 4, 4] as const) skipColumn(bytes, counts.numbers, width);
  const column = (n: number): Uint32Array => {
    const values = new Uint32Array(n);
    decodeColumn(bytes, values);
    return values;
  };
  const lo = column(counts.vcpus * counts.registers);
  const hi = column(counts.vcpus * counts.registers);
  const registers = Array.from({ length: counts.vcpus }, (_, v) =>
    BigUint64Array.from({ length: counts.registers }, (_, r) => {
      const i = v * counts.registers + r;
      return (BigInt(hi[i]!) << 32n) | BigInt(lo[i]!);
    }),
  );
  const seqs = Float64Array.from(column(counts.others), n => from + n);
  for (let i = 0; i < counts.others; i++)
    must(seqs[i]! < seq && (i === 0 || seqs[i]! > seqs[i - 1]!), 'events out of order');
  const blocks = Array.from({ length: counts.blocks }, () => {
    const length = bytes.u32();
    const at = bytes.take(length);
    return decodeBlock(bytes.bytes.subarray(at, at + length), 0, { reading, events: CHUNK_EVENTS });
  });
  must(bytes.at === bytes.end, 'bytes too many');
  const block = joined(blocks);
  must(block.count === counts.others, 'another number of events than it says');
  return { others: { block, seqs }, registers };
}

function checkNumbers({ kind, frame }: Keyframe['frames']): void {
  let last = -1;
  for (let i = 0; i < frame.length; i++) {
    const key = frame[i]! * 8 + kind[i]!;
    if (kind[i]! >= FRAME_KINDS.length) must(false, 'a number of a frame that is none');
    if (key <= last) must(false, 'frames out of order');
    last = key;
  }
}
