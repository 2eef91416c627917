/**
 * The x86-64 processor: its registers, and what it brings to the engine. Register numbers are those of isa/x86_64.ts
 * (REG). Registers live in linear memory (engine/layout.ts); two are views: rflags joins the lazy arithmetic flags with
 * the rest, and a write to cs, cr0, cr3, cr4 or efer also sets up the page walk.
 */
import { assert } from '../../base/assert.js';
import { hi32, lo32 } from '../../base/u64.js';
import { REG, X86_64 } from '../../isa/x86_64.js';
import type { Exit } from '../engine/exits.js';
import { ACCESS, type Access } from '../engine/fault.js';
import { CONTROL, FAST_CODE, FAST_DATA, HIDDEN, layoutOf, registerAt } from '../engine/layout.js';
import type { Memory } from '../engine/memory.js';
import { RECORD, SLOT_BYTES } from '../engine/records.js';
import { Machine, type Processor } from '../engine/run.js';
import { WALK } from '../engine/walk.js';
import { decode } from './decode.js';
import { FUNCTIONS, HANDLERS, SYSTEM_OPS } from './families.js';
import { exitOf } from './fault.js';
import { ARITHMETIC } from './flags.js';
import type { Insn } from './insn.js';
import { WALK_4LEVEL } from './paging.js';
import { GuestFault } from './semantics.js';
import { type Decode, X86Translator } from './translate.js';

export const CR0 = { PE: 1n << 0n, MP: 1n << 1n, EM: 1n << 2n, TS: 1n << 3n, WP: 1n << 16n, PG: 1n << 31n } as const;
export const CR4 = { PAE: 1n << 5n, PGE: 1n << 7n } as const;
export const EFER = { SCE: 1n << 0n, LME: 1n << 8n, LMA: 1n << 10n, NXE: 1n << 11n } as const;
const RFLAGS_FIXED = 2n;
/** Registers that decide how memory is walked. */
const MODE = new Set([REG.cs!, REG.cr0!, REG.cr3!, REG.cr4!, REG.efer!]);

/** An access of a SystemOp met a fault of the page walk; it is in the control words. */
const WALK_FAULT = Symbol('walk fault');

export class Cpu {
  readonly machine: Machine;
  readonly memory: Memory;
  private translator: X86Translator | undefined;

