/** The domain builder: what a guest finds in its memory before its first instruction, read the way the guest would. */
import { expect, test } from 'vitest';
import { asFrame, asPaddr } from '../../../src/base/brand.js';
import { Trouble } from '../../../src/base/trouble.js';
import { NO_FRAME } from '../../../src/events/kinds.js';
import { REG } from '../../../src/isa/x86_64.js';
import type { BuildInput } from '../../../src/systems/xen/model/build.js';
import { XEN } from '../../../src/systems/xen/model/index.js';
import { arrange, layoutFor } from '../../../src/systems/xen/model/layout.js';
import type { Xen } from '../../../src/systems/xen/model/xen.js';
import { BASE, CODE, type ImageNote, imageOf, listening, MIB, OLD_XEN, of, xenNote } from './guest.js';

const PAGES = (5 * MIB) / 4096;
function built(notes: readonly ImageNote[] = [], input: BuildInput = {}, code: readonly number[] = [0xf4]) {
  const { log, events } = listening();
  const image = imageOf(new Map([[CODE, code]]), notes);
  const booted = XEN.boot({ image, name: 'test.elf', guest: 'test', memoryBytes: 5 * MIB, ...input });
  const xen = booted.start({ log, intern: () => 0 }) as Xen;
  log.flush();
  const word = (at: bigint): bigint => xen.guest.word(at)!;
  const info = xen.cpu.get(REG.rsi!);
  return { xen, events, word, info: (offset: number) => word(info + BigInt(offset)), at: info };
}
/** The entry that maps an address, from the tables in machine memory. */
function entryOf(xen: Xen, at: bigint): bigint {
  let table = xen.kernelRoot as number;
  for (let level = 4; ; level--) {
    const index = Number((at >> BigInt(3 + 9 * level)) & 511n);
    const entry = xen.memory.read(asPaddr(table * 4096 + 8 * index), 8);
    if (level === 1 || !(entry & 1n)) return entry;
    table = Number((entry >> 12n) & 0xff_ffff_ffffn);
  }
}
const mfnOf = (entry: bigint): number => Number((entry >> 12n) & 0xff_ffff_ffffn);

