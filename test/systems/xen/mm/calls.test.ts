import { expect, test } from 'vitest';
import { asFrame } from '../../../../src/base/brand.js';
import { VIA } from '../../../../src/machine/engine/memory.js';
import { HYPERCALL, MMUEXT, TYPE } from '../../../../src/systems/xen/names.js';
import { recount } from './recount.js';
import { A, ARENA, D, P, ptr, RW, SHARED, to, US, type World, type WorldOptions, world } from './world.js';

const [EPERM, ESRCH, EACCES, EFAULT, EBUSY, EINVAL, ENOSYS, EOPNOTSUPP] = [-1, -3, -13, -14, -16, -22, -38, -95];
const SELF = 0x7ff0n;
const KERNEL = 1n << 52n;
const GLOBAL = 0x100n;

/** A guest on root 20 over 21, 22 and the level-1 table 23, which maps at 0x0000: 30 writable, itself, nothing more. */
function booted(options: WorldOptions = {}): World {
  const w = world({ frames: 64, ...options });
  w.set(20, 0, to(21, P | RW | US));
  w.set(21, 0, to(22, P | RW | US));
  w.set(22, 0, to(23, P | RW | US));
  w.set(23, 0, to(30, P | RW | US));
  w.set(23, 1, to(23, P));
  expect(w.mm.pin(asFrame(20), 4) && w.mm.start(asFrame(20))).toBe(true);
  w.taken();
  return w;
}

test('of an mmu_update that fails, earlier entries stay, the bad one changes nothing, later ones are not run', () => {
  const w = booted();
  const counts = () => [...w.mm.frames.typeCount, ...w.mm.frames.total];
  expect(w.update([[ptr(23, 2), to(31, P | RW)]])).toBe(0);
  const before = counts();
  const rc = w.update([
    [ptr(23, 3), 0n],
    [ptr(23, 4), to(23, P | RW)], // a table, writable
    [ptr(23, 5), to(32, P | RW)],
  ]);
  expect(rc).toBe(EBUSY);
  expect(w.done()).toBe(1);
  expect(counts()).toEqual(before);
  expect([w.entry(23, 4), w.entry(23, 5)]).toEqual([0n, 0n]);
  // The table is locked while Xen looks at its entry: bit 60, and one more reference.
  expect(w.printed).toEqual([
    'arch/x86/mm.c:2940:d1v0 Bad type (saw 3400000000000002 != exp e000000000000000) for mfn 17 (pfn fe9)',
    'arch/x86/mm.c:1014:d1v0 Could not get page type PGT_writable_page',
    'arch/x86/mm.c:1040:d1v0 Error getting mfn 17 (pfn fe9) from L1 entry 0010000000017007 for l1e_owner d1, pg_owner d1',
  ]);
  const results = w.taken().filter(e => e.kind === 'result');
  expect(results.map(e => (e.kind === 'result' ? BigInt.asIntN(64, e.value) : 0n))).toEqual([0n, -16n, -16n]);
  recount(w);
});

test('the same refusal in 4.1 is EINVAL, and names owners as it did', () => {
  const w = booted({ generation: '4.1' });
  expect(w.update([[ptr(23, 4), to(23, P | RW)]])).toBe(EINVAL);
  expect(w.printed).toEqual([
    'mm.c:2466:d0 Bad type (saw 1480000000000002 != exp 7000000000000000) for mfn 17 (pfn fe9)',
    'mm.c:939:d0 Error getting mfn 17 (pfn fe9) from L1 entry 0010000000017007 for l1e_owner=0, pg_owner=0',
  ]);
});

test('an update of memory that is no table is a store, unless the frame is something else', () => {
  const w = booted();
  expect(w.update([[ptr(40, 7), 0x1234n]])).toBe(0);
  expect(w.entry(40, 7)).toBe(0x1234n);
  expect(w.mm.frames.type[40]).toBe(TYPE.writable);
  expect(w.call(HYPERCALL.update_descriptor, ptr(41, 0), 0n)).toBe(0);
  w.poke([41n]);
  expect(w.call(HYPERCALL.set_gdt, ARENA, 8n)).toBe(0);
  expect(w.update([[ptr(41, 1), 0x1234n]])).toBe(EINVAL);
  expect(w.taken().filter(e => e.kind === 'pte')).toEqual([]);
  recount(w);
});

