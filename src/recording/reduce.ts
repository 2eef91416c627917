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
import { type Numbers, unzigzag } from './column-tags.js';
import type { KindPlan } from './layout.js';
import { theRoom } from './loops/room.js';

/** Columns of one kind by name. */
export type Loose = Record<string, Numbers>;

const scratch = { places: new Scratch(), last: new Scratch() };

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

/** By name where in the room the words are that are stored in place of a column. */
export type Staged = Record<string, number>;

/** What to store in place of the old and new values. */
export function reduceChanges(kind: KindPlan, columns: Loose, rows: number): Staged {
  const room = theRoom();
  const { loops } = room;
  const at = room.zeros(4 * rows);
  const staged: Staged = {};
  kind.key.forEach((name, n) => {
    const mark = room.mark();
    const isLast = n === kind.key.length - 1;
    loops.mixIn(at, room.words(columns[name]!, rows), rows, isLast ? tableSize(rows) - 1 : -1);
    room.free(mark);
  });
  for (const [old, now] of kind.changes) {
    const reduced = (staged[old] = room.take(4 * rows));
    const differences = kind.counts ? (staged[now] = room.take(4 * rows)) : 0;
    const mark = room.mark();
    const olds = room.words(columns[old]!, rows);
    const news = room.words(columns[now]!, rows);
    loops.xorLast(at, rows, olds, news, room.zeros(4 * tableSize(rows)), reduced);
    if (kind.counts) loops.subtract(news, olds, rows, differences);
    room.free(mark);
    room.clearWords(reduced, rows);
    if (kind.counts) room.clearWords(differences, rows);
  }
  return staged;
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

/** What to store in place of the values; `file` has the registers before, and those after when it returns. */
export function reduceRegisters(columns: Loose, rows: number, vcpus: Uint8Array, file: RegisterFile): Staged {
  const room = theRoom();
  const n = rows === 0 ? 0 : columns.valuesEnd![rows - 1]!;
  const staged = { valuesLo: room.take(4 * n), valuesHi: room.take(4 * n) };
  const mark = room.mark();
  const [masksLo, masksHi] = [room.words(columns.maskLo!, rows), room.words(columns.maskHi!, rows)];
  const [lo, hi] = [room.words(columns.valuesLo!, n), room.words(columns.valuesHi!, n)];
  const at = room.take(8 * REGISTERS);
  for (let from = 0, to = 0, k = 0; from < rows; from = to) {
    to = endOfRun(vcpus, from, rows);
    const words = file.of(vcpus[from]!);
    const inRoom = new Int32Array(room.bytes.buffer, at, 2 * REGISTERS);
    inRoom.set(words);
    k = room.loops.registers(masksLo, masksHi, from, to, lo, hi, staged.valuesLo, staged.valuesHi, k, at);
    words.set(inRoom);
  }
  room.free(mark);
  for (const values of Object.values(staged)) room.clearWords(values, n);
  return staged;
}
/** The first row behind `from` that is of another processor. */
function endOfRun(vcpus: Uint8Array, from: number, rows: number): number {
  let to = from + 1;
  while (to < rows && vcpus[to] === vcpus[from]) to++;
  return to;
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
