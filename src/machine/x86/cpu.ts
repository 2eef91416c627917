/**
 * The x86-64 processor: its registers, and what it brings to the engine. Register numbers are those of isa/x86_64.ts
 * (REG). Registers live in linear memory (engine/layout.ts); two are views: rflags joins the lazy arithmetic flags with
 * the rest, and a write to cs, cr0, cr3, cr4 or efer also sets up the page walk.
 */
import { assert } from '../../base/assert.js';
import { asPaddr, PAGE_BYTES, type Paddr } from '../../base/brand.js';
import { REG, X86_64 } from '../../isa/x86_64.js';
import type { Exit } from '../engine/exits.js';
import { ACCESS, type Access } from '../engine/fault.js';
import { CONTROL, FAST_CODE, FAST_DATA, HIDDEN, layoutOf, registerAt } from '../engine/layout.js';
import type { Memory } from '../engine/memory.js';
import { handlerOf, RECORD, SLOT_BYTES } from '../engine/records.js';
import { Machine, type Processor } from '../engine/run.js';
import { WALK } from '../engine/walk.js';
import { CR0, CR4, EFER, RFLAGS } from './control.js';
import { CPUID, type Cpuid } from './cpuid.js';
import { Debug } from './debug.js';
import { decode } from './decode.js';
import { FUNCTIONS, HANDLERS, SYSTEM_OPS } from './families.js';
import { exitOf } from './fault.js';
import { ARITHMETIC } from './flags.js';
import { HIDDEN_STATE, Hidden } from './hidden.js';
import type { Insn } from './insn.js';
import { WALK_4LEVEL } from './paging.js';
import { HINTS } from './region-hints.js';
import { GuestExit, GuestFault } from './semantics.js';
import { type Decode, X86Translator } from './translate.js';

export { CR0, CR4, EFER, RFLAGS };

/** Registers that decide how memory is walked. */
const MODE = new Set([REG.cs!, REG.cr0!, REG.cr3!, REG.cr4!, REG.efer!]);
/** Bits of those, as numbers: this is done at every change of privilege. */
const LOW = { PG: Number(CR0.PG), WP: Number(CR0.WP), NXE: Number(EFER.NXE), PGE: Number(CR4.PGE) } as const;
/** Where these are among the words of all registers. */
const RSP_AT = 2 * REG.rsp!;
const RBP_AT = 2 * REG.rbp!;
const RIP_AT = 2 * REG.rip!;
const RFLAGS_AT = 2 * REG.rflags!;
const INSN_BYTES_MAX = 15;
/** SystemOps that reach the stack without an operand that says so: a bad address there is #SS. */
const STACK_OPS = new Set(['push', 'pop', 'popf', 'enter', 'iret', 'retf', 'callf']);

/** What a flush of the architectural TLB was about: everything, all that is not global, or the page of an address. */
export type FlushScope = 'all' | 'local' | 'page';

export class Cpu {
  readonly machine: Machine;
  readonly memory: Memory;
  /** State that is in no register. */
  readonly hidden: Hidden;
  private readonly debug: Debug;
  private readonly decode: Decode;
  private translator: X86Translator | undefined;
  /** The instruction a SystemOp executes now. */
  private insn: Insn | undefined;

  /** The registers where they live. */
  private readonly words: Uint32Array;
  /** The arithmetic flags, as bits of rflags. */
  private readonly flagWord: () => number;

  /** What cpuid answers: to be replaced by a system that has its own idea of the machine. */
  cpuid: Cpuid = CPUID;
  /** Mnemonics of SystemOps that the host wants to do itself: they end the run as a call, with nothing checked or done. */
  intercept: ReadonlySet<string> = new Set();
  /** Set it while an interrupt waits: the run ends with a `window` as soon as the guest would take one. */
  wantsInterrupt = false;
  /** Who hears of a write to cr3 by mov, of a flush by an instruction, of a write to a model-specific register. */
  onRoot: (old: bigint, value: bigint) => void = () => {};
  onFlush: (scope: FlushScope, va: bigint) => void = () => {};
  onMsr: (number: number, old: bigint, value: bigint) => void = () => {};
  /** For a SystemOp: the address behind the instruction, where execution goes on. To be set by one that jumps. */
  next = 0n;

