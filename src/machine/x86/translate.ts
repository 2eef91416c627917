/**
 * Instructions to records. A block is decoded first, then looked at from its end for flags that nobody reads, then
 * written. A comparison and the conditional jump behind it become one record.
 */
import { assert } from '../../base/assert.js';
import { REG } from '../../isa/x86_64.js';
import type { Exports } from '../engine/build.js';
import type { BlockBuilder, RecordFields, Translator } from '../engine/code.js';
import type { Bytes } from '../engine/kit.js';
import { HIDDEN, registerAt } from '../engine/layout.js';
import { OUT } from '../engine/records.js';
import { QUIET, SEMANTICS } from './families.js';
import { XMM_AT } from './hidden.js';
import type { BadInsn, Decoded, Insn, MemOperand, Operand, RegOperand, ShortInsn } from './insn.js';
import { type Form, formName, type OperandKind, type Semantics } from './semantics.js';
import { GUARD_NAME, loadName } from './semantics-sse.js';
import { STRING_OPS, stringVariant } from './semantics-string.js';

export type Decode = (bytes: Uint8Array, at: number, limit: number) => Decoded;

const PAGE = 4096n;
const INSN_BYTES_MAX = 15;
const RSP = REG.rsp!;
const SEGMENT_BASE = { [-1]: HIDDEN.zero, 4: registerAt(REG.fs_base!), 5: registerAt(REG.gs_base!) } as const;
const FUSED_WITH_JCC = new Set(['cmp', 'test']);
/** Their form's size is the address size: it chooses between ecx and rcx. */
const COUNTED_BY_ADDRESS_SIZE = new Set(['loop', 'loope', 'loopne', 'jrcxz']);
/** Touch the stack without an operand that says so: their records carry rsp as base, for #SS. */
const STACK_OPS = new Set(['push', 'pop', 'call', 'ret', 'leave', 'pushf']);
/** With a register for the bit number they reach beyond their memory operand: semantics-bits.ts. */
const BIT_OPS = new Set(['bt', 'bts', 'btr', 'btc']);

/** An instruction with its handler chosen, before it is written. */
interface Planned {
  readonly insn: Insn;
  readonly next: bigint;
  /** Undefined: executed by TypeScript, or not at all. */
  readonly name: string | undefined;
  readonly semantics: Semantics | undefined;
  /** The memory operand goes through an address micro-record. */
  readonly viaAddress: boolean;
  /** It is loaded by a micro-record, for a form that has only xmm registers (semantics-sse.ts). */
  readonly viaLoad: boolean;
}

const isShort = (decoded: Decoded): decoded is ShortInsn => decoded.op === '(short)';
/** Bytes that are no instruction, as one that raises #UD, or #GP when it is too long. */
const bad = ({ length, gp }: BadInsn): Insn => ({
  op: gp ? '(too long)' : '(bad)',
  length,
  size: 4,
  addressBytes: 8,
  cc: 0,
  lock: false,
  rep: '',
  operands: [],
});

export class X86Translator implements Translator {
  private readonly handlers: ReadonlyMap<string, number>;
  private readonly exports: Pick<Exports, 'code'>;
  private readonly guest: Uint8Array;
  private readonly decode: Decode;
  private readonly stackHandlers: ReadonlySet<number>;
  /** Instructions that leave the generated code, by the number in their record. */
  private outs: Insn[] = [];

  constructor(
    handlers: ReadonlyMap<string, number>,
    exports: Pick<Exports, 'code'>,
    guest: Uint8Array,
    decode: Decode,
  ) {
    this.handlers = handlers;
    this.stackHandlers = new Set(
      [...handlers].filter(([name]) => STACK_OPS.has(name.split('.')[0]!)).map(([, n]) => n),
    );
    this.exports = exports;
    this.guest = guest;
    this.decode = decode;
  }
  reset(): void {
    this.outs = [];
  }
  out(number: number): Insn {
    const insn = this.outs[number];
    assert(insn, 'a record names an instruction');
    return insn;
  }

  /** Whether a handler reads or writes the stack besides its operands. */
  usesStack(handler: number): boolean {
    return this.stackHandlers.has(handler);
  }

