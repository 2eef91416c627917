/**
 * Every kind of event, declared once. Events are effects, never intentions: replaying them decides nothing. What changes
 * carries its old and its new value, so that state can be folded in both directions.
 *
 * The order below is the number in the file: append only. Words of a system (frame types, call numbers, paths) are
 * numbers here and names in the recording's lexicon, so a new system needs no edit to this file.
 */
import {
  count64,
  type EventOf,
  enumOf,
  event,
  flag,
  frame,
  stack,
  text,
  u8,
  u16,
  u32,
  u64,
  u64near,
  u64s,
  vaddr,
  was,
  wordIn,
} from './schema.js';

/** A space: guest's own tables, a hypervisor's shadow tables, a kernel's master table, a host process. */
export const space = enumOf('guest', 'shadow', 'master', 'host');
export const SPACES = space.names;
export type Space = (typeof SPACES)[number];

// run
export const start = event('start', 'the run begins', { text });
export const end = event('end', 'the run ends', {
  how: enumOf('halted', 'killed', 'panic', 'limit', 'stopped'),
  reason: text,
});
export const console = event('console', 'the guest or its host printed', { from: enumOf('guest', 'host'), text });
export const input = event('input', 'typed into the guest', { text });
export const idle = event('idle', 'ticks skipped while the guest waited', { skipped: count64 });

// cpu
export const regs = event('regs', 'registers that changed since the last such event', {
  mask: u64,
  values: u64s,
  olds: was('values'),
});
export const step = event('step', 'one instruction retired, with the registers it changed', {
  mask: u64,
  values: u64s,
  olds: was('values'),
});
export const trap = event('trap', 'an exception: vector, error code, faulting address', {
  vector: u8,
  error: u32,
  at: vaddr,
  pc: vaddr,
  user: flag,
  stack,
});
export const trapret = event('trapret', 'return from a trap', { pc: vaddr, user: flag });
export const interrupt = event('interrupt', 'an interrupt or upcall was delivered', {
  vector: u16,
  pc: vaddr,
  user: flag,
});
export const root = event('root', 'a root table was loaded; NO_FRAME for none', {
  space,
  role: enumOf('kernel', 'user'),
  old: frame,
  new: frame,
});
export const descriptor = event('descriptor', 'a descriptor or trap-table entry changed', {
  table: enumOf('gdt', 'idt', 'ldt', 'trap'),
  index: u16,
  old: u64,
  new: u64,
});
export const msr = event('msr', 'a model-specific register or segment base changed', {
  register: u32,
  old: u64,
  new: u64,
});

// calls
export const call = event('call', 'hypercall, system call or ptrace request', {
  class: wordIn('class'),
  number: u32,
  args: u64s,
  stack,
});
export const result = event('result', 'what the call that is its cause answered', { value: u64 });
export const batch = event('batch', 'several calls carried out as one', { style: wordIn('batch'), count: u32 });
export const entry = event(
  'entry',
  'entry `index` of a batch or of an array of updates; where and when it was queued',
  {
    index: u32,
    class: wordIn('class'),
    number: u32,
    args: u64s,
    queued: count64,
    stack,
  },
);

// tables; a table is addressed by frame and byte offset, since some are smaller and some larger than a frame
export const pte = event('pte', 'one page-table entry changed', {
  space,
  table: frame,
  offset: u16,
  level: u8,
  bytes: u8,
  path: wordIn('path'),
  old: u64near,
  new: u64near,
  stack,
});
export const adopt = event('adopt', 'memory became a page table, with these entries', {
  space,
  table: frame,
  offset: u16,
  level: u8,
  bytes: u8,
  format: wordIn('format'),
  entries: u64s,
});
export const release = event('release', 'a page table became plain memory again; the entries it had', {
  space,
  table: frame,
  offset: u16,
  level: u8,
  bytes: u8,
  format: wordIn('format'),
  entries: u64s,
});
export const m2p = event('m2p', 'the guest frame of a machine frame changed', {
  machine: frame,
  old: frame,
  new: frame,
});
export const p2m = event('p2m', 'the machine frame of a guest frame changed', { guest: frame, old: frame, new: frame });

