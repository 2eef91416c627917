/**
 * Registers of an x86 processor over time. Before most events only those that say where the guest is are written, so this is
 * done once an event and written out: over a list of four it takes twice as long.
 */
import { placesOf } from '../../events/block.js';
import { KIND } from '../../events/kinds.js';
import type { Log } from '../../events/log.js';
import { REG } from '../../isa/x86_64.js';
import { RegisterTrace } from '../registers.js';
import type { Cpu } from './cpu.js';

const REGS = KIND.regs;
const PLACES = placesOf('regs');
/** Ascending, as they are in a regs event. */
const [RSP, RBP, RIP, RFLAGS] = [REG.rsp!, REG.rbp!, REG.rip!, REG.rflags!];

export class X86Trace extends RegisterTrace {
  private readonly cpu: Cpu;

  constructor(cpu: Cpu) {
    super(cpu);
    this.cpu = cpu;
  }

  /** Writes a regs event with those of rsp, rbp, rip and rflags that changed since they were last written, if any did. */
  spot(log: Log, ticks: number, cause: number): void {
    const { known, now } = this;
    this.cpu.readSpot(now);
    let mask = 0;
    if (now[2 * RSP] !== known[2 * RSP] || now[2 * RSP + 1] !== known[2 * RSP + 1]) mask |= 1 << RSP;
    if (now[2 * RBP] !== known[2 * RBP] || now[2 * RBP + 1] !== known[2 * RBP + 1]) mask |= 1 << RBP;
    if (now[2 * RIP] !== known[2 * RIP] || now[2 * RIP + 1] !== known[2 * RIP + 1]) mask |= 1 << RIP;
    if (now[2 * RFLAGS] !== known[2 * RFLAGS] || now[2 * RFLAGS + 1] !== known[2 * RFLAGS + 1]) mask |= 1 << RFLAGS;
    if (mask === 0) return;
    const row = log.open(REGS, ticks, 0, cause);
    const { u32 } = log.memory;
    let at = row === 0 ? 0 : u32[PLACES.valuesEnd + row - 1]!;
    if (mask & (1 << RSP)) this.put(u32, at++, RSP);
    if (mask & (1 << RBP)) this.put(u32, at++, RBP);
    if (mask & (1 << RIP)) this.put(u32, at++, RIP);
    if (mask & (1 << RFLAGS)) this.put(u32, at++, RFLAGS);
    u32[PLACES.maskLo + row] = mask;
    u32[PLACES.maskHi + row] = 0;
    u32[PLACES.valuesEnd + row] = at;
  }
  private put(u32: Uint32Array, at: number, reg: number): void {
    const { known, now } = this;
    u32[PLACES.valuesLo + at] = now[2 * reg]!;
    u32[PLACES.valuesHi + at] = now[2 * reg + 1]!;
    u32[PLACES.oldsLo + at] = known[2 * reg]!;
    u32[PLACES.oldsHi + at] = known[2 * reg + 1]!;
    known[2 * reg] = now[2 * reg]!;
    known[2 * reg + 1] = now[2 * reg + 1]!;
  }
}
