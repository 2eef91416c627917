/**
 * Which memory an instruction will access, from its operands and the registers before it: for data breakpoints. The
 * generated code does not say; this is only asked while somebody has one set.
 *
 * Of a repeated string instruction it is the next element: the machine does them one at a time while somebody looks.
 * Accesses through descriptor tables and by the page walk do not count, as on the processor (SDM 3B, 17.2.4).
 */
import { REG } from '../../isa/x86_64.js';
import type { Cpu } from './cpu.js';
import type { Insn } from './insn.js';
import { addressOf } from './operands.js';

export interface Access {
  readonly at: bigint;
  readonly bytes: bigint;
  readonly write: boolean;
}

const set = (ops: string): ReadonlySet<string> => new Set(ops.split(' '));
/** Name memory without touching it. */
const NO_ACCESS = set('lea invlpg nop prefetch');
/** Only read their first operand. */
const READ_ONLY = set(
  'cmp test bt push call jmp callf jmpf mul imul div idiv cmps scas outs lgdt lidt lldt ltr lmsw verr verw ' +
    'fld fldcw fxrstor ldmxcsr clflush',
);
/** Write all memory they name, first operand or not. */
const WRITE_ALL = set('xchg xadd cmpxchg cmpxchg8b cmpxchg16b maskmovq maskmovdqu');
const PUSHES = set('push pushf call callf enter');
const POPS = set('pop popf ret retf iret');
const WORDS: Readonly<Record<string, number>> = { iret: 5, retf: 2, callf: 2 };
const BIT_OPS = set('bt bts btr btc');

/** See above; between instructions, `insn` being the one at pc. */
export function accessesOf(cpu: Cpu, insn: Insn): readonly Access[] {
  const { op } = insn;
  const found: Access[] = [];
  const next = cpu.machine.pc + BigInt(insn.length);
  insn.operands.forEach((operand, n) => {
    if (operand.kind !== 'mem' || NO_ACCESS.has(op) || op.startsWith('prefetch')) return;
    const write = WRITE_ALL.has(op) || (n === 0 && !READ_ONLY.has(op));
    const at = addressOf(cpu, insn, operand, next);
    const bytes = BigInt(operand.bytes || insn.size);
    if (insn.rep && BigInt.asUintN(8 * insn.addressBytes, cpu.get(REG.rcx!)) === 0n) return; // nothing left to do
    found.push({ at: BigInt.asUintN(64, at + bitOffset(cpu, insn, bytes)), bytes, write });
  });
  const stack = BigInt((WORDS[op] ?? 1) * (op === 'call' || op === 'ret' ? 8 : insn.size));
  const rsp = cpu.get(REG.rsp!);
  if (PUSHES.has(op)) found.push({ at: rsp - stack, bytes: stack, write: true });
  if (POPS.has(op)) found.push({ at: rsp, bytes: stack, write: false });
  if (op === 'leave') found.push({ at: cpu.get(REG.rbp!), bytes: BigInt(insn.size), write: false });
  return found;
}
/** bt and its like with a register reach beyond the operand, in units of its size. */
function bitOffset(cpu: Cpu, insn: Insn, bytes: bigint): bigint {
  const index = insn.operands[1];
  if (!BIT_OPS.has(insn.op) || index?.kind !== 'reg') return 0n;
  return (BigInt.asIntN(8 * index.bytes, cpu.get(index.reg)) >> BigInt(Math.log2(8 * Number(bytes)))) * bytes;
}
