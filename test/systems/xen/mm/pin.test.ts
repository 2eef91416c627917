import { expect, test } from 'vitest';
import type { Event } from '../../../../src/events/kinds.js';
import { MMUEXT, TYPE } from '../../../../src/systems/xen/names.js';
import { recount, Told } from './recount.js';
import { A, D, P, ptr, RW, to, US, type World, world } from './world.js';

const EINVAL = -22;
/** A root 20 over 21, 22 and the level-1 table 23, which maps 30 writable and 31 not. */
function tree(w: World): void {
  w.set(20, 0, to(21, P | RW | US));
  w.set(21, 0, to(22, P | RW | US));
  w.set(22, 0, to(23, P | RW | US));
  w.set(23, 0, to(30, P | RW | US));
  w.set(23, 1, to(31, P));
}
const by = (events: readonly Event[], kind: Event['kind']): Event[] => events.filter(e => e.kind === kind);

test('pinning a root makes tables of everything below it, and unpinning undoes it', () => {
  const w = world();
  const told = new Told();
  told.fold(w.taken());
  tree(w);
  expect(w.ext([[MMUEXT.pin_l4_table, 20]])).toBe(0);
  recount(w);
  const { frames } = w.mm;
  expect([20, 21, 22, 23, 30, 31].map(n => frames.type[n])).toEqual([4, 3, 2, 1, 7, 0]);
  expect([20, 21, 22, 23, 30, 31].map(n => frames.typeCount[n])).toEqual([1, 1, 1, 1, 1, 0]);
  const events = w.taken();
  told.fold(events);
  told.check(w);
  expect(by(events, 'adopt').map(e => (e.kind === 'adopt' ? [e.table, e.level] : []))).toEqual([
    [20, 4],
    [21, 3],
    [22, 2],
    [23, 1],
  ]);
  // Xen's corrections are in: kernel pages get bit 52 and U, user pages G; U and A above.
  expect(w.entry(23, 1)).toBe(to(31, P | US) | (1n << 52n));
  expect(w.entry(23, 0)).toBe(to(30, P | RW | US | 0x100n));
  expect(w.entry(20, 0) & A).toBe(A);
  expect(w.entry(20, 258)).toBe(to(20, 0x63n) | (1n << 63n));

  expect(w.ext([[MMUEXT.unpin_table, 20]])).toBe(0);
  recount(w);
  told.fold(w.taken());
  told.check(w);
  expect([20, 21, 22, 23].map(n => frames.typeCount[n])).toEqual([0, 0, 0, 0]);
});

test('a frame that is mapped writable does not become a table: the message of the seed, word for word', () => {
  const w = world({ generation: '4.1' });
  w.m2p.set(40, 0xbacf7n);
  w.set(23, 0, to(40, P | RW)); // the direct mapping maps the page to come
  expect(w.ext([[MMUEXT.pin_l1_table, 23]])).toBe(0);
  w.taken();
  expect(w.ext([[MMUEXT.pin_l1_table, 40]])).toBe(EINVAL);
  expect(w.printed).toEqual([
    'mm.c:2466:d0 Bad type (saw 7400000000000001 != exp 1000000000000000) for mfn 28 (pfn bacf7)',
    'mm.c:3027:d0 Error while pinning mfn 28',
  ]);
  expect(w.taken().map(e => e.kind)).toEqual(['call', 'entry', 'console', 'console', 'result', 'result']);
  recount(w);
});

test('the same failure as a debug build of 4.17 prints it', () => {
  const w = world();
  w.set(23, 0, to(40, P | RW));
  w.ext([[MMUEXT.pin_l1_table, 23]]);
  expect(w.ext([[MMUEXT.pin_l1_table, 40]])).toBe(EINVAL);
  expect(w.printed).toEqual([
    'arch/x86/mm.c:2940:d1v0 Bad type (saw e400000000000001 != exp 2000000000000000) for mfn 28 (pfn fd8)',
    'arch/x86/mm.c:3576:d1v0 Error -22 while pinning mfn 28',
  ]);
});