  /** @param guestBytes size of guest memory; decode another decoder, for tests */
  constructor(guestBytes: number, options: { decode?: Decode; arenaBytes?: number } = {}) {
    this.decode = options.decode ?? decode;
    this.machine = new Machine(layoutOf(guestBytes, options.arenaBytes), memory => this.processor(memory));
    this.memory = this.machine.memory;
    this.words = new Uint32Array(this.memory.wasm.buffer, registerAt(0), 2 * this.count);
    const { flag_word } = this.machine.engine.exports as unknown as { flag_word?(): number };
    assert(flag_word, 'the engine exports flag_word');
    this.flagWord = flag_word;
    this.hidden = new Hidden(this.memory);
    this.debug = new Debug(this);
    this.reset();
  }
  /** State after power-on, as far as it is not zero (SDM 3A, table 9-1), but in protected mode. */
  private reset(): void {
    this.set(REG.rflags!, RFLAGS.FIXED);
    this.set(REG.cr0!, CR0.PE | CR0.ET);
    this.set(REG.dr6!, 0xffff_0ff0n);
    this.set(REG.dr7!, 0x400n);
    this.set(REG.fcw!, 0x37fn);
    this.set(REG.mxcsr!, 0x1f80n);
    this.hidden.set(HIDDEN_STATE.pat, 0x0007_0406_0007_0406n);
    this.hidden.set(HIDDEN_STATE.miscEnable, 1n); // fast strings
  }
  private processor(memory: Memory): Processor {
    return {
      isa: X86_64,
      format: WALK_4LEVEL,
      handlers: HANDLERS,
      functions: FUNCTIONS,
      hints: HINTS,
      translator: machine => {
        this.translator = new X86Translator(machine.engine.handlers, machine.engine.exports, memory.guest, this.decode);
        return this.translator;
      },
      execute: number => this.execute(this.translator!.out(number)),
      fault: (kind, access, detail) => this.fault(kind, access, detail),
      before: () => this.debug.before(),
      after: finished => this.debug.after(finished),
    };
  }

