/**
 * Control of the x87, MMX and SSE units. Their state is drawn in x87-state.ts, hidden.ts and, as fxsave has it, fx-image.ts.
 */
import { REG } from '../../isa/x86_64.js';
import type { Cpu } from './cpu.js';
import { MXCSR_MASK } from './fx-image.js';
import { HIDDEN_STATE } from './hidden.js';
import type { Insn } from './insn.js';
import { readOperand, writeOperand } from './operands.js';
import type { Family, SystemOp } from './semantics.js';
import { invalid } from './system-control.js';
import { FCW_BITS, FCW_FIXED, FCW_INITIAL, needForWait, needSse, needState, needX87 } from './x87-state.js';

/** ES, stack fault, exceptions, and B: what fnclex clears. */
const FSW_EXCEPTIONS = 0x80ffn;

function fninit(cpu: Cpu): void {
  needX87(cpu);
  cpu.set(REG.fcw!, FCW_INITIAL);
  cpu.set(REG.fsw!, 0n);
  for (const at of [HIDDEN_STATE.ftw, HIDDEN_STATE.fop, HIDDEN_STATE.fip, HIDDEN_STATE.fdp]) cpu.hidden.set(at, 0n);
}

const does = (op: string, need: (cpu: Cpu) => void, what: (cpu: Cpu, insn: Insn) => void): SystemOp => ({
  op,
  run: (cpu, insn) => {
    need(cpu);
    what(cpu, insn);
    return undefined;
  },
});
const nothing = (): void => {};

export const VECTOR_FAMILY: Family = {
  system: [
    does('ldmxcsr', needSse, (cpu, insn) => {
      const value = readOperand(cpu, insn, 0);
      if (value & ~BigInt(MXCSR_MASK)) throw invalid();
      cpu.set(REG.mxcsr!, value);
    }),
    does('stmxcsr', needSse, (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.mxcsr!))),
    does('fninit', nothing, fninit),
    does('fnclex', needX87, cpu => cpu.set(REG.fsw!, cpu.get(REG.fsw!) & ~FSW_EXCEPTIONS)),
    does('fnstcw', needX87, (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.fcw!))),
    does('fnstsw', needX87, (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.fsw!))),
    does('fldcw', needX87, (cpu, insn) => cpu.set(REG.fcw!, (readOperand(cpu, insn, 0) & FCW_BITS) | FCW_FIXED)),
    does('emms', needState, cpu => cpu.hidden.set(HIDDEN_STATE.ftw, 0n)),
    // No exception is ever pending: no arithmetic raises one.
    does('wait', needForWait, nothing),
  ],
};
