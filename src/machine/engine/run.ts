/**
 * The run loop. Time is a count of retired instructions, so a run can stop at any tick exactly:
 *
 * The generated code subtracts a block's instructions when it leaves the block, and stops when the budget is below
 * zero. It starts with the budget minus the size of the largest block, so it never runs past the end; the rest, less
 * than a block, goes in blocks of one instruction each. Where a run stops has no effect on what the guest sees.
 *
 *   ticks = those at the start of the piece + (budget given - budget left) + instructions done in the current block
 */
import { assert } from '../../base/assert.js';
import { asTicks, asVaddr, type Ticks, type Vaddr } from '../../base/brand.js';
import { u64 } from '../../base/u64.js';
import type { Func } from '../../base/wasm.js';
import type { Isa } from '../../isa/isa.js';
import { buildEngine, type Engine, type Handler, REASON } from './build.js';
import { CodeCache, type Translator } from './code.js';
import type { Exit } from './exits.js';
import { CONTROL, type Layout, registerAt } from './layout.js';
import { Memory } from './memory.js';
import { BLOCK_INSTRUCTIONS_MAX, findPlace, newPlace, RECORD } from './records.js';
import type { Hints } from './region/compile.js';
import { HotCode } from './region/hot.js';
import type { WalkFormat } from './walk.js';

/** What a processor brings to the engine. */
export interface Processor {
  readonly isa: Isa;
  readonly format: WalkFormat;
  readonly handlers: readonly Handler[];
  readonly functions: readonly Func[];
  readonly hints: Hints;
  /** Called once, when the handler numbers are known. */
  translator(machine: Machine): Translator;
  /**
   * An instruction without a handler, numbered by the translator. pc is at it and is to be moved past it, or elsewhere.
   * @returns what happened: it retired, it did part of its work and goes on (counts 0), or it did not retire and why
   */
  execute(number: number): 'retired' | 'again' | Exit;
  /** The fault in the control words, as an exit; pc is at the instruction. */
  fault(kind: number, access: number, detail: bigint): Exit;
  /** Before the run goes on: an exit that comes first, 'slowly' for one instruction and a look behind it, or nothing. */
  before?(): Exit | 'slowly' | undefined;
  /**
   * Behind instructions that retired: a trap that follows them. With `slowly`, behind exactly one, or behind a part of a
   * repeated one (not finished).
   */
  after?(finished: boolean): Exit | undefined;
}

const { record: RECORD_AT, left: LEFT_AT, pc: PC_AT } = CONTROL;
const CHUNK_MAX = 2 ** 30;
/** Pieces of one repeated instruction in a run, before it returns to its caller: a second at the very worst. */
const AGAIN_MAX = 64;

export class Machine {
  readonly memory: Memory;
  readonly engine: Engine;
  readonly code: CodeCache;
  readonly hot: HotCode;
  private readonly processor: Processor;
  private readonly pcAt: number;
  private clock = 0;
  /** Ticks of the clock in which nothing was executed, since the machine was made. */
  idleTicks = 0;
  /** Pieces of unfinished instructions in this run. */
  private again = 0;
  /** Where execution was when somebody last asked, and the record that was; 0 for none. Records stay during a piece. */
  private readonly place = newPlace();
  private placed = 0;
  /** While the generated code runs: the budget it was given. */
  private given = -1;

  constructor(layout: Layout, makeProcessor: (memory: Memory) => Processor) {
    this.memory = new Memory(layout);
    const processor = makeProcessor(this.memory);
    this.processor = processor;
    this.pcAt = registerAt(processor.isa.roles.pc);
    this.engine = buildEngine(layout, this.memory.wasm, processor.format, processor.handlers, processor.functions, {
      trapped: (paddr, bytes, lo, hi, via) => this.memory.trapped(paddr, bytes, lo, hi, via),
      filled: entry => this.memory.onFill(entry),
      miss: frame => this.code.miss(frame),
      stale: record => this.code.stale(record),
    });
    this.code = new CodeCache(this.memory, processor.translator(this));
    this.hot = new HotCode(this.memory, this.code, this.engine, processor.hints);
  }

  /** Retired instructions plus skipped time. Right at any moment, also inside onWatched. */
  get ticks(): Ticks {
    return asTicks(this.given < 0 ? this.clock : this.clock + this.inFlight());
  }
  /** Virtual address of the next instruction; inside onWatched, of the one that stores. */
  get pc(): Vaddr {
    this.inFlight();
    return asVaddr(u64(this.place.pcLo, this.place.pcHi));
  }
  /** As `pc`, into two words from `at` on. */
  readPc(into: Uint32Array, at: number): void {
    this.inFlight();
    into[at] = this.place.pcLo;
    into[at + 1] = this.place.pcHi;
  }
  set pc(value: bigint) {
    assert(this.given < 0, 'pc is set between runs');
    this.memory.view.setBigUint64(this.pcAt, BigInt.asUintN(64, value), true);
  }
  /** Lets `ticks` of idle time pass. */
  skip(ticks: number): void {
    assert(ticks >= 0 && this.given < 0, 'time goes forwards, between runs');
    this.clock += ticks;
    this.idleTicks += ticks;
  }
  /** An instruction that somebody else did for the guest: it counts as one. */
  retire(): void {
    assert(this.given < 0, 'the clock is set between runs');
    this.clock++;
  }
  /** Sets the clock: for restoring a checkpoint. */
  setTicks(ticks: Ticks): void {
    assert(this.given < 0, 'the clock is set between runs');
    this.clock = ticks;
  }

