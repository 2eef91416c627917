/**
 * The state that moves: a keyframe and, on top of it, the leaves that were written since.
 *
 *      write:  own leaf, or else a copy of the keyframe's       read:  own leaf, or else the keyframe's
 *
 * Loading a keyframe throws the own leaves away and is over at once. Making one hands them to a new tree, with which the
 * pool goes on, owning none. So a rewind is the nearest keyframe plus an overlay of what changed from there.
 */
import { Trouble } from '../base/trouble.js';
import type { Block } from '../events/block.js';
import { FOLD_BACKWARD, FOLD_FORWARD } from './fold.js';
import type { Range } from './ranges.js';
import type { Words } from './state.js';
import { EMPTY_TREE, type Ending, GROUP_LEAVES, leavesOf, nextTree, type Task, type Tree } from './tree.js';
import { LEAF_WORDS, type Leaf, SECTIONS } from './words.js';

/** Own leaves, over all sections; a recording that needs more is hostile or not for this machine (about 600 MB). */
const OWN_LEAVES_MAX = 2 ** 20;
/** Leaves kept for use again: 16 MB. */
const SPARE_MAX = 2 ** 15;
/** Ranges of one host address space: sixteen times what Linux allows a process. */
const RANGES_MAX = 2 ** 20;

/** A group with leaves that were written since the last keyframe: `owned` says which, bit by bit. */
interface OwnGroup {
  readonly leaves: (Leaf | undefined)[];
  ownedLo: number;
  ownedHi: number;
}

export class Pool implements Words {
  /** How many events are folded in: the state is the one before event `applied`. */
  applied = 0;
  ending: Ending | undefined;
  tasks = new Map<number, Task>();
  hosts = new Map<number, readonly Range[]>();
  private base: Tree = EMPTY_TREE;
  /** Leaves that were thrown away, for the next ones: a seek that allocates thousands of typed arrays pays in collections. */
  private readonly spare: Leaf[] = [];
  private readonly own = Array.from({ length: SECTIONS }, () => new Map<number, OwnGroup>());
  private owned = 0;
  /** Processes whose ranges were copied since the last keyframe and may be changed in place. */
  private readonly ownHosts = new Set<number>();
  // The leaf found last, by section: registers are nearly always in the same one.
  private readonly lastId = new Float64Array(SECTIONS).fill(-1);
  private readonly lastLeaf: (Leaf | undefined)[] = new Array(SECTIONS).fill(undefined);

  /** Becomes the state of `tree`, before event `applied`. */
  load(tree: Tree, applied: number): void {
    this.recycle();
    this.base = tree;
    this.applied = applied;
    this.ending = tree.ending;
    this.tasks = new Map(tree.tasks);
    this.hosts = new Map(tree.hosts);
    this.disown();
  }

  /** The state as a tree that never changes. */
  keyframe(): Tree {
    const { ending, tasks, hosts } = this;
    this.base = nextTree(this.base, this.own, { ending, tasks, hosts });
    this.disown();
    return this.base;
  }

  private recycle(): void {
    for (const groups of this.own)
      for (const { leaves, ownedLo, ownedHi } of groups.values())
        for (let k = 0; k < GROUP_LEAVES && this.spare.length < SPARE_MAX; k++)
          if (((k < 32 ? ownedLo : ownedHi) >>> (k & 31)) & 1) this.spare.push(leaves[k]!);
  }
  private disown(): void {
    for (const groups of this.own) groups.clear();
    this.owned = 0;
    this.ownHosts.clear();
    this.lastId.fill(-1);
    this.lastLeaf.fill(undefined);
  }

  /** Folds events from..to-1 of the block in (indices in the block). `applied` must be the seq of `from`. */
  forward(block: Block, from: number, to: number): void {
    const { kind, row, vcpu } = block;
    for (let i = from; i < to; i++) FOLD_FORWARD[kind[i]!]!(this, block.col, row[i]!, vcpu[i]!);
    this.applied = block.first + to;
  }
  /** Takes events to-1 .. from of the block out again, last first. `applied` must be the seq of `to`. */
  backward(block: Block, from: number, to: number): void {
    const { kind, row, vcpu } = block;
    for (let i = to - 1; i >= from; i--) FOLD_BACKWARD[kind[i]!]!(this, block.col, row[i]!, vcpu[i]!);
    this.applied = block.first + from;
  }

