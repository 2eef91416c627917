/**
 * Random sequences of MMU hypercalls, valid and not. After each call an independent recount holds, events say what the
 * machine says, and what was refused changed no count. Failures print their seed and shrink.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { asFrame } from '../../../../src/base/brand.js';
import { VIA } from '../../../../src/machine/engine/memory.js';
import { HYPERCALL, MMUEXT } from '../../../../src/systems/xen/names.js';
import { recount, Told } from './recount.js';
import { ARENA, P, ptr, RW, SHARED, to, US, type World, world } from './world.js';

/** Frames by what they are mostly used for: two roots, and so on; the rest is memory. 16 is the first of the domain's. */
const LEVELS: Readonly<Record<number, readonly number[]>> = {
  4: [16, 17],
  3: [18, 19],
  2: [20, 21],
  1: [22, 23, 24],
  0: [25, 26],
};
const POOL = Object.values(LEVELS).flat();
const levelOf = (frame: number): number => Number(Object.entries(LEVELS).find(([, list]) => list.includes(frame))![0]);

const anyFrame = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...POOL) },
  { weight: 1, arbitrary: fc.constantFrom(0, 3, 63, 64, 0xff_ffff_ffff, SHARED.writable, SHARED.readOnly) },
);
const index = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(255, 256, 258, 271, 272, 511) },
);
const flags = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(P | RW | US, P | US, P, P | RW, 0n) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(P | 0x10n, P | 0x80n, P | 0x100n, P | (1n << 62n), P | (1n << 63n), P | (1n << 52n)),
  },
);
/** An entry for a table of a level: mostly a frame of the level below. */
const entryFor = (level: number) =>
  fc
    .tuple(
      fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...LEVELS[Math.max(0, level - 1)]!) },
        { weight: 2, arbitrary: anyFrame },
        { weight: 1, arbitrary: fc.constantFrom(...LEVELS[level]!) },
      ),
      flags,
    )
    .map(([frame, f]) => (f === 0n ? 0n : to(frame, f)));
const slot = anyFrame.chain(frame =>
  fc.record({ frame: fc.constant(frame), index, value: entryFor(POOL.includes(frame) ? levelOf(frame) : 0) }),
);

type Step =
  | { readonly kind: 'store' | 'walk'; readonly slots: readonly { frame: number; index: number; value: bigint }[] }
  | {
      readonly kind: 'update';
      readonly command: number;
      readonly slots: readonly { frame: number; index: number; value: bigint }[];
    }
  | { readonly kind: 'ext'; readonly ops: readonly (readonly [number, bigint, bigint])[] }
  | { readonly kind: 'va'; readonly at: bigint; readonly value: bigint; readonly flags: bigint }
  | { readonly kind: 'gdt'; readonly frames: readonly number[]; readonly entries: number }
  | { readonly kind: 'descriptor'; readonly at: bigint; readonly value: bigint }
  | { readonly kind: 'memory'; readonly op: number; readonly list: readonly number[] }
  | {
      readonly kind: 'ptwr';
      readonly at: bigint;
      readonly bytes: number;
      readonly value: bigint;
      readonly expected: bigint | undefined;
    }
  | { readonly kind: 'ldt'; readonly offset: number };

