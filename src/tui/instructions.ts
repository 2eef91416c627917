/**
 * The instructions between two events: from the detail of the recording, or, where that was not recorded, by running the
 * stretch again. A position #48211.37 is after entry 37 of what follows event 48211.
 */
import { asVaddr, type Vaddr } from '../base/brand.js';
import type { Watch, Work } from '../base/work.js';
import { eventAt } from '../events/block.js';
import type { Rerun } from '../recording/rerun.js';
import type { Source } from '../recording/source.js';
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
/** What follows one event: the instructions around a place in it, since a guest may compute for long between two events. */
export interface Stretch {
  readonly list: readonly Instruction[];
  /** Registers that those before the list changed, as they were last. */
  readonly before: ReadonlyMap<number, bigint>;
  /** Whether the list begins with the first one, and ends with the last. */
  readonly fromFirst: boolean;
  readonly toLast: boolean;
}
/** So many are kept on either side of the place. */
const AROUND = 10_000;
const STRETCHES_KEPT = 8;

/**
 * The first instruction behind entry `sub` of what follows event `seq` (direction 1), or the last before it (-1), where `sub`
 * may be Infinity. Undefined if there is none; a text if they are not known, which says why.
 */
export function* instructionBeside(
  world: World,
  { seq, sub }: { readonly seq: number; readonly sub: number },
  direction: 1 | -1,
  watch: Watch,
): Task<Instruction | undefined | string> {
  let stretch = world.stretches.get(seq);
  if (!stretch || !covers(stretch, sub, direction)) {
    const found = yield* stretchAround(world, seq, sub, watch);
    if (typeof found === 'string') return found;
    if (world.stretches.size >= STRETCHES_KEPT) world.stretches.clear();
    world.stretches.set(seq, (stretch = found));
  }
  return direction === 1 ? stretch.list.find(i => i.sub > sub) : stretch.list.findLast(i => i.sub < sub);
}
function covers({ list, fromFirst, toLast }: Stretch, sub: number, direction: 1 | -1): boolean {
  const [first, last] = [list[0]?.sub ?? 0, list.at(-1)?.sub ?? 0];
  if (direction === 1) return (toLast || sub < last) && (fromFirst || sub >= first);
  return (fromFirst || sub > first) && (toLast || sub <= last);
}

/** Collects what comes in order, and forgets what is far from the place. */
class Around {
  private readonly sub: number;
  private list: Instruction[] = [];
  private readonly before = new Map<number, bigint>();
  private fromFirst = true;
  private behind = 0;

  constructor(sub: number) {
    this.sub = sub;
  }
  /** False when no more is wanted. */
  add(instruction: Instruction): boolean {
    if (instruction.sub > this.sub && ++this.behind > AROUND) return false;
    this.list.push(instruction);
    if (this.list.length - this.behind >= 2 * AROUND) this.forget();
    return true;
  }
  private forget(): void {
    for (const { registers } of this.list.splice(0, AROUND))
      for (const [number, value] of registers) this.before.set(number, value);
    this.fromFirst = false;
  }
  get stretch(): Stretch {
    const { list, before, fromFirst } = this;
    return { list, before, fromFirst, toLast: this.behind <= AROUND };
  }
}
function* stretchAround(world: World, seq: number, sub: number, watch: Watch): Task<Stretch | string> {
  const { source } = world;
  const around = new Around(sub);
  yield* recordedAfter(source, seq, around);
  if (around.stretch.list.length > 0 || source.header.detail === 'full') return around.stretch;
  const rerun = yield* wait(world.outside.rerun());
  if (typeof rerun === 'string') return `instructions were not recorded, and nothing can be run again: ${rerun}`;
  yield* wait(rerunAfter(source, rerun, seq, around, watch));
  return around.stretch;
}
function* recordedAfter(source: Source, seq: number, around: Around): Work<void> {
  const pcNumber = isaOfSource(source)?.roles.pc;
  let sub = 0;
  let pc = asVaddr(0n);
  for (const block of source.details(seq, seq + 1)) {
    for (let i = 0; i < block.count; i++) {
      if (block.first + block.back[i]! !== seq + 1) continue;
      sub++;
      const e = eventAt(block, i);
      if (e.kind !== 'step') continue;
      const registers: [number, bigint][] = [];
      for (let r = 0, item = 0; r < 64; r++) if ((e.mask >> BigInt(r)) & 1n) registers.push([r, e.values[item++]!]);
      pc = asVaddr(registers.find(([r]) => r === pcNumber)?.[1] ?? pc);
      if (!around.add({ sub, pc, registers })) return;
    }
    yield { done: 0, total: 0 };
  }
}
async function rerunAfter(source: Source, rerun: Rerun, seq: number, around: Around, watch: Watch): Promise<void> {
  const pcNumber = isaOfSource(source)?.roles.pc;
  const options = {
    ...(watch.signal && { signal: watch.signal }),
    ...(watch.onProgress && { onProgress: watch.onProgress }),
  };
  for await (const { sub, pc, what } of rerun.detail(seq, seq + 1, options)) {
    if (what.kind !== 'step') continue;
    const after = what.registers.find(([r]) => r === pcNumber)?.[1];
    if (!around.add({ sub, pc: after === undefined ? pc : asVaddr(after), registers: what.registers })) break;
  }
}

/** Registers at a position, with what the instructions up to it changed, wherever those are from. */
export function registersOf(world: World, at: Position): RegisterValue[] {
  const stretch = at.sub === undefined ? undefined : world.stretches.get(at.seq);
  if (!stretch || at.sub! < (stretch.list[0]?.sub ?? 0)) return registersAt(world.source, at);
  const registers = isaOfSource(world.source)?.registers ?? [];
  const values = new Map(registersAt(world.source, { seq: at.seq }).map(v => [v.number, v]));
  const set = (number: number, value: bigint, sub: number): void => {
    values.set(number, { number, register: registers[number], value, asOf: at.seq, sub });
  };
  for (const [number, value] of stretch.before) set(number, value, 0);
  for (const { sub, registers: changed } of stretch.list) {
    if (sub > at.sub!) break;
    for (const [number, value] of changed) set(number, value, sub);
  }
  return [...values.values()].sort((a, b) => a.number - b.number);
}
