/**
 * Control of the SSE unit; mxcsr is a register.
 */
import { REG } from '../../isa/x86_64.js';
import type { Cpu } from './cpu.js';
import { MXCSR_MASK } from './fx-image.js';
import type { Insn } from './insn.js';
import { readOperand, writeOperand } from './operands.js';
import type { Family, SystemOp } from './semantics.js';
import { invalid } from './system-control.js';
import { needSse } from './x87-state.js';

const does = (op: string, need: (cpu: Cpu) => void, what: (cpu: Cpu, insn: Insn) => void): SystemOp => ({
  op,
  run: (cpu, insn) => {
    need(cpu);
    what(cpu, insn);
    return undefined;
  },
});

export const VECTOR_FAMILY: Family = {
  system: [
    does('ldmxcsr', needSse, (cpu, insn) => {
      const value = readOperand(cpu, insn, 0);
      if (value & ~BigInt(MXCSR_MASK)) throw invalid();
      cpu.set(REG.mxcsr!, value);
    }),
    does('stmxcsr', needSse, (cpu, insn) => writeOperand(cpu, insn, 0, cpu.get(REG.mxcsr!))),
  ],
};
