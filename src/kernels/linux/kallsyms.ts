/**
 * The symbol table that a Linux kernel carries inside itself (CONFIG_KALLSYMS). Stock kernels ship no other. It lies in
 * .rodata without a name, so we find it by its shape. Source: scripts/kallsyms.c, kernel/kallsyms.c.
 *
 *   until 6.3                                        since 6.4
 *   offsets        i32[n]                            num_syms
 *   relative_base  u64                               names
 *   num_syms       u32                               markers
 *   names          n strings                         token_table
 *   markers        u32[ceil(n / 256)]                token_index
 *   seqs_of_names  u8[3 n], 6.2 and later 6.1 only   offsets
 *   token_table    256 texts, NUL behind             relative_base
 *   token_index    u16[256]                          seqs_of_names
 *
 * A name is its length, then that many numbers of tokens, whose texts joined are the kind of symbol (one letter, as in nm) and
 * the name. A length of 128 and more takes two bytes, low 7 bits first. Marker k is where name 256 k begins. Address of
 * symbol k: with absolute per-cpu symbols, offset >= 0 is the address itself, else relative_base - 1 - offset; without, it
 * is relative_base + offset. Each part is aligned to 8 bytes.
 *
 * token_index is what we look for: no other 512 bytes list where each of the 256 texts before them begins.
 */
import { asVaddr, type Vaddr } from '../../base/brand.js';

export interface KernelSymbol {
  readonly at: Vaddr;
  /** As in nm: t code, d data, b zeroed data, r read-only; a capital for what other files see. */
  readonly kind: string;
  readonly name: string;
}

const TOKENS = 256;
/** Names between two markers. */
const STRIDE = 256;
/** Tokens are at most this long together, and names not longer than 127 tokens or so: bounds for the search only. */
const TABLE_BYTES_MAX = 16384;
const NAME_BYTES_MAX = 512;
/** A kernel with fewer than 512 symbols is none; without a lower bound any zero would do. */
const MARKERS_MIN = 3;
/** What looks like markers, but has no names in front: an image made to waste our time gets this many goes. */
const TRIES_MAX = 16;
/** Markers and seqs_of_names of four million symbols. */
const MARKERS_BEFORE_MAX = 2 ** 24;
/** Each of these is a token of its own in any kernel: tokens 0x30 to 0x39. */
const DIGITS = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0', 'latin1');
const FIRST_DIGIT = 0x30;

interface Tokens {
  readonly at: number;
  /** Behind token_index. */
  readonly end: number;
  readonly texts: readonly string[];
}
interface Names {
  readonly count: number;
  readonly at: number;
  /** Where num_syms is. */
  readonly countAt: number;
}

/**
 * The symbols of a kernel, in the order of the table, which is that of addresses but for per-cpu ones.
 * @param rodata the bytes of the image's .rodata
 * @returns undefined where there is no table, or none of a form known here
 */
export function readKallsyms(rodata: Uint8Array): readonly KernelSymbol[] | undefined {
  const bytes = Buffer.from(rodata.buffer, rodata.byteOffset, rodata.length);
  for (let at = bytes.indexOf(DIGITS); at >= 0; at = bytes.indexOf(DIGITS, at + 1)) {
    const tokens = tokensAround(bytes, at);
    const names = tokens && namesBefore(bytes, tokens.at);
    const addresses = names && addressesAround(bytes, names, tokens.end);
    if (addresses) return decode(bytes, names, tokens.texts, addresses);
  }
  return undefined;
}

const align8 = (n: number): number => Math.ceil(n / 8) * 8;

/** The token table whose digits are at `digits`, if there is one: proved by the index behind it. */
function tokensAround(bytes: Buffer, digits: number): Tokens | undefined {
  let start = digits;
  for (let left = FIRST_DIGIT; left > 0; left--) {
    if (start < 2 || digits - start > TABLE_BYTES_MAX) return undefined;
    start = bytes.lastIndexOf(0, start - 2) + 1; // the text that ends at start - 1
  }
  const texts: string[] = [];
  const starts: number[] = [];
  let at = start;
  for (let n = 0; n < TOKENS; n++) {
    const end = bytes.indexOf(0, at);
    if (end < 0 || end - start > TABLE_BYTES_MAX) return undefined;
    starts.push(at - start);
    texts.push(bytes.toString('latin1', at, end));
    at = end + 1;
  }
  const index = align8(at);
  if (index + 2 * TOKENS > bytes.length) return undefined;
  if (starts.some((from, n) => bytes.readUInt16LE(index + 2 * n) !== from)) return undefined;
  return { at: start, end: index + 2 * TOKENS, texts };
}

