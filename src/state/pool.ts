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
import { EMPTY_TREE, type Ending, GROUP_LEAVES, leafOf, nextTree, type Task, type Tree } from './tree.js';
import { LEAF_WORDS, type Leaf, SECTIONS } from './words.js';

/** Own leaves, over all sections; a recording that needs more is hostile or not for this machine (about 600 MB). */
const OWN_LEAVES_MAX = 2 ** 20;
/** Ranges of one host address space: sixteen times what Linux allows a process. */
const RANGES_MAX = 2 ** 20;

const copyOf = <V>(map: ReadonlyMap<number, V>): Map<number, V> => new Map(map);

export class Pool implements Words {
  /** How many events are folded in: the state is the one before event `applied`. */
  applied = 0;
  ending: Ending | undefined;
  tasks = new Map<number, Task>();
  hosts = new Map<number, readonly Range[]>();
  private base: Tree = EMPTY_TREE;
  private readonly own = Array.from({ length: SECTIONS }, () => new Map<number, Leaf>());
  private owned = 0;
  /** Processes whose ranges were copied since the last keyframe and may be changed in place. */
  private readonly ownHosts = new Set<number>();
  // The leaf found last, by section: registers are nearly always in the same one.
  private readonly lastId = new Float64Array(SECTIONS).fill(-1);
  private readonly lastLeaf: (Leaf | undefined)[] = new Array(SECTIONS).fill(undefined);

  /** Becomes the state of `tree`, before event `applied`. */
  load(tree: Tree, applied: number): void {
    this.base = tree;
    this.applied = applied;
    this.ending = tree.ending;
    this.tasks = copyOf(tree.tasks);
    this.hosts = copyOf(tree.hosts);
    this.disown();
  }

  /** The state as a tree that never changes. */
  keyframe(): Tree {
    this.base = nextTree(this.base, this.own, { ending: this.ending, tasks: copyOf(this.tasks), hosts: this.hosts });
    this.disown();
    return this.base;
  }

  private disown(): void {
    for (const leaves of this.own) leaves.clear();
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
    return this.own[section]!.get(id) ?? leafOf(this.base.sections[section]!, id);
  }
  *leaves(section: number): Iterable<readonly [id: number, leaf: Leaf]> {
    const own = this.own[section]!;
    yield* own;
    for (const [number, group] of this.base.sections[section]!)
      for (let i = 0; i < GROUP_LEAVES; i++) {
        const id = number * GROUP_LEAVES + i;
        if (group[i] && !own.has(id)) yield [id, group[i]!] as const;
      }
  }

  /** The leaf, to be written: the pool's own. */
  writable(section: number, id: number): Leaf {
    if (this.lastId[section] === id) return this.lastLeaf[section]!;
    const own = this.own[section]!;
    let leaf = own.get(id);
    if (!leaf) {
      if (++this.owned > OWN_LEAVES_MAX)
        throw new Trouble(`before event ${this.applied}: the state touches more places than this program can hold`);
      leaf = leafOf(this.base.sections[section]!, id)?.slice() ?? new Uint32Array(LEAF_WORDS);
      own.set(id, leaf);
    }
    this.lastId[section] = id;
    this.lastLeaf[section] = leaf;
    return leaf;
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
