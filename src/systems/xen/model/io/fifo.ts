/**
 * How a raised port reaches the guest in the FIFO form (common/event_fifo.c, public/event_channel.h): queues, one for each
 * of 16 priorities, as lists through an array of words in pages the guest gives, one word a port.
 *
 *    31      30     29     28           16          0
 *   | PENDING | MASKED | LINKED | BUSY | . . . | LINK |      the word of a port; LINK: the port behind it in its queue
 *
 *   control block   0 ready u32, a bit a priority      8 head u32[16], the first port of each queue
 *
 * A raised port becomes PENDING; unless it is MASKED or LINKED already it is put behind the last of its queue, whose word
 * then links to it. Where that one was taken off meanwhile the queue is empty: the port is its head, and if the queue was
 * not `ready` it is, and the vcpu has an upcall. The guest takes ports off by clearing LINKED and LINK by itself. Lists are
 * the guest's to follow; Xen looks only at words whose ports it knows, so it never runs in circles.
 */
import { asFrame, asPaddr, PAGE_BYTES, type Paddr, paddrOf } from '../../../../base/brand.js';
import { ERRNO } from '../../names.js';
import type { Xen } from '../xen.js';
import { type Form, TWO_LEVEL } from './two-level.js';

const PENDING = 2 ** 31;
const MASKED = 2 ** 30;
const LINKED = 2 ** 29;
const BUSY = 2 ** 28;
export const LINK_BITS = 17;
const LINK = 2 ** LINK_BITS - 1;

export const PRIORITIES = 16;
const DEFAULT_PRIORITY = 7;
const WORDS = PAGE_BYTES / 4;
/** EVTCHN_FIFO_MAX_EVENT_ARRAY_PAGES. */
export const ARRAY_PAGES_MAX = 128;
export const CONTROL_BYTES = 8 + 4 * PRIORITIES;
const HEADS = 8;

/** What Xen remembers of a port besides its word. */
interface FifoPort {
  priority: number;
  /** The queue it was linked to last. */
  last: number;
  /** It was raised before there was a word for it. */
  waiting: boolean;
}
/** Plain data, kept with checkpoints. */
export interface Fifo {
  /** Byte address of the control block. */
  control: number;
  /** Frames of the event array. */
  readonly pages: number[];
  /** By priority: the port linked last, 0 for none. */
  readonly tails: number[];
  /** By port number. */
  readonly ports: Record<string, FifoPort>;
}

const portOf = (fifo: Fifo, port: number): FifoPort =>
  (fifo.ports[port] ??= { priority: DEFAULT_PRIORITY, last: 0, waiting: false });
/** Where the word of a port is; undefined while the guest gave no page for it. */
function wordAt(fifo: Fifo, port: number): Paddr | undefined {
  const page = fifo.pages[Math.floor(port / WORDS)];
  return page === undefined ? undefined : paddrOf(asFrame(page), 4 * (port % WORDS));
}
const read = (xen: Xen, at: Paddr): number => Number(xen.memory.read(at, 4));
const write = (xen: Xen, at: Paddr, value: number): void => xen.memory.hostStore(at, 4, BigInt(value >>> 0));
const has = (word: number, bit: number): boolean => (word & bit) !== 0;

function raise(xen: Xen, fifo: Fifo, port: number): void {
  const known = portOf(fifo, port);
  const at = wordAt(fifo, port);
  if (at === undefined) {
    known.waiting = true;
    return;
  }
  const word = read(xen, at) | PENDING;
  if (!has(read(xen, at), PENDING)) {
    write(xen, at, word);
    xen.tell({ kind: 'pending', port, old: false, new: true });
  }
  if (has(word, MASKED) || has(word, LINKED)) return;
  write(xen, at, word | LINKED);
  // It was the last of its old queue, which is empty then.
  if (fifo.tails[known.last] === port) fifo.tails[known.last] = 0;
  known.last = known.priority;
  const linked = linkBehind(xen, fifo, fifo.tails[known.priority]!, port);
  fifo.tails[known.priority] = port;
  if (linked) return;
  write(xen, asPaddr(fifo.control + HEADS + 4 * known.priority), port);
  const ready = read(xen, asPaddr(fifo.control));
  if (has(ready, 1 << known.priority)) return;
  write(xen, asPaddr(fifo.control), ready | (1 << known.priority));
  xen.markPending();
}
/** Links the last of a queue to a port, if it is still linked itself (evtchn_fifo_set_link). */
function linkBehind(xen: Xen, fifo: Fifo, tail: number, port: number): boolean {
  const at = tail === 0 ? undefined : wordAt(fifo, tail);
  if (at === undefined) return false;
  const word = read(xen, at);
  if (!has(word, LINKED)) return false;
  write(xen, at, (word & ~(BUSY | LINK)) | port);
  return true;
}

