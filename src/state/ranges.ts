/**
 * The ranges of a host address space, sorted and coalesced: two neighbours that continue each other are one range. That
 * makes the list a function of what each page holds, whatever the order of the calls, so that folding backwards gives
 * exactly the list that folding forwards had.
 *
 * Everything is in pages: addresses of mappings are multiples of 4096, so a page number is exact in a number for any u64.
 */
export interface Range {
  readonly page: number;
  readonly pages: number;
  /** Protection bits, as the event gave them. */
  readonly protection: number;
  /** Number of the object's word in the lexicon. */
  readonly object: number;
  /** Byte offset in the object. */
  readonly offset: number;
}

const endOf = (r: Range): number => r.page + r.pages;

/** The part of r in pages from..to-1; undefined if there is none. */
export function clip(r: Range, from: number, to: number): Range | undefined {
  const page = Math.max(r.page, from);
  const pages = Math.min(endOf(r), to) - page;
  if (pages <= 0) return undefined;
  return pages === r.pages ? r : { ...r, page, pages, offset: r.offset + (page - r.page) * 4096 };
}

const continues = (a: Range, b: Range): boolean =>
  endOf(a) === b.page &&
  a.protection === b.protection &&
  a.object === b.object &&
  a.offset + a.pages * 4096 === b.offset;

/** Index of the first range that ends after `page`. */
export function firstAfter(ranges: readonly Range[], page: number): number {
  let lo = 0;
  let hi = ranges.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (endOf(ranges[mid]!) <= page) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** The parts of `ranges` in pages from..to-1. */
export function within(ranges: readonly Range[], from: number, to: number): Range[] {
  const out: Range[] = [];
  for (let i = firstAfter(ranges, from); i < ranges.length && ranges[i]!.page < to; i++) {
    const part = clip(ranges[i]!, from, to);
    if (part) out.push(part);
  }
  return out;
}

/** Makes pages from..to-1 hold exactly the parts of `put` that lie there; `put` is sorted. Changes `ranges`. */
export function replace(ranges: Range[], from: number, to: number, put: readonly Range[]): void {
  let first = firstAfter(ranges, from);
  let last = first;
  while (last < ranges.length && ranges[last]!.page < to) last++;
  const parts: (Range | undefined)[] = [];
  if (first > 0) parts.push(ranges[first - 1]);
  if (first < last) parts.push(clip(ranges[first]!, 0, from));
  for (const r of put) parts.push(clip(r, from, to));
  if (first < last) parts.push(clip(ranges[last - 1]!, to, Number.MAX_VALUE));
  if (last < ranges.length) parts.push(ranges[last]);
  if (first > 0) first--;
  if (last < ranges.length) last++;

  const joined: Range[] = [];
  for (const r of parts) {
    const before = joined.at(-1);
    if (!r) continue;
    if (before && continues(before, r)) joined[joined.length - 1] = { ...before, pages: before.pages + r.pages };
    else joined.push(r);
  }
  ranges.splice(first, last - first, ...joined);
}
