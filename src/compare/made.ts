/**
 * The functions that compare one kind's events, and that give each a number, made as text from the rules (rules.ts), once for
 * each text: a loop over fields costs as much as decoding them.
 */
import { type LooseColumns, listStart } from '../events/block.js';
import { KINDS, type KindName } from '../events/kinds.js';
import type { AnyField } from '../events/schema.js';
import type { Rule } from './rules.js';
import type { Same } from './same.js';
import type { Side } from './side.js';

/** Is row i of columns a the same as row j of columns b? */
export type Check = (k: Same, a: LooseColumns, i: number, b: LooseColumns, j: number) => boolean;
/** The number of row i. */
export type Hash = (k: Same, side: Side, c: LooseColumns, i: number) => number;

/** One step of a hash of u32s. */
export const mix = (h: number, v: number): number => {
  const x = Math.imul(h ^ v, 0x9e3779b1);
  return x ^ (x >>> 15);
};
const latin1 = (c: LooseColumns, name: string, row: number): string => {
  const ends = c[`${name}End`] as Uint32Array;
  return Buffer.from(c[`${name}Bytes`]!.subarray(listStart(ends, row), ends[row]!) as Uint8Array).toString('latin1');
};
/** Runs `each` for the items of two lists, as (index in pool a, index in pool b); false if their lengths differ. */
const lists = (
  a: LooseColumns,
  i: number,
  b: LooseColumns,
  j: number,
  name: string,
  each: (x: number, y: number) => boolean,
): boolean => {
  const [ea, eb] = [a[`${name}End`] as Uint32Array, b[`${name}End`] as Uint32Array];
  const [x, y] = [listStart(ea, i), listStart(eb, j)];
  const n = ea[i]! - x;
  if (n !== eb[j]! - y) return false;
  let same = true;
  for (let at = 0; at < n; at++) if (!each(x + at, y + at)) same = false;
  return same;
};
const hashList = (c: LooseColumns, i: number, name: string, each: (x: number) => number): number => {
  const ends = c[`${name}End`] as Uint32Array;
  let h = 0;
  for (let x = listStart(ends, i); x < ends[i]!; x++) h = mix(h, each(x));
  return h;
};

/** JavaScript that is true if the field is the same in row i of columns a and row j of b. */
function sameSource(kind: KindName, name: string, rule: Rule): string {
  const f = (KINDS[kind].fields as Record<string, AnyField>)[name]!;
  const pair = `a.${name}Lo[i], a.${name}Hi[i], b.${name}Lo[j], b.${name}Hi[j]`;
  const items = `a.${name}Lo[x], a.${name}Hi[x], b.${name}Lo[y], b.${name}Hi[y]`;
  const list = f.shape === 'u64s';
  const space = 'space' in KINDS[kind].fields ? 'a.space[i]' : '0';
  switch (rule) {
    case 'exact':
      return f.shape === 'pair'
        ? `a.${name}Lo[i] === b.${name}Lo[j] && a.${name}Hi[i] === b.${name}Hi[j]`
        : `a.${name}[i] === b.${name}[j]`;
    case 'word':
      return `k.wordsOf(k.a, '${f.table}')[a.${name}[i]] === k.wordsOf(k.b, '${f.table}')[b.${name}[j]]`;
    case 'stack':
      return `k.stack(a.${name}[i], b.${name}[j])`;
    case 'frame':
      return `k.frame(k.renaming(${space}), a.${name}[i], b.${name}[j])`;
    case 'entry':
      return list
        ? `lists(a, i, b, j, '${name}', (x, y) => k.entry(${space}, a.level[i], ${items}))`
        : `k.entry(${space}, a.level[i], ${pair})`;
    case 'change':
      return `((a.${name}[i] - a.old[i]) | 0) === ((b.${name}[j] - b.old[j]) | 0)`;
    case 'text':
      return `k.text(latin1(a, '${name}', i), latin1(b, '${name}', j))`;
    case 'address':
    case 'code':
    case 'value':
      return list ? `lists(a, i, b, j, '${name}', (x, y) => k.${rule}(${items}))` : `k.${rule}(${pair})`;
    case 'skip':
      return 'true';
  }
}
function hashSource(kind: KindName, name: string, rule: Rule): string {
  const f = (KINDS[kind].fields as Record<string, AnyField>)[name]!;
  const list = f.shape === 'u64s';
  const pair = list ? `c.${name}Lo[x], c.${name}Hi[x]` : `c.${name}Lo[i], c.${name}Hi[i]`;
  const space = 'space' in KINDS[kind].fields ? 'c.space[i]' : '0';
  const each = (what: string): string => (list ? `hashList(c, i, '${name}', x => ${what})` : what);
  switch (rule) {
    case 'exact':
      return f.shape === 'pair' ? `mix(c.${name}Lo[i], c.${name}Hi[i])` : `c.${name}[i]`;
    case 'word':
      return `k.wordsOf(s, '${f.table}')[c.${name}[i]]`;
    case 'stack':
      return `s.stackHash(c.${name}[i])`;
    case 'frame':
      return `k.shared(k.renaming(${space}), s, c.${name}[i])`;
    case 'entry':
      return each(`k.hashEntry(s, ${space}, c.level[i], ${pair})`);
    case 'change':
      return `(c.${name}[i] - c.old[i]) | 0`;
    case 'text':
      return `k.hashString(latin1(c, '${name}', i))`;
    case 'address':
      return each(`k.hashAddress(s, ${pair})`);
    case 'code':
      return each(`k.hashCode(s, ${pair})`);
    case 'value':
      return each(`k.hashValue(s, ${pair})`);
    case 'skip':
      return '0';
  }
}

/** Frames last: the other fields say cheaply that two events are not the same. */
const LATE = new Set<Rule>(['frame', 'entry', 'value', 'text']);
const made = new Map<string, unknown>();
/** A function made of text, once for each text. */
function make<F>(parameters: string, body: string): F {
  const key = `${parameters}: ${body}`;
  let f = made.get(key);
  if (!f) {
    const names = { mix, latin1, lists, hashList };
    f = new Function(...Object.keys(names), `return (${parameters}) => { return ${body}; }`)(...Object.values(names));
    made.set(key, f);
  }
  return f as F;
}
type Rules = readonly (readonly [field: string, rule: Rule])[];
export const checkOf = (kind: KindName, rules: Rules): Check => {
  const inOrder = [...rules.filter(([, r]) => !LATE.has(r)), ...rules.filter(([, r]) => LATE.has(r))];
  const parts = inOrder.filter(([, r]) => r !== 'skip').map(([n, r]) => sameSource(kind, n, r));
  return make('k, a, i, b, j', parts.join(' && ') || 'true');
};
export const hashOf = (kind: KindName, rules: Rules): Hash => {
  const parts = rules.filter(([, r]) => r !== 'skip').map(([n, r]) => hashSource(kind, n, r));
  return make(
    'k, s, c, i',
    parts.reduce((h, part) => `mix(${h}, ${part})`, '1'),
  );
};
export const fieldCheck = (kind: KindName, name: string, rule: Rule): Check =>
  make('k, a, i, b, j', sameSource(kind, name, rule));
