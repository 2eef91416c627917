/**
 * Which frame of recording A is which frame of recording B. Two runs of the same guest do the same with other frames, since
 * which frames they get is the allocator's luck: so frames are compared up to a renaming, a bijection that grows as the
 * comparison goes. A pair that breaks it is a difference.
 *
 *   A: pte table=74 -> frame 99        B: pte table=1074 -> frame 1099      74 = 1074, 99 = 1099
 *   A: type frame=99 l1                B: type frame=1098 l1                a difference: 99 is 1099
 *
 * A break may also mean that from here on the frame is another one: freed and given out again in another order. So a pair
 * that was seen only once gives way, and one that was seen often gives way when the same break comes twice; otherwise one
 * shift in an allocator would make every later event a difference.
 */
import { NO_FRAME } from '../events/kinds.js';

/** A pair seen this often does not give way at its first break. */
const FIRM = 2;
const LOW_MAX = 1 << 20;

/** Frame number to a number, 0 where nothing was put: an array for the frames of 4 GiB, a map for what a hostile file may have. */
class Sparse {
  private low = new Uint32Array(1 << 10);
  private readonly high = new Map<number, number>();

  get(frame: number): number {
    return frame < this.low.length ? this.low[frame]! : frame < LOW_MAX ? 0 : (this.high.get(frame) ?? 0);
  }
  set(frame: number, value: number): void {
    if (frame >= LOW_MAX) {
      this.high.set(frame, value);
      return;
    }
    if (frame >= this.low.length) {
      let length = this.low.length;
      while (length <= frame) length *= 2;
      const wider = new Uint32Array(length);
      wider.set(this.low);
      this.low = wider;
    }
    this.low[frame] = value;
  }
}

/** A renaming between the frames of two recordings. Partners are kept plus one, so that 0 is nobody. */
export class Renaming {
  private readonly ab = new Sparse();
  private readonly ba = new Sparse();
  /** How often a pair was seen, by frame of A. */
  private readonly seen = new Sparse();
  /** The break last seen at a frame of A: the partner it wanted. */
  private readonly wanted = new Sparse();
  /** True once a frame has another number in B. */
  renamed = false;

  /** 1 the pair is known, 0 neither frame is known, -1 it breaks the bijection. */
  look(a: number, b: number): 1 | 0 | -1 {
    if (a === NO_FRAME || b === NO_FRAME) return a === b ? 1 : -1;
    const partner = this.ab.get(a);
    if (partner === b + 1) {
      if (this.seen.get(a) < FIRM) this.seen.set(a, this.seen.get(a) + 1);
      return 1;
    }
    return partner === 0 && this.ba.get(b) === 0 ? 0 : -1;
  }
  /** Takes the pair in, or sees it once more. */
  bind(a: number, b: number): void {
    if (a === NO_FRAME || b === NO_FRAME) return;
    const partner = this.ab.get(a);
    if (partner !== b + 1) {
      if (partner !== 0) this.ba.set(partner - 1, 0);
      const back = this.ba.get(b);
      if (back !== 0) this.ab.set(back - 1, 0);
      this.ab.set(a, b + 1);
      this.ba.set(b, a + 1);
      this.seen.set(a, 0);
      if (a !== b) this.renamed = true;
    }
    this.seen.set(a, Math.min(FIRM, this.seen.get(a) + 1));
    this.wanted.set(a, 0);
  }
  /** The pair broke the bijection: what stood in its way gives way if it was seen but once, or if this is the second time. */
  broke(a: number, b: number): void {
    if (a === NO_FRAME || b === NO_FRAME) return;
    const back = this.ba.get(b);
    const firm = Math.max(this.ab.get(a) === 0 ? 0 : this.seen.get(a), back === 0 ? 0 : this.seen.get(back - 1));
    if (firm < FIRM || this.wanted.get(a) === b + 1) this.bind(a, b);
    else this.wanted.set(a, b + 1);
  }
  /** A name for the frame that both sides share; 0 for one that has no partner. */
  nameInA = (frame: number): number => (frame === NO_FRAME ? NO_FRAME : this.ab.get(frame));
  nameInB = (frame: number): number => (frame === NO_FRAME ? NO_FRAME : this.ba.get(frame) === 0 ? 0 : frame + 1);
}
