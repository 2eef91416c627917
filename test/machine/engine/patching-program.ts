/**
 * Random programs that patch themselves, and the world they run in. Code is a row of slots of ten bytes, laid so that some
 * straddle pages, each with an instruction or two from a small library; many of these write other slots, directly or
 * through an alias. Whatever a program runs into (a trap, a refusal), the host goes on elsewhere with it: it moves pc to a
 * slot, pokes code, maps a page elsewhere with or without a flush, by chance but always the same for the same seed.
 */
import { asPaddr, asTicks } from '../../../src/base/brand.js';
import { takeCheckpoint } from '../../../src/machine/engine/checkpoint.js';
import type { Exit } from '../../../src/machine/engine/exits.js';
import { Cpu } from '../../../src/machine/x86/cpu.js';
import { MIB, PRESENT, R, Tables, WRITE } from './guest.js';

const SLOT = 10;
/** Where slots begin: across 0x2000 and 0x3000, and across 0x5000, whose page is the frame of 0x2000 again. */
const SLOTS = [
  ...Array.from({ length: 20 }, (_, n) => 0x1f9b + SLOT * n),
  ...Array.from({ length: 20 }, (_, n) => 0x2f9d + SLOT * n),
  ...Array.from({ length: 8 }, (_, n) => 0x4fd9 + SLOT * n),
];
/** Virtual page to frame. */
const CODE_PAGES: readonly (readonly [number, number])[] = [
  [0x1000, 0x1000],
  [0x2000, 0x2000],
  [0x3000, 0x3000],
  [0x4000, 0x4000],
  [0x5000, 0x2000],
];
const ALIAS = 0x40_0000;
const DATA = 0x1_0000;
const STACK = 0x1_8000;
const RW = PRESENT | WRITE;
/** Programs tend to end in small loops. */
const TURN_TICKS = 50;

