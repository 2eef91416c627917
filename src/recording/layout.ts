/**
 * What a recording says about its own events: names, shapes and order of every field, in the file's header. Decoding goes
 * by the file's list, not by this program's, so that an old recording is read by what it meant: kinds and fields that
 * came later are empty or zero in it. From such a list a PLAN is made once: the columns of each kind in the order of the
 * file, and what is left out of them because it can be told from the rest (see reduce.ts).
 */
import { Trouble } from '../base/trouble.js';
import { KINDS } from '../events/kinds.js';
import { type AnyField, columnSpecs, type Fields, type Shape, type Store } from '../events/schema.js';
import type { Trait } from './column-tags.js';

/** A field as the header has it. `delta`: may be stored as differences; `count`: a plain number; `names`: how many an enum has. */
export interface FieldLayout {
  readonly name: string;
  readonly shape: Shape;
  readonly store: Store;
  readonly delta: boolean;
  readonly count: boolean;
  readonly names: number;
  readonly beside: string;
}
export interface KindLayout {
  readonly name: string;
  readonly fields: readonly FieldLayout[];
  /** The fields that say what thing an event changes: its `old` is most likely the last `new` of the same thing. */
  readonly key: readonly string[];
}
/** Kinds by their number in the file. */
export type Layout = readonly KindLayout[];

const KEYS: Readonly<Record<string, readonly string[]>> = {
  root: ['space', 'role'],
  descriptor: ['table', 'index'],
  msr: ['register'],
  pte: ['space', 'table', 'offset'],
  m2p: ['machine'],
  p2m: ['guest'],
  typecount: ['frame'],
  total: ['frame'],
};

/** The layout of the recordings this program writes. */
export const LAYOUT: Layout = Object.entries(KINDS).map(([name, kind]) => ({
  name,
  fields: Object.entries(kind.fields as Fields).map(([field, f]: [string, AnyField]) => ({
    name: field,
    shape: f.shape,
    store: f.store,
    delta: f.delta,
    count: f.show === 'number',
    names: f.show === 'enum' ? f.names!.length : 0,
    beside: f.beside ?? '',
  })),
  key: KEYS[name] ?? [],
}));

/** A stored column. Items of the list `list` go by its ends. */
export interface ColumnPlan {
  readonly name: string;
  readonly store: Store;
  readonly what: 'word' | 'end' | 'item';
  /** For items: the column that has the ends of their lists. */
  readonly ends: string;
  readonly trait: Trait;
  /** For enums: how many names there are; 0 otherwise. */
  readonly names: number;
}
export interface KindPlan {
  readonly name: string;
  readonly columns: readonly ColumnPlan[];
  /** Has `mask`, `values` and the `olds` derived from them. */
  readonly registers: boolean;
  /** Pairs of columns [old, new], where old is stored as it differs from the last new of the same key. */
  readonly changes: readonly (readonly [string, string])[];
  readonly key: readonly string[];
  /** `new` is stored as its difference from `old`: counts go up and down by one. */
  readonly counts: boolean;
}
export type Plan = readonly KindPlan[];

function kindPlan({ name, fields, key }: KindLayout): KindPlan {
  const registers = fields.some(f => f.shape === 'derived');
  const columns = fields.flatMap(({ name: field, shape, store, delta, names }): ColumnPlan[] => {
    const trait: Trait = registers && field === 'mask' ? 'few' : delta ? 'near' : 'plain';
    const items: Trait = registers ? 'plain' : 'near';
    const column = (suffix: string, what: ColumnPlan['what'], how: Trait, as: Store = 'u32'): ColumnPlan => ({
      name: field + suffix,
      store: as,
      what,
      ends: what === 'item' ? `${field}End` : '',
      trait: how,
      names: suffix === '' ? names : 0,
    });
    switch (shape) {
      case 'word':
        return [column('', 'word', trait, store)];
      case 'pair':
        return [column('Lo', 'word', trait), column('Hi', 'word', trait)];
      case 'u64s':
        return [column('End', 'end', 'plain'), column('Lo', 'item', items), column('Hi', 'item', items)];
      case 'bytes':
        return [column('End', 'end', 'plain'), column('Bytes', 'item', 'plain', 'u8')];
      case 'derived':
        return [];
    }
  });
  const old = fields.find(f => f.name === 'old');
  const changes: KindPlan['changes'] =
    key.length === 0 || !old
      ? []
      : old.shape === 'pair'
        ? [
            ['oldLo', 'newLo'],
            ['oldHi', 'newHi'],
          ]
        : [['old', 'new']];
  return { name, columns, registers, changes, key, counts: changes.length === 1 && old!.count };
}
export const planOf = (layout: Layout): Plan => layout.map(kindPlan);
export const PLAN: Plan = planOf(LAYOUT);