  /** The privilege level, 0 or 3. */
  get cpl(): number {
    return this.memory.view.getUint16(registerAt(REG.cs!), true) & 3;
  }
  /** The value of a register; between runs, or inside onWatched for those the instruction has not changed yet. */
  get(reg: number): bigint {
    if (reg === REG.rip) return this.machine.pc;
    const value = this.memory.view.getBigUint64(registerAt(reg), true);
    return reg === REG.rflags ? value | BigInt(this.flagWord()) : value;
  }
  /** Sets a register as it is, without the side effects of an instruction: no TLB flush, no checks. */
  set(reg: number, value: bigint): void {
    const { view } = this.memory;
    let stored = BigInt.asUintN(64, value);
    if (reg === REG.rflags) {
      view.setUint32(HIDDEN.flagClass, 0, true);
      view.setBigUint64(HIDDEN.flagA, stored & BigInt(ARITHMETIC), true);
      stored = (stored & ~BigInt(ARITHMETIC)) | RFLAGS.FIXED;
    }
    view.setBigUint64(registerAt(reg), stored, true);
    if (MODE.has(reg)) this.setUpWalk();
  }
  /** Registers by number, each a low and a high word: those asked for, rip and rflags at least. When allowed as `get`. */
  readRegisters(into: Uint32Array, which: readonly number[]): void {
    const { words } = this;
    for (let n = 0; n < which.length; n++) {
      const at = 2 * which[n]!;
      into[at] = words[at]!;
      into[at + 1] = words[at + 1]!;
    }
    this.machine.readPc(into, RIP_AT);
    into[RFLAGS_AT] = words[RFLAGS_AT]! | this.flagWord();
    into[RFLAGS_AT + 1] = words[RFLAGS_AT + 1]!;
  }
  /** The same for rsp, rbp, rip and rflags alone, which say where the guest is. */
  readSpot(into: Uint32Array): void {
    const flags = this.flagWord();
    const { words } = this;
    into[RSP_AT] = words[RSP_AT]!;
    into[RSP_AT + 1] = words[RSP_AT + 1]!;
    into[RBP_AT] = words[RBP_AT]!;
    into[RBP_AT + 1] = words[RBP_AT + 1]!;
    into[RFLAGS_AT] = words[RFLAGS_AT]! | flags;
    into[RFLAGS_AT + 1] = words[RFLAGS_AT + 1]!;
    this.machine.readPc(into, RIP_AT);
  }
  /** How many registers there are. */
  get count(): number {
    return X86_64.registers.length;
  }
  /** Brings what has several forms into one: the lazy flags become a word, scratch registers 0. Changes no register. */
  settle(): void {
    const { view } = this.memory;
    this.set(REG.rflags!, this.get(REG.rflags!));
    view.setUint32(HIDDEN.flagClass + 4, 0, true);
    for (const at of [HIDDEN.address, HIDDEN.temp, HIDDEN.flagB, HIDDEN.vector, HIDDEN.vector + 8])
      view.setBigUint64(at, 0n, true);
  }
  /** Makes the control words of the walk follow cs, cr0, cr3, cr4 and efer. The architectural TLB stays. */
  setUpWalk(): void {
    const { view } = this.memory;
    const user = this.cpl === 3;
    const cr0 = view.getUint32(registerAt(REG.cr0!), true);
    const flags =
      (cr0 & LOW.PG ? WALK.paging : 0) |
      (user ? WALK.user : 0) |
      (cr0 & LOW.WP ? WALK.writeProtect : 0) |
      (view.getUint32(registerAt(REG.efer!), true) & LOW.NXE ? WALK.noExecute : 0) |
      (view.getUint32(registerAt(REG.cr4!), true) & LOW.PGE ? WALK.global : 0);
    // The fast tags of each privilege stay when only the privilege changes.
    if ((view.getUint32(CONTROL.walkFlags, true) ^ flags) & ~WALK.user) this.memory.tlb.dropFast();
    view.setUint32(CONTROL.walkFlags, flags, true);
    view.setBigUint64(CONTROL.root, view.getBigUint64(registerAt(REG.cr3!), true), true);
    view.setUint32(CONTROL.fastData, user ? FAST_DATA.user : FAST_DATA.supervisor, true);
    view.setUint32(CONTROL.fastCode, user ? FAST_CODE.user : FAST_CODE.supervisor, true);
  }

  /**
   * For a SystemOp: reads guest memory with the checks of the current privilege. Raises the guest's fault. With access
   * write, as the load of a read-modify-write: memory must be writable.
   */
  load(va: bigint, bytes: 1 | 2 | 4 | 8, access: Access = ACCESS.read): bigint {
    const value = this.machine.engine.exports.slow_load(BigInt.asIntN(64, va), bytes, access, 0, 0);
    if (this.memory.view.getInt32(CONTROL.faultKind, true)) throw this.accessFault();
    return BigInt.asUintN(64, value);
  }
  /** For a SystemOp: writes guest memory as the guest does. Raises the guest's fault, with nothing written. */
  store(va: bigint, bytes: 1 | 2 | 4 | 8, value: bigint): void {
    if (this.machine.engine.exports.slow_store(BigInt.asIntN(64, va), BigInt.asIntN(64, value), bytes, 0, 0))
      throw this.accessFault();
  }