test('a machphys update says which guest frame a machine frame is', () => {
  const w = booted();
  expect(w.update([[ptr(40, 0) | 1n, 0x777n]])).toBe(0);
  expect(w.m2p.get(40)).toBe(0x777n);
  expect(w.update([[ptr(3, 0) | 1n, 0x777n]])).toBe(EINVAL);
  expect(w.m2p.has(3)).toBe(false);
});

test('every error number of mmu_update', () => {
  const w = booted();
  const refused: readonly (readonly [number, () => number])[] = [
    [ENOSYS, () => w.update([[ptr(23, 9) | 4n, 0n]])],
    [EINVAL, () => w.update([[ptr(64, 0), 0n]])], // no such frame
    [EINVAL, () => w.update([[ptr(3, 0), 0n]])], // Xen's
    [EINVAL, () => w.update([[0xffff_ffff_ffff_fff8n, 0n]])],
    [EINVAL, () => w.update([[ptr(20, 256), 0n]])], // Xen's slot
    [EINVAL, () => w.update([[ptr(23, 9), to(31, P | 0x8n)]])], // write through
    [EINVAL, () => w.update([[ptr(22, 9), to(31, P | 0x80n)]])], // a large page
    [EPERM, () => w.update([[ptr(23, 9), to(64, P)]])], // a device, which this domain has none of
    [EINVAL, () => w.update([[ptr(23, 9), to(0xff_ffff_ffff, P)]])], // Linux's way to say no frame
    [EBUSY, () => w.update([[ptr(23, 9), to(3, P)]])],
    [ESRCH, () => w.update([[ptr(23, 9), 0n]], 5n)], // no such domain
    [ESRCH, () => w.update([[ptr(23, 9), 0n]], 1n)], // oneself by number
    [ESRCH, () => w.update([[ptr(23, 9), 0n]], (9n << 16n) | SELF)],
    [EPERM, () => w.update([[ptr(23, 9), to(3, P)]], 0x7ff2n)], // Xen's own domain
    [EPERM, () => w.update([[ptr(23, 9), to(64, P)]], 0x7ff1n)],
    [EBUSY, () => w.update([[ptr(23, 9), to(30, P)]], 0x7ff1n)],
    [EFAULT, () => w.call(HYPERCALL.mmu_update, 0xffff_8000_0000_0000n, 1n, 0n, SELF)], // Xen's part
    [EFAULT, () => w.call(HYPERCALL.mmu_update, 0x0000_8000_0000_0000n, 1n, 0n, SELF)], // not canonical
    [EFAULT, () => w.call(HYPERCALL.mmu_update, 0x5000n, 1n, 0n, SELF)], // not mapped
    [EFAULT, () => w.call(HYPERCALL.mmu_update, ARENA + 0xfff8n, 0x7fff_ffffn, 0n, SELF)], // runs off what is mapped
    [EFAULT, () => w.call(HYPERCALL.mmu_update, 0xffff_ffff_ffff_fff8n, 0x7fff_ffffn, 0n, SELF)], // wraps
  ];
  w.poke([ptr(23, 9), 0n]);
  for (const [n, [errno, call]] of refused.entries()) expect([n, call()]).toEqual([n, errno]);
  expect(w.entry(23, 9)).toBe(0n);
  expect(w.update([])).toBe(0);
  recount(w);
});

