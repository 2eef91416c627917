/**
 * Replay equals machine, for guests of Xen: state folded from what the host tells is what the machine is; a recording can
 * be run again from any checkpoint, with or without detail, and is the same.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { asFrame, asPaddr, asTicks } from '../../../src/base/brand.js';
import { finish } from '../../../src/base/work.js';
import { BLOCK_BYTES, type Block, blockOver } from '../../../src/events/block.js';
import { type Event, FRAME_KINDS, KIND_NAMES, type KindName, NO_FRAME } from '../../../src/events/kinds.js';
import { Log } from '../../../src/events/log.js';
import { REG, X86_64 } from '../../../src/isa/x86_64.js';
import type { Recording } from '../../../src/recording/reader.js';
import { rerunDetail, rerunEvents } from '../../../src/session/rerun.js';
import { Pool } from '../../../src/state/pool.js';
import { State } from '../../../src/state/state.js';
import { XEN } from '../../../src/systems/xen/model/index.js';
import { FLAG } from '../../../src/systems/xen/model/mm/frames.js';
import type { Xen } from '../../../src/systems/xen/model/xen.js';
import { eventsIn, eventsOf, opened, RECORDINGS } from '../../session/guests.js';

const imageOf = (guest: string): Uint8Array => readFileSync(`${RECORDINGS}xen/${guest}.elf`);
const MEMORY = 16 * 2 ** 20;

/** Tables, frames, roots and arrangements as the machine has them, against a state. */
function compare(xen: Xen, state: State, where: string): void {
  const { frames } = xen.mm;
  const tables = state.tables('guest');
  for (const { at } of tables)
    for (let offset = 0; offset < 4096; offset += 8) {
      const told = state.entry('guest', asPaddr(at + offset), 8);
      const is = xen.memory.read(asPaddr(at + offset), 8);
      if (told !== is) expect(told, `${where}: table ${at / 4096} at ${offset}`).toBe(is);
    }
  const known = new Set(tables.map(t => t.at / 4096));
  for (let frame = 0; frame < xen.frames; frame++) {
    const flag = (bit: number): number => Number((frames.flags[frame]! & bit) !== 0);
    const is = {
      type: frames.type[frame],
      typecount: frames.typeCount[frame],
      total: frames.total[frame],
      pinned: flag(FLAG.pinned),
      validated: flag(FLAG.validated),
      partial: flag(FLAG.partial),
    };
    for (const kind of FRAME_KINDS)
      if (state.frameNumber(kind, asFrame(frame)) !== is[kind])
        expect(state.frame(asFrame(frame)), `${where}: frame ${frame}`).toEqual(is);
    // Every validated table of the guest is adopted.
    const isTable = is.type! >= 1 && is.type! <= 4 && is.validated;
    if (isTable) expect(known.has(frame), `${where}: table ${frame}`).toBe(true);
    const pfn = xen.pfnOf(asFrame(frame));
    const told = state.guestFrame(asFrame(frame));
    if (BigInt(told) !== (pfn >= BigInt(NO_FRAME) ? BigInt(NO_FRAME) : pfn)) expect(told, `${where}: m2p`).toBe(pfn);
  }
  expect(state.root('guest', 'kernel', 0), where).toBe(xen.kernelRoot);
  expect(state.root('guest', 'user', 0), where).toBe(xen.userRoot === 0 ? NO_FRAME : xen.userRoot);
}

const SPOT = ['rsp', 'rbp', 'rip', 'rflags'].map(name => REG[name]!);
const ALL = X86_64.registers.map((_, n) => n);
/** Kinds that tell of a crossing from the guest to Xen: all registers are current. */
const CROSSINGS: readonly KindName[] = ['call', 'trap'];
/** Told by the guest, by the processor or by Xen on its behalf: where the guest is, is current. */
const PLACED: readonly KindName[] = ['pte', 'console', 'entry', 'batch', 'result', 'flush', 'interrupt', 'descriptor'];

