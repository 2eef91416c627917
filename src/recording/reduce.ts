/**
 * What the columns of a kind do not need to say, since the rest of the chunk says it. Each pair of functions here undoes
 * the other exactly, and keeps nothing from one chunk to the next but the registers, which a chunk carries at its start.
 *
 * Changes. An event that changes a thing from `old` to `new` has as its `old` the `new` of the last event for that thing.
 * A small table, empty at the start of a chunk, remembers the last `new` by a hash of the key; `old` is stored xor what the
 * table has there: zero when it is right, and no harm done when two things share a place.
 *
 * Counts. `new` is stored as its zigzagged difference from `old`.
 *
 * Registers. Values are stored as differences from what the register was, word by word, zigzagged; how many there are
 * is known from the mask; what they were (`olds`) is not stored at all.
 */
import { Trouble } from '../base/trouble.js';
import { type Bytes, Scratch, type Sink } from './bytes.js';
import { type Numbers, unzigzag, zigzag } from './column-tags.js';
import type { KindPlan } from './layout.js';

/** Columns of one kind by name. */
export type Loose = Record<string, Numbers>;

const scratch = {
  places: new Scratch(),
  last: new Scratch(),
  old: [new Scratch(), new Scratch()],
  counts: new Scratch(),
  valuesLo: new Scratch(),
  valuesHi: new Scratch(),
};

/** Places in the table of last values: a power of two, at least twice the rows. */
const tableSize = (rows: number): number => 1 << Math.max(4, 33 - Math.clz32(rows));

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

/** The columns to be stored in place of the old and new values; they hold until the next call. */
export function reduceChanges(kind: KindPlan, columns: Loose, rows: number): Loose {
  const at = places(kind, columns, rows);
  const stored: Loose = {};
  kind.changes.forEach(([old, now], n) => {
    const last = scratch.last.zeros(tableSize(rows));
    const olds = columns[old]!;
    const news = columns[now]!;
    const reduced = scratch.old[n]!.of(rows);
    for (let r = 0; r < rows; r++) {
      reduced[r] = olds[r]! ^ last[at[r]!]!;
      last[at[r]!] = news[r]!;
    }
    stored[old] = reduced;
    if (kind.counts) {
      const differences = scratch.counts.of(rows);
      for (let r = 0; r < rows; r++) differences[r] = zigzag((news[r]! - olds[r]!) | 0);
      stored[now] = differences;
    }
  });
  return stored;
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

const REGISTERS = 64;
/** Values of the registers by vcpu: low words, then high words. */
export class RegisterFile {
  readonly vcpus: (Int32Array | undefined)[] = [];
  of(vcpu: number): Int32Array {
    return (this.vcpus[vcpu] ??= new Int32Array(2 * REGISTERS));
  }
  copy(): RegisterFile {
    const copy = new RegisterFile();
    this.vcpus.forEach((words, vcpu) => {
      if (words) copy.vcpus[vcpu] = words.slice();
    });
    return copy;
  }

  /** Writes the registers that are not zero: count of vcpus, then for each its number, a mask and values, all as u32. */
  write(out: Sink): void {
    const at = out.at;
    let vcpus = 0;
    out.u32(0);
    this.vcpus.forEach((words, vcpu) => {
      if (!words?.some(w => w !== 0)) return;
      vcpus++;
      out.u32(vcpu);
      const isSet = (reg: number): boolean => words[reg] !== 0 || words[REGISTERS + reg] !== 0;
      for (let half = 0; half < REGISTERS; half += 32) {
        let mask = 0;
        for (let k = 0; k < 32; k++) if (isSet(half + k)) mask |= 1 << k;
        out.u32(mask >>> 0);
      }
      for (let reg = 0; reg < REGISTERS; reg++)
        if (isSet(reg)) {
          out.u32(words[reg]!);
          out.u32(words[REGISTERS + reg]!);
        }
    });
    out.setU32(at, vcpus);
  }

  static read(from: Bytes): RegisterFile {
    const file = new RegisterFile();
    const vcpus = from.u32();
    if (vcpus > 256) throw new Trouble(`registers of ${vcpus} processors`);
    for (let n = 0; n < vcpus; n++) {
      const vcpu = from.u32();
      if (vcpu > 255) throw new Trouble(`registers of processor ${vcpu}`);
      const words = file.of(vcpu);
      const masks = [from.u32(), from.u32()];
      for (let reg = 0; reg < REGISTERS; reg++)
        if ((masks[reg >> 5]! >>> (reg & 31)) & 1) {
          words[reg] = from.u32();
          words[REGISTERS + reg] = from.u32();
        }
    }
    return file;
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

/** The columns to be stored in place of the values; `file` has the registers before, and those after when it returns. */
export function reduceRegisters(columns: Loose, rows: number, vcpus: Uint8Array, file: RegisterFile): Loose {
  const n = rows === 0 ? 0 : columns.valuesEnd![rows - 1]!;
  const stored = { valuesLo: scratch.valuesLo.of(n), valuesHi: scratch.valuesHi.of(n) };
  const [masks, values] = [signedPair(columns, 'mask'), signedPair(columns, 'values')];
  reduceValues(masks, values, vcpus, file, signed(stored.valuesLo), signed(stored.valuesHi), rows);
  return stored;
}
function reduceValues(
  [maskLo, maskHi]: Pair,
  [lo, hi]: Pair,
  vcpus: Uint8Array,
  file: RegisterFile,
  storedLo: Int32Array,
  storedHi: Int32Array,
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
        const l = (lo[i]! - words[reg]!) | 0;
        const h = (hi[i]! - words[REGISTERS + reg]!) | 0;
        storedLo[i] = (l << 1) ^ (l >> 31);
        storedHi[i] = (h << 1) ^ (h >> 31);
        words[reg] = lo[i]!;
        words[REGISTERS + reg] = hi[i]!;
      }
      mask = maskHi[r]!;
    }
  }
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