test('every error number of mmuext_op', () => {
  const w = booted();
  const wide = 0xffff_ffff_ffff_ffffn;
  const refused: readonly (readonly [number, () => number])[] = [
    [ENOSYS, () => w.ext([[14]])],
    [ENOSYS, () => w.ext([[0xffff_ffff]])],
    [EOPNOTSUPP, () => w.ext([[MMUEXT.mark_super, 20]])],
    [EACCES, () => w.ext([[MMUEXT.flush_cache]])],
    [EINVAL, () => w.ext([[MMUEXT.flush_cache_global]])],
    [EINVAL, () => w.ext([[MMUEXT.pin_l4_table, wide]])],
    [EINVAL, () => w.ext([[MMUEXT.unpin_table, wide]])],
    [EINVAL, () => w.ext([[MMUEXT.new_baseptr, wide]])],
    [EINVAL, () => w.ext([[MMUEXT.new_baseptr, 0]])],
    [EINVAL, () => w.ext([[MMUEXT.new_baseptr, 23]])], // a table of another level
    [EINVAL, () => w.ext([[MMUEXT.new_user_baseptr, 30]])], // mapped writable
    [EINVAL, () => w.ext([[MMUEXT.clear_page, 23]])],
    [EINVAL, () => w.ext([[MMUEXT.copy_page, 23, 30]])],
    [EINVAL, () => w.ext([[MMUEXT.copy_page, 40, wide]])],
    [EINVAL, () => w.ext([[MMUEXT.set_ldt, 0x1001n, 1]])],
    [EINVAL, () => w.ext([[MMUEXT.set_ldt, 0x1000n, 8193]])],
    [EINVAL, () => w.ext([[MMUEXT.set_ldt, 0xffff_8000_0000_0000n, 1]])],
    [EINVAL, () => w.ext([[MMUEXT.tlb_flush_multi, 0, 0x5000n]])],
    [ESRCH, () => w.ext([[MMUEXT.tlb_flush_local]], 9n)],
    [EPERM, () => w.ext([[MMUEXT.tlb_flush_local]], 0x7ff2n)],
    [EFAULT, () => w.call(HYPERCALL.mmuext_op, ARENA + 0xfff0n, 1n, 0n, SELF)],
  ];
  for (const [n, [errno, call]] of refused.entries()) expect([n, call()]).toEqual([n, errno]);
  expect(w.printed.some(line => line.includes('mfn ffffffffffffffff bad'))).toBe(true);
  recount(w);
});

test('base pointers hold a root each; no user root is 0', () => {
  const w = booted();
  w.set(24, 0, w.entry(20, 0));
  expect(w.ext([[MMUEXT.new_user_baseptr, 24]])).toBe(0);
  expect([w.domain.userRoot, w.mm.frames.typeCount[24], w.mm.frames.type[24]]).toEqual([24, 1, TYPE.l4]);
  w.set(25, 0, w.entry(20, 0));
  expect(
    w.ext([
      [MMUEXT.new_baseptr, 25],
      [MMUEXT.new_user_baseptr, 0],
    ]),
  ).toBe(0);
  expect([w.domain.kernelRoot, w.domain.userRoot]).toEqual([25, 0]);
  expect(w.mm.frames.typeCount[24]).toBe(0); // not pinned, so no table any more
  expect(w.mm.frames.typeCount[20]).toBe(1);
  expect(
    w
      .taken()
      .filter(e => e.kind === 'release')
      .map(e => (e.kind === 'release' ? e.table : 0)),
  ).toEqual([24]);
  recount(w);
});

test('the M2P is in slot 256 of kernel roots, and not of user roots for those who ask for that', () => {
  const w = booted();
  const m2p = w.domain.xenSlots(asFrame(20))[0]!;
  expect(w.entry(20, 256)).toBe(m2p);
  Object.assign(w.domain, { m2pStrict: true });
  w.ext([[MMUEXT.pin_l4_table, 24]]);
  expect(w.entry(24, 256)).toBe(m2p);
  w.taken();
  w.ext([[MMUEXT.new_user_baseptr, 24]]);
  expect(w.entry(24, 256)).toBe(0n);
  expect(w.taken().find(e => e.kind === 'pte')).toMatchObject({ table: 24, offset: 2048, path: 5, old: m2p, new: 0n });
});

test('clear and copy reach pages the guest has not mapped, and no page tables', () => {
  const w = booted();
  w.set(40, 5, 0x55n);
  expect(w.ext([[MMUEXT.copy_page, 41, 40]])).toBe(0);
  expect(w.entry(41, 5)).toBe(0x55n);
  expect(w.ext([[MMUEXT.clear_page, 41]])).toBe(0);
  expect(w.entry(41, 5)).toBe(0n);
  expect(w.ext([[MMUEXT.copy_page, 42, 23]])).toBe(0); // a table may be read
  expect(w.entry(42, 0)).toBe(w.entry(23, 0));
  recount(w);
});

