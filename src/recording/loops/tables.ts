/**
 * Tables that the loops look up, at the start of their memory. For each byte of four lengths (length - 1 of four words, two
 * bits each, lowest first):
 *
 *   SPLIT   which byte of four words goes where, so that those of one plane stand together: lanes of a swizzle
 *             words   00 01 02 03 10 11 12 13 ...    byte k of word j
 *             planes  00 10 20 30 | 01 11 .. | 02 .. | 03 ..    the bytes k there are, one behind the other
 *   COUNT   how many of the four words have a byte 1, 2, 3; byte 0 is unused
 */
const FOURS = 256;
export const SPLIT = 0;
export const COUNT = SPLIT + 16 * FOURS;
/** For columns of few values: value u32, count u32 by place; and the nibble of each place, u8, and of none. */
export const FEW_PLACES = 2048;
export const FEW_TABLE = COUNT + 4 * FOURS;
export const FEW_NIBBLES = FEW_TABLE + 8 * FEW_PLACES;
/** What a loop that has several results leaves: i32 each. */
export const RESULTS = FEW_NIBBLES + FEW_PLACES + 16;
export const TABLES_END = RESULTS + 16;

/** No byte: a swizzle makes 0 of it. */
const NONE = 255;

/** Fills the first two. */
export function fillTables(bytes: Uint8Array): void {
  bytes.fill(NONE, SPLIT, COUNT);
  for (let four = 0; four < FOURS; four++) {
    for (let k = 0; k < 4; k++) {
      let place = 4 * k;
      for (let j = 0; j < 4; j++) {
        if (((four >> (2 * j)) & 3) < k) continue;
        bytes[SPLIT + 16 * four + place++] = 4 * j + k;
      }
      bytes[COUNT + 4 * four + k] = place - 4 * k;
    }
  }
}
