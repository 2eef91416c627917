/**
 * What each kind of event does to the state, forwards with its new values and backwards with its old ones. Every kind has
 * a line in FOLDS: a kind that changes nothing we keep says so.
 *
 * A fold trusts the recording's old values. A recording is consistent when each is what the fold forwards had; for that a
 * page table must be adopted before its first pte event, or never, with zero as the value of memory that was never
 * written. Nothing in a recording can make a fold hang or write out of bounds.
 */
import { u53 } from '../base/u64.js';
import { type BlockColumns, listStart } from '../events/block.js';
import { FRAME_KINDS, type FrameKind, KIND_NAMES, type KindName, NO_FRAME } from '../events/kinds.js';
import type { Pool } from './pool.js';
import { clip, type Range, replace, within } from './ranges.js';
import {
  descriptorWord,
  FRAME_FIELDS,
  memoryWord,
  msrWord,
  PORT_MASKED,
  PORT_PENDING,
  packTable,
  REGISTERS_MAX,
  registerWord,
  rootWord,
  SECTION,
  tableWord,
} from './words.js';

/** Changes the pool by one event: row `row` of its kind's columns. */
type Apply<K extends KindName> = (pool: Pool, c: BlockColumns[K], row: number, vcpu: number) => void;
interface Fold<K extends KindName> {
  readonly forward: Apply<K>;
  readonly backward: Apply<K>;
}

const nothing = (): void => {};
/** It tells what happened, and nothing that is kept changes. */
const NO_STATE = { forward: nothing, backward: nothing };
/** Belongs to the DETAIL stream, which is no part of the state at a whole position. */
const DETAIL_ONLY = NO_STATE;

/** Old and new values in columns of the same shape: one function, told which. */
const both = <K extends KindName>(
  apply: (pool: Pool, c: BlockColumns[K], row: number, vcpu: number, which: 'old' | 'new') => void,
): Fold<K> => ({
  forward: (pool, c, row, vcpu) => apply(pool, c, row, vcpu, 'new'),
  backward: (pool, c, row, vcpu) => apply(pool, c, row, vcpu, 'old'),
});

type Lists = { readonly [N in 'maskLo' | 'maskHi' | 'valuesEnd']: Uint32Array };
/** Sets the registers in the mask; values are in the order of the bits, from low to high. */
function setRegisters(pool: Pool, c: Lists, lo: Uint32Array, hi: Uint32Array, row: number, vcpu: number): void {
  let item = listStart(c.valuesEnd, row);
  const end = c.valuesEnd[row]!;
  for (let half = 0; half < REGISTERS_MAX; half += 32)
    for (let bits = half === 0 ? c.maskLo[row]! : c.maskHi[row]!; bits !== 0 && item < end; item++) {
      const lowest = bits & -bits;
      pool.setPair(SECTION.registers, registerWord(vcpu, half + 31 - Math.clz32(lowest)), lo[item]!, hi[item]!);
      bits ^= lowest;
    }
}

/** One entry, or what of it a table of this width can hold. */
export function setEntry(pool: Pool, c: BlockColumns['pte'], row: number, lo: number, hi: number): void {
  const section = SECTION.memory + (c.space[row]! & 3);
  const word = memoryWord(c.table[row]!, c.offset[row]!);
  if (c.bytes[row] === 4) pool.set(section, word, lo);
  else pool.setPair(section, word - (word % 2), lo, hi);
}

