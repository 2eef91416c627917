/**
 * A domain for the memory management alone: real memory and a real processor, no guest code. What hypercalls read and write
 * lies in an arena of its own, at ARENA in the guest's address space, outside the machine's memory.
 */
import { asFrame, asPaddr, asTicks, type Frame } from '../../../../src/base/brand.js';
import { BLOCK_BYTES, type Block, blockOver, eventAt } from '../../../../src/events/block.js';
import type { Draft, Event } from '../../../../src/events/kinds.js';
import { Log } from '../../../../src/events/log.js';
import { PAGE_FLAGS } from '../../../../src/machine/engine/layout.js';
import { Cpu } from '../../../../src/machine/x86/cpu.js';
import { type Domain, type Generation, INVALID_M2P } from '../../../../src/systems/xen/model/domain.js';
import { Mm } from '../../../../src/systems/xen/model/mm/index.js';
import { HYPERCALL } from '../../../../src/systems/xen/names.js';

export const ARENA = 0x1000_0000n;
const ARENA_BYTES = 1 << 16;
const SELF = 0x7ff0n;
const M2P_L3 = 5n;

/** Frames of Xen's that the domain may map. */
export const SHARED = { writable: 8, readOnly: 9 } as const;

export interface WorldOptions {
  readonly generation?: Generation;
  readonly workMax?: number;
  readonly frames?: number;
  /** Frames from here on are the domain's, but for the last eight, which are free. */
  readonly first?: number;
}

/** The block all worlds write to, one at a time. */
const block = blockOver(new ArrayBuffer(BLOCK_BYTES));
/** Processors by size of memory: making one takes longer than most tests. One world of a size at a time. */
const cpus = new Map<number, Cpu>();
function cpuOf(frames: number): Cpu {
  let cpu = cpus.get(frames);
  if (!cpu) cpus.set(frames, (cpu = new Cpu(frames * 4096, { arenaBytes: 1 << 16 })));
  cpu.memory.guest.fill(0);
  cpu.memory.pageFlags.fill(PAGE_FLAGS.clean);
  return cpu;
}

