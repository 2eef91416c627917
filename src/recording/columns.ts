/**
 * One column of numbers as bytes. What follows in the file is brotli of quality 1, which has a single Huffman table for all
 * it is given: it does well on bytes that are alike and badly on a mix. So bytes of equal meaning are put together, and
 * `cuts` mark where long runs of them begin and end, for whoever compresses to cut there.
 *
 *   tag 0  constant   u32                              all values are this one
 *   tag 1  flat       plane 0 [, plane 1]              u8 and u16: all low bytes, then all high bytes
 *   tag 2  varied     lengths | 0 | 1 | 2 | 3          u32: lengths - 1 of the values, four to a byte, lowest bits first;
 *                                                      plane k has byte k of each value that is longer than k
 *   tag 3  near       lengths | 0 | 1 | 2 | 3          the same of the differences from the value before, zigzagged
 *
 * A column without values takes no byte. The choice depends on the values alone: the same column gives the same bytes.
 */
import { Trouble } from '../base/trouble.js';

export type Numbers = Uint8Array | Uint16Array | Uint32Array;

const CONSTANT = 0;
const FLAT = 1;
const VARIED = 2;
const NEAR = 3;

/** Runs of like bytes at least this long are compressed alone. */
export const CUT_BYTES = 2048;

/** Maps differences to small numbers, whatever their sign: 0 -1 1 -2 2 ... become 0 1 2 3 4 ... */
export const zigzag = (d: number): number => ((d << 1) ^ (d >> 31)) >>> 0;
export const unzigzag = (z: number): number => (z >>> 1) ^ -(z & 1);

/** Bytes that grow at their end. `bytes` may be replaced by any call that writes. */
export class Sink {
  bytes: Uint8Array = new Uint8Array(1 << 20);
  at = 0;
  /** Where to cut for compression: ascending, without 0 and the end. */
  readonly cuts: number[] = [];

  clear(): void {
    this.at = 0;
    this.cuts.length = 0;
  }
  /** Makes room for n more bytes. */
  need(n: number): void {
    if (this.at + n <= this.bytes.length) return;
    const more = new Uint8Array(2 * (this.at + n));
    more.set(this.bytes.subarray(0, this.at));
    this.bytes = more;
  }
  u8(v: number): void {
    this.need(1);
    this.bytes[this.at++] = v;
  }
  u32(v: number): void {
    this.need(4);
    for (let k = 0; k < 4; k++) this.bytes[this.at++] = v >>> (8 * k);
  }
  setU32(at: number, v: number): void {
    for (let k = 0; k < 4; k++) this.bytes[at + k] = v >>> (8 * k);
  }
  f64(v: number): void {
    this.need(8);
    new DataView(this.bytes.buffer).setFloat64(this.at, v, true);
    this.at += 8;
  }
  /** Says that the n bytes from here on are alike. */
  run(at: number, n: number): void {
    if (n < CUT_BYTES) return;
    this.cut(at);
    this.cut(at + n);
  }
  cut(at: number): void {
    if (at > 0 && this.cuts.at(-1) !== at) this.cuts.push(at);
  }
}

/** Bytes read from the front. Reading past the end is damage. */
export class Bytes {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }
  /** Takes n bytes and returns where they begin. */
  take(n: number): number {
    const at = this.at;
    if (n > this.end - at) throw new Trouble(`a column of ${n} bytes where ${this.end - at} are left`);
    this.at += n;
    return at;
  }
  u8(): number {
    return this.bytes[this.take(1)]!;
  }
  u32(): number {
    const at = this.take(4);
    const b = this.bytes;
    return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
  }
  f64(): number {
    const at = this.take(8);
    return new DataView(this.bytes.buffer, this.bytes.byteOffset).getFloat64(at, true);
  }
}

/** Room for intermediate values, used again for every chunk: making and dropping arrays costs more than filling them. */
export class Scratch {
  private array = new Uint32Array(1 << 14);
  /** At least n numbers, which may be anything. */
  of(n: number): Uint32Array {
    if (this.array.length < n) this.array = new Uint32Array(2 * n);
    return this.array;
  }
  /** The first n numbers are zero. */
  zeros(n: number): Uint32Array {
    return this.of(n).fill(0, 0, n);
  }
}
const scratch = new Scratch();

const bytesOf = (v: number): number => (v < 0x100 ? 1 : v < 0x1_0000 ? 2 : v < 0x100_0000 ? 3 : 4);

// One function a width: a loop that sees one type of array is several times as fast as one that sees three.
function isConstant8(values: Uint8Array, n: number): boolean {
  const v = values[0];
  for (let i = 1; i < n; i++) if (values[i] !== v) return false;
  return true;
}
function isConstant16(values: Uint16Array, n: number): boolean {
  const v = values[0];
  for (let i = 1; i < n; i++) if (values[i] !== v) return false;
  return true;
}
function isConstant32(values: Uint32Array, n: number): boolean {
  const v = values[0];
  for (let i = 1; i < n; i++) if (values[i] !== v) return false;
  return true;
}
const isConstant = (values: Numbers, n: number): boolean =>
  values instanceof Uint32Array
    ? isConstant32(values, n)
    : values instanceof Uint8Array
      ? isConstant8(values, n)
      : isConstant16(values, n);

/**
 * Appends the first n values of a column.
 * @param near the values may be close to the one before: then the shorter of both ways is taken (of u32 only)
 */
export function encodeColumn(out: Sink, values: Numbers, n: number, near: boolean): void {
  if (n === 0) return;
  if (isConstant(values, n)) {
    out.u8(CONSTANT);
    out.u32(values[0]!);
  } else if (values instanceof Uint32Array) {
    const differences = scratch.of(n);
    const shorter = near && nearIsShorter(values, n, differences);
    out.u8(shorter ? NEAR : VARIED);
    encodeVaried(out, shorter ? differences : values, n);
  } else {
    out.u8(FLAT);
    if (values instanceof Uint8Array) encodeFlat8(out, values, n);
    else encodeFlat16(out, values, n);
  }
}

