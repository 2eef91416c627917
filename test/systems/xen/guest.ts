/**
 * Small guests for Xen made in a test: machine code by hand in an ELF image with notes, run with everything that is told.
 *
 *   BASE + 0x1000  code     BASE + 0x4000  user code and handlers     BASE + 0x8000  data
 */
import { asTicks } from '../../../src/base/brand.js';
import { BLOCK_BYTES, type Block, blockOver, eventAt } from '../../../src/events/block.js';
import type { Event, EventMap, KindName } from '../../../src/events/kinds.js';
import { Log } from '../../../src/events/log.js';
import type { Ended } from '../../../src/machine/system.js';
import type { BuildInput } from '../../../src/systems/xen/model/build.js';
import { XEN } from '../../../src/systems/xen/model/index.js';
import type { Xen } from '../../../src/systems/xen/model/xen.js';

export const BASE = 0xffff_ffff_8000_0000n;
export const CODE = BASE + 0x1000n;
export const HANDLERS = BASE + 0x4000n;
export const DATA = BASE + 0x8000n;
export const MIB = 2 ** 20;

// A few instructions.

export const bytes = (hex: string): number[] => [...Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')];
export const u64s = (...values: bigint[]): number[] =>
  values.flatMap(v => [...new Uint8Array(new BigUint64Array([BigInt.asUintN(64, v)]).buffer)]);
/** mov register, value; by number: rax rcx rdx rbx rsp rbp rsi rdi r8 ... */
export const mov = (register: number, value: bigint): number[] => [
  0x48 | (register >> 3),
  0xb8 | (register & 7),
  ...u64s(value),
];
const ARGUMENTS = [7, 6, 2, 10, 8];
export const SYSCALL = [0x0f, 0x05];
/** A hypercall by syscall. */
export const call = (number: number, ...args: bigint[]): number[] => [
  ...args.flatMap((value, n) => mov(ARGUMENTS[n]!, value)),
  ...mov(0, BigInt(number)),
  ...SYSCALL,
];
/** mov [at], rax, by way of rbx. */
export const storeRax = (at: bigint): number[] => [...mov(3, at), ...bytes('48 89 03')];
/** mov rax, [at], by way of rbx. */
export const loadRax = (at: bigint): number[] => [...mov(3, at), ...bytes('48 8b 03')];
/** Stores a constant. */
export const store = (at: bigint, value: bigint): number[] => [...mov(0, value), ...storeRax(at)];
export const HYPERCALL = {
  trapTable: 0,
  mmuUpdate: 1,
  stackSwitch: 3,
  callbacks: 4,
  fpu: 5,
  setDebug: 8,
  getDebug: 9,
  multicall: 13,
  vaMapping: 14,
  version: 17,
  console: 18,
  assist: 21,
  iret: 23,
  segmentBase: 25,
  mmuext: 26,
  sched: 29,
  callbackOp: 30,
} as const;
/** Ends the run: sched_op(shutdown, { reason }). The reason is at DATA + 0xff0. */
export const shutdown = (reason = 0): number[] => [
  ...store(DATA + 0xff0n, BigInt(reason)),
  ...call(HYPERCALL.sched, 2n, DATA + 0xff0n),
];
/** struct trap_info. */
export const gate = (vector: number, address: bigint, flags = 0): number[] =>
  u64s(BigInt(vector) | (BigInt(flags) << 8n) | (0xe033n << 16n), address);
export const GATES_END = u64s(0n, 0n);

// Images.

export interface ImageNote {
  readonly owner: string;
  readonly type: number;
  readonly data: readonly number[];
}
export const xenNote = (type: number, value: bigint): ImageNote => ({ owner: 'Xen', type, data: u64s(value) });
export const OLD_XEN: ImageNote = { owner: 'rewalk', type: 1, data: [...Buffer.from('xen-4.1\0')] };
const NOTES = [xenNote(1, CODE), xenNote(3, BASE), xenNote(4, 0n)];

/** @param parts bytes by virtual address; the physical one is the offset from BASE */
export function imageOf(parts: ReadonlyMap<bigint, readonly number[]>, notes: readonly ImageNote[] = []): Uint8Array {
  const pad = (n: number[]): number[] => [...n, ...new Array<number>((4 - (n.length % 4)) % 4).fill(0)];
  const note = [...NOTES, ...notes].flatMap(({ owner, type, data }) => [
    ...new Uint8Array(new Uint32Array([owner.length + 1, data.length, type]).buffer),
    ...pad([...Buffer.from(`${owner}\0`)]),
    ...pad([...data]),
  ]);
  const segments = [...parts].map(([at, data]) => ({ type: 1, at, data }));
  const all = [...segments, { type: 4, at: 0n, data: note }];
  const head = 64 + 56 * all.length;
  const file = new Uint8Array(head + all.reduce((sum, { data }) => sum + data.length, 0));
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true); // x86-64
  view.setBigUint64(24, CODE, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, all.length, true);
  let offset = head;
  all.forEach(({ type, at, data }, n) => {
    const entry = 64 + 56 * n;
    view.setUint32(entry, type, true);
    view.setUint32(entry + 4, 7, true);
    const length = BigInt(data.length);
    const physical = type === 1 ? at - BASE : 0n;
    for (const [field, value] of [BigInt(offset), at, physical, length, length].entries())
      view.setBigUint64(entry + 8 + 8 * field, value, true);
    file.set(data, offset);
    offset += data.length;
  });
  return file;
}

