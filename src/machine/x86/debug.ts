/**
 * Single-stepping, breakpoints and the moment for interrupts: what may come between two instructions. SDM 3B, 17.2 and
 * 17.3. While TF, RF or a breakpoint is on, the run goes instruction by instruction, with a look before and behind each;
 * otherwise only once for each stretch of generated code, since nothing that turns these on is generated code.
 *
 *   dr7   31 30 29 28    19 18 17 16 | 15 14 13 12 11 10  9  8   7  6  ...  1  0
 *        | LEN3| R/W3 ...| LEN0| R/W0|       GD       1  GE LE  G3 L3  ... G0 L0      R/W: 0 execute, 1 write, 3 both
 *   dr6   15 14 13 | 3 2 1 0                                                          LEN: 0 one, 1 two, 2 eight, 3 four
 *         BT BS BD | B3 .. B0
 */
import { REG } from '../../isa/x86_64.js';
import type { Exit } from '../engine/exits.js';
import { CONTROL, registerAt } from '../engine/layout.js';
import { type Access, accessesOf } from './accesses.js';
import { RFLAGS } from './control.js';
import type { Cpu } from './cpu.js';
import { VECTOR } from './fault.js';
import { HIDDEN_STATE } from './hidden.js';

const DR6_BS = 1 << 14;
const ENABLED = 0xff;
const [TF, IF, RF] = [Number(RFLAGS.TF), Number(RFLAGS.IF), Number(RFLAGS.RF)];
const KIND = { execute: 0, write: 1, both: 3 } as const;
/** Elements of a repeated string instruction at once: all between two looks, or one where each may be followed by a trap. */
const ELEMENTS_MAX = 65_536;
const LENGTHS = [1n, 2n, 8n, 4n] as const;

interface Breakpoint {
  readonly number: number;
  readonly kind: number;
  readonly at: bigint;
  readonly bytes: bigint;
}

export class Debug {
  private readonly cpu: Cpu;
  /** TF was set when the current instruction began: it is followed by a trap. */
  stepping = false;
  /** The current instruction loaded RF (iret), so it stays for the next one. */
  loadedRf = false;
  /** Data breakpoints the current instruction meets, as dr6 bits. */
  private hits = 0;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
  }
  private word(register: number): number {
    return this.cpu.memory.view.getUint32(registerAt(register), true);
  }

  /** See Processor.before. */
  before(): Exit | 'slowly' | undefined {
    const rflags = this.word(REG.rflags!);
    const dr7 = this.word(REG.dr7!);
    this.loadedRf = false;
    this.hits = 0;
    this.stepping = (rflags & TF) !== 0;
    const each = this.stepping || (dr7 & ENABLED) !== 0;
    this.cpu.memory.view.setUint32(CONTROL.elements, each ? 1 : ELEMENTS_MAX, true);
    const waiting = this.cpu.wantsInterrupt && (rflags & IF) !== 0;
    if (!waiting && !(rflags & (TF | RF)) && !(dr7 & ENABLED)) return undefined;
    if (waiting && this.cpu.canInterrupt) return { kind: 'window' };
    if (dr7 & ENABLED) {
      const breakpoints = this.breakpoints(dr7);
      if (!(rflags & RF) && this.executes(breakpoints)) return this.raise('fault');
      this.hits = this.meets(breakpoints.filter(b => b.kind !== KIND.execute));
    }
    return 'slowly';
  }
  /** See Processor.after. */
  after(finished: boolean): Exit | undefined {
    const { cpu } = this;
    const rflags = this.word(REG.rflags!);
    if (rflags & RF && !this.loadedRf && finished)
      cpu.memory.view.setUint32(registerAt(REG.rflags!), rflags & ~RF, true);
    const found = this.hits | (this.stepping ? DR6_BS : 0);
    this.stepping = false;
    this.hits = 0;
    // Behind mov ss it is lost (SDM 3A, 6.8.3).
    if (found === 0 || (cpu.inShadow && cpu.hidden.get(HIDDEN_STATE.shadowsDebug))) return undefined;
    cpu.set(REG.dr6!, cpu.get(REG.dr6!) | BigInt(found));
    // Between two elements RF is pushed set, so that going on does not meet the same breakpoint (SDM 3B, 17.3.1.1).
    if (!finished) cpu.set(REG.rflags!, cpu.get(REG.rflags!) | BigInt(RF));
    return this.raise('trap');
  }
  private raise(kind: 'fault' | 'trap'): Exit {
    return { kind: 'trap', trap: { vector: VECTOR.debug, code: undefined, address: undefined, kind } };
  }

  private breakpoints(dr7: number): Breakpoint[] {
    const all: Breakpoint[] = [];
    for (let number = 0; number < 4; number++) {
      if (!((dr7 >>> (2 * number)) & 3)) continue;
      const bytes = LENGTHS[(dr7 >>> (18 + 4 * number)) & 3]!;
      const at = this.cpu.get(REG.dr0! + number) & ~(bytes - 1n);
      all.push({ number, kind: (dr7 >>> (16 + 4 * number)) & 3, at, bytes });
    }
    return all;
  }
  /** Notes in dr6 which breakpoints are on the instruction at pc. */
  private executes(breakpoints: readonly Breakpoint[]): boolean {
    const { cpu } = this;
    const hits = breakpoints.filter(b => b.kind === KIND.execute && b.at === cpu.machine.pc);
    const bits = hits.reduce((all, b) => all | (1 << b.number), 0);
    if (bits) cpu.set(REG.dr6!, cpu.get(REG.dr6!) | BigInt(bits));
    return bits !== 0;
  }
  /** The data breakpoints that the instruction at pc will meet, as dr6 bits. */
  private meets(breakpoints: readonly Breakpoint[]): number {
    if (breakpoints.length === 0) return 0;
    const insn = this.cpu.instruction();
    if (!insn) return 0;
    const accesses = accessesOf(this.cpu, insn);
    const touches = (b: Breakpoint, a: Access): boolean =>
      (a.write || b.kind === KIND.both) && a.at < b.at + b.bytes && b.at < a.at + a.bytes;
    return breakpoints.filter(b => accesses.some(a => touches(b, a))).reduce((all, b) => all | (1 << b.number), 0);
  }
}
