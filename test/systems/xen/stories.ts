/**
 * The stories of Xen's built-in guests: notes beside their recordings, which the debugger walks through step by step. Each
 * note names an event. Which one is said here by what must be true of it, so that a recording made anew gets its notes anew,
 * and a note whose event is not there any more is a test that fails.
 */
import { type Event, type EventMap, type KindName, NO_FRAME } from '../../../src/events/kinds.js';
import type { Recording } from '../../../src/recording/reader.js';
import { BATCH, CLASS, HYPERCALL, MMUEXT, PATH } from '../../../src/systems/xen/names.js';

/** A recording to find events in; each search goes on behind the last event found. */
export class Finder {
  private readonly source: Recording;
  private readonly events: readonly Event[];
  private at = 0;

  constructor(source: Recording, events: readonly Event[]) {
    this.source = source;
    this.events = events;
  }
  /** The next event of a kind for which `holds`. */
  next<K extends KindName>(kind: K, holds: (e: EventMap[K]) => boolean = () => true): EventMap[K] {
    const found = this.events.find(
      (e, n): e is EventMap[K] => n >= this.at && e.kind === kind && holds(e as EventMap[K]),
    );
    if (!found) throw new Error(`no ${kind} as wanted behind #${this.at} of ${this.source.header.guest}`);
    this.at = found.seq + 1;
    return found;
  }
  line(text: RegExp): EventMap['console'] {
    return this.next('console', e => text.test(e.text));
  }
  /** The next call of a hypercall from within a function of the guest. */
  call(number: number, within: string): EventMap['call'] {
    return this.next('call', e => e.class === CLASS.hypercall && e.number === number && this.in(e.stack, within));
  }
  /** Whether a call stack goes through a function. */
  in(stack: number, name: string): boolean {
    return this.source.stack(stack).some(at => this.source.symbols.findLast(s => s.at < at)?.name === name);
  }
  /** The machine frame of a guest frame. */
  mfn(pfn: number): number {
    const told = this.events.find((e): e is EventMap['p2m'] => e.kind === 'p2m' && e.guest === pfn);
    if (!told) throw new Error(`no p2m event of pfn ${pfn}`);
    return told.new;
  }
}
export interface Step {
  readonly name: string;
  readonly text: string;
  find(in_: Finder): Event;
}

const FRAME = 0x000f_ffff_ffff_f000n;
const frameIn = (entry: bigint): number => Number((entry & FRAME) >> 12n);
const writable = (entry: bigint): boolean => (entry & 2n) !== 0n;
/** The page that becomes the second table of the direct mapping where tables are placed high. */
const NEXT_TABLE = 0x5fc;
const slotOf = (pfn: number): number => pfn % 512;
const step = (name: string, text: string, find: Step['find']): Step => ({ name, text, find });

const rangeReserved = (text: string): Step =>
  step('range', text, f => f.line(/^kernel direct mapping tables up to 800000/));
const firstTable = (text: string, rw: boolean): Step =>
  step('first-pin', text, f =>
    f.next(
      'adopt',
      e =>
        e.level === 1 &&
        frameIn(e.entries[slotOf(NEXT_TABLE)]!) === f.mfn(NEXT_TABLE) &&
        writable(e.entries[slotOf(NEXT_TABLE)]!) === rw,
    ),
  );

