import { asPaddr } from '../../../src/base/brand.js';
import { Cpu } from '../../../src/machine/x86/cpu.js';
import { bytes, MIB, PRESENT, R, Tables, USER, WRITE } from './guest.js';
import { CODE_AT, ENTRY, KERNELS } from './kernels.js';

const DATA = 16 * MIB;
const STACK = 0x9000;
const DONE = 0xa000; // a hlt to return to

/** A processor about to call entry(what, n, DATA), under identity 4 KiB paging, in ring 0. */
export function calling(what: number, n: number): Cpu {
  const cpu = new Cpu(32 * MIB);
  const tables = new Tables(cpu);
  const page = (at: number) => tables.map(BigInt(at), at, PRESENT | WRITE | USER);
  for (let at = 0x1000; at < 0xb000; at += 4096) page(at);
  for (let at = DATA; at < DATA + 4 * MIB; at += 4096) page(at);
  cpu.memory.hostWrite(asPaddr(CODE_AT), bytes(KERNELS));
  cpu.memory.hostWrite(asPaddr(DONE), bytes('f4'));
  cpu.memory.hostWrite(
    asPaddr(DATA),
    Uint8Array.from({ length: 4 * MIB }, (_, i) => i * 7),
  );
  cpu.memory.hostStore(asPaddr(STACK), 8, BigInt(DONE));
  tables.enable(0);
  for (const [name, value] of Object.entries({ rip: ENTRY, rsp: STACK, rdi: what, rsi: n, rdx: DATA }))
    cpu.set(R[name]!, BigInt(value));
  return cpu;
}
