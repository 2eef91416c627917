/**
 * Xen and one PV domain on it. The guest, kernel and user code alike, runs in ring 3 on the emulated processor; whatever
 * ring 3 may not do leaves the run, and what happens then is this host's work:
 *
 *   syscall   in kernel mode a hypercall (calls.ts), in user mode a system call for the guest's kernel (bounce.ts)
 *   a trap    Xen's own to mend (a store into a page table, a privileged instruction), or the guest's (faults.ts)
 *
 * and on every way back (test_all_events, entry.S) a look whether an upcall is due.
 *
 * Every event has the registers it needs before it: all of them where the guest comes to Xen and where it goes on, where it
 * is (`spot`) for what the processor does while it runs. Its cause is the innermost of: the entry, batch, call or trap Xen is
 * at work on; the trap, system call or upcall in whose handler the guest's kernel is; handlers nest, and a return to user
 * code ends them all.
 */
import { assert } from '../../../base/assert.js';
import {
  asFrame,
  asPaddr,
  asTicks,
  asVaddr,
  type Frame,
  PAGE_BYTES,
  paddrOf,
  type Ticks,
  type Vaddr,
} from '../../../base/brand.js';
import { hex } from '../../../base/u64.js';
import type { Draft } from '../../../events/kinds.js';
import { KIND, NO_FRAME } from '../../../events/kinds.js';
import type { Log } from '../../../events/log.js';
import { REG } from '../../../isa/x86_64.js';
import { Linux, type LinuxFacts, type Task } from '../../../kernels/linux/linux.js';
import { signed, unsigned } from '../../../kernels/linux/orc.js';
import { Detail } from '../../../machine/detail.js';
import type { Exit, Trap } from '../../../machine/engine/exits.js';
import type { Memory } from '../../../machine/engine/memory.js';
import type { Ended, Host, Sinks, Waits } from '../../../machine/system.js';
import type { Cpu } from '../../../machine/x86/cpu.js';
import { HIDDEN_STATE } from '../../../machine/x86/hidden.js';
import { Peek } from '../../../machine/x86/peek.js';
import { X86Trace } from '../../../machine/x86/trace.js';
import { STACK_MAX, Unwinder } from '../../../machine/x86/unwind.js';
import { systemCall, upcall } from './bounce.js';
import { UPCALL_MASK } from './build.js';
import { hypercall } from './calls.js';
import { Console } from './console.js';
import { crashReport } from './crash.js';
import { GDT_LIMIT, XenTables } from './descriptors.js';
import { type Body, type Domain, type Generation, INVALID_M2P } from './domain.js';
import { handleTrap, injectFault } from './faults.js';
import { GuestMemory, kernelMemory } from './guest-memory.js';
import type { QueueRecords } from './image.js';
import { CONSOLE_ROOM, unread } from './io/devices.js';
import type { Io } from './io/io.js';
import { deadline, ring, startClock } from './io/time.js';
import { GDT_AT, GDT_PAGES, LDT_AT, type MachineLayout } from './layout.js';
import { Mm } from './mm/index.js';
import { encode, type SavedXen } from './saved.js';
import { assists, type Vcpu } from './vcpu.js';
import { pass, type Typed, typed, type Waiting, wait } from './wait.js';

/** Handlers within handlers that are remembered as causes; a guest may nest deeper, and only the outermost are forgotten. */
const CAUSES_MAX = 64;
/** What is handled before whoever runs us gets a look. */
const EXITS_MAX = 4096;
const INTERCEPT: ReadonlySet<string> = new Set(['syscall']);
const UPCALL_PENDING = 0;

/** Executable ranges of the image: what can be a return address. */
export type CodeRanges = readonly (readonly [from: bigint, to: bigint])[];
export interface XenSetup {
  readonly cpu: Cpu;
  readonly layout: MachineLayout;
  readonly generation: Generation;
  readonly vcpu: Vcpu;
  readonly io: Io;
  readonly code: CodeRanges;
  readonly queue: QueueRecords | undefined;
  /** What is known of the kernel, if it is a Linux. */
  readonly linux?: LinuxFacts | undefined;
}

