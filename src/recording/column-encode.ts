/** Columns to bytes: see column-tags.ts. */
import { ByteScratch, Scratch, type Sink } from './bytes.js';
import { CONSTANT, FEW, FLAT, NEAR, type Numbers, OTHER, PACKED, type Trait, VARIED, zigzag } from './column-tags.js';

const scratch = {
  near: new Scratch(),
  other: new Scratch(),
  plane: new ByteScratch(),
  lengths: new ByteScratch(),
  steps: new ByteScratch(),
  places: new Scratch(),
};

/** Bytes of a value but one: 0 to 3. */
const more = (v: number): number => 3 - (Math.clz32(v | 1) >> 3);

// One function a width: a loop that sees one type of array is several times as fast as one that sees three.
function isConstant8(values: Uint8Array, n: number): boolean {
  const v = values[0];
  for (let i = 1; i < n; i++) if (values[i] !== v) return false;
  return true;
}
function isConstant16(values: Uint16Array, n: number): boolean {
  const v = values[0];
  for (let i = 1; i < n; i++) if (values[i] !== v) return false;
  return true;
}
function isConstant32(values: Uint32Array, n: number): boolean {
  const v = values[0];
  for (let i = 1; i < n; i++) if (values[i] !== v) return false;
  return true;
}
const isConstant = (values: Numbers, n: number): boolean =>
  values instanceof Uint32Array
    ? isConstant32(values, n)
    : values instanceof Uint8Array
      ? isConstant8(values, n)
      : isConstant16(values, n);

/**
 * Appends the first n values of a column.
 * @param trait of u32 only: then the shorter of both ways is taken
 */
export function encodeColumn(out: Sink, values: Numbers, n: number, trait: Trait): void {
  if (n === 0) return;
  if (isConstant(values, n)) {
    out.u8(CONSTANT);
    out.u32(values[0]!);
  } else if (values instanceof Uint32Array) encode32(out, values, n, trait);
  else if (values instanceof Uint16Array) {
    out.u8(FLAT);
    out.u8(2);
    encodePlanes(out, values, n, 2);
  } else encode8(out, values, n);
}

function encode8(out: Sink, values: Uint8Array, n: number): void {
  let all = 0;
  for (let i = 0; i < n; i++) all |= values[i]!;
  if (all < 16) {
    encodePacked(out, values, n, all < 2 ? 1 : all < 4 ? 2 : 4);
    return;
  }
  out.u8(FLAT);
  out.need(n);
  out.bytes.set(values.subarray(0, n), out.at);
  out.run(out.at, n);
  out.at += n;
}

function encodePacked(out: Sink, values: Uint8Array, n: number, width: number): void {
  out.u8(PACKED);
  out.u8(width);
  const size = (n * width + 7) >> 3;
  out.need(size);
  const { bytes, at } = out;
  for (let k = 0, i = 0; k < size; k++) {
    let packed = 0;
    for (let shift = 0; shift < 8 && i < n; shift += width) packed |= values[i++]! << shift;
    bytes[at + k] = packed;
  }
  out.run(at, size);
  out.at += size;
}

function encode32(out: Sink, values: Uint32Array, n: number, trait: Trait): void {
  if (trait === 'few' && encodeFew(out, values, n)) return;
  const own = scratch.lengths.of(n + 3);
  const sizes = sizesOf(values, n, own);
  if (trait === 'near') {
    const differences = scratch.near.of(n);
    nearOf(values, n, differences);
    const steps = scratch.steps.of(n + 3);
    const near = sizesOf(differences, n, steps);
    if (near.total < sizes.total) {
      encodeVaried(out, NEAR, differences, n, steps, near);
      return;
    }
  }
  // Planes of one length have no lengths to say, and are read without a branch.
  const planes = sizes.longer[3]! > 0 ? 4 : sizes.longer[2]! > 0 ? 3 : sizes.longer[1]! > 0 ? 2 : 1;
  if (4 * planes * n > 5 * (sizes.total + (n >> 2))) encodeVaried(out, VARIED, values, n, own, sizes);
  else {
    out.u8(FLAT);
    out.u8(planes);
    encodePlanes(out, values, n, planes);
  }
}

function encodePlanes(out: Sink, values: Uint16Array | Uint32Array, n: number, planes: number): void {
  const plane = scratch.plane.of(n);
  for (let k = 0; k < planes; k++) {
    for (let i = 0; i < n; i++) plane[i] = values[i]! >>> (8 * k);
    encodeColumn(out, plane, n, 'plain');
  }
}