function encodeFlat8(out: Sink, values: Uint8Array, n: number): void {
  out.need(n);
  out.bytes.set(values.subarray(0, n), out.at);
  out.run(out.at, n);
  out.at += n;
}

function encodeFlat16(out: Sink, values: Uint16Array, n: number): void {
  out.need(2 * n);
  const { bytes, at } = out;
  for (let i = 0; i < n; i++) {
    bytes[at + i] = values[i]!;
    bytes[at + n + i] = values[i]! >>> 8;
  }
  out.run(at, n);
  out.run(at + n, n);
  out.at += 2 * n;
}

/** Leaves the differences in `differences` and says whether they take fewer bytes than the values. */
function nearIsShorter(values: Uint32Array, n: number, differences: Uint32Array): boolean {
  let gain = 0;
  let before = 0;
  for (let i = 0; i < n; i++) {
    const v = values[i]!;
    const z = zigzag((v - before) | 0);
    differences[i] = z;
    before = v;
    gain += bytesOf(v) - bytesOf(z);
  }
  return gain > 0;
}

function encodeVaried(out: Sink, values: Uint32Array, n: number): void {
  const lengths = (n + 3) >> 2;
  out.need(lengths + 4 * n);
  const { bytes, at } = out;
  let n1 = 0;
  let n2 = 0;
  let n3 = 0;
  let packed = 0;
  for (let i = 0; i < n; i++) {
    const v = values[i]!;
    let length = 0;
    if (v >= 0x100) {
      n1++;
      length = 1;
      if (v >= 0x1_0000) {
        n2++;
        length = 2;
        if (v >= 0x100_0000) {
          n3++;
          length = 3;
        }
      }
    }
    packed |= length << (2 * (i & 3));
    if ((i & 3) === 3) {
      bytes[at + (i >> 2)] = packed;
      packed = 0;
    }
  }
  if (n & 3) bytes[at + (n >> 2)] = packed;
  const p0 = at + lengths;
  let p1 = p0 + n;
  let p2 = p1 + n1;
  let p3 = p2 + n2;
  out.run(at, lengths);
  out.run(p0, n);
  out.run(p1, n1);
  out.run(p2, n2);
  out.run(p3, n3);
  out.at = p3 + n3;
  for (let i = 0; i < n; i++) {
    const v = values[i]!;
    bytes[p0 + i] = v;
    if (v < 0x100) continue;
    bytes[p1++] = v >>> 8;
    if (v < 0x1_0000) continue;
    bytes[p2++] = v >>> 16;
    if (v >= 0x100_0000) bytes[p3++] = v >>> 24;
  }
}

/** Reads a column of values.length numbers. Throws Trouble where the bytes are no such column. */
export function decodeColumn(from: Bytes, values: Numbers): void {
  const n = values.length;
  if (n === 0) return;
  const tag = from.u8();
  switch (tag) {
    case CONSTANT:
      values.fill(from.u32());
      return;
    case FLAT:
      if (values instanceof Uint32Array) break;
      if (values instanceof Uint8Array) {
        const at = from.take(n);
        values.set(from.bytes.subarray(at, at + n));
      } else decodeFlat16(from, values);
      return;
    case VARIED:
    case NEAR:
      if (!(values instanceof Uint32Array)) break;
      decodeVaried(from, values);
      if (tag === NEAR) sumUp(values);
      return;
  }
  throw new Trouble(`a column with the unknown tag ${tag}`);
}

function decodeFlat16(from: Bytes, values: Uint16Array): void {
  const n = values.length;
  const { bytes } = from;
  const low = from.take(n);
  const high = from.take(n);
  for (let i = 0; i < n; i++) values[i] = bytes[low + i]! | (bytes[high + i]! << 8);
}

/** Differences to values, in place. */
function sumUp(values: Uint32Array): void {
  let v = 0;
  for (let i = 0; i < values.length; i++) {
    const z = values[i]!;
    v = (v + ((z >>> 1) ^ -(z & 1))) | 0;
    values[i] = v;
  }
}

/** For a byte of four lengths: how many of its values have a byte 1, a byte 2, a byte 3. */
const LONGER = [1, 2, 3].map(k =>
  Uint8Array.from({ length: 256 }, (_, four) => [0, 2, 4, 6].filter(at => ((four >> at) & 3) >= k).length),
);

function decodeVaried(from: Bytes, values: Uint32Array): void {
  const n = values.length;
  const { bytes } = from;
  const lengths = from.take((n + 3) >> 2);
  const [longer1, longer2, longer3] = LONGER as [Uint8Array, Uint8Array, Uint8Array];
  let n1 = 0;
  let n2 = 0;
  let n3 = 0;
  for (let g = lengths; g < from.at; g++) {
    const four = bytes[g]!;
    n1 += longer1[four]!;
    n2 += longer2[four]!;
    n3 += longer3[four]!;
  }
  const p0 = from.take(n);
  let p1 = from.take(n1);
  let p2 = from.take(n2);
  let p3 = from.take(n3);
  for (let i = 0; i < n; i++) {
    const length = (bytes[lengths + (i >> 2)]! >> (2 * (i & 3))) & 3;
    let v = bytes[p0 + i]!;
    if (length > 0) {
      v |= bytes[p1++]! << 8;
      if (length > 1) {
        v |= bytes[p2++]! << 16;
        if (length > 2) v |= bytes[p3++]! << 24;
      }
    }
    values[i] = v;
  }
}
