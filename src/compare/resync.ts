/**
 * Where two recordings agree again. From the two places where they part, the nearest pair of places (the sum of what is
 * skipped on both sides is least) from which ANCHOR events in a row have the same numbers (Same.hash). The windows double
 * until one is found, so that a small difference costs little and a large one is still overcome.
 *
 *   A  ... x x x | 1 2 3 4 5 6 7 8 ...        skipped: 3 of A, 1 of B
 *   B  ... y | 1 2 3 4 5 6 7 8 ...
 *
 * Inside what was skipped, single events that agree are found by the longest common subsequence (`pairUp`).
 */
import type { Work } from '../base/work.js';
import type { Same } from './same.js';
import type { Side } from './side.js';

/** So many events in a row that agree are no accident. */
export const ANCHOR = 8;
const FIRST_WINDOW = 24;
/** Events of a side that are held at most. */
const LAST_WINDOW = 1 << 17;
/** Cells of the table of the longest common subsequence. */
const CELLS_MAX = 1 << 22;
/** Stands for what comes after the last event: both ends agree. */
const END = 0xfeed_face;

/** Events from a place on that count: their seqs and numbers. */
export class Window {
  readonly seqs: number[] = [];
  readonly hashes: number[] = [];
  private readonly side: Side;
  private at: number;

  constructor(side: Side, from: number) {
    this.side = side;
    this.at = from;
  }
  /** Events known, without the padding behind the last one. */
  get length(): number {
    return this.seqs.length;
  }
  /** True if the recording has no more. */
  ended = false;

  /** Makes it at least `n` long, where the recording has as much. */
  grow(same: Same, n: number): void {
    const { source } = this.side;
    while (this.seqs.length < n && this.at < source.count) {
      const block = source.chunk(source.chunkOf(this.at));
      let i = this.side.next(block, this.at - block.first);
      for (; i < block.count && this.seqs.length < n; i = this.side.next(block, i + 1)) {
        this.seqs.push(block.first + i);
        this.hashes.push(same.hash(this.side, block, i));
        this.at = block.first + i + 1;
      }
      if (i >= block.count) this.at = block.first + block.count;
    }
    if (this.at < source.count || this.ended) return;
    this.ended = true;
    for (let k = 0; k < ANCHOR; k++) this.hashes.push(END);
  }
}

export interface Parted {
  readonly a: Window;
  readonly b: Window;
  /** Events of each side before they agree again. */
  readonly skipA: number;
  readonly skipB: number;
}

/** Two events that part, where the sides are known to agree again right behind them. */
export function onlyThese(same: Same, seqA: number, seqB: number): Parted {
  const [a, b] = [new Window(same.a, seqA), new Window(same.b, seqB)];
  a.grow(same, 1);
  b.grow(same, 1);
  return { a, b, skipA: 1, skipB: 1 };
}
/** As `resync`, if they agree again nearby; undefined if they do not. */
export function resyncNearby(same: Same, fromA: number, fromB: number): Parted | undefined {
  const [a, b] = [new Window(same.a, fromA), new Window(same.b, fromB)];
  return tryWindows(same, a, b, FIRST_WINDOW);
}
/** From two places where the sides differ to where they agree again; as far as the windows reach if they do not. */
export function* resync(same: Same, fromA: number, fromB: number): Work<Parted> {
  const a = new Window(same.a, fromA);
  const b = new Window(same.b, fromB);
  for (let size = FIRST_WINDOW; ; size *= 2) {
    const found = tryWindows(same, a, b, size);
    if (found) return found;
    if (size >= LAST_WINDOW) return { a, b, skipA: a.length, skipB: b.length };
    yield { done: fromA, total: same.a.source.count };
  }
}
/** The nearest place at which they agree within windows of `size`, if none that is nearer can lie outside. */
function tryWindows(same: Same, a: Window, b: Window, size: number): Parted | undefined {
  a.grow(same, size);
  b.grow(same, size);
  const found = nearest(a.hashes, b.hashes);
  const sure = (a.ended && b.ended) || size >= LAST_WINDOW;
  if (!found || !(sure || found.p + found.q <= size - ANCHOR)) return undefined;
  return { a, b, skipA: Math.min(found.p, a.length), skipB: Math.min(found.q, b.length) };
}

function nearest(a: readonly number[], b: readonly number[]): { p: number; q: number } | undefined {
  const first = new Map<number, number>();
  for (let q = b.length - ANCHOR; q >= 0; q--) first.set(gram(b, q), q);
  let best: { readonly p: number; readonly q: number; readonly number: number } | undefined;
  for (let p = 0; p + ANCHOR <= a.length && (!best || p <= best.p + best.q); p++) {
    const number = gram(a, p);
    const q = first.get(number);
    if (q === undefined || !alike(a, p, b, q)) continue;
    // Where it is all the same, the numbers decide and not the side: swapped sides give the mirror image.
    const better = best
      ? p + q - (best.p + best.q) || Math.abs(p - q) - Math.abs(best.p - best.q) || number - best.number
      : -1;
    if (better < 0) best = { p, q, number };
  }
  return best;
}
function gram(hashes: readonly number[], at: number): number {
  let h = 0;
  for (let k = 0; k < ANCHOR; k++) h = Math.imul(h ^ hashes[at + k]!, 0x01000193) + k;
  return h;
}
function alike(a: readonly number[], p: number, b: readonly number[], q: number): boolean {
  for (let k = 0; k < ANCHOR; k++) if (a[p + k] !== b[q + k]) return false;
  return true;
}

/** Pairs (index in a, index in b) of the longest common subsequence of the first n and m numbers; none if that is too much. */
export function pairUp(a: readonly number[], n: number, b: readonly number[], m: number): [number, number][] {
  const out: [number, number][] = [];
  let [from, toA, toB] = [0, n, m];
  while (from < toA && from < toB && a[from] === b[from]) out.push([from, from++]);
  const tail: [number, number][] = [];
  while (toA > from && toB > from && a[toA - 1] === b[toB - 1]) tail.push([--toA, --toB]);
  const [rows, columns] = [toA - from, toB - from];
  if (rows > 0 && columns > 0 && (rows + 1) * (columns + 1) <= CELLS_MAX) {
    const width = columns + 1;
    const length = new Uint32Array((rows + 1) * width);
    for (let x = rows - 1; x >= 0; x--)
      for (let y = columns - 1; y >= 0; y--)
        length[x * width + y] =
          a[from + x] === b[from + y]
            ? length[(x + 1) * width + y + 1]! + 1
            : Math.max(length[(x + 1) * width + y]!, length[x * width + y + 1]!);
    for (let x = 0, y = 0; x < rows && y < columns; )
      if (a[from + x] === b[from + y]) out.push([from + x++, from + y++]);
      else {
        const [skipX, skipY] = [length[(x + 1) * width + y]!, length[x * width + y + 1]!];
        // Where it is all the same, the numbers decide and not the side: swapped sides give the mirror image.
        if (skipX > skipY || (skipX === skipY && a[from + x]! > b[from + y]!)) x++;
        else y++;
      }
  }
  return out.concat(tail.reverse());
}
