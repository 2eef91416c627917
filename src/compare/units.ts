/**
 * What a budget is "per": a fork, an exec, a process switch, a fault, a call. Each is a stretch of a run with what belongs to
 * it, recognised by what a recording has of any Linux-like guest:
 *
 *   fork        a system call that makes an address space: fork, or clone without CLONE_VM (kernel/fork.c, copy_mm: with
 *               CLONE_VM the memory is shared and no page table is made, as for threads and vfork). clone3 is not one: its
 *               flags are in memory, and C libraries use it for threads and posix_spawn.
 *   exec        execve and execveat (fs/exec.c, exec_mmap loads the new address space); those that fail, too.
 *   switch      another process's root table is loaded (arch/x86/mm/tlb.c, switch_mm_irqs_off): the call that does it, and the
 *               calls that __schedule and __switch_to make right behind it (stack, segments). Where a recording has task
 *               events, another task must follow, and __schedule be on the stack: a root that is borrowed for a while, as by
 *               text_poke, is no switch, and neither is an exec's new one.
 *   task        a task's turn: from its task event to the next one with another pid.
 *   fault       an exception, with all that happens inside it, faults inside it as well.
 *   call:NAME   a call of this name, with all that happens inside it.
 *
 * A system call ends where the kernel first returns to user code, and what other tasks do before that is not its own: causes say
 * so (an event's chain of causes begins at the last entry from user code), and task events do.
 */
import { type Block, causeAt } from '../events/block.js';
import { KIND, NO_FRAME, root as rootKind } from '../events/kinds.js';
import { callName } from '../events/lexicon.js';
import { codeOf } from '../events/schema.js';
import type { Side } from './side.js';

export interface Units {
  /**
   * The unit that event i belongs to, as the number of its first event; -1 for none; undefined for an event that says nothing of
   * it. Asked for every event in order. @param counted the event is one that the budget counts
   */
  of(block: Block, i: number, counted: boolean): number | undefined;
  /** Whether the last unit was one after all; asked when `of` gave another, or after the end. */
  real(): boolean;
  /** There are no more events. */
  end(): void;
}
export const PER = /^(fork|exec|switch|task|fault|call:.+)$/;

/** arch/x86/entry/syscalls/syscall_64.tbl. */
const SYSCALL = { clone: 56, fork: 57, execve: 59, execveat: 322 } as const;
/** include/uapi/linux/sched.h. */
const CLONE_VM = 0x100;
/**
 * On the stack of everything that a switch does: kernel/sched/core.c; arch/x86/kernel/process_64.c, which a new task returns
 * from to ret_from_fork instead.
 */
const SWITCHING = ['__schedule', '__switch_to'];
const KERNEL_ROOT = codeOf(rootKind.fields.role, 'kernel');

/** The units of a `per`; undefined where a recording cannot have any, with the reason. */
export function unitsOf(per: string, side: Side): Units | { readonly never: string } {
  const { header, lexicon } = side.source;
  if (per === 'switch') return new Switches(side);
  if (per === 'task') return new Turns();
  if (per === 'fault') return new Inside(side, (block, i) => block.kind[i] === KIND.trap);
  if (per.startsWith('call:')) {
    const name = per.slice(5);
    return new Inside(side, ({ kind, col, row }, i) => {
      const r = row[i]!;
      return kind[i] === KIND.call && callName(lexicon, col.call.class[r]!, col.call.number[r]!) === name;
    });
  }
  const { syscall } = side;
  if (syscall < 0 || header.isa !== 'x86_64')
    return { never: `${per} is known by its system call, and this recording has no system calls of x86-64` };
  return new Inside(
    side,
    ({ kind, col, row }, i) => {
      if (kind[i] !== KIND.call || col.call.class[row[i]!] !== syscall) return false;
      const number = col.call.number[row[i]!];
      if (per === 'exec') return number === SYSCALL.execve || number === SYSCALL.execveat;
      return number === SYSCALL.fork || (number === SYSCALL.clone && !sharesMemory(col.call, row[i]!));
    },
    true,
  );
}
const sharesMemory = (c: Block['col']['call'], row: number): boolean => {
  const flags = c.argsLo[row === 0 ? 0 : c.argsEnd[row - 1]!] ?? 0;
  return (flags & CLONE_VM) !== 0;
};

