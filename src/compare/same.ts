/**
 * Do two events say the same? One function a kind, made once from the rules, since a loop over fields costs as much as decoding
 * them. An event is first looked at as a whole, and only one that is the same throughout teaches the renaming new pairs.
 *
 * Beside it, a number for an event that two events share if they may be the same under the renaming as it is now: what
 * resynchronisation looks for (resync.ts).
 */
import { type Block, type LooseColumns, listStart } from '../events/block.js';
import { KIND_NAMES, KINDS, type KindName, SPACES, type Space } from '../events/kinds.js';
import { wordOf } from '../events/lexicon.js';
import type { AnyField, WordTable } from '../events/schema.js';
import type { PagingFormat } from '../isa/isa.js';
import { formatOf } from '../state/formats.js';
import { Renaming } from './frames.js';
import { RULES_OF, type Rule } from './rules.js';
import { hashText, type Side } from './side.js';

type Check = (k: Same, a: LooseColumns, i: number, b: LooseColumns, j: number) => boolean;
type Hash = (k: Same, side: Side, c: LooseColumns, i: number) => number;
const TABLES: readonly WordTable[] = ['frameType', 'path', 'class', 'batch', 'format', 'object'];
const HOSTS = new Set<number>([SPACES.indexOf('shadow'), SPACES.indexOf('host')]);
const WORD = /[0-9a-f]+/g;

/** What is known while two recordings are compared: the renaming, the words, the sides. */
export class Same {
  readonly a: Side;
  readonly b: Side;
  /** Frames of guest and master tables, and of host and shadow tables. */
  readonly guest = new Renaming();
  readonly host = new Renaming();
  /** Some pair of the event looked at is new. */
  private fresh = false;
  /** New pairs are taken in, breaks noted. */
  private learning = false;
  private readonly words: Readonly<Record<string, readonly number[]>>;
  private readonly formats: readonly (PagingFormat | undefined)[];
  private readonly checks: readonly Check[];
  private readonly hashes: readonly Hash[];
  /** Addresses mean the same on both sides: the same images. */
  private readonly sameBuild: boolean;
  private readonly without: ReadonlySet<string>;

  /** @param fields that make no difference, as `kind.field` */
  constructor(a: Side, b: Side, fields: readonly string[] = []) {
    this.a = a;
    this.b = b;
    const [la, lb] = [a.source.lexicon, b.source.lexicon];
    this.words = Object.fromEntries(
      TABLES.map(t => [
        t,
        Array.from({ length: 256 }, (_, n) => {
          const at = la.words[t]?.indexOf(wordOf(lb, t, n)) ?? -1;
          return at >= 0 ? at : la.words[t]?.[n] === undefined && lb.words[t]?.[n] === undefined ? n : 256 + n;
        }),
      ]),
    );
    this.formats = SPACES.map(space => formatOf(a.source, space as Space));
    const images = (s: Side): string => s.source.header.images.map(i => i.sha256).join();
    const nameless = a.source.symbols.length + b.source.symbols.length === 0;
    this.sameBuild = images(a) === images(b) && (images(a) !== '' || nameless);
    const without = new Set(fields);
    this.without = without;
    const rules = (kind: KindName): readonly (readonly [string, Rule])[] =>
      Object.entries(RULES_OF[kind]).filter(([field]) => !without.has(`${kind}.${field}`));
    this.checks = KIND_NAMES.map(kind => checkOf(kind, rules(kind)));
    this.hashes = KIND_NAMES.map(kind => hashOf(kind, rules(kind)));
  }

