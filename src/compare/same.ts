/**
 * Do two events say the same? One function a kind, made once from the rules, since a loop over fields costs as much as decoding
 * them. An event is first looked at as a whole, and only one that is the same throughout teaches the renaming new pairs.
 *
 * Beside it, a number for an event that two events share if they may be the same under the renaming as it is now: what
 * resynchronisation looks for (resync.ts).
 */
import type { Block, LooseColumns } from '../events/block.js';
import { KIND_NAMES, type KindName, NO_FRAME, SPACES, type Space } from '../events/kinds.js';
import type { WordTable } from '../events/schema.js';
import type { PagingFormat } from '../isa/isa.js';
import { formatOf } from '../state/formats.js';
import { type Look, lookOf, type Rows } from './columns.js';
import { Renaming } from './frames.js';
import { type Check, checkOf, fieldCheck, type Hash, hashOf, mix } from './made.js';
import { RULES_OF, type Rule } from './rules.js';
import { hashText, type Side } from './side.js';

const TABLES: readonly WordTable[] = ['frameType', 'path', 'class', 'batch', 'format', 'object'];
const HOSTS = new Set<number>([SPACES.indexOf('shadow'), SPACES.indexOf('host')]);
const WORD = /[0-9a-f]+/g;
/** Fields of each kind that name frames. */
const FRAMES_OF = Object.fromEntries(
  KIND_NAMES.map(kind => [kind, Object.entries(RULES_OF[kind]).filter(([, r]) => r === 'frame' || r === 'entry')]),
) as unknown as Readonly<Record<KindName, readonly (readonly [string, Rule])[]>>;

/** What is known while two recordings are compared: the renaming, the words, the sides. */
export class Same {
  readonly a: Side;
  readonly b: Side;
  /** Frames of guest and master tables, and of host and shadow tables. */
  readonly guest = new Renaming();
  readonly host = new Renaming();
  /**
   * So far every frame was itself on both sides, so nothing was learned of them: whoever only reads numbers need not decode what
   * is stored alike. The first pair that is not sets `asked`, and has no answer; then `learn` what went by.
   */
  presuming = true;
  asked = false;
  /** Pairs of the event looked at that are new: how many, their frames, and if they are the host's. */
  private fresh = 0;
  private readonly freshA: number[] = [];
  private readonly freshB: number[] = [];
  private readonly freshHost: boolean[] = [];
  /** New pairs are taken in, breaks noted. */
  private learning = false;
  private readonly words: ReadonlyMap<Side, Readonly<Record<string, Uint32Array>>>;
  private readonly formats: readonly (PagingFormat | undefined)[];
  private readonly checks: readonly Check[];
  private readonly hashes: readonly Hash[];
  private readonly looks: readonly (readonly Look[])[];
  /** By kind: the same numbers say the same. */
  private readonly plain: readonly boolean[];
  /** Addresses mean the same on both sides: the same images. */
  readonly sameBuild: boolean;
  /** Whether it matters which processor an event is of; if not, nobody decodes that. */
  readonly manyVcpus: boolean;
  private readonly without: ReadonlySet<string>;

  /** @param fields that make no difference, as `kind.field` */
  constructor(a: Side, b: Side, fields: readonly string[] = []) {
    this.a = a;
    this.b = b;
    this.words = new Map([a, b].map(side => [side, numbersOf(side)]));
    this.formats = SPACES.map(space => formatOf(a.source, space as Space));
    const images = (s: Side): string => s.source.header.images.map(i => i.sha256).join();
    const nameless = a.source.symbols.length + b.source.symbols.length === 0;
    this.sameBuild = images(a) === images(b) && (images(a) !== '' || nameless);
    this.manyVcpus = a.source.header.vcpus !== 1 || b.source.header.vcpus !== 1;
    const without = new Set(fields);
    this.without = without;
    const rules = (kind: KindName): readonly (readonly [string, Rule])[] =>
      Object.entries(RULES_OF[kind]).filter(([field]) => !without.has(`${kind}.${field}`));
    this.checks = KIND_NAMES.map(kind => checkOf(kind, rules(kind)));
    this.hashes = KIND_NAMES.map(kind => hashOf(kind, rules(kind)));
    this.looks = KIND_NAMES.map(kind =>
      rules(kind).flatMap(([name, rule]) => [lookOf(kind, name, rule)].filter(l => l !== undefined)),
    );
    const sameWords = JSON.stringify(a.source.lexicon.words) === JSON.stringify(b.source.lexicon.words);
    const says = (rule: Rule): boolean =>
      rule === 'word' ? sameWords : rule === 'code' ? this.sameBuild : rule !== 'stack';
    this.plain = KIND_NAMES.map(kind => rules(kind).every(([, rule]) => says(rule)));
  }

