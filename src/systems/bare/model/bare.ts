/**
 * The bare machine as a system: one guest in ring 0 with its own page tables and interrupt table, and nothing between it
 * and the processor. The simplest host there is: it watches and tells, and stands in for three pieces of hardware (the
 * loader, a console port, and power-off, which is `hlt` where nothing can wake the processor).
 *
 * Every event raised while guest code runs has the registers it needs before it: where the guest is (`spot`), or all of
 * them where it crosses into a trap handler. Its cause is the trap in whose handler it happened; handlers nest, and
 * returning to user code ends them all.
 */
import { assertNever } from '../../../base/assert.js';
import { asFrame, asTicks, asVaddr, PAGE_BYTES, PAGE_SHIFT, type Ticks } from '../../../base/brand.js';
import { hex } from '../../../base/u64.js';
import { placesOf } from '../../../events/block.js';
import type { Draft, KindName } from '../../../events/kinds.js';
import { KIND, NO_FRAME, SPACES } from '../../../events/kinds.js';
import type { Log } from '../../../events/log.js';
import { LEVEL4, REG } from '../../../isa/x86_64.js';
import { Detail } from '../../../machine/detail.js';
import type { Exit, Trap } from '../../../machine/engine/exits.js';
import { VIA, type Via } from '../../../machine/engine/memory.js';
import type { Ended, Host, Sinks } from '../../../machine/system.js';
import type { Cpu, FlushScope } from '../../../machine/x86/cpu.js';
import { deliver } from '../../../machine/x86/deliver.js';
import { VECTOR } from '../../../machine/x86/fault.js';
import { Peek } from '../../../machine/x86/peek.js';
import { completePort, isPortExit } from '../../../machine/x86/ports.js';
import { X86Trace } from '../../../machine/x86/trace.js';
import { Unwinder } from '../../../machine/x86/unwind.js';
import { CONSOLE_PORT, PATH } from '../names.js';
import { Console } from './console.js';
import { encode, type SavedBare } from './saved.js';
import { Tables } from './tables.js';

const GUEST = SPACES.indexOf('guest');
const PATH_OF: Readonly<Record<Via, number>> = {
  [VIA.guest]: PATH.store,
  [VIA.walker]: PATH.walker,
  [VIA.host]: PATH.host,
};
/** For `stored`, which is called most: an imported constant is looked up at each use, one of our own is not. */
const [PTE, SHIFT, PAGE, HOST] = [KIND.pte, PAGE_SHIFT, PAGE_BYTES, VIA.host];
const PTE_AT = placesOf('pte');
const SCOPE_OF: Readonly<Record<FlushScope, 'one' | 'space' | 'all'>> = { page: 'one', local: 'space', all: 'all' };
/** Handlers within handlers that are remembered as causes; a guest may nest deeper, and only the outermost are forgotten. */
const CAUSES_MAX = 64;
/** Traps without one instruction in between: a processor in such a loop never leaves it. */
const TRAPS_STUCK = 256;
/** What is handled before whoever runs us gets a look: a repeated outs to the console may go on for ever. */
const EXITS_MAX = 4096;
/** Left to us, so that returns are events; everything else is the processor's own. */
const INTERCEPT: ReadonlySet<string> = new Set(['iret']);

/** Executable ranges of the image: what can be a return address. */
export type CodeRanges = readonly (readonly [from: number, to: number])[];

export class Bare implements Host {
  readonly owner: Cpu;
  private readonly log: Log;
  private readonly heard: Sinks['printed'];
  private readonly tables: Tables;
  private readonly regs: X86Trace;
  private readonly unwinder: Unwinder;
  private readonly code: CodeRanges;
  private readonly console = new Console();
  /** Traps whose handlers are running, outermost first. */
  private causes: number[] = [];
  /** Traps since the last instruction that retired, and when that was. */
  private stuck = { ticks: -1, traps: 0 };
  private detail: Detail | undefined;

  constructor(cpu: Cpu, code: CodeRanges, { log, intern, printed }: Sinks) {
    this.owner = cpu;
    this.code = code;
    this.log = log;
    this.heard = printed;
    this.tables = new Tables(cpu.machine, log);
    this.regs = new X86Trace(cpu);
    const inCode = (address: bigint): boolean => code.some(([from, to]) => address >= from && address < to);
    this.unwinder = new Unwinder(cpu.memory, new Peek(cpu.memory), inCode, intern);
    cpu.memory.onWatched = (at, bytes, _oldLo, _oldHi, _newLo, _newHi, via) => this.stored(at, bytes, via);
    cpu.onRoot = (old, value) => this.rootLoaded(old, value);
    cpu.onFlush = (scope, va) => this.tell({ kind: 'flush', scope: SCOPE_OF[scope], at: asVaddr(va) });
    cpu.onMsr = (register, old, value) => this.tell({ kind: 'msr', register, old, new: value });
    cpu.intercept = INTERCEPT;
  }

