/** Bytes to columns: see column-tags.ts. */
import { Trouble } from '../base/trouble.js';
import { ByteScratch, type Bytes } from './bytes.js';
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
function planesOf(from: Bytes, most: number): number {
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

function widthOf(from: Bytes): number {
  const width = from.u8();
  if (width !== 1 && width !== 2 && width !== 4) throw new Trouble(`a column of ${width} bits a value`);
  return width;
}

function decodeFew(from: Bytes, values: Uint32Array): void {
  const n = values.length;
  const frequent = new Uint32Array(OTHER + 1);
  const count = frequentOf(from);
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

/** For a byte of four lengths: how many of its values have a byte 1, a byte 2, a byte 3. */
const LONGER = [1, 2, 3].map(k =>
  Uint8Array.from({ length: 256 }, (_, four) => [0, 2, 4, 6].filter(at => ((four >> at) & 3) >= k).length),
);

/** Takes the lengths of n values, and says how many have a byte 1, a byte 2, a byte 3. */
function longerOf(from: Bytes, n: number): [number, number, number] {
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
  return [n1, n2, n3];
}

function decodeVaried(from: Bytes, values: Uint32Array): void {
  const n = values.length;
  const { bytes } = from;
  const lengths = from.at;
  const [n1, n2, n3] = longerOf(from, n);
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