test('machine frames are an arrangement of the guest’s that is not the identity, and hardly ever keeps neighbours', () => {
  for (const frames of [256, 1280, 4096, 131_072]) {
    const layout = layoutFor(frames);
    const mfns = arrange(layout);
    expect(new Set(mfns).size).toBe(frames);
    expect(mfns.every(mfn => mfn >= layout.domain && mfn < layout.frames)).toBe(true);
    expect(mfns.filter((mfn, pfn) => mfn === pfn).length).toBeLessThan(3);
    expect(mfns.filter((mfn, pfn) => pfn > 0 && Math.abs(mfn - mfns[pfn - 1]!) === 1).length).toBe(0);
    // The M2P covers the whole machine.
    expect(layout.m2pFrames * 512).toBeGreaterThanOrEqual(layout.frames);
  }
});
test('start_info says how much memory there is and where everything lies', () => {
  const { xen, info, at, word } = built();
  expect(Buffer.from(xen.copyFrom(at, 15)!).toString()).toBe('xen-3.0-x86_64\0');
  expect(info(32)).toBe(BigInt(PAGES));
  expect(info(40)).toBe(BigInt(xen.layout.sharedInfo * 4096));
  expect(info(48) & 0xffff_ffffn).toBe(0n); // not privileged, no ramdisk
  // Behind the kernel's two pages: the P2M (three pages), start_info, xenstore, console, then page tables.
  expect(at).toBe(BASE + 0x5000n);
  expect(info(104)).toBe(BASE + 0x2000n);
  const mfns = arrange(xen.layout);
  expect([info(56), info(72)]).toEqual([BigInt(mfns[6]!), BigInt(mfns[7]!)]);
  expect([info(64) & 0xffff_ffffn, info(80) & 0xffff_ffffn]).toEqual([1n, 2n]);
  expect([info(88), info(96)]).toEqual([BASE + 0x8000n, 5n]); // L4, L3, L2, two L1
  for (const pfn of [0, 1, 511, 512, PAGES - 1]) expect(word(info(104) + BigInt(8 * pfn))).toBe(BigInt(mfns[pfn]!));
});
test('the first mapping goes to a multiple of 4 MiB, page tables read-only, everything else writable', () => {
  const { xen, info } = built();
  const mfns = arrange(xen.layout);
  const tables = Number((info(88) - BASE) / 4096n);
  for (let pfn = 0; pfn < 1024; pfn++) {
    const entry = entryOf(xen, BASE + BigInt(4096 * pfn));
    expect(mfnOf(entry), `pfn ${pfn}`).toBe(mfns[pfn]);
    const isTable = pfn >= tables && pfn < tables + 5;
    expect((entry & 2n) !== 0n, `pfn ${pfn}`).toBe(!isTable);
    expect(entry & 5n).toBe(5n); // Xen made it a user's: the kernel is in ring 3
  }
  expect(entryOf(xen, BASE + 0x40_0000n)).toBe(0n);
  expect(mfnOf(BigInt(xen.kernelRoot) << 12n)).toBe(mfns[tables]);
});
test('the guest starts at its entry, on the boot stack behind its page tables, in ring 3', () => {
  const { xen } = built();
  const registers = ['rip', 'rsp', 'cs', 'ss', 'ds', 'rflags', 'gdtr_base', 'gdtr_limit'];
  expect(registers.map(name => xen.cpu.get(REG[name]!))).toEqual([
    CODE,
    BASE + 0xe000n, // L4 L3 L2 L1 L1 at 0x8000, the stack behind them
    0xe033n,
    0xe02bn,
    0n,
    0x202n,
    0xffff_8200_0000_0000n,
    0xffffn,
  ]);
  expect([xen.kernelMode, xen.upcallMask, xen.upcallPending]).toEqual([true, true, false]);
});
test('the hypercall page is filled where the image asks for it, and nowhere else', () => {
  const page = BASE + 0x3000n;
  const { xen } = built([xenNote(2, page)], {}, new Array<number>(0x3000).fill(0));
  const stub = (n: number): string => Buffer.from(xen.copyFrom(page + BigInt(32 * n), 14)!).toString('hex');
  expect(stub(1)).toBe('514153b8010000000f05415b59c3');
  expect(stub(23)).toBe('51415350b8170000000f05000000');
  expect(xen.copyFrom(BASE + 0x2000n, 4)).toEqual(new Uint8Array(4));
});
test('a ramdisk is named by its pfn and not mapped', () => {
  const ramdisk = Uint8Array.from({ length: 5000 }, (_, n) => n);
  const { xen, info } = built([xenNote(16, 1n)], { ramdisk, commandLine: 'console=hvc0' });
  expect(info(48) & 0xffff_ffffn).toBe(8n);
  expect([info(112), info(120)]).toEqual([1024n, 8192n]);
  const [first, second] = [1024, 1025].map(pfn => arrange(xen.layout)[pfn]! * 4096);
  expect(xen.memory.guest.subarray(first, first! + 4096)).toEqual(ramdisk.subarray(0, 4096));
  expect(xen.memory.guest.subarray(second, second! + 904)).toEqual(ramdisk.subarray(4096));
  expect(Buffer.from(xen.copyFrom(xen.cpu.get(REG.rsi!) + 128n, 13)!).toString()).toBe('console=hvc0\0');
  expect(() => built([], { ramdisk })).toThrow(/MOD_START_PFN/);
});
test('a P2M outside the kernel’s mapping has tables of its own', () => {
  const at = 0x80_0000_0000n;
  const { xen, info, word } = built([xenNote(15, at)]);
  expect(info(104)).toBe(at);
  expect([info(1152), info(1160)]).toEqual([1024n, 3n + 3n]); // three pages, and L3, L2, L1 for them
  const mfns = arrange(xen.layout);
  for (const pfn of [0, 700, PAGES - 1]) expect(word(at + BigInt(8 * pfn))).toBe(BigInt(mfns[pfn]!));
  expect(entryOf(xen, at) & 2n).toBe(2n);
});
test('the first events tell all that is there: frames, both arrangements, every table', () => {
  const { xen, events } = built();
  const mfns = arrange(xen.layout);
  expect(events[0]).toMatchObject({ kind: 'start', text: 'xen test' });
  expect(of(events, 'p2m').map(e => [e.guest, e.new])).toEqual([...mfns].map((mfn, pfn) => [pfn, mfn]));
  expect(of(events, 'm2p').map(e => [e.machine, e.old, e.new])).toEqual(
    [...mfns].map((mfn, pfn) => [mfn, NO_FRAME, pfn]),
  );
  for (let mfn = 0; mfn < xen.frames; mfn++) {
    const pfn = mfns.indexOf(mfn);
    expect(xen.pfnOf(asFrame(mfn))).toBe(pfn < 0 ? 0xffff_ffff_ffff_ffffn : BigInt(pfn));
  }
  for (const e of of(events, 'adopt')) {
    const inMemory = e.entries.map((_, n) => xen.memory.read(asPaddr(e.table * 4096 + 8 * n), 8));
    const told = [...e.entries];
    for (const pte of of(events, 'pte')) if (pte.table === e.table) told[pte.offset / 8] = pte.new;
    expect(told, `table ${e.table}`).toEqual(inMemory);
  }
  expect(
    of(events, 'adopt')
      .map(e => e.level)
      .sort(),
  ).toEqual([1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]);
  expect(of(events, 'root')).toMatchObject([{ role: 'kernel', old: NO_FRAME, new: xen.kernelRoot }]);
  expect(of(events, 'pinned')).toMatchObject([{ frame: xen.kernelRoot, new: true }]);
  // Everything so far happened inside the start.
  expect(events.filter(e => e.cause === -1).map(e => e.kind)).toEqual(['start']);
});
test('the generation is what our note says, and today’s without it', () => {
  expect([built().xen, built([OLD_XEN]).xen].map(x => [x.generation, x.id])).toEqual([
    ['4.17', 1],
    ['4.1', 0],
  ]);
});

