/**
 * Rows of one kind beside each other, a column at a time: which of them are surely the same? Most events of two runs are, and
 * what they have in common is told by loops over two arrays in a nanosecond a value, where an event by itself takes ten times
 * as long. A row that is marked is not surely the same; it is then looked at by itself (same.ts), which also learns from it.
 *
 * Surely means: by numbers that are equal on both sides, and by pairs of frames that are firm (frames.ts), or equal as long as
 * all were. No row teaches anything here, so the order in which columns are looked at makes no difference.
 */
import type { LooseColumns } from '../events/block.js';
import { KINDS, type KindName } from '../events/kinds.js';
import type { AnyField } from '../events/schema.js';
import type { Rule } from './rules.js';
import type { Same } from './same.js';

/** `n` rows of a kind on both sides, from row x of a and row y of b on; rows that are not surely the same get marks[at + r] = 1. */
export interface Rows {
  readonly a: LooseColumns;
  readonly x: number;
  readonly b: LooseColumns;
  readonly y: number;
  readonly n: number;
  readonly marks: Uint8Array;
  readonly at: number;
}
type Numbers = LooseColumns[string];
/** Looks at the columns of one field. */
export type Look = (k: Same, rows: Rows) => void;

function equal(p: Numbers, q: Numbers, { x, y, n, marks, at }: Rows): void {
  if (p === q && x === y) return;
  for (let r = 0; r < n; r++) if (p[x + r] !== q[y + r]) marks[at + r] = 1;
}
/** Where a list of row r starts in its pool. */
const startOf = (ends: Numbers, row: number): number => (row === 0 ? 0 : ends[row - 1]!);

function lists(name: string, rows: Rows): void {
  const { a, b, x, y, n, marks, at } = rows;
  const [ea, eb] = [a[`${name}End`]!, b[`${name}End`]!];
  const [la, ha, lb, hb] = [a[`${name}Lo`]!, a[`${name}Hi`]!, b[`${name}Lo`]!, b[`${name}Hi`]!];
  if (la === lb && x === y) return;
  let i = startOf(ea, x);
  let j = startOf(eb, y);
  for (let r = 0; r < n; r++) {
    const [toA, toB] = [ea[x + r]!, eb[y + r]!];
    if (toA - i !== toB - j) marks[at + r] = 1;
    else for (; i < toA; i++, j++) if (la[i] !== lb[j] || ha[i] !== hb[j]) marks[at + r] = 1;
    i = toA;
    j = toB;
  }
}
/** Entries of whole tables, most of which are 0. */
function entries(k: Same, name: string, { a, b, x, y, n, marks, at }: Rows): void {
  const [ea, eb] = [a[`${name}End`]!, b[`${name}End`]!];
  const [la, ha, lb, hb] = [a[`${name}Lo`]!, a[`${name}Hi`]!, b[`${name}Lo`]!, b[`${name}Hi`]!];
  let i = startOf(ea, x);
  let j = startOf(eb, y);
  for (let r = 0; r < n; r++) {
    const [toA, toB] = [ea[x + r]!, eb[y + r]!];
    const [space, level] = [a.space![x + r]!, a.level![x + r]!];
    let sure = toA - i === toB - j;
    for (; sure && i < toA; i++, j++) {
      if ((la[i]! | ha[i]! | lb[j]! | hb[j]!) === 0) continue;
      sure = k.sureEntry(space, level, la[i]!, ha[i]!, lb[j]!, hb[j]!);
    }
    if (!sure) marks[at + r] = 1;
    i = toA;
    j = toB;
  }
}
const all = ({ n, marks, at }: Rows): void => void marks.fill(1, at, at + n);

/** How the columns of a field are looked at, or undefined if there is nothing to look at. */
export function lookOf(kind: KindName, name: string, rule: Rule): Look | undefined {
  const f = (KINDS[kind].fields as Record<string, AnyField>)[name]!;
  const pairs = (rows: Rows): void => {
    equal(rows.a[`${name}Lo`]!, rows.b[`${name}Lo`]!, rows);
    equal(rows.a[`${name}Hi`]!, rows.b[`${name}Hi`]!, rows);
  };
  const numbers = f.shape === 'u64s' ? (rows: Rows): void => lists(name, rows) : pairs;
  switch (rule) {
    case 'skip':
      return undefined;
    case 'exact':
      return f.shape === 'pair' ? (_, rows) => pairs(rows) : (_, rows) => equal(rows.a[name]!, rows.b[name]!, rows);
    case 'address':
    case 'value':
      return (_, rows) => numbers(rows);
    case 'code':
      return (k, rows) => (k.sameBuild ? numbers(rows) : all(rows));
    case 'word':
      return (k, { a, b, x, y, n, marks, at }) => {
        const [p, q, inA, inB] = [a[name]!, b[name]!, k.wordsOf(k.a, f.table!), k.wordsOf(k.b, f.table!)];
        for (let r = 0; r < n; r++) if (inA[p[x + r]!] !== inB[q[y + r]!]) marks[at + r] = 1;
      };
    case 'stack':
      return (k, { a, b, x, y, n, marks, at }) => {
        const [p, q] = [a[name]!, b[name]!];
        for (let r = 0; r < n; r++) {
          const [s, t] = [p[x + r]!, q[y + r]!];
          if ((s | t) !== 0 && k.a.stackHash(s) !== k.b.stackHash(t)) marks[at + r] = 1;
        }
      };
    case 'change':
      return (_, { a, b, x, y, n, marks, at }) => {
        const [p, old, q, was] = [a[name]!, a.old!, b[name]!, b.old!];
        for (let r = 0; r < n; r++)
          if (((p[x + r]! - old[x + r]!) | 0) !== ((q[y + r]! - was[y + r]!) | 0)) marks[at + r] = 1;
      };
    case 'frame':
      return (k, rows) => {
        const { a, b, x, y, n, marks, at } = rows;
        const [p, q, spaces] = [a[name]!, b[name]!, a.space];
        if (k.presuming) return equal(p, q, rows);
        for (let r = 0; r < n; r++) {
          const frame = p[x + r]!;
          const firm = k.renaming(spaces ? spaces[x + r]! : 0).firmly;
          if (!(frame < firm.length && firm[frame] === q[y + r]! + 1)) marks[at + r] = 1;
        }
      };
    case 'entry':
      return f.shape === 'u64s'
        ? (k, rows) => (k.presuming ? lists(name, rows) : entries(k, name, rows))
        : (k, rows) => {
            const { a, b, x, y, n, marks, at } = rows;
            if (k.presuming) return pairs(rows);
            const [la, ha, lb, hb] = [a[`${name}Lo`]!, a[`${name}Hi`]!, b[`${name}Lo`]!, b[`${name}Hi`]!];
            const [spaces, levels] = [a.space!, a.level!];
            for (let r = 0; r < n; r++) {
              const [i, j] = [x + r, y + r];
              if (!k.sureEntry(spaces[i]!, levels[i]!, la[i]!, ha[i]!, lb[j]!, hb[j]!)) marks[at + r] = 1;
            }
          };
    case 'text':
      return (_, rows) => all(rows);
  }
}