export class Xen implements Host, Domain {
  readonly owner: Cpu;
  readonly cpu: Cpu;
  readonly memory: Memory;
  readonly log: Log;
  readonly id: number;
  readonly generation: Generation;
  readonly frames: number;
  readonly layout: MachineLayout;
  readonly guest: GuestMemory;
  readonly mm: Mm;
  readonly queue: QueueRecords | undefined;
  readonly console = new Console();
  /** An entry of a multicall is at work. */
  inMulticall = false;
  vcpu: Vcpu;
  readonly io: Io;
  kernelRoot = asFrame(0);
  userRoot = asFrame(0);
  kernelMode = true;
  cause = -1;
  /** How the run ends, and the event that was at work then. */
  over: Ended | undefined;
  private overIn = -1;
  /** The guest waits: wait.ts. */
  waiting: Waiting | undefined;
  /** What was typed since the run paused. */
  private typed: Typed | undefined;
  /** A single step that shows behind an instruction Xen did: the guest's, before it goes on. */
  afterwards: Trap | undefined;

  private readonly intern: Sinks['intern'];
  private readonly heard: Sinks['printed'];
  private readonly wrote: Sinks['wrote'];
  private readonly tables: XenTables;
  private readonly regs: X86Trace;
  private readonly peek: Peek;
  private readonly unwinder: Unwinder;
  private readonly code: CodeRanges;
  private readonly linuxFacts: LinuxFacts | undefined;
  private readonly linux: Linux | undefined;
  /** The guest's task as last told. */
  private task: Task = { pid: 0, name: '' };
  /** Roots as last told. */
  private told = { kernel: NO_FRAME, user: NO_FRAME };
  /** Traps, system calls and upcalls whose handlers are running, outermost first. */
  private causes: number[] = [];
  /** Call stack of the guest where it came to us; not known yet, or it runs: undefined. */
  private here: number | undefined;
  private isHere = false;
  private detail: Detail | undefined;

  constructor(
    { cpu, layout, generation, vcpu, io, code, queue, linux }: XenSetup,
    { log, intern, printed, wrote }: Sinks,
  ) {
    this.owner = cpu;
    this.cpu = cpu;
    this.memory = cpu.memory;
    this.log = log;
    this.intern = intern;
    this.heard = printed;
    this.wrote = wrote;
    this.layout = layout;
    this.frames = layout.frames;
    this.generation = generation;
    this.id = generation === '4.1' ? 0 : 1;
    this.vcpu = vcpu;
    this.io = io;
    this.code = code;
    this.queue = queue;
    this.guest = new GuestMemory(cpu);
    this.tables = new XenTables(cpu.memory, layout);
    this.regs = new X86Trace(cpu);
    this.peek = new Peek(cpu.memory);
    const inCode = (address: bigint): boolean => code.some(([from, to]) => address >= from && address < to);
    this.unwinder = new Unwinder(cpu.memory, this.peek, inCode, intern);
    this.mm = new Mm(this);
    this.linuxFacts = linux;
    this.linux = linux && new Linux(linux, kernelMemory(cpu.memory, this.peek));
    cpu.memory.onWatched = (at, bytes, oldLo, oldHi, newLo, newHi, via) =>
      this.mm.stored(at, bytes, oldLo, oldHi, newLo, newHi, via);
    cpu.intercept = INTERCEPT;
  }

  /** The first events of a run: everything the guest starts with. The domain is built in memory. */
  start(name: string, mfns: Uint32Array, root: Frame): void {
    this.cause = this.put({ kind: 'start', text: `xen ${name}` });
    this.crossing();
    this.tables.tell(this.log, { ticks: this.ticks, cause: this.cause });
    mfns.forEach((mfn, pfn) => {
      this.mm.claim(asFrame(mfn));
      this.setPfn(asFrame(mfn), BigInt(pfn));
      this.put({ kind: 'p2m', guest: asFrame(pfn), old: asFrame(NO_FRAME), new: asFrame(mfn) });
    });
    startClock(this);
    this.mm.share(this.layout.sharedInfo, true);
    if (!this.mm.pin(root, 4) || !this.mm.start(root))
      throw new Error('internal error: the first page tables are not valid');
    this.crossing();
    this.cause = -1;
  }

