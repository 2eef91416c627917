/**
 * The emulated processor as a runner of cases: the little world of tools/cpu/layout.mjs in guest memory, one instruction,
 * and what it did. Half of the cases run with cold fast tags, and half as a whole block instead of a single step, so that
 * both kinds of records and both ways to memory are compared. A fault goes through the guest's IDT, as on the real
 * machine, and what is compared is the frame that its handler finds.
 */
import { assert } from '../../../src/base/assert.js';
import { asPaddr, asTicks } from '../../../src/base/brand.js';
import { REG } from '../../../src/isa/x86_64.js';
import type { Exit, Trap } from '../../../src/machine/engine/exits.js';
import { Cpu, CR0, CR4, EFER } from '../../../src/machine/x86/cpu.js';
import { deliver } from '../../../src/machine/x86/deliver.js';
import { imageOf, loadImage } from '../../../src/machine/x86/fx-image.js';
import { HIDDEN_STATE } from '../../../src/machine/x86/hidden.js';
import { DIFFERENCES } from './native-differences.js';
import { KERNEL, mapKernel, TSS_LIMIT } from './runner-kernel.js';

/** As in tools/cpu/layout.mjs, which says more. */
export interface Patch {
  addr: number;
  bytes: Uint8Array;
}
export interface Case {
  readonly form: string;
  readonly code: Uint8Array;
  readonly rip: bigint;
  readonly gpr: BigUint64Array;
  readonly rflags: bigint;
  readonly patches: Patch[];
  readonly mode: 0 | 1;
  readonly fx?: Uint8Array;
}
export interface Result {
  /** Set if there is none: the instruction is not implemented, and why. */
  refused?: string;
  gpr: BigUint64Array;
  rip: bigint;
  rflags: bigint;
  fault?: { vector: number; error: number; cr2: bigint };
  writes: Patch[];
  fx?: Uint8Array;
}

const PAGE = 0x1000;
const CODE = 0x4000_0000;
const DATA = 0x4001_0000;
const DATA_BYTES = 0x5000;
const INT3 = 0xcc;
const BREAKPOINT = 3;
/** cmp al, al: sets all flags and changes nothing else. */
const COMPARE = [0x38, 0xc0];
const PAGE_FAULT = 14;
/** Vectors whose frame has an error code. */
const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);
/** In Case.gpr. */
const RSP = 4;
/** Where the pages are in guest memory. */
const CODE_AT = 0x3000;
const DATA_AT = 0x1_0000;
const TABLES = 0x2_0000;

const PRESENT = 1n;
const WRITE = 2n;
const USER = 4n;
/** Set from the start: this is about instructions, not about the page walk. */
const USED = 0x60n;
const NX = 1n << 63n;

const SEGMENTS = [
  [REG.cs!, 0x33n],
  [REG.ss!, 0x2bn],
  ...[REG.ds!, REG.es!, REG.fs!, REG.gs!].map(reg => [reg, 0n] as const),
] as const;
/** Interrupts on, and the bit that is always 1; of the case, the status flags and DF. */
const FLAGS_GIVEN = 0xcd5n;
const FLAGS_FIXED = 0x202n;
/** TF and RF belong to whoever steps. */
const FLAGS_COMPARED = ~0x1_0100n;

const BACKGROUND = Uint8Array.from({ length: DATA_BYTES }, (_, i) => ((DATA + i) * 167) ^ ((DATA + i) >> 7));
/** Their order in a case is that of the processor, as in REG. */
const GENERAL = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'
  .split(' ')
  .map(name => (REG as Record<string, number>)[name]!);

export interface Runner {
  run(c: Case): Result;
  /**
   * The registers after the instruction and a comparison behind it, in one block: nobody reads the flags the instruction
   * leaves, so it may be executed by a handler that leaves none. Undefined if it does not end behind itself.
   */
  runQuietly(c: Case): BigUint64Array | undefined;
  /** As run, in a region (engine/region/) made for it. Undefined where there is none: the interpreter keeps it. */
  runInRegion(c: Case): Result | undefined;
  /** Why a result differs from the native one as it should; undefined if it should not. */
  known(form: string, native: Result, ours: Result): string | undefined;
}

