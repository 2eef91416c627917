/**
 * Call stacks by frame pointers: code compiled with them keeps a chain of saved rbp, each below its return address.
 *
 *     rbp -> | saved rbp | return address |      towards higher addresses, where the callers' frames are
 *                 `----> | saved rbp | return address | ...
 *
 * A chain is the guest's word and may be anything: it must climb, be mapped, aligned and short, and every return address
 * must be code. Where it breaks off the stack ends; nothing the guest can notice happens.
 */
import { u64 } from '../../base/u64.js';
import { REG } from '../../isa/x86_64.js';
import { registerAt } from '../engine/layout.js';
import type { Memory } from '../engine/memory.js';
import type { Peek } from './peek.js';

const RBP_AT = registerAt(REG.rbp!);
/** As many return addresses as an event carries. */
export const STACK_MAX = 16;

const MAX = STACK_MAX;
/**
 * Finds the stack of the running code and gives it its number. Most of the time the code is called by whom it was called
 * the last time, so the words found are compared with those of last time first: a bigint an address costs more than all else.
 */
export class Unwinder {
  private readonly memory: Memory;
  private readonly peek: Peek;
  private readonly isCode: (address: bigint) => boolean;
  private readonly intern: (addresses: readonly bigint[]) => number;
  /** Low and high words of the return addresses found last, which are code, and how many they are. */
  private readonly words = new Uint32Array(2 * STACK_MAX);
  private found = 0;
  private number = 0;
  /** Words of the address that was last found to be no code: where chains end, they end in the same place again. */
  private refusedLo = 0;
  private refusedHi = 0;
  private refused = false;

  /**
   * @param isCode whether an address can be a return address; always the same answer
   * @param intern gives a stack's number, always the same one; 0 to an empty stack
   */
  constructor(
    memory: Memory,
    peek: Peek,
    isCode: (address: bigint) => boolean,
    intern: (addresses: readonly bigint[]) => number,
  ) {
    this.memory = memory;
    this.peek = peek;
    this.isCode = isCode;
    this.intern = intern;
  }

  /** The number of the stack of return addresses, innermost first. */
  stack(): number {
    const { peek, words, memory } = this;
    let lo = memory.view.getUint32(RBP_AT, true);
    let hi = memory.view.getUint32(RBP_AT + 4, true);
    let n = 0;
    let known = this.found;
    while (n < MAX && (lo & 7) === 0) {
      const frame = peek.translate(lo, hi);
      const above =
        (lo & 4095) === 4088 ? peek.translate((lo + 8) >>> 0, lo + 8 > 0xffff_ffff ? hi + 1 : hi) : frame + 8;
      if (frame < 0 || above < 0) break;
      const addressLo = peek.word(above);
      const addressHi = peek.word(above + 4);
      if (n >= known || words[2 * n] !== addressLo || words[2 * n + 1] !== addressHi) {
        if (!this.accepts(addressLo, addressHi)) break;
        words[2 * n] = addressLo;
        words[2 * n + 1] = addressHi;
        known = n; // what was behind it is another stack's
      }
      n++;
      const nextLo = peek.word(frame);
      const nextHi = peek.word(frame + 4);
      if (nextHi < hi || (nextHi === hi && nextLo <= lo)) break;
      lo = nextLo;
      hi = nextHi;
    }
    if (n !== this.found || known !== n) {
      this.found = n;
      this.number = this.intern(Array.from({ length: n }, (_, k) => u64(words[2 * k]!, words[2 * k + 1]!)));
    }
    return this.number;
  }
  private accepts(lo: number, hi: number): boolean {
    if (this.refused && lo === this.refusedLo && hi === this.refusedHi) return false;
    if (this.isCode(u64(lo, hi))) return true;
    this.refused = true;
    this.refusedLo = lo;
    this.refusedHi = hi;
    return false;
  }
}