const boot = (image: Uint8Array, memoryBytes = 5 * MIB) =>
  XEN.boot({ image, name: 'bad.elf', guest: 'g', memoryBytes });
const parts = (at: bigint, bytes = 16): Map<bigint, number[]> => new Map([[at, new Array<number>(bytes).fill(0)]]);
test.for<[string, () => unknown, RegExp]>([
  ['is cut off', () => boot(new Uint8Array(10)), /^bad\.elf: not an ELF image$/],
  ['has no Xen note', () => boot(withoutNotes()), /^bad\.elf: the image has no note for Xen/],
  ['does not fit', () => boot(imageOf(parts(BASE + 0x60_0000n))), /does not fit into 1280 pages/],
  [
    'leaves no room for its first mapping',
    () => boot(imageOf(parts(CODE)), 4 * MIB),
    /the initial mapping needs 1025 pages/,
  ],
  [
    'asks for a hypercall page elsewhere',
    () => boot(imageOf(parts(CODE), [xenNote(2, 0x1000n)])),
    /hypercall page 1000/,
  ],
  [
    'has a note of three bytes',
    () => boot(imageOf(parts(CODE), [{ owner: 'Xen', type: 16, data: [1, 2, 3] }])),
    /Xen note 16/,
  ],
  ['gets half a page', () => boot(imageOf(parts(CODE)), 5 * MIB + 5), /pages of 4 KiB/],
])('an image that %s is trouble, in one line that names it', ([, attempt, why]) => {
  expect(attempt).toThrow(Trouble);
  expect(attempt).toThrow(why);
});
function withoutNotes(): Uint8Array {
  const image = imageOf(parts(CODE));
  const at = Buffer.from(image).indexOf('Xen\0');
  for (let from = at; from >= 0; from = Buffer.from(image).indexOf('Xen\0')) image.set([0x58, 0x58], from);
  return image;
}
