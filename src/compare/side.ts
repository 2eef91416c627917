/** One of two recordings that are compared: its events as far as they are compared at all, and its names for things. */
import { asVaddr } from '../base/brand.js';
import { u64 } from '../base/u64.js';
import { type Block, causeAt, type LooseColumns } from '../events/block.js';
import { KIND, KIND_NAMES, type KindName } from '../events/kinds.js';
import type { Source } from '../recording/source.js';
import { symbolAt } from '../views/symbols.js';
import { ASIDE } from './rules.js';

/** What makes no difference. */
export interface Ignored {
  /** Kinds that are left out. */
  readonly kinds: readonly KindName[];
  /** Kinds that are compared though they usually are not: regs. */
  readonly with: readonly KindName[];
  /** Fields, as `kind.field`. */
  readonly fields: readonly string[];
  /** Functions: what happens with one of them on the stack. */
  readonly functions: readonly string[];
  /** Ways an entry is written: walker for accessed and dirty bits. */
  readonly paths: readonly string[];
}
export const NOTHING_IGNORED: Ignored = { kinds: [], with: [], fields: [], functions: [], paths: [] };

const CAUSES_MAX = 8;
const CACHE_MAX = 1 << 16;
/** FNV-1a of a string, as u32. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

export class Side {
  readonly source: Source;
  /** The class of system calls in this recording, -1 for none. */
  readonly syscall: number;
  /** By kind number: 1 for kinds that are not looked at. */
  private readonly aside: Uint8Array;
  /** Whether an event counts is decided by its kind alone. */
  readonly byKind: boolean;
  private readonly functions: ReadonlySet<string>;
  private readonly paths: ReadonlySet<number>;
  private readonly stackHashes: number[] = [];
  private readonly stackNames = new Map<number, { readonly hash: number; readonly names: readonly string[] }>();
  private readonly addresses = new Map<bigint, { readonly name: string; readonly offset: number } | undefined>();

  constructor(source: Source, ignored: Ignored) {
    this.source = source;
    this.syscall = (source.lexicon.words.class ?? []).indexOf('syscall');
    const aside = new Set<KindName>([...ASIDE.filter(k => !ignored.with.includes(k)), ...ignored.kinds]);
    this.aside = Uint8Array.from(KIND_NAMES, k => Number(aside.has(k)));
    this.functions = new Set(ignored.functions);
    const paths = source.lexicon.words.path ?? [];
    this.paths = new Set(ignored.paths.map(p => paths.indexOf(p)));
    this.byKind = this.functions.size === 0 && this.paths.size === 0;
  }

  /** The first event at or after i of the block that counts, block.count if none does. */
  next(block: Block, i: number): number {
    const { aside, byKind } = this;
    const { kind, count } = block;
    for (; i < count; i++) if (aside[kind[i]!] === 0 && (byKind || !this.isIgnored(block, i))) return i;
    return count;
  }

  private isIgnored(block: Block, i: number): boolean {
    if (block.kind[i] === KIND.pte && this.paths.has(block.col.pte.path[block.row[i]!]!)) return true;
    if (this.functions.size === 0) return false;
    for (let n = 0; n < CAUSES_MAX; n++) {
      const columns = block.col[KIND_NAMES[block.kind[i]!]!] as unknown as LooseColumns;
      const id = columns.stack?.[block.row[i]!] ?? 0;
      if (id !== 0) return this.stack(id).names.some(name => this.functions.has(name));
      const cause = causeAt(block, i);
      if (cause < 0) return false;
      if (cause < block.first) block = this.source.chunk(this.source.chunkOf(cause));
      i = cause - block.first;
    }
    return false;
  }

  /** A number for the functions of a stack. */
  stackHash(id: number): number {
    const { stackHashes } = this;
    return id < stackHashes.length ? stackHashes[id]! : this.learnStack(id);
  }
  private learnStack(id: number): number {
    const { hash } = this.stack(id);
    // Stacks are numbered in order; what a damaged recording names is not.
    while (this.stackHashes.length < id && id < CACHE_MAX)
      this.stackHashes.push(this.stack(this.stackHashes.length).hash);
    if (this.stackHashes.length === id) this.stackHashes.push(hash);
    return hash;
  }
  /** The functions of a stack, innermost first, and one number for all of them. */
  stack(id: number): { readonly hash: number; readonly names: readonly string[] } {
    let known = this.stackNames.get(id);
    if (!known) {
      // A return address is behind its call, and behind the function where that does not return.
      const names = this.source.stack(id).map(at => this.symbol(at - 1n)?.name ?? at.toString(16));
      this.stackNames.set(id, (known = { names, hash: hashText(names.join()) }));
    }
    return known;
  }

  /** The symbol an address is in; of a u64 as its two words. */
  symbolOf(lo: number, hi: number): { readonly name: string; readonly offset: number } | undefined {
    return (lo | hi) === 0 ? undefined : this.symbol(u64(lo, hi));
  }
  private symbol(at: bigint): { readonly name: string; readonly offset: number } | undefined {
    const { addresses } = this;
    if (addresses.has(at)) return addresses.get(at);
    if (addresses.size >= CACHE_MAX) addresses.clear();
    const found = symbolAt(this.source.symbols, asVaddr(at));
    addresses.set(at, found);
    return found;
  }
}
