/**
 * The page walk of a virtual address at a position: what the processor would read, level by level, with who wrote each
 * entry and when, and a verdict. Every entry comes from the index; nothing is folded.
 */
import { asFrame, asPaddr, asVaddr, type Frame, type Paddr, paddrOf, type Vaddr } from '../base/brand.js';
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { NO_FRAME, type Space } from '../events/kinds.js';
import { ALL_PERMISSIONS, combine, flagWords, indexOf, type PagingFormat, type Permissions } from '../isa/isa.js';
import type { Source } from '../recording/source.js';
import { formatOf } from '../state/formats.js';
import { ticksOf } from './at.js';
import { type RootAt, type RootQuery, rootAt, slotAt } from './slots.js';

export interface WalkStep {
  /** L4 ... L1. */
  readonly level: string;
  readonly number: number;
  /** Byte address of the slot, and its index in the table. */
  readonly slot: Paddr;
  readonly index: number;
  readonly value: bigint;
  /** "PRESENT RW USER NX". */
  readonly flags: string;
  /** The event that wrote the slot, -1 if none did, and its ticks. */
  readonly writer: number;
  readonly writerTicks: number;
}
export type Verdict =
  | {
      readonly kind: 'mapped';
      /** The byte that `vaddr` means. */
      readonly paddr: Paddr;
      readonly frame: Frame;
      /** Bytes that the last entry maps. */
      readonly bytes: number;
      readonly permissions: Permissions;
    }
  | { readonly kind: 'stops'; readonly level: string; readonly why: string };
export interface Walk {
  readonly vaddr: Vaddr;
  readonly space: Space;
  readonly root: RootAt;
  readonly steps: readonly WalkStep[];
  readonly verdict: Verdict;
}

/** Where the tables of a space begin: the loaded root unless another is given. */
export interface WalkQuery extends RootQuery {
  readonly root?: Frame;
}

/** The format of a space's tables, or a Trouble that says why there is none. */
export function needFormat(source: Source, space: Space): PagingFormat {
  const format = formatOf(source, space);
  if (format) return format;
  const name = source.lexicon.paging[space];
  throw new Trouble(
    `${source.name}: ${space} tables: ${name ? `this version does not know the format ${name}` : 'the recording names no format for them'}`,
  );
}

/** True if `at` is canonical in this format: the bits above its width repeat the highest one, or are zero. */
export function isCanonical(format: PagingFormat, at: Vaddr): boolean {
  const width = format.vaddrBits;
  const low = BigInt.asUintN(width, at);
  return at === (format.signed ? BigInt.asUintN(64, BigInt.asIntN(width, low)) : low);
}

/** Walks `vaddr` just after event `seq`. */
export function* walk(source: Source, vaddr: Vaddr, seq: number, query: WalkQuery): Work<Walk> {
  const format = needFormat(source, query.space);
  const root: RootAt =
    query.root === undefined
      ? yield* rootAt(source, query, seq)
      : { frame: query.root, at: paddrOf(query.root), since: -1, from: 'given' };
  const steps: WalkStep[] = [];
  const done = (verdict: Verdict): Walk => ({ vaddr: asVaddr(vaddr), space: query.space, root, steps, verdict });
  const stops = (level: string, why: string): Walk => done({ kind: 'stops', level, why });
  if (root.frame === NO_FRAME) return stops('root', 'no root table is loaded');
  if (!isCanonical(format, vaddr)) return stops('root', `the address is not canonical (${format.vaddrBits} bits)`);

  let table = root.at;
  let permissions = ALL_PERMISSIONS;
  for (const level of format.levels) {
    const index = indexOf(level, vaddr);
    const slot = asPaddr(table + index * format.entryBytes);
    const { value, writer } = slotAt(source, query.space, slot, seq);
    const writerTicks = writer < 0 ? 0 : ticksOf(source, writer);
    const flags = flagWords(level, value);
    steps.push({ level: level.name, number: level.number, slot, index, value, flags, writer, writerTicks });
    const entry = level.decode(value);
    if (entry.kind === 'none')
      return stops(level.name, writer < 0 ? 'no recorded event wrote the entry' : 'the entry is not present');
    permissions = combine(permissions, entry.flags);
    if (entry.kind === 'leaf') {
      const paddr = asPaddr(entry.at + Number(BigInt.asUintN(64, vaddr) % BigInt(entry.bytes)));
      return done({ kind: 'mapped', paddr, frame: asFrame(Math.floor(paddr / 4096)), bytes: entry.bytes, permissions });
    }
    table = entry.at;
  }
  return stops(format.levels.at(-1)!.name, 'the last level names another table');
}
