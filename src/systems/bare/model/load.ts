/**
 * What a boot loader does for a bare guest: puts the image where it wants to be and the processor into 64-bit mode.
 *
 *   0x1000  root table      0x2000  level 3      0x3000  level 2: the first GiB one to one, in pages of 2 MiB
 *   0x4000  descriptors: null, kernel code (8), kernel data (16)
 *   0x10_0000 and up        the image
 *
 * The guest starts at its entry in ring 0, interrupts off, with no stack and no interrupt table.
 */
import { asPaddr } from '../../../base/brand.js';
import { Trouble } from '../../../base/trouble.js';
import { hex } from '../../../base/u64.js';
import { type Elf, parseElf } from '../../../isa/elf.js';
import { REG } from '../../../isa/x86_64.js';
import { type Cpu, CR0, CR4, EFER } from '../../../machine/x86/cpu.js';
import { IMAGE_FROM, LOADER_DESCRIPTORS, LOADER_TABLES } from '../names.js';

const X86_64_MACHINE = 62;
const GIB = 2n ** 30n;
const TABLE = 0b11n; // present, writable
const LARGE_PAGE = 0b1000_0011n;
const CODE = 0x0020_9a00_0000_0000n; // SDM 3A, 3.4.5: 64-bit, present, ring 0
const DATA = 0x0000_9200_0000_0000n;

/** Loads an image and leaves the processor at its first instruction. Throws Trouble when it is no image for this machine. */
export function load(cpu: Cpu, image: Uint8Array, name: string): Elf {
  const elf = parseElf(image, name);
  const bad = (why: string): never => {
    throw new Trouble(`${name}: ${why}`);
  };
  if (elf.bits !== 64 || elf.machine !== X86_64_MACHINE) bad('a bare guest is a 64-bit x86 image');
  if (elf.segments.length === 0) bad('the image has nothing to load');
  if (elf.entry >= GIB) bad(`its entry ${hex(elf.entry)} is above the first GiB, which is all the loader maps`);
  const { memory } = cpu;
  for (const { physical, data, memoryBytes } of elf.segments) {
    if (physical < BigInt(IMAGE_FROM))
      bad(`a segment at ${hex(physical)} is below ${hex(IMAGE_FROM)}, where the loader lives`);
    if (physical + BigInt(memoryBytes) > BigInt(memory.layout.guestBytes))
      bad(
        `a segment at ${hex(physical)} of ${memoryBytes} bytes does not fit into ${memory.layout.guestBytes} bytes of memory`,
      );
    memory.hostWrite(asPaddr(Number(physical)), data); // the rest is zero already
  }
  const put = (at: number, value: bigint): void => memory.hostStore(asPaddr(at), 8, value);
  put(LOADER_TABLES.root, BigInt(LOADER_TABLES.l3) | TABLE);
  put(LOADER_TABLES.l3, BigInt(LOADER_TABLES.l2) | TABLE);
  for (let n = 0; n < 512; n++) put(LOADER_TABLES.l2 + 8 * n, (BigInt(n) << 21n) | LARGE_PAGE);
  put(LOADER_DESCRIPTORS + 8, CODE);
  put(LOADER_DESCRIPTORS + 16, DATA);

  const registers: Readonly<Record<string, bigint>> = {
    rip: elf.entry,
    cs: 0x08n,
    ss: 0x10n,
    ds: 0x10n,
    es: 0x10n,
    gdtr_base: BigInt(LOADER_DESCRIPTORS),
    gdtr_limit: 3n * 8n - 1n,
    efer: EFER.LME | EFER.LMA | EFER.NXE | EFER.SCE,
    cr4: CR4.PAE,
    cr3: BigInt(LOADER_TABLES.root),
    cr0: CR0.PE | CR0.WP | CR0.PG,
  };
  for (const [register, value] of Object.entries(registers)) cpu.set(REG[register]!, value);
  return elf;
}
