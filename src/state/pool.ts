/**
 * The state that moves, as one array of words.
 *
 *   words   | leaf 0 | leaf 1 | leaf 2 | ...     a leaf (64 words, see words.ts) gets the next place when it is first written,
 *                                                and keeps it as long as the pool lives
 *   places  (section, leaf id) -> place          a hash table of numbers
 *
 * Since places stay, the difference between two moments is two columns, addresses in `words` and what to xor there
 * (deltas.ts), and going over one costs some 3 ns a word, in either direction.
 *
 * The ANCHOR is a moment the pool can go back to: since then each write goes to a journal, which is such a difference itself
 * (but may name an address often). `commit` brings it to one change an address, `rewind` goes over it once more.
 */
import { Trouble } from '../base/trouble.js';
import type { Block } from '../events/block.js';
import { type Delta, net, scratchOf } from './deltas.js';
import { foldBackward, foldForward } from './fold.js';
import type { Range } from './ranges.js';
import type { Words } from './state.js';
import {
  type Beside,
  EMPTY_TREE,
  type Ending,
  GROUP_LEAVES,
  leafOf,
  type NewGroup,
  nextTree,
  type Task,
  type Tree,
} from './tree.js';
import { LEAF_SHIFT, LEAF_WORDS, type Leaf, SECTIONS } from './words.js';

/** Leaves, over all sections; a recording that needs more is hostile or not for this machine (256 MB). */
const LEAVES_MAX = 2 ** 20;
/** Ranges of one host address space: sixteen times what Linux allows a process. */
const RANGES_MAX = 2 ** 20;
/** Leaf ids are below it in every section: tables have 2^14 offsets of 2^32 frames, 64 a leaf. */
const IDS = 2 ** 41;
/** Longer runs of taken cells mean that the hash table is too small, or that someone chose the numbers: it doubles. */
const PROBES_MAX = 128;
const CELLS_MAX = 2 ** 24;