/** The table appears; its entries lie in memory from `table` + `offset` on. A keyframe's copy has no entries. */
function addTable(pool: Pool, c: BlockColumns['adopt' | 'release'], row: number): void {
  const space = c.space[row]! & 3;
  const kind = packTable(c.level[row]!, c.format[row]!, c.bytes[row]!);
  pool.set(SECTION.tables + space, tableWord(c.table[row]!, c.offset[row]!), kind);
  setTable(pool, c, row, c.entriesLo, c.entriesHi);
}
/** The table goes, and what it held counts as zero again. */
function removeTable(pool: Pool, c: BlockColumns['adopt' | 'release'], row: number): void {
  pool.set(SECTION.tables + (c.space[row]! & 3), tableWord(c.table[row]!, c.offset[row]!), 0);
  setTable(pool, c, row);
}
function setTable(pool: Pool, c: BlockColumns['adopt' | 'release'], row: number, lo?: Uint32Array, hi?: Uint32Array) {
  const section = SECTION.memory + (c.space[row]! & 3);
  const start = listStart(c.entriesEnd, row);
  const wide = c.bytes[row] !== 4;
  let word = memoryWord(c.table[row]!, c.offset[row]!);
  if (wide) word -= word % 2;
  for (let item = start; item < c.entriesEnd[row]!; item++, word += wide ? 2 : 1)
    if (wide) pool.setPair(section, word, lo?.[item] ?? 0, hi?.[item] ?? 0);
    else pool.set(section, word, lo?.[item] ?? 0);
}

const frameFold = (kind: FrameKind): Fold<FrameKind> => {
  const { section, shift, mask } = FRAME_FIELDS[kind];
  if (mask === 0xffff_ffff)
    return both((pool, c, row, _vcpu, which) => pool.set(section, c.frame[row]!, c[which][row]!));
  return both((pool, c, row, _vcpu, which) => pool.setBits(section, c.frame[row]!, shift, mask, c[which][row]!));
};

const portFold = (bit: number): Fold<'pending' | 'mask'> =>
  both((pool, c, row, _vcpu, which) => pool.setBits(SECTION.ports, c.port[row]!, Math.log2(bit), 1, c[which][row]!));

const PAGE = 4096;
type Mapped = { readonly [N in 'atLo' | 'atHi' | 'lengthLo' | 'lengthHi' | 'process']: Uint32Array };
type Was = { readonly [N in 'wasEnd' | 'wasLo' | 'wasHi']: Uint32Array };
const span = (c: Mapped, row: number): { from: number; to: number } => {
  const from = Math.floor(u53(c.atLo[row]!, c.atHi[row]!) / PAGE);
  return { from, to: from + Math.ceil(u53(c.lengthLo[row]!, c.lengthHi[row]!) / PAGE) };
};
/** What lay there before: five words a range, see kinds.ts. */
function rangesWas(c: Was, row: number): Range[] {
  const out: Range[] = [];
  const word = (i: number): number => u53(c.wasLo[i]!, c.wasHi[i]!);
  for (let i = listStart(c.wasEnd, row); i + 5 <= c.wasEnd[row]!; i += 5)
    out.push({
      page: Math.floor(word(i) / PAGE),
      pages: Math.ceil(word(i + 1) / PAGE),
      protection: word(i + 2),
      object: word(i + 3),
      offset: word(i + 4),
    });
  return out;
}
const put = (pool: Pool, c: Mapped, row: number, ranges: readonly Range[]): void => {
  const { from, to } = span(c, row);
  replace(pool.hostRanges(c.process[row]!), from, to, ranges);
};
const restore = (pool: Pool, c: Mapped & Was, row: number): void => {
  const { from, to } = span(c, row);
  // Sorted and apart, whatever the file says.
  const was = rangesWas(c, row)
    .map(r => clip(r, from, to))
    .filter(r => r !== undefined)
    .sort((a, b) => a.page - b.page)
    .filter((r, i, all) => i === 0 || all[i - 1]!.page + all[i - 1]!.pages <= r.page);
  put(pool, c, row, was);
};

const latin1 = (ends: Uint32Array, bytes: Uint8Array, row: number): string =>
  Buffer.from(bytes.subarray(listStart(ends, row), ends[row]!)).toString('latin1');