  /** @param guestBytes size of guest memory; decode another decoder, for tests */
  constructor(guestBytes: number, options: { decode?: Decode; arenaBytes?: number } = {}) {
    this.machine = new Machine(layoutOf(guestBytes, options.arenaBytes), memory =>
      this.processor(memory, options.decode ?? decode),
    );
    this.memory = this.machine.memory;
    this.set(REG.rflags!, RFLAGS_FIXED);
    this.set(REG.cr0!, CR0.PE);
  }
  private processor(memory: Memory, decoder: Decode): Processor {
    return {
      isa: X86_64,
      format: WALK_4LEVEL,
      handlers: HANDLERS,
      functions: FUNCTIONS,
      translator: machine => {
        this.translator = new X86Translator(machine.engine.handlers, machine.engine.exports, memory.guest, decoder);
        return this.translator;
      },
      execute: number => this.execute(this.translator!.out(number)),
      fault: (kind, access, detail) => this.fault(kind, access, detail),
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
    return reg === REG.rflags ? value | BigInt(this.exports.flag_word()) : value;
  }
  /** Sets a register as it is, without the side effects of an instruction: no TLB flush, no checks. */
  set(reg: number, value: bigint): void {
    const { view } = this.memory;
    let stored = BigInt.asUintN(64, value);
    if (reg === REG.rflags) {
      view.setUint32(HIDDEN.flagClass, 0, true);
      view.setBigUint64(HIDDEN.flagA, stored & BigInt(ARITHMETIC), true);
      stored = (stored & ~BigInt(ARITHMETIC)) | RFLAGS_FIXED;
    }
    view.setBigUint64(registerAt(reg), stored, true);
    if (MODE.has(reg)) this.setUpWalk();
  }
  /** All registers, by number, each a low and a high word. When allowed as `get`. */
  readRegisters(into: Uint32Array): void {
    into.set(new Uint32Array(this.memory.wasm.buffer, registerAt(0), 2 * this.count));
    const pc = this.machine.pc;
    into[2 * REG.rip!] = lo32(pc);
    into[2 * REG.rip! + 1] = hi32(pc);
    into[2 * REG.rflags!]! |= this.exports.flag_word();
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
    for (const at of [HIDDEN.address, HIDDEN.temp, HIDDEN.flagB]) view.setBigUint64(at, 0n, true);
  }
  /** Makes the control words of the walk follow cs, cr0, cr3, cr4 and efer. The architectural TLB stays. */
  setUpWalk(): void {
    const { view } = this.memory;
    const has = (reg: number, bit: bigint): boolean => (view.getBigUint64(registerAt(reg), true) & bit) !== 0n;
    const user = this.cpl === 3;
    const flags =
      (has(REG.cr0!, CR0.PG) ? WALK.paging : 0) |
      (user ? WALK.user : 0) |
      (has(REG.cr0!, CR0.WP) ? WALK.writeProtect : 0) |
      (has(REG.efer!, EFER.NXE) ? WALK.noExecute : 0) |
      (has(REG.cr4!, CR4.PGE) ? WALK.global : 0);
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
    if (this.memory.view.getInt32(CONTROL.faultKind, true)) throw WALK_FAULT;
    return BigInt.asUintN(64, value);
  }
  /** For a SystemOp: writes guest memory as the guest does. Raises the guest's fault, with nothing written. */
  store(va: bigint, bytes: 1 | 2 | 4 | 8, value: bigint): void {
    if (this.machine.engine.exports.slow_store(BigInt.asIntN(64, va), BigInt.asIntN(64, value), bytes, 0, 0))
      throw WALK_FAULT;
  }

  /** An instruction that left the generated code; pc is at it. */
  private execute(insn: Insn): 'retired' | 'again' | Exit {
    const op = SYSTEM_OPS.get(insn.op);
    if (!op) return { kind: 'unimplemented', what: describe(insn) };
    const pc = this.machine.pc;
    this.machine.pc = pc + BigInt(insn.length);
    try {
      return op.run(this, insn) ?? 'retired';
    } catch (e) {
      this.machine.pc = pc;
      if (e instanceof GuestFault)
        return { kind: 'trap', trap: { vector: e.vector, code: e.code, address: undefined, kind: 'fault' } };
      if (e !== WALK_FAULT) throw e;
      const { view } = this.memory;
      const exit = this.fault(
        view.getInt32(CONTROL.faultKind, true),
        view.getInt32(CONTROL.faultAccess, true),
        view.getBigUint64(CONTROL.faultDetail, true),
      );
      view.setInt32(CONTROL.faultKind, 0, true);
      return exit;
    }
  }
  private fault(kind: number, access: number, detail: bigint): Exit {
    const { view } = this.memory;
    const record = view.getUint32(CONTROL.record, true);
    return exitOf(kind, access, BigInt.asUintN(64, detail), {
      user: this.cpl === 3,
      noExecute: (this.get(REG.efer!) & EFER.NXE) !== 0n,
      stack: record !== 0 && this.usesStack(record, BigInt.asUintN(64, detail)),
    });
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
    return this.translator!.usesStack(view.getUint16(record, true)) && distance >= -8n && distance < 8n;
  }
  private get exports(): { flag_word(): number } {
    const exports = this.machine.engine.exports as unknown as { flag_word(): number };
    assert(exports.flag_word, 'the engine exports flag_word');
    return exports;
  }
}

/** An instruction in words, for a refusal. */
function describe(insn: Insn): string {
  const operand = (o: Insn['operands'][number]): string =>
    o.kind === 'imm' ? `0x${o.value.toString(16)}` : 'reg' in o ? `${o.kind}${o.reg}` : o.kind;
  return `${[insn.op, insn.operands.map(operand).join(',')].filter(Boolean).join(' ')} (${insn.size} bytes)`;
}
