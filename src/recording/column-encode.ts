/**
 * Columns to bytes: see column-tags.ts. The loops are written for what V8 makes of them:
 *
 *   no branches   that depend on a value: how long it is, nobody can foresee
 *   four at once  since a turn of a loop costs as much as what is done in it; so behind n values there are always zeros
 *   Int32Array    from which every word is a small integer: of u32 the first one above 2^31 throws the compiled code away
 *   slices        of at most SLICE values a call: a function that returns often is compiled once and for all, one that is
 *                 replaced in the midst of its loop has to be compiled again for what comes behind the loop. So too a loop
 *                 stands in a function of its own, with nothing behind it
 */
import { ByteScratch, Scratch, type Sink, WordScratch } from './bytes.js';
import { CONSTANT, FEW, FLAT, NEAR, type Numbers, OTHER, PACKED, type Trait, VARIED } from './column-tags.js';

const SLICE = 1020;
const NONE = new Uint8Array(0);

const scratch = {
  words: new WordScratch(),
  near: new WordScratch(),
  rest: new WordScratch(),
  plane: new ByteScratch(),
  planes: [new ByteScratch(), new ByteScratch(), new ByteScratch()],
  lengths: new ByteScratch(),
  steps: new ByteScratch(),
  places: new Scratch(),
};

/**
 * Appends the first n values of a column.
 * @param trait of u32 only: then the shorter of both ways is taken
 */
export function encodeColumn(out: Sink, values: Numbers, n: number, trait: Trait): void {
  if (n === 0) return;
  if (values instanceof Uint32Array) encode32(out, scratch.words.copy(values, n), n, trait);
  else if (values instanceof Uint8Array) encode8(out, values, n);
  else encode16(out, values, n);
}

function constant(out: Sink, value: number): void {
  out.u8(CONSTANT);
  out.u32(value);
}

/** True if all values are the first one. */
function areAlike(values: Uint8Array, n: number): boolean {
  let i = 1;
  while (i < n && values[i] === values[0]) i++;
  return i === n;
}
function wordsAreAlike(words: Int32Array, n: number): boolean {
  let i = 1;
  while (i < n && words[i] === words[0]) i++;
  return i === n;
}
/** All values, or-ed; from 16 on it may be those of some. */
function bitsOf(values: Uint8Array, n: number): number {
  let all = 0;
  for (let i = 0; i < n && all < 16; i++) all |= values[i]!;
  return all;
}

function encode8(out: Sink, values: Uint8Array, n: number): void {
  if (areAlike(values, n)) {
    constant(out, values[0]!);
    return;
  }
  const all = bitsOf(values, n);
  if (all < 16) encodePacked(out, values, n, all < 2 ? 1 : all < 4 ? 2 : 4);
  else {
    out.u8(FLAT);
    append(out, values, n);
  }
}

/** Appends bytes that are alike. */
function append(out: Sink, bytes: Uint8Array, n: number): void {
  out.need(n);
  out.bytes.set(bytes.subarray(0, n), out.at);
  out.run(out.at, n);
  out.at += n;
}

function encodePacked(out: Sink, values: Uint8Array, n: number, width: number): void {
  out.u8(PACKED);
  out.u8(width);
  const size = (n * width + 7) >> 3;
  out.need(size);
  pack(values, n, width, out.bytes, out.at);
  out.run(out.at, size);
  out.at += size;
}
function pack(values: Uint8Array, n: number, width: number, bytes: Uint8Array, at: number): void {
  for (let k = at, i = 0; i < n; k++) {
    let packed = 0;
    for (let shift = 0; shift < 8 && i < n; shift += width) packed |= values[i++]! << shift;
    bytes[k] = packed;
  }
}

