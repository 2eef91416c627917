/** Bytes to columns: see column-tags.ts. */
import { Trouble } from '../base/trouble.js';
import { ByteScratch, type Bytes, Scratch } from './bytes.js';
import { CONSTANT, FEW, FLAT, NEAR, type Numbers, OTHER, PACKED, VARIED } from './column-tags.js';

const planes8 = new ByteScratch();

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

/** Goes past a column of n numbers of so many bytes, without looking at more than it must. */
export function skipColumn(from: Bytes, n: number, width: 1 | 2 | 4, depth = 0): void {
  if (n === 0) return;
  const tag = from.u8();
  switch (tag) {
    case CONSTANT:
      from.pass(4);
      return;
    case FLAT:
      if (width === 1) from.pass(n);
      else for (let planes = planesOf(from, width); planes > 0; planes--) skipColumn(from, n, 1);
      return;
    case PACKED:
      if (width !== 1) break;
      from.pass((n * widthOf(from) + 7) >> 3);
      return;
    case FEW:
      if (width !== 4 || depth > 0) break;
      skipFew(from, n);
      return;
    case VARIED:
    case NEAR:
      if (width !== 4) break;
      from.pass(n + longerOf(from, n).reduce((sum, more) => sum + more, 0));
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
  const planes = planesOf(from, values.BYTES_PER_ELEMENT);
  const plane = planes8.of(n).subarray(0, n);
  for (let k = 0; k < planes; k++) {
    decodeColumn(from, plane);
    if (values instanceof Uint32Array) addBytes32(plane, 8 * k, values);
    else addBytes16(plane, 8 * k, values);
  }
}
export function planesOf(from: Bytes, most: number): number {
  const planes = from.u8();
  if (planes < 1 || planes > most) throw new Trouble(`a column of ${planes} bytes a value`);
  return planes;
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
  const width = widthOf(from);
  const n = values.length;
  const { bytes } = from;
  const mask = (1 << width) - 1;
  for (let k = from.take((n * width + 7) >> 3), i = 0; i < n; k++) {
    let packed = bytes[k]!;
    for (const end = Math.min(n, i + 8 / width); i < end; i++, packed >>= width) values[i] = packed & mask;
  }
}

export function widthOf(from: Bytes): number {
  const width = from.u8();
  if (width !== 1 && width !== 2 && width !== 4) throw new Trouble(`a column of ${width} bits a value`);
  return width;
}

function decodeFew(from: Bytes, values: Uint32Array): void {
  const n = values.length;
  const frequent = new Int32Array(OTHER + 1);
  const count = frequentOf(from);
  for (let k = 0; k < count; k++) frequent[k] = from.u32();
  const places = otherPlaces.of(n + 1);
  const others = spreadNibbles(from.bytes, from.take((n + 1) >> 1), frequent, values, places);
  if (others === 0) return;
  const rest = otherValues.of(others).subarray(0, others);
  decodeColumn(from, rest, 1);
  for (let r = 0; r < others; r++) values[places[r]!] = rest[r]!;
}
const otherPlaces = new Scratch();
const otherValues = new Scratch();

/** Sets the values of a column's nibbles; the places of those that are none of the frequent values are listed, and counted. */
function spreadNibbles(
  bytes: Uint8Array,
  start: number,
  frequent: Int32Array,
  values: Uint32Array,
  places: Uint32Array,
): number {
  const even = values.length & ~1;
  let others = 0;
  let at = start;
  for (let i = 0; i < even; i += 2, at++) {
    const low = bytes[at]! & 15;
    const high = bytes[at]! >> 4;
    values[i] = frequent[low]!;
    values[i + 1] = frequent[high]!;
    places[others] = i;
    others += (low + 1) >> 4;
    places[others] = i + 1;
    others += (high + 1) >> 4;
  }
  if (even === values.length) return others;
  const last = bytes[at]! & 15;
  values[even] = frequent[last]!;
  places[others] = even;
  return others + ((last + 1) >> 4);
}

function frequentOf(from: Bytes): number {
  const count = from.u8();
  if (count > OTHER) throw new Trouble(`a column of ${count} frequent values`);
  return count;
}
function skipFew(from: Bytes, n: number): void {
  from.pass(4 * frequentOf(from));
  const start = from.take((n + 1) >> 1);
  let others = 0;
  for (let i = 0; i < n; i++) if (((from.bytes[start + (i >> 1)]! >> (4 * (i & 1))) & 15) === OTHER) others++;
  if (others > 0) skipColumn(from, others, 4, 1);
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

/** For a byte of four lengths: how many of its values have a byte 1 (ten bits), a byte 2 (ten bits), a byte 3. */
export const LONGER = Int32Array.from({ length: 256 }, (_, four) => {
  const longer = (k: number): number => [0, 2, 4, 6].filter(at => ((four >> at) & 3) >= k).length;
  return longer(1) | (longer(2) << 10) | (longer(3) << 20);
});
/** So many bytes of lengths are counted at a time that none of the three overflows its ten bits. */
const COUNTED = 255;

/** Takes the lengths of n values, and says how many have a byte 1, a byte 2, a byte 3. */
export function longerOf(from: Bytes, n: number): [number, number, number] {
  const { bytes } = from;
  let g = from.take((n + 3) >> 2);
  let [n1, n2, n3] = [0, 0, 0];
  while (g < from.at) {
    let sum = 0;
    for (const end = Math.min(from.at, g + COUNTED); g < end; g++) sum += LONGER[bytes[g]!]!;
    n1 += sum & 1023;
    n2 += (sum >> 10) & 1023;
    n3 += sum >> 20;
  }
  return [n1, n2, n3];
}

/** For each length the bits that a value has. */
const BITS = Int32Array.of(0xff, 0xffff, 0xff_ffff, -1);

/**
 * All planes in one pass, four values a turn. Of each plane the next byte is taken whether the value has it or not: what it
 * has not is masked off, and the same byte is then that of a later value. No branch depends on a length, which is as good as random.
 */
function decodeVaried(from: Bytes, values: Uint32Array): void {
  const n = values.length;
  const lengths = from.at;
  const [n1, n2, n3] = longerOf(from, n);
  const p0 = from.take(n);
  const p1 = from.take(n1);
  const p2 = from.take(n2);
  const p3 = from.take(n3);
  // Where nothing follows the column, the byte after it is taken from a copy.
  const tail = from.at < from.bytes.length ? 0 : lengths;
  const bytes = from.at < from.bytes.length ? from.bytes : beyond.of(from.at - tail + 1);
  if (bytes !== from.bytes) bytes.set(from.bytes.subarray(tail));
  mergePlanes(bytes, lengths - tail, p0 - tail, p1 - tail, p2 - tail, p3 - tail, values);
}
const beyond = new ByteScratch();

function mergePlanes(
  bytes: Uint8Array,
  lengths: number,
  plane0: number,
  plane1: number,
  plane2: number,
  plane3: number,
  values: Uint32Array,
): void {
  const n = values.length;
  let [p0, p1, p2, p3] = [plane0, plane1, plane2, plane3];
  let i = 0;
  for (let g = lengths; i + 4 <= n; g++, i += 4, p0 += 4) {
    const four = bytes[g]!;
    const a = four & 3;
    const b = (four >> 2) & 3;
    const c = (four >> 4) & 3;
    const d = four >> 6;
    values[i] = (bytes[p0]! | (bytes[p1]! << 8) | (bytes[p2]! << 16) | (bytes[p3]! << 24)) & BITS[a]!;
    p1 += (a + 3) >> 2;
    p2 += a >> 1;
    p3 += (a + 1) >> 2;
    values[i + 1] = (bytes[p0 + 1]! | (bytes[p1]! << 8) | (bytes[p2]! << 16) | (bytes[p3]! << 24)) & BITS[b]!;
    p1 += (b + 3) >> 2;
    p2 += b >> 1;
    p3 += (b + 1) >> 2;
    values[i + 2] = (bytes[p0 + 2]! | (bytes[p1]! << 8) | (bytes[p2]! << 16) | (bytes[p3]! << 24)) & BITS[c]!;
    p1 += (c + 3) >> 2;
    p2 += c >> 1;
    p3 += (c + 1) >> 2;
    values[i + 3] = (bytes[p0 + 3]! | (bytes[p1]! << 8) | (bytes[p2]! << 16) | (bytes[p3]! << 24)) & BITS[d]!;
    p1 += (d + 3) >> 2;
    p2 += d >> 1;
    p3 += (d + 1) >> 2;
  }
  for (let at = 0; i < n; i++, p0++, at += 2) {
    const length = (bytes[lengths + (i >> 2)]! >> at) & 3;
    values[i] = (bytes[p0]! | (bytes[p1]! << 8) | (bytes[p2]! << 16) | (bytes[p3]! << 24)) & BITS[length]!;
    p1 += (length + 3) >> 2;
    p2 += length >> 1;
    p3 += (length + 1) >> 2;
  }
}