  /** True if the two events, of one kind, are the same; then their frames are known to be the same. */
  same(blockA: Block, i: number, blockB: Block, j: number): boolean {
    const kind = blockA.kind[i]!;
    if (kind !== blockB.kind[j] || blockA.vcpu[i] !== blockB.vcpu[j]) return false;
    const name = KIND_NAMES[kind]!;
    const a = blockA.col[name] as unknown as LooseColumns;
    const b = blockB.col[name] as unknown as LooseColumns;
    const [x, y] = [blockA.row[i]!, blockB.row[j]!];
    this.fresh = false;
    const check = this.checks[kind]!;
    if (!check(this, a, x, b, y)) return false;
    if (this.fresh) {
      this.learning = true;
      check(this, a, x, b, y);
      this.learning = false;
    }
    return true;
  }
  /** The fields in which two events of one kind differ. What breaks the renaming is noted. */
  fields(blockA: Block, i: number, blockB: Block, j: number): string[] {
    const kind = KIND_NAMES[blockA.kind[i]!]!;
    const a = blockA.col[kind] as unknown as LooseColumns;
    const b = blockB.col[kind] as unknown as LooseColumns;
    this.learning = true;
    const found = Object.entries(RULES_OF[kind])
      .filter(([name]) => !this.without.has(`${kind}.${name}`))
      .filter(([name, rule]) => !fieldCheck(kind, name, rule)(this, a, blockA.row[i]!, b, blockB.row[j]!))
      .map(([name]) => name);
    this.learning = false;
    return found;
  }
  /** The number of an event; the same for events of both sides that may be the same. */
  hash(side: Side, block: Block, i: number): number {
    const kind = block.kind[i]!;
    const columns = block.col[KIND_NAMES[kind]!] as unknown as LooseColumns;
    return mix(this.hashes[kind]!(this, side, columns, block.row[i]!), block.vcpu[i]! * 64 + kind) >>> 0;
  }

  // What the made functions call: ------------------------------------------------------------------------------------------

