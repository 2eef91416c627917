/**
 * Some values of a column, without decoding the others: for who wants few of very many. Of columns whose values lie at places
 * that can be told (constant, flat, packed) they are read there. Of `varied` ones the lengths are summed up once, in steps, so
 * that a value's bytes are found from the step before it. The others give each value only through those before it, and are
 * decoded whole when first asked. See column-tags.ts for how columns look.
 *
 * Loops are functions of their own, so that each is compiled once whoever runs it: a new process has no time to learn.
 */
import { type Bytes, Scratch } from './bytes.js';
import { decodeColumn, LONGER, longerOf, planesOf, skipColumn, widthOf } from './column-decode.js';
import { CONSTANT, FLAT, NEAR, PACKED, unzigzag, VARIED } from './column-tags.js';

/** Adds values first, first + 1, ... of a column to what is zero, as many as `into` is long. Throws Trouble where they are damaged. */
export type Part = (first: number, into: Uint32Array) => void;

/** Goes past a column of n numbers of so many bytes. Its own bytes are inflated when they are read. */
export const partOf = (from: Bytes, n: number, width: 1 | 2 | 4): Part => shiftedPart(from, n, width, 0);

/** The same of values that are bits `shift` and up of what is wanted. */
function shiftedPart(from: Bytes, n: number, width: 1 | 2 | 4, shift: number): Part {
  if (n === 0) return () => {};
  const start = from.at;
  const tag = from.u8();
  if (tag === CONSTANT) {
    const value = from.u32() << shift;
    return value === 0 ? () => {} : (_, into) => addConstant(into, value);
  }
  if (tag === FLAT && width === 1) {
    const taken = later(from, n);
    return (first, into) => addBytes(into, from.bytes, taken(first, into.length), shift);
  }
  if (tag === FLAT) {
    const planes = Array.from({ length: planesOf(from, width) }, (_, k) => shiftedPart(from, n, 1, 8 * k));
    return (first, into) => {
      for (const plane of planes) plane(first, into);
    };
  }
  if (tag === PACKED && width === 1) return packedPart(from, n, shift);
  if (tag === VARIED && width === 4) return variedPart(from, n);
  from.at = start;
  skipColumn(from, n, width);
  return wholePart(from.part(start, from.at), n, width, shift);
}

/** n bytes that are passed now and taken later: the place of byte `first`, from which `count` bytes are there. */
function later(from: Bytes, n: number): (first: number, count: number) => number {
  const at = from.at;
  from.pass(n);
  const own = from.part(at, from.at);
  return (first, count) => {
    own.at = at + first;
    return own.take(count);
  };
}

function addConstant(into: Uint32Array, value: number): void {
  for (let i = 0; i < into.length; i++) into[i]! |= value;
}
function addBytes(into: Uint32Array, bytes: Uint8Array, at: number, shift: number): void {
  for (let i = 0; i < into.length; i++) into[i]! |= bytes[at + i]! << shift;
}

function packedPart(from: Bytes, n: number, shift: number): Part {
  const width = widthOf(from);
  const taken = later(from, (n * width + 7) >> 3);
  return (first, into) => {
    const bit = first * width;
    const end = (bit + into.length * width + 7) >> 3;
    addBits(into, from.bytes, 8 * taken(bit >> 3, end - (bit >> 3)) + (bit & 7), width, shift);
  };
}
function addBits(into: Uint32Array, bytes: Uint8Array, from: number, width: number, shift: number): void {
  const mask = (1 << width) - 1;
  for (let i = 0, bit = from; i < into.length; i++, bit += width)
    into[i]! |= ((bytes[bit >>> 3]! >> (bit & 7)) & mask) << shift;
}

/** Values whose lengths are summed up together: 64 bytes of lengths, so that no sum needs more than ten bits. */
const STEP = 256;