const pins = [MMUEXT.pin_l1_table, MMUEXT.pin_l2_table, MMUEXT.pin_l3_table, MMUEXT.pin_l4_table] as const;
const op = fc.oneof(
  // Pins mostly at the level a frame is for.
  {
    weight: 8,
    arbitrary: fc
      .constantFrom(...POOL.filter(f => levelOf(f) > 0))
      .map(f => [pins[levelOf(f) - 1]!, BigInt(f), 0n] as const),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...pins), anyFrame.map(BigInt), fc.constant(0n)) },
  { weight: 6, arbitrary: fc.tuple(fc.constant(MMUEXT.unpin_table), anyFrame.map(BigInt), fc.constant(0n)) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constantFrom(MMUEXT.new_baseptr, MMUEXT.new_user_baseptr),
      fc.constantFrom(16n, 16n, 17n, 17n, 18n),
      fc.constant(0n),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant(MMUEXT.new_user_baseptr), fc.constant(0n), fc.constant(0n)) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constantFrom(MMUEXT.clear_page, MMUEXT.copy_page),
      anyFrame.map(BigInt),
      anyFrame.map(BigInt),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant(MMUEXT.set_ldt),
      fc.constantFrom(0n, 0x1000n, 0x2000n),
      fc.constantFrom(0n, 100n, 9000n),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.integer({ min: 0, max: 25 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    ),
  },
);
const address = fc
  .tuple(
    fc.constantFrom(0, 0, 0, 1, 256, 272),
    fc.constantFrom(0, 0, 0, 1),
    fc.constantFrom(0, 0, 0, 1),
    fc.integer({ min: 0, max: 3 }),
  )
  .map(([a, b, c, d]) =>
    BigInt.asUintN(
      64,
      BigInt.asIntN(48, (BigInt(a) << 39n) | (BigInt(b) << 30n) | (BigInt(c) << 21n) | (BigInt(d) << 12n)),
    ),
  );
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('store' as const),
      slots: fc.array(slot, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('walk' as const), slots: fc.array(slot, { minLength: 1, maxLength: 3 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      command: fc.constantFrom(0, 0, 0, 0, 0, 2, 2, 1, 3, 4),
      slots: fc.array(slot, { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('ext' as const), ops: fc.array(op, { minLength: 1, maxLength: 4 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('va' as const),
      at: address,
      value: entryFor(1),
      flags: fc.constantFrom(0n, 1n, 2n, 5n, 6n, ARENA | 1n, 0x33n),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('gdt' as const),
      frames: fc.array(anyFrame, { maxLength: 3 }),
      entries: fc.constantFrom(0, 512, 1024, 1536, 7169),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('descriptor' as const),
      at: fc.tuple(anyFrame, index).map(([f, i]) => ptr(f, i)),
      value: fc.constantFrom(0n, 0x00af9b000000ffffn, 0x00008b0000000067n, 0x00008c0000080000n),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('memory' as const),
      op: fc.constantFrom(0, 1, 6),
      list: fc.array(anyFrame, { maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('ptwr' as const),
      at: address.map(at => at + 8n),
      bytes: fc.constantFrom(1, 2, 4, 8),
      value: entryFor(1),
      expected: fc.option(entryFor(1), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('ldt' as const), offset: fc.integer({ min: 0, max: 4096 }) }) },
);

/** Whether the guest could have the frame mapped writable, and so store into it. */
const isWritable = ({ mm }: World, frame: number): boolean =>
  frame < mm.frames.count &&
  mm.frames.owner[frame] === 1 &&
  (mm.frames.typeCount[frame] === 0 || mm.frames.type[frame] === 7);

/** Takes a step; returns whether a single request was refused. */
function take(w: World, s: Step): boolean {
  switch (s.kind) {
    case 'store':
      for (const { frame, index: i, value } of s.slots) if (isWritable(w, frame)) w.set(frame, i, value);
      return false;
    case 'walk':
      // The processor sets accessed and dirty bits of entries that are present.
      for (const { frame, index: i } of s.slots)
        if (frame < w.mm.frames.count && w.mm.frames.tableLevel(asFrame(frame)) > 0 && w.entry(frame, i) & 1n)
          w.memory.trapped(frame * 4096 + 8 * i, 4, Number(w.entry(frame, i) & 0xffff_ffffn) | 0x60, 0, VIA.walker);
      return false;
    case 'update':
      return (
        w.update(s.slots.map(({ frame, index: i, value }) => [ptr(frame, i) | BigInt(s.command), value])) < 0 &&
        s.slots.length === 1
      );
    case 'ext':
      return w.ext(s.ops) < 0 && s.ops.length === 1;
    case 'va':
      w.poke([1n]);
      return w.call(HYPERCALL.update_va_mapping, s.at, s.value, s.flags) < 0;
    case 'gdt':
      w.poke(s.frames.map(BigInt));
      return w.call(HYPERCALL.set_gdt, ARENA, BigInt(s.entries)) < 0;
    case 'descriptor':
      return w.call(HYPERCALL.update_descriptor, s.at, s.value) < 0;
    case 'memory':
      w.poke([ARENA + 0x100n, BigInt(s.list.length), 0n, 0x7ff0n]);
      w.poke(s.list.map(BigInt), 0x100);
      w.call(HYPERCALL.memory_op, BigInt(s.op), ARENA);
      return false;
    case 'ptwr':
      w.mm.ptwr({
        cr2: s.at,
        at: s.at,
        bytes: s.bytes,
        value: s.value,
        ...(s.expected === undefined ? {} : { expected: s.expected }),
      });
      return false;
    case 'ldt':
      w.mm.ldtPage(s.offset);
      return false;
  }
}
const counts = ({ mm }: World): number[][] => [[...mm.frames.total], [...mm.frames.typeCount]];

/** A guest as guests start: on a tree that is pinned and maps one of its own tables read only. */
const started = (workMax: number | undefined, m2pStrict: boolean): World => {
  const w = world({ frames: 64, ...(workMax === undefined ? {} : { workMax }) });
  Object.assign(w.domain, { m2pStrict });
  for (const [frame, value] of [
    [16, to(18, P | RW | US)],
    [18, to(20, P | RW | US)],
    [20, to(22, P | RW | US)],
    [22, to(25, P | RW)],
  ] as const)
    w.set(frame, 0, value);
  w.set(22, 1, to(22, P));
  expect(w.mm.pin(asFrame(16), 4) && w.mm.start(asFrame(16))).toBe(true);
  return w;
};
const check = (workMax: number | undefined, steps: readonly Step[], m2pStrict: boolean): World => {
  const w = started(workMax, m2pStrict);
  const told = new Told();
  told.fold(w.taken());
  recount(w);
  for (const s of steps) {
    const before = counts(w);
    const isRefused = take(w, s);
    recount(w);
    if (isRefused) expect(counts(w), `refused: ${s.kind}`).toEqual(before);
    told.fold(w.taken());
  }
  told.check(w);
  return w;
};
const numRuns = Number(process.env.RUNS ?? 40);
const runs = { numRuns, ...(process.env.SEED ? { seed: Number(process.env.SEED) } : {}) };

test('after random calls, types and counts are what references make them, and events say the same', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.boolean(),
      (steps, strict) => void check(undefined, steps, strict),
    ),
    runs,
  );
}, 120_000);

test('so they are when every call gives way after little work', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2000 }),
      fc.array(step, { minLength: 5, maxLength: 60 }),
      (workMax, steps) => void check(workMax, steps, false),
    ),
    runs,
  );
}, 120_000);