/** The machine is made once; each case sets all of its world again. */
export function createRunner(): Runner {
  const cpu = new Cpu(1 << 20, { arenaBytes: 1 << 20 });
  const { memory, machine } = cpu;
  mapWorld(cpu);
  let turn = 0;

  const prepare = (c: Case, behind: readonly number[] = []): Uint8Array => {
    prepareCode(c, behind);
    return prepareData(c);
  };
  const prepareCode = (c: Case, behind: readonly number[]): void => {
    const code = new Uint8Array(PAGE).fill(INT3);
    const offset = Number(c.rip) - CODE;
    code.set([...c.code, ...behind].slice(0, PAGE - offset), offset);
    memory.hostWrite(asPaddr(CODE_AT), code);
  };
  const prepareData = (c: Case): Uint8Array => {
    const data = BACKGROUND.slice();
    for (const { addr, bytes } of c.patches) data.set(bytes, addr - DATA);
    memory.hostWrite(asPaddr(DATA_AT), data);
    GENERAL.forEach((reg, n) => {
      cpu.set(reg, c.gpr[n]!);
    });
    for (const [reg, selector] of SEGMENTS) if (cpu.get(reg) !== selector) cpu.set(reg, selector);
    cpu.set(REG.fs_base!, 0x7ffe_1234_5670n);
    cpu.set(REG.gs_base!, 0x2000_0000n);
    cpu.set(REG.rflags!, (c.rflags & FLAGS_GIVEN) | FLAGS_FIXED);
    cpu.set(REG.rip!, c.rip);
    if (c.fx) loadImage(cpu, c.fx);
    return data;
  };
  const result = (before: Uint8Array, rip: bigint, exit: Exit | undefined): Result => {
    if (exit && exit.kind !== 'trap') return refusal(exit.kind === 'unimplemented' ? exit.what : exit.kind);
    const fault = exit && faultOf(exit.trap);
    if (typeof fault === 'string') return refusal(fault);
    const after = memory.guest.slice(DATA_AT, DATA_AT + DATA_BYTES);
    const r: Result = {
      gpr: BigUint64Array.from(GENERAL, reg => cpu.get(reg)),
      rip,
      rflags: cpu.get(REG.rflags!) & FLAGS_COMPARED,
      writes: changes(before, after),
      fx: imageOf(cpu),
    };
    if (!fault) return r;
    r.gpr[RSP] = fault.rsp;
    const { vector, error, cr2 } = fault;
    return { ...r, rip: fault.rip, rflags: fault.rflags & FLAGS_COMPARED, fault: { vector, error, cr2 } };
  };
  /** Delivers a fault and reads the frame of its handler; or why it could not be delivered. */
  const faultOf = (trap: Trap) => {
    const failed = deliver(cpu, trap);
    if (failed) return `delivery of vector ${trap.vector} ends with ${failed.kind}`;
    const vector = Number(cpu.get(REG.rip!) - KERNEL.handlers) / 16;
    let at = KERNEL.stackAt - Number(KERNEL.stack - cpu.get(REG.rsp!));
    const pop = (): bigint => {
      at += 8;
      return memory.read(asPaddr(at - 8), 8);
    };
    const error = WITH_ERROR.has(vector) ? Number(pop()) : 0;
    const [rip, cs, rflags, rsp, ss] = [pop(), pop(), pop(), pop(), pop()];
    assert(cs === 0x33n && ss === 0x2bn, 'the frame has the segments of ring 3');
    return { vector, error, rip, rflags, rsp, cr2: vector === PAGE_FAULT ? cpu.get(REG.cr2!) : 0n };
  };
  const toEnd = (ticks: number): Exit => {
    for (;;) {
      const exit = machine.run(asTicks(machine.ticks + ticks));
      if (exit.kind !== 'busy') return exit;
    }
  };

  /** On through the instruction, which ends at an int3 or at a fetch that faults. */
  const through = (before: Uint8Array): Result | undefined => {
    const start = machine.ticks;
    const exit = toEnd(100);
    const done = machine.ticks - start;
    if (done === 0) return result(before, cpu.get(REG.rip!), exit);
    if (done === 1 && !isTrap(exit)) return result(before, cpu.get(REG.rip!), undefined);
    if (done === 2 && isTrap(exit) && exit.trap.vector === BREAKPOINT)
      return result(before, cpu.get(REG.rip!) - 1n, undefined);
    return undefined; // it went elsewhere in the page, or is an int3 itself
  };

  return {
    known: (form, native, ours) => DIFFERENCES.find(d => d.accounts(form, native, ours))?.reason,
    runQuietly(c) {
      prepare(c, COMPARE);
      const [start, end] = [machine.ticks, c.rip + BigInt(c.code.length + COMPARE.length)];
      const exit = toEnd(100);
      if (machine.ticks - start !== 3 || !isTrap(exit) || cpu.get(REG.rip!) !== end + 1n) return undefined;
      return BigUint64Array.from(GENERAL, reg => cpu.get(reg));
    },
    runInRegion(c) {
      prepare(c);
      toEnd(100); // decodes it, and warms the tags
      const { made } = machine.hot;
      machine.hot.make(c.rip);
      return machine.hot.made > made ? through(prepareData(c)) : undefined;
    },
    run(c) {
      turn++;
      if (turn & 1) memory.tlb.dropFast();
      const whole = turn & 2 ? through(prepare(c)) : undefined;
      if (whole) return whole;
      const before = prepare(c);
      const exit = toEnd(1);
      return result(before, cpu.get(REG.rip!), exit.kind === 'limit' ? undefined : exit);
    },
  };
}

