/**
 * The type word of a frame (page_info.u.inuse.type_info), which Xen prints in its messages. Its layout changed with
 * Xen 4.10 (asm/mm.h):
 *
 *   until 4.9   63    60 59  58   57   56   55  54                                                    0
 *              +--------+---+---+----+----+---+--------------------------------------------------------+
 *              | type   |pin|val|pae |part|lck| count                                                  |
 *              +--------+---+---+----+----+---+--------------------------------------------------------+
 *              none 0, l1..l4 1..4, seg_desc 5, writable 7, shared 8
 *
 *   since 4.10  63 61 60  59  58   57   56   55  54                                                    0
 *              +-----+---+---+---+----+----+---+-------------------------------------------------------+
 *              |type |lck|pin|val|pae |part|nco| count                                                 |
 *              +-----+---+---+---+----+----+---+-------------------------------------------------------+
 *              none 0, l1..l4 1..4, seg_desc 5, shared 6, writable 7
 *
 * pin pinned, val validated, pae holds Xen's part of a PAE L2, part partially validated, lck locked, nco mapped writable
 * and not coherent.
 */

/** Names as in the lexicon; the index is our own number of the type (names.ts, TYPE). */
export const TYPE_NAMES = ['none', 'l1', 'l2', 'l3', 'l4', 'seg_desc', 'shared', 'writable'] as const;
export type TypeName = (typeof TYPE_NAMES)[number];
/** Who lays the word out: 4.1 stands for everything up to 4.9, 4.17 for everything since 4.10. */
export type WordLayout = '4.1' | '4.17';

export interface TypeWord {
  readonly type: TypeName;
  readonly pinned: boolean;
  readonly validated: boolean;
  readonly partial: boolean;
  readonly locked: boolean;
  readonly paeXenL2: boolean;
  /** Since 4.10 only. */
  readonly nonCoherent: boolean;
  readonly count: bigint;
}

interface Fields {
  readonly typeShift: bigint;
  /** Value in the word to type; undefined where Xen has none. */
  readonly types: readonly (TypeName | undefined)[];
  readonly bits: Readonly<
    Partial<Record<'pinned' | 'validated' | 'paeXenL2' | 'partial' | 'locked' | 'nonCoherent', bigint>>
  >;
}
const COMMON = ['none', 'l1', 'l2', 'l3', 'l4', 'seg_desc'] as const;
const LAYOUT: Readonly<Record<WordLayout, Fields>> = {
  '4.1': {
    typeShift: 60n,
    types: [...COMMON, undefined, 'writable', 'shared'],
    bits: { pinned: 59n, validated: 58n, paeXenL2: 57n, partial: 56n, locked: 55n },
  },
  '4.17': {
    typeShift: 61n,
    types: [...COMMON, 'shared', 'writable'],
    bits: { locked: 60n, pinned: 59n, validated: 58n, paeXenL2: 57n, partial: 56n, nonCoherent: 55n },
  },
};
const COUNT_MASK = (1n << 55n) - 1n;

/** The word of a frame. `count` is cut to its 55 bits. */
export function encodeTypeWord(layout: WordLayout, word: Partial<TypeWord> & { readonly type: TypeName }): bigint {
  const { typeShift, types, bits } = LAYOUT[layout];
  let out = (BigInt(types.indexOf(word.type)) << typeShift) | ((word.count ?? 0n) & COUNT_MASK);
  for (const [name, bit] of Object.entries(bits)) if (word[name as keyof typeof bits]) out |= 1n << bit;
  return out;
}

/** What a word says; undefined if Xen has no such type in this layout. */
export function decodeTypeWord(layout: WordLayout, word: bigint): TypeWord | undefined {
  const { typeShift, types, bits } = LAYOUT[layout];
  const type = types[Number(BigInt.asUintN(64, word) >> typeShift)];
  if (type === undefined) return undefined;
  const bit = (at: bigint | undefined): boolean => at !== undefined && ((word >> at) & 1n) === 1n;
  return {
    type,
    pinned: bit(bits.pinned),
    validated: bit(bits.validated),
    partial: bit(bits.partial),
    locked: bit(bits.locked),
    paeXenL2: bit(bits.paeXenL2),
    nonCoherent: bit(bits.nonCoherent),
    count: word & COUNT_MASK,
  };
}
/** The number that stands for a type, shifted to its place: what messages call `exp`. */
export const bareType = (layout: WordLayout, type: TypeName): bigint => encodeTypeWord(layout, { type });
