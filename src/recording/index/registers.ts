/** The values that registers had last, from the blocks of a recording in order: for keyframes. */
import { type Block, listStart } from '../../events/block.js';
import { KIND } from '../../events/kinds.js';
import { type KindOrder, rowsFrom } from './order.js';

const { regs: REGS } = KIND;
const REGISTERS = 64;

export class LastRegisters {
  private readonly vcpus: Uint32Array[] = [];
  /** Per vcpu, lo and hi: which registers a block sets whose last value is not known yet. */
  private readonly unknown = new Int32Array(2 * 256);

  /** Per vcpu, low and high word of each register. */
  get all(): readonly Uint32Array[] {
    return this.vcpus;
  }
  /** Goes on from others. */
  set all(words: readonly Uint32Array[]) {
    words.forEach((values, vcpu) => void this.of(vcpu).set(values));
  }
  /** Per vcpu, at least so many: low and high word of each of the first `registers`. */
  words(vcpus: number, registers: number): Uint32Array[] {
    if (vcpus > 0) this.of(vcpus - 1);
    return this.vcpus.map(words => words.subarray(0, 2 * registers));
  }

  /** Takes the last value of each register, backwards, until those that the block sets are known. */
  add({ vcpu, col: { regs } }: Block, order: KindOrder, from: number): void {
    const events = order.events(REGS);
    const first = rowsFrom(order, REGS, from);
    const { maskLo, maskHi } = regs;
    const { unknown } = this;
    unknown.fill(0);
    for (let r = first; r < events.length; r++) {
      const v = 2 * vcpu[events[r]!]!;
      unknown[v]! |= maskLo[r]!;
      unknown[v + 1]! |= maskHi[r]!;
    }
    let left = 0;
    for (let v = 0; v < unknown.length; v += 2) if ((unknown[v]! | unknown[v + 1]!) !== 0) left++;
    for (let r = events.length - 1; left > 0; r--) {
      const v = 2 * vcpu[events[r]!]!;
      const lo = maskLo[r]! & unknown[v]!;
      const hi = maskHi[r]! & unknown[v + 1]!;
      if ((lo | hi) === 0) continue;
      unknown[v]! &= ~lo;
      unknown[v + 1]! &= ~hi;
      set(regs, r, this.of(v >> 1), lo, hi);
      if ((unknown[v]! | unknown[v + 1]!) === 0) left--;
    }
  }

  private of(vcpu: number): Uint32Array {
    while (this.vcpus.length <= vcpu) this.vcpus.push(new Uint32Array(2 * REGISTERS));
    return this.vcpus[vcpu]!;
  }
}

/** Sets those registers of a row that are in lo and hi. Values are in the order of the row's own mask. */
function set(regs: Block['col']['regs'], r: number, words: Uint32Array, lo: number, hi: number): void {
  let item = listStart(regs.valuesEnd, r);
  const end = regs.valuesEnd[r]!;
  for (let half = 0; half < 2; half++) {
    let mask = half === 0 ? regs.maskLo[r]! : regs.maskHi[r]!;
    const wanted = half === 0 ? lo : hi;
    for (; mask !== 0 && item < end; item++) {
      const bit = mask & -mask;
      mask ^= bit;
      if ((wanted & bit) === 0) continue;
      const at = 64 * half + 2 * (31 - Math.clz32(bit));
      words[at] = regs.valuesLo[item]!;
      words[at + 1] = regs.valuesHi[item]!;
    }
  }
}
