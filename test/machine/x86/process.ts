/**
 * A static Linux program on the emulated processor, for tests that compare what it prints with what it prints natively.
 * As much of Linux as the start of glibc and printf need: one process, no paging, memory one to one.
 */
import { asPaddr, asTicks } from '../../../src/base/brand.js';
import { parseElf } from '../../../src/isa/elf.js';
import { Cpu, CR0, CR4 } from '../../../src/machine/x86/cpu.js';
import { MIB, R } from '../engine/guest.js';

const MEMORY = 32 * MIB;
const STACK_TOP = BigInt(MEMORY - 4096);
/** Steps of mmap, downwards from here. */
const MAP_TOP = BigInt(24 * MIB);
const TICKS_MAX = 500_000_000;
const ENOSYS = -38n;
const ENOENT = -2n;
const ARCH_SET_FS = 0x1002n;
const STDOUT = 1n;

/** System calls by number (arch/x86/entry/syscalls/syscall_64.tbl). */
const CALL = {
  write: 1,
  fstat: 5,
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  brk: 12,
  ioctl: 16,
  readlink: 89,
  sysinfo: 99,
  archPrctl: 158,
  setTidAddress: 218,
  exitGroup: 231,
  newfstatat: 262,
  readlinkat: 267,
  setRobustList: 273,
  prlimit: 302,
  getrandom: 318,
  rseq: 334,
} as const;
/** Those that need do nothing. */
const NOTHING: ReadonlySet<number> = new Set([
  CALL.mprotect,
  CALL.munmap,
  CALL.setRobustList,
  CALL.prlimit,
  CALL.sysinfo,
  CALL.fstat,
  CALL.newfstatat,
]);
/** Types of the auxiliary vector (include/uapi/linux/auxvec.h). */
const AUX = { null: 0n, phdr: 3n, phent: 4n, phnum: 5n, pagesz: 6n, entry: 9n, clktck: 17n, random: 25n };
const PROGRAM_HEADER_BYTES = 56n;

/**
 * Runs a program to its end.
 * @param piece instructions to run at a time; it makes no difference to the program
 * @returns what it wrote to standard output, its exit code, and the instructions it took
 */
export function runProcess(
  elf: Uint8Array,
  name: string,
  piece = TICKS_MAX,
): { output: string; code: number; ticks: number } {
  const cpu = new Cpu(MEMORY, { arenaBytes: 16 * MIB });
  const { memory } = cpu;
  const image = parseElf(elf, name);
  let end = 0n;
  for (const { virtual, data, memoryBytes } of image.segments) {
    memory.hostWrite(asPaddr(Number(virtual)), data);
    if (BigInt(virtual) + BigInt(memoryBytes) > end) end = BigInt(virtual) + BigInt(memoryBytes);
  }
  let heap = (end + 0xfffn) & ~0xfffn;
  let maps = MAP_TOP;

  const base = BigInt(image.segments[0]!.virtual);
  const header = new DataView(elf.buffer, elf.byteOffset);
  const auxiliary = [
    [AUX.phdr, base + header.getBigUint64(32, true)],
    [AUX.phent, PROGRAM_HEADER_BYTES],
    [AUX.phnum, BigInt(header.getUint16(56, true))],
    [AUX.pagesz, 4096n],
    [AUX.entry, image.entry],
    [AUX.clktck, 100n],
    [AUX.random, STACK_TOP],
    [AUX.null, 0n],
  ].flat();
  // argc, argv, its end, the environment's end, the auxiliary vector
  const words = [1n, STACK_TOP + 16n, 0n, 0n, ...auxiliary];
  const sp = (STACK_TOP - 1024n) & ~15n;
  words.forEach((word, n) => {
    memory.hostStore(asPaddr(Number(sp) + 8 * n), 8, word);
  });
  memory.hostWrite(asPaddr(Number(STACK_TOP) + 16), new TextEncoder().encode(`${name}\0`));

  cpu.set(R.cr0!, cpu.get(R.cr0!) | CR0.MP | CR0.NE);
  cpu.set(R.cr4!, CR4.OSFXSR | CR4.OSXMMEXCPT);
  cpu.set(R.rip!, image.entry);
  cpu.set(R.rflags!, 0x202n);
  cpu.set(R.rsp!, sp);
  cpu.intercept = new Set(['syscall']);

  let output = '';
  const call = (number: number, a: bigint, b: bigint, c: bigint): bigint => {
    if (NOTHING.has(number)) return 0n;
    switch (number) {
      case CALL.write:
        if (a === STDOUT) output += new TextDecoder().decode(memory.guest.slice(Number(b), Number(b + c)));
        return c;
      case CALL.brk:
        if (a >= end) heap = a;
        return heap;
      case CALL.mmap:
        maps -= (b + 0xfffn) & ~0xfffn;
        return maps;
      case CALL.archPrctl:
        if (a === ARCH_SET_FS) cpu.set(R.fs_base!, b);
        return 0n;
      case CALL.setTidAddress:
        return 1n;
      case CALL.getrandom:
        return b;
      case CALL.readlink:
      case CALL.readlinkat:
        return ENOENT;
      case CALL.ioctl:
        return ENOSYS;
      case CALL.rseq:
        return ENOSYS;
    }
    throw new Error(`${name} makes system call ${number}`);
  };
  for (;;) {
    const exit = cpu.machine.run(asTicks(Math.min(TICKS_MAX, cpu.machine.ticks + piece)));
    if (exit.kind === 'busy' || (exit.kind === 'limit' && cpu.machine.ticks < TICKS_MAX)) continue;
    if (exit.kind !== 'call' || exit.name !== 'syscall')
      throw new Error(`${name} ends at ${cpu.get(R.rip!).toString(16)} with ${JSON.stringify(exit, bigints)}`);
    const [number, a, b, c] = [R.rax!, R.rdi!, R.rsi!, R.rdx!].map(register => cpu.get(register)) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    if (Number(number) === CALL.exitGroup) return { output, code: Number(a), ticks: cpu.machine.ticks };
    cpu.set(R.rax!, BigInt.asUintN(64, call(Number(number), a, b, c)));
    cpu.retire(exit.length);
  }
}
const bigints = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString(16) : value);