function variedPart(from: Bytes, n: number): Part {
  const { bytes } = from;
  const lengths = from.take((n + 3) >> 2);
  const steps = Math.ceil(n / STEP);
  const before = sumUp(bytes, lengths, from.at, new Uint32Array(3 * (steps + 1)));
  const plane0 = later(from, n);
  const longer = [0, 1, 2].map(k => later(from, before[3 * steps + k]!));
  return (first, into) => {
    const step = Math.floor(first / STEP);
    const sum = longerIn(bytes, lengths, step * STEP, first);
    const [p1, p2, p3] = longer.map((plane, k) => {
      const skipped = before[3 * step + k]! + ((sum >> (10 * k)) & 1023);
      return plane(skipped, Math.min(into.length, before[3 * steps + k]! - skipped));
    }) as [number, number, number];
    addVaried(into, bytes, lengths, first, plane0(first, into.length), p1, p2, p3);
  };
}
/** Of values from..to-1, where `from` begins a byte of lengths: how many have a byte 1, 2, 3, in ten bits each. */
function longerIn(bytes: Uint8Array, lengths: number, from: number, to: number): number {
  let sum = 0;
  let i = from;
  for (; i + 4 <= to; i += 4) sum += LONGER[bytes[lengths + (i >> 2)]!]!;
  // Of the last byte only the lengths below `to`: the others count as zero.
  return i < to ? sum + LONGER[bytes[lengths + (i >> 2)]! & ((1 << (2 * (to - i))) - 1)]! : sum;
}
function addVaried(
  into: Uint32Array,
  bytes: Uint8Array,
  lengths: number,
  first: number,
  p0: number,
  plane1: number,
  plane2: number,
  plane3: number,
): void {
  let [p1, p2, p3] = [plane1, plane2, plane3];
  for (let i = 0; i < into.length; i++) {
    const length = lengthOf(bytes, lengths, first + i);
    let value = bytes[p0 + i]!;
    if (length > 0) value |= bytes[p1++]! << 8;
    if (length > 1) value |= bytes[p2++]! << 16;
    if (length > 2) value |= bytes[p3++]! << 24;
    into[i]! |= value;
  }
}
/** For each step: how many values before it have a byte 1, a byte 2, a byte 3. */
function sumUp(bytes: Uint8Array, lengths: number, end: number, before: Uint32Array): Uint32Array {
  for (let at = lengths, s = 0; at < end; s += 3) {
    let sum = 0;
    for (const stop = Math.min(end, at + STEP / 4); at < stop; at++) sum += LONGER[bytes[at]!]!;
    before[s + 3] = before[s]! + (sum & 1023);
    before[s + 4] = before[s + 1]! + ((sum >> 10) & 1023);
    before[s + 5] = before[s + 2]! + (sum >> 20);
  }
  return before;
}
const lengthOf = (bytes: Uint8Array, lengths: number, i: number): number =>
  (bytes[lengths + (i >> 2)]! >> (2 * (i & 3))) & 3;
const ARRAYS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
function wholePart(column: Bytes, n: number, width: 1 | 2 | 4, shift: number): Part {
  let values: Uint8Array | Uint16Array | Uint32Array | undefined;
  return (first, into) => {
    if (!values) {
      const all = new ARRAYS[width](n);
      decodeColumn(column, all);
      values = all;
    }
    for (let i = 0; i < into.length; i++) into[i]! |= values[first + i]! << shift;
  };
}

/** The rows of a column at which its value is another than before, row 0 the first, and these values. */
export interface Steps {
  readonly rows: readonly number[];
  readonly values: readonly number[];
}
/** Reads where the values of a column of n numbers change. */
export function stepsOf(from: Bytes, n: number, width: 1 | 4): Steps {
  if (n === 0) return { rows: [], values: [] };
  const start = from.at;
  const tag = from.u8();
  if (tag === CONSTANT) return { rows: [0], values: [from.u32()] };
  if (tag === NEAR && width === 4) return nearSteps(from, n);
  from.at = start;
  const values = new ARRAYS[width](n);
  decodeColumn(from, values);
  const rows = [0];
  for (let i = 1; i < n; i++) if (values[i] !== values[i - 1]) rows.push(i);
  return { rows, values: rows.map(row => values[row]!) };
}

const aligned = { lengths: new Scratch(), plane0: new Scratch() };

/** Where nothing changes, lengths and byte 0 of the differences are zero: sixteen values are passed at once. */
function nearSteps(from: Bytes, n: number): Steps {
  const { bytes } = from;
  const lengths = from.at;
  const [n1, n2, n3] = longerOf(from, n);
  const end = from.at;
  const plane0 = from.take(n);
  const planes = [n1, n2, n3].map(count => from.take(count)) as [number, number, number];
  const groups = (n + 15) >> 4;
  const lengthWords = wordsOf(bytes, lengths, end - lengths, aligned.lengths.zeros(groups));
  const plane0Words = wordsOf(bytes, plane0, n, aligned.plane0.zeros(4 * groups));
  const rows: number[] = [];
  const values: number[] = [];
  let value = 0;
  for (let g = 0; g < groups; g++) {
    if (g > 0 && isQuiet(lengthWords, plane0Words, g)) continue;
    for (let i = 16 * g; i < Math.min(n, 16 * g + 16); i++) {
      const length = lengthOf(bytes, lengths, i);
      let z = bytes[plane0 + i]!;
      for (let k = 0; k < length; k++) z |= bytes[planes[k]!++]! << (8 * k + 8);
      if (z === 0 && i > 0) continue;
      value = (value + unzigzag(z)) >>> 0;
      rows.push(i);
      values.push(value);
    }
  }
  return { rows, values };
}
function wordsOf(bytes: Uint8Array, at: number, n: number, words: Uint32Array): Uint32Array {
  new Uint8Array(words.buffer).set(bytes.subarray(at, at + n));
  return words;
}
function isQuiet(lengths: Uint32Array, plane0: Uint32Array, g: number): boolean {
  return (lengths[g]! | plane0[4 * g]! | plane0[4 * g + 1]! | plane0[4 * g + 2]! | plane0[4 * g + 3]!) === 0;
}