/** A longer array that begins with these. */
const grown = (words: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> => {
  const next = new Uint32Array(length);
  next.set(words);
  return next;
};

export class Pool implements Words {
  /** How many events are folded in: the state is the one before event `applied`. */
  applied = 0;
  ending: Ending | undefined;
  tasks = new Map<number, Task>();
  hosts = new Map<number, readonly Range[]>();

  private words = new Uint32Array(256 * LEAF_WORDS);
  private leafCount = 0;
  /** Per place: section * IDS + leaf id. */
  private keys = new Float64Array(256);
  /** The hash table: place + 1 by hash of the key, 0 for none. */
  private cells = new Int32Array(1024);
  private readonly placesOf: number[][] = Array.from({ length: SECTIONS }, () => []);
  // The place found last, by section: registers are nearly always in the same one.
  private readonly lastId = new Float64Array(SECTIONS).fill(-1);
  private readonly lastPlace = new Int32Array(SECTIONS);

  // The anchor, and the journal of what was written since.
  private journalAt = new Uint32Array(4096);
  private journalXor = new Uint32Array(4096);
  private journalCount = 0;
  private scratch = scratchOf(256);
  private anchored = 0;
  private anchorBeside: Beside = { hosts: EMPTY_TREE.hosts, tasks: EMPTY_TREE.tasks, ending: undefined };

  /** What is beside the words as an object that stays; undefined since it changed. */
  private besideNow: Beside | undefined = this.anchorBeside;
  /** Processes whose ranges were copied and may be changed in place. */
  private readonly ownHosts = new Set<number>();

  /** The tree made last, and the places written since. */
  private frozen: Tree = EMPTY_TREE;
  private stale = new Uint8Array(256);

  /** Folds events from..to-1 of the block in (indices in the block). `applied` must be the seq of `from`. */
  forward(block: Block, from: number, to: number): void {
    foldForward(this, block, from, to);
    this.applied = block.first + to;
  }
  /** Takes events to-1 .. from of the block out again, last first. `applied` must be the seq of `to`. */
  backward(block: Block, from: number, to: number): void {
    foldBackward(this, block, from, to);
    this.applied = block.first + from;
  }

  /** The state as a tree that never changes. */
  keyframe(): Tree {
    const changed: Map<number, NewGroup>[] = Array.from({ length: SECTIONS }, () => new Map());
    for (let place = 0; place < this.leafCount; place++) {
      if (this.stale[place] === 0) continue;
      this.stale[place] = 0;
      const section = Math.floor(this.keys[place]! / IDS);
      const id = this.keys[place]! % IDS;
      const from = place * LEAF_WORDS;
      if (this.sameLeaf(leafOf(this.frozen.sections[section]!, id), from)) continue;
      const number = Math.floor(id / GROUP_LEAVES);
      let group = changed[section]!.get(number);
      if (!group) {
        const before = this.frozen.sections[section]!.get(number);
        group = { leaves: before ? before.slice() : new Array<Leaf | undefined>(GROUP_LEAVES).fill(undefined) };
        changed[section]!.set(number, group);
      }
      group.leaves[id - number * GROUP_LEAVES] = this.words.slice(from, from + LEAF_WORDS);
    }
    this.frozen = nextTree(this.frozen, changed, this.beside());
    return this.frozen;
  }
  private sameLeaf(leaf: Leaf | undefined, from: number): boolean {
    for (let i = 0; i < LEAF_WORDS; i++) if (this.words[from + i] !== (leaf ? leaf[i] : 0)) return false;
    return true;
  }

  private beside(): Beside {
    if (this.besideNow && this.besideNow.ending === this.ending) return this.besideNow;
    this.ownHosts.clear();
    this.besideNow = { hosts: new Map(this.hosts), tasks: new Map(this.tasks), ending: this.ending };
    return this.besideNow;
  }
  private setBeside(beside: Beside): void {
    if (this.besideNow === beside && this.ending === beside.ending) return;
    this.hosts = new Map(beside.hosts);
    this.tasks = new Map(beside.tasks);
    this.ending = beside.ending;
    this.ownHosts.clear();
    this.besideNow = beside;
  }

  private anchor(): void {
    this.journalCount = 0;
    this.anchored = this.applied;
    this.anchorBeside = this.beside();
  }
  /** What changed since the anchor, which moves here. */
  commit(): Pick<Delta, 'at' | 'xor' | 'before' | 'after'> {
    const count = this.netJournal();
    const at = this.journalAt.slice(0, count);
    const xor = this.journalXor.slice(0, count);
    const before = this.anchorBeside;
    this.anchor();
    return { at, xor, before, after: this.anchorBeside };
  }
  /** Back to the anchor. */
  rewind(): void {
    this.flip(this.journalAt, this.journalXor, this.journalCount);
    this.setBeside(this.anchorBeside);
    this.applied = this.anchored;
    this.anchor();
  }
  /** From one end of a delta to the other, which is before event `applied`. The pool must be at its anchor. */
  apply({ at, xor, before, after }: Delta, direction: 1 | -1, applied: number): void {
    this.flip(at, xor, at.length);
    this.setBeside(direction === 1 ? after : before);
    this.applied = applied;
    this.anchor();
  }
  private flip(at: Uint32Array, xor: Uint32Array, count: number): void {
    const { words, stale } = this;
    for (let n = 0; n < count; n++) {
      const a = at[n]!;
      words[a] = words[a]! ^ xor[n]!;
      stale[a >>> LEAF_SHIFT] = 1;
    }
  }
  private netJournal(): number {
    return net(this.journalAt, this.journalXor, this.journalCount, this.scratch);
  }
  /** Becomes the state before the first event. Places stay. */
  clear(): void {
    this.words.fill(0, 0, this.leafCount * LEAF_WORDS);
    this.stale.fill(1, 0, this.leafCount);
    this.setBeside({ hosts: EMPTY_TREE.hosts, tasks: EMPTY_TREE.tasks, ending: undefined });
    this.applied = 0;
    this.anchor();
  }

  leaf(section: number, id: number): Leaf | undefined {
    const place = this.find(section, id);
    return place < 0 ? undefined : this.leafAt(place);
  }
  *leaves(section: number): Iterable<readonly [id: number, leaf: Leaf]> {
    for (const place of this.placesOf[section]!) yield [this.keys[place]! % IDS, this.leafAt(place)];
  }
  private leafAt(place: number): Leaf {
    return this.words.subarray(place * LEAF_WORDS, (place + 1) * LEAF_WORDS);
  }

  private cellOf(key: number): number {
    const h = Math.imul((key | 0) ^ Math.imul((key / 2 ** 32) | 0, 0x85eb_ca6b), 0x9e37_79b1);
    return (h ^ (h >>> 15)) & (this.cells.length - 1);
  }
  /** The place of a leaf, -1 if it was never written. */
  private find(section: number, id: number): number {
    const key = section * IDS + id;
    const mask = this.cells.length - 1;
    for (let cell = this.cellOf(key); ; cell = (cell + 1) & mask) {
      const place = this.cells[cell]! - 1;
      if (place < 0 || this.keys[place] === key) return place;
    }
  }
  /** Enters a place in the hash table, which doubles if that takes too many steps. */
  private enter(place: number): void {
    const mask = this.cells.length - 1;
    let cell = this.cellOf(this.keys[place]!);
    for (let n = 0; n < PROBES_MAX; n++, cell = (cell + 1) & mask)
      if (this.cells[cell] === 0) {
        this.cells[cell] = place + 1;
        return;
      }
    this.rehash();
    this.enter(place);
  }
  private rehash(): void {
    if (this.cells.length >= CELLS_MAX) throw this.tooMuch();
    const before = this.cells;
    this.cells = new Int32Array(2 * before.length);
    for (const entry of before) if (entry > 0) this.enter(entry - 1);
  }
  private tooMuch(): Trouble {
    return new Trouble(`before event ${this.applied}: the state touches more places than this program can hold`);
  }

  private newPlace(section: number, id: number): number {
    const place = this.leafCount;
    if (place >= LEAVES_MAX) throw this.tooMuch();
    if (place === this.keys.length) this.grow();
    this.leafCount++;
    this.keys[place] = section * IDS + id;
    this.placesOf[section]!.push(place);
    if (4 * place > this.cells.length) this.rehash();
    this.enter(place);
    return place;
  }
  private grow(): void {
    const n = 2 * this.keys.length;
    const keys = new Float64Array(n);
    keys.set(this.keys);
    this.keys = keys;
    const stale = new Uint8Array(n);
    stale.set(this.stale);
    this.stale = stale;
    this.words = grown(this.words, n * LEAF_WORDS);
    this.scratch = scratchOf(n);
  }

  private write(at: number, value: number): void {
    const xor = this.words[at]! ^ value;
    if (xor === 0) return;
    if (this.journalCount === this.journalAt.length) this.makeRoom();
    this.journalAt[this.journalCount] = at;
    this.journalXor[this.journalCount++] = xor;
    this.words[at] = value;
    this.stale[at >>> LEAF_SHIFT] = 1;
  }
  /** Steps to and fro fill the journal with what cancels out. */
  private makeRoom(): void {
    const length = this.journalCount;
    this.journalCount = this.netJournal();
    if (2 * this.journalCount < length) return;
    this.journalAt = grown(this.journalAt, 2 * length);
    this.journalXor = grown(this.journalXor, 2 * length);
  }
  /** Where in `words` the word is, to be written. */
  private address(section: number, index: number): number {
    const id = Math.floor(index / LEAF_WORDS);
    let place: number;
    if (this.lastId[section] === id) place = this.lastPlace[section]!;
    else {
      place = this.find(section, id);
      if (place < 0) place = this.newPlace(section, id);
      this.lastId[section] = id;
      this.lastPlace[section] = place;
    }
    return place * LEAF_WORDS + index - id * LEAF_WORDS;
  }
  set(section: number, index: number, value: number): void {
    this.write(this.address(section, index), value);
  }
  /** Sets the bits of `mask` at `shift` to `value`. */
  setBits(section: number, index: number, shift: number, mask: number, value: number): void {
    const at = this.address(section, index);
    this.write(at, (this.words[at]! & ~(mask << shift)) | ((value & mask) << shift));
  }
  /** Two words at an even index, so that both are in one leaf. */
  setPair(section: number, index: number, lo: number, hi: number): void {
    const at = this.address(section, index);
    this.write(at, lo);
    this.write(at + 1, hi);
  }

  /** The ranges of a process, to be changed in place. Their number is checked here, before each change. */
  hostRanges(process: number): Range[] {
    const ranges = this.hosts.get(process) ?? [];
    if (ranges.length > RANGES_MAX)
      throw new Trouble(`before event ${this.applied}: process ${process} has more than ${RANGES_MAX} ranges`);
    this.besideNow = undefined;
    if (this.ownHosts.has(process)) return ranges as Range[];
    const own = [...ranges];
    this.ownHosts.add(process);
    this.hosts.set(process, own);
    return own;
  }
  setTask(vcpu: number, task: Task): void {
    this.besideNow = undefined;
    if (task.pid === 0 && task.name === '') this.tasks.delete(vcpu);
    else this.tasks.set(vcpu, task);
  }
}
