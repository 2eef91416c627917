/** The values that registers had last, from the blocks of a recording in order: for keyframes. */
import { type Block, listStart } from '../../events/block.js';
import { KIND } from '../../events/kinds.js';

const { regs: REGS } = KIND;
const REGISTERS = 64;

export class LastRegisters {
  private readonly vcpus: Uint32Array[] = [];
  /** Per vcpu, lo and hi: which registers a block has not said yet, seen from its end. */
  private readonly unknown = new Uint32Array(2 * 256);

  /** Per vcpu, at least so many: low and high word of each of the first `registers`. */
  words(vcpus: number, registers: number): Uint32Array[] {
    if (vcpus > 0) this.of(vcpus - 1);
    return this.vcpus.map(words => words.subarray(0, 2 * registers));
  }

  /** Takes the last value of each register, backwards: most rows then only set what is known already. */
  add({ kind, row, vcpu, col: { regs }, count }: Block, from: number): void {
    this.unknown.fill(0xffff_ffff);
    const { maskLo, maskHi } = regs;
    for (let i = count - 1; i >= from; i--) {
      if (kind[i] !== REGS) continue;
      const r = row[i]!;
      const v = 2 * vcpu[i]!;
      const lo = maskLo[r]! & this.unknown[v]!;
      const hi = maskHi[r]! & this.unknown[v + 1]!;
      if ((lo | hi) === 0) continue;
      this.unknown[v]! &= ~lo;
      this.unknown[v + 1]! &= ~hi;
      set(regs, r, this.of(vcpu[i]!), lo, hi);
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