test('a root with one bad leaf is refused, with every count as before and entries adjusted so far left adjusted', () => {
  const w = world();
  tree(w);
  w.set(24, 0, to(30, P));
  w.set(24, 1, to(31, P | 0x10n)); // cache disable is forbidden
  w.set(22, 1, to(24, P | RW | US));
  const counts = () => [[...w.mm.frames.total], [...w.mm.frames.typeCount]];
  const before = counts();
  w.taken();
  expect(w.ext([[MMUEXT.pin_l4_table, 20]])).toBe(EINVAL);
  expect(counts()).toEqual(before);
  recount(w);
  expect(w.entry(24, 0)).toBe(to(30, P | US) | (1n << 52n));
  expect(w.printed.map(line => line.replace(/^\S+ /, '').replace(/: caf.*/, ''))).toEqual([
    'Bad L1 flags 10',
    'Failure -22 in promote_l1_table: slot 0x1',
    'Error while validating mfn 18 (pfn fe8) for type 2000000000000000',
    'Attempt to create linear p.t. with write perms', // what else could name a wrong frame
    'Failure -22 in promote_l2_table: slot 0x1',
    'Error while validating mfn 16 (pfn fea) for type 4000000000000000',
    'Attempt to create linear p.t. with write perms',
    'Failure -22 in promote_l3_table: slot 0x0',
    'Error while validating mfn 15 (pfn feb) for type 6000000000000000',
    'Attempt to create linear p.t. with write perms',
    'Failure -22 in promote_l4_table: slot 0x0',
    'Error while validating mfn 14 (pfn fec) for type 8000000000000000',
    'Error -22 while pinning mfn 14',
  ]);
});

test('pinning twice is refused, so is unpinning what is not pinned', () => {
  const w = world();
  expect(
    w.ext([
      [MMUEXT.pin_l2_table, 20],
      [MMUEXT.pin_l2_table, 20],
      [MMUEXT.pin_l3_table, 21],
    ]),
  ).toBe(EINVAL);
  expect(w.done()).toBe(1);
  expect(w.mm.frames.typeCount[20]).toBe(1);
  expect(w.mm.frames.type[21]).toBe(TYPE.none); // what came after was not run
  expect(w.ext([[MMUEXT.unpin_table, 20]])).toBe(0);
  expect(w.ext([[MMUEXT.unpin_table, 20]])).toBe(EINVAL);
  recount(w);
});

test('causes lead from the call over the batch and its entry to the entry written and what that changed', () => {
  const w = world();
  tree(w);
  w.ext([[MMUEXT.pin_l4_table, 20]]);
  w.taken();
  expect(
    w.update([
      [ptr(23, 5), to(32, P | RW | US)],
      [ptr(23, 0), 0n],
    ]),
  ).toBe(0);
  const events = w.taken();
  const chain = (seq: number): string[] => {
    const e = events.find(x => x.seq === seq);
    return e ? [...chain(e.cause), e.kind] : [];
  };
  const change = events.find(e => e.kind === 'type' && e.frame === 32)!;
  expect(chain(change.seq)).toEqual(['call', 'batch', 'entry', 'pte', 'type']);
  const dropped = events.find(e => e.kind === 'typecount' && e.frame === 30)!;
  expect(chain(dropped.seq)).toEqual(['call', 'batch', 'entry', 'pte', 'typecount']);
  const entries = by(events, 'entry');
  expect(entries.map(e => (e.kind === 'entry' ? e.index : -1))).toEqual([0, 1]);
});

test('an entry above level 1 that goes takes its table with it, caused by the write', () => {
  const w = world();
  tree(w);
  w.ext([[MMUEXT.pin_l4_table, 20]]);
  w.taken();
  expect(w.update([[ptr(22, 0), 0n]])).toBe(0);
  const events = w.taken();
  const pte = events.find(e => e.kind === 'pte')!;
  const release = events.find(e => e.kind === 'release')!;
  expect(release.cause).toBe(pte.seq);
  expect(events.some(e => e.kind === 'flush')).toBe(true);
  expect(w.mm.frames.typeCount[23]).toBe(0);
  recount(w);
});