  /** The first events of a run: everything the guest starts with. */
  start(name: string): void {
    this.put({ kind: 'start', text: `bare ${name}` });
    this.regs.write(this.log, KIND.regs, this.ticks, this.cause);
    this.rootLoaded(undefined, this.owner.get(REG.cr3!));
  }

  run(until: Ticks): 'limit' | 'busy' | Ended {
    const { machine } = this.owner;
    for (let exits = 0; exits < EXITS_MAX; exits++) {
      const exit = this.detail ? this.detail.run(until) : machine.run(until);
      if (exit.kind === 'limit' || exit.kind === 'busy') return exit.kind;
      const over = this.handle(exit);
      if (over) return this.end(over);
      this.detail?.stepped();
    }
    return 'busy';
  }
  end(ended: Ended): Ended {
    this.printed(this.console.take());
    this.regs.write(this.log, KIND.regs, this.ticks, this.cause);
    this.put({ kind: 'end', ...ended });
    return ended;
  }
  trace(log: Log | undefined): void {
    this.detail?.stop();
    this.detail = log && new Detail(this.owner.machine, this.owner, log, this.log);
  }

  save(): Uint8Array {
    return encode({
      tables: this.tables.save(),
      registers: [...this.regs.save()],
      code: this.code,
      line: this.console.line,
      causes: this.causes,
      stuck: this.stuck,
    });
  }
  /** Goes on where `saved` was taken; the machine is there already. */
  restore(saved: SavedBare): void {
    this.tables.restore(saved.tables);
    this.regs.restore(Uint32Array.from(saved.registers));
    this.console.line = saved.line;
    this.causes = [...saved.causes];
    this.stuck = { ...saved.stuck };
  }

  private get ticks(): Ticks {
    return this.owner.machine.ticks;
  }
  private get cause(): number {
    return this.causes.at(-1) ?? -1;
  }

  /** What the guest did that the processor alone does not finish. Returns how the run ended, if it did. */
  private handle(exit: Exit): Ended | undefined {
    switch (exit.kind) {
      case 'limit':
      case 'busy':
        return undefined;
      case 'trap':
        return this.trapped(exit.trap);
      case 'halt':
        return this.halted();
      case 'call':
        return this.called(exit);
      case 'shutdown':
        return killed('triple fault: no way to deliver a double fault');
      case 'unimplemented':
        return killed(`not implemented: ${exit.what} at ${hex(this.owner.machine.pc)}`);
      case 'bus':
        return killed(`no memory at physical address ${hex(exit.address)}, asked for at ${hex(this.owner.machine.pc)}`);
      case 'window':
        throw new Error('internal error: nobody waits for a window');
      default:
        return assertNever(exit);
    }
  }

  private trapped(trap: Trap): Ended | undefined {
    const { ticks, owner } = this;
    this.stuck = this.stuck.ticks === ticks ? { ticks, traps: this.stuck.traps + 1 } : { ticks, traps: 1 };
    if (this.stuck.traps > TRAPS_STUCK)
      return killed(
        `${TRAPS_STUCK} traps without an instruction in between, the last vector ${trap.vector} at ${hex(owner.machine.pc)}`,
      );
    this.causes.push(this.trapTold(trap));
    if (this.causes.length > CAUSES_MAX) this.causes.shift();
    // Where delivery fails, the handler that runs in the end is that of the last fault, which the others led to.
    const exit = deliver(owner, trap, fault => {
      this.causes[this.causes.length - 1] = this.trapTold(fault);
    });
    if (exit) return this.handle(exit);
    this.regs.write(this.log, KIND.regs, ticks, this.cause); // what delivery changed: the handler, its stack, cr2
    return undefined;
  }
  private trapTold({ vector, code, address }: Omit<Trap, 'kind'>): number {
    const { owner } = this;
    this.regs.write(this.log, KIND.regs, this.ticks, this.cause);
    return this.put({
      kind: 'trap',
      vector,
      error: code ?? 0,
      at: asVaddr(address ?? 0n),
      pc: owner.machine.pc,
      user: owner.cpl === 3,
      stack: this.stack(),
    });
  }
  /** hlt: without a device nothing ever interrupts it, so this is how a bare guest switches off. */
  private halted(): Ended {
    const waits = this.owner.get(REG.rflags!) & 0x200n;
    return {
      how: 'halted',
      reason: waits ? 'hlt, waiting for an interrupt; there is no device to raise one' : 'hlt with interrupts off',
    };
  }
  private called(exit: Extract<Exit, { kind: 'call' }>): Ended | undefined {
    if (exit.name === 'iret') return this.returned();
    if (isPortExit(exit)) {
      const { port, value } = exit.port;
      if (port === CONSOLE_PORT && value !== undefined) this.printed(this.console.write(value));
      // A port without a device reads as all ones and forgets what is written, as on a real bus.
      const behind = completePort(this.owner, exit, -1);
      return behind && this.handle(behind);
    }
    // Instructions for a hypervisor: there is none (SDM 3C, 26.1.2: #UD outside VMX operation).
    return this.trapped({ vector: VECTOR.invalidOpcode, code: undefined, address: undefined, kind: 'fault' });
  }
  /** iret is executed by the processor, with nobody in its way, and told when it went well. */
  private returned(): Ended | undefined {
    const { owner } = this;
    owner.intercept = new Set();
    const exit = owner.machine.step();
    owner.intercept = INTERCEPT;
    if (exit.kind !== 'limit') return this.handle(exit);
    const user = owner.cpl === 3;
    const from = this.cause;
    if (user) this.causes = [];
    else this.causes.pop();
    this.regs.write(this.log, KIND.regs, this.ticks, from);
    this.put({ kind: 'trapret', pc: owner.machine.pc, user }, from);
    return undefined;
  }

