/**
 * Model-specific registers and the time stamp counter. SDM 4, 2.1 (architectural MSRs). What is not in the table does
 * not exist: reading or writing it is #GP(0), and kernels are prepared for that.
 */
import { REG } from '../../isa/x86_64.js';
import { CR0, CR4, EFER, isCanonical } from './control.js';
import type { Cpu } from './cpu.js';
import { HIDDEN_STATE } from './hidden.js';
import { type Family, GuestExit } from './semantics.js';
import { invalid, privileged } from './system-control.js';

interface Msr {
  read(cpu: Cpu): bigint;
  /** May raise #GP(0), with nothing changed. */
  write(cpu: Cpu, value: bigint): void;
}

/** The counter: one a tick, from where the guest last set it. */
export const timeStamp = (cpu: Cpu): bigint =>
  BigInt.asUintN(64, BigInt(cpu.machine.ticks) + cpu.hidden.get(HIDDEN_STATE.tscOffset));

const register = (name: string, isValid: (value: bigint) => boolean = () => true): Msr => ({
  read: cpu => cpu.get(REG[name]!),
  write: (cpu, value) => {
    if (!isValid(value)) throw invalid();
    cpu.set(REG[name]!, value);
  },
});
const hidden = (at: number, isValid: (value: bigint) => boolean = () => true): Msr => ({
  read: cpu => cpu.hidden.get(at),
  write: (cpu, value) => {
    if (!isValid(value)) throw invalid();
    cpu.hidden.set(at, value);
  },
});

/** LMA follows paging and is not written; LME may not change under paging (SDM 3A, 9.8.5). */
const efer: Msr = {
  read: cpu => cpu.get(REG.efer!),
  write: (cpu, value) => {
    const old = cpu.get(REG.efer!);
    if (value & ~(EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE)) throw invalid();
    if ((old ^ value) & EFER.LME && cpu.get(REG.cr0!) & CR0.PG) {
      if (old & EFER.LMA || !(value & EFER.LME)) throw invalid();
      throw new GuestExit({ kind: 'unimplemented', what: 'paging outside long mode' });
    }
    cpu.set(REG.efer!, (value & ~EFER.LMA) | (old & EFER.LMA));
    if ((old ^ value) & EFER.NXE) {
      cpu.memory.tlb.flush(false);
      cpu.onFlush('all', 0n);
    }
  },
};
/** Eight memory types; 2, 3 and above 7 do not exist (SDM 3A, 11.12.2). Nothing here caches, so they mean nothing. */
const isPat = (value: bigint): boolean =>
  Array.from({ length: 8 }, (_, n) => (value >> BigInt(8 * n)) & 0xffn).every(
    type => type < 8n && type !== 2n && type !== 3n,
  );

export const MSRS: ReadonlyMap<number, Msr> = new Map([
  [
    0x10,
    {
      read: timeStamp,
      write: (cpu, value) => cpu.hidden.set(HIDDEN_STATE.tscOffset, value - BigInt(cpu.machine.ticks)),
    },
  ],
  [0x8b, hidden(HIDDEN_STATE.biosSignature)],
  [0x1a0, hidden(HIDDEN_STATE.miscEnable)],
  [0x277, hidden(HIDDEN_STATE.pat, isPat)],
  [0xc000_0080, efer],
  [0xc000_0081, register('star')],
  [0xc000_0082, register('lstar', isCanonical)],
  [0xc000_0083, register('cstar', isCanonical)],
  [0xc000_0084, register('fmask', value => value <= 0xffff_ffffn)],
  [0xc000_0100, register('fs_base', isCanonical)],
  [0xc000_0101, register('gs_base', isCanonical)],
  [0xc000_0102, register('kernel_gs_base', isCanonical)],
  [0xc000_0103, register('tsc_aux', value => value <= 0xffff_ffffn)],
]);

const low = (value: bigint): bigint => value & 0xffff_ffffn;
function answer(cpu: Cpu, value: bigint): void {
  cpu.set(REG.rax!, low(value));
  cpu.set(REG.rdx!, value >> 32n);
}
function msrOf(cpu: Cpu): { number: number; msr: Msr } {
  privileged(cpu);
  const number = Number(low(cpu.get(REG.rcx!)));
  const msr = MSRS.get(number);
  if (!msr) throw invalid();
  return { number, msr };
}
function rdtsc(cpu: Cpu): undefined {
  if (cpu.get(REG.cr4!) & CR4.TSD) privileged(cpu);
  answer(cpu, timeStamp(cpu));
}

export const MSR: Family = {
  system: [
    { op: 'rdmsr', run: cpu => answer(cpu, msrOf(cpu).msr.read(cpu)) as undefined },
    {
      op: 'wrmsr',
      run: cpu => {
        const { number, msr } = msrOf(cpu);
        const old = msr.read(cpu);
        const value = (low(cpu.get(REG.rdx!)) << 32n) | low(cpu.get(REG.rax!));
        msr.write(cpu, value);
        cpu.onMsr(number, old, msr.read(cpu));
        return undefined;
      },
    },
    { op: 'rdtsc', run: rdtsc },
    {
      op: 'rdtscp',
      run: cpu => {
        rdtsc(cpu);
        cpu.set(REG.rcx!, low(cpu.get(REG.tsc_aux!)));
        return undefined;
      },
    },
  ],
};
