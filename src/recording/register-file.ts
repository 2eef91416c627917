/** The registers of each processor, as the chunks of a recording carry them from one to the next (reduce.ts). */
import { Trouble } from '../base/trouble.js';
import type { Bytes, Sink } from './bytes.js';

export const REGISTERS = 64;
/** Values of the registers by vcpu: low words, then high words. */
export class RegisterFile {
  readonly vcpus: (Int32Array | undefined)[] = [];
  of(vcpu: number): Int32Array {
    return (this.vcpus[vcpu] ??= new Int32Array(2 * REGISTERS));
  }
  copy(): RegisterFile {
    const copy = new RegisterFile();
    this.vcpus.forEach((words, vcpu) => {
      if (words) copy.vcpus[vcpu] = words.slice();
    });
    return copy;
  }

  /** Writes the registers that are not zero: count of vcpus, then for each its number, a mask and values, all as u32. */
  write(out: Sink): void {
    const at = out.at;
    let vcpus = 0;
    out.u32(0);
    this.vcpus.forEach((words, vcpu) => {
      if (!words?.some(w => w !== 0)) return;
      vcpus++;
      out.u32(vcpu);
      const isSet = (reg: number): boolean => words[reg] !== 0 || words[REGISTERS + reg] !== 0;
      for (let half = 0; half < REGISTERS; half += 32) {
        let mask = 0;
        for (let k = 0; k < 32; k++) if (isSet(half + k)) mask |= 1 << k;
        out.u32(mask >>> 0);
      }
      for (let reg = 0; reg < REGISTERS; reg++)
        if (isSet(reg)) {
          out.u32(words[reg]!);
          out.u32(words[REGISTERS + reg]!);
        }
    });
    out.setU32(at, vcpus);
  }

  static read(from: Bytes): RegisterFile {
    const file = new RegisterFile();
    const vcpus = from.u32();
    if (vcpus > 256) throw new Trouble(`registers of ${vcpus} processors`);
    for (let n = 0; n < vcpus; n++) {
      const vcpu = from.u32();
      if (vcpu > 255) throw new Trouble(`registers of processor ${vcpu}`);
      const words = file.of(vcpu);
      const masks = [from.u32(), from.u32()];
      for (let reg = 0; reg < REGISTERS; reg++)
        if ((masks[reg >> 5]! >>> (reg & 31)) & 1) {
          words[reg] = from.u32();
          words[REGISTERS + reg] = from.u32();
        }
    }
    return file;
  }
}

/** The registers after the chunks so far, for each kind that lists them. */
export class Registers {
  private readonly files = new Map<string, RegisterFile>();
  of(kind: string): RegisterFile {
    let file = this.files.get(kind);
    if (!file) this.files.set(kind, (file = new RegisterFile()));
    return file;
  }
  copy(): Registers {
    const copy = new Registers();
    for (const [kind, file] of this.files) copy.files.set(kind, file.copy());
    return copy;
  }
}