// frames
export const type = event('type', 'the type of a frame changed', {
  frame,
  old: wordIn('frameType'),
  new: wordIn('frameType'),
});
export const typecount = event('typecount', 'the number of references that need the type changed', {
  frame,
  old: u32,
  new: u32,
});
export const total = event('total', 'the number of references to a frame changed', { frame, old: u32, new: u32 });
export const pinned = event('pinned', 'a frame was pinned or unpinned', { frame, old: flag, new: flag });
export const validated = event('validated', 'a frame was validated as its type, or no longer is', {
  frame,
  old: flag,
  new: flag,
});
export const partial = event('partial', 'validation or its undoing stopped half way', { frame, old: flag, new: flag });

// host address spaces; `was` lists what lay there before, five words a range: at, length, protection, object, offset
export const map = event('map', 'a range was mapped into a host address space', {
  process: u32,
  at: vaddr,
  length: u64,
  protection: u8,
  object: wordIn('object'),
  offset: u64,
  was: u64s,
});
export const unmap = event('unmap', 'a range was unmapped from a host address space', {
  process: u32,
  at: vaddr,
  length: u64,
  was: u64s,
});
export const protect = event('protect', 'the protection of a range changed', {
  process: u32,
  at: vaddr,
  length: u64,
  protection: u8,
  was: u64s,
});

// tlb, memory, event channels, tasks
export const fill = event('fill', 'the TLB took an entry', { at: vaddr, frame, bytes: u64, flags: u8 });
export const flush = event('flush', 'the TLB lost entries', { scope: enumOf('one', 'space', 'all'), at: vaddr });
export const store = event('store', 'memory was written', {
  at: vaddr,
  physical: u64near,
  bytes: u8,
  old: u64,
  new: u64,
});
export const pending = event('pending', 'an event channel became pending or was cleared', {
  port: u32,
  old: flag,
  new: flag,
});
export const mask = event('mask', 'an event channel was masked or unmasked', { port: u32, old: flag, new: flag });
export const task = event('task', 'another task runs', { old: u32, pid: u32, oldName: text, name: text });

/** The order is the number in the file: append only. */
export const KINDS = {
  start,
  end,
  console,
  input,
  idle,
  regs,
  step,
  trap,
  trapret,
  interrupt,
  root,
  descriptor,
  msr,
  call,
  result,
  batch,
  entry,
  pte,
  adopt,
  release,
  m2p,
  p2m,
  type,
  typecount,
  total,
  pinned,
  validated,
  partial,
  map,
  unmap,
  protect,
  fill,
  flush,
  store,
  pending,
  mask,
  task,
} as const;

export type KindName = keyof typeof KINDS;
export type EventMap = { [K in KindName]: EventOf<(typeof KINDS)[K]> };
export type Event = EventMap[KindName];
/** An event before it is recorded: no seq yet; ticks, vcpu and cause as given. */
export type Draft = { [K in KindName]: Omit<EventMap[K], 'seq'> }[KindName];

export const KIND_NAMES = Object.keys(KINDS) as readonly KindName[];
/** Kind name to its number in the file. */
export const KIND = Object.fromEntries(KIND_NAMES.map((name, n) => [name, n])) as { readonly [K in KindName]: number };
/** No table at all, where a frame is expected. */
export const NO_FRAME = 0xffff_ffff;
/** The kinds that change one number of a frame: all have `frame`, `old`, `new`. */
export const FRAME_KINDS = [
  'type',
  'typecount',
  'total',
  'pinned',
  'validated',
  'partial',
] as const satisfies readonly KindName[];
export type FrameKind = (typeof FRAME_KINDS)[number];
