/**
 * Recordings made up from units of work (a call with its effects, a batch, a fault, a pin), and the same with edits planted
 * of each class. It knows nothing of how recordings are compared: an edit is its class and the events of the units it touched.
 */
import { createHash } from 'node:crypto';
import type { Vaddr } from '../../src/base/brand.js';
import type { Draft } from '../../src/events/kinds.js';
import type { ChunkInfo, Source } from '../../src/recording/source.js';
import { randomBelow } from '../recording/make.js';
import { GUEST_PAGING, MemoryRecorder } from '../state/memory-source.js';

const CHUNK = 128;
const FRAMES = 96;
const FIRST = 0x100;
const SLOT = (va: number): number => (va % 512) * 8;
export const LEXICON = {
  ...GUEST_PAGING,
  words: {
    frameType: ['none', 'l1', 'l2', 'l3', 'l4', 'writable'],
    path: ['update', 'va', 'walker'],
    class: ['hypercall', 'mmuext'],
    batch: ['multicall'],
    format: ['x86-64-4level'],
  },
  calls: {
    0: { 1: 'mmu_update', 13: 'multicall', 14: 'update_va_mapping', 26: 'mmuext_op' },
    1: { 0: 'pin_l1_table' },
  },
};

/** An event whose cause is the n-th of its unit; none for -1. */
type Told = Record<string, unknown> & { kind: string; inside?: number };
interface Mapping {
  readonly va: number;
  readonly table: number;
  readonly frame: number;
  readonly flags: number;
}
type Unit =
  | { readonly is: 'va'; readonly m: Mapping }
  | { readonly is: 'batch'; readonly ms: readonly Mapping[]; readonly split?: number; readonly without?: number }
  | { readonly is: 'fault'; readonly at: number; readonly error: number }
  | { readonly is: 'pin'; readonly table: number; readonly entries: readonly number[] };
/** A unit and what is done to its events once they are told. */
interface Placed {
  readonly unit: Unit;
  readonly edit: number;
  readonly change?: (events: Told[]) => void;
}

const address = (va: number): bigint => 0xffff_8800_0000_0000n + BigInt(va) * 4096n;
const pteOf = (frame: number, flags: number): bigint => BigInt(frame) * 4096n + BigInt(flags);
const effects = ({ va, table, frame, flags }: Mapping, inside: number): Told[] => [
  {
    kind: 'pte',
    space: 'guest',
    table,
    offset: SLOT(va),
    level: 1,
    bytes: 8,
    path: 1,
    old: 0n,
    new: pteOf(frame, flags),
    stack: 1 + (va % 3),
    inside,
  },
  { kind: 'total', frame, old: va % 5, new: (va % 5) + 1, inside },
];
const callOf = (number: number, args: bigint[]): Told => ({ kind: 'call', class: 0, number, args, stack: 1 });
const answer = (inside: number): Told => ({ kind: 'result', value: 0n, inside });

/** `name` gives frames of this recording their numbers. */
function tell(unit: Unit, name: (f: number) => number): Told[] {
  const named = (m: Mapping): Mapping => ({ ...m, table: name(m.table), frame: name(m.frame) });
  switch (unit.is) {
    case 'va': {
      const m = named(unit.m);
      return [callOf(14, [address(m.va), pteOf(m.frame, m.flags), 2n]), ...effects(m, 0), answer(0)];
    }
    case 'batch': {
      const parts = unit.split ? [unit.ms.slice(0, unit.split), unit.ms.slice(unit.split)] : [unit.ms];
      const out: Told[] = [];
      for (const ms of parts) {
        const call = out.length;
        out.push(callOf(13, [address(7), BigInt(ms.length)]));
        out.push({ kind: 'batch', style: 0, count: ms.length, inside: call });
        for (const [index, m] of ms.map(named).entries()) {
          if (index === unit.without) continue;
          const at = out.length;
          const args = [address(m.va), pteOf(m.frame, m.flags)];
          out.push({
            kind: 'entry',
            index,
            class: 0,
            number: 14,
            args,
            queued: BigInt(m.va),
            stack: 2,
            inside: call + 1,
          });
          out.push(...effects(m, at));
        }
        out.push(answer(call));
      }
      return out;
    }
    case 'fault':
      return [
        { kind: 'trap', vector: 14, error: unit.error, at: address(unit.at), pc: 0x1000n, user: true, stack: 3 },
        { kind: 'trapret', pc: 0x1000n, user: true },
      ];
    case 'pin': {
      const frame = name(unit.table);
      return [
        callOf(26, [address(9), 1n]),
        { kind: 'type', frame, old: 5, new: 1, inside: 0 },
        { kind: 'pinned', frame, old: false, new: true, inside: 0 },
        {
          kind: 'adopt',
          space: 'guest',
          table: frame,
          offset: 0,
          level: 1,
          bytes: 8,
          format: 0,
          entries: unit.entries.map((f, n) => (f === 0 ? 0n : pteOf(name(f), 0x65 + (n % 2) * 2))),
          inside: 0,
        },
        answer(0),
      ];
    }
  }
}

/** A recording, and where the edits are. */
export interface Recording {
  readonly source: Source;
  /** By edit: the events of the units it touched, first and last. */
  readonly ranges: ReadonlyMap<number, readonly [number, number]>;
}
const STACKS: readonly (readonly Vaddr[])[] = [[], [0x10n], [0x20n, 0x10n], [0x30n]] as never;