test.for(['early-pagetable-crash', 'user-pagetables'])(
  '%s: state folded from events is the state of the machine',
  guest => {
    const pool = new Pool();
    const seen = new Map<number, { kind: KindName; values: bigint[] }>();
    let xen: Xen | undefined;
    let compared = 0;
    const drain = (block: Block): Block => {
      for (let i = 0; i < block.count; i++) {
        pool.forward(block, i, i + 1);
        const was = seen.get(pool.applied - 1);
        if (!was) continue;
        const which = CROSSINGS.includes(was.kind) ? ALL : SPOT;
        const told = which.map(reg => new State(pool).register(0, reg));
        expect(told, `#${pool.applied - 1} ${was.kind}`).toEqual(which.map(reg => was.values[reg]));
        compared++;
      }
      return block;
    };
    const log = new Log({ swap: drain }, blockOver(new ArrayBuffer(BLOCK_BYTES)));
    const open = log.open.bind(log);
    log.open = (kind, ticks, vcpu, cause) => {
      const row = open(kind, ticks, vcpu, cause);
      const name = KIND_NAMES[kind]!;
      if (xen && (CROSSINGS.includes(name) || PLACED.includes(name)))
        seen.set(log.seq - 1, { kind: name, values: ALL.map(reg => xen!.cpu.get(reg)) });
      return row;
    };
    const booted = XEN.boot({ image: imageOf(guest), name: guest, guest, memoryBytes: MEMORY });
    xen = booted.start({ log, intern: a => a.length }) as Xen;
    let paused: ReturnType<Xen['run']> = 'limit';
    let last = 0;
    let pauses = 0;
    while (typeof paused === 'string') {
      if (log.seq > last) {
        log.flush();
        compare(xen, new State(pool), `after #${log.seq - 1}, at ${xen.ticks}`);
        last = log.seq;
        pauses++;
      }
      paused = xen.run(asTicks(xen.ticks + 20));
    }
    log.flush();
    compare(xen, new State(pool), 'at the end');
    expect(pauses).toBeGreaterThan(40);
    expect(compared).toBeGreaterThan(100);
    expect(new State(pool).ending).toEqual(paused);
  },
);

// Recordings of the most eventful guest: user mode, two roots, batches, traps.

const GUEST = 'user-pagetables';
const recording = (options: object): Recording =>
  opened({ system: 'xen', guest: GUEST, image: imageOf(GUEST), memoryBytes: MEMORY, ...options });
let mmu: Recording;
beforeAll(() => {
  mmu = recording({ detail: 'mmu', checkpointTicks: 30_000 });
}, 60_000);

test('the same run gives the same recording, however it is checkpointed, and full detail contains it', () => {
  const full = recording({ detail: 'full', checkpointTicks: 50_000 });
  expect(full.chain).toBe(mmu.chain);
  expect(eventsOf(full).length).toBe(mmu.count);
  expect([...full.details(0, full.count)].length).toBeGreaterThan(0);
}, 60_000);
test('run again from any checkpoint, it is the same, call stacks too', () => {
  const whole = eventsOf(mmu);
  expect(mmu.checkpoints.length).toBeGreaterThan(4);
  mmu.checkpoints.forEach((checkpoint, n) => {
    const events: [Event, readonly bigint[]][] = [];
    const stackOf = (e: Event, of: (id: number) => readonly bigint[]) => ('stack' in e ? of(e.stack) : []);
    finish(
      rerunEvents(mmu, n, {
        block: (block, stack) => events.push(...eventsIn(block).map(e => [e, stackOf(e, stack)] as [Event, bigint[]])),
      }),
    );
    const plain = (e: Event) => ({ ...e, stack: 0 });
    expect(events.map(([e]) => plain(e))).toEqual(whole.slice(checkpoint.seq).map(plain));
    for (const [e, stack] of events) expect(stack).toEqual(stackOf(whole[e.seq]!, id => mmu.stack(id)));
  });
}, 60_000);
test('detail of a stretch comes from a re-run: the instructions between two hypercalls', () => {
  const calls = eventsOf(mmu).filter(e => e.kind === 'call');
  const [from, to] = [calls[40]!.seq, calls[41]!.seq];
  let steps = 0;
  finish(
    rerunDetail(mmu, from, to, block => {
      steps += eventsIn(block).filter(e => e.kind === 'step').length;
    }),
  );
  expect(steps).toBeGreaterThan(calls[41]!.ticks - calls[40]!.ticks);
}, 60_000);