test('update_va_mapping changes the entry that maps an address, and flushes as asked', () => {
  const w = booted();
  const flushes = () => w.taken().flatMap(e => (e.kind === 'flush' ? [`${e.scope} ${e.at.toString(16)}`] : []));
  const va = (at: bigint, value: bigint, flags: bigint): number =>
    w.call(HYPERCALL.update_va_mapping, at, value, flags);
  expect(va(0x2000n, to(31, P | RW | US), 2n)).toBe(0);
  expect(w.entry(23, 2)).toBe(to(31, P | RW | US | GLOBAL));
  expect(flushes()).toEqual(['one 2000']);
  expect(va(0x2000n, to(31, P | US), 1n | 4n)).toBe(0);
  expect(flushes()).toEqual(['all 0']);
  w.poke([0n, 1n], 0x100);
  expect(va(0x2000n, to(31, P | RW | US), 1n | (ARENA + 0x100n))).toBe(0); // a mask without this vcpu
  expect(flushes()).toEqual([]);
  expect(va(0x2000n, to(31, P | US), 2n | (ARENA + 0x108n))).toBe(0);
  expect(flushes()).toEqual(['one 2000']);
  expect(va(0x2000n, 0n, 1n | 0x5000n)).toBe(EFAULT); // after the update
  expect(w.entry(23, 2)).toBe(0n);
  expect(va(0x20_0000n, to(31, P), 0n)).toBe(EINVAL); // no table there
  expect(va(0xffff_8000_0000_0000n, to(31, P), 0n)).toBe(EINVAL);
  expect(va(0xffff_ffff_ffff_f000n, to(31, P), 0n)).toBe(EINVAL);
  recount(w);
});

test('a store into a table that is mapped read only is done by Xen, of any size, and checked', () => {
  const w = booted();
  const store = (at: bigint, bytes: number, value: bigint) => w.mm.ptwr({ cr2: at, at, bytes, value });
  expect(w.mm.isTableMapping(0x1000n)).toBe(true);
  expect(w.mm.isTableMapping(0x0000n)).toBe(false); // writable memory
  expect(w.mm.isTableMapping(0x2000n)).toBe(false); // nothing
  expect(store(0x1018n, 8, to(31, P | RW))).toBe('done');
  expect(w.entry(23, 3)).toBe(to(31, P | RW | US) | KERNEL);
  expect(w.taken().find(e => e.kind === 'pte')).toMatchObject({ table: 23, offset: 24, path: 2 });
  recount(w);
  expect(store(0x1020n, 8, to(23, P | RW))).toBe('unhandled');
  expect(store(0x1024n, 8, 0n)).toBe('unhandled'); // not aligned
  expect(store(0x1020n, 16, 0n)).toBe('unhandled');
  expect(store(0x1018n, 1, 0n)).toEqual({ fault: 0x1018n }); // the rest of the entry cannot be read: our arena is elsewhere
  expect(w.mm.ptwr({ cr2: 0x1018n, at: 0x1018n, bytes: 8, value: 0n, expected: 5n })).toEqual({
    found: w.entry(23, 3),
  });
  const value = to(33, P | RW);
  expect(w.mm.ptwr({ cr2: 0x1018n, at: 0x1018n, bytes: 8, value, expected: 5n })).toEqual({ found: w.entry(23, 3) });
  expect(w.mm.frames.typeCount[33]).toBe(0); // what was taken for the new entry is given back
  expect(w.mm.ptwr({ cr2: 0x1018n, at: 0x1018n, bytes: 8, value: 0n, expected: w.entry(23, 3) })).toBe('done');
  expect(w.entry(23, 3)).toBe(0n);
  expect(w.mm.frames.typeCount[31]).toBe(0);
  recount(w);
});