  run(until: Ticks): 'limit' | 'busy' | Ended;
  run(until: Ticks, awaited: boolean): 'limit' | 'busy' | Waits | Ended;
  run(until: Ticks, awaited = false): 'limit' | 'busy' | Waits | Ended {
    const { machine } = this.cpu;
    for (let exits = 0; exits < EXITS_MAX; exits++) {
      if (this.typed) this.typedNow(this.typed);
      else if (!this.waiting) {
        // The timer rings at its tick, wherever those who run us pause.
        const due = asTicks(Math.min(until, deadline(this)));
        const exit = this.detail ? this.detail.run(due) : machine.run(due);
        if (exit.kind === 'busy' || (exit.kind === 'limit' && this.ticks < deadline(this))) return exit.kind;
        this.arrive();
        if (exit.kind === 'limit') ring(this);
        else this.handle(exit);
      }
      const waits = this.waiting && wait(this, until, awaited);
      if (waits) return waits;
      if (!this.over && this.afterwards) injectFault(this, this.afterwards);
      this.afterwards = undefined;
      if (!this.over && this.upcallDue) upcall(this);
      if (this.over) return this.end(this.over);
      this.cause = this.causes.at(-1) ?? -1;
      this.crossing(); //                                                       and where it goes on
      this.isHere = false;
      this.here = undefined;
      this.detail?.stepped();
    }
    return 'busy';
  }
  /** The guest comes to us: all registers, where it left off. */
  private arrive(): void {
    this.isHere = true;
    this.crossing();
    this.lookForTask();
  }
  type(text: string, at: Ticks): number {
    const taken = text.slice(0, CONSOLE_ROOM - unread(this));
    if (taken) this.typed = { text: taken, at };
    return taken.length;
  }
  get unread(): number {
    return unread(this);
  }
  private typedNow(what: Typed): void {
    this.typed = undefined;
    if (!this.waiting) this.arrive();
    typed(this, what);
  }
  /** The run is over; the first reason counts. Whoever is at work returns normally. */
  stop(ended: Ended): void {
    if (this.over) return;
    this.over = ended;
    this.overIn = this.cause;
  }
  end(ended: Ended, at?: Ticks): Ended {
    if (this.waiting && at !== undefined) pass(this, at);
    if (this.over) this.cause = this.overIn;
    const line = this.console.take();
    if (line !== undefined) this.printed(line);
    this.crossing();
    this.put({ kind: 'end', ...ended });
    return ended;
  }
  trace(log: Log | undefined): void {
    this.detail?.stop();
    this.detail = log && new Detail(this.cpu.machine, this.cpu, log, this.log);
  }
  save(): Uint8Array {
    assert(!this.waiting && !this.typed, 'a checkpoint is taken while the guest runs');
    return encode({
      generation: this.generation,
      vcpu: this.vcpu,
      io: this.io,
      mm: this.mm.save(),
      kernelRoot: this.kernelRoot,
      userRoot: this.userRoot,
      kernelMode: this.kernelMode,
      told: this.told,
      registers: [...this.regs.save()],
      code: this.code,
      queue: this.queue,
      linux: this.linuxFacts,
      task: this.task,
      line: this.console.line,
      causes: this.causes,
    });
  }
  /** Goes on where `saved` was taken; the machine is there already. */
  restore(saved: SavedXen): void {
    this.kernelRoot = asFrame(saved.kernelRoot);
    this.userRoot = asFrame(saved.userRoot);
    this.kernelMode = saved.kernelMode;
    this.told = { ...saved.told };
    this.regs.restore(Uint32Array.from(saved.registers));
    this.console.line = saved.line;
    this.causes = [...saved.causes];
    this.cause = this.causes.at(-1) ?? -1;
    this.task = saved.task;
    this.mm.restore(saved.mm);
  }

  get ticks(): Ticks {
    return this.cpu.machine.ticks;
  }

  /** What ring 3 may not do by itself. */
  private handle(exit: Exit): void {
    switch (exit.kind) {
      case 'call':
        if (exit.name !== 'syscall') throw new Error(`internal error: ${exit.name} is not intercepted`);
        if (this.kernelMode) hypercall(this);
        else systemCall(this);
        return;
      case 'trap':
        handleTrap(this, exit.trap);
        return;
      case 'unimplemented':
        this.stop({ how: 'killed', reason: `not implemented: ${exit.what} at ${hex(this.cpu.machine.pc)}` });
        return;
      case 'bus':
        throw new Error(`internal error: a validated entry points to ${hex(exit.address)}, where there is no memory`);
      default:
        throw new Error(`internal error: ${exit.kind} in ring 3`);
    }
  }