test('calls that give way end as those that do not', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1500 }),
      fc.array(step, { minLength: 5, maxLength: 40 }),
      (workMax, steps) => {
        const saved = (w: World) => ({ ...w.mm.save().frames, lingering: '' });
        const whole = check(undefined, steps, false);
        const [frames, memory] = [saved(whole), whole.memory.guest.slice()];
        const inPieces = check(workMax, steps, false);
        expect(saved(inPieces)).toEqual(frames);
        expect(Buffer.compare(inPieces.memory.guest, memory)).toBe(0);
      },
    ),
    { ...runs, numRuns: Math.ceil(numRuns / 2) },
  );
}, 120_000);

test('an array that is refused at an entry leaves types and counts as the entries before it alone do', () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), steps => {
      const w = started(undefined, false);
      for (const s of steps) {
        const many = s.kind === 'update' ? s.slots.length : s.kind === 'ext' ? s.ops.length : 1;
        const { kernelRoot, userRoot } = w.domain;
        const [saved, memory] = [w.mm.save(), w.memory.guest.slice()];
        take(w, s);
        const done = w.done();
        if (many === 1 || done >= many) continue;
        refused++;
        const after = counts(w);
        w.memory.guest.set(memory);
        w.mm.restore(saved);
        Object.assign(w.domain, { kernelRoot, userRoot });
        if (s.kind === 'update') take(w, { ...s, slots: s.slots.slice(0, done) });
        if (s.kind === 'ext') take(w, { ...s, ops: s.ops.slice(0, done) });
        expect(counts(w)).toEqual(after);
        recount(w);
      }
    }),
    runs,
  );
  expect(refused).toBeGreaterThan(numRuns);
}, 120_000);
