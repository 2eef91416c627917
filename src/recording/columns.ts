/**
 * One column of numbers as bytes. What follows in the file is brotli of quality 3, which has a single Huffman table for all
 * it is given: it does well on bytes that are alike and badly on a mix. So bytes of equal meaning are put together, and
 * `cuts` mark where long runs of them begin and end, for whoever compresses to cut there.
 *
 *   tag 0  constant   u32                              all values are this one
 *   tag 1  flat       bytes                            u8: as they are
 *                     planes u8 | plane 0 | ...        u16, u32: plane k, a column of u8, has byte k of every value
 *   tag 2  varied     lengths | 0 | 1 | 2 | 3          u32: lengths - 1 of the values, four to a byte, lowest bits first;
 *                                                      plane k has byte k of each value that is longer than k
 *   tag 3  near       lengths | 0 | 1 | 2 | 3          the same of the differences from the value before, zigzagged
 *   tag 4  packed     width u8 | bits                  u8: values below 2^width, width 1, 2 or 4, lowest bits first
 *   tag 5  few        n u8 | n values u32 | nibbles | column
 *                                                      the n most frequent values by number; 15: the column's next value
 *
 * A column without values takes no byte. The choice depends on the values alone: the same column gives the same bytes.
 */
import { Trouble } from '../base/trouble.js';

export type Numbers = Uint8Array | Uint16Array | Uint32Array;

const CONSTANT = 0;
const FLAT = 1;
const VARIED = 2;
const NEAR = 3;
const PACKED = 4;
const FEW = 5;
/** The nibble of a value that is not among the frequent ones. */
const OTHER = 15;

/** What a column may be like besides: close to the value before, or mostly one of a few values. */
export type Trait = 'plain' | 'near' | 'few';

/** Runs of like bytes at least this long are compressed alone. */
export const CUT_BYTES = 1024;

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
class ByteScratch {
  private array = new Uint8Array(1 << 14);
  of(n: number): Uint8Array {
    if (this.array.length < n) this.array = new Uint8Array(2 * n);
    return this.array;
  }
}
const scratch = {
  near: new Scratch(),
  other: new Scratch(),
  plane: new ByteScratch(),
  lengths: new ByteScratch(),
  steps: new ByteScratch(),
  places: new Scratch(),
};

/** Bytes of a value but one: 0 to 3. */
const more = (v: number): number => 3 - (Math.clz32(v | 1) >> 3);

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
 * @param trait of u32 only: then the shorter of both ways is taken
 */
export function encodeColumn(out: Sink, values: Numbers, n: number, trait: Trait): void {
  if (n === 0) return;
  if (isConstant(values, n)) {
    out.u8(CONSTANT);
    out.u32(values[0]!);
  } else if (values instanceof Uint32Array) encode32(out, values, n, trait);
  else if (values instanceof Uint16Array) {
    out.u8(FLAT);
    out.u8(2);
    encodePlanes(out, values, n, 2);
  } else encode8(out, values, n);
}

function encode8(out: Sink, values: Uint8Array, n: number): void {
  let all = 0;
  for (let i = 0; i < n; i++) all |= values[i]!;
  if (all < 16) {
    encodePacked(out, values, n, all < 2 ? 1 : all < 4 ? 2 : 4);
    return;
  }
  out.u8(FLAT);
  out.need(n);
  out.bytes.set(values.subarray(0, n), out.at);
  out.run(out.at, n);
  out.at += n;
}

function encodePacked(out: Sink, values: Uint8Array, n: number, width: number): void {
  out.u8(PACKED);
  out.u8(width);
  const size = (n * width + 7) >> 3;
  out.need(size);
  const { bytes, at } = out;
  for (let k = 0, i = 0; k < size; k++) {
    let packed = 0;
    for (let shift = 0; shift < 8 && i < n; shift += width) packed |= values[i++]! << shift;
    bytes[at + k] = packed;
  }
  out.run(at, size);
  out.at += size;
}

function encode32(out: Sink, values: Uint32Array, n: number, trait: Trait): void {
  if (trait === 'few' && encodeFew(out, values, n)) return;
  const own = scratch.lengths.of(n + 3);
  const sizes = sizesOf(values, n, own);
  if (trait === 'near') {
    const differences = scratch.near.of(n);
    nearOf(values, n, differences);
    const steps = scratch.steps.of(n + 3);
    const near = sizesOf(differences, n, steps);
    if (near.total < sizes.total) {
      encodeVaried(out, NEAR, differences, n, steps, near);
      return;
    }
  }
  // Planes of one length have no lengths to say, and are read without a branch.
  const planes = sizes.longer[3]! > 0 ? 4 : sizes.longer[2]! > 0 ? 3 : sizes.longer[1]! > 0 ? 2 : 1;
  if (4 * planes * n > 5 * (sizes.total + (n >> 2))) encodeVaried(out, VARIED, values, n, own, sizes);
  else {
    out.u8(FLAT);
    out.u8(planes);
    encodePlanes(out, values, n, planes);
  }
}

