/** What reduce.ts left out, back from what a chunk says. */
import { Scratch } from './bytes.js';
import { type Numbers, unzigzag } from './column-tags.js';
import type { KindPlan } from './layout.js';
import { REGISTERS, type RegisterFile } from './register-file.js';

/** Columns of one kind by name. */
export type Loose = Record<string, Numbers>;

const scratch = { places: new Scratch(), last: new Scratch() };

/** Places in the table of last values: a power of two, at least twice the rows. */
export const tableSize = (rows: number): number => 1 << Math.max(4, 33 - Math.clz32(rows));

/** For each row its place in the table. */
function places(kind: KindPlan, columns: Loose, rows: number): Uint32Array {
  const at = scratch.places.zeros(rows);
  const mask = tableSize(rows) - 1;
  kind.key.forEach((name, n) => void mixIn(at, columns[name]!, rows, n === kind.key.length - 1 ? mask : -1));
  return at;
}
function mixIn(at: Uint32Array, column: Numbers, rows: number, mask: number): void {
  for (let r = 0; r < rows; r++) {
    const h = Math.imul(at[r]! ^ column[r]!, 0x9e37_79b1);
    at[r] = (h ^ (h >>> 15)) & mask;
  }
}

/** Undoes reduceChanges, in place. */
export function restoreChanges(kind: KindPlan, columns: Loose, rows: number): void {
  const at = places(kind, columns, rows);
  for (const [old, now] of kind.changes) {
    const last = scratch.last.zeros(tableSize(rows));
    const [olds, news] = [columns[old]!, columns[now]!];
    if (kind.counts) restoreCounts(at, last, olds, news, rows);
    else restoreOlds(at, last, olds, news, rows);
  }
}
function restoreOlds(at: Uint32Array, last: Uint32Array, olds: Numbers, news: Numbers, rows: number): void {
  for (let r = 0; r < rows; r++) {
    const place = at[r]!;
    olds[r] = olds[r]! ^ last[place]!;
    last[place] = news[r]!;
  }
}
function restoreCounts(at: Uint32Array, last: Uint32Array, olds: Numbers, news: Numbers, rows: number): void {
  for (let r = 0; r < rows; r++) {
    const place = at[r]!;
    const old = olds[r]! ^ last[place]!;
    olds[r] = old;
    last[place] = news[r] = (old + unzigzag(news[r]!)) | 0;
  }
}

const bits = (v: number): number => {
  let n = v - ((v >>> 1) & 0x5555_5555);
  n = (n & 0x3333_3333) + ((n >>> 2) & 0x3333_3333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
};

/** Ends of the lists of values, from the masks. */
export function registerEnds(columns: Loose, rows: number): Uint32Array {
  const ends = new Uint32Array(rows);
  const { maskLo, maskHi } = columns as { maskLo: Uint32Array; maskHi: Uint32Array };
  let end = 0;
  for (let r = 0; r < rows; r++) {
    end += bits(maskLo[r]!);
    if (maskHi[r] !== 0) end += bits(maskHi[r]!);
    ends[r] = end;
  }
  return ends;
}

/** Low and high words, with a sign: what V8 can keep as small integers, whatever is in them. */
type Pair = readonly [lo: Int32Array, hi: Int32Array];
const signed = (words: Numbers): Int32Array => new Int32Array(words.buffer, words.byteOffset, words.length);
const signedPair = (columns: Loose, name: string): Pair => [
  signed(columns[`${name}Lo`]!),
  signed(columns[`${name}Hi`]!),
];

/** Undoes reduceRegisters in place and adds the columns of `olds`. */
export function restoreRegisters(columns: Loose, rows: number, vcpus: Uint8Array, file: RegisterFile): void {
  const items = columns.valuesLo!.length;
  columns.oldsLo = new Uint32Array(items);
  columns.oldsHi = new Uint32Array(items);
  const [masks, values, olds] = [
    signedPair(columns, 'mask'),
    signedPair(columns, 'values'),
    signedPair(columns, 'olds'),
  ];
  restoreValues(masks, values, olds, vcpus, file, rows);
}
function restoreValues(
  [maskLo, maskHi]: Pair,
  [lo, hi]: Pair,
  [oldsLo, oldsHi]: Pair,
  vcpus: Uint8Array,
  file: RegisterFile,
  rows: number,
): void {
  let vcpu = vcpus[0]!;
  let words = file.of(vcpu);
  let i = 0;
  for (let r = 0; r < rows; r++) {
    if (vcpus[r]! !== vcpu) words = file.of((vcpu = vcpus[r]!));
    let mask = maskLo[r]!;
    for (let from = 0; from < REGISTERS; from += 32) {
      for (; mask !== 0; mask &= mask - 1, i++) {
        const reg = from + 31 - Math.clz32(mask & -mask);
        const low = words[reg]!;
        const high = words[REGISTERS + reg]!;
        oldsLo[i] = low;
        oldsHi[i] = high;
        words[reg] = lo[i] = (low + unzigzag(lo[i]!)) | 0;
        words[REGISTERS + reg] = hi[i] = (high + unzigzag(hi[i]!)) | 0;
      }
      mask = maskHi[r]!;
    }
  }
}