const SHAPES: readonly string[] = ['word', 'pair', 'u64s', 'bytes', 'derived'];
const STORES: readonly string[] = ['u8', 'u16', 'u32'];
const isText = (v: unknown): v is string => typeof v === 'string' && v.length > 0 && v.length <= 64;

/** The layout in a form for msgpack: short, since a header has 4 KiB. */
export const packLayout = (layout: Layout): unknown =>
  layout.map(k => [
    k.name,
    k.fields.map(f => [
      f.name,
      SHAPES.indexOf(f.shape),
      STORES.indexOf(f.store),
      (f.delta ? 1 : 0) | (f.count ? 2 : 0),
      f.names,
      f.beside,
    ]),
    k.key,
  ]);

/** Reads what packLayout wrote; throws Trouble where it is none, or one that this program cannot map to its own kinds. */
export function unpackLayout(packed: unknown): Layout {
  const bad = (what: string): never => {
    throw new Trouble(`its list of event kinds is not valid: ${what}`);
  };
  const list = (v: unknown, what: string, most: number): unknown[] =>
    Array.isArray(v) && v.length <= most ? v : bad(what);
  const layout = list(packed, 'no list', 256).map((k): KindLayout => {
    const [name, fields, key] = list(k, 'a kind is no list', 3);
    if (!isText(name)) return bad('a kind without a name');
    return {
      name,
      fields: list(fields, name, 64).map((f): FieldLayout => {
        const [field, shape, store, flags, names, beside] = list(f, name, 6) as number[] & string[];
        if (!isText(field) || typeof beside !== 'string' || !SHAPES[shape!] || !STORES[store!]) return bad(name);
        if (!Number.isInteger(flags) || !Number.isInteger(names)) return bad(name);
        return {
          name: field,
          shape: SHAPES[shape!] as Shape,
          store: STORES[store!] as Store,
          delta: (flags! & 1) !== 0,
          count: (flags! & 2) !== 0,
          names: names!,
          beside,
        };
      }),
      key: list(key, name, 8).map(x => (isText(x) ? x : bad(name))),
    };
  });
  for (const kind of layout) checkKind(kind);
  if (new Set(layout.map(k => k.name)).size !== layout.length) bad('a kind twice');
  return layout;
}

/** Refuses what decoding would trip over: unknown kinds, fields of another shape, keys and changes without their columns. */
function checkKind(kind: KindLayout): void {
  const bad = (what: string): never => {
    throw new Trouble(`it has events of a kind that this version does not read: ${kind.name} (${what})`);
  };
  const own = LAYOUT.find(k => k.name === kind.name) ?? bad('unknown');
  const names = kind.fields.map(f => f.name);
  if (new Set(names).size !== names.length) bad('a field twice');
  for (const f of kind.fields) {
    const mine = own.fields.find(o => o.name === f.name) ?? bad(`unknown field ${f.name}`);
    if (mine.shape !== f.shape || mine.store !== f.store || mine.beside !== f.beside) bad(`field ${f.name}`);
    if (mine.names < f.names) bad(`field ${f.name} has new names`);
  }
  const has = (name: string): boolean => kind.fields.some(f => f.name === name && f.shape === 'word');
  if (!kind.key.every(has)) bad('its key');
  if (kind.key.length > 0) {
    const [old, now] = ['old', 'new'].map(n => kind.fields.find(f => f.name === n));
    if (!old || !now || old.shape !== now.shape || !['word', 'pair'].includes(old.shape)) bad('its key');
    if (old!.shape === 'word' && (old!.store !== 'u32' || now!.store !== 'u32')) bad('its key');
  }
  const derived = kind.fields.some(f => f.shape === 'derived');
  if (derived && !['mask', 'values', 'olds'].every(n => names.includes(n))) bad('its registers');
}

/** Columns that events of this program have and a recording by `layout` has not; they are zero. */
export function missingColumns(kind: KindLayout): ReturnType<typeof columnSpecs> {
  const own = KINDS[kind.name as keyof typeof KINDS].fields as Fields;
  return columnSpecs(own).filter(spec => !kind.fields.some(f => f.name === spec.field));
}