function nearOf(values: Uint32Array, n: number, differences: Uint32Array): void {
  let before = 0;
  for (let i = 0; i < n; i++) {
    const v = values[i]!;
    differences[i] = zigzag((v - before) | 0);
    before = v;
  }
}

/** How many values have a byte k, for k from 0, and the bytes of all. */
interface Sizes {
  readonly longer: readonly number[];
  readonly total: number;
}
/** Counts, and leaves the length of each value less one in `lengths`. */
function sizesOf(values: Uint32Array, n: number, lengths: Uint8Array): Sizes {
  let n1 = 0;
  let n2 = 0;
  let n3 = 0;
  for (let i = 0; i < n; i++) {
    const length = more(values[i]!);
    lengths[i] = length;
    n1 += (length + 3) >> 2;
    n2 += (length + 2) >> 2;
    n3 += (length + 1) >> 2;
  }
  return { longer: [n, n1, n2, n3], total: n + n1 + n2 + n3 };
}

function encodeVaried(out: Sink, tag: number, values: Uint32Array, n: number, own: Uint8Array, sizes: Sizes): void {
  out.u8(tag);
  const lengths = (n + 3) >> 2;
  out.need(lengths + sizes.total);
  const { bytes, at } = out;
  own.fill(0, n, 4 * lengths);
  for (let g = 0, i = 0; g < lengths; g++, i += 4)
    bytes[at + g] = own[i]! | (own[i + 1]! << 2) | (own[i + 2]! << 4) | (own[i + 3]! << 6);
  out.run(at, lengths);
  out.at += lengths;
  for (let i = 0, p = out.at; i < n; i++) bytes[p + i] = values[i]!;
  out.run(out.at, n);
  out.at += n;
  for (let k = 1; k < 4; k++) {
    const end = out.at + sizes.longer[k]!;
    writePlane(bytes, out.at, end, values, own, k);
    out.run(out.at, end - out.at);
    out.at = end;
  }
}

/** Without a branch: a byte that is none is written over by the next, and the last of a plane is one. */
function writePlane(b: Uint8Array, at: number, end: number, values: Uint32Array, lengths: Uint8Array, k: number): void {
  const shift = 8 * k;
  for (let i = 0, p = at; p < end; i++) {
    b[p] = values[i]! >>> shift;
    p += ((lengths[i]! - k) >> 31) + 1;
  }
}

/** Places of a table of distinct values, and how many it takes before a column counts as one of many values. */
const PLACES = 2048;
const DISTINCT = 1024;
const table = { values: new Uint32Array(PLACES), counts: new Uint32Array(PLACES), nibbles: new Uint8Array(PLACES) };
/** The place of v: where it is, or the empty one where it would be. */
function placeOf(v: number): number {
  const { values, counts } = table;
  let at = (Math.imul(v, 0x9e37_79b1) >>> 21) & (PLACES - 1);
  while (counts[at] !== 0 && values[at] !== v) at = (at + 1) & (PLACES - 1);
  return at;
}

/** Writes a column as few if at least two thirds of it are the 15 most frequent values. */
function encodeFew(out: Sink, values: Uint32Array, n: number): boolean {
  const { counts, nibbles } = table;
  counts.fill(0);
  const used: number[] = [];
  const places = scratch.places.of(n);
  for (let i = 0; i < n; i++) {
    const at = placeOf(values[i]!);
    places[i] = at;
    if (counts[at]!++ > 0) continue;
    table.values[at] = values[i]!;
    if (used.push(at) > DISTINCT) return false;
  }
  used.sort((a, b) => counts[b]! - counts[a]! || table.values[a]! - table.values[b]!);
  const frequent = used.slice(0, OTHER);
  const others = frequent.reduce((left, at) => left - counts[at]!, n);
  if (3 * others > n) return false;
  used.forEach((at, rank) => {
    nibbles[at] = Math.min(rank, OTHER);
  });

  out.u8(FEW);
  out.u8(frequent.length);
  for (const at of frequent) out.u32(table.values[at]!);
  const size = (n + 1) >> 1;
  out.need(size);
  const { bytes, at: start } = out;
  const rest = scratch.other.of(others);
  let r = 0;
  let packed = 0;
  for (let i = 0; i < n; i++) {
    const nibble = nibbles[places[i]!]!;
    if (nibble === OTHER) rest[r++] = values[i]!;
    if ((i & 1) === 0) packed = nibble;
    else bytes[start + (i >> 1)] = packed | (nibble << 4);
  }
  if (n & 1) bytes[start + size - 1] = packed;
  out.run(start, size);
  out.at += size;
  encodeColumn(out, rest, others, 'plain');
  return true;
}
