/**
 * Reading whole page tables of a state quickly: what an entry says, decoded once for each combination of its flags, and
 * leaves of a state without an entry skipped, 256 bytes at a time.
 */
import { asPaddr, type Paddr } from '../base/brand.js';
import { u64 } from '../base/u64.js';
import type { Space } from '../events/kinds.js';
import type { Entry, Level, PagingFormat, Permissions } from '../isa/isa.js';
import type { State } from '../state/state.js';
import { LEAF_WORDS, type Leaf } from '../state/words.js';

/*
 * Bits that say what an entry is; the others are its address, or the PAT of a large page. In 8-byte formats bits 11..0 and
 * 63..52; in 4-byte ones bits 19..0, since ARM's sections have flags up to bit 19.
 */
const LO_FLAGS = { 4: 0xf_ffff, 8: 0xfff } as const;

/** What entries with these flags are, but for the address. */
export interface Meaning {
  readonly kind: Entry['kind'];
  /** Bytes a leaf maps, 0 for others. */
  readonly bytes: number;
  /** Permissions as bits (PERMISSION_BITS); 0 for none. */
  readonly permissions: number;
}
export const PERMISSION_BITS = { write: 1, user: 2, execute: 4, global: 8 } as const;
const pack = (p: Permissions): number =>
  (p.write ? 1 : 0) | (p.user ? 2 : 0) | (p.execute ? 4 : 0) | (p.global ? 8 : 0);
export const unpackPermissions = (bits: number): Permissions => ({
  write: (bits & 1) !== 0,
  user: (bits & 2) !== 0,
  execute: (bits & 4) !== 0,
  global: (bits & 8) !== 0,
});
/** As `combine` of the isa, on bits: every level must allow; global is the last level's. */
export const combineBits = (above: number, here: number): number => (above & here & 7) | (here & 8);

const MEANINGS_MAX = 65_536;

/** The entries of one paging format, read from one space of a state. */
export class TableReader {
  readonly format: PagingFormat;
  private readonly state: State;
  private readonly space: Space;
  private readonly meanings = new Map<Level, Map<number, Meaning>>();
  private readonly words: number;
  private readonly flags: number;

  constructor(state: State, space: Space, format: PagingFormat) {
    this.state = state;
    this.space = space;
    this.format = format;
    this.words = format.entryBytes / 4;
    this.flags = LO_FLAGS[format.entryBytes];
  }

  /** Entries that share a leaf. */
  get entriesPerLeaf(): number {
    return LEAF_WORDS / this.words;
  }
  /** The leaf with entry `index` of the table at byte `at`; undefined where all its entries are zero. */
  leaf(at: Paddr, index: number): Leaf | undefined {
    return this.state.memoryLeaf(this.space, asPaddr(at + index * this.format.entryBytes));
  }
  /** Index in the leaf of the low word of entry `index`. */
  wordOf(at: Paddr, index: number): number {
    return (at / 4 + index * this.words) % LEAF_WORDS;
  }
  hi(leaf: Leaf, word: number): number {
    return this.words === 2 ? leaf[word + 1]! : 0;
  }

  meaning(level: Level, lo: number, hi: number): Meaning {
    const key = (lo & this.flags) | ((hi >>> 20) << 12);
    let known = this.meanings.get(level);
    if (!known) this.meanings.set(level, (known = new Map()));
    let m = known.get(key);
    if (!m) {
      const e = level.decode(u64(lo, hi));
      m = {
        kind: e.kind,
        bytes: e.kind === 'leaf' ? e.bytes : 0,
        permissions: e.kind === 'none' ? 0 : pack(e.flags),
      };
      if (known.size < MEANINGS_MAX) known.set(key, m);
    }
    return m;
  }
  /** Where an entry points; `m` is its meaning, and not `none`. */
  target(level: Level, m: Meaning, lo: number, hi: number): Paddr {
    if (m.kind === 'leaf') return asPaddr(level.target(lo, hi) * 4096);
    const e = level.decode(u64(lo, hi)); // a table may begin inside a frame
    return e.kind === 'none' ? asPaddr(0) : e.at;
  }
}

/** Entries of a table of this level. */
export const entriesOf = (level: Level): number => 2 ** level.bits;