function encode16(out: Sink, values: Uint16Array, n: number): void {
  if (values.subarray(0, n).every(v => v === values[0])) {
    constant(out, values[0]!);
    return;
  }
  out.u8(FLAT);
  out.u8(2);
  const plane = scratch.plane.of(n);
  plane.set(values.subarray(0, n)); // the lowest byte of each
  encode8(out, plane, n);
  highBytes(values, n, plane);
  encode8(out, plane, n);
}
function highBytes(values: Uint16Array, n: number, plane: Uint8Array): void {
  for (let i = 0; i < n; i++) plane[i] = values[i]! >>> 8;
}

/** @param words n of them, and zeros */
function encode32(out: Sink, words: Int32Array, n: number, trait: Trait): void {
  if (wordsAreAlike(words, n)) {
    constant(out, words[0]!);
    return;
  }
  if (trait === 'few' && encodeFew(out, words, n)) return;
  const own = scratch.lengths.of(n + 4);
  const sizes = lengthsOf(words, n, own);
  if (trait === 'near') {
    const differences = scratch.near.of(n);
    for (let from = 0; from < n; from += SLICE) subtract(words, from, Math.min(n, from + SLICE), differences);
    differences.fill(0, n, n + 4);
    const steps = scratch.steps.of(n + 4);
    const near = lengthsOf(differences, n, steps);
    if (near.total < sizes.total) {
      encodeVaried(out, NEAR, differences, n, steps, near);
      return;
    }
  }
  // Planes of one length have no lengths to say, and are read without a branch.
  const planes = sizes.longer[2] > 0 ? 4 : sizes.longer[1] > 0 ? 3 : sizes.longer[0] > 0 ? 2 : 1;
  if (4 * planes * n > 5 * (sizes.total + (n >> 2))) encodeVaried(out, VARIED, words, n, own, sizes);
  else encodeFlat(out, words, n, planes);
}

function encodeFlat(out: Sink, words: Int32Array, n: number, planes: number): void {
  out.u8(FLAT);
  out.u8(planes);
  const plane = scratch.plane.of(n + 4);
  plane.set(words.subarray(0, n)); // the lowest byte of each
  encode8(out, plane, n);
  for (let k = 1; k < planes; k++) {
    for (let from = 0; from < n; from += SLICE) shiftDown(words, from, Math.min(n, from + SLICE), 8 * k, plane);
    encode8(out, plane, n);
  }
}
function shiftDown(words: Int32Array, from: number, to: number, shift: number, plane: Uint8Array): void {
  for (let i = from; i < to; i += 4) {
    plane[i] = words[i]! >> shift;
    plane[i + 1] = words[i + 1]! >> shift;
    plane[i + 2] = words[i + 2]! >> shift;
    plane[i + 3] = words[i + 3]! >> shift;
  }
}

/** Differences from the word before, zigzagged. */
function subtract(words: Int32Array, from: number, to: number, differences: Int32Array): void {
  let before = from === 0 ? 0 : words[from - 1]!;
  for (let i = from; i < to; i += 4) {
    const w0 = words[i]!;
    const w1 = words[i + 1]!;
    const w2 = words[i + 2]!;
    const w3 = words[i + 3]!;
    differences[i] = signLast((w0 - before) | 0);
    differences[i + 1] = signLast((w1 - w0) | 0);
    differences[i + 2] = signLast((w2 - w1) | 0);
    differences[i + 3] = signLast((w3 - w2) | 0);
    before = w3;
  }
}
/** Zigzag, as a word with a sign. */
const signLast = (d: number): number => (d << 1) ^ (d >> 31);

/** How many words have a byte 1, a byte 2, a byte 3, and the bytes of all. */
interface Sizes {
  readonly longer: readonly [number, number, number];
  readonly total: number;
}
/** For a byte of four lengths: how many of them have a byte 1 (ten bits), a byte 2 (ten bits), a byte 3. */
const LONGER = Int32Array.from({ length: 256 }, (_, four) => {
  const longer = (k: number): number => [0, 2, 4, 6].filter(at => ((four >> at) & 3) >= k).length;
  return longer(1) | (longer(2) << 10) | (longer(3) << 20);
});
/** Length of a word less one: 0 to 3. */
const more = (v: number): number => 3 - (Math.clz32(v | 1) >> 3);

