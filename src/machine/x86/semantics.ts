/**
 * How instructions get their meaning. There are two ways.
 *
 * 1. `Semantics`: generated WebAssembly, for everything that runs often. One definition serves all its forms; a form is
 *    an operand size and the kind of each operand, and becomes one handler ("add.4.rm"). Example, the whole of `add`:
 *
 *      { op: 'add', forms: forms([1, 2, 4, 8], 'rr ri rM Mr Mi'), flags: 'sets', emit: x => [
 *          set(L.a, x.readForStore(0)),                  // may fault: nothing is changed yet
 *          set(L.b, x.read(1)),
 *          set(L.r, i64.add(get(L.a), get(L.b))),
 *          x.update(0, get(L.r)),                        // register or memory; cannot fault after readForStore
 *          x.setFlags('add', get(L.a), get(L.b)),        // nothing, in the quiet variant
 *          next ] }
 *
 *    Kinds: r general register, i immediate, m memory [base + disp], x memory [base + index * scale + disp], M both m
 *    and x, j branch displacement, v xmm register (semantics-sse.ts). A number behind a kind is its size in bytes where it differs from the operand size:
 *    'rM1' is movzx from a byte. Address forms that m and x cannot say (fs:, gs:, 32-bit addresses, 64-bit offsets) are
 *    reduced to m by a micro-record before; x falls back to m the same way. What is in no form is unimplemented.
 *
 *    Write code with base/wasm.ts and engine/kit.ts (L: the locals; load, store, trap, next, leave, jump). Scratch: L.a, L.b,
 *    L.r, L.c (i64), L.m, L.n (i32). The order that keeps exceptions precise: read all (may fault), store, then
 *    registers, then flags. Helper functions: put them in the family's `functions` and `call` them.
 *    A locked form is the same form: there is one processor, so every instruction is atomic. The decoder refuses bad locks.
 *    Implicit registers: x.register(REG.rax!, 8) is the address, x.readRegister and x.writeRegister the values.
 *    Where the meaning depends on a prefix, the op in the name has a variant behind it (semantics-string.ts).
 *    An interruptible instruction does a bounded part of its work, writes rcx, rsi, rdi, and ends with `outAgain` (goes
 *    on after the run loop had a look; counts nothing) or with `next` when done.
 *
 * 2. `SystemOp`: TypeScript, for what is rare. Called between runs with a Cpu (cpu.ts); throw `new GuestFault(...)` for an
 *    exception (nothing may be changed yet), return an Exit to leave the run loop, nothing when it retired. pc stays at
 *    the instruction; cpu.next is where execution goes on, to be set by one that jumps. Its memory accesses (cpu.load, cpu.store) are checked as the guest's own.
 *
 * A family is one file that exports a Family; families.ts lists them all.
 */

import { assert } from '../../base/assert.js';
import { type Code, type Func, i32, set } from '../../base/wasm.js';
import type { Exit } from '../engine/exits.js';
import { addressOf, type Bytes, field, L, load, loadForStore, peek, poke, store, storeBack } from '../engine/kit.js';
import { registerAt } from '../engine/layout.js';
import type { Cpu } from './cpu.js';
import { type FlagClass, setFlags } from './flags.js';
import type { Insn } from './insn.js';

export type OperandKind = 'r' | 'i' | 'm' | 'x' | 'j' | 'v';
export interface Form {
  readonly size: Bytes;
  readonly operands: readonly { readonly kind: OperandKind; readonly bytes: Bytes | 16 }[];
}

/**
 * 'none': leaves flags alone. 'sets': overwrites all six. 'merges': overwrites some, keeps the others, and its result does
 * not depend on them. 'reads': its result depends on them (adc, setcc, pushf). With 'sets' and 'merges' there is a quiet
 * variant of the register forms, used where nobody reads the flags before they are overwritten: x.quiet is true there.
 */
export type FlagUse = 'none' | 'sets' | 'merges' | 'reads';

export interface Semantics {
  /** Insn.op, and behind a dot the variant, if the op has variants. */
  readonly op: string;
  readonly forms: readonly Form[];
  readonly flags: FlagUse;
  /** Ends the block: it may go elsewhere than to the next instruction. The record has an exit behind it. */
  readonly ends?: boolean;
  /** May fault other than by a memory operand (div, push): the flags before it must be right. */
  readonly traps?: boolean;
  /**
   * Does the common case, and leaves the rest to the SystemOp of the same name with a branch to TO.out. The low half of imm then
   * names the instruction, and an immediate is in the high half: field.immAbove.
   */
  readonly system?: boolean;
  emit(x: Operands): Code;
}
export interface SystemOp {
  readonly op: string;
  run(cpu: Cpu, insn: Insn): 'again' | Exit | undefined;
}
export interface Family {
  readonly semantics?: readonly Semantics[];
  readonly system?: readonly SystemOp[];
  readonly functions?: readonly Func[];
}

