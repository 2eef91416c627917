/** A bare guest for tests: code bytes at an address, page tables by hand. */
import { asPaddr } from '../../../src/base/brand.js';
import { REG } from '../../../src/isa/x86_64.js';
import { Cpu, CR0, CR4, EFER } from '../../../src/machine/x86/cpu.js';

export const MIB = 1 << 20;
export const PRESENT = 1n;
export const WRITE = 2n;
export const USER = 4n;
export const ACCESSED = 0x20n;
export const DIRTY = 0x40n;
export const LARGE = 0x80n;
export const GLOBAL = 0x100n;
export const NX = 1n << 63n;
export const R = REG as Record<string, number>;

export const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(
    hex
      .replace(/\s+/g, '')
      .match(/../g)!
      .map(b => Number.parseInt(b, 16)),
  );

/** A processor without paging, ring 0, with `code` (hex) at 0x1000, pc there and a stack below 0x9000. */
export function bare(code: string, registers: Record<string, bigint> = {}, options: { arenaBytes?: number } = {}): Cpu {
  const cpu = new Cpu(4 * MIB, options);
  cpu.memory.hostWrite(asPaddr(0x1000), bytes(code));
  cpu.set(R.rip!, 0x1000n);
  cpu.set(R.rsp!, 0x9000n);
  for (const [name, value] of Object.entries(registers)) cpu.set(R[name]!, value);
  return cpu;
}

/** Page tables in memory from 0x10_0000 up; `map` makes the levels it needs. */
export class Tables {
  readonly cpu: Cpu;
  readonly root = 0x10_0000;
  private free = 0x10_1000;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
  }
  /** Maps a 4 KiB page; returns the physical address of its last-level entry. */
  map(va: bigint, pa: number, flags: bigint): number {
    let table = this.root;
    for (let shift = 39n; shift > 12n; shift -= 9n) {
      const at = table + Number((va >> shift) & 511n) * 8;
      let entry = this.cpu.memory.read(asPaddr(at), 8);
      if (entry === 0n) {
        entry = BigInt(this.free) | PRESENT | WRITE | USER;
        this.free += 0x1000;
        this.cpu.memory.hostStore(asPaddr(at), 8, entry);
      }
      table = Number(entry & 0xf_ffff_f000n);
    }
    const at = table + Number((va >> 12n) & 511n) * 8;
    this.cpu.memory.hostStore(asPaddr(at), 8, BigInt(pa) | flags);
    return at;
  }
  /** Turns paging on: long mode, write protection, NX. */
  enable(ring: 0 | 3): void {
    const { cpu } = this;
    cpu.set(R.cr3!, BigInt(this.root));
    cpu.set(R.cr4!, CR4.PAE | CR4.PGE);
    cpu.set(R.efer!, EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE);
    cpu.set(R.cr0!, CR0.PE | CR0.PG | CR0.WP);
    cpu.set(R.cs!, ring === 3 ? 0x33n : 0x10n);
  }
}
