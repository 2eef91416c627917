/**
 * The guest's memory as Xen reaches it on the guest's behalf (copy_from_guest, copy_to_guest, __put_user): by virtual
 * address through the tables that are loaded, with the guest's own rights, and never into Xen's part. Reads and writes go
 * by the TLB and set accessed and dirty bits, since in life it is the processor that does them.
 */
import { PAGE_BYTES, type Paddr } from '../../../base/brand.js';
import type { KernelMemory } from '../../../kernels/linux/linux.js';
import { type SignedAddress, signed } from '../../../kernels/linux/orc.js';
import { ACCESS, type Access } from '../../../machine/engine/fault.js';
import type { Memory } from '../../../machine/engine/memory.js';
import type { Cpu } from '../../../machine/x86/cpu.js';
import type { Peek } from '../../../machine/x86/peek.js';
import { XEN_FROM, XEN_TO } from './layout.js';

/** As much as one copy may be: more is the caller's mistake. */
const COPY_MAX = 65_536;

/** __addr_ok: not in the hole between the halves, not in Xen's part. */
export const isGuestAddress = (at: bigint): boolean => at < 1n << 47n || at >= XEN_TO;
/** IN_HYPERVISOR_RANGE. */
export const isXenAddress = (at: bigint): boolean => at >= XEN_FROM && at < XEN_TO;

/** The pieces of a range that lie in one page each. */
function* pieces(at: bigint, bytes: number): Generator<{ at: bigint; from: number; to: number }> {
  for (let from = 0; from < bytes; ) {
    const here = BigInt.asUintN(64, at + BigInt(from));
    const to = Math.min(bytes, from + PAGE_BYTES - Number(here & 0xfffn));
    yield { at: here, from, to };
    from = to;
  }
}

export class GuestMemory {
  private readonly cpu: Cpu;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
  }
  /** The bytes at a virtual address; undefined where one of them faults. */
  copyFrom(at: bigint, bytes: number): Uint8Array | undefined {
    const data = new Uint8Array(bytes);
    for (const { from, to, ...piece } of pieces(at, bytes)) {
      const physical = this.reach(piece.at, ACCESS.read, bytes);
      if (physical === undefined) return undefined;
      data.set(this.cpu.memory.guest.subarray(physical, physical + to - from), from);
    }
    return data;
  }
  /** Writes bytes; false where one of them faults: pages before it are written then, as in life. */
  copyTo(at: bigint, data: Uint8Array): boolean {
    for (const { from, to, ...piece } of pieces(at, data.length)) {
      const physical = this.reach(piece.at, ACCESS.write, data.length);
      if (physical === undefined) return false;
      this.cpu.memory.hostWrite(physical, data.subarray(from, to));
    }
    return true;
  }
  /** A word; undefined where it faults. */
  word(at: bigint): bigint | undefined {
    const data = this.copyFrom(at, 8);
    return data && new DataView(data.buffer).getBigUint64(0, true);
  }
  /** Words one behind the other; undefined where one faults. */
  words(at: bigint, count: number): bigint[] | undefined {
    const data = this.copyFrom(at, 8 * count);
    if (!data) return undefined;
    const view = new DataView(data.buffer);
    return Array.from({ length: count }, (_, n) => view.getBigUint64(8 * n, true));
  }
  putWord(at: bigint, value: bigint): boolean {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, value, true);
    return this.copyTo(at, data);
  }

  private reach(at: bigint, access: Access, bytes: number): Paddr | undefined {
    if (bytes > COPY_MAX || !isGuestAddress(at)) return undefined;
    const reached = this.cpu.reach(at, access);
    return typeof reached === 'number' ? reached : undefined;
  }
}

/** The kernel's memory as a debugger reads it: nothing the guest could notice. While the kernel's tables are loaded. */
export function kernelMemory(memory: Memory, peek: Peek): KernelMemory {
  const translate = (at: SignedAddress): number => peek.translate(at >>> 0, Math.floor(at / 2 ** 32) >>> 0);
  return {
    address(at) {
      const [low, high] = [translate(at), at % 8 === 0 ? 0 : translate(at + 4)];
      if (low < 0 || high < 0 || Number.isNaN(at)) return Number.NaN;
      const address = (peek.word(high === 0 ? low + 4 : high) | 0) * 2 ** 32 + peek.word(low);
      return Math.abs(address) < 2 ** 48 ? address : Number.NaN;
    },
    bytes(at, count) {
      const data = new Uint8Array(count);
      for (const { at: here, from, to } of pieces(at, count)) {
        const physical = translate(signed(here));
        if (physical < 0) return undefined;
        data.set(memory.guest.subarray(physical, physical + to - from), from);
      }
      return data;
    },
  };
}