  renaming(space: number): Renaming {
    return HOSTS.has(space) ? this.host : this.guest;
  }
  frame(r: Renaming, fa: number, fb: number): boolean {
    const found = r.look(fa, fb);
    if (found === 1) return true;
    if (this.learning) {
      if (found === 0) r.bind(fa, fb);
      else r.broke(fa, fb);
    } else this.fresh = true;
    return found === 0;
  }
  /** Two entries of tables: the frames behind them renamed, all other bits alike. */
  entry(space: number, level: number, aLo: number, aHi: number, bLo: number, bHi: number): boolean {
    const l = this.levelOf(space, level);
    if (!l) return aLo === bLo && aHi === bHi;
    const ta = l.target(aLo, aHi);
    const tb = l.target(bLo, bHi);
    if (ta < 0 || tb < 0) return ta === tb && aLo === bLo && aHi === bHi;
    if ((aLo - (ta << 12)) >>> 0 !== (bLo - (tb << 12)) >>> 0 || aHi - (ta >>> 20) !== bHi - (tb >>> 20)) return false;
    return this.frame(this.renaming(space), ta, tb);
  }
  private levelOf(space: number, number: number) {
    const levels = this.formats[space]?.levels;
    return levels?.[levels.length - number];
  }
  word(table: string, a: number, b: number): boolean {
    return a === this.words[table]![b];
  }
  /** The word of a side as side a numbers it. */
  wordIn(table: string, side: Side, n: number): number {
    return side === this.a ? n : this.words[table]![n]!;
  }
  stack(a: number, b: number): boolean {
    return a === b && a === 0 ? true : this.a.stack(a).hash === this.b.stack(b).hash;
  }
  code(aLo: number, aHi: number, bLo: number, bHi: number): boolean {
    if (this.sameBuild && aLo === bLo && aHi === bHi) return true;
    const [sa, sb] = [this.a.symbolOf(aLo, aHi), this.b.symbolOf(bLo, bHi)];
    return sa && sb ? sa.name === sb.name : aLo === bLo && aHi === bHi;
  }
  address(aLo: number, aHi: number, bLo: number, bHi: number): boolean {
    if (aLo === bLo && aHi === bHi) return true;
    if (this.sameBuild) return false;
    const [sa, sb] = [this.a.symbolOf(aLo, aHi), this.b.symbolOf(bLo, bHi)];
    return sa !== undefined && sa.name === sb?.name && sa.offset === sb.offset;
  }
  /** An argument may be anything: a number, an address, an entry, a frame. A frame only counts where it is known. */
  value(aLo: number, aHi: number, bLo: number, bHi: number): boolean {
    if (this.address(aLo, aHi, bLo, bHi)) return true;
    if (aHi === 0 && bHi === 0 && this.guest.look(aLo, bLo) === 1) return true;
    const fa = (aHi & 0xf_ffff) * 2 ** 20 + (aLo >>> 12);
    const fb = (bHi & 0xf_ffff) * 2 ** 20 + (bLo >>> 12);
    const alike = ((aLo ^ bLo) & 0xfff) === 0 && aHi >>> 20 === bHi >>> 20;
    return alike && fa < 2 ** 32 && fb < 2 ** 32 && this.guest.look(fa, fb) === 1;
  }
  text(a: string, b: string): boolean {
    if (a === b) return true;
    if (a.replace(WORD, '#') !== b.replace(WORD, '#')) return false;
    const [wa, wb] = [a.match(WORD) ?? [], b.match(WORD) ?? []];
    return wa.every((w, n) => {
      if (w === wb[n]) return true;
      if (w.length > 16 || wb[n]!.length > 16) return false;
      const [x, y] = [BigInt(`0x${w}`), BigInt(`0x${wb[n]}`)];
      const low = (v: bigint): number => Number(v & 0xffff_ffffn);
      return this.value(low(x), low(x >> 32n), low(y), low(y >> 32n));
    });
  }
  /** The name of a frame that both sides share. */
  shared(r: Renaming, side: Side, frame: number): number {
    return side === this.a ? r.nameInA(frame) : r.nameInB(frame);
  }
  hashEntry(side: Side, space: number, level: number, lo: number, hi: number): number {
    const t = this.levelOf(space, level)?.target(lo, hi) ?? -1;
    if (t < 0) return mix(lo, hi);
    const rest = mix((lo - (t << 12)) >>> 0, hi - (t >>> 20));
    return mix(rest, this.shared(this.renaming(space), side, t));
  }
  hashAddress(side: Side, lo: number, hi: number): number {
    if (this.sameBuild) return mix(lo, hi);
    const symbol = side.symbolOf(lo, hi);
    return symbol ? mix(hashText(symbol.name), symbol.offset) : mix(lo, hi);
  }
  hashCode(side: Side, lo: number, hi: number): number {
    const symbol = side.symbolOf(lo, hi);
    return symbol ? hashText(symbol.name) : mix(lo, hi);
  }
  hashValue(side: Side, lo: number, hi: number): number {
    if (hi === 0) return 0;
    const frame = (hi & 0xf_ffff) * 2 ** 20 + (lo >>> 12);
    const name = frame < 2 ** 32 ? this.shared(this.guest, side, frame) : 0;
    return name ? mix(mix(name, lo & 0xfff), hi >>> 20) : this.hashAddress(side, lo, hi);
  }
  hashString(text: string): number {
    return hashText(text.replace(WORD, '#'));
  }
}

const mix = (h: number, v: number): number => {
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
      return `k.word('${f.table}', a.${name}[i], b.${name}[j])`;
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
      return `k.wordIn('${f.table}', s, c.${name}[i])`;
    case 'stack':
      return `s.stack(c.${name}[i]).hash`;
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
const checkOf = (kind: KindName, rules: Rules): Check => {
  const inOrder = [...rules.filter(([, r]) => !LATE.has(r)), ...rules.filter(([, r]) => LATE.has(r))];
  const parts = inOrder.filter(([, r]) => r !== 'skip').map(([n, r]) => sameSource(kind, n, r));
  return make('k, a, i, b, j', parts.join(' && ') || 'true');
};
const hashOf = (kind: KindName, rules: Rules): Hash => {
  const parts = rules.filter(([, r]) => r !== 'skip').map(([n, r]) => hashSource(kind, n, r));
  return make(
    'k, s, c, i',
    parts.reduce((h, part) => `mix(${h}, ${part})`, '1'),
  );
};
const fieldCheck = (kind: KindName, name: string, rule: Rule): Check =>
  make('k, a, i, b, j', sameSource(kind, name, rule));