type Folds = { readonly [K in KindName]: Fold<K> };
const FOLDS: Folds = {
  start: NO_STATE,
  end: {
    forward: (pool, c, row) => {
      pool.ending = { how: c.how[row]!, reason: latin1(c.reasonEnd, c.reasonBytes, row) };
    },
    backward: pool => {
      pool.ending = undefined;
    },
  },
  console: NO_STATE,
  input: NO_STATE,
  idle: NO_STATE,

  regs: {
    forward: (pool, c, row, vcpu) => setRegisters(pool, c, c.valuesLo, c.valuesHi, row, vcpu),
    backward: (pool, c, row, vcpu) => setRegisters(pool, c, c.oldsLo, c.oldsHi, row, vcpu),
  },
  step: DETAIL_ONLY,
  trap: NO_STATE,
  trapret: NO_STATE,
  interrupt: NO_STATE,
  root: both((pool, c, row, vcpu, which) =>
    pool.set(SECTION.roots, rootWord(vcpu, c.space[row]!, c.role[row]!), c[which][row]! ^ NO_FRAME),
  ),
  descriptor: both((pool, c, row, vcpu, which) =>
    pool.setPair(
      SECTION.descriptors,
      descriptorWord(vcpu, c.table[row]!, c.index[row]!),
      c[`${which}Lo`][row]!,
      c[`${which}Hi`][row]!,
    ),
  ),
  msr: both((pool, c, row, vcpu, which) =>
    pool.setPair(SECTION.msrs, msrWord(vcpu, c.register[row]!), c[`${which}Lo`][row]!, c[`${which}Hi`][row]!),
  ),

  call: NO_STATE,
  result: NO_STATE,
  batch: NO_STATE,
  entry: NO_STATE,

  pte: {
    forward: (pool, c, row) => setEntry(pool, c, row, c.newLo[row]!, c.newHi[row]!),
    backward: (pool, c, row) => setEntry(pool, c, row, c.oldLo[row]!, c.oldHi[row]!),
  },
  adopt: { forward: addTable, backward: removeTable },
  release: { forward: removeTable, backward: addTable },
  m2p: both((pool, c, row, _vcpu, which) => pool.set(SECTION.m2p, c.machine[row]!, c[which][row]! ^ NO_FRAME)),
  p2m: both((pool, c, row, _vcpu, which) => pool.set(SECTION.p2m, c.guest[row]!, c[which][row]! ^ NO_FRAME)),

  ...(Object.fromEntries(FRAME_KINDS.map(kind => [kind, frameFold(kind)])) as { [K in FrameKind]: Fold<K> }),

  map: {
    forward: (pool, c, row) => {
      const { from, to } = span(c, row);
      const offset = u53(c.offsetLo[row]!, c.offsetHi[row]!);
      put(pool, c, row, [
        { page: from, pages: to - from, protection: c.protection[row]!, object: c.object[row]!, offset },
      ]);
    },
    backward: restore,
  },
  unmap: { forward: (pool, c, row) => put(pool, c, row, []), backward: restore },
  protect: {
    forward: (pool, c, row) => {
      const { from, to } = span(c, row);
      const protection = c.protection[row]!;
      const now = within(pool.hostRanges(c.process[row]!), from, to);
      put(
        pool,
        c,
        row,
        now.map(r => ({ ...r, protection })),
      );
    },
    backward: restore,
  },

  fill: DETAIL_ONLY,
  flush: NO_STATE,
  store: DETAIL_ONLY,
  pending: portFold(PORT_PENDING),
  mask: portFold(PORT_MASKED),
  task: {
    forward: (pool, c, row, vcpu) =>
      pool.setTask(vcpu, { pid: c.pid[row]!, name: latin1(c.nameEnd, c.nameBytes, row) }),
    backward: (pool, c, row, vcpu) =>
      pool.setTask(vcpu, { pid: c.old[row]!, name: latin1(c.oldNameEnd, c.oldNameBytes, row) }),
  },
};

type AnyApply = (pool: Pool, col: BlockColumns, row: number, vcpu: number) => void;
/** By kind number. The loop that folds has all columns at hand and the kind as a number. */
const byNumber = (direction: keyof Fold<KindName>): readonly AnyApply[] =>
  KIND_NAMES.map(name => {
    const apply = FOLDS[name][direction] as Apply<any>;
    return apply === nothing ? nothing : (pool, col, row, vcpu) => apply(pool, col[name], row, vcpu);
  });
export const FOLD_FORWARD = byNumber('forward');
export const FOLD_BACKWARD = byNumber('backward');
/** Kinds that change nothing we keep. */
export const STATELESS: readonly KindName[] = KIND_NAMES.filter(name => FOLDS[name] === NO_STATE);