  /** A store into a table: one event for each entry it changed. */
  private stored(at: number, bytes: number, via: Via): void {
    const table = at >>> SHIFT;
    const { view, layout } = this.owner.memory;
    const last = ((at + bytes - 1) % PAGE) >>> 3;
    for (let index = (at % PAGE) >>> 3; index <= last; index++) {
      const known = this.tables.at(table);
      if (!known) return; // its first half made the frame plain memory again
      const { entries } = known;
      const host = layout.guest + table * PAGE + 8 * index;
      const newLo = view.getUint32(host, true);
      const newHi = view.getUint32(host + 4, true);
      const oldLo = entries[2 * index]!;
      const oldHi = entries[2 * index + 1]!;
      if (newLo === oldLo && newHi === oldHi) continue;
      const { ticks, cause } = this;
      if (via !== HOST) this.regs.spot(this.log, ticks, cause);
      const stack = via === HOST ? 0 : this.stack();
      const row = this.log.open(PTE, ticks, 0, cause);
      const { u8, u16, u32 } = this.log.memory;
      u8[PTE_AT.space + row] = GUEST;
      u32[PTE_AT.table + row] = table;
      u16[PTE_AT.offset + row] = 8 * index;
      u8[PTE_AT.level + row] = known.level;
      u8[PTE_AT.bytes + row] = 8;
      u8[PTE_AT.path + row] = PATH_OF[via];
      u32[PTE_AT.oldLo + row] = oldLo;
      u32[PTE_AT.oldHi + row] = oldHi;
      u32[PTE_AT.newLo + row] = newLo;
      u32[PTE_AT.newHi + row] = newHi;
      u32[PTE_AT.stack + row] = stack;
      this.tables.written(table, known, index, newLo, newHi, this.log.seq - 1);
    }
  }
  private rootLoaded(old: bigint | undefined, value: bigint): void {
    const frameIn = (cr3: bigint): number => Math.min(LEVEL4.rootOf(cr3) / PAGE_BYTES, NO_FRAME);
    const [before, after] = [old === undefined ? NO_FRAME : frameIn(old), frameIn(value)];
    if (before === after) return;
    const seq = this.tell({ kind: 'root', space: 'guest', role: 'kernel', old: asFrame(before), new: asFrame(after) });
    this.tables.load(after, seq);
  }
  private printed(text: string | undefined): void {
    if (text === undefined) return;
    this.tell({ kind: 'console', from: 'guest', text });
    this.heard?.(text);
  }

  stack(): number {
    return this.unwinder.stack();
  }
  /** An event that the guest raised where it is. Returns its seq. */
  private tell(body: Body): number {
    this.regs.spot(this.log, this.ticks, this.cause);
    return this.put(body);
  }
  private put(body: Body, cause = this.cause): number {
    return this.log.put({ ...body, ticks: asTicks(this.ticks), vcpu: 0, cause } as Draft);
  }
}

type WithoutHead<D> = D extends { kind: KindName } ? Omit<D, 'ticks' | 'vcpu' | 'cause'> : never;
type Body = WithoutHead<Draft>;
const killed = (reason: string): Ended => ({ how: 'killed', reason });
