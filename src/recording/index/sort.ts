/** A stable radix sort of row numbers by columns of u32: no comparisons, and nothing allocated that is not kept. */

const DIGIT_BITS = 12;
const counts = new Uint32Array(1 << DIGIT_BITS);

/** Room for the numbers of rows, used again for each sort. */
export class Sorter {
  private order = new Uint32Array(1 << 16);
  private other = new Uint32Array(1 << 16);

  /**
   * The numbers 0..n-1 in ascending order of the columns, of which the last decides first; equal rows stay in order.
   * The result is valid until the next call.
   */
  sort(n: number, columns: readonly (Uint8Array | Uint16Array | Uint32Array)[]): Uint32Array {
    if (this.order.length < n) {
      this.order = new Uint32Array(2 * n);
      this.other = new Uint32Array(2 * n);
    }
    for (let i = 0; i < n; i++) this.order[i] = i;
    for (const column of columns) this.byColumn(column, n);
    return this.order;
  }

  /** Sorts by the bits in which the values differ, in as few passes of at most 12 bits as they need. */
  private byColumn(column: Uint8Array | Uint16Array | Uint32Array, n: number): void {
    let ones = 0;
    let zeros = 0;
    for (let i = 0; i < n; i++) {
      ones |= column[i]!;
      zeros |= ~column[i]!;
    }
    const differ = ones & zeros;
    if (differ === 0) return;
    const low = 31 - Math.clz32(differ & -differ);
    const bits = 32 - Math.clz32(differ) - low;
    const passes = Math.ceil(bits / DIGIT_BITS);
    const width = Math.ceil(bits / passes);
    for (let p = 0; p < passes; p++) this.pass(column, n, low + p * width, (1 << width) - 1);
  }

  private pass(column: Uint8Array | Uint16Array | Uint32Array, n: number, shift: number, mask: number): void {
    const { order, other } = this;
    counts.fill(0, 0, mask + 1);
    for (let i = 0; i < n; i++) counts[(column[i]! >>> shift) & mask]!++;
    let sum = 0;
    for (let d = 0; d <= mask; d++) {
      const count = counts[d]!;
      counts[d] = sum;
      sum += count;
    }
    for (let i = 0; i < n; i++) {
      const row = order[i]!;
      other[counts[(column[row]! >>> shift) & mask]!++] = row;
    }
    this.order = other;
    this.other = order;
  }
}