  leaf(section: number, id: number): Leaf | undefined {
    const number = Math.floor(id / GROUP_LEAVES);
    const group = this.own[section]!.get(number)?.leaves ?? this.base.sections[section]!.get(number);
    return group?.[id - number * GROUP_LEAVES];
  }
  *leaves(section: number): Iterable<readonly [id: number, leaf: Leaf]> {
    const own = this.own[section]!;
    for (const [number, { leaves }] of own) yield* leavesOf(number, leaves);
    for (const [number, group] of this.base.sections[section]!) if (!own.has(number)) yield* leavesOf(number, group);
  }

  /** The leaf, to be written: the pool's own. */
  private writable(section: number, id: number): Leaf {
    if (this.lastId[section] === id) return this.lastLeaf[section]!;
    const number = Math.floor(id / GROUP_LEAVES);
    const group = this.own[section]!.get(number) ?? this.ownGroup(section, number);
    const k = id - number * GROUP_LEAVES;
    const bit = 1 << (k & 31);
    let leaf: Leaf;
    if ((k < 32 ? group.ownedLo : group.ownedHi) & bit) leaf = group.leaves[k]!;
    else {
      if (++this.owned > OWN_LEAVES_MAX)
        throw new Trouble(`before event ${this.applied}: the state touches more places than this program can hold`);
      const before = group.leaves[k];
      leaf = this.spare.pop() ?? new Uint32Array(LEAF_WORDS);
      if (before) leaf.set(before);
      else leaf.fill(0);
      group.leaves[k] = leaf;
      if (k < 32) group.ownedLo |= bit;
      else group.ownedHi |= bit;
    }
    this.lastId[section] = id;
    this.lastLeaf[section] = leaf;
    return leaf;
  }
  private ownGroup(section: number, number: number): OwnGroup {
    const before = this.base.sections[section]!.get(number);
    const leaves = before ? before.slice() : new Array<Leaf | undefined>(GROUP_LEAVES).fill(undefined);
    const group = { leaves, ownedLo: 0, ownedHi: 0 };
    this.own[section]!.set(number, group);
    return group;
  }
  set(section: number, index: number, value: number): void {
    const id = Math.floor(index / LEAF_WORDS);
    this.writable(section, id)[index - id * LEAF_WORDS] = value;
  }
  /** Sets the bits of `mask` at `shift` to `value`. */
  setBits(section: number, index: number, shift: number, mask: number, value: number): void {
    const id = Math.floor(index / LEAF_WORDS);
    const leaf = this.writable(section, id);
    const at = index - id * LEAF_WORDS;
    leaf[at] = (leaf[at]! & ~(mask << shift)) | ((value & mask) << shift);
  }
  /** Two words at an even index, so that both are in one leaf. */
  setPair(section: number, index: number, lo: number, hi: number): void {
    const id = Math.floor(index / LEAF_WORDS);
    const leaf = this.writable(section, id);
    const at = index - id * LEAF_WORDS;
    leaf[at] = lo;
    leaf[at + 1] = hi;
  }

  /** The ranges of a process, to be changed in place. Their number is checked here, before each change. */
  hostRanges(process: number): Range[] {
    const ranges = this.hosts.get(process) ?? [];
    if (ranges.length > RANGES_MAX)
      throw new Trouble(`before event ${this.applied}: process ${process} has more than ${RANGES_MAX} ranges`);
    if (this.ownHosts.has(process)) return ranges as Range[];
    const own = [...ranges];
    this.ownHosts.add(process);
    this.hosts.set(process, own);
    return own;
  }
  setTask(vcpu: number, task: Task): void {
    if (task.pid === 0 && task.name === '') this.tasks.delete(vcpu);
    else this.tasks.set(vcpu, task);
  }
}
