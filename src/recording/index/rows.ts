/** Rows gathered between two segments, as columns that grow and are used again. */

/** One write of one entry. */
export class SlotRows {
  n = 0;
  private room = 0;
  offset = new Uint16Array(0);
  frame = new Uint32Array(0);
  space = new Uint8Array(0);
  seq = new Uint32Array(0);
  level = new Uint8Array(0);
  how = new Uint8Array(0);
  lo = new Uint32Array(0);
  hi = new Uint32Array(0);
  /** What the entry pointed to before and after: see targets.ts. */
  was = new Float64Array(0);
  now = new Float64Array(0);

  /** Makes room for `more` rows. */
  need(more: number): void {
    if (this.n + more <= this.room) return;
    this.room = Math.max(1 << 18, 2 * (this.n + more));
    const { room } = this;
    this.offset = grown(this.offset, new Uint16Array(room));
    this.frame = grown(this.frame, new Uint32Array(room));
    this.space = grown(this.space, new Uint8Array(room));
    this.seq = grown(this.seq, new Uint32Array(room));
    this.level = grown(this.level, new Uint8Array(room));
    this.how = grown(this.how, new Uint8Array(room));
    this.lo = grown(this.lo, new Uint32Array(room));
    this.hi = grown(this.hi, new Uint32Array(room));
    this.was = grown(this.was, new Float64Array(room));
    this.now = grown(this.now, new Float64Array(room));
  }
}

/** Rows of some u32 columns: ledger, covers, mappings. */
export class WordRows {
  n = 0;
  columns: Uint32Array[];
  constructor(columns: number) {
    this.columns = Array.from({ length: columns }, () => new Uint32Array(0));
  }
  need(more: number): void {
    const room = this.columns[0]!.length;
    if (this.n + more <= room) return;
    const next = Math.max(1 << 16, 2 * (this.n + more));
    this.columns = this.columns.map(c => grown(c, new Uint32Array(next)));
  }
}

function grown<T extends { set(a: T): void }>(old: T, bigger: T): T {
  bigger.set(old);
  return bigger;
}
