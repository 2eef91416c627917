/** Columns to bytes: see column-tags.ts. The loops over values are in loops/encode.ts; a column is an address in their memory. */
import type { Sink } from './bytes.js';
import { CONSTANT, FEW, FLAT, NEAR, type Numbers, OTHER, PACKED, type Trait, VARIED } from './column-tags.js';
import { FEW_NIBBLES, FEW_PLACES, FEW_TABLE, RESULTS } from './loops/tables.js';
import { theRoom } from './loops/writing.js';

/**
 * Appends the first n values of a column.
 * @param trait of u32 only: then the shorter of both ways is taken
 */
export function encodeColumn(out: Sink, values: Numbers, n: number, trait: Trait): void {
  if (n === 0) return;
  const room = theRoom();
  const mark = room.mark();
  if (values instanceof Uint8Array) encode8(out, room.copy(values, n), n);
  else if (values instanceof Uint16Array) encode16(out, room.words(values, n), n);
  else encode32(out, room.words(values, n), n, trait);
  room.free(mark);
}
/** The same of n words that lie in the room, with zeros behind them. */
export function encodeWords(out: Sink, words: number, n: number, trait: Trait): void {
  if (n === 0) return;
  const room = theRoom();
  const mark = room.mark();
  encode32(out, words, n, trait);
  room.free(mark);
}

function constant(out: Sink, value: number): void {
  out.u8(CONSTANT);
  out.u32(value);
}
/** Appends bytes of the room that are alike. */
function append(out: Sink, from: number, n: number): void {
  out.need(n);
  out.bytes.set(theRoom().bytes.subarray(from, from + n), out.at);
  out.run(out.at, n);
  out.at += n;
}

function encode8(out: Sink, from: number, n: number): void {
  const { loops, bytes } = theRoom();
  if (loops.alike(from, n, 1)) {
    constant(out, bytes[from]!);
    return;
  }
  const all = loops.union(from, n);
  if (all >= 16) {
    out.u8(FLAT);
    append(out, from, n);
  } else encodePacked(out, from, n, all < 2 ? 1 : all < 4 ? 2 : 4);
}
function encodePacked(out: Sink, from: number, n: number, width: number): void {
  const room = theRoom();
  out.u8(PACKED);
  out.u8(width);
  const size = (n * width + 7) >> 3;
  const packed = room.take(size);
  room.loops.pack(from, n, width, packed);
  append(out, packed, size);
}

/** @param words n of them, and zeros, as everywhere below */
function encode16(out: Sink, words: number, n: number): void {
  const { loops, u32 } = theRoom();
  if (loops.alike(words, 4 * n, 4)) constant(out, u32[words >> 2]!);
  else encodeFlat(out, words, n, 2);
}

function encode32(out: Sink, words: number, n: number, trait: Trait): void {
  const room = theRoom();
  const { loops } = room;
  if (loops.alike(words, 4 * n, 4)) {
    constant(out, room.u32[words >> 2]!);
    return;
  }
  if (trait === 'few' && encodeFew(out, words, n)) return;
  const own = lengthsOf(words, n);
  if (trait === 'near') {
    const differences = room.take(4 * n);
    loops.differences(words, n, differences);
    room.clearWords(differences, n);
    const near = lengthsOf(differences, n);
    if (near.total < own.total) {
      encodeVaried(out, NEAR, differences, n, near);
      return;
    }
  }
  // Planes of one length have no lengths to say, and are read without a branch.
  const [two, three, four] = own.longer;
  const planes = four > 0 ? 4 : three > 0 ? 3 : two > 0 ? 2 : 1;
  if (4 * planes * n > 5 * (own.total + (n >> 2))) encodeVaried(out, VARIED, words, n, own);
  else encodeFlat(out, words, n, planes);
}

