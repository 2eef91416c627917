/**
 * A set of seqs of one segment, as bits: filled in any order, read in ascending order. Sorting tens of thousands of numbers
 * costs milliseconds; this costs a walk over 128 KB at most.
 */
export class SeqSet {
  private readonly first: number;
  private readonly end: number;
  private bits: Uint32Array | undefined;
  private low = Number.POSITIVE_INFINITY;
  private high = -1;
  size = 0;

  /** For values 0..end-1, which stand for the seqs from `first` on. */
  constructor(first: number, end: number) {
    this.first = first;
    this.end = end;
  }

  add(value: number): void {
    const bits = (this.bits ??= new Uint32Array((this.end >>> 5) + 1));
    const word = value >>> 5;
    const bit = 1 << (value & 31);
    if (bits[word]! & bit) return;
    bits[word]! |= bit;
    this.size++;
    if (word < this.low) this.low = word;
    if (word > this.high) this.high = word;
  }

  /** The seqs, oldest first. */
  ascending(): Float64Array {
    const out = new Float64Array(this.size);
    const words = this.bits;
    if (!words) return out;
    let n = 0;
    for (let word = this.low; word <= this.high; word++)
      for (let bits = words[word]!; bits !== 0; bits &= bits - 1)
        out[n++] = this.first + word * 32 + 31 - Math.clz32(bits & -bits);
    return out;
  }
}

/** The parts one after the other. */
export function concat(parts: readonly Float64Array[]): Float64Array {
  const out = new Float64Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
