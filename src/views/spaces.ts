/**
 * An address space as Linux's ptdump prints it: ranges of neighbouring pages with the same size and permissions.
 *
 * The walk visits only leaves that are not empty. Tables may contain themselves (a recursive map, or malice): the depth is
 * the format's, so a walk ends; but 512^4 entries are no end anyone sees, so it stops after ENTRIES_MAX and says so.
 */
import { asFrame, asVaddr, type Frame, type Paddr, paddrOf, type Vaddr } from '../base/brand.js';
import type { Work } from '../base/work.js';
import type { Space } from '../events/kinds.js';
import type { Lexicon, Region } from '../events/lexicon.js';
import type { Level, PagingFormat, Permissions } from '../isa/isa.js';
import type { State } from '../state/state.js';
import { LEAF_WORDS } from '../state/words.js';
import { combineBits, entriesOf, TableReader, unpackPermissions } from './tables.js';

const ENTRIES_MAX = 2 ** 22;
const YIELD_RANGES = 512;
/** All permissions that combine, see combineBits. */
const ALL_BITS = 7;

export interface SpaceRange {
  readonly from: Vaddr;
  readonly bytes: bigint;
  /** The level of the entries that map it: 1 for small pages. */
  readonly level: number;
  readonly pageBytes: number;
  readonly permissions: Permissions;
  /** Frame that `from` maps to; ranges are contiguous in frames only if that was asked for. */
  readonly frame: Frame;
  /** Name of the region that `from` is in. */
  readonly region: string | undefined;
}
export interface SpaceMap {
  readonly ranges: readonly SpaceRange[];
  /** Bytes mapped in all. */
  readonly bytes: bigint;
  /** Tables visited, each once for each way to it. */
  readonly tables: number;
  /** True if the walk was cut short because of its length. */
  readonly truncated: boolean;
}
export interface SpaceOptions {
  /** Split ranges where frames do not follow each other. */
  readonly frames?: boolean;
}

/** Mapped pages, as the walk finds them. `page` counts 4 KiB pages from address 0 up to the format's width. */
export type Visit = (page: number, pages: number, level: Level, permissions: number, target: Paddr) => void;

function regionsOf(lexicon: Lexicon): { name: string; from: bigint; to: bigint }[] {
  return lexicon.regions.flatMap((r: Region) => {
    try {
      return [
        { name: r.name, from: BigInt(`0x${r.from.replace(/^0x/, '')}`), to: BigInt(`0x${r.to.replace(/^0x/, '')}`) },
      ];
    } catch {
      return []; // a recording's own words may be nonsense
    }
  });
}
/** Names of regions by address. */
export function regionNames(lexicon: Lexicon): (at: Vaddr) => string | undefined {
  const list = regionsOf(lexicon);
  return at => list.find(r => at >= r.from && at < r.to)?.name;
}
/** Names of regions by the number of a page, which is quicker for thousands. */
export function regionNamesOfPages(lexicon: Lexicon, format: PagingFormat): (page: number) => string | undefined {
  const pageOf = (at: bigint): number => Number(BigInt.asUintN(format.vaddrBits, at) >> 12n);
  const list = regionsOf(lexicon).map(r => ({ name: r.name, first: pageOf(r.from + 4095n), last: pageOf(r.to - 1n) }));
  return page => list.find(r => page >= r.first && page <= r.last)?.name;
}

/** The address of a page number, sign-extended where the format is. */
export function addressOf(format: PagingFormat, page: number): Vaddr {
  const at = BigInt(page) << 12n;
  return asVaddr(format.signed ? BigInt.asIntN(format.vaddrBits, at) : at);
}

/** The same as a number, u64: exact, since it is a multiple of 4096. For thousands of lines of text. */
export function addressNumberOf(format: PagingFormat, page: number): number {
  const top = 2 ** (format.vaddrBits - 1);
  const at = page * 4096;
  return format.signed && at >= top ? 2 ** 64 - 2 * top + at : at;
}

