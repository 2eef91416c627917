/**
 * The state that moves, as one array of words.
 *
 *   words   | leaf 0 | leaf 1 | leaf 2 | ...     a leaf (64 words, see words.ts) gets the next place when it is first written,
 *                                                and keeps it as long as the pool lives (places.ts)
 *
 * Since places stay, the difference between two moments is a list of words and what to xor there (changes.ts), and going
 * over one costs a nanosecond or two a word, in either direction.
 *
 * The ANCHOR is a moment the pool can go back to: the first write to a line of 16 words since then copies the line as it
 * was. Further writes cost nothing more, so however long the pool moves to and fro, there is one copy a line. `commit` compares the
 * copies with what is there now, `rewind` puts them back.
 */
import { Trouble } from '../base/trouble.js';
import type { Block } from '../events/block.js';
import { type Changes, changesOf, flip, LINE_SHIFT, LINE_WORDS } from './changes.js';
import type { Delta } from './deltas.js';
import { type NewGroup, nextTree } from './next-tree.js';
import { Places } from './places.js';
import type { Range } from './ranges.js';
import type { Words } from './state.js';
import type { Still } from './stills.js';
import { EVERYTHING, fold, type Wanted } from './sweep.js';
import { type Beside, EMPTY_TREE, type Ending, GROUP_LEAVES, leafOf, type Task, type Tree } from './tree.js';
import { LEAF_WORDS, type Leaf, SECTIONS } from './words.js';