/** Writes the lengths of the words, four to a byte as they are in the file, and counts. */
function lengthsOf(words: Int32Array, n: number, lengths: Uint8Array): Sizes {
  const longer: [number, number, number] = [0, 0, 0];
  for (let from = 0; from < n; from += SLICE) {
    const sum = sliceLengths(words, from, Math.min(n, from + SLICE), lengths);
    longer[0] += sum & 1023;
    longer[1] += (sum >> 10) & 1023;
    longer[2] += sum >> 20;
  }
  return { longer, total: n + longer[0] + longer[1] + longer[2] };
}
function sliceLengths(words: Int32Array, from: number, to: number, lengths: Uint8Array): number {
  let sum = 0;
  for (let i = from; i < to; i += 4) {
    const four = more(words[i]!) | (more(words[i + 1]!) << 2) | (more(words[i + 2]!) << 4) | (more(words[i + 3]!) << 6);
    lengths[i >> 2] = four;
    sum += LONGER[four]!;
  }
  return sum;
}

function encodeVaried(out: Sink, tag: number, words: Int32Array, n: number, lengths: Uint8Array, sizes: Sizes): void {
  out.u8(tag);
  append(out, lengths, (n + 3) >> 2);
  out.need(sizes.total + 4);
  planes.at.fill(0);
  for (let k = 0; k < 3; k++) planes.bytes[k] = scratch.planes[k]!.of(sizes.longer[k]! + 4);
  for (let from = 0; from < n; from += SLICE)
    splitWords(words, lengths, from, Math.min(n, from + SLICE), out.bytes, out.at, planes);
  out.run(out.at, n);
  out.at += n;
  for (let k = 0; k < 3; k++) append(out, planes.bytes[k]!, sizes.longer[k]!);
}

/** Planes 1 to 3, and how much there is in each. */
interface Planes {
  readonly bytes: [Uint8Array, Uint8Array, Uint8Array];
  readonly at: Int32Array;
}
const planes: Planes = { bytes: [NONE, NONE, NONE], at: new Int32Array(3) };

/**
 * Writes the lowest byte of each word to `low`, and the others to their planes. Each goes there whether the word has it or not:
 * if not, the next one is written over it. So there is room for one more.
 */
function splitWords(
  words: Int32Array,
  lengths: Uint8Array,
  from: number,
  to: number,
  low: Uint8Array,
  lowAt: number,
  { bytes, at }: Planes,
): void {
  const [one, two, three] = bytes;
  let p1 = at[0]!;
  let p2 = at[1]!;
  let p3 = at[2]!;
  for (let i = from; i < to; i += 4) {
    const four = lengths[i >> 2]!;
    const a = four & 3;
    const b = (four >> 2) & 3;
    const c = (four >> 4) & 3;
    const d = four >> 6;
    const w0 = words[i]!;
    const w1 = words[i + 1]!;
    const w2 = words[i + 2]!;
    const w3 = words[i + 3]!;
    low[lowAt + i] = w0;
    low[lowAt + i + 1] = w1;
    low[lowAt + i + 2] = w2;
    low[lowAt + i + 3] = w3;
    one[p1] = w0 >> 8;
    p1 += (a + 3) >> 2;
    one[p1] = w1 >> 8;
    p1 += (b + 3) >> 2;
    one[p1] = w2 >> 8;
    p1 += (c + 3) >> 2;
    one[p1] = w3 >> 8;
    p1 += (d + 3) >> 2;
    two[p2] = w0 >> 16;
    p2 += a >> 1;
    two[p2] = w1 >> 16;
    p2 += b >> 1;
    two[p2] = w2 >> 16;
    p2 += c >> 1;
    two[p2] = w3 >> 16;
    p2 += d >> 1;
    three[p3] = w0 >> 24;
    p3 += (a + 1) >> 2;
    three[p3] = w1 >> 24;
    p3 += (b + 1) >> 2;
    three[p3] = w2 >> 24;
    p3 += (c + 1) >> 2;
    three[p3] = w3 >> 24;
    p3 += (d + 1) >> 2;
  }
  at[0] = p1;
  at[1] = p2;
  at[2] = p3;
}