test('part of an entry is stored with the rest as it is', () => {
  const w = booted();
  const entry = w.entry(23, 0);
  Object.assign(w.domain, {
    // the guest's own table at 0x1000, which this domain's memory does not reach otherwise
    copyFrom: (at: bigint, bytes: number) => w.memory.guest.slice(23 * 4096 + Number(at & 0xfffn)).subarray(0, bytes),
  });
  expect(w.mm.ptwr({ cr2: 0x1000n, at: 0x1000n, bytes: 1, value: 0x65n })).toBe('done'); // read only, dirty, accessed
  expect(w.entry(23, 0)).toBe((entry & ~0xffn) | 0x65n);
  expect(w.mm.ptwr({ cr2: 0x1004n, at: 0x1004n, bytes: 4, value: 0x8000_0000n })).toBe('done');
  expect(w.entry(23, 0)).toBe((entry & ~0xffn) | 0x65n | (1n << 63n));
  const failed = w.mm.ptwr({ cr2: 0x1000n, at: 0x1000n, bytes: 2, value: 0n, expected: 1n });
  expect(failed).toEqual({ found: w.entry(23, 0) & 0xffffn });
  recount(w);
});

test('accessed and dirty bits that the processor sets are events of its walk, and not what an entry was asked to be', () => {
  const w = booted();
  const entry = w.entry(23, 0);
  w.memory.trapped(23 * 4096, 8, Number(entry & 0xffff_ffffn) | 0x60, Number(entry >> 32n), VIA.walker);
  w.memory.trapped(23 * 4096 + 41, 1, 0, 0, VIA.walker); // one byte, the same as before
  expect(w.taken()).toMatchObject([
    { kind: 'pte', table: 23, offset: 0, level: 1, path: 3, old: entry, new: entry | A | D, stack: 0 },
  ]);
});

test('a guest that could write to its own tables would be our error', () => {
  const w = booted();
  expect(() => w.memory.trapped(23 * 4096, 8, 1, 0, VIA.guest)).toThrow(/^internal error/);
});

test('descriptors of a GDT get the guest’s privilege, and what is none of its business is refused', () => {
  const w = booted();
  const code = 0x00af_9b00_0000_ffffn;
  w.set(40, 2, code);
  w.set(40, 3, 0x0000_8c00_0008_0000n); // a call gate to selector 8
  w.poke([40n, 41n]);
  expect(w.call(HYPERCALL.set_gdt, ARENA, 600n)).toBe(0);
  expect(w.loaded).toMatchObject({ gdt: [40, 41], gdtEntries: 600 });
  expect(w.entry(40, 2)).toBe(0x00af_fb00_0000_ffffn);
  expect(w.entry(40, 3)).toBe(0x0000_8c00_000b_0000n);
  recount(w);
  expect(w.update([[ptr(23, 5), to(40, P | RW)]])).toBe(EBUSY); // not writable any more
  expect(w.call(HYPERCALL.update_descriptor, ptr(40, 4), 0x0000_8b00_0000_0067n)).toBe(EINVAL); // a task state segment
  expect(w.call(HYPERCALL.update_descriptor, ptr(40, 4) + 1n, 0n)).toBe(EINVAL);
  expect(w.call(HYPERCALL.update_descriptor, ptr(23, 4), code)).toBe(EINVAL); // a page table
  expect(w.call(HYPERCALL.update_descriptor, ptr(40, 4), code)).toBe(0);
  expect(w.taken().find(e => e.kind === 'descriptor')).toMatchObject({
    table: 'gdt',
    index: 4,
    old: 0n,
    new: 0x00af_fb00_0000_ffffn,
  });
  w.set(42, 0, 0x0000_8200_0000_0000n); // an LDT descriptor
  w.poke([42n]);
  expect(w.call(HYPERCALL.set_gdt, ARENA, 1n)).toBe(EINVAL);
  expect(w.call(HYPERCALL.set_gdt, ARENA, 7169n)).toBe(EINVAL);
  expect(w.call(HYPERCALL.set_gdt, 0x5000n, 1n)).toBe(EFAULT);
  expect(w.loaded.gdt).toEqual([40, 41]);
  recount(w);
  expect(w.call(HYPERCALL.set_gdt, 0n, 0n)).toBe(0);
  expect(w.mm.frames.typeCount[40]).toBe(0);
  recount(w);
});