const CRASH: readonly Step[] = [
  rangeReserved(
    'The kernel sets pages 5fa to 5ff aside for the page tables of its direct mapping. They are free memory, and not mapped anywhere yet. Nothing here mentions Xen.',
  ),
  step(
    'table-in-a-slot',
    'The L1 table for 4 to 6 MiB is taken from the range (page 5fb) and mapped through a slot, to be filled. The slot’s own table is pinned, so this plain store faults, and Xen does it (ptwr).',
    f => f.next('pte', e => e.path === PATH.ptwr && frameIn(e.new) === f.mfn(NEXT_TABLE - 1)),
  ),
  step(
    'filled',
    'Filled: 512 plain stores by phys_pte_init, of which Xen saw none, and the slot is taken away. The table covers its own range: entries of pages below pgt_buf_end are read-only, since these are tables; that of page 5fc is writable, since it is none. `rewalk expand` shows the stores.',
    f => f.next('pte', e => e.path === PATH.ptwr && frameIn(e.old) === f.mfn(NEXT_TABLE - 1) && e.new === 0n),
  ),
  firstTable(
    'The table is pinned. Its entries are references from now on: the one of page 5fc makes that page a writable one, with a count of 1.',
    true,
  ),
  step(
    'unreachable',
    'The table goes into the L2 above it. But that L2 is not hooked in before it is full: nothing can look up an address below it, and that is the trap.',
    f => f.call(HYPERCALL.mmu_update, 'pmd_populate_kernel'),
  ),
  step(
    'next-table',
    'Page 5fc, the next of the range, becomes the L1 table for 6 to 8 MiB. make_lowmem_page_readonly will look for its mapping in the direct mapping and find none, so the writable one stays.',
    f => f.next('pte', e => e.path === PATH.ptwr && frameIn(e.new) === f.mfn(NEXT_TABLE)),
  ),
  step(
    'refused',
    'It is pinned, and refused: a frame changes its type only when nobody holds the old one. saw: writable, validated, count 1. exp: an L1 table. Ask why (w): the store is four steps back, at `filled`.',
    f => f.line(/^mm\.c:2466:d0 Bad type/),
  ),
  step(
    'no-handler',
    'The kernel BUG()s: an invalid opcode. Its handler is installed later in the boot, so there is none, and Xen crashes the domain. This is where the user’s log begins.',
    f => f.next('trap', e => e.vector === 6),
  ),
];

const WORKAROUND: readonly Step[] = [
  rangeReserved('The same range as in early-pagetable-crash: pages 5fa to 5ff, the offending placement.'),
  firstTable(
    'The L1 table that covers the range is pinned; here every entry of the range is read-only, that of page 5fc too, which is no table yet.',
    false,
  ),
  step('second-pin', 'So page 5fc can become a table: the pin that failed succeeds.', f =>
    f.next('pinned', e => e.frame === f.mfn(NEXT_TABLE) && e.new),
  ),
  step(
    'reserved',
    'The mapping is done. Pages 5fa to 5fc are reserved; 5fd to 5ff are given back, free, and still read-only. From here on an allocation may hit them.',
    f => f.line(/PGTABLE/),
  ),
  step(
    'set-rw',
    'The first table of the second mapping: mark_rw_past_pgt sees that the old range is reserved by now, and makes its rest writable again.',
    f => f.line(/^xen: setting RW the range 5fd000/),
  ),
  step('post-allocator', 'The rest of the second range, once the allocator is up.', f =>
    f.line(/^xen: setting RW the range/),
  ),
  step('boots', 'All that is free is written to, and can be.', f => f.line(/all writable/)),
];

const REUSE: readonly Step[] = [
  ...WORKAROUND.slice(0, 4),
  step('log-buffer', 'Somebody needs a page, and gets the highest that is free: page 5ff, of the range.', f =>
    f.line(/LOG BUFFER/),
  ),
  step(
    'fault',
    'The first store into it faults: it is mapped read-only, and no page table, so there is nothing for Xen to mend. mark_rw_past_pgt would have come with the next entry that is written.',
    f =>
      f.next('trap', e => e.vector === 14 && f.in(e.stack, 'start_kernel') && (e.error & 3) === 3 && e.at > 2n ** 63n),
  ),
  step('panic', 'The guest’s own end; Xen has not said a word.', f => f.line(/panic/)),
];

const LOW_TABLE = 0x3fb;
const REVERTED: readonly Step[] = [
  rangeReserved('The placement before the commit: within the first 4 MiB, which the domain builder has mapped.'),
  step(
    'made-read-only',
    'Page 3fb becomes a table. It is mapped writable since the first instruction, but the entry can be found, and the write permission is taken away first. In early-pagetable-crash nothing is found here, and nothing happens.',
    f => f.next('pte', e => e.path === PATH.va && frameIn(e.new) === f.mfn(LOW_TABLE) && !writable(e.new)),
  ),
  step('pinned', 'So the pin succeeds.', f => f.next('pinned', e => e.frame === f.mfn(LOW_TABLE) && e.new)),
  step('boots', 'All that is free is written to, and can be.', f => f.line(/all writable/)),
];

