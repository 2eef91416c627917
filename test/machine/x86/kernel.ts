/**
 * The least a kernel needs, for tests of system instructions: paging, a GDT, an IDT, a TSS and stacks, all mapped one to one
 * for the supervisor; user code, data and stack for everybody.
 *
 *   1000 kernel code   2000 user code (user)   3000 GDT, LDT at 3800   4000 IDT   5000 TSS
 *   8000 kernel stack  9000 IST 1   a000 user stack (user)   c000 handlers, 16 bytes a vector   d000 user data (user)
 */
import { asPaddr, asTicks } from '../../../src/base/brand.js';
import type { Exit, Trap } from '../../../src/machine/engine/exits.js';
import { type Cpu, CR4 } from '../../../src/machine/x86/cpu.js';
import { deliver } from '../../../src/machine/x86/deliver.js';
import { HIDDEN_STATE } from '../../../src/machine/x86/hidden.js';
import { bare, bytes, PRESENT, R, Tables, USER, WRITE } from '../engine/guest.js';

export const AT = {
  kernel: 0x1000n,
  user: 0x2000n,
  gdt: 0x3000n,
  ldt: 0x3800n,
  idt: 0x4000n,
  tss: 0x5000n,
  kernelStack: 0x9000n,
  ist: 0xa000n,
  userStack: 0xb000n,
  handlers: 0xc000n,
  data: 0xd000n,
} as const;
export const SELECTOR = {
  code0: 0x10,
  data0: 0x18,
  /** star's field for sysret: cs is 16 behind it, ss 8. */
  sysret: 0x20,
  data3: 0x2b,
  code3: 0x33,
  tss: 0x38,
  ldt: 0x48,
  absent: 0x58,
  /** Data at 0x8765_4321, for ring 3. */
  based: 0x63,
  code32: 0x6b,
  code1: 0x71,
  callGate: 0x78,
  conforming: 0x80,
  readOnly: 0x88,
  executeOnly: 0x90,
  end: 0x98,
} as const;

/** A descriptor: rights as in segments.ts, flags G D L - as one digit. */
export const descriptor = (rights: number, flags: number, base = 0n, limit = 0xfffffn): bigint =>
  (limit & 0xffffn) |
  ((base & 0xff_ffffn) << 16n) |
  (BigInt(rights) << 40n) |
  ((limit >> 16n) << 48n) |
  (BigInt(flags) << 52n) |
  ((base >> 24n) << 56n);
const GDT: Readonly<Record<number, bigint>> = {
  [SELECTOR.code0]: descriptor(0x9b, 0xa),
  [SELECTOR.data0]: descriptor(0x93, 0xc),
  [SELECTOR.data3 & ~7]: descriptor(0xf2, 0xc),
  [SELECTOR.code3 & ~7]: descriptor(0xfa, 0xa),
  [SELECTOR.tss]: descriptor(0x89, 0, AT.tss, 0x67n),
  [SELECTOR.ldt]: descriptor(0x82, 0, AT.ldt, 15n),
  [SELECTOR.absent]: descriptor(0x12, 0xc),
  [SELECTOR.based & ~7]: descriptor(0xf3, 0xc, 0x8765_4321n),
  [SELECTOR.code32 & ~7]: descriptor(0xfb, 0xc),
  [SELECTOR.code1 & ~7]: descriptor(0xbb, 0xa),
  [SELECTOR.callGate]: descriptor(0x8c, 0),
  [SELECTOR.conforming]: descriptor(0x9e, 0xa),
  [SELECTOR.readOnly]: descriptor(0xf1, 0xc),
  [SELECTOR.executeOnly]: descriptor(0xf9, 0xa),
};

/** A gate; attributes: 8e interrupt, 8f trap, ee and ef the same for ring 3. */
export function gate(cpu: Cpu, vector: number, attributes = 0x8e, ist = 0, selector: number = SELECTOR.code0): void {
  const offset = handlerOf(vector);
  const low =
    (offset & 0xffffn) |
    (BigInt(selector) << 16n) |
    (BigInt(ist) << 32n) |
    (BigInt(attributes) << 40n) |
    ((offset & 0xffff_0000n) << 32n);
  put(cpu, AT.idt + BigInt(16 * vector), low);
  put(cpu, AT.idt + BigInt(16 * vector + 8), offset >> 32n);
}
export const handlerOf = (vector: number): bigint => AT.handlers + BigInt(16 * (vector & 0xff));
export const put = (cpu: Cpu, at: bigint, value: bigint): void => cpu.memory.hostStore(asPaddr(Number(at)), 8, value);
export const peek = (cpu: Cpu, at: bigint): bigint => cpu.memory.read(asPaddr(Number(at)), 8);
export const write = (cpu: Cpu, at: bigint, hex: string): void => cpu.memory.hostWrite(asPaddr(Number(at)), bytes(hex));

