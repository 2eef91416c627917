/**
 * What differs between two moments of the pool: which words and what to xor there, which leads from either moment to the
 * other. Words ascend, since going over memory in order is several times as fast, and are named by their distance from the
 * one before: six bytes a word instead of eight, and what reads them is bound by memory.
 *
 *   gaps   u16   5   1   65280   700          words 5, 6, (65286), 65986; a step too far for 16 bits is made in several,
 *   xors   u32   .   .   0       .            with nothing to xor on the way
 *
 * What changed is found by comparing LINES of 16 words, a line of the processor's cache, with copies made before the first
 * write to each.
 */
export const LINE_SHIFT = 4;
export const LINE_WORDS = 16;
/** A step that brings one near, and leaves room for the words of a line. */
const STEP = 0xff00;

export interface Changes {
  readonly gaps: Uint16Array;
  readonly xors: Uint32Array;
  /** All words are below it. */
  readonly end: number;
}
/** Bytes of memory, but for a constant. */
export const bytesOfChanges = ({ xors }: Changes): number => 6 * xors.length;

/**
 * Goes from one end of all these changes, which follow each other, to the other. Four words at a time: what is between them
 * is bookkeeping of the loop and waiting for memory, and four waits go on at once. (6 ns a word before, 3 ns now.) Which words
 * those were is not written down: that took a quarter of the time.
 */
export function flip(words: Uint32Array, parts: readonly Changes[]): void {
  for (const { gaps, xors } of parts) {
    const fours = gaps.length & ~3;
    let at = 0;
    let n = 0;
    for (; n < fours; n += 4) {
      const a = (at + gaps[n]!) | 0;
      const b = (a + gaps[n + 1]!) | 0;
      const c = (b + gaps[n + 2]!) | 0;
      at = (c + gaps[n + 3]!) | 0;
      words[a]! ^= xors[n]!;
      words[b]! ^= xors[n + 1]!;
      words[c]! ^= xors[n + 2]!;
      words[at]! ^= xors[n + 3]!;
    }
    for (; n < gaps.length; n++) {
      at += gaps[n]!;
      words[at]! ^= xors[n]!;
    }
  }
}

/** Takes changes in order. */
class Gatherer {
  private count = 0;
  private last = 0;
  private gaps = new Uint16Array(1 << 14);
  private xors = new Uint32Array(1 << 14);

  /** The words of the line at `from` of `a` that differ from those at `to` of `b`; they are words at, at + 1 ... */
  line(at: number, a: Uint32Array, from: number, b: Uint32Array, to: number): void {
    this.room(at);
    const { gaps, xors } = this;
    let { count, last } = this;
    for (let i = 0; i < LINE_WORDS; i++) {
      const x = a[from + i]! ^ b[to + i]!;
      if (x === 0) continue;
      gaps[count] = at + i - last;
      xors[count++] = x;
      last = at + i;
    }
    this.count = count;
    this.last = last;
  }
  /** Makes room for one more line, and comes near to it. */
  private room(at: number): void {
    const far = Math.max(0, Math.floor((at - this.last) / STEP));
    if (this.count + LINE_WORDS + far > this.xors.length) {
      const length = 2 * (this.count + LINE_WORDS + far);
      this.gaps = grown(this.gaps, new Uint16Array(length));
      this.xors = grown(this.xors, new Uint32Array(length));
    }
    for (let n = 0; n < far; n++) {
      this.gaps[this.count] = STEP;
      this.xors[this.count++] = 0;
      this.last += STEP;
    }
  }
  finish(): Changes {
    const { gaps, xors, count, last } = this;
    return { gaps: gaps.slice(0, count), xors: xors.slice(0, count), end: last + 1 };
  }
}
const grown = <T extends { set(a: T): void }>(old: T, bigger: T): T => {
  bigger.set(old);
  return bigger;
};

/** Words as they are, and copies of the lines that may have changed. */
export interface Copies {
  readonly words: Uint32Array;
  readonly copies: Uint32Array;
  /** By line: 1 + number of its copy, 0 for a line that did not change. */
  readonly copyOf: Uint32Array;
}
/** What differs between then and now in the first lines. */
export function changesOf({ words, copies, copyOf }: Copies, lines: number): Changes {
  const out = new Gatherer();
  for (let line = 0; line < lines; line++) {
    const at = line << LINE_SHIFT;
    if (copyOf[line] !== 0) out.line(at, copies, (copyOf[line]! - 1) << LINE_SHIFT, words, at);
  }
  return out.finish();
}

const ZEROS = new Uint32Array(LINE_WORDS);

/**
 * Changes that follow each other as one.
 * @param sum words that are zero, and again afterwards: of as many as any of the changes reaches, a multiple of a line
 */
export function joined(parts: readonly Changes[], sum: Uint32Array): Changes {
  flip(sum, parts);
  const out = new Gatherer();
  for (let at = 0; at < sum.length; at += LINE_WORDS) if (!isZero(sum, at)) out.line(at, sum, at, ZEROS, 0);
  sum.fill(0);
  return out.finish();
}
function isZero(words: Uint32Array, from: number): boolean {
  let any = 0;
  for (let i = from; i < from + LINE_WORDS; i++) any |= words[i]!;
  return any === 0;
}
