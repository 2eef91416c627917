/**
 * Full detail: every instruction with the registers it changed, every store, every entry the TLB takes. The machine goes
 * one instruction at a time with every frame flagged `traced`, which costs a hundredfold in time and nothing else: what
 * the guest sees, and with it the main stream of events, is the same to the byte.
 *
 *   seq 48210  regs                 main stream
 *   seq 48211  pte ...
 *        .1    step                 detail: what happened after 48211 and before 48212, in order
 *        .2    fill
 *        .3    store
 *        .4    step
 *
 * Where an instruction makes events of both streams its step comes last, so a step's store stands before it. A store that
 * became a pte event is not told again. The first entry of a stream is a step of no instruction: all registers that are
 * not zero.
 */

import { assert } from '../base/assert.js';
import { PAGE_BYTES, PAGE_SHIFT, type Paddr, type Ticks } from '../base/brand.js';
import { hi32, lo32 } from '../base/u64.js';
import { KIND } from '../events/kinds.js';
import type { Log } from '../events/log.js';
import type { Exit } from './engine/exits.js';
import { ARCH_CODE, CONTROL, PAGE_FLAGS } from './engine/layout.js';
import { VIA, type Via } from './engine/memory.js';
import type { Machine } from './engine/run.js';
import { ARCH } from './engine/tlb.js';
import { PERMISSION } from './engine/walk.js';
import { type RegisterSource, RegisterTrace } from './registers.js';

/** `flags` of a fill event: what the entry allows, and which of the two TLBs took it. */
export const FILL = { ...PERMISSION, code: 64 } as const;

export class Detail {
  private readonly machine: Machine;
  private readonly log: Log;
  private readonly main: Log;
  private readonly steps: RegisterTrace;

  /**
   * Begins to trace, between runs.
   * @param log the detail stream
   * @param main the main stream, whose count of events says where a detail entry stands
   */
  constructor(machine: Machine, registers: RegisterSource, log: Log, main: Log) {
    assert(log.anchor, 'the log of a detail stream has an anchor');
    this.machine = machine;
    this.log = log;
    this.main = main;
    this.steps = new RegisterTrace(registers);
    const { memory } = machine;
    for (let frame = 0; frame < memory.pageFlags.length; frame++) memory.pageFlags[frame]! |= PAGE_FLAGS.traced;
    memory.tlb.dropAllWrites();
    memory.view.setUint32(CONTROL.tellFills, 1, true);
    memory.onTraced = (at, bytes, oldLo, oldHi, newLo, newHi, via) =>
      this.store(at, bytes, oldLo, oldHi, newLo, newHi, via);
    memory.onFill = entry => this.fill(entry);
    this.stepped(); // the registers to start from
  }

  /** Stops tracing. */
  stop(): void {
    const { memory } = this.machine;
    for (let frame = 0; frame < memory.pageFlags.length; frame++) memory.pageFlags[frame]! &= ~PAGE_FLAGS.traced;
    memory.view.setUint32(CONTROL.tellFills, 0, true);
    memory.onTraced = () => {};
    memory.onFill = () => {};
  }

  /** As machine.run, with every instruction as a step. */
  run(until: Ticks): Exit {
    const { machine } = this;
    while (machine.ticks < until) {
      const before = machine.ticks;
      const exit = machine.step();
      if (machine.ticks > before) this.stepped();
      if (exit.kind !== 'limit') return exit;
    }
    return { kind: 'limit' };
  }
  /** The registers changed otherwise than by an instruction that retired in `run`: the host emulated one, or a trap was delivered. */
  stepped(): void {
    this.anchor();
    this.steps.write(this.log, KIND.step, this.machine.ticks, -1);
  }

  private anchor(): void {
    this.log.anchor!.before = this.main.seq;
  }
  private store(at: Paddr, bytes: number, oldLo: number, oldHi: number, newLo: number, newHi: number, via: Via): void {
    const { memory } = this.machine;
    const changed = oldLo !== newLo || oldHi !== newHi;
    if (changed && memory.pageFlags[at >>> PAGE_SHIFT]! & PAGE_FLAGS.watched) return;
    this.anchor();
    const row = this.log.open(KIND.store, this.machine.ticks, 0, -1);
    const c = this.log.col.store;
    const va = via === VIA.guest ? memory.view.getBigUint64(CONTROL.dataAddress, true) : 0n;
    c.atLo[row] = lo32(va);
    c.atHi[row] = hi32(va);
    c.physicalLo[row] = at;
    c.physicalHi[row] = Math.floor(at / 2 ** 32);
    c.bytes[row] = bytes;
    c.oldLo[row] = oldLo;
    c.oldHi[row] = oldHi;
    c.newLo[row] = newLo;
    c.newHi[row] = newHi;
  }
  private fill(entry: number): void {
    const { view } = this.machine.memory;
    this.anchor();
    const row = this.log.open(KIND.fill, this.machine.ticks, 0, -1);
    const c = this.log.col.fill;
    c.atLo[row] = view.getUint32(entry + ARCH.tag, true) & -PAGE_BYTES;
    c.atHi[row] = view.getUint32(entry + ARCH.tag + 4, true);
    c.frame[row] = Number(view.getBigUint64(entry + ARCH.frame, true) / BigInt(PAGE_BYTES));
    const shift = view.getUint32(entry + ARCH.shift, true);
    c.bytesLo[row] = shift < 32 ? 2 ** shift : 0;
    c.bytesHi[row] = shift < 32 ? 0 : 2 ** (shift - 32);
    c.flags[row] = view.getUint32(entry + ARCH.permissions, true) | (entry >= ARCH_CODE ? FILL.code : 0);
  }
}
