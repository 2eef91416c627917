/** The room of those who read, and its loops. */
import { CODES_END, INFLATE } from './inflate.js';
import { Room } from './room.js';

/** By name; see inflate.ts for what they do and give. */
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
}

let made: Room<Loops> | undefined;
/** This thread's. */
export const theRoom = (): Room<Loops> => (made ??= new Room<Loops>(INFLATE, CODES_END));
