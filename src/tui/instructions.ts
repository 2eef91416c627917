/**
 * The instructions between two events: from the detail of the recording, or, where that was not recorded, by running the
 * stretch again. A position #48211.37 is after entry 37 of what follows event 48211.
 */
import { asVaddr, type Vaddr } from '../base/brand.js';
import type { Watch } from '../base/work.js';
import { eventAt } from '../events/block.js';
import type { Rerun } from '../recording/rerun.js';
import { isaOfSource } from '../state/formats.js';
import type { Position } from '../state/position.js';
import { type RegisterValue, registersAt } from '../views/registers.js';
import { type Task, wait } from './task.js';
import type { World } from './world.js';

export interface Instruction {
  /** As which entry of the detail it retired. */
  readonly sub: number;
  /** Where the guest is after it. */
  readonly pc: Vaddr;
  /** Registers it changed. */
  readonly registers: readonly (readonly [number: number, value: bigint])[];
}
/** More between two events are not kept: the guest computes for long without touching its memory management. */
const KEPT_MAX = 100_000;
const LISTS_KEPT = 8;

/** Instructions after event `seq` and before the next one; or why they are not known. */
export function* instructionsAfter(world: World, seq: number, watch: Watch): Task<readonly Instruction[] | string> {
  const known = world.instructions.get(seq);
  if (known) return known;
  const recorded = recordedAfter(world, seq);
  let list: readonly Instruction[] = recorded;
  if (recorded.length === 0 && world.source.header.detail !== 'full') {
    const rerun = yield* wait(world.outside.rerun());
    if (typeof rerun === 'string') return `instructions were not recorded, and nothing can be run again: ${rerun}`;
    list = yield* wait(rerunAfter(world, rerun, seq, watch));
  }
  if (world.instructions.size >= LISTS_KEPT) world.instructions.clear();
  world.instructions.set(seq, list);
  return list;
}
function recordedAfter(world: World, seq: number): Instruction[] {
  const pcNumber = isaOfSource(world.source)?.roles.pc;
  const list: Instruction[] = [];
  let sub = 0;
  let pc = asVaddr(0n);
  for (const block of world.source.details(seq, seq + 1))
    for (let i = 0; i < block.count && list.length < KEPT_MAX; i++) {
      if (block.first + block.back[i]! !== seq + 1) continue;
      sub++;
      const e = eventAt(block, i);
      if (e.kind !== 'step') continue;
      const registers: [number, bigint][] = [];
      for (let r = 0, item = 0; r < 64; r++) if ((e.mask >> BigInt(r)) & 1n) registers.push([r, e.values[item++]!]);
      pc = asVaddr(registers.find(([r]) => r === pcNumber)?.[1] ?? pc);
      list.push({ sub, pc, registers });
    }
  return list;
}
async function rerunAfter(world: World, rerun: Rerun, seq: number, watch: Watch): Promise<Instruction[]> {
  const pcNumber = isaOfSource(world.source)?.roles.pc;
  const list: Instruction[] = [];
  const options = {
    ...(watch.signal && { signal: watch.signal }),
    ...(watch.onProgress && { onProgress: watch.onProgress }),
  };
  for await (const { sub, pc, what } of rerun.detail(seq, seq + 1, options)) {
    if (what.kind !== 'step') continue;
    const after = what.registers.find(([r]) => r === pcNumber)?.[1];
    list.push({ sub, pc: after === undefined ? pc : asVaddr(after), registers: what.registers });
    if (list.length >= KEPT_MAX) break;
  }
  return list;
}

/** Registers at a position, with what the instructions up to it changed, wherever those are from. */
export function registersOf(world: World, at: Position): RegisterValue[] {
  const list = at.sub === undefined ? undefined : world.instructions.get(at.seq);
  if (!list) return registersAt(world.source, at);
  const registers = isaOfSource(world.source)?.registers ?? [];
  const values = new Map(registersAt(world.source, { seq: at.seq }).map(v => [v.number, v]));
  for (const { sub, registers: changed } of list) {
    if (sub > at.sub!) break;
    for (const [number, value] of changed)
      values.set(number, { number, register: registers[number], value, asOf: at.seq, sub });
  }
  return [...values.values()].sort((a, b) => a.number - b.number);
}
