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
import type { KindPlan } from './layout.js';
import { theRoom } from './loops/writing.js';
import { REGISTERS, type RegisterFile } from './register-file.js';
import { type Loose, tableSize } from './restore.js';

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
