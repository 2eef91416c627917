/**
 * One column of numbers as bytes. What follows in the file is brotli of quality 3, which has a single Huffman table for all
 * it is given: it does well on bytes that are alike and badly on a mix. So bytes of equal meaning are put together, and
 * `cuts` mark where long runs of them begin and end, for whoever compresses to cut there.
 *
 *   tag 0  constant   u32                              all values are this one
 *   tag 1  flat       bytes                            u8: as they are
 *                     planes u8 | plane 0 | ...        u16, u32: plane k, a column of u8, has byte k of every value
 *   tag 2  varied     lengths | 0 | 1 | 2 | 3          u32: lengths - 1 of the values, four to a byte, lowest bits first;
 *                                                      plane k has byte k of each value that is longer than k
 *   tag 3  near       lengths | 0 | 1 | 2 | 3          the same of the differences from the value before, zigzagged
 *   tag 4  packed     width u8 | bits                  u8: values below 2^width, width 1, 2 or 4, lowest bits first
 *   tag 5  few        n u8 | n values u32 | nibbles | column
 *                                                      the n most frequent values by number; 15: the column's next value
 *
 * A column without values takes no byte. The choice depends on the values alone: the same column gives the same bytes.
 */
export type Numbers = Uint8Array | Uint16Array | Uint32Array;

export const CONSTANT = 0;
export const FLAT = 1;
export const VARIED = 2;
export const NEAR = 3;
export const PACKED = 4;
export const FEW = 5;
/** The nibble of a value that is not among the frequent ones. */
export const OTHER = 15;

/** What a column may be like besides: close to the value before, or mostly one of a few values. */
export type Trait = 'plain' | 'near' | 'few';

/** Undoes zigzag, which maps differences to small numbers, whatever their sign: 0 -1 1 -2 2 ... become 0 1 2 3 4 ... */
export const unzigzag = (z: number): number => (z >>> 1) ^ -(z & 1);