test('an LDT is checked page by page when it is used, and forgotten with the address space', () => {
  const w = booted();
  w.update([[ptr(23, 2), to(40, P)]]);
  expect(w.ext([[MMUEXT.set_ldt, 0x2000n, 600]])).toBe(0);
  expect(w.mm.frames.typeCount[40]).toBe(0);
  expect(w.mm.ldtPage(8)).toBe(40);
  expect([w.mm.frames.type[40], w.mm.frames.typeCount[40]]).toEqual([TYPE.seg_desc, 1]);
  recount(w);
  expect(w.mm.ldtPage(4096)).toBeUndefined(); // the next page is not mapped
  expect(w.mm.ldtPage(600 * 8)).toBeUndefined();
  w.set(25, 0, w.entry(20, 0));
  w.ext([[MMUEXT.new_baseptr, 25]]);
  expect(w.mm.frames.typeCount[40]).toBe(0);
  recount(w);
});

test('a domain gives frames back and takes them again, up to what it began with', () => {
  const w = booted();
  const reserve = (op: number, list: readonly bigint[], order = 0n, id = SELF): number => {
    w.poke([ARENA + 0x100n, BigInt(list.length), order, id]);
    w.poke(list, 0x100);
    return w.call(HYPERCALL.memory_op, BigInt(op), ARENA);
  };
  const asked = (op: number): number => {
    w.poke([SELF]);
    return w.call(HYPERCALL.memory_op, BigInt(op), ARENA);
  };
  const all = asked(3);
  expect(all).toBe(64 - 16 - 8);
  expect(reserve(6, [0x100n])).toBe(0); // has all it may have
  expect(reserve(1, [40n, 41n, 3n, 42n])).toBe(2); // Xen's frame is not for it to give
  expect(asked(3)).toBe(all - 2);
  expect(asked(4)).toBe(all);
  expect([w.mm.frames.total[40], w.m2p.get(40)]).toEqual([0, 0xffff_ffff_ffff_ffffn]);
  expect(w.update([[ptr(40, 0), 0n]])).toBe(EINVAL);
  expect(reserve(6, [0x222n, 0x223n, 0x224n])).toBe(2);
  const taken = w.arenaView.getBigUint64(0x100, true);
  expect(w.m2p.get(Number(taken))).toBe(0x222n);
  expect(asked(3)).toBe(all);
  expect(reserve(1, [23n])).toBe(1); // a live table: goes when its last reference does
  expect(w.mm.frames.total[23]).toBeGreaterThan(0);
  recount(w);
  w.update([[ptr(22, 0), 0n]]);
  expect(w.mm.frames.total[23]).toBe(0);
  recount(w);
  expect(reserve(1, [SHARED.writable].map(BigInt))).toBe(1);
  recount(w);
  expect(reserve(6, [0n], 0n, 3n)).toBe(0); // somebody else's
  expect(reserve(0, [0n], 10n)).toBe(0);
});

test('a frame that Xen holds stays writable, whatever the guest unmaps, also after a checkpoint', () => {
  const w = booted();
  expect(w.mm.hold(asFrame(40))).toBe(true);
  expect(w.mm.hold(asFrame(23))).toBe(false); // a table
  expect(w.mm.hold(asFrame(64))).toBe(false);
  recount(w);
  expect(w.ext([[MMUEXT.pin_l1_table, 40]])).toBe(EINVAL);
  w.mm.restore(JSON.parse(JSON.stringify(w.mm.save())));
  recount(w);
});

test('hostile arguments of memory_op', () => {
  const w = booted();
  const op = (n: number, at: bigint): number => w.call(HYPERCALL.memory_op, BigInt(n), at);
  const extents = (count: bigint, list: bigint): number => {
    w.poke([list, count, 0n, SELF]);
    return op(1, ARENA);
  };
  expect(extents(0xffff_ffff_ffff_ffffn, ARENA)).toBe(0);
  expect(extents(0x3ff_ffffn, 0x5000n)).toBe(0);
  expect(extents(1n, 0xffff_ffff_ffff_fff8n)).toBe(0);
  expect(op(6, 0x5000n)).toBe(0);
  expect(op(3, 0xffff_8000_0000_0000n)).toBe(EFAULT);
  expect(op(9, 0x5000n)).toBe(EFAULT);
  expect(op(12, 0x5000n)).toBe(EFAULT);
  expect(op(63, ARENA)).toBe(ENOSYS);
  expect(op(7, ARENA)).toBe(EACCES);
  recount(w);
});