export interface Kernel {
  readonly cpu: Cpu;
  readonly tables: Tables;
}
/** Ready to run `kernel` in ring 0, or `user` (hex) in ring 3 when there is any. No gates; registers as given. */
export function kernel(code: { kernel?: string; user?: string }, registers: Record<string, bigint> = {}): Kernel {
  const cpu = bare(code.kernel ?? 'f4');
  if (code.user) write(cpu, AT.user, code.user);
  const tables = new Tables(cpu);
  for (const at of [0x1000, 0x3000, 0x4000, 0x5000, 0x8000, 0x9000, 0xc000])
    tables.map(BigInt(at), at, PRESENT | WRITE);
  for (const at of [0x2000, 0xa000, 0xd000]) tables.map(BigInt(at), at, PRESENT | WRITE | USER);
  for (const [selector, value] of Object.entries(GDT)) put(cpu, AT.gdt + BigInt(selector), value);
  put(cpu, AT.tss + 4n, AT.kernelStack);
  put(cpu, AT.tss + 36n, AT.ist);
  put(cpu, AT.tss + 0x60n, 0x68n << 48n); // no I/O map: its base is behind the end
  tables.enable(code.user ? 3 : 0);
  const set = (name: string, value: bigint): void => cpu.set(R[name]!, value);
  set('cr4', cpu.get(R.cr4!) | CR4.OSFXSR);
  set('gdtr_base', AT.gdt);
  set('gdtr_limit', BigInt(SELECTOR.end - 1));
  set('idtr_base', AT.idt);
  set('idtr_limit', 0xfffn);
  set('tr', BigInt(SELECTOR.tss));
  cpu.hidden.set(HIDDEN_STATE.trBase, AT.tss);
  cpu.hidden.set(HIDDEN_STATE.trLimit, 0x67n);
  set('cs', BigInt(code.user ? SELECTOR.code3 : SELECTOR.code0));
  set('ss', BigInt(code.user ? SELECTOR.data3 : 0));
  set('rip', code.user ? AT.user : AT.kernel);
  set('rsp', code.user ? AT.userStack : AT.kernelStack);
  set('rflags', 0x202n);
  for (const [name, value] of Object.entries(registers)) set(name, value);
  return { cpu, tables };
}

/** Runs at most `ticks`, to the next exit. */
export const run = (cpu: Cpu, ticks = 1000): Exit => cpu.machine.run(asTicks(cpu.machine.ticks + ticks));
/** Runs to a trap and delivers it. Returns the trap; anything else that ends the run is an error of the test. */
export function runToTrap(cpu: Cpu): { trap: Trap; result: Exit | undefined } {
  const exit = run(cpu);
  if (exit.kind !== 'trap') throw new Error(`the guest ended with ${JSON.stringify(exit)}, not with a trap`);
  return { trap: exit.trap, result: deliver(cpu, exit.trap) };
}
/** Runs and delivers until anything but a trap ends it; the vectors on the way. */
export function drive(cpu: Cpu, ticks = 1000): { exit: Exit; vectors: number[] } {
  const vectors: number[] = [];
  const until = asTicks(cpu.machine.ticks + ticks);
  for (let n = 0; n < ticks; n++) {
    const exit = cpu.machine.run(until);
    if (exit.kind !== 'trap') return { exit, vectors };
    vectors.push(exit.trap.vector);
    const failed = deliver(cpu, exit.trap);
    if (failed) return { exit: failed, vectors };
  }
  return { exit: { kind: 'limit' }, vectors };
}
/** The words from rsp up: of a trap frame [code,] rip, cs, rflags, rsp, ss. */
export const stackWords = (cpu: Cpu, count: number): bigint[] =>
  Array.from({ length: count }, (_, n) => peek(cpu, cpu.get(R.rsp!) + BigInt(8 * n)));
export const faultOf = (vector: number, code?: number) => ({
  kind: 'trap',
  trap: { vector, code, address: undefined, kind: 'fault' },
});
export const HALT = { kind: 'halt' };