  // Handlers of the guest.

  /** The guest's kernel runs on in a handler of what event `seq` is. */
  handlerEntered(seq: number): void {
    this.causes.push(seq);
    if (this.causes.length > CAUSES_MAX) this.causes.shift();
  }
  /** The innermost handler is done; all of them, when the guest goes back to user code. */
  handlerLeft(toUser: boolean): void {
    if (toUser) this.causes = [];
    else this.causes.pop();
  }

  // Upcalls: two bytes of the vcpu's part of the shared page.

  get upcallMask(): boolean {
    return this.memory.guest[this.io.vcpuInfoAt + UPCALL_MASK] !== 0;
  }
  set upcallMask(on: boolean) {
    if (on !== this.upcallMask) this.memory.hostStore(asPaddr(this.io.vcpuInfoAt + UPCALL_MASK), 1, on ? 1n : 0n);
  }
  get upcallPending(): boolean {
    return this.memory.guest[this.io.vcpuInfoAt + UPCALL_PENDING] !== 0;
  }
  /** Something happened that the guest should look for (vcpu_mark_events_pending). */
  markPending(): void {
    if (this.upcallPending) return;
    this.memory.hostStore(asPaddr(this.io.vcpuInfoAt + UPCALL_PENDING), 1, 1n);
    this.waiting = undefined;
  }
  private get upcallDue(): boolean {
    return this.upcallPending && !this.upcallMask;
  }
  /** A word of the vcpu's part of the shared page. */
  vcpuWord(offset: number): bigint {
    return this.memory.read(asPaddr(this.io.vcpuInfoAt + offset), 8);
  }
  setVcpuWord(offset: number, value: bigint): void {
    this.memory.hostStore(asPaddr(this.io.vcpuInfoAt + offset), 8, value);
  }

  // Domain.

  pfnOf(mfn: Frame): bigint {
    return mfn < this.frames ? this.memory.read(this.m2pAt(mfn), 8) : INVALID_M2P;
  }
  setPfn(mfn: Frame, pfn: bigint): void {
    const old = this.pfnOf(mfn);
    if (old === pfn) return;
    this.memory.hostStore(this.m2pAt(mfn), 8, pfn);
    const asGuestFrame = (n: bigint): Frame => asFrame(n >= BigInt(NO_FRAME) ? NO_FRAME : Number(n));
    this.tell({ kind: 'm2p', machine: mfn, old: asGuestFrame(old), new: asGuestFrame(pfn) });
  }
  private m2pAt(mfn: Frame) {
    return paddrOf(asFrame(this.layout.m2p), 8 * mfn);
  }

  loadRoots(): void {
    this.tellRoot('kernel', this.kernelRoot);
    this.userRootChanged();
    this.writeBase(false);
  }
  userRootChanged(): void {
    this.tellRoot('user', this.userRoot);
  }
  /** Loads the table of the mode the guest is in. keepGlobal: as between user and kernel mode (_toggle_guest_pt). */
  writeBase(keepGlobal: boolean): void {
    const { cpu } = this;
    cpu.set(REG.cr3!, BigInt(this.kernelMode ? this.kernelRoot : this.userRoot) * BigInt(PAGE_BYTES));
    cpu.memory.tlb.flush(keepGlobal);
    this.tell({ kind: 'flush', scope: keepGlobal ? 'space' : 'all', at: asVaddr(0n) });
  }
  private tellRoot(role: 'kernel' | 'user', root: Frame): void {
    const [old, now] = [this.told[role], root === 0 ? NO_FRAME : root];
    if (old === now) return;
    this.told[role] = now;
    this.tell({ kind: 'root', space: 'guest', role, old: asFrame(old), new: asFrame(now) });
  }
  get m2pStrict(): boolean {
    return assists(this.vcpu, 'm2pStrict');
  }
  xenSlots(): readonly bigint[] {
    return this.tables.slots;
  }
  loadGdt(frames: readonly Frame[], _entries: number): void {
    // The table always has its full size, so that Xen's own descriptors are in it (load_full_gdt).
    this.tables.mapGdt(frames, this.log, { ticks: this.ticks, cause: this.cause });
    this.cpu.set(REG.gdtr_base!, GDT_AT);
    this.cpu.set(REG.gdtr_limit!, GDT_LIMIT);
    this.flush('all');
  }
  loadLdt(at: bigint, entries: number): void {
    const { cpu } = this;
    for (let n = 0; n < GDT_PAGES.all; n++) this.mapLdt(n, undefined);
    this.vcpu.ldt = { at, entries };
    // As Xen's load_LDT: the descriptor in the GDT is its own, the processor sees base and limit.
    cpu.set(REG.ldtr!, 0n);
    cpu.hidden.set(HIDDEN_STATE.ldtrBase, entries === 0 ? 0n : LDT_AT);
    cpu.hidden.set(HIDDEN_STATE.ldtrLimit, entries === 0 ? 0n : BigInt(8 * entries - 1));
    this.flush('all');
  }
  mapLdt(n: number, frame: Frame | undefined): void {
    this.tables.mapLdt(n, frame, this.log, { ticks: this.ticks, cause: this.cause });
  }

