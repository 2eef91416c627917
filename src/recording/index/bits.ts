/**
 * Columns of u32 in as many bits as they need. Index blocks are read one at a time, thousands of them a second, so no
 * general compressor helps: its call costs more than the block. Values go in groups of 32, each with a width of its own.
 *
 *   column   words u16 | shift u8 | 0 u8 | width u8 a group, padded to 4 bytes | words x u32, bits from low to high
 *
 * `shift` is how many low bits are zero in all values and left out: addresses of 8-byte entries. An empty column and one
 * of zeros have no words and no widths.
 */
export const GROUP = 32;

/** Words of the column of n values at most. */
export const columnWords = (n: number): number => 1 + Math.ceil(Math.ceil(n / GROUP) / 4) + n;

/** Appends the first n values to `out` (as u32 words from `at` on) and returns where it ends. */
export function packColumn(values: Uint32Array, n: number, out: Uint32Array, at: number): number {
  let any = 0;
  for (let i = 0; i < n; i++) any |= values[i]!;
  if (any === 0) {
    out[at] = 0;
    return at + 1;
  }
  const shift = 31 - Math.clz32(any & -any);
  const groups = Math.ceil(n / GROUP);
  const widthsAt = at + 1;
  const dataAt = widthsAt + ((groups + 3) >> 2);
  out.fill(0, at, dataAt);
  let word = dataAt;
  let acc = 0;
  let used = 0;
  for (let g = 0; g < groups; g++) {
    const end = Math.min(n, (g + 1) * GROUP);
    let bits = 0;
    for (let i = g * GROUP; i < end; i++) bits |= values[i]!;
    const width = 32 - Math.clz32(bits >>> shift);
    out[widthsAt + (g >> 2)]! |= width << (8 * (g & 3));
    if (width === 0) continue;
    for (let i = g * GROUP; i < end; i++) {
      const v = values[i]! >>> shift;
      acc |= v << used;
      used += width;
      if (used < 32) continue;
      out[word++] = acc;
      used -= 32;
      acc = used === 0 ? 0 : v >>> (width - used);
    }
  }
  if (used > 0) out[word++] = acc;
  out[at] = (word - dataAt) | (shift << 16);
  return word;
}

/** Reads a column of n values from words `at`.. and returns where it ends, -1 where it is none. */
export function unpackColumn(words: Uint32Array, at: number, n: number, values: Uint32Array): number {
  const head = words[at];
  if (head === undefined) return -1;
  const count = head & 0xffff;
  const shift = (head >>> 16) & 0xff;
  if (count === 0) {
    values.fill(0, 0, n);
    return at + 1;
  }
  const groups = Math.ceil(n / GROUP);
  const widthsAt = at + 1;
  const dataAt = widthsAt + ((groups + 3) >> 2);
  const end = dataAt + count;
  if (end > words.length || shift > 31 || wordsOf(words, widthsAt, n, groups) !== count) return -1;
  // With one more word than there is: whoever takes a value from two words takes the last one so too.
  if (count >= data.length) data = new Int32Array(2 * count);
  data.set(words.subarray(dataAt, end));
  for (let g = 0, bit = 0; g < groups; g++) {
    const width = (words[widthsAt + (g >> 2)]! >>> (8 * (g & 3))) & 0xff;
    const stop = Math.min(n, (g + 1) * GROUP);
    if (width === 0) values.fill(0, g * GROUP, stop);
    else bit = unpackGroup(bit, width, shift, values, g * GROUP, stop);
  }
  return end;
}
let data = new Int32Array(2048);

/** Words that the values take, by the widths of their groups; -1 where one is no width. */
function wordsOf(words: Uint32Array, widthsAt: number, n: number, groups: number): number {
  let bits = 0;
  for (let g = 0; g < groups; g++) {
    const width = (words[widthsAt + (g >> 2)]! >>> (8 * (g & 3))) & 0xff;
    if (width > 32) return -1;
    bits += width * (Math.min(n, (g + 1) * GROUP) - g * GROUP);
  }
  return Math.ceil(bits / 32);
}

/** Values from..to-1 of a group, from a bit of the data on. No branch asks whether a value lies in two words: it may always. */
function unpackGroup(bit: number, width: number, shift: number, values: Uint32Array, from: number, to: number): number {
  const mask = width === 32 ? -1 : (1 << width) - 1;
  let at = bit;
  for (let i = from; i < to; i++, at += width) {
    const word = at >>> 5;
    const low = at & 31;
    values[i] = (((data[word]! >>> low) | ((data[word + 1]! << 1) << (31 - low))) & mask) << shift;
  }
  return at;
}