/** The FIFO form, for a domain that asked for it. */
const formOver = (fifo: Fifo): Form => ({
  raise: (xen, port) => raise(xen, fifo, port),
  clear(xen, port) {
    const at = wordAt(fifo, port);
    if (at === undefined || !has(read(xen, at), PENDING)) return;
    write(xen, at, read(xen, at) & ~PENDING);
    xen.tell({ kind: 'pending', port, old: true, new: false });
  },
  unmask(xen, port) {
    const at = wordAt(fifo, port);
    if (at === undefined) return;
    const word = read(xen, at);
    if (has(word, MASKED)) {
      write(xen, at, word & ~MASKED);
      xen.tell({ kind: 'mask', port, old: true, new: false });
    }
    if (has(word, PENDING)) raise(xen, fifo, port);
  },
  isPending(xen, port) {
    const at = wordAt(fifo, port);
    return at !== undefined && has(read(xen, at), PENDING);
  },
  isBusy(xen, port) {
    const at = wordAt(fifo, port);
    return at !== undefined && has(read(xen, at), LINKED);
  },
});
/** The form the domain's ports have now. */
export const formOf = ({ io }: Xen): Form => (io.fifo ? formOver(io.fifo) : TWO_LEVEL);

/** A new port has the priority all have. */
export function bound({ io: { fifo } }: Xen, port: number): void {
  if (fifo) portOf(fifo, port).priority = DEFAULT_PRIORITY;
}
/** evtchn_fifo_init_control: the domain changes to this form. Returns 0 or -errno. */
export function initControl(xen: Xen, gfn: bigint, offset: number, vcpu: number): number {
  if (vcpu !== 0) return -ERRNO.ENOENT;
  if (offset > PAGE_BYTES - CONTROL_BYTES || offset % 8 !== 0) return -ERRNO.EINVAL;
  if (xen.io.fifo) return -ERRNO.EINVAL; // the one vcpu has its control block
  const mfn = hold(xen, gfn);
  if (mfn === undefined) return -ERRNO.EINVAL;
  const ports: Fifo['ports'] = {};
  for (const port of xen.io.ports.keys())
    ports[port] = { priority: DEFAULT_PRIORITY, last: 0, waiting: TWO_LEVEL.isPending(xen, port) };
  const tails = new Array<number>(PRIORITIES).fill(0);
  xen.io.fifo = { control: paddrOf(asFrame(mfn), offset), pages: [], tails, ports };
  return 0;
}
/** add_page_to_event_array: words for 1024 more ports. Those that were raised without one are raised now. */
export function expandArray(xen: Xen, gfn: bigint): number {
  const { fifo, ports } = xen.io;
  if (!fifo) return -ERRNO.EOPNOTSUPP;
  if (fifo.pages.length >= ARRAY_PAGES_MAX) return -ERRNO.ENOSPC;
  const mfn = hold(xen, gfn);
  if (mfn === undefined) return -ERRNO.EINVAL;
  const from = WORDS * fifo.pages.length;
  fifo.pages.push(mfn);
  for (const port of [...ports.keys()].sort((a, b) => a - b)) {
    const known = portOf(fifo, port);
    if (port < from || port >= from + WORDS || !known.waiting) continue;
    known.waiting = false;
    raise(xen, fifo, port);
  }
  return 0;
}
export function setPriority({ io: { fifo, ports } }: Xen, port: number, priority: number): number {
  if (!ports.has(port)) return -ERRNO.EINVAL;
  if (!fifo) return -ERRNO.ENOSYS;
  if (priority >= PRIORITIES) return -ERRNO.EINVAL;
  portOf(fifo, port).priority = priority;
  return 0;
}
/** evtchn_fifo_destroy: back to two levels; the guest has its pages for itself. */
export function destroy(xen: Xen): void {
  const { fifo } = xen.io;
  if (!fifo) return;
  for (const mfn of [Math.floor(fifo.control / PAGE_BYTES), ...fifo.pages]) xen.mm.letGo(asFrame(mfn));
  xen.io.fifo = undefined;
}
/** A frame of the guest's that Xen writes to. */
function hold(xen: Xen, gfn: bigint): number | undefined {
  if (gfn >= BigInt(xen.frames)) return undefined;
  const mfn = asFrame(Number(gfn));
  return xen.mm.hold(mfn) ? mfn : undefined;
}