function encodeFlat(out: Sink, words: number, n: number, planes: number): void {
  const room = theRoom();
  out.u8(FLAT);
  out.u8(planes);
  const plane = room.take(n);
  for (let k = 0; k < planes; k++) {
    room.loops.plane(words, n, 8 * k, plane);
    encode8(out, plane, n);
  }
}

/** Where the lengths of words are, four to a byte as in the file, how many have a byte 1, 2, 3, and the bytes of all. */
interface Lengths {
  readonly at: number;
  readonly longer: readonly [number, number, number];
  readonly total: number;
}
function lengthsOf(words: number, n: number): Lengths {
  const room = theRoom();
  const at = room.take((n + 3) >> 2);
  room.loops.lengths(words, n, at);
  const [two, three, four] = [0, 1, 2].map(k => room.u32[(RESULTS >> 2) + k]!) as [number, number, number];
  return { at, longer: [two, three, four], total: n + two + three + four };
}

function encodeVaried(out: Sink, tag: number, words: number, n: number, lengths: Lengths): void {
  const room = theRoom();
  out.u8(tag);
  append(out, lengths.at, (n + 3) >> 2);
  const sizes = [n, ...lengths.longer] as const;
  const planes = sizes.map(size => room.take(size)) as [number, number, number, number];
  room.loops.split(words, n, lengths.at, ...planes);
  planes.forEach((plane, k) => void append(out, plane, sizes[k]!));
}

/** Distinct values that it takes before a column counts as one of many values. */
const DISTINCT = 1024;

/** The most frequent of the places in use, in order; of equally frequent ones that of the smaller value. */
function mostFrequent(used: readonly number[]): number[] {
  const { u32 } = theRoom();
  const table = FEW_TABLE >> 2;
  const countOf = (place: number): number => u32[table + 2 * place + 1]!;
  const before = (a: number, b: number): boolean =>
    countOf(a) !== countOf(b) ? countOf(a) > countOf(b) : u32[table + 2 * a]! < u32[table + 2 * b]!;
  const best: number[] = [];
  for (const place of used) {
    if (best.length === OTHER) {
      if (!before(place, best[OTHER - 1]!)) continue;
      best.pop();
    }
    let k = best.push(place) - 1;
    for (; k > 0 && before(place, best[k - 1]!); k--) best[k] = best[k - 1]!;
    best[k] = place;
  }
  return best;
}

/** Writes a column as few if at least two thirds of it are the 15 most frequent values. */
function encodeFew(out: Sink, words: number, n: number): boolean {
  const room = theRoom();
  const places = room.take(2 * (n + 1));
  const list = room.take(2 * (DISTINCT + 1));
  const distinct = room.loops.tabulate(words, n, places, list, DISTINCT);
  if (distinct < 0) return false;
  const { bytes, u32 } = room;
  const used = Array.from(new Uint16Array(bytes.buffer, list, distinct));
  const frequent = mostFrequent(used);
  const table = FEW_TABLE >> 2;
  const others = frequent.reduce((left, place) => left - u32[table + 2 * place + 1]!, n);
  if (3 * others > n) return false;
  for (const place of used) bytes[FEW_NIBBLES + place] = OTHER;
  frequent.forEach((place, rank) => {
    bytes[FEW_NIBBLES + place] = rank;
  });

  out.u8(FEW);
  out.u8(frequent.length);
  for (const place of frequent) out.u32(u32[table + 2 * place]!);
  // Behind the last nibble there is one that counts for nothing.
  new Uint16Array(bytes.buffer, places, n + 1)[n] = FEW_PLACES;
  bytes[FEW_NIBBLES + FEW_PLACES] = 0;
  const nibbles = room.take((n + 1) >> 1);
  const rest = room.take(4 * n);
  room.loops.sortOut(words, n, places, nibbles, rest);
  room.clearWords(rest, others);
  append(out, nibbles, (n + 1) >> 1);
  if (others > 0) encode32(out, rest, others, 'plain');
  return true;
}
