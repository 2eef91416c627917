/**
 * A stretch: events in a row that are of the same kinds on both sides, and which of them must be looked at one by one. Both
 * sides' events that count are listed, then each kind's rows are compared a column at a time (columns.ts).
 *
 *   kinds of A   pte  total  -     pte  result          -: not compared
 *   kinds of B   pte  -      total pte  result
 *   stretch      pte  total  pte   result               rows of a kind follow each other on both sides
 *
 * What is found holds until a firm pair of frames gives way, which only a difference brings about: then the stretch is over.
 */
import { type Block, CHUNK_EVENTS } from '../events/block.js';
import { KIND_NAMES, type KindName } from '../events/kinds.js';
import { storedAlike } from '../recording/codec.js';
import type { Same } from './same.js';

/** Events of the first stretch after a difference, and of the longest. */
const SHORT = 128;
const LONG = CHUNK_EVENTS;

export class Stretch {
  /** Where the events are in their blocks. */
  readonly a = new Uint16Array(LONG);
  readonly b = new Uint16Array(LONG);
  /** How many there are. */
  length = 0;
  /** How many of them, from the start, are done. */
  done = 0;
  private readonly kinds = new Uint8Array(LONG);
  private readonly marks = new Uint8Array(LONG);
  /** By kind: rows, the first row of each side, and where in `marks` its rows begin. */
  private readonly rows = new Uint32Array(KIND_NAMES.length);
  private readonly firstA = new Uint32Array(KIND_NAMES.length);
  private readonly firstB = new Uint32Array(KIND_NAMES.length);
  private readonly at = new Uint32Array(KIND_NAMES.length);
  private marked = false;
  /** Rows between those of the stretch do not count: each event is looked at by itself. */
  private each = false;
  private size = SHORT;

  /** After a difference the next one may be near. */
  restart(): void {
    this.size = SHORT;
    this.length = this.done = 0;
  }

  /** Finds the stretch that begins at event i of block a and event j of block b; it may be empty. */
  fill(same: Same, a: Block, i: number, b: Block, j: number): void {
    const { kinds, rows, firstA, firstB, marks, at } = this;
    rows.fill(0);
    let n = 0;
    const [kindA, kindB, rowA, rowB] = [a.kind, b.kind, a.row, b.row];
    const vcpus = same.manyVcpus ? [a.vcpu, b.vcpu] : undefined;
    for (const most = this.size; n < most; n++, i++, j++) {
      i = same.a.next(a, i);
      j = same.b.next(b, j);
      if (i >= a.count || j >= b.count) break;
      const kind = kindA[i]!;
      if (kind !== kindB[j] || (vcpus && vcpus[0]![i] !== vcpus[1]![j])) break;
      if (rows[kind]!++ === 0) {
        firstA[kind] = rowA[i]!;
        firstB[kind] = rowB[j]!;
      }
      kinds[n] = kind;
      this.a[n] = i;
      this.b[n] = j;
    }
    this.length = n;
    this.done = 0;
    this.size = Math.min(LONG, 2 * this.size);
    this.each = !same.a.byKind;
    if (this.each) return;
    marks.fill(0, 0, n);
    let start = 0;
    for (let kind = 0; kind < rows.length; kind++) {
      if (rows[kind] === 0) continue;
      at[kind] = start;
      start += rows[kind]!;
      if (same.isPlain(kind) && firstA[kind] === firstB[kind] && storedAlike(a, b, kind)) continue;
      const name = KIND_NAMES[kind]! as KindName;
      same.look(kind, {
        a: a.col[name] as never,
        x: firstA[kind]!,
        b: b.col[name] as never,
        y: firstB[kind]!,
        n: rows[kind]!,
        marks,
        at: at[kind]!,
      });
    }
    this.marked = marks.subarray(0, n).includes(1);
  }

  private isMarked(a: Block, n: number): boolean {
    const kind = this.kinds[n]!;
    return this.marks[this.at[kind]! + a.row[this.a[n]!]! - this.firstA[kind]!] === 1;
  }
  /** The number of the next event that must be looked at by itself, from `done` on; `length` if there is none. */
  next(a: Block): number {
    let n = this.done;
    if (this.each) return n;
    if (!this.marked) return this.length;
    while (n < this.length && !this.isMarked(a, n)) n++;
    return n;
  }
  /** True if `count` events from number n on are surely the same. */
  isSure(a: Block, n: number, count: number): boolean {
    if (this.each || n + count > this.length) return false;
    for (let k = n; k < n + count; k++) if (this.isMarked(a, k)) return false;
    return true;
  }
}
