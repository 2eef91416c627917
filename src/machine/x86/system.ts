/** The rare instructions, in TypeScript: see semantics.ts, 2. For now only what the first programs need. */
import { REG } from '../../isa/x86_64.js';
import type { Exit } from '../engine/exits.js';
import type { Cpu } from './cpu.js';
import { type Family, GuestFault } from './semantics.js';

const GP = 13;
const UD = 6;

const privileged = (cpu: Cpu): void => {
  if (cpu.cpl !== 0) throw new GuestFault(GP, 0);
};
/** Left to the host: pc stays at the instruction. */
const leaveToHost = (name: string) => ({
  op: name,
  run: (cpu: Cpu, insn: { length: number }): Exit => {
    cpu.set(REG.rip!, cpu.get(REG.rip!) - BigInt(insn.length));
    return { kind: 'call', name, length: insn.length };
  },
});

export const SYSTEM: Family = {
  system: [
    {
      op: '(bad)',
      run: () => {
        throw new GuestFault(UD);
      },
    },
    {
      op: '(too long)',
      run: () => {
        throw new GuestFault(GP, 0);
      },
    },
    {
      op: 'ud2',
      run: () => {
        throw new GuestFault(UD);
      },
    },
    {
      op: 'hlt',
      run: cpu => {
        privileged(cpu);
        return { kind: 'halt' };
      },
    },
    leaveToHost('syscall'),
  ],
};