const USER_MMAP = 0x100_0000_0000n;
const pinBatch = (f: Finder, times: number): Event => {
  let batch: EventMap['batch'] = f.next('batch', e => e.style === BATCH.multicall && e.count > 8);
  while (--times > 0) batch = f.next('batch', e => e.style === BATCH.multicall && e.count > 8);
  return batch;
};
const USER: readonly Step[] = [
  step(
    'kernel-only',
    'Early in the boot: the kernel’s own tables are loaded, by the kernel’s base pointer alone. There is no user L4, and no page structure that could name one.',
    f => f.next('root', e => e.role === 'kernel' && e.old !== NO_FRAME),
  ),
  step('set_pgd_hyper', 'set_pgd before there are page structures: one update of the one L4 there is.', f =>
    f.next('pte', e => e.level === 4 && e.path === PATH.update && f.in(e.stack, 'set_pgd_hyper')),
  ),
  step(
    'pin',
    'The first process has its tables, filled by plain stores. All of them are made read-only and pinned by one batch: the tables below once, then the kernel L4, then the user L4.',
    f => pinBatch(f, 1),
  ),
  step(
    'both-base-pointers',
    'Both base pointers by one multicall: the kernel L4 before this event, the user L4 here.',
    f => f.next('root', e => e.role === 'user' && e.old === NO_FRAME),
  ),
  step('user-mode', 'Into ring 3 by the iret hypercall: from here on the user L4 is the one in use.', f =>
    f.next('trapret', e => e.user),
  ),
  step('1-tib', 'User code touches an address at 1 TiB, for which its L4 has no entry.', f =>
    f.next('trap', e => e.vector === 14 && e.at === USER_MMAP),
  ),
  step(
    'both-halves',
    'The second of two updates in one entry of one batch: the user L4 gets what the kernel L4 got. In user-pagetables-broken this event is missing.',
    f => {
      const kernel = f.next('pte', e => e.level === 4 && e.offset === 16);
      return f.next('pte', e => e.level === 4 && e.offset === 16 && e.table !== kernel.table && e.new === kernel.new);
    },
  ),
  step(
    'fork',
    'fork takes the write permission from every page of the parent, in one batch, so that the first to write gets a copy.',
    f => f.next('batch', e => e.style === BATCH.mmu_update && e.count > 2),
  ),
  step('child-pinned', 'The child’s tables, both L4 again, are pinned before they are ever loaded.', f =>
    pinBatch(f, 1),
  ),
  step('switch', 'To the child: both base pointers, one multicall. This is the user’s.', f =>
    f.next('root', e => e.role === 'user'),
  ),
  step('copy', 'The child writes to a shared page: it gets a copy, its parent keeps the page.', f =>
    f.next('trap', e => e.vector === 14 && e.at === USER_MMAP && (e.error & 3) === 3),
  ),
  step('unpin', 'The child is gone: kernel and user L4 are unpinned together, and their tables are memory again.', f =>
    f.next('entry', e => e.class === CLASS.mmuext && e.number === MMUEXT.unpin_table),
  ),
  step(
    'init-has-none',
    'The last process exits. The init page table is loaded, and the user base pointer becomes none: no user code could run on it.',
    f => f.next('root', e => e.role === 'user' && e.new === NO_FRAME),
  ),
];

const BROKEN: readonly Step[] = [
  USER[3]!,
  USER[5]!,
  step(
    'kernel-half',
    'The kernel L4 gets its entry. The update of the user L4, which should follow, is not there.',
    f => f.next('pte', e => e.level === 4 && e.offset === 16),
  ),
  step('no-error', 'Every call has succeeded, and the kernel returns to user code.', f =>
    f.next('trapret', e => e.user),
  ),
  step(
    'again',
    'The same instruction faults at the same address. The kernel sees the page in its own tables and has nothing to do; `walk` shows the two L4 tables apart.',
    f => f.next('trap', e => e.vector === 14 && e.at === USER_MMAP),
  ),
  step('gives-up', 'Linux would go on for ever. This kernel gives up.', f => f.line(/again and again/)),
];

export const STORIES: Readonly<Record<string, readonly Step[]>> = {
  'xen/early-pagetable-crash': CRASH,
  'xen/early-pagetable-workaround': WORKAROUND,
  'xen/early-pagetable-reuse': REUSE,
  'xen/early-pagetable-reverted': REVERTED,
  'xen/user-pagetables': USER,
  'xen/user-pagetables-broken': BROKEN,
};