/** A recording in memory. `noise` is what must make no difference: ticks and registers. */
function record(placed: readonly Placed[], name: (f: number) => number, noise: (n: number) => number): Recording {
  const recorder = new MemoryRecorder({ lexicon: LEXICON, stacks: STACKS });
  const hash = createHash('sha256');
  const chains: string[] = [];
  const ranges = new Map<number, readonly [number, number]>();
  let [seq, ticks] = [0, 0];
  const put = (told: Told, cause: number): void => {
    const { inside: _, ...fields } = told;
    const draft = { ticks: (ticks += 1 + noise(9)), vcpu: 0, cause, ...fields } as unknown as Draft;
    recorder.log.put(draft);
    hash.update(JSON.stringify(draft, (_k, v) => (typeof v === 'bigint' ? `${v}n` : v)));
    if (++seq % CHUNK !== 0) return;
    recorder.log.flush();
    chains.push(hash.copy().digest('hex'));
  };
  for (let f = 0; f < FRAMES; f++) {
    put({ kind: 'p2m', guest: f, old: 0xffff_ffff, new: name(FIRST + f) }, -1);
    put({ kind: 'total', frame: name(FIRST + f), old: 0, new: 1 }, -1);
  }
  for (const { unit, edit, change } of placed) {
    put({ kind: 'regs', mask: 1n << 16n, values: [BigInt(noise(1 << 20))], olds: [0n] }, -1);
    const first = seq;
    const events = tell(unit, name);
    change?.(events);
    for (const e of events) put(e, e.inside === undefined ? -1 : first + e.inside);
    if (edit >= 0) ranges.set(edit, [ranges.get(edit)?.[0] ?? first, seq - 1]);
  }
  chains.push(hash.digest('hex'));
  const source = recorder.source();
  for (const [n, chunk] of (source.chunks as ChunkInfo[]).entries()) Object.assign(chunk, { chain: chains[n] });
  return { source, ranges };
}

export const EDITS = ['missing', 'extra', 'value', 'reordered', 're-batched', 'other effect'] as const;
export type Edit = (typeof EDITS)[number];
export interface Planted {
  readonly a: Recording;
  readonly b: Recording;
  /** Classes of the edits, by number. */
  readonly edits: readonly Edit[];
}

/** Two recordings that differ by `edits` and nothing else; with `renamed`, B has other frames. */
export function plant(seed: number, edits: readonly Edit[], renamed: boolean): Planted {
  const below = randomBelow(seed);
  const frame = (): number => FIRST + below(FRAMES);
  let va = 0;
  const mapping = (): Mapping => ({
    va: (va += 1 + below(3)),
    table: frame(),
    frame: frame(),
    flags: 0x63 + 4 * below(2),
  });
  const unit = (): Unit => {
    const n = below(10);
    if (n < 5) return { is: 'va', m: mapping() };
    if (n < 7) return { is: 'batch', ms: Array.from({ length: 2 + below(5) }, mapping) };
    if (n < 9) return { is: 'fault', at: (va += 1), error: below(8) };
    return { is: 'pin', table: frame(), entries: Array.from({ length: 16 }, () => (below(3) === 0 ? 0 : frame())) };
  };
  const plain = (u: Unit): Placed => ({ unit: u, edit: -1 });
  const [a, b]: [Placed[], Placed[]] = [[], []];
  const both = (n: number): void => {
    for (let k = 0; k < n; k++) {
      const u = unit();
      a.push(plain(u));
      b.push(plain(u));
    }
  };
  both(6 + below(12));
  for (const [edit, what] of edits.entries()) {
    const one: Unit = { is: 'va', m: mapping() };
    const batch: Unit = { is: 'batch', ms: Array.from({ length: 2 + below(5) }, mapping) };
    const place = (u: Unit, change?: Placed['change']): Placed => ({ unit: u, edit, ...(change ? { change } : {}) });
    if (what === 'missing' || what === 'extra') {
      const [has, lacks] = what === 'missing' ? [a, b] : [b, a];
      if (below(2) === 0) has.push(place(one));
      else {
        has.push(place(batch));
        lacks.push(place({ ...batch, without: below(batch.ms.length) }));
      }
    } else if (what === 'reordered') {
      const other: Unit = { is: 'va', m: mapping() };
      a.push(place(one), place(other));
      b.push(place(other), place(one));
    } else if (what === 're-batched') {
      a.push(place(batch));
      b.push(place({ ...batch, split: 1 + below(batch.ms.length - 1) }));
    } else if (what === 'other effect') {
      a.push(place(one));
      b.push(
        place(one, events => {
          const { frame: f } = events[2] as { frame?: number };
          events[2] = { kind: 'pinned', frame: f, old: false, new: true, inside: 0 };
        }),
      );
    } else {
      a.push(place(one));
      const changes: readonly ((e: Told[]) => void)[] = [
        e => void (e[3] = { ...e[3]!, value: 22n }),
        e => void (e[1] = { ...e[1]!, new: (e[1]!.new as bigint) ^ 2n }),
        e => void (e[0] = { ...e[0]!, args: [...(e[0]!.args as bigint[]).slice(0, 2), 1n] }),
        e => void (e[2] = { ...e[2]!, new: (e[2]!.new as number) + 1 }),
        e => void (e[1] = { ...e[1]!, path: 2 }),
        e => void (e[1] = { ...e[1]!, stack: 1 + ((e[1]!.stack as number) % 3) }),
        e => void (e[1] = { ...e[1]!, new: (e[1]!.new as bigint) ^ 0x1_0000n }), // another frame that the guest has
      ];
      b.push(place(one, changes[below(changes.length)]!));
    }
    both(8 + below(8));
  }
  const step = 41; // prime to FRAMES
  const shift = 1 + below(1000);
  const other = (f: number): number => 0x5000 + shift + (((f - FIRST) * step) % FRAMES);
  const [x, y] = [randomBelow(seed + 1), randomBelow(seed + 2)];
  return {
    a: record(a, f => f, x),
    b: record(b, renamed ? other : f => f, renamed ? y : randomBelow(seed + 1)),
    edits,
  };
}