  /** Runs until the clock says `until`, or to the next exit. Going on after any exit changes nothing for the guest. */
  run(until: Ticks): Exit {
    this.again = 0;
    while (this.clock < until) {
      const pace = this.processor.before?.(); //                           somebody single-steps, or has breakpoints
      if (typeof pace === 'object') return pace;
      const { clock, again } = this;
      const budget = pace === 'slowly' ? 1 : Math.min(until - clock, CHUNK_MAX);
      const exit = this.piece(budget) ?? this.behind(clock, pace === 'slowly' && this.again > again);
      if (exit) return exit; //                                            trap, halt, refusal: the caller's business
    }
    return { kind: 'limit' };
  }
  /** What follows the instructions since `clock`, or a part of a repeated one. */
  private behind(clock: number, part: boolean): Exit | undefined {
    return this.clock > clock || part ? this.processor.after?.(!part) : undefined;
  }
  /** Executes one instruction (a repeated string instruction to its end, unless it faults or is busy). */
  step(): Exit {
    return this.run(asTicks(this.clock + 1));
  }

  /** Runs at most `budget` instructions. Returns undefined to go on. */
  private piece(budget: number): Exit | undefined {
    const { view } = this.memory;
    const single = budget < BLOCK_INSTRUCTIONS_MAX;
    const given = single ? budget - 1 : Math.min(budget - BLOCK_INSTRUCTIONS_MAX, this.hot.sampleTicks);
    view.setInt32(CONTROL.faultKind, 0, true);
    view.setUint32(CONTROL.record, 0, true);
    view.setUint32(CONTROL.single, single ? 1 : 0, true);
    this.given = given;
    const reason = this.engine.exports.enter(this.pcAt, given);
    this.settle();
    switch (reason) {
      case REASON.budget:
        if (!single) this.hot.sample(view.getUint32(this.pcAt, true), view.getUint32(this.pcAt + 4, true), given);
        return undefined;
      case REASON.miss:
        return this.missed();
      case REASON.fault:
        return this.faulted();
      case REASON.out:
        return this.callOut(view.getUint32(CONTROL.record, true));
      case REASON.again:
        return this.goOn();
    }
    throw new Error(`internal error: the generated code returned ${reason}`);
  }
  /** No record for pc: its fetch faulted, or the arena is full. */
  private missed(): Exit | undefined {
    if (this.memory.view.getInt32(CONTROL.faultKind, true)) return this.faulted();
    this.code.reset();
    return undefined;
  }
  private faulted(): Exit {
    const { view } = this.memory;
    const kind = view.getInt32(CONTROL.faultKind, true);
    view.setInt32(CONTROL.faultKind, 0, true);
    view.setUint32(CONTROL.leftAt, 0, true); // a region is right to leave for this
    return this.processor.fault(
      kind,
      view.getInt32(CONTROL.faultAccess, true),
      view.getBigUint64(CONTROL.faultDetail, true),
    );
  }
  /** An instruction has done a part of its work. */
  private goOn(): Exit | undefined {
    return ++this.again < AGAIN_MAX ? undefined : { kind: 'busy' };
  }
  private callOut(record: number): Exit | undefined {
    const done = this.processor.execute(this.memory.view.getUint32(record + RECORD.imm, true));
    if (done === 'again') return this.goOn();
    if (done === 'retired') {
      this.clock++;
      return undefined;
    }
    if (done.kind === 'halt' || (done.kind === 'trap' && done.trap.kind === 'trap')) this.clock++;
    return done;
  }

  /** Finds where execution is: `place` has the address of the current instruction. Returns instructions done since the clock was set. */
  private inFlight(): number {
    const { memory, place, given } = this;
    const { view } = memory;
    const record = given < 0 ? 0 : view.getUint32(RECORD_AT, true);
    if (record === 0) {
      const at = given < 0 ? this.pcAt : PC_AT;
      place.pcLo = view.getUint32(at, true);
      place.pcHi = view.getUint32(at + 4, true);
      place.before = 0;
    } else if (record !== this.placed) findPlace(view, record, place);
    this.placed = record;
    return given < 0 ? 0 : place.before + given - view.getInt32(LEFT_AT, true);
  }
  /** The generated code returned: the clock and pc become what it left behind. */
  private settle(): void {
    const done = this.inFlight();
    const { pcLo, pcHi } = this.place;
    this.given = -1;
    this.placed = 0;
    this.clock += done;
    this.memory.view.setUint32(this.pcAt, pcLo, true);
    this.memory.view.setUint32(this.pcAt + 4, pcHi, true);
  }
}