  tell(body: Body): number {
    this.regs.spot(this.log, this.ticks, this.cause);
    return this.put(body);
  }
  private put(body: Body): number {
    return this.log.put({ ...body, ticks: asTicks(this.ticks), vcpu: 0, cause: this.cause } as Draft);
  }
  /** All registers that changed: the guest comes, or goes on. */
  private crossing(): void {
    this.regs.write(this.log, KIND.regs, this.ticks, this.cause);
  }
  stack(): number {
    if (this.isHere && this.here !== undefined) return this.here;
    const stack = this.linux ? this.intern(this.linuxStack(this.linux)) : this.unwinder.stack();
    if (this.isHere) this.here = stack;
    return stack;
  }
  /** Without frame pointers, and of the kernel only: user code has no tables we could know. */
  private linuxStack(linux: Linux): bigint[] {
    if (!this.kernelMode) return [];
    const at = (register: number): number => signed(this.cpu.get(register));
    const frame = { pc: at(REG.rip!), sp: at(REG.rsp!), bp: at(REG.rbp!) };
    return linux.stack(frame, STACK_MAX).map(unsigned);
  }
  /** Another task, or one with another name, runs since the guest was here last. */
  private lookForTask(): void {
    if (!this.linux || !this.kernelMode) return;
    const task = this.linux.task(this.cpu.get(REG.gs_base!));
    if (!task || (task.pid === this.task.pid && task.name === this.task.name)) return;
    const { pid: old, name: oldName } = this.task;
    this.task = task;
    this.tell({ kind: 'task', old, pid: task.pid, oldName, name: task.name });
  }
  /** The number of a call stack that somebody else found. */
  stackOf(addresses: readonly bigint[]): number {
    return this.intern(addresses);
  }
  within<T>(cause: number, body: () => T): T {
    const before = this.cause;
    this.cause = cause;
    try {
      return body();
    } finally {
      this.cause = before;
    }
  }
  print(text: string): void {
    this.tell({ kind: 'console', from: 'host', text: `${text}\n` });
    this.heard?.(`(XEN) ${text}\n`);
    this.wrote?.(`(XEN) ${text}\n`);
  }
  /** The guest wrote to its console. */
  write(bytes: Uint8Array): void {
    this.wrote?.(Buffer.from(bytes).toString('latin1'));
    for (const line of this.console.write(bytes)) this.printed(line);
  }
  /** A line the guest wrote. */
  private printed(text: string): void {
    this.tell({ kind: 'console', from: 'guest', text });
    this.heard?.(text);
  }
  crash(reason: string): void {
    if (this.over) return;
    this.stop({ how: 'killed', reason });
    crashReport(this);
  }

  copyFrom(at: bigint, bytes: number): Uint8Array | undefined {
    return this.guest.copyFrom(at, bytes);
  }
  copyTo(at: bigint, data: Uint8Array): boolean {
    return this.guest.copyTo(at, data);
  }
  flush(scope: 'all' | 'space' | 'one', at: Vaddr = asVaddr(0n)): void {
    const { tlb } = this.memory;
    if (scope === 'one') tlb.flushPage(BigInt.asIntN(64, at));
    else tlb.flush(scope === 'space');
    this.tell({ kind: 'flush', scope, at });
  }
}