const refusal = (refused: string): Result => ({
  refused,
  gpr: new BigUint64Array(16),
  rip: 0n,
  rflags: 0n,
  writes: [],
});
/** The instruction is done and raised a trap: int n. */
const isTrap = (exit: Exit): exit is Extract<Exit, { kind: 'trap' }> =>
  exit.kind === 'trap' && exit.trap.kind === 'trap';

/** 64-bit mode, ring 3, and the pages of the world. */
function mapWorld(cpu: Cpu): void {
  const { memory } = cpu;
  const entry = (table: number, index: number, value: bigint): void =>
    memory.hostStore(asPaddr(table + 8 * index), 8, value);
  const below = PRESENT | WRITE | USER | USED;
  const [l4, l3, l2, l1] = [TABLES, TABLES + PAGE, TABLES + 2 * PAGE, TABLES + 3 * PAGE] as const;
  // CODE is 1 GiB: index 1 in l3, and everything lies in the first 2 MiB from there.
  entry(l4, 0, BigInt(l3) | below);
  entry(l3, 1, BigInt(l2) | below);
  entry(l2, 0, BigInt(l1) | below);
  entry(l1, 0, BigInt(CODE_AT) | PRESENT | USER | USED);
  const page = (n: number, flags: bigint): void =>
    entry(l1, (DATA - CODE) / PAGE + n, BigInt(DATA_AT + n * PAGE) | PRESENT | USER | NX | USED | flags);
  page(0, WRITE);
  page(1, WRITE);
  page(2, 0n);
  page(4, WRITE);
  cpu.set(REG.cr3!, BigInt(l4));
  cpu.set(REG.cr4!, CR4.PAE | CR4.OSFXSR | CR4.OSXMMEXCPT);
  cpu.set(REG.efer!, EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE);
  cpu.set(REG.cr0!, CR0.PE | CR0.PG | CR0.WP | CR0.MP | CR0.NE);
  entry(l4, KERNEL.topIndex, BigInt(mapKernel(memory)) | PRESENT | WRITE | USED);
  cpu.set(REG.gdtr_base!, KERNEL.gdt);
  cpu.set(REG.gdtr_limit!, 127n);
  cpu.set(REG.idtr_base!, KERNEL.idt);
  cpu.set(REG.idtr_limit!, 4095n);
  cpu.set(REG.tr!, 0x40n);
  cpu.hidden.set(HIDDEN_STATE.trBase, KERNEL.tss);
  cpu.hidden.set(HIDDEN_STATE.trLimit, TSS_LIMIT);
  cpu.set(REG.cs!, 0x33n);
}

/** The bytes that changed, as runs of at most 27; a gap of up to eight equal bytes stays within its run. */
function changes(before: Uint8Array, after: Uint8Array): Patch[] {
  const runs: { from: number; to: number }[] = [];
  const [old, now] = [before, after].map(bytes => new BigUint64Array(bytes.buffer, bytes.byteOffset, DATA_BYTES / 8));
  for (let word = 0; word < DATA_BYTES / 8; word++) {
    if (old![word] === now![word]) continue;
    for (let at = word * 8; at < word * 8 + 8; at++) {
      if (before[at] === after[at]) continue;
      const run = runs.at(-1);
      if (run && at - run.from < 27 && at - run.to <= 8) run.to = at + 1;
      else runs.push({ from: at, to: at + 1 });
    }
  }
  return runs.map(({ from, to }) => ({ addr: DATA + from, bytes: after.slice(from, to) }));
}