const CAUSES_MAX = 64;
/** What happens inside an event: that event, and all that have it in their chain of causes. The outermost counts. */
class Inside implements Units {
  private readonly side: Side;
  private readonly is: (block: Block, i: number) => boolean;
  /** Only while the task runs that ran at its beginning. */
  private readonly ofTask: boolean;
  private pid = 0;
  private unit = -1;
  private unitPid = 0;

  constructor(side: Side, is: (block: Block, i: number) => boolean, ofTask = false) {
    this.side = side;
    this.is = is;
    this.ofTask = ofTask;
  }
  of(block: Block, i: number, counted: boolean): number | undefined {
    if (block.kind[i] === KIND.task) this.pid = block.col.task.pid[block.row[i]!]!;
    if (!counted && !this.is(block, i)) return undefined;
    const unit = this.outermost(block, i);
    if (unit >= 0 && unit !== this.unit) [this.unit, this.unitPid] = [unit, this.pid];
    return this.ofTask && unit >= 0 && this.pid !== this.unitPid ? undefined : unit;
  }
  real(): boolean {
    return true;
  }
  end(): void {}
  private outermost(block: Block, i: number): number {
    let found = -1;
    for (let n = 0; n < CAUSES_MAX; n++) {
      if (this.is(block, i)) found = block.first + i;
      const cause = causeAt(block, i);
      if (cause < 0) break;
      if (cause < block.first) block = this.side.source.chunk(this.side.source.chunkOf(cause));
      i = cause - block.first;
    }
    return found;
  }
}

/** Loads of another process's root, each with the rest of its switch. */
class Switches implements Units {
  private readonly side: Side;
  private readonly hasTasks: boolean;
  /** The outermost call at work, -1 for none: it may turn out to load a root. */
  private unit = -1;
  private mayLoad = false;
  private loads = false;
  private changes = false;
  private wasReal = false;

  constructor(side: Side) {
    this.side = side;
    this.hasTasks = side.source.chunks.some(c => c.counts[KIND.task]! > 0);
  }
  of(block: Block, i: number): number | undefined {
    const { kind, col, row } = block;
    const r = row[i]!;
    switch (kind[i]) {
      case KIND.trap:
      case KIND.trapret:
      case KIND.interrupt:
        return this.next(-1);
      case KIND.call: {
        if (col.call.class[r] === this.side.syscall) return this.next(-1);
        const switching = this.isSwitching(col.call.stack[r]!);
        if (this.loads && switching) return this.unit;
        this.mayLoad = switching || !this.hasTasks;
        return this.next(block.first + i);
      }
      case KIND.root: {
        const c = col.root;
        if (c.role[r] !== KERNEL_ROOT || c.new[r] === c.old[r] || c.new[r] === NO_FRAME) return undefined;
        // A machine without calls: the load itself. A second load is a second switch.
        if (this.unit < 0 || this.loads) this.next(block.first + i);
        else if (!this.mayLoad) return undefined;
        this.loads = true;
        return this.unit;
      }
      case KIND.task:
        if (col.task.pid[r] !== col.task.old[r]) this.changes = true;
        return undefined;
      default:
        return this.unit >= 0 && causeAt(block, i) >= this.unit ? this.unit : undefined;
    }
  }
  real(): boolean {
    return this.wasReal;
  }
  end(): void {
    this.next(-1);
  }
  private isSwitching(stack: number): boolean {
    // A compiler's copies of a function have its name and a dot.
    return this.side.stack(stack).names.some(name => SWITCHING.includes(name.split('.')[0]!));
  }
  private next(unit: number): number {
    this.wasReal = this.loads && (this.changes || !this.hasTasks);
    [this.unit, this.loads, this.changes] = [unit, false, false];
    return unit;
  }
}

/** Turns of tasks. */
class Turns implements Units {
  private unit = -1;
  of(block: Block, i: number): number {
    if (block.kind[i] === KIND.task && block.col.task.pid[block.row[i]!] !== block.col.task.old[block.row[i]!])
      this.unit = block.first + i;
    return this.unit;
  }
  real(): boolean {
    return true;
  }
  end(): void {}
}
