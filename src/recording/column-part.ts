/**
 * Some values of a column, without decoding the others: for who wants few of very many. Of columns whose values lie at places
 * that can be told (constant, flat, packed) they are read there; the others are decoded whole when first asked. See
 * column-tags.ts for how columns look.
 *
 * Loops are functions of their own, so that each is compiled once whoever runs it: a new process has no time to learn.
 */
import type { Bytes } from './bytes.js';
import { decodeColumn, planesOf, skipColumn, variedWords, widthOf } from './column-decode.js';
import { CONSTANT, FLAT, NEAR, PACKED, VARIED } from './column-tags.js';
import { theRoom } from './loops/reading.js';

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
  readonly rows: Uint32Array;
  readonly values: Uint32Array;
}
/** Reads where the values of a column of n numbers change. */
export function stepsOf(from: Bytes, n: number, width: 1 | 4): Steps {
  if (n === 0) return { rows: NONE, values: NONE };
  const room = theRoom();
  return room.freeAfter(() => {
    const words = wordsOf(from, n, width);
    const rows = room.take(4 * n);
    const values = room.take(4 * n);
    const count = room.loops.steps(words, n, rows, values);
    const taken = (at: number): Uint32Array => room.u32.slice(at >> 2, (at >> 2) + count);
    return { rows: taken(rows), values: taken(values) };
  });
}
const NONE = new Uint32Array(0);

/** The values of a column as words in the room. */
function wordsOf(from: Bytes, n: number, width: 1 | 4): number {
  const start = from.at;
  const tag = from.u8();
  if (width === 4 && (tag === NEAR || tag === VARIED)) return variedWords(from, n, tag === NEAR);
  from.at = start;
  const values = new ARRAYS[width](n);
  decodeColumn(from, values);
  return theRoom().words(values, n);
}