/** The names whose markers are the last to begin before `end`. */
function namesBefore(bytes: Buffer, end: number): Names | undefined {
  const lowest = Math.max(8, end - MARKERS_BEFORE_MAX);
  let tries = TRIES_MAX;
  for (let first = end - (end % 8) - 8; first >= lowest && tries > 0; first -= 8) {
    const run = markersFrom(bytes, first, end);
    if (run < MARKERS_MIN) continue;
    const found = namesOf(bytes, first, run);
    if (found) return found;
    tries--;
  }
  return undefined;
}
/** How many words from `first` on could be markers: from 0 on they grow by what so many names take. */
function markersFrom(bytes: Buffer, first: number, end: number): number {
  if (bytes.readUInt32LE(first) !== 0) return 0;
  let run = 1;
  for (let at = first + 4; at + 4 <= end; at += 4, run++) {
    const grown = bytes.readUInt32LE(at) - bytes.readUInt32LE(at - 4);
    if (grown < STRIDE || grown > STRIDE * NAME_BYTES_MAX) break;
  }
  return run;
}
/** The names in front of markers at `first`, of which there are at most `run`. */
function namesOf(bytes: Buffer, first: number, run: number): Names | undefined {
  const from = Math.max(8, first - bytes.readUInt32LE(first + 4 * (run - 1)) - STRIDE * NAME_BYTES_MAX);
  for (let at = first - 8; at >= from; at -= 8) {
    const count = bytes.readUInt32LE(at - 8);
    const markers = Math.ceil(count / STRIDE);
    if (count === 0 || markers > run || bytes.readUInt32LE(at - 4) !== 0) continue;
    const rest = first - at - bytes.readUInt32LE(first + 4 * (markers - 1));
    if (rest < 0 || rest > STRIDE * NAME_BYTES_MAX) continue;
    if (walks(bytes, at, first, count)) return { count, at, countAt: at - 8 };
  }
  return undefined;
}
/** Whether `count` names from `at` on meet every marker, and end at the markers. */
function walks(bytes: Buffer, names: number, markers: number, count: number): boolean {
  let at = names;
  for (let n = 0; n < count; n++) {
    if (at >= markers) return false;
    if (n % STRIDE === 0 && bytes.readUInt32LE(markers + (n / STRIDE) * 4) !== at - names) return false;
    at = nameAt(bytes, at).end;
  }
  return align8(at) === markers;
}
function nameAt(bytes: Buffer, at: number): { from: number; end: number } {
  const low = bytes[at]!;
  const [from, length] = low & 0x80 ? [at + 2, (low & 0x7f) | (bytes[at + 1]! << 7)] : [at + 1, low];
  return { from, end: from + length };
}

function addressesAround(bytes: Buffer, { count, countAt }: Names, behind: number): BigUint64Array | undefined {
  const room = align8(4 * count);
  const before = countAt - 8;
  return (
    addresses(bytes, before - room, before, count) ?? addresses(bytes, align8(behind), align8(behind) + room, count)
  );
}
/** Addresses by offsets at `offsets` and a base at `base`, if there is one: it is an address of the kernel. */
function addresses(bytes: Buffer, offsets: number, base: number, count: number): BigUint64Array | undefined {
  if (offsets < 0 || base + 8 > bytes.length) return undefined;
  const relative = bytes.readBigUInt64LE(base);
  if (relative >> 47n !== 0x1_ffffn) return undefined;
  const offset = (n: number): number => bytes.readInt32LE(offsets + 4 * n);
  let negative = 0;
  for (let n = 0; n < count; n++) if (offset(n) < 0) negative++;
  const absolute = negative > count / 2; // per-cpu symbols are few
  const found = new BigUint64Array(count);
  for (let n = 0; n < count; n++) {
    const value = offset(n);
    if (!absolute) found[n] = relative + BigInt(value >>> 0);
    else found[n] = value >= 0 ? BigInt(value) : relative - 1n - BigInt(value);
  }
  return found;
}

function decode(bytes: Buffer, names: Names, texts: readonly string[], at: BigUint64Array): KernelSymbol[] {
  const symbols: KernelSymbol[] = [];
  let next = names.at;
  for (let n = 0; n < names.count; n++) {
    const { from, end } = nameAt(bytes, next);
    let text = '';
    for (let i = from; i < end; i++) text += texts[bytes[i]!]!;
    symbols.push({ at: asVaddr(at[n]!), kind: text[0] ?? '?', name: text.slice(1) });
    next = end;
  }
  return symbols;
}
