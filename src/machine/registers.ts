/**
 * Registers over time, as events: an event lists those that changed since the last one of its stream. Values are
 * compared as words, so that looking at fifty registers costs no bigints.
 */

import { listStart } from '../events/block.js';
import { KIND } from '../events/kinds.js';
import type { Log } from '../events/log.js';

/** Gives the registers of a processor, by number: low word, high word, low word ... */
export interface RegisterSource {
  readonly count: number;
  /** @param which those that are asked for; others may be given too */
  readRegisters(into: Uint32Array, which: readonly number[]): void;
}

export class RegisterTrace {
  private readonly source: RegisterSource;
  protected readonly known: Uint32Array;
  protected readonly now: Uint32Array;
  private readonly all: readonly number[];

  constructor(source: RegisterSource) {
    this.source = source;
    this.known = new Uint32Array(2 * source.count);
    this.now = new Uint32Array(2 * source.count);
    this.all = Array.from({ length: source.count }, (_, reg) => reg);
  }

  /**
   * Writes a regs (or step) event with those of `which` (ascending; without it, of all) that changed since they were
   * last written; nothing if none did.
   */
  write(log: Log, kind: number, ticks: number, cause: number, which: readonly number[] = this.all): void {
    const { known, now } = this;
    this.source.readRegisters(now, which);
    let maskLo = 0;
    let maskHi = 0;
    for (let n = 0; n < which.length; n++) {
      const reg = which[n]!;
      if (now[2 * reg] === known[2 * reg] && now[2 * reg + 1] === known[2 * reg + 1]) continue;
      if (reg < 32) maskLo |= 1 << reg;
      else maskHi |= 1 << (reg - 32);
    }
    if ((maskLo | maskHi) === 0) return;
    const row = log.open(kind, ticks, 0, cause);
    const columns = kind === KIND.step ? log.col.step : log.col.regs;
    let at = listStart(columns.valuesEnd, row);
    for (let n = 0; n < which.length; n++) {
      const reg = which[n]!;
      if ((((reg < 32 ? maskLo : maskHi) >>> reg) & 1) === 0) continue; // a shift counts modulo 32
      columns.valuesLo[at] = now[2 * reg]!;
      columns.valuesHi[at] = now[2 * reg + 1]!;
      columns.oldsLo[at] = known[2 * reg]!;
      columns.oldsHi[at++] = known[2 * reg + 1]!;
      known[2 * reg] = now[2 * reg]!;
      known[2 * reg + 1] = now[2 * reg + 1]!;
    }
    columns.maskLo[row] = maskLo;
    columns.maskHi[row] = maskHi;
    columns.valuesEnd[row] = at;
  }

  /** What was last written of each register. */
  save(): Uint32Array {
    return this.known.slice();
  }
  /** Takes `known` as last written. */
  restore(known: Uint32Array): void {
    this.known.set(known);
  }
}