test('what is told of memory: the map of a PV domain, and the M2P', () => {
  const w = booted();
  w.poke([1n, ARENA + 0x100n]);
  expect(w.call(HYPERCALL.memory_op, 9n, ARENA)).toBe(0);
  expect([w.arenaView.getBigUint64(0x100, true), w.arenaView.getBigUint64(0x108, true)]).toEqual([0n, 40n * 4096n]);
  expect(w.arenaView.getUint32(0x110, true)).toBe(1);
  expect(w.call(HYPERCALL.memory_op, 12n, ARENA)).toBe(0);
  expect(w.arenaView.getBigUint64(0, true)).toBe(0xffff_8000_0000_0000n);
  expect(w.call(HYPERCALL.memory_op, 2n, 0n)).toBe(64);
});

test('a saved memory management goes on where it was, also in the midst of a call', () => {
  const w = booted({ workMax: 600 });
  for (let i = 0; i < 8; i++) {
    w.set(40 + i, 0, to(30, P));
    w.set(22, 1 + i, 0n);
    w.set(48, i, to(40 + i, P | RW | US));
  }
  w.poke([BigInt(MMUEXT.pin_l2_table), 48n, 0n]);
  const handler = w.mm.handlers[HYPERCALL.mmuext_op]!;
  const first = handler(w.domain, [ARENA, 1n, 0n, SELF]);
  expect(first).toMatchObject({ again: [ARENA, 0x8000_0001n, 0n, SELF] });
  recount(w);
  const saved = JSON.parse(JSON.stringify(w.mm.save())) as unknown;
  const memory = w.memory.guest.slice();
  const finish = (x: World): unknown => {
    let now: readonly bigint[] = [ARENA, 0x8000_0001n, 0n, SELF];
    for (;;) {
      const answer = x.mm.handlers[HYPERCALL.mmuext_op]!(x.domain, now);
      if (typeof answer === 'bigint') break;
      now = answer.again;
    }
    recount(x);
    return x.mm.save();
  };
  const wanted = finish(w);
  const other = world({ frames: 64, workMax: 600 });
  other.memory.guest.set(memory);
  Object.assign(other.domain, { kernelRoot: asFrame(20) });
  other.poke([BigInt(MMUEXT.pin_l2_table), 48n, 0n]);
  other.mm.restore(saved);
  recount(other);
  expect(finish(other)).toEqual(wanted);
});

test('a damaged checkpoint is trouble, not an accident', () => {
  const w = booted();
  const saved = w.mm.save();
  const bad: readonly unknown[] = [
    undefined,
    {},
    { ...saved, frames: { ...saved.frames, runs: '0,63' } },
    { ...saved, frames: { ...saved.frames, runs: '0,65' } },
    { ...saved, frames: { ...saved.frames, runs: `${2 ** 27},64` } },
    { ...saved, frames: { ...saved.frames, runs: '24,64' } },
    { ...saved, frames: { ...saved.frames, others: '1,2' } },
    { ...saved, frames: { ...saved.frames, others: '1,2,3,513,0' } },
    { ...saved, frames: { ...saved.frames, lingering: '64' } },
    { ...saved, frames: { ...saved.frames, runs: 'a,b' } },
    { ...saved, frames: { ...saved.frames, runs: [0, 64] } },
    { ...saved, gdt: [64] },
    { ...saved, held: [64] },
    { ...saved, ldtBase: 'x' },
    { ...saved, owned: -1 },
    { ...saved, pending: { mfn: 64 } },
  ];
  for (const b of bad) expect(() => w.mm.restore(b)).toThrow(/^checkpoint: Xen's memory management is damaged/);
});