function encodePlanes(out: Sink, values: Uint16Array | Uint32Array, n: number, planes: number): void {
  const plane = scratch.plane.of(n);
  for (let k = 0; k < planes; k++) {
    for (let i = 0; i < n; i++) plane[i] = values[i]! >>> (8 * k);
    encodeColumn(out, plane, n, 'plain');
  }
}

function nearOf(values: Uint32Array, n: number, differences: Uint32Array): void {
  let before = 0;
  for (let i = 0; i < n; i++) {
    const v = values[i]!;
    differences[i] = zigzag((v - before) | 0);
    before = v;
  }
}

/** How many values have a byte k, for k from 0, and the bytes of all. */
interface Sizes {
  readonly longer: readonly number[];
  readonly total: number;
}
/** Counts, and leaves the length of each value less one in `lengths`. */
function sizesOf(values: Uint32Array, n: number, lengths: Uint8Array): Sizes {
  let n1 = 0;
  let n2 = 0;
  let n3 = 0;
  for (let i = 0; i < n; i++) {
    const length = more(values[i]!);
    lengths[i] = length;
    n1 += (length + 3) >> 2;
    n2 += (length + 2) >> 2;
    n3 += (length + 1) >> 2;
  }
  return { longer: [n, n1, n2, n3], total: n + n1 + n2 + n3 };
}

function encodeVaried(out: Sink, tag: number, values: Uint32Array, n: number, own: Uint8Array, sizes: Sizes): void {
  out.u8(tag);
  const lengths = (n + 3) >> 2;
  out.need(lengths + sizes.total);
  const { bytes, at } = out;
  own.fill(0, n, 4 * lengths);
  for (let g = 0, i = 0; g < lengths; g++, i += 4)
    bytes[at + g] = own[i]! | (own[i + 1]! << 2) | (own[i + 2]! << 4) | (own[i + 3]! << 6);
  out.run(at, lengths);
  out.at += lengths;
  for (let i = 0, p = out.at; i < n; i++) bytes[p + i] = values[i]!;
  out.run(out.at, n);
  out.at += n;
  for (let k = 1; k < 4; k++) {
    const end = out.at + sizes.longer[k]!;
    writePlane(bytes, out.at, end, values, own, k);
    out.run(out.at, end - out.at);
    out.at = end;
  }
}

/** Without a branch: a byte that is none is written over by the next, and the last of a plane is one. */
function writePlane(b: Uint8Array, at: number, end: number, values: Uint32Array, lengths: Uint8Array, k: number): void {
  const shift = 8 * k;
  for (let i = 0, p = at; p < end; i++) {
    b[p] = values[i]! >>> shift;
    p += ((lengths[i]! - k) >> 31) + 1;
  }
}

/** Places of a table of distinct values, and how many it takes before a column counts as one of many values. */
const PLACES = 2048;
const DISTINCT = 1024;
const table = { values: new Uint32Array(PLACES), counts: new Uint32Array(PLACES), nibbles: new Uint8Array(PLACES) };
/** The place of v: where it is, or the empty one where it would be. */
function placeOf(v: number): number {
  const { values, counts } = table;
  let at = (Math.imul(v, 0x9e37_79b1) >>> 21) & (PLACES - 1);
  while (counts[at] !== 0 && values[at] !== v) at = (at + 1) & (PLACES - 1);
  return at;
}

/** Writes a column as few if at least two thirds of it are the 15 most frequent values. */
function encodeFew(out: Sink, values: Uint32Array, n: number): boolean {
  const { counts, nibbles } = table;
  counts.fill(0);
  const used: number[] = [];
  const places = scratch.places.of(n);
  for (let i = 0; i < n; i++) {
    const at = placeOf(values[i]!);
    places[i] = at;
    if (counts[at]!++ > 0) continue;
    table.values[at] = values[i]!;
    if (used.push(at) > DISTINCT) return false;
  }
  used.sort((a, b) => counts[b]! - counts[a]! || table.values[a]! - table.values[b]!);
  const frequent = used.slice(0, OTHER);
  const others = frequent.reduce((left, at) => left - counts[at]!, n);
  if (3 * others > n) return false;
  used.forEach((at, rank) => {
    nibbles[at] = Math.min(rank, OTHER);
  });

  out.u8(FEW);
  out.u8(frequent.length);
  for (const at of frequent) out.u32(table.values[at]!);
  const size = (n + 1) >> 1;
  out.need(size);
  const { bytes, at: start } = out;
  const rest = scratch.other.of(others);
  let r = 0;
  let packed = 0;
  for (let i = 0; i < n; i++) {
    const nibble = nibbles[places[i]!]!;
    if (nibble === OTHER) rest[r++] = values[i]!;
    if ((i & 1) === 0) packed = nibble;
    else bytes[start + (i >> 1)] = packed | (nibble << 4);
  }
  if (n & 1) bytes[start + size - 1] = packed;
  out.run(start, size);
  out.at += size;
  encodeColumn(out, rest, others, 'plain');
  return true;
}

