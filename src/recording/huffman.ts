/** Huffman codes as brotli has them (RFC 7932, 3.2): canonical ones, so that their lengths say all. */

/** The longest code that there may be. */
export const LENGTH_MAX = 15;
/** The most symbols. */
const SYMBOLS = 256;

const keys = new Uint32Array(SYMBOLS);
const otherKeys = new Uint32Array(SYMBOLS);
const starts = new Uint32Array(SYMBOLS + 1);
const weights = new Int32Array(SYMBOLS);
const nextCode = new Int32Array(LENGTH_MAX + 2);

/**
 * Lengths of the codes of symbols that come so often (below 2^24), none longer than `most`; gives the bits that all take. One
 * symbol alone has the length 1, one that never comes 0.
 */
export function codeLengths(counts: Uint32Array, most: number, out: Uint8Array): number {
  out.fill(0);
  const sorted = ascending(counts);
  const n = sorted.length;
  if (n === 1) {
    out[sorted[0]! & 255] = 1;
    return counts[sorted[0]! & 255]!;
  }
  // Where codes are too long, rare symbols count as less rare ones.
  for (let least = 1; ; least *= 2) {
    for (let i = 0; i < n; i++) weights[i] = Math.max(least, sorted[i]! >>> 8);
    depthsOf(weights, n);
    if (weights[0]! <= most) break;
  }
  let total = 0;
  for (let i = 0; i < n; i++) {
    out[sorted[i]! & 255] = weights[i]!;
    total += weights[i]! * (sorted[i]! >>> 8);
  }
  return total;
}

/**
 * The symbols that come, the rarest first, of equally rare ones the smaller: count << 8 | symbol. A radix sort, since sort()
 * takes as long as all else here.
 */
function ascending(counts: Uint32Array): Uint32Array {
  let [n, all] = [0, 0];
  for (let s = 0; s < counts.length; s++)
    if (counts[s]! > 0) {
      keys[n++] = (counts[s]! << 8) | s;
      all |= counts[s]!;
    }
  let [from, to] = [keys, otherKeys];
  for (let shift = 8; shift < 32 && all >>> (shift - 8) > 0; shift += 8) {
    starts.fill(0);
    for (let i = 0; i < n; i++) starts[((from[i]! >>> shift) & 255) + 1]!++;
    for (let d = 0; d < 255; d++) starts[d + 1]! += starts[d]!;
    for (let i = 0; i < n; i++) to[starts[(from[i]! >>> shift) & 255]!++] = from[i]!;
    [from, to] = [to, from];
  }
  return from.subarray(0, n);
}
/**
 * Weights in ascending order to depths in their Huffman tree, in place (Moffat and Katajainen, "In-Place Calculation of
 * Minimum-Redundancy Codes", 1995): first each inner node's weight is replaced by its parent's number, then by its depth, and
 * last the leaves take what the inner nodes leave at each depth.
 */
function depthsOf(a: Int32Array, n: number): void {
  let [root, leaf] = [0, 0];
  for (let next = 0; next < n - 1; next++) {
    let weight = 0;
    for (let child = 0; child < 2; child++) {
      if (leaf >= n || (root < next && a[root]! < a[leaf]!)) {
        weight += a[root]!;
        a[root++] = next;
      } else weight += a[leaf++]!;
    }
    a[next] = weight;
  }
  a[n - 2] = 0;
  for (let next = n - 3; next >= 0; next--) a[next] = a[a[next]!]! + 1;
  let places = 1;
  let inner = n - 2;
  for (let depth = 0, next = n - 1; places > 0; depth++) {
    let used = 0;
    for (; inner >= 0 && a[inner] === depth; inner--) used++;
    for (; places > used; places--) a[next--] = depth;
    places = 2 * used;
  }
}

/** Codes by length and then by symbol (3.2), from the lowest bit on: code | length << 16. */
export function canonicalCodes(sizes: Uint8Array, n: number, codes: Uint32Array, to: number): void {
  nextCode.fill(0);
  for (let s = 0; s < n; s++) if (sizes[s]! > 0) nextCode[sizes[s]! + 1]!++;
  for (let k = 1; k < nextCode.length; k++) nextCode[k] = (nextCode[k - 1]! + nextCode[k]!) << 1;
  for (let s = 0; s < n; s++) {
    const size = sizes[s]!;
    codes[to + s] = size === 0 ? 0 : reversed(nextCode[size]!++, size) | (size << 16);
  }
}
function reversed(code: number, size: number): number {
  let out = 0;
  for (let k = 0; k < size; k++) out |= ((code >> k) & 1) << (size - 1 - k);
  return out;
}