export interface Visited {
  entries: number;
  tables: number;
  truncated: boolean;
}
/** Walks the table at `at` of levels[depth] and below, in order of addresses. */
export function* visitTable(
  reader: TableReader,
  at: Paddr,
  depth: number,
  page: number,
  above: number,
  visit: Visit,
  visited: Visited,
): Work<void> {
  const { levels } = reader.format;
  const level = levels[depth];
  if (!level) return;
  const pagesPerEntry = 2 ** (level.shift - 12);
  const words = reader.format.entryBytes / 4;
  visited.tables++;
  yield { done: visited.entries, total: ENTRIES_MAX };
  for (let index = 0, n = entriesOf(level); index < n; ) {
    const leaf = reader.leaf(at, index);
    let word = reader.wordOf(at, index);
    const end = Math.min(n, index + (LEAF_WORDS - word) / words);
    if (!leaf) {
      index = end;
      continue;
    }
    for (; index < end; index++, word += words) {
      const lo = leaf[word]!;
      const hi = reader.hi(leaf, word);
      if (lo === 0 && hi === 0) continue;
      if (++visited.entries > ENTRIES_MAX) {
        visited.truncated = true;
        return;
      }
      const m = reader.meaning(level, lo, hi);
      if (m.kind === 'none') continue;
      const permissions = combineBits(above, m.permissions);
      const here = page + index * pagesPerEntry;
      // An ARM supersection's sixteen entries each map their own sixteenth, so no entry maps more than its share.
      if (m.kind === 'leaf')
        visit(here, Math.min(m.bytes / 4096, pagesPerEntry), level, permissions, reader.target(level, m, lo, hi));
      else yield* visitTable(reader, reader.target(level, m, lo, hi), depth + 1, here, permissions, visit, visited);
    }
  }
}

/** A range as the walk finds it, in pages of 4 KiB: most are only counted, and few looked at. */
export interface SpaceRun {
  readonly page: number;
  readonly pages: number;
  readonly level: Level;
  /** 4 KiB pages of each entry. */
  readonly pagesEach: number;
  /** As PERMISSION_BITS. */
  readonly permissions: number;
  readonly target: Paddr;
}
export interface SpaceRuns {
  readonly runs: readonly SpaceRun[];
  readonly tables: number;
  readonly truncated: boolean;
}
/** The ranges of the address space under `root` (a frame, or a byte address) in a state, in order of addresses. */
export function* spaceRuns(
  state: State,
  space: Space,
  format: PagingFormat,
  root: Frame | { readonly at: Paddr },
  options: SpaceOptions = {},
): Work<SpaceRuns> {
  const reader = new TableReader(state, space, format);
  const visited: Visited = { entries: 0, tables: 0, truncated: false };
  const runs: { -readonly [K in keyof SpaceRun]: SpaceRun[K] }[] = [];
  let open: (typeof runs)[number] | undefined;
  const visit: Visit = (page, pages, level, permissions, target) => {
    if (
      open &&
      open.page + open.pages === page &&
      open.level === level &&
      open.pagesEach === pages &&
      open.permissions === permissions &&
      (!options.frames || open.target + open.pages * 4096 === target)
    )
      open.pages += pages;
    else runs.push((open = { page, pages, level, pagesEach: pages, permissions, target }));
  };
  const at = typeof root === 'number' ? paddrOf(root) : root.at;
  yield* visitTable(reader, at, 0, 0, ALL_BITS, visit, visited);
  return { runs, tables: visited.tables, truncated: visited.truncated };
}
/** The address space under `root` in a state. */
export function* spaceMap(
  state: State,
  space: Space,
  format: PagingFormat,
  root: Frame | { readonly at: Paddr },
  lexicon: Lexicon,
  options: SpaceOptions = {},
): Work<SpaceMap> {
  const { runs, tables, truncated } = yield* spaceRuns(state, space, format, root, options);
  const regionOf = regionNames(lexicon);
  let bytes = 0n;
  const ranges: SpaceRange[] = [];
  for (const run of runs) {
    if (ranges.length % YIELD_RANGES === 0) yield { done: ranges.length, total: runs.length };
    const from = addressOf(format, run.page);
    const length = BigInt(run.pages) << 12n;
    bytes += length;
    ranges.push({
      from,
      bytes: length,
      level: run.level.number,
      pageBytes: run.pagesEach * 4096,
      permissions: unpackPermissions(run.permissions),
      frame: asFrame(Math.floor(run.target / 4096)),
      region: regionOf(from),
    });
  }
  return { ranges, bytes, tables, truncated };
}