/** Reads a column of values.length numbers. Throws Trouble where the bytes are no such column. */
export function decodeColumn(from: Bytes, values: Numbers, depth = 0): void {
  const n = values.length;
  if (n === 0) return;
  const tag = from.u8();
  switch (tag) {
    case CONSTANT:
      values.fill(from.u32());
      return;
    case FLAT:
      decodeFlat(from, values);
      return;
    case PACKED:
      if (!(values instanceof Uint8Array)) break;
      decodePacked(from, values);
      return;
    case FEW:
      if (!(values instanceof Uint32Array)) break;
      if (depth > 0) break;
      decodeFew(from, values);
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

function decodeFlat(from: Bytes, values: Numbers): void {
  const n = values.length;
  if (values instanceof Uint8Array) {
    const at = from.take(n);
    values.set(from.bytes.subarray(at, at + n));
    return;
  }
  const planes = from.u8();
  if (planes < 1 || planes > values.BYTES_PER_ELEMENT) throw new Trouble(`a column of ${planes} bytes a value`);
  const plane = scratch.plane.of(n).subarray(0, n);
  for (let k = 0; k < planes; k++) {
    decodeColumn(from, plane);
    if (values instanceof Uint32Array) addBytes32(plane, 8 * k, values);
    else addBytes16(plane, 8 * k, values);
  }
}
/** Adds a plane to values that are 0 above it. */
function addBytes16(plane: Uint8Array, shift: number, values: Uint16Array): void {
  if (shift === 0) values.set(plane);
  else for (let i = 0; i < values.length; i++) values[i]! |= plane[i]! << shift;
}
function addBytes32(plane: Uint8Array, shift: number, values: Uint32Array): void {
  if (shift === 0) values.set(plane);
  else for (let i = 0; i < values.length; i++) values[i]! |= plane[i]! << shift;
}

function decodePacked(from: Bytes, values: Uint8Array): void {
  const width = from.u8();
  if (width !== 1 && width !== 2 && width !== 4) throw new Trouble(`a column of ${width} bits a value`);
  const n = values.length;
  const { bytes } = from;
  const mask = (1 << width) - 1;
  for (let k = from.take((n * width + 7) >> 3), i = 0; i < n; k++) {
    let packed = bytes[k]!;
    for (const end = Math.min(n, i + 8 / width); i < end; i++, packed >>= width) values[i] = packed & mask;
  }
}

function decodeFew(from: Bytes, values: Uint32Array): void {
  const n = values.length;
  const frequent = new Uint32Array(OTHER + 1);
  const count = from.u8();
  if (count > OTHER) throw new Trouble(`a column of ${count} frequent values`);
  for (let k = 0; k < count; k++) frequent[k] = from.u32();
  const { bytes } = from;
  const start = from.take((n + 1) >> 1);
  let others = 0;
  for (let i = 0; i < n; i++) {
    const nibble = (bytes[start + (i >> 1)]! >> (4 * (i & 1))) & 15;
    values[i] = frequent[nibble]!;
    if (nibble === OTHER) others++;
  }
  if (others === 0) return;
  const rest = new Uint32Array(others);
  decodeColumn(from, rest, 1);
  for (let i = 0, r = 0; r < others; i++)
    if (((bytes[start + (i >> 1)]! >> (4 * (i & 1))) & 15) === OTHER) values[i] = rest[r++]!;
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
  for (let i = 0; i < n; i++) values[i] = bytes[p0 + i]!;
  addPlane(bytes, from.take(n1), n1, lengths, 1, values);
  addPlane(bytes, from.take(n2), n2, lengths, 2, values);
  addPlane(bytes, from.take(n3), n3, lengths, 3, values);
}

/** Adds byte k to the values that have one, without a branch: whether they do is as good as random. */
function addPlane(bytes: Uint8Array, at: number, n: number, lengths: number, k: number, values: Uint32Array): void {
  for (let i = 0, p = at; p < at + n; i++) {
    const length = (bytes[lengths + (i >> 2)]! >> (2 * (i & 3))) & 3;
    const has = (k - 1 - length) >> 31;
    values[i]! |= (bytes[p]! & has) << (8 * k);
    p -= has;
  }
}
