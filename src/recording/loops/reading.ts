/** The room of those who read, and its loops. */
import { DECODE, fillTables, TABLES_END } from './decode.js';
import { INFLATE } from './inflate.js';
import { Room } from './room.js';

/** By name; see inflate.ts and decode.ts for what they do and give. */
interface Loops {
  ordered(lengths: number, symbols: number, counts: number, places: number, out: number): number;
  table(counts: number, sorted: number, width: number, out: number): void;
  lengths(from: number, bit: number, codes: number, out: number): number;
  decode(
    from: number,
    bit: number,
    end: number,
    n: number,
    width: number,
    counts: number,
    sorted: number,
    out: number,
  ): number;
  longer(lengths: number, bytes: number): void;
  merge(lengths: number, n: number, p0: number, p1: number, p2: number, p3: number, out: number): void;
  sums(words: number, n: number): void;
  steps(words: number, n: number, rows: number, values: number): number;
}

function make(): Room<Loops> {
  const room = new Room<Loops>([...INFLATE, ...DECODE], TABLES_END);
  fillTables(room.bytes);
  return room;
}
let made: Room<Loops> | undefined;
/** This thread's. */
export const theRoom = (): Room<Loops> => (made ??= make());