  translate(block: BlockBuilder, page: Uint8Array, limit: number): boolean {
    const planned: Planned[] = [];
    for (let offset = 0; planned.length < limit && offset < page.length; ) {
      const insn = this.decode(page, offset, page.length);
      if (isShort(insn)) {
        if (planned.length === 0) return this.acrossPages(block, page);
        break;
      }
      const whole = 'operands' in insn ? insn : bad(insn);
      offset += insn.length;
      planned.push(this.plan(whole, BigInt.asUintN(64, block.pc + BigInt(offset))));
      const { semantics } = planned.at(-1)!;
      if (!semantics || semantics.ends) break;
    }
    this.write(block, planned);
    return true;
  }
  /** The one instruction at the end of the page, with the rest of it from the next page. */
  private acrossPages(block: BlockBuilder, page: Uint8Array): boolean {
    const va = BigInt.asIntN(64, (block.pc & ~(PAGE - 1n)) + PAGE);
    const fetched = this.exports.code(va);
    if (fetched === 0) return false;
    const frame = (fetched & ~1) >>> 0;
    const bytes = new Uint8Array(page.length + INSN_BYTES_MAX);
    bytes.set(page);
    bytes.set(this.guest.subarray(frame, frame + INSN_BYTES_MAX), page.length);
    const insn = this.decode(bytes, 0, bytes.length);
    const whole = isShort(insn)
      ? bad({ op: '(bad)', length: INSN_BYTES_MAX, gp: true })
      : 'operands' in insn
        ? insn
        : bad(insn);
    block.guard(va, frame, Math.max(0, whole.length - page.length));
    this.write(block, [this.plan(whole, BigInt.asUintN(64, block.pc + BigInt(whole.length)))]);
    return true;
  }

  private plan(insn: Insn, next: bigint): Planned {
    const unplanned = { insn, next, name: undefined, semantics: undefined, viaAddress: false, viaLoad: false };
    const form = formOf(insn);
    if (!form) return unplanned;
    const memory = memoryOf(insn);
    const mustReduce = memory !== undefined && !expressible(insn, memory);
    const op = STRING_OPS.has(insn.op) ? insn.op + stringVariant(insn) : insn.op;
    for (const viaAddress of mustReduce ? [true] : memory?.index !== -1 && memory ? [false, true] : [false]) {
      const name = formName(op, viaAddress ? reduced(form) : form);
      const semantics = SEMANTICS.get(name);
      if (semantics) return { ...unplanned, name, semantics, viaAddress };
    }
    const name = memory && isVector(insn) ? formName(op, loaded(form)) : '';
    const semantics = SEMANTICS.get(name);
    return semantics ? { ...unplanned, name, semantics, viaAddress: mustReduce, viaLoad: true } : unplanned;
  }

  private write(block: BlockBuilder, planned: readonly Planned[]): void {
    const quiet = quietOnes(planned);
    let guarded = false;
    let count = 0;
    for (const [n, plan] of planned.entries()) {
      const { insn, next, name, semantics } = plan;
      count++;
      if (!name || !semantics) {
        block.record({
          handler: OUT,
          length: insn.length,
          imm: BigInt(this.outs.push(insn) - 1),
        });
        return;
      }
      if (!guarded && isVector(insn)) {
        guarded = true;
        block.record({ handler: this.handler(GUARD_NAME), length: 0 });
      }
      if (plan.viaAddress) this.writeAddress(block, insn, next);
      if (plan.viaLoad) this.writeLoad(block, plan);
      const fused = this.fuse(plan, planned[n + 1]);
      if (fused !== undefined) {
        const jcc = planned[n + 1]!;
        block.record({ ...this.fields(block, plan), handler: fused, length: insn.length + jcc.insn.length });
        const target = jcc.next + displacement(jcc.insn);
        // Odd conditions are the even ones with the ways out swapped.
        if (jcc.insn.cc & 1) block.exit(count + 1, target, jcc.next);
        else block.exit(count + 1, jcc.next, target);
        return;
      }
      block.record({ ...this.fields(block, plan), handler: this.handler(quiet[n] ? name + QUIET : name) });
      if (semantics.ends) {
        block.exit(count, next, insn.operands[0]?.kind === 'rel' ? next + displacement(insn) : 0n);
        return;
      }
    }
    block.goOn(count, planned.at(-1)!.next);
  }
  /** The handler of `first` and the conditional jump behind it as one, if there is one. */
  private fuse(first: Planned, second: Planned | undefined): number | undefined {
    if (second?.insn.op !== 'jcc' || !FUSED_WITH_JCC.has(first.insn.op)) return undefined;
    const { op } = first.insn;
    return this.handlers.get(`${op}+j${second.insn.cc & ~1}${first.name!.slice(op.length)}`);
  }

