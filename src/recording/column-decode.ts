/** Bytes to columns: see column-tags.ts. */
import { Trouble } from '../base/trouble.js';
import { ByteScratch, type Bytes, Scratch } from './bytes.js';
import { CONSTANT, FEW, FLAT, NEAR, type Numbers, OTHER, PACKED, VARIED } from './column-tags.js';
import { LONGER } from './loops/decode.js';
import { theRoom } from './loops/reading.js';

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
      decodeVaried(from, values, tag === NEAR);
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

/** Copies the next n bytes into the room. */
function copyIn(from: Bytes, n: number): number {
  const start = from.take(n);
  const room = theRoom();
  const at = room.take(n);
  room.bytes.set(from.bytes.subarray(start, start + n), at);
  return at;
}
/** Of lengths in the room, so many bytes: how many values have a byte 1, a byte 2, a byte 3. */
function countLonger(lengths: number, bytes: number): [number, number, number] {
  const { loops, bytes: all, u32 } = theRoom();
  all.fill(0, lengths + bytes, lengths + bytes + 8);
  loops.longer(lengths, bytes);
  return [u32[LONGER >> 2]!, u32[(LONGER >> 2) + 1]!, u32[(LONGER >> 2) + 2]!];
}
/** Takes the lengths of n values, and says how many have a byte 1, a byte 2, a byte 3. */
export function longerOf(from: Bytes, n: number): [number, number, number] {
  const bytes = (n + 3) >> 2;
  return theRoom().freeAfter(() => countLonger(copyIn(from, bytes), bytes));
}

/** The words of a column of varied ones, or of their differences, in the room. */
export function variedWords(from: Bytes, n: number, near: boolean): number {
  const room = theRoom();
  const bytes = (n + 3) >> 2;
  const lengths = copyIn(from, bytes);
  const [n1, n2, n3] = countLonger(lengths, bytes);
  const planes = copyIn(from, n + n1 + n2 + n3);
  const out = room.take(4 * n);
  room.loops.merge(lengths, n, planes, planes + n, planes + n + n1, planes + n + n1 + n2, out);
  if (near) room.loops.sums(out, n);
  return out;
}
function decodeVaried(from: Bytes, values: Uint32Array, near: boolean): void {
  const room = theRoom();
  const mark = room.mark();
  try {
    const start = variedWords(from, values.length, near) >> 2;
    values.set(room.u32.subarray(start, start + values.length));
  } finally {
    room.free(mark);
  }
}
