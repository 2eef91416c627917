/**
 * Two address spaces beside each other: one space at two moments, or two spaces at one. What appeared (+), what went (-),
 * what means something else now (~), as coalesced ranges, each with the last writer of the entry that made the difference.
 *
 * The walk goes down both trees of tables at once. Frozen states share the leaves that no event between them wrote, so two
 * leaves that are the same object need no look inside. Accessed and dirty bits make no difference.
 */
import { asFrame, asPaddr, type Frame, type Paddr, paddrOf, type Vaddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import type { Space } from '../events/kinds.js';
import type { Level, PagingFormat, Permissions } from '../isa/isa.js';
import type { Source } from '../recording/source.js';
import type { State } from '../state/state.js';
import { LEAF_WORDS } from '../state/words.js';
import { addressOf, regionNames, type Visited, visitTable } from '../views/spaces.js';
import { combineBits, entriesOf, TableReader, unpackPermissions } from '../views/tables.js';

/** One side of a comparison. */
export interface Side {
  readonly state: State;
  readonly space: Space;
  /** The root table. */
  readonly root: Frame | { readonly at: Paddr };
}
/** What a range means on one side. */
export interface Mapped {
  readonly level: number;
  readonly permissions: Permissions;
  /** Frame of the first page. */
  readonly frame: Frame;
}
export interface Difference {
  readonly sign: '+' | '-' | '~';
  readonly from: Vaddr;
  readonly bytes: bigint;
  readonly before: Mapped | undefined;
  readonly after: Mapped | undefined;
  readonly region: string | undefined;
  /** The entry on side b where the two sides part ways, for the first page. */
  readonly slot: Paddr;
  /** The last event up to side b's moment that wrote it; -1 if none did. */
  readonly writer: number;
}
export interface Comparison {
  readonly differences: readonly Difference[];
  /** True if the walk was cut short because of its length. */
  readonly truncated: boolean;
}

const ALL_BITS = 7;
const ENTRIES_MAX = 2 ** 22;
const YIELD_ENTRIES = 16_384;
const none = asPaddr(0);
interface Half {
  readonly level: number;
  readonly permissions: number;
  readonly target: number;
}
interface Open {
  readonly sign: Difference['sign'];
  readonly page: number;
  pages: number;
  readonly before: Half | undefined;
  readonly after: Half | undefined;
  readonly slot: Paddr;
}
const sameMeaning = (a: Half | undefined, b: Half | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.level === b.level && a.permissions === b.permissions);

/** The two trees, walked together. */
class Pair {
  readonly found: Open[] = [];
  readonly visited: Visited = { entries: 0, tables: 0, truncated: false };
  private readonly format: PagingFormat;
  private readonly a: TableReader;
  private readonly b: TableReader;

  constructor(format: PagingFormat, a: Side, b: Side) {
    this.format = format;
    this.a = new TableReader(a.state, a.space, format);
    this.b = new TableReader(b.state, b.space, format);
  }

  private add(page: number, pages: number, before: Half | undefined, after: Half | undefined, slot: Paddr): void {
    const sign = before && after ? '~' : after ? '+' : '-';
    const open = this.found.at(-1);
    const continues =
      open &&
      open.sign === sign &&
      open.page + open.pages === page &&
      sameMeaning(open.before, before) &&
      sameMeaning(open.after, after);
    if (continues) open.pages += pages;
    else this.found.push({ sign, page, pages, before, after, slot });
  }

  *tables(atA: Paddr, atB: Paddr, depth: number, page: number, aboveA: number, aboveB: number): Work<void> {
    const { a, b, format, visited } = this;
    const level = format.levels[depth];
    if (!level) return;
    const words = format.entryBytes / 4;
    const pages = 2 ** (level.shift - 12);
    const isLast = depth === format.levels.length - 1;
    for (let index = 0, n = entriesOf(level); index < n; ) {
      const [leafA, leafB] = [a.leaf(atA, index), b.leaf(atB, index)];
      let [wordA, wordB] = [a.wordOf(atA, index), b.wordOf(atB, index)];
      const end = Math.min(n, index + (LEAF_WORDS - Math.max(wordA, wordB)) / words);
      if (leafA === leafB && (!leafA || (isLast && aboveA === aboveB && wordA === wordB))) {
        index = end;
        continue;
      }
      for (; index < end; index++, wordA += words, wordB += words) {
        const loA = leafA ? leafA[wordA]! : 0;
        const hiA = leafA ? a.hi(leafA, wordA) : 0;
        const loB = leafB ? leafB[wordB]! : 0;
        const hiB = leafB ? b.hi(leafB, wordB) : 0;
        if ((loA | hiA | loB | hiB) === 0 || visited.truncated) continue;
        if (++visited.entries > ENTRIES_MAX) visited.truncated = true;
        if (visited.entries % YIELD_ENTRIES === 0) yield { done: visited.entries, total: ENTRIES_MAX };
        if (isLast && loA === loB && hiA === hiB && aboveA === aboveB) continue;
        const here = page + index * pages;
        const slot = asPaddr(atB + index * format.entryBytes);
        const mA = a.meaning(level, loA, hiA);
        const mB = b.meaning(level, loB, hiB);
        const bitsA = combineBits(aboveA, mA.permissions);
        const bitsB = combineBits(aboveB, mB.permissions);
        const toA = mA.kind === 'none' ? none : a.target(level, mA, loA, hiA);
        const toB = mB.kind === 'none' ? none : b.target(level, mB, loB, hiB);
        if (mA.kind === 'table' && mB.kind === 'table') {
          yield* this.tables(toA, toB, depth + 1, here, bitsA, bitsB);
          continue;
        }
        if (mA.kind === 'table') yield* this.oneSide('before', toA, depth + 1, here, bitsA, slot);
        if (mB.kind === 'table') yield* this.oneSide('after', toB, depth + 1, here, bitsB, slot);
        const [leafOnA, leafOnB] = [mA.kind === 'leaf', mB.kind === 'leaf'];
        if (leafOnA && leafOnB && bitsA === bitsB && toA === toB) continue;
        if (!leafOnA && !leafOnB) continue;
        const before = leafOnA ? { level: level.number, permissions: bitsA, target: toA } : undefined;
        const after = leafOnB ? { level: level.number, permissions: bitsB, target: toB } : undefined;
        this.add(here, pages, before, after, slot);
      }
    }
  }

  /** A table that only one side has: all of it is new, or gone, because of the entry at `slot`. */
  private oneSide(which: 'before' | 'after', at: Paddr, depth: number, page: number, above: number, slot: Paddr) {
    const reader = which === 'before' ? this.a : this.b;
    const visit = (p: number, pages: number, level: Level, permissions: number, target: Paddr): void => {
      const half = { level: level.number, permissions, target };
      if (which === 'before') this.add(p, pages, half, undefined, slot);
      else this.add(p, pages, undefined, half, slot);
    };
    return visitTable(reader, at, depth, page, above, visit, this.visited);
  }
}

/**
 * What is different on side b. Give frozen states (Timeline.freeze, snapshot), both from one timeline.
 * @param source for the last writers and the names of regions
 */
export function* compareSpaces(source: Source, format: PagingFormat, a: Side, b: Side): Work<Comparison> {
  const pair = new Pair(format, a, b);
  const rootOf = ({ root }: Side): Paddr => (typeof root === 'number' ? paddrOf(root) : root.at);
  yield* pair.tables(rootOf(a), rootOf(b), 0, 0, ALL_BITS, ALL_BITS);
  const regionOf = regionNames(source.lexicon);
  const side = (h: Half | undefined): Mapped | undefined =>
    h && {
      level: h.level,
      permissions: unpackPermissions(h.permissions),
      frame: asFrame(Math.floor(h.target / 4096)),
    };
  const differences = pair.found.map((d): Difference => {
    const from = addressOf(format, d.page);
    return {
      sign: d.sign,
      from,
      bytes: BigInt(d.pages) << 12n,
      before: side(d.before),
      after: side(d.after),
      region: regionOf(from),
      slot: d.slot,
      writer: source.index.lastSlotWrite(b.space, d.slot, b.state.seq + 1),
    };
  });
  return { differences, truncated: pair.visited.truncated };
}