  private handler(name: string): number {
    const handler = this.handlers.get(name);
    assert(handler !== undefined, `a handler for ${name}`);
    return handler;
  }
  private writeLoad(block: BlockBuilder, plan: Planned): void {
    const memory = memoryOf(plan.insn)!;
    const handler = this.handler(loadName(memory.bytes, memory.index >= 0 && !plan.viaAddress));
    block.record({ ...this.memoryFields(block, plan, memory), handler, length: 0 });
  }
  private writeAddress(block: BlockBuilder, insn: Insn, next: bigint): void {
    const memory = memoryOf(insn)!;
    const bit = bitNumber(insn);
    const handler = this.handlers.get(bit ? `bits.${insn.size}.${insn.addressBytes}` : `address.${insn.addressBytes}`)!;
    const rip = memory.base === 16 ? next - block.pc : 0n;
    block.record({
      handler,
      length: 0,
      base: baseAt(block, memory),
      index: memory.index < 0 ? HIDDEN.zero : registerAt(memory.index),
      scale: Math.log2(memory.scale),
      src: SEGMENT_BASE[insn.op === 'lea' ? -1 : memory.segment],
      dst: bit ? registerAt(bit.reg) : 0,
      imm: memory.disp + rip + popBias(insn, memory),
    });
  }
  private memoryFields(
    block: BlockBuilder,
    { insn, next, viaAddress }: Planned,
    memory: MemOperand,
  ): { base: number; disp?: number; index?: number; scale?: number } {
    if (viaAddress) return { base: HIDDEN.address };
    return {
      base: baseAt(block, memory),
      disp: Number(memory.disp + popBias(insn, memory) + (memory.base === 16 ? next - block.pc : 0n)),
      index: memory.index < 0 ? HIDDEN.zero : registerAt(memory.index),
      scale: Math.log2(memory.scale),
    };
  }
  /** All fields but the handler. */
  private fields(block: BlockBuilder, plan: Planned): Omit<RecordFields, 'handler'> & { length: number } {
    const { insn, semantics } = plan;
    const fields: Omit<RecordFields, 'handler'> & { length: number } = { length: insn.length };
    if (STRING_OPS.has(insn.op)) return { ...fields, src: SEGMENT_BASE[sourceSegment(insn)] };
    insn.operands.forEach((operand, n) => {
      switch (operand.kind) {
        case 'reg':
          setRegister(fields, n, registerAt(operand.reg) + (operand.high ? 1 : 0));
          break;
        case 'xmm':
          setRegister(fields, n, XMM_AT + 16 * operand.reg);
          break;
        case 'imm':
          fields.imm = BigInt.asUintN(8 * insn.size, operand.value);
          break;
        case 'mem':
          if (plan.viaLoad) setRegister(fields, n, HIDDEN.vector);
          else Object.assign(fields, this.memoryFields(block, plan, operand));
      }
    });
    if (semantics?.system) fields.imm = ((fields.imm ?? 0n) << 32n) | BigInt(this.outs.push(insn) - 1);
    if (insn.op === 'jcc' || insn.op === 'setcc' || insn.op === 'cmovcc') fields.imm = BigInt(insn.cc);
    if (STACK_OPS.has(insn.op)) fields.base ??= registerAt(RSP);
    return fields;
  }
}

function setRegister(fields: Omit<RecordFields, 'handler'>, n: number, at: number): void {
  if (n === 0) fields.dst = at;
  else if (n === 1) fields.src = at;
  else fields.imm = BigInt(at);
}
/** Works on xmm registers. */
const isVector = (insn: Insn): boolean => insn.operands.some(o => o.kind === 'xmm');
/** The memory operand that ModRM says; string instructions and xlat have theirs in fixed registers. */
const memoryOf = (insn: Insn): MemOperand | undefined =>
  STRING_OPS.has(insn.op) ? undefined : insn.operands.find(o => o.kind === 'mem');