test('preserve-AD keeps accessed and dirty bits that are there, a normal update does not', () => {
  const w = world();
  tree(w);
  w.set(23, 0, to(30, P | RW | US | A | D));
  w.ext([[MMUEXT.pin_l4_table, 20]]);
  w.update([[ptr(23, 0) | 2n, to(30, P | US)]]);
  expect(w.entry(23, 0) & (A | D)).toBe(A | D);
  w.update([[ptr(23, 0), to(30, P | US)]]);
  expect(w.entry(23, 0) & (A | D)).toBe(0n);
  recount(w);
});

test('a root may map itself and others like it, read only', () => {
  const w = world();
  tree(w);
  w.set(20, 300, to(20, P));
  expect(w.ext([[MMUEXT.pin_l4_table, 20]])).toBe(0);
  w.set(25, 300, to(20, P));
  expect(w.ext([[MMUEXT.pin_l4_table, 25]])).toBe(0);
  expect(w.mm.frames.typeCount[20]).toBe(2);
  recount(w);
  w.set(26, 300, to(20, P | RW));
  expect(w.ext([[MMUEXT.pin_l4_table, 26]])).toBe(EINVAL);
  w.set(27, 300, to(25, P)); // 25 has such entries itself
  expect(w.ext([[MMUEXT.pin_l4_table, 27]])).toBe(EINVAL);
  expect(
    w.ext([
      [MMUEXT.unpin_table, 25],
      [MMUEXT.unpin_table, 20],
    ]),
  ).toBe(0);
  recount(w);
});

test('an entry that holds the last reference to a root of its own level lets go of it', () => {
  const w = world();
  tree(w);
  w.set(25, 300, to(20, P));
  expect(
    w.ext([
      [MMUEXT.pin_l4_table, 20],
      [MMUEXT.pin_l4_table, 25],
      [MMUEXT.unpin_table, 20],
    ]),
  ).toBe(0);
  expect([w.mm.frames.typeCount[20], w.mm.frames.linear[20], w.mm.frames.linear[25]]).toEqual([1, -1, 1]);
  recount(w);
  expect(w.update([[ptr(25, 300), 0n]])).toBe(0);
  expect([w.mm.frames.typeCount[20], w.mm.frames.linear[25]]).toEqual([0, 0]);
  recount(w);
});

test('a type change flushes the TLB if the frame was in use since the last flush, and only then', () => {
  const w = world();
  const flushes = (): number => by(w.taken(), 'flush').length;
  tree(w);
  w.ext([[MMUEXT.pin_l4_table, 20]]);
  flushes();
  w.update([[ptr(23, 0), 0n]]); // 30 is not mapped writable any more
  expect(flushes()).toBe(0);
  w.ext([[MMUEXT.pin_l1_table, 30]]);
  expect(flushes()).toBe(1);
  w.ext([[MMUEXT.pin_l1_table, 40]]); // never used
  expect(flushes()).toBe(0);
});

test('a failure three levels down, behind an entry that was fine, gives everything back', () => {
  const w = world();
  tree(w);
  w.set(20, 1, to(24, P | RW | US)); // level 4, a later entry
  w.set(24, 0, to(25, P | RW | US)); // level 3, the first
  w.set(25, 0, to(23, P | RW | US));
  w.set(25, 1, to(26, P | RW | US)); // level 2, a later one
  w.set(26, 0, to(300, P)); // no such frame
  const before = [[...w.mm.frames.total], [...w.mm.frames.typeCount]];
  expect(w.ext([[MMUEXT.pin_l4_table, 20]])).toBe(-1); // EPERM
  expect(w.printed.some(line => line.includes('linear'))).toBe(false); // nobody looks for linear tables then
  expect([[...w.mm.frames.total], [...w.mm.frames.typeCount]]).toEqual(before);
  recount(w);
  w.set(26, 0, 0n);
  expect(w.ext([[MMUEXT.pin_l4_table, 20]])).toBe(0);
  recount(w);
});
