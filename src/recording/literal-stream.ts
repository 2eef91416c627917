/**
 * A brotli stream (RFC 7932) that says each byte by a Huffman code and never where it was before: what literals.ts writes
 * and inflate.ts reads. Any brotli reader reads it.
 *
 *   window 1 bit | last, not empty 2 | MLEN 2 + 16.. | one block type each 3 | distances 6 | context 2 | one tree each 2
 *   literals' code | one command's code | one distance's code | the command: so many bytes follow | the bytes
 *
 * A command inserts bytes and copies some: the meta-block ends where all are inserted, and nothing is copied (9.3). All but the
 * literals' code and the bytes follows from how many bytes there are.
 */

/** A number and how many bits it takes, at most 16. */
type Field = readonly [value: number, bits: number];

/** Symbols of the literals' code. */
export const BYTES = 256;
/** There may be so many literals: sums of the writer's `repeats` fit into a word, and the length into five nibbles. */
export const BYTES_MAX = 1 << 20;

/** What begins a stream of n bytes: 2 <= n <= BYTES_MAX. */
export function introOf(n: number): Field[] {
  const nibbles = n <= 1 << 16 ? 4 : 5;
  return [
    [0, 1], // a window of 2^16 bytes
    [1, 2], // the last meta-block, not empty
    [nibbles - 4, 2],
    [(n - 1) & 0xffff, 16],
    [(n - 1) >>> 16, 4 * nibbles - 16],
    [0, 13], // block types, distances, context and trees: one of each, all of them 0
  ];
}

/** What stands between the literals' code and the bytes. */
export function commandOf(n: number): Field[] {
  const insert = INSERT_BASES.findLastIndex(base => base <= n);
  const extra = INSERT_BITS[insert]!;
  const rest = n - INSERT_BASES[insert]!;
  return [
    ...onlySymbol(INSERT_COPY[insert >> 3]! + 8 * (insert & 7), 10),
    ...onlySymbol(0, 6),
    [rest & 0xfff, Math.min(extra, 12)],
    [rest >>> 12, Math.max(extra - 12, 0)],
  ];
}
/** A code of one symbol, which then takes no bits (3.4). */
const onlySymbol = (symbol: number, bits: number): Field[] => [
  [1, 4],
  [symbol, bits],
];
/** Insert lengths by code: how many bits tell which of those that begin where the ones before end (5). */
const INSERT_BITS = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 12, 14, 24];
const INSERT_BASES = INSERT_BITS.map((_, code) => INSERT_BITS.slice(0, code).reduce((sum, n) => sum + 2 ** n, 0));
/** Commands that copy two bytes, by eight insert codes (5). */
const INSERT_COPY = [128, 256, 448];

/** How many code lengths are left out at the beginning: none, ever (3.5). */
export const SKIP: Field = [0, 2];
/**
 * The literals' code is said by the lengths of its codes, and these by a code of their own, of LENGTHS symbols: lengths, 16
 * for one more of the same, which is never written, and ZEROS for three to ten zeros (3.5).
 */
export const LENGTHS = 18;
export const REPEAT = 16;
export const ZEROS = 17;
/** The longest code of that one. */
export const LENGTHS_BITS = 5;
/** The order in which its own lengths are written, */
export const STORED = [1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/** and how. */
export const LENGTH_OF_LENGTH: readonly Field[] = [
  [0, 2],
  [7, 4],
  [3, 3],
  [2, 2],
  [1, 2],
  [15, 4],
];