/** The segment of [rsi] or [rbx]; [rdi] is flat whatever the prefix says. */
const sourceSegment = (insn: Insn): MemOperand['segment'] => {
  for (const o of insn.operands) if (o.kind === 'mem' && o.segment !== -1) return o.segment;
  return -1;
};
/** The register with the bit number of a bit instruction on memory. */
function bitNumber({ op, operands }: Insn): RegOperand | undefined {
  const [target, bit] = operands;
  return BIT_OPS.has(op) && target?.kind === 'mem' && bit?.kind === 'reg' ? bit : undefined;
}
const baseAt = (block: BlockBuilder, memory: MemOperand): number =>
  memory.base < 0 ? HIDDEN.zero : memory.base === 16 ? block.pcAt : registerAt(memory.base);
/** pop computes an address based on rsp after it moved rsp. */
const popBias = (insn: Insn, memory: MemOperand): bigint =>
  insn.op === 'pop' && memory.base === RSP ? BigInt(insn.size) : 0n;
/** lea uses the address only, so a segment is no matter there. */
function expressible(insn: Insn, memory: MemOperand): boolean {
  if (insn.addressBytes !== 8 || bitNumber(insn)) return false;
  if (memory.segment !== -1 && insn.op !== 'lea') return false;
  // Slack for what is added to disp: at most a page of code and the bias of pop.
  return memory.disp >= -0x7fff_0000n && memory.disp < 0x7fff_0000n;
}
function displacement(insn: Insn): bigint {
  const target = insn.operands[0];
  assert(target?.kind === 'rel', `${insn.op} has a displacement`);
  return target.disp;
}

function kindOf(operand: Operand): OperandKind | undefined {
  switch (operand.kind) {
    case 'reg':
      return 'r';
    case 'imm':
      return 'i';
    case 'rel':
      return 'j';
    case 'xmm':
      return 'v';
    case 'mem':
      return operand.index < 0 ? 'm' : 'x';
    default:
      return undefined;
  }
}
/** The form of an instruction; undefined if an operand is of a kind no form has. */
function formOf(insn: Insn): Form | undefined {
  if (insn.op === 'nop' || STRING_OPS.has(insn.op)) return { size: insn.size, operands: [] };
  if (insn.op === 'ret') return { size: 8, operands: [{ kind: 'i', bytes: 8 }] };
  const vector = isVector(insn);
  const size = vector ? 8 : COUNTED_BY_ADDRESS_SIZE.has(insn.op) ? insn.addressBytes : isNear(insn) ? 8 : insn.size;
  const operands: { kind: OperandKind; bytes: Bytes | 16 }[] = [];
  for (const operand of insn.operands) {
    const kind = kindOf(operand);
    if (!kind) return undefined;
    // 16 bytes of memory without a vector: cmpxchg16b, whose form has two accesses of 8.
    const whole = 'bytes' in operand && operand.bytes > 0 && (operand.bytes !== 16 || vector);
    const bytes = whole ? operand.bytes : size;
    if (bytes !== 1 && bytes !== 2 && bytes !== 4 && bytes !== 8 && bytes !== 16) return undefined;
    operands.push({ kind, bytes });
  }
  return { size, operands };
}
const isNear = (insn: Insn): boolean => insn.op === 'jcc' || insn.op === 'call' || insn.op === 'jmp';
/** With an xmm register in place of memory. */
const loaded = (form: Form): Form => ({
  ...form,
  operands: form.operands.map(o => (o.kind === 'm' || o.kind === 'x' ? { ...o, kind: 'v' } : o)),
});
const reduced = (form: Form): Form => ({
  ...form,
  operands: form.operands.map(o => (o.kind === 'x' ? { ...o, kind: 'm' } : o)),
});

/**
 * Which instructions need not leave flags. Seen from the end, where all flags may be needed: an instruction that
 * overwrites all makes the flags before it dead; one that reads them, may fault or leaves to TypeScript makes them live.
 */
function quietOnes(planned: readonly Planned[]): readonly boolean[] {
  const quiet: boolean[] = [];
  let live = true;
  for (let n = planned.length - 1; n >= 0; n--) {
    const { insn, semantics } = planned[n]!;
    const plain = insn.operands.every(o => o.kind === 'reg' || o.kind === 'imm');
    const use = semantics?.flags ?? 'reads';
    quiet[n] = !live && plain && !semantics?.ends && (use === 'sets' || use === 'merges');
    if (use === 'sets') live = false;
    if (use === 'reads' || !plain || semantics?.traps || !semantics) live = true;
  }
  return quiet;
}