/** forms([4, 8], 'rr rM2'): every size with every pattern; M stands for m and x. */
export function forms(sizes: readonly Bytes[], patterns: string): readonly Form[] {
  const plain = patterns.split(' ').flatMap(p => (p.includes('M') ? [p.replace('M', 'm'), p.replace('M', 'x')] : [p]));
  return sizes.flatMap(size =>
    plain.map(pattern => ({
      size,
      operands: [...pattern.matchAll(/([rimxjv])(\d*)/g)].map(([, kind, bytes]) => ({
        kind: kind as OperandKind,
        bytes: (bytes ? Number(bytes) : size) as Bytes | 16,
      })),
    })),
  );
}

/** The name of a form's handler: op.size.operands, sizes of operands only where they differ (and never for i and j). */
export const formName = (op: string, form: Form): string =>
  `${op}.${form.size}.${form.operands
    .map(({ kind, bytes }) => (bytes === form.size || kind === 'i' || kind === 'j' ? kind : kind + bytes))
    .join('')}`;

/** The operands of one form, for `emit`. Numbers count from the destination, 0. */
export class Operands {
  readonly size: Bytes;
  readonly form: Form;
  /** Nobody reads the flags this instruction would leave. */
  readonly quiet: boolean;

  constructor(form: Form, quiet: boolean) {
    this.form = form;
    this.size = form.size;
    this.quiet = quiet;
  }
  isMemory(n: number): boolean {
    const kind = this.form.operands[n]!.kind;
    return kind === 'm' || kind === 'x';
  }
  bytes(n: number): Bytes {
    const { bytes } = this.form.operands[n]!;
    assert(bytes !== 16, 'sixteen bytes are read as a vector');
    return bytes;
  }
  /** Sets L.va to the address of memory operand n, without an access (lea). */
  address(n: number): Code {
    return set(L.va, addressOf(this.form.operands[n]!.kind === 'x'));
  }
  /** The value, zero-extended to i64 (an immediate too: the translator cuts it to the operand size). Memory: may fault. */
  read(n: number): Code {
    const { kind } = this.form.operands[n]!;
    if (kind === 'i') return field.imm;
    const bytes = this.bytes(n);
    if (kind === 'r') return peek(bytes, this.registerField(n));
    return [this.address(n), load(bytes)];
  }
  /** As read, of an operand that `update` will write: memory must be writable. Between them L.va and L.host are taken. */
  readForStore(n: number): Code {
    return this.isMemory(n) ? [this.address(n), loadForStore(this.bytes(n))] : this.read(n);
  }
  /** Writes operand n after readForStore. `value`: an i64 (a cheap expression), its high bits do not matter. */
  update(n: number, value: Code): Code {
    return this.isMemory(n) ? storeBack(this.bytes(n), value) : this.writeField(n, value);
  }
  /** Writes operand n without reading it. Memory: may fault, so it comes before any other change. */
  write(n: number, value: Code): Code {
    return this.isMemory(n) ? [this.address(n), store(this.bytes(n), value)] : this.writeField(n, value);
  }
  setFlags(kind: FlagClass, a: Code, b: Code): Code {
    return this.quiet ? [] : setFlags(kind, this.size, a, b);
  }
  readRegister(reg: number, bytes: Bytes = this.size): Code {
    return peek(bytes, i32.const(0), registerAt(reg));
  }
  /** A 32-bit write clears the upper half, narrower ones keep the rest (SDM 1, 3.4.1.1). */
  writeRegister(reg: number, value: Code, bytes: Bytes = this.size): Code {
    return writeRegisterAt(bytes, i32.const(0), value, registerAt(reg));
  }
  /** The address of register operand n, in linear memory. */
  registerField(n: number): Code {
    assert(n < 3, 'three operands at most');
    return [field.dst, field.src, field.imm32][n]!;
  }
  private writeField(n: number, value: Code): Code {
    return writeRegisterAt(this.bytes(n), this.registerField(n), value, 0);
  }
}

const writeRegisterAt = (bytes: Bytes, at: Code, value: Code, offset: number): Code =>
  bytes === 4 ? poke(8, at, low32(value), offset) : poke(bytes, at, value, offset);
/** Zero-extension of the low half, as wrap and extend: one move on the machine. */
const low32 = (value: Code): Code => [value, 0xa7, 0xad];

/** An exception that a SystemOp raises. It is the guest's, not ours: the run loop makes it an exit. */
export class GuestFault {
  readonly vector: number;
  readonly code: number | undefined;
  constructor(vector: number, code?: number) {
    this.vector = vector;
    this.code = code;
  }
}

/** Any other exit that a SystemOp raises from somewhere inside: a fault of a memory access, a refusal. */
export class GuestExit {
  readonly exit: Exit;
  constructor(exit: Exit) {
    this.exit = exit;
  }
}
