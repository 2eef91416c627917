/**
 * How the array of an mmu_update or mmuext_op is told, so that causes lead from the call to what it changed:
 *
 *   call            hypercall mmu_update, args as in registers
 *     batch         only where the array has more than one entry: style, how many
 *       entry       one request: class update or mmuext, number (command), args as in memory (ptr, val; arg1, arg2)
 *         console   what Xen says about it
 *         flush     where a type change empties the TLB
 *         pte       if it writes an entry of a live table
 *           type, typecount, total, adopt ...       what that changed about frames
 *         type ...  the same, where no entry of a live table is written (pin, unpin, base pointers)
 *         result    only if it is refused: its error
 *
 * A call that gives way and goes on is told again by the host, and its remaining entries are numbered from 0.
 */
import type { CLASS } from '../../names.js';
import { answer, type Core, ERESTART, type Rc } from './core.js';
import { putPending } from './references.js';

export class Batch {
  private readonly core: Core;
  private readonly cause: number;

  /** @param style BATCH.mmu_update or BATCH.mmuext_op */
  constructor(core: Core, style: number, count: number) {
    this.core = core;
    this.cause = count > 1 ? core.domain.tell({ kind: 'batch', style, count }) : core.domain.cause;
  }

  /** Tells one request, carries it out and tells what came of it. Returns what `body` does. */
  entry(
    index: number,
    cls: typeof CLASS.update | typeof CLASS.mmuext,
    number: number,
    args: readonly bigint[],
    body: () => Rc,
  ): Rc {
    const { core, cause } = this;
    const { domain } = core;
    const entry = domain.within(cause, () =>
      domain.tell({ kind: 'entry', index, class: cls, number, args: [...args], queued: 0n, stack: 0 }),
    );
    return domain.within(entry, () => {
      const rc = core.entryDone(body);
      putPending(core);
      if (rc !== 0 && rc !== ERESTART) domain.tell({ kind: 'result', value: answer(rc) });
      return rc;
    });
  }
}