/** Ranges of one host address space: sixteen times what Linux allows a process. */
const RANGES_MAX = 2 ** 20;
/** Leaves of a tree that lie in one buffer, at most: it stays while one of them does. */
const SHARED_LEAVES = 32;
const LEAF_LINES = LEAF_WORDS / LINE_WORDS;

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
  tasks: Map<number, Task> = new Map();
  hosts: Map<number, readonly Range[]> = new Map();

  /** Replaced by a longer array when leaves get places. */
  words = new Uint32Array(256 * LEAF_WORDS);
  /** See the constructor. */
  readonly wanted: Wanted;
  private readonly places = new Places();
  private readonly placesOf: number[][] = Array.from({ length: SECTIONS }, () => []);
  // The leaf written last, by section: registers are nearly always in the same one.
  private readonly lastId = new Float64Array(SECTIONS).fill(-1);
  private readonly lastPlace = new Int32Array(SECTIONS);

  // The anchor: copies of the lines written since, and which lines these are. `copyOf` has, by line, 1 + the number of its
  // copy, 0 for none.
  private copies = new Uint32Array(256 * LINE_WORDS);
  private copied = new Uint32Array(256);
  private copyOf = new Uint32Array(256 * LEAF_LINES);
  private copyCount = 0;
  private anchored = 0;
  /** False while what is written is not to be taken back. */
  private copying = true;
  private anchorBeside: Beside = { hosts: this.hosts, tasks: this.tasks, ending: undefined };

  /** What is beside the words as an object that stays, its maps too; undefined where they have become others since. */
  private besideNow: Beside | undefined = this.anchorBeside;
  /** Processes whose ranges were copied and may be changed in place. */
  private readonly ownHosts = new Set<number>();

  /** The tree made last, and the places that may have been written since (but for those of lines that have copies). */
  private frozen: Tree = EMPTY_TREE;
  private stale = new Uint8Array(256);

  /** @param wanted what is folded; all else is as before the first event */
  constructor(wanted: Wanted = EVERYTHING) {
    this.wanted = wanted;
  }

  /** Words in use. */
  get size(): number {
    return this.places.count * LEAF_WORDS;
  }

  /** Folds events from..to-1 of the block in (indices in the block). `applied` must be the seq of `from`. */
  forward(block: Block, from: number, to: number): void {
    fold(this, block, from, to, 'forward', this.wanted);
    this.applied = block.first + to;
  }
  /** Takes events to-1 .. from of the block out again, last first. `applied` must be the seq of `to`. */
  backward(block: Block, from: number, to: number): void {
    fold(this, block, from, to, 'backward', this.wanted);
    this.applied = block.first + from;
  }

  /** The state as a tree that never changes. */
  keyframe(): Tree {
    const changed: Map<number, NewGroup>[] = Array.from({ length: SECTIONS }, () => new Map());
    // Leaves share buffers: one of its own would cost each as much again.
    let buffer = new Uint32Array(0);
    let used = 0;
    for (let place = 0; place < this.places.count; place++) {
      if (this.stale[place] === 0 && !this.hasCopy(place)) continue;
      this.stale[place] = 0;
      const section = this.places.sectionOf(place);
      const id = this.places.idOf(place);
      const from = place * LEAF_WORDS;
      if (this.sameLeaf(leafOf(this.frozen.sections[section]!, id), from)) continue;
      const number = Math.floor(id / GROUP_LEAVES);
      let group = changed[section]!.get(number);
      if (!group) {
        const before = this.frozen.sections[section]!.get(number);
        group = { leaves: before ? before.slice() : new Array<Leaf | undefined>(GROUP_LEAVES).fill(undefined) };
        changed[section]!.set(number, group);
      }
      if (used === buffer.length) {
        buffer = new Uint32Array(Math.min(Math.max(LEAF_WORDS, 2 * used), SHARED_LEAVES * LEAF_WORDS));
        used = 0;
      }
      const leaf = buffer.subarray(used, (used += LEAF_WORDS));
      leaf.set(this.words.subarray(from, from + LEAF_WORDS));
      group.leaves[id - number * GROUP_LEAVES] = leaf;
    }
    this.frozen = nextTree(this.frozen, changed, this.beside());
    return this.frozen;
  }
  private hasCopy(place: number): boolean {
    for (let line = place * LEAF_LINES; line < (place + 1) * LEAF_LINES; line++)
      if (this.copyOf[line] !== 0) return true;
    return false;
  }
  private sameLeaf(leaf: Leaf | undefined, from: number): boolean {
    for (let i = 0; i < LEAF_WORDS; i++) if (this.words[from + i] !== (leaf ? leaf[i] : 0)) return false;
    return true;
  }

  private beside(): Beside {
    if (this.besideNow && this.besideNow.ending === this.ending) return this.besideNow;
    const beside = { hosts: this.hosts, tasks: this.tasks, ending: this.ending };
    this.setBeside(beside);
    return beside;
  }
  private setBeside(beside: Beside): void {
    this.hosts = beside.hosts as Pool['hosts'];
    this.tasks = beside.tasks as Pool['tasks'];
    this.ending = beside.ending;
    this.ownHosts.clear();
    this.besideNow = beside;
  }
  /** Before the maps change: copies that are nobody else's. */
  private ownMaps(): void {
    if (!this.besideNow) return;
    this.hosts = new Map(this.hosts);
    this.tasks = new Map(this.tasks);
    this.besideNow = undefined;
  }

  private anchor(): void {
    for (let n = 0; n < this.copyCount; n++) {
      const line = this.copied[n]!;
      this.copyOf[line] = 0;
      this.stale[Math.floor(line / LEAF_LINES)] = 1;
    }
    this.copyCount = 0;
    this.anchored = this.applied;
    this.anchorBeside = this.beside();
  }
  /** What changed since the anchor, which moves here. */
  commit(): Changes & Pick<Delta, 'before' | 'after'> {
    const { words, copies, copyOf, anchorBeside: before } = this;
    const changes = changesOf({ words, copies, copyOf }, this.places.count * LEAF_LINES);
    this.anchor();
    return { ...changes, before, after: this.anchorBeside };
  }
  /** Does what changes much and is not to be taken back. The pool must be at its anchor, which moves to the end of it. */
  leap(work: () => void): void {
    this.copying = false;
    try {
      work();
    } finally {
      this.copying = true;
    }
    this.stale.fill(1, 0, this.places.count);
    this.anchor();
  }
  /** Back to the anchor. */
  rewind(): void {
    const { words, copies, copied } = this;
    for (let n = 0; n < this.copyCount; n++) {
      const to = copied[n]! << LINE_SHIFT;
      for (let i = 0; i < LINE_WORDS; i++) words[to + i] = copies[(n << LINE_SHIFT) + i]!;
    }
    this.setBeside(this.anchorBeside);
    this.applied = this.anchored;
    this.anchor();
  }
  /** Along deltas that follow each other, to before event `applied`. The pool must be at its anchor, which moves there. */
  apply(deltas: readonly Changes[], beside: Beside, applied: number): void {
    flip(this.words, deltas);
    this.stale.fill(1, 0, this.places.count);
    this.setBeside(beside);
    this.applied = applied;
    this.anchor();
  }
  /** A copy of all words, and what is beside them. */
  still(): Omit<Still, 'boundary'> {
    return { words: this.words.slice(0, this.size), beside: this.beside() };
  }
  /** Becomes the state of a still, which is before event `applied`. Places stay. */
  restore({ words, beside }: Still, applied: number): void {
    this.words.set(words);
    this.words.fill(0, words.length, this.size);
    this.stale.fill(1, 0, this.places.count);
    this.setBeside(beside);
    this.applied = applied;
    this.anchor();
  }

  leaf(section: number, id: number): Leaf | undefined {
    const place = this.places.find(section, id);
    return place < 0 ? undefined : this.leafAt(place);
  }
  *leaves(section: number): Iterable<readonly [id: number, leaf: Leaf]> {
    for (const place of this.placesOf[section]!) yield [this.places.idOf(place), this.leafAt(place)];
  }
  private leafAt(place: number): Leaf {
    return this.words.subarray(place * LEAF_WORDS, (place + 1) * LEAF_WORDS);
  }

  private newPlace(section: number, id: number): number {
    let place: number;
    try {
      place = this.places.add(section, id);
    } catch (error) {
      throw error instanceof Trouble ? new Trouble(`before event ${this.applied}: ${error.message}`) : error;
    }
    if (place === this.stale.length) this.grow();
    this.placesOf[section]!.push(place);
    return place;
  }
  private grow(): void {
    const n = 2 * this.stale.length;
    const stale = new Uint8Array(n);
    stale.set(this.stale);
    this.stale = stale;
    this.words = grown(this.words, n * LEAF_WORDS);
    this.copyOf = grown(this.copyOf, n * LEAF_LINES);
  }
  private copy(line: number): void {
    if (this.copyCount === this.copied.length) {
      this.copied = grown(this.copied, 2 * this.copyCount);
      this.copies = grown(this.copies, 2 * this.copies.length);
    }
    const { words, copies } = this;
    const from = line << LINE_SHIFT;
    const to = this.copyCount << LINE_SHIFT;
    this.copied[this.copyCount++] = line;
    for (let i = 0; i < LINE_WORDS; i++) copies[to + i] = words[from + i]!;
    this.copyOf[line] = this.copyCount;
  }

  /** Where in `words` a leaf begins, any word of which may then be written: its lines have copies. */
  leafToWrite(section: number, id: number): number {
    let place = this.places.find(section, id, this.lastPlace[section]! + 1);
    if (place < 0) place = this.newPlace(section, id);
    if (this.copying)
      for (let line = place * LEAF_LINES; line < (place + 1) * LEAF_LINES; line++)
        if (this.copyOf[line] === 0) this.copy(line);
    this.lastId[section] = id;
    this.lastPlace[section] = place;
    return place * LEAF_WORDS;
  }

  /** Where in `words` the word is, to be written: its line has a copy. */
  private address(section: number, index: number): number {
    const id = Math.floor(index / LEAF_WORDS);
    let place = this.lastPlace[section]!;
    if (this.lastId[section] !== id) {
      place = this.places.find(section, id);
      if (place < 0) place = this.newPlace(section, id);
      this.lastId[section] = id;
      this.lastPlace[section] = place;
    }
    const at = place * LEAF_WORDS + index - id * LEAF_WORDS;
    if (this.copyOf[at >>> LINE_SHIFT] === 0 && this.copying) this.copy(at >>> LINE_SHIFT);
    return at;
  }
  set(section: number, index: number, value: number): void {
    const at = this.address(section, index); // first: it may replace `words`
    this.words[at] = value;
  }
  /** Sets the bits of `mask` at `shift` to `value`. */
  setBits(section: number, index: number, shift: number, mask: number, value: number): void {
    const at = this.address(section, index);
    this.words[at] = (this.words[at]! & ~(mask << shift)) | ((value & mask) << shift);
  }
  /** Two words at an even index, so that both are in one leaf. */
  setPair(section: number, index: number, lo: number, hi: number): void {
    const at = this.address(section, index);
    this.words[at] = lo;
    this.words[at + 1] = hi;
  }

  /** The ranges of a process, to be changed in place. Their number is checked here, before each change. */
  hostRanges(process: number): Range[] {
    const ranges = this.hosts.get(process) ?? [];
    if (ranges.length > RANGES_MAX)
      throw new Trouble(`before event ${this.applied}: process ${process} has more than ${RANGES_MAX} ranges`);
    this.ownMaps();
    if (this.ownHosts.has(process)) return ranges as Range[];
    const own = [...ranges];
    this.ownHosts.add(process);
    this.hosts.set(process, own);
    return own;
  }
  setTask(vcpu: number, task: Task): void {
    this.ownMaps();
    if (task.pid === 0 && task.name === '') this.tasks.delete(vcpu);
    else this.tasks.set(vcpu, task);
  }
}