/** xorshift32: the same numbers everywhere. */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (Math.imul(seed, 0x9e3779b1) ^ 0x6d2b79f5) | 1;
  }
  below(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

const le = (n: number, bytes: number): number[] => Array.from({ length: bytes }, (_, i) => (n >>> (8 * i)) & 0xff);

/** The bytes of one slot at address `at`. */
function slotBytes(r: Random, at: number): number[] {
  const slot = (): number => r.of(SLOTS);
  /** An address of code to write, often an immediate or the first byte of a slot, sometimes through the alias. */
  const target = (): number => slot() + r.of([0, 0, 1, 2, 2, 5]) + (r.below(3) === 0 ? ALIAS : 0);
  const reg = (): number => r.of([0, 1, 2, 3]);
  const modrm = (): number => 0xc0 | (reg() << 3) | reg();
  const near = (): number => r.of(SLOTS.filter(s => Math.abs(s - at) < 100)) - (at + 2);
  const rex = (byte: number): number[] => (r.below(2) ? [0x48, byte] : [byte]);
  const absolute = (opcode: number[], to: number): number[] => [
    ...opcode,
    0x04 | (r.below(8) << 3),
    0x25,
    ...le(to, 4),
  ];
  const made = r.of<() => number[]>([
    () => [0x83, 0xc0 + reg(), r.below(256)], //                                 add r,imm
    () => [...rex(r.of([0x01, 0x29, 0x31, 0x21, 0x39, 0x85])), modrm()], //      add, sub, xor, and, cmp, test
    () => [0xff, 0xc0 + reg(), 0x83, 0xe8 + reg(), r.below(256)], //             inc; sub r,imm
    () => [0xb8 + reg(), ...le(r.below(2 ** 31), 4)], //                         mov r,imm
    () => [0x70 | r.below(16), near() & 0xff], //                                jcc
    () => [0x85, modrm(), 0x70 | r.below(16), (near() - 2) & 0xff], //           test; jcc
    () => [0xeb, near() & 0xff], //                                              jmp
    () => [0xe9, ...le(slot() - at - 5, 4)],
    () => [0xe8, ...le(slot() - at - 5, 4)], //                                  call
    () => [0xc3], //                                                             ret
    () => [0xb8, ...le(slot(), 4), 0xff, 0xe0], //                               mov eax,slot; jmp rax
    () => [0xbc, ...le(STACK, 4)], //                                            mov esp,STACK
    () => absolute([r.of([0x89, 0x8b, 0x01, 0x03])], DATA + r.below(0x1ff8)), // data
    () => [0xc6, 0x04, 0x25, ...le(target(), 4), r.below(256)], //               mov byte [code],imm: any byte at all
    () => [0xc6, 0x04, 0x25, ...le(target() | 2, 4), r.below(8)], //
    () => absolute([0x4c, 0x89], target()), //                                   mov [code],r8..r15: a library slot
    () => absolute([0x4c, 0x87], slot()), //                                     xchg
    () => absolute([0x4c, 0x87], slot() + ALIAS),
    () => [0xf0, ...absolute([0x4c, 0x0f, 0xb1], slot())], //                    lock cmpxchg
    () => [0xff, 0x04, 0x25, ...le(target(), 4)], //                             inc dword [code]
    () => [0xbf, ...le(slot(), 4), 0xbe, ...le(slot(), 4)], //                   mov edi,slot; mov esi,slot
    () => [0x6a, r.below(12), 0x59, 0xf3, r.of([0xaa, 0xa4])], //                push n; pop rcx; rep stosb, rep movsb
    () => [0xb0, 0x90, 0x6a, r.below(12), 0x59, 0xf3, 0xaa], //                  ... of nops
    () => [0x0f, 0x01, 0x3c, 0x25, ...le(slot(), 4)], //                         invlpg
    () => [0xcc], //                                                             int3: the host does something
  ])();
  return [...made, ...Array<number>(SLOT).fill(0x90)].slice(0, SLOT);
}

export interface World {
  readonly cpu: Cpu;
  /** Ends of runs so far, as text. */
  readonly story: string[];
  /** Continues until tick `until`; `go` runs the machine once, towards it. */
  run(until: number, go: (until: number) => Exit): void;
}

/** The world of a seed, before its first instruction. The host intervenes every `turnTicks` at least. */
export function worldOf(seed: number, turnTicks = TURN_TICKS): World {
  const r = new Random(seed);
  const cpu = new Cpu(2 * MIB, { arenaBytes: 1 << 20 });
  for (const at of SLOTS) cpu.memory.hostWrite(asPaddr(at), Uint8Array.from(slotBytes(r, at)));
  const tables = new Tables(cpu);
  for (const [va, pa] of CODE_PAGES) {
    tables.map(BigInt(va), pa, RW);
    tables.map(BigInt(va + ALIAS), pa, RW);
  }
  for (let at = DATA; at < STACK; at += 0x1000) tables.map(BigInt(at), at, RW);
  tables.enable(0);
  for (let n = 8; n < 16; n++) {
    const library = slotBytes(r, r.of(SLOTS)).slice(0, 8);
    cpu.set(R[`r${n}`]!, Buffer.from(library).readBigUInt64LE());
  }
  cpu.set(R.rip!, BigInt(r.of(SLOTS)));
  cpu.set(R.rsp!, BigInt(STACK));

  const story: string[] = [];
  const host = new Random(seed + 0x1_0000);
  /** What the host does when the guest cannot go on by itself. */
  const intervene = (): void => {
    const [va, pa] = host.of(CODE_PAGES);
    switch (host.below(6)) {
      case 0:
        cpu.memory.hostStore(
          asPaddr(host.of(SLOTS) + host.below(6)),
          host.of([1, 2, 4, 8]),
          BigInt(host.below(2 ** 31)),
        );
        break;
      case 1:
        cpu.memory.hostWrite(asPaddr(host.of(SLOTS)), Uint8Array.from(slotBytes(host, host.of(SLOTS))));
        break;
      case 2:
      case 3:
        tables.map(BigInt(va), host.below(2) ? pa : host.of(CODE_PAGES)[1], RW);
        if (host.below(2)) cpu.memory.tlb.flushPage(BigInt(va));
        break;
      case 4:
        cpu.memory.tlb.flush(host.below(2) === 0);
        break;
    }
    cpu.set(R.rip!, BigInt(host.of(SLOTS)));
    cpu.set(R.rsp!, BigInt(STACK));
  };
  let turn = 0;
  return {
    cpu,
    story,
    run: (until, go) => {
      while (cpu.machine.ticks < until) {
        if (cpu.machine.ticks >= (turn + 1) * turnTicks) {
          turn = Math.floor(cpu.machine.ticks / turnTicks);
          intervene();
        }
        const exit = go(Math.min(until, (turn + 1) * turnTicks));
        if (exit.kind === 'limit' || exit.kind === 'busy') continue;
        const text = JSON.stringify(exit, (_, v) => (typeof v === 'bigint' ? v.toString(16) : v));
        story.push(`${cpu.machine.ticks} ${cpu.machine.pc.toString(16)} ${text}`);
        cpu.machine.skip(1); // time passes, whatever happens
        intervene();
      }
    },
  };
}

/** Everything the guest could notice: registers, both TLBs, memory. */
export function whole(cpu: Cpu): { ticks: number; state: Buffer; memory: Buffer } {
  const { state } = takeCheckpoint(cpu);
  return { ticks: cpu.machine.ticks, state: Buffer.from(state), memory: Buffer.from(cpu.memory.guest) };
}
export const runTo = (cpu: Cpu, ticks: number): Exit => cpu.machine.run(asTicks(ticks));
