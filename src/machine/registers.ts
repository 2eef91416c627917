/**
 * Registers over time, as events: an event lists those that changed since the last one of its stream. Values are
 * compared as words, so that looking at fifty registers costs no bigints.
 */

import { listStart } from '../events/block.js';
import { KIND } from '../events/kinds.js';
import type { Log } from '../events/log.js';

/** Gives all registers of a processor, by number: low word, high word, low word ... */
export interface RegisterSource {
  readonly count: number;
  readRegisters(into: Uint32Array): void;
}

export class RegisterTrace {
  private readonly source: RegisterSource;
  private readonly known: Uint32Array;
  private readonly now: Uint32Array;
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
    this.source.readRegisters(now);
    const isNew = (reg: number): boolean => now[2 * reg] !== known[2 * reg] || now[2 * reg + 1] !== known[2 * reg + 1];
    if (!which.some(isNew)) return;
    const row = log.open(kind, ticks, 0, cause);
    const columns = kind === KIND.step ? log.col.step : log.col.regs;
    let at = listStart(columns.valuesEnd, row);
    let maskLo = 0;
    let maskHi = 0;
    for (const reg of which) {
      if (!isNew(reg)) continue;
      if (reg < 32) maskLo |= 1 << reg;
      else maskHi |= 1 << (reg - 32);
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