  /** True if the two events, of one kind, are the same; then their frames are known to be the same. */
  same(blockA: Block, i: number, blockB: Block, j: number): boolean {
    const kind = blockA.kind[i]!;
    if (kind !== blockB.kind[j] || (this.manyVcpus && blockA.vcpu[i] !== blockB.vcpu[j])) return false;
    const name = KIND_NAMES[kind]!;
    const a = blockA.col[name] as unknown as LooseColumns;
    const b = blockB.col[name] as unknown as LooseColumns;
    const [x, y] = [blockA.row[i]!, blockB.row[j]!];
    this.fresh = 0;
    if (!this.checks[kind]!(this, a, x, b, y)) return false;
    for (let n = 0; n < this.fresh; n++) {
      const r = this.freshHost[n] ? this.host : this.guest;
      const [fa, fb] = [this.freshA[n]!, this.freshB[n]!];
      if (r.look(fa, fb) < 0) r.broke(fa, fb);
      else r.bind(fa, fb);
    }
    return true;
  }
  /** Frames of event i of a block are themselves on both sides. */
  learn(block: Block, i: number): void {
    const kind = KIND_NAMES[block.kind[i]!]!;
    const c = block.col[kind] as unknown as LooseColumns;
    this.learning = true;
    for (const [name, rule] of FRAMES_OF[kind]) fieldCheck(kind, name, rule)(this, c, block.row[i]!, c, block.row[i]!);
    this.learning = false;
  }
  /** True if rows of a kind are the same whatever they are, since the numbers are and say all. */
  isPlain(kind: number): boolean {
    return this.presuming && this.plain[kind]!;
  }
  /** Marks the rows of a kind that are not surely the same (columns.ts). */
  look(kind: number, rows: Rows): void {
    for (const look of this.looks[kind]!) look(this, rows);
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
    return (
      mix(this.hashes[kind]!(this, side, columns, block.row[i]!), (this.manyVcpus ? block.vcpu[i]! * 64 : 0) + kind) >>>
      0
    );
  }

  // What the made functions call: ------------------------------------------------------------------------------------------

  renaming(space: number): Renaming {
    return HOSTS.has(space) ? this.host : this.guest;
  }
  frame(r: Renaming, fa: number, fb: number): boolean {
    if (this.presuming) {
      if (fa !== fb) this.asked = true;
      return fa === fb;
    }
    const found = r.look(fa, fb);
    if (found === 1) return true;
    if (this.learning) {
      if (found === 0) r.bind(fa, fb);
      else r.broke(fa, fb);
    } else if (found === 0) {
      this.freshA[this.fresh] = fa;
      this.freshB[this.fresh] = fb;
      this.freshHost[this.fresh++] = r === this.host;
    }
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
  /** By word of the side a number that stands for it on both. */
  wordsOf(side: Side, table: string): Uint32Array {
    return this.words.get(side)![table]!;
  }
  stack(a: number, b: number): boolean {
    return (a | b) === 0 || this.a.stackHash(a) === this.b.stackHash(b);
  }
  /** As `entry`, but only by frames that are firm; learns nothing. */
  sureEntry(space: number, level: number, aLo: number, aHi: number, bLo: number, bHi: number): boolean {
    if (this.presuming) return aLo === bLo && aHi === bHi;
    const l = this.levelOf(space, level);
    if (!l) return aLo === bLo && aHi === bHi;
    const ta = l.target(aLo, aHi);
    const tb = l.target(bLo, bHi);
    if (ta < 0 || tb < 0) return ta === tb && aLo === bLo && aHi === bHi;
    if ((aLo - (ta << 12)) >>> 0 !== (bLo - (tb << 12)) >>> 0 || aHi - (ta >>> 20) !== bHi - (tb >>> 20)) return false;
    const { firmly } = this.renaming(space);
    return ta < firmly.length && firmly[ta] === tb + 1;
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
    if (this.presuming) return frame === NO_FRAME ? NO_FRAME : frame + 1;
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

/** For each table of words: by number of the side's lexicon a hash of the word, the number itself where it has none. */
const numbersOf = ({ source: { lexicon } }: Side): Record<string, Uint32Array> =>
  Object.fromEntries(
    TABLES.map(t => [
      t,
      Uint32Array.from({ length: 256 }, (_, n) => {
        const word = lexicon.words[t]?.[n];
        return word === undefined ? n : hashText(word);
      }),
    ]),
  );
