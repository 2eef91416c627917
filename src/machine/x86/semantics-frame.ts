/** pushf, popf, enter, and push of a segment register: what goes to the stack besides operands (semantics-branch.ts). */
import { assert } from '../../base/assert.js';
import { get, i64, set } from '../../base/wasm.js';
import { REG } from '../../isa/x86_64.js';
import { ACCESS } from '../engine/fault.js';
import { L, next } from '../engine/kit.js';
import type { Cpu } from './cpu.js';
import { ARITHMETIC, DF, flagWord, IF, TF } from './flags.js';
import type { Insn } from './insn.js';
import { type Family, forms, type Semantics, type SystemOp } from './semantics.js';
import { push } from './semantics-branch.js';

const RSP = REG.rsp!;
const RBP = REG.rbp!;
const SEGMENTS = [REG.es!, REG.cs!, REG.ss!, REG.ds!, REG.fs!, REG.gs!];

/*
 *  21   18  17  16   14  13 12
 *  ID   AC  VM  RF   NT  IOPL       and those of flags.ts below
 */
const IOPL_SHIFT = 12n;
const IOPL = 3n << IOPL_SHIFT;
const NT = 1n << 14n;
const RF = 1n << 16n;
const VM = 1n << 17n;
const AC = 1n << 18n;
const ID = 1n << 21n;
/** What popf may always change (SDM 2B, POPF, table 4-16). */
const FREE = BigInt(ARITHMETIC | DF | TF) | NT | AC | ID;

const pushf: Semantics = {
  op: 'pushf',
  forms: forms([2, 8], ''),
  flags: 'reads',
  traps: true,
  // The image has RF and VM clear (SDM 2B, PUSHF).
  emit: x => [
    set(L.a, i64.or(i64.and(x.readRegister(REG.rflags!, 8), i64.const(~(RF | VM))), flagWord)),
    push(x, x.size, get(L.a)),
    next,
  ],
};

function popf(cpu: Cpu, insn: Insn): undefined {
  const bytes = insn.size as 2 | 8;
  const rsp = cpu.get(RSP);
  const popped = cpu.load(rsp, bytes);
  const old = cpu.get(REG.rflags!);
  const iopl = Number((old & IOPL) >> IOPL_SHIFT);
  let changes = FREE;
  if (cpu.cpl <= iopl) changes |= BigInt(IF);
  if (cpu.cpl === 0) changes |= IOPL;
  if (bytes === 2) changes &= 0xffffn;
  cpu.set(REG.rflags!, (old & ~changes & ~RF) | (popped & changes));
  cpu.set(RSP, rsp + BigInt(bytes));
}

/**
 * enter SIZE, LEVEL (SDM 2A, ENTER): push rbp; then for a nested procedure the frame pointers of the levels above, read
 * through rbp, and its own; then room for variables, whose lowest place must be writable although nothing is written.
 */
function enter(cpu: Cpu, insn: Insn): undefined {
  const [room, nesting] = insn.operands;
  assert(room?.kind === 'imm' && nesting?.kind === 'imm', 'enter has two immediates');
  const bytes = insn.size as 2 | 8;
  const level = Number(nesting.value & 31n);
  const rbp = cpu.get(RBP);
  let rsp = cpu.get(RSP);
  const pushValue = (value: bigint): void => {
    rsp = BigInt.asUintN(64, rsp - BigInt(bytes));
    cpu.store(rsp, bytes, value);
  };
  pushValue(rbp);
  const frame = rsp;
  for (let n = 1; n < level; n++) pushValue(cpu.load(BigInt.asUintN(64, rbp - BigInt(n * bytes)), bytes));
  if (level > 0) pushValue(frame);
  rsp = BigInt.asUintN(64, rsp - room.value);
  cpu.load(rsp, bytes, ACCESS.write);
  cpu.set(RBP, bytes === 8 ? frame : (rbp & ~0xffffn) | (frame & 0xffffn));
  cpu.set(RSP, rsp);
}

/** push fs, push gs: the selector, zero-extended. All other pushes are generated code. */
function pushSegment(cpu: Cpu, insn: Insn): undefined {
  const [segment] = insn.operands;
  assert(segment?.kind === 'seg', 'push of a segment register');
  const bytes = insn.size as 2 | 8;
  const rsp = BigInt.asUintN(64, cpu.get(RSP) - BigInt(bytes));
  cpu.store(rsp, bytes, cpu.get(SEGMENTS[segment.reg]!) & 0xffffn);
  cpu.set(RSP, rsp);
}

const system: readonly SystemOp[] = [
  { op: 'popf', run: popf },
  { op: 'enter', run: enter },
  { op: 'push', run: pushSegment },
];
export const FRAME: Family = { semantics: [pushf], system };