export function world({ generation = '4.17', workMax, frames = 256, first = 16 }: WorldOptions = {}) {
  const cpu = cpuOf(frames);
  const { memory } = cpu;
  const events: Event[] = [];
  const drain = (block: Block): Block => {
    for (let i = 0; i < block.count; i++) events.push(eventAt(block, i));
    return block;
  };
  const log = new Log({ swap: drain }, block);
  const arena = new Uint8Array(ARENA_BYTES);
  const arenaView = new DataView(arena.buffer);
  const m2p = new Map<number, bigint>();
  const printed: string[] = [];
  const loaded = { gdt: [] as readonly Frame[], gdtEntries: 0, ldt: 0n, ldtEntries: 0 };
  const inArena = (at: bigint, bytes: number): number | undefined =>
    at >= ARENA && at + BigInt(bytes) <= ARENA + BigInt(ARENA_BYTES) ? Number(at - ARENA) : undefined;

  const domain: Domain = {
    id: generation === '4.1' ? 0 : 1,
    generation,
    cpu,
    memory,
    log,
    frames,
    kernelRoot: asFrame(0),
    userRoot: asFrame(0),
    kernelMode: true,
    m2pStrict: false,
    cause: -1,
    pfnOf: mfn => m2p.get(mfn) ?? INVALID_M2P,
    setPfn: (mfn, pfn) => m2p.set(mfn, pfn),
    loadRoots: () => domain.flush('all'),
    userRootChanged: () => {},
    xenSlots: l4 => [
      (M2P_L3 << 12n) | 0x25n,
      0n,
      (BigInt(l4) << 12n) | 0x8000_0000_0000_0063n,
      ...new Array<bigint>(13).fill(0n),
    ],
    loadGdt: (list, entries) => Object.assign(loaded, { gdt: list, gdtEntries: entries }),
    loadLdt: (at, entries) => Object.assign(loaded, { ldt: at, ldtEntries: entries }),
    tell: body => log.put({ ...body, ticks: asTicks(0), vcpu: 0, cause: domain.cause } as Draft),
    stack: () => 0,
    within(cause, body) {
      const outer = domain.cause;
      domain.cause = cause;
      try {
        return body();
      } finally {
        domain.cause = outer;
      }
    },
    print: text => {
      printed.push(text);
      domain.tell({ kind: 'console', from: 'host', text });
    },
    crash: reason => {
      throw new Error(`nobody crashes this domain: ${reason}`);
    },
    copyFrom(at, bytes) {
      const from = inArena(at, bytes);
      return from === undefined ? undefined : arena.slice(from, from + bytes);
    },
    copyTo(at, data) {
      const to = inArena(at, data.length);
      if (to !== undefined) arena.set(data, to);
      return to !== undefined;
    },
    flush: (scope, at) => {
      domain.tell({ kind: 'flush', scope, at: at ?? (0n as never) });
    },
  };
  const mm = new Mm(domain, workMax);
  memory.onWatched = (...store) => mm.stored(...store);
  for (let n = first; n < frames - 8; n++) {
    mm.claim(asFrame(n));
    m2p.set(n, BigInt(0x1000 - n));
  }
  mm.share(asFrame(SHARED.writable), true);
  mm.share(asFrame(SHARED.readOnly), false);
  for (let n = frames - 8; n < frames; n++) mm.free(asFrame(n));

  /** Carries a call out to its end, as a host does. Returns the answer, signed. */
  const call = (number: number, ...args: bigint[]): number => {
    const cause = domain.tell({ kind: 'call', class: 0, number, args, stack: 0 });
    let now: readonly bigint[] = args;
    for (let times = 0; times < 1_000_000; times++) {
      const answer = domain.within(cause, () => mm.handlers[number]!(domain, now));
      if (typeof answer === 'bigint') {
        domain.within(cause, () => domain.tell({ kind: 'result', value: answer }));
        return Number(BigInt.asIntN(64, answer));
      }
      now = answer.again;
    }
    throw new Error('the call never ends');
  };
  const poke = (words: readonly bigint[], at = 0): void => {
    for (const [n, word] of words.entries()) arenaView.setBigUint64(at + 8 * n, BigInt.asUintN(64, word), true);
  };
  return {
    domain,
    mm,
    memory,
    m2p,
    printed,
    loaded,
    arenaView,
    poke,
    call,
    /** mmu_update of pairs of ptr and val; `done` is written to the arena's last eight bytes. */
    update(pairs: readonly (readonly [ptr: bigint, val: bigint])[], foreign = SELF): number {
      poke(pairs.flat());
      return call(HYPERCALL.mmu_update, ARENA, BigInt(pairs.length), ARENA + 0xfff8n, foreign);
    },
    /** mmuext_op of commands with two arguments. */
    ext(
      ops: readonly (readonly [command: number, arg1?: bigint | number, arg2?: bigint | number])[],
      foreign = SELF,
    ): number {
      poke(ops.flatMap(([command, arg1 = 0, arg2 = 0]) => [BigInt(command), BigInt(arg1), BigInt(arg2)]));
      return call(HYPERCALL.mmuext_op, ARENA, BigInt(ops.length), ARENA + 0xfff8n, foreign);
    },
    /** How many requests the last of these calls carried out. */
    done: (): number => arenaView.getUint32(0xfff8, true),
    entry: (frame: number, index: number): bigint => memory.read(asPaddr(frame * 4096 + 8 * index), 8),
    /** The guest fills memory that is no page table. */
    set: (frame: number, index: number, value: bigint): void =>
      memory.hostStore(asPaddr(frame * 4096 + 8 * index), 8, BigInt.asUintN(64, value)),
    /** The events since the last time. */
    taken(): Event[] {
      log.flush();
      return events.splice(0);
    },
  };
}
export type World = ReturnType<typeof world>;

export const P = 1n;
export const RW = 2n;
export const US = 4n;
export const A = 0x20n;
export const D = 0x40n;
export const to = (frame: number, flags: bigint): bigint => (BigInt(frame) << 12n) | flags;
export const ptr = (frame: number, index: number): bigint => BigInt(frame * 4096 + 8 * index);
