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

const LOW_MAX = 1 << 20;

/** Frame number to a number, 0 where nothing was put: an array for the frames of 4 GiB, a map for what a hostile file may have. */
class Sparse {
  low = new Uint32Array(1 << 10);
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

/**
 * A renaming between the frames of two recordings. Partners are kept plus one, so that 0 is nobody. Nothing here prefers a
 * side: what is compared the other way round has the mirror image of it.
 */
export class Renaming {
  private readonly ab = new Sparse();
  private readonly ba = new Sparse();
  /** By frame of A: its partner, once the pair was seen twice. Such a pair does not give way at its first break. */
  private readonly firm = new Sparse();
  /** A number for each pair, in the order in which they came, by frame of A. */
  private readonly names = new Sparse();
  private named = 0;
  /** The break last seen at a frame of A, and of B: the partner it wanted. Breaks are rare. */
  private readonly wantedOfA = new Map<number, number>();
  private readonly wantedOfB = new Map<number, number>();
  /** True once a frame has another number in B. */
  renamed = false;

  /** 1 the pair is known, 0 neither frame is known, -1 it breaks the bijection. */
  look(a: number, b: number): 1 | 0 | -1 {
    if (a === NO_FRAME || b === NO_FRAME) return a === b ? 1 : -1;
    const partner = this.ab.get(a);
    if (partner === b + 1) {
      this.firm.set(a, partner);
      return 1;
    }
    return partner === 0 && this.ba.get(b) === 0 ? 0 : -1;
  }
  /** Takes the pair in, or sees it once more. */
  bind(a: number, b: number): void {
    if (a === NO_FRAME || b === NO_FRAME) return;
    const partner = this.ab.get(a);
    if (partner === b + 1) {
      this.firm.set(a, partner);
      return;
    }
    const back = this.ba.get(b);
    if (partner !== 0) {
      this.ba.set(partner - 1, 0);
      this.firm.set(a, 0);
    }
    if (back !== 0) {
      this.ab.set(back - 1, 0);
      this.firm.set(back - 1, 0);
    }
    this.ab.set(a, b + 1);
    this.ba.set(b, a + 1);
    this.names.set(a, ++this.named);
    if (a !== b) this.renamed = true;
    if (this.wantedOfA.size > 0) {
      this.wantedOfA.delete(a);
      this.wantedOfB.delete(b);
    }
  }
  /** The pair broke the bijection: what stood in its way gives way if it was seen but once, or if this is the second time. */
  broke(a: number, b: number): void {
    if (a === NO_FRAME || b === NO_FRAME) return;
    const back = this.ba.get(b);
    const firm = this.firm.get(a) !== 0 || (back !== 0 && this.firm.get(back - 1) !== 0);
    if (!firm || (this.wantedOfA.get(a) === b && this.wantedOfB.get(b) === a)) this.bind(a, b);
    else {
      this.wantedOfA.set(a, b);
      this.wantedOfB.set(b, a);
    }
  }
  /** By frame of A, as far as the array goes: partner + 1 of a pair that is firm, which nothing but a break changes. */
  get firmly(): Uint32Array {
    return this.firm.low;
  }
  /** A name for the frame that both sides share; 0 for one that has no partner. */
  nameInA = (frame: number): number =>
    frame === NO_FRAME ? NO_FRAME : this.ab.get(frame) === 0 ? 0 : this.names.get(frame);
  nameInB = (frame: number): number => {
    if (frame === NO_FRAME) return NO_FRAME;
    const back = this.ba.get(frame);
    return back === 0 ? 0 : this.names.get(back - 1);
  };
}