// Runs.

export interface Run {
  readonly xen: Xen;
  readonly ended: Ended | undefined;
  readonly events: readonly Event[];
  readonly printed: readonly string[];
}
export interface RunOptions {
  readonly data?: readonly number[];
  readonly handlers?: readonly number[];
  readonly notes?: readonly ImageNote[];
  readonly input?: BuildInput;
  /** Ticks between pauses. */
  readonly stride?: number;
  readonly ticks?: number;
  /** Before the first instruction. */
  readonly before?: (xen: Xen) => void;
}
/** Hears of whole events, in order. */
export function listening(): { log: Log; events: Event[] } {
  const events: Event[] = [];
  const drain = (block: Block): Block => {
    for (let i = 0; i < block.count; i++) events.push(eventAt(block, i));
    return block;
  };
  return { log: new Log({ swap: drain }, blockOver(new ArrayBuffer(BLOCK_BYTES))), events };
}
export const imageFor = (
  code: readonly number[],
  { data = [], handlers = [], notes = [] }: RunOptions = {},
): Uint8Array =>
  imageOf(
    new Map([
      [CODE, code],
      [HANDLERS, [...handlers, 0x90]],
      [DATA, [...data, ...new Array<number>(0x4000 - data.length).fill(0)]],
    ]),
    notes,
  );
/** Runs code as a guest of 4 MiB + 1 MiB (the first mapping takes 4). */
export function run(code: readonly number[], options: RunOptions = {}): Run {
  const { log, events } = listening();
  const printed: string[] = [];
  const image = imageFor(code, options);
  const boot = { image, name: 'test.elf', guest: 'test', memoryBytes: 5 * MIB, ...options.input };
  const xen = XEN.boot(boot).start({
    log,
    intern: addresses => addresses.length,
    printed: line => printed.push(line),
  }) as Xen;
  const { stride = 1e9, ticks = 1e6, before } = options;
  before?.(xen);
  let paused: ReturnType<Xen['run']> = 'limit';
  for (let until = stride; typeof paused === 'string' && xen.ticks < ticks; until = xen.ticks + stride)
    paused = xen.run(asTicks(Math.min(until, ticks)));
  log.flush();
  return { xen, events, printed, ended: typeof paused === 'string' ? undefined : paused };
}
export const of = <K extends KindName>(events: readonly Event[], kind: K): EventMap[K][] =>
  events.filter((e): e is EventMap[K] => e.kind === kind);
/** What hypercalls answered, as signed numbers, in order. */
export const results = ({ events }: Run): bigint[] => of(events, 'result').map(e => BigInt.asIntN(64, e.value));
/** A word of the guest's memory after the run. */
export const wordAt = ({ xen }: Run, at: bigint): bigint | undefined => xen.guest.word(at);
export const register = ({ xen }: Run, name: number): bigint => xen.cpu.get(name);