  /**
   * For the host, between runs: where the byte at `va` is in physical memory, for an access of the current privilege.
   * Whatever the processor does on the way to such a byte happens: accessed and dirty bits, a TLB entry.
   * @returns the physical address, or the fault the access would raise
   */
  reach(va: bigint, access: Access): Paddr | Exit {
    this.machine.engine.exports.slow_load(BigInt.asIntN(64, va), 1, access, 0, 0);
    if (this.memory.view.getInt32(CONTROL.faultKind, true)) return this.accessFault().exit;
    return asPaddr(this.memory.tlb.frameOf(va) + Number(va & 0xfffn));
  }

  /** The fault of an access that the generated code just reported, to be thrown. */
  private accessFault(): GuestExit {
    const { view } = this.memory;
    const [kind, access] = [view.getInt32(CONTROL.faultKind, true), view.getInt32(CONTROL.faultAccess, true)];
    view.setInt32(CONTROL.faultKind, 0, true);
    return new GuestExit(this.fault(kind, access, view.getBigUint64(CONTROL.faultDetail, true)));
  }
  /**
   * Does `work` with its memory accesses checked as those of the supervisor, whatever the current privilege: how the
   * processor reads descriptors and writes trap frames (implicit supervisor-mode accesses, SDM 3A, 4.6).
   */
  asSupervisor<T>(work: () => T): T {
    const { view } = this.memory;
    const flags = view.getUint32(CONTROL.walkFlags, true);
    if (!(flags & WALK.user)) return work();
    view.setUint32(CONTROL.walkFlags, flags & ~WALK.user, true);
    view.setUint32(CONTROL.fastData, FAST_DATA.supervisor, true);
    try {
      return work();
    } finally {
      view.setUint32(CONTROL.walkFlags, flags, true);
      view.setUint32(CONTROL.fastData, FAST_DATA.user, true);
    }
  }
  /** Does `work`. What it raises for the guest comes back as an exit; other errors are ours and go on. */
  attempt<T>(work: () => T): T | Exit {
    try {
      return work();
    } catch (e) {
      if (e instanceof GuestExit) return e.exit;
      if (!(e instanceof GuestFault)) throw e;
      return { kind: 'trap', trap: { vector: e.vector, code: e.code, address: undefined, kind: 'fault' } };
    }
  }

