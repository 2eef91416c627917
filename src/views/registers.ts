/**
 * Registers at a position, each with the event that set it, without folding: a chunk says in its header which registers it
 * sets, so looking backwards decodes only chunks that have an answer.
 */

import { u64 } from '../base/u64.js';
import { listStart } from '../events/block.js';
import { KIND } from '../events/kinds.js';
import type { Register } from '../isa/isa.js';
import type { Source } from '../recording/source.js';
import { isaOfSource } from '../state/formats.js';
import type { Position } from '../state/position.js';

/** What a register was last recorded to be. `asOf` is the event that said so; older than the position, it may have changed. */
export interface RegisterValue {
  readonly number: number;
  readonly register: Register | undefined;
  readonly value: bigint;
  readonly asOf: number;
  /** The detail entry after `asOf` that set it, where the recording has detail. */
  readonly sub?: number;
}

interface RegsColumns {
  readonly maskLo: Uint32Array;
  readonly maskHi: Uint32Array;
  readonly valuesEnd: Uint32Array;
  readonly valuesLo: Uint32Array;
  readonly valuesHi: Uint32Array;
}
/** Calls `take` for each register that row sets and `wanted` still has; returns what is wanted after it. */
function takeRow(c: RegsColumns, row: number, wanted: bigint, take: (register: number, value: bigint) => void): bigint {
  const mask = u64(c.maskLo[row]!, c.maskHi[row]!);
  if ((mask & wanted) === 0n) return wanted;
  let item = listStart(c.valuesEnd, row);
  for (let r = 0; r < 64 && item < c.valuesEnd[row]!; r++) {
    if (((mask >> BigInt(r)) & 1n) === 0n) continue;
    if ((wanted >> BigInt(r)) & 1n) take(r, u64(c.valuesLo[item]!, c.valuesHi[item]!));
    item++;
  }
  return wanted & ~mask;
}

const ALL = (1n << 64n) - 1n;

/** Registers of `wanted` (a mask) of a vcpu as of event `seq`, with the events that set them; those never set are missing. */
export function lastRegisters(source: Source, vcpu: number, seq: number, wanted: bigint): RegisterValue[] {
  const registers = isaOfSource(source)?.registers ?? [];
  const out: RegisterValue[] = [];
  if (seq < 0 || source.count === 0) return out;
  for (let n = source.chunkOf(Math.min(seq, source.count - 1)); n >= 0 && wanted !== 0n; n--) {
    const info = source.chunks[n]!;
    if ((info.regsMask & wanted) === 0n) continue;
    const block = source.chunk(n);
    for (let i = Math.min(seq - block.first, block.count - 1); i >= 0 && wanted !== 0n; i--)
      if (block.kind[i] === KIND.regs && block.vcpu[i] === vcpu)
        wanted = takeRow(block.col.regs, block.row[i]!, wanted, (number, value) => {
          out.push({ number, register: registers[number], value, asOf: block.first + i });
        });
  }
  return out.sort((a, b) => a.number - b.number);
}

/** All registers of a vcpu at a position. At a detail entry, what the recorded steps up to it changed is laid over. */
export function registersAt(source: Source, at: Position, vcpu = 0): RegisterValue[] {
  const values = lastRegisters(source, vcpu, at.seq, ALL);
  if (at.sub === undefined) return values;
  const byNumber = new Map(values.map(v => [v.number, v]));
  const registers = isaOfSource(source)?.registers ?? [];
  let sub = 0;
  for (const block of source.details(at.seq, at.seq + 1))
    for (let i = 0; i < block.count && sub < at.sub; i++) {
      if (block.first + block.back[i]! !== at.seq + 1) continue;
      sub++;
      if (block.kind[i] !== KIND.step || block.vcpu[i] !== vcpu) continue;
      const entry = sub;
      takeRow(block.col.step, block.row[i]!, ALL, (number, value) => {
        byNumber.set(number, { number, register: registers[number], value, asOf: at.seq, sub: entry });
      });
    }
  return [...byNumber.values()].sort((a, b) => a.number - b.number);
}

/** The last write of a register at or before event `seq`; repeat with `asOf - 1` to go further back. */
export const lastRegisterWrite = (
  source: Source,
  vcpu: number,
  register: number,
  seq: number,
): RegisterValue | undefined => lastRegisters(source, vcpu, seq, 1n << BigInt(register))[0];