/** Places of a table of distinct values, and how many it takes before a column counts as one of many values. */
const PLACES = 2048;
const DISTINCT = 1024;
const table = { values: new Int32Array(PLACES), counts: new Int32Array(PLACES), nibbles: new Uint8Array(PLACES) };

/** Gives each word a place in the table and counts. Lists the places in use; false where these are too many. */
function tabulate(words: Int32Array, from: number, to: number, places: Uint32Array, used: number[]): boolean {
  const { values, counts } = table;
  for (let i = from; i < to; i++) {
    const v = words[i]!;
    let at = (Math.imul(v, 0x9e37_79b1) >>> 21) & (PLACES - 1);
    while (counts[at] !== 0 && values[at] !== v) at = (at + 1) & (PLACES - 1);
    places[i] = at;
    if (counts[at]!++ > 0) continue;
    values[at] = v;
    if (used.push(at) > DISTINCT) return false;
  }
  return true;
}

/** The most frequent of the places in use, in order; of equally frequent ones that of the smaller value. */
function mostFrequent(used: readonly number[]): number[] {
  const { values, counts } = table;
  const before = (a: number, b: number): boolean =>
    counts[a] !== counts[b] ? counts[a]! > counts[b]! : values[a]! >>> 0 < values[b]! >>> 0;
  const best: number[] = [];
  for (const at of used) {
    if (best.length === OTHER) {
      if (!before(at, best[OTHER - 1]!)) continue;
      best.pop();
    }
    let k = best.push(at) - 1;
    for (; k > 0 && before(at, best[k - 1]!); k--) best[k] = best[k - 1]!;
    best[k] = at;
  }
  return best;
}

/** Writes a column as few if at least two thirds of it are the 15 most frequent values. */
function encodeFew(out: Sink, words: Int32Array, n: number): boolean {
  const used: number[] = [];
  const places = scratch.places.of(n);
  table.counts.fill(0);
  for (let from = 0; from < n; from += SLICE)
    if (!tabulate(words, from, Math.min(n, from + SLICE), places, used)) return false;
  const { counts, nibbles } = table;
  const frequent = mostFrequent(used);
  const others = frequent.reduce((left, at) => left - counts[at]!, n);
  if (3 * others > n) return false;
  for (const at of used) nibbles[at] = OTHER;
  frequent.forEach((at, rank) => {
    nibbles[at] = rank;
  });

  out.u8(FEW);
  out.u8(frequent.length);
  for (const at of frequent) out.u32(table.values[at]!);
  const size = (n + 1) >> 1;
  out.need(size);
  const rest = scratch.rest.of(others);
  let r = 0;
  for (let from = 0; from < n; from += SLICE)
    r = sortOut(words, places, from, Math.min(n, from + SLICE), out.bytes, out.at, rest, r);
  rest.fill(0, others, others + 4);
  out.run(out.at, size);
  out.at += size;
  if (others > 0) encode32(out, rest, others, 'plain');
  return true;
}

/** Writes the nibbles of words, and lists those that are none of the frequent values. Returns how many these are by now. */
function sortOut(
  words: Int32Array,
  places: Uint32Array,
  from: number,
  to: number,
  bytes: Uint8Array,
  at: number,
  rest: Int32Array,
  others: number,
): number {
  const { nibbles } = table;
  let r = others;
  for (let i = from; i < to; i += 2) {
    const even = nibbles[places[i]!]!;
    rest[r] = words[i]!;
    r += (even + 1) >> 4;
    const odd = i + 1 < to ? nibbles[places[i + 1]!]! : 0;
    rest[r] = words[i + 1]!;
    r += (odd + 1) >> 4;
    bytes[at + (i >> 1)] = even | (odd << 4);
  }
  return r;
}