  /** An instruction that left the generated code; pc is at it. */
  private execute(insn: Insn): 'retired' | 'again' | Exit {
    const op = SYSTEM_OPS.get(insn.op);
    if (this.intercept.has(insn.op)) return { kind: 'call', name: insn.op, length: insn.length };
    if (!op) return { kind: 'unimplemented', what: describe(insn) };
    this.insn = insn;
    this.next = BigInt.asUintN(64, this.machine.pc + BigInt(insn.length));
    const done = this.attempt(() => op.run(this, insn) ?? 'retired');
    this.insn = undefined;
    if (isOver(done)) this.machine.pc = this.next;
    return done;
  }
  /** The instruction at pc, or undefined where it cannot be fetched. Between runs; fetches as the processor does. */
  instruction(): Insn | undefined {
    const { pc } = this.machine;
    const bytes = new Uint8Array(INSN_BYTES_MAX);
    let have = 0;
    for (const from of [pc, (pc | 0xfffn) + 1n]) {
      const frame = this.machine.engine.exports.code(BigInt.asIntN(64, from));
      this.memory.view.setInt32(CONTROL.faultKind, 0, true);
      if (frame === 0) return undefined;
      const at = ((frame & ~1) >>> 0) + Number(from & 0xfffn);
      const room = Math.min(INSN_BYTES_MAX - have, PAGE_BYTES - Number(from & 0xfffn));
      bytes.set(this.memory.guest.subarray(at, at + room), have);
      have += room;
      const decoded = this.decode(bytes, 0, have);
      if (decoded.op !== '(short)') return 'operands' in decoded ? decoded : undefined;
    }
    return undefined;
  }
  /** No interrupt is taken before the next instruction (sti), nor a debug trap (mov ss). For a SystemOp. */
  shadow(debugToo: boolean): void {
    this.hidden.set(HIDDEN_STATE.shadow, BigInt(this.machine.ticks) + 2n); // this instruction is not counted yet
    this.hidden.set(HIDDEN_STATE.shadowsDebug, debugToo ? 1n : 0n);
  }
  get inShadow(): boolean {
    return this.hidden.get(HIDDEN_STATE.shadow) === BigInt(this.machine.ticks) + 1n;
  }
  /** Whether an external interrupt would be taken now. Between runs. */
  get canInterrupt(): boolean {
    return (this.get(REG.rflags!) & RFLAGS.IF) !== 0n && !this.inShadow;
  }
  /** For a SystemOp: a single-step trap will follow. */
  get isStepping(): boolean {
    return this.debug.stepping;
  }
  /** For syscall and sysret: TF counts as they leave it, not as it was before. */
  sampleTrapFlag(): void {
    this.debug.stepping = (this.get(REG.rflags!) & RFLAGS.TF) !== 0n;
  }
  /** For iret: RF is for the next instruction, not for this one. */
  keepResumeFlag(): void {
    this.debug.loadedRf = true;
  }
  /**
   * For the host, between runs: the instruction at pc, of `length` bytes, is done. It counts as one, as if the processor
   * had done it.
   * @returns the single-step trap behind it, if there is one
   */
  retire(length: number): Exit | undefined {
    this.machine.pc += BigInt(length);
    this.machine.retire();
    return this.debug.after(true);
  }
  private fault(kind: number, access: number, detail: bigint): Exit {
    const { view } = this.memory;
    const record = view.getUint32(CONTROL.record, true);
    return exitOf(kind, access, BigInt.asUintN(64, detail), {
      user: (view.getUint32(CONTROL.walkFlags, true) & WALK.user) !== 0,
      noExecute: (this.get(REG.efer!) & EFER.NXE) !== 0n,
      stack: record === 0 ? this.systemUsesStack() : this.usesStack(record, BigInt.asUintN(64, detail)),
    });
  }
  private systemUsesStack(): boolean {
    if (!this.insn) return false;
    const memory = this.insn.operands.find(o => o.kind === 'mem');
    if (!memory) return STACK_OPS.has(this.insn.op);
    return memory.segment === -1 && (memory.base === REG.rsp || memory.base === REG.rbp);
  }
  /** Whether the instruction of a record met `va` as an address in the stack segment: by rsp, rbp, or a push or pop. */
  private usesStack(record: number, va: bigint): boolean {
    const { view } = this.memory;
    const at = (from: number, field: number): number => view.getUint32(from + field, true);
    let base = at(record, RECORD.base);
    if (base === HIDDEN.address) {
      const micro = record - SLOT_BYTES;
      if (at(micro, RECORD.src) === HIDDEN.zero) base = at(micro, RECORD.base);
    }
    if (base === registerAt(REG.rsp!) || base === registerAt(REG.rbp!)) return true;
    // push [rax]: one of its addresses is implicit.
    const distance = BigInt.asIntN(64, va - this.get(REG.rsp!));
    return this.translator!.usesStack(handlerOf(view, record)) && distance >= -8n && distance < 8n;
  }
}

/** Whether the instruction is behind us, by what became of it. */
const isOver = (done: 'retired' | 'again' | Exit): boolean =>
  done === 'retired' ||
  (done !== 'again' && (done.kind === 'halt' || (done.kind === 'trap' && done.trap.kind === 'trap')));

/** An instruction in words, for a refusal. */
export function describe(insn: Insn): string {
  const operand = (o: Insn['operands'][number]): string =>
    o.kind === 'imm' ? `0x${o.value.toString(16)}` : 'reg' in o ? `${o.kind}${o.reg}` : o.kind;
  return `${[insn.op, insn.operands.map(operand).join(',')].filter(Boolean).join(' ')} (${insn.size} bytes)`;
}
