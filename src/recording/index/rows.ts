/** Words to begin with: few segments need more. So many come fresh from the system, which backs what is touched of them. */
const FIRST_WORDS = 2 ** 24;

/**
 * Rows gathered between two segments. The words of a row lie side by side: rows are sorted by number and then taken in the
 * order of the sort, from anywhere in memory, and that is one miss of the cache a row instead of one a column.
 */
export class Rows {
  n = 0;
  readonly stride: number;
  words = new Uint32Array(0);

  /** @param stride words of a row */
  constructor(stride: number) {
    this.stride = stride;
  }
  /** Makes room for `more` rows. */
  need(more: number): void {
    const least = (this.n + more) * this.stride;
    if (least <= this.words.length) return;
    const words = new Uint32Array(Math.max(FIRST_WORDS, 2 * least));
    words.set(this.words.subarray(0, this.n * this.stride));
    this.words = words;
  }
  /** Adds a row of nothing and returns where it begins in `words`; there must be room. */
  add(): number {
    return this.n++ * this.stride;
  }
}

/** Rows are taken in the order of a sort so many at a time. */
export const SLICE = 1024;

/**
 * Copies the words of the rows order[from..to-1] side by side. A row's words are anywhere in memory, and whoever computes with
 * them as they come waits for each; a copy, which depends on nothing, has many of them under way.
 * @param rows their stride is a multiple of four
 */
export function gather({ words, stride }: Rows, order: Uint32Array, from: number, to: number, into: Uint32Array): void {
  for (let part = 0; part < stride; part += 4) gatherFour(words, stride, part, order, from, to, into);
}
function gatherFour(
  words: Uint32Array,
  stride: number,
  part: number,
  order: Uint32Array,
  from: number,
  to: number,
  into: Uint32Array,
): void {
  for (let i = from, at = part; i < to; i++, at += stride) {
    const w = order[i]! * stride + part;
    into[at] = words[w]!;
    into[at + 1] = words[w + 1]!;
    into[at + 2] = words[w + 2]!;
    into[at + 3] = words[w + 3]!;
  }
}

/** Columns for the keyframe, filled in order: the last row of each entry, the last number of each kind of a frame. */
export class LastSlots {
  n = 0;
  space = new Uint8Array(0);
  frame = new Uint32Array(0);
  offset = new Uint16Array(0);
  lo = new Uint32Array(0);
  hi = new Uint32Array(0);
  /** Begins anew, with room for n rows. */
  clear(n: number): void {
    this.n = 0;
    if (n <= this.space.length) return;
    this.space = new Uint8Array(n);
    this.frame = new Uint32Array(n);
    this.offset = new Uint16Array(n);
    this.lo = new Uint32Array(n);
    this.hi = new Uint32Array(n);
  }
}
export class LastNumbers {
  n = 0;
  kind = new Uint8Array(0);
  frame = new Uint32Array(0);
  value = new Uint32Array(0);
  clear(n: number): void {
    this.n = 0;
    if (n <= this.kind.length) return;
    this.kind = new Uint8Array(n);
    this.frame = new Uint32Array(n);
    this.value = new Uint32Array(n);
  }
}
