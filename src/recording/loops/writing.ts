/** The room of those who write, and its loops. */
import { ENCODE } from './encode.js';
import { HUFFMAN } from './huffman.js';
import { LITERALS } from './literals.js';
import { Room } from './room.js';
import { fillTables, TABLES_END } from './tables.js';

/** By name; see encode.ts, literals.ts and huffman.ts for what they do and give. */
export interface Loops {
  alike(from: number, bytes: number, step: number): number;
  union(from: number, bytes: number): number;
  lengths(words: number, n: number, out: number): void;
  differences(words: number, n: number, out: number): void;
  plane(words: number, n: number, shift: number, out: number): void;
  pack(from: number, n: number, width: number, out: number): void;
  split(words: number, n: number, lengths: number, p0: number, p1: number, p2: number, p3: number): void;
  tabulate(words: number, n: number, places: number, used: number, most: number): number;
  sortOut(words: number, n: number, places: number, out: number, rest: number): number;
  ticks(from: number, n: number, low: number, high: number): void;
  caused(kinds: number, back: number, n: number, flags: number): void;
  flagged(kinds: number, n: number, flags: number, places: number): number;
  runs(places: number, n: number, back: number, lengths: number, distances: number): number;
  pick(places: number, n: number, from: number, out: number): void;
  mixIn(hashes: number, words: number, n: number, mask: number): void;
  xorLast(places: number, n: number, olds: number, news: number, last: number, out: number): void;
  subtract(words: number, others: number, n: number, out: number): void;
  registers(
    masksLo: number,
    masksHi: number,
    from: number,
    to: number,
    lo: number,
    hi: number,
    outLo: number,
    outHi: number,
    k: number,
    file: number,
  ): number;
  census(from: number, n: number, counts: number): void;
  repeats(from: number, n: number, seen: number, each: number, enough: number): number;
  emit(from: number, n: number, codes: number, out: number, acc: number, used: number): number;
  ascending(counts: number, symbols: number, keys: number, others: number, starts: number): number;
  depths(keys: number, n: number, least: number, a: number): number;
  assign(keys: number, n: number, a: number, lengths: number): number;
  canonical(lengths: number, symbols: number, codes: number, next: number): void;
}

function make(): Room<Loops> {
  const room = new Room<Loops>([...ENCODE, ...LITERALS, ...HUFFMAN], TABLES_END);
  fillTables(room.bytes);
  return room;
}
let made: Room<Loops> | undefined;
/** This thread's. */
export const theRoom = (): Room<Loops> => (made ??= make());
