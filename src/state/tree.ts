/**
 * A keyframe: the whole state of one moment, as an immutable tree.
 *
 *   tree -> section -> group of 64 leaves -> leaf of 64 words
 *
 * Two keyframes share every group and leaf that did not change between them, so one more costs what changed, and
 * comparing two skips what is the same object. immer makes the next tree from the last, where somebody wants to keep a
 * moment, never per event, and leaves are replaced whole, since immer does not draft typed arrays (a change inside one would change the old
 * keyframe too).
 */
import { type Draft, enableMapSet, Immer } from 'immer';
import type { Range } from './ranges.js';
import { LEAF_WORDS, type Leaf, SECTIONS } from './words.js';

enableMapSet();
// Nothing is frozen: the types say readonly, and a deep freeze of every new leaf's group costs as much as the rest.
const immer = new Immer({ autoFreeze: false });

export const GROUP_LEAVES = 64;
export type Group = readonly (Leaf | undefined)[];
export type Section = ReadonlyMap<number, Group>;

export interface Task {
  readonly pid: number;
  readonly name: string;
}
export interface Ending {
  /** Number of the `how` of an end event. */
  readonly how: number;
  readonly reason: string;
}
/** What is no word: see words.ts. Missing tasks have pid 0 and no name; missing address spaces are empty. */
export interface Beside {
  /** Process to its ranges. */
  readonly hosts: ReadonlyMap<number, readonly Range[]>;
  /** Vcpu to the task that runs on it. */
  readonly tasks: ReadonlyMap<number, Task>;
  readonly ending: Ending | undefined;
}
export interface Tree extends Beside {
  /** Group number to group, by section. */
  readonly sections: readonly Section[];
}

export const EMPTY_TREE: Tree = {
  sections: Array.from({ length: SECTIONS }, () => new Map()),
  hosts: new Map(),
  tasks: new Map(),
  ending: undefined,
};

export const leafOf = (section: Section, id: number): Leaf | undefined => {
  const group = Math.floor(id / GROUP_LEAVES);
  return section.get(group)?.[id - group * GROUP_LEAVES];
};

/** The leaves of group `number`, by their ids. */
export function* leavesOf(number: number, group: Group): Iterable<readonly [id: number, leaf: Leaf]> {
  for (let i = 0; i < GROUP_LEAVES; i++) if (group[i]) yield [number * GROUP_LEAVES + i, group[i]!] as const;
}

const isZero = (leaf: Leaf): boolean => {
  for (let i = 0; i < LEAF_WORDS; i++) if (leaf[i] !== 0) return false;
  return true;
};

/** A group with changed leaves, whole; it belongs to the tree from now on. */
export interface NewGroup {
  readonly leaves: (Leaf | undefined)[];
}
/** Lets leaves go that became zero. True if any leaf is left. */
function prune(group: (Leaf | undefined)[], before: Group | undefined): boolean {
  let left = false;
  for (let i = 0; i < GROUP_LEAVES; i++) {
    const leaf = group[i];
    if (leaf && leaf !== before?.[i] && isZero(leaf)) group[i] = undefined;
    else if (leaf) left = true;
  }
  return left;
}

/**
 * The tree after `before`.
 * @param changed groups that are new, by section and number
 * @param beside the values at that moment, all of them
 */
export function nextTree(before: Tree, changed: readonly ReadonlyMap<number, NewGroup>[], beside: Beside): Tree {
  return immer.produce(before, draft => {
    changed.forEach((groups, s) => {
      if (groups.size === 0) return;
      const section = draft.sections[s] as Draft<Map<number, Group>>;
      for (const [number, { leaves }] of groups)
        if (prune(leaves, before.sections[s]!.get(number))) section.set(number, leaves as Draft<Group>);
        else section.delete(number);
    });
    if (draft.ending !== beside.ending) draft.ending = beside.ending;
    for (const [pid, ranges] of beside.hosts)
      if (ranges.length === 0) draft.hosts.delete(pid);
      else if (before.hosts.get(pid) !== ranges) draft.hosts.set(pid, ranges as Range[]);
    for (const pid of before.hosts.keys()) if (!beside.hosts.has(pid)) draft.hosts.delete(pid);
    for (const [vcpu, task] of beside.tasks) if (before.tasks.get(vcpu) !== task) draft.tasks.set(vcpu, task);
    for (const vcpu of before.tasks.keys()) if (!beside.tasks.has(vcpu)) draft.tasks.delete(vcpu);
  });
}

/** Called for each leaf that is not the same object in both; a missing one is undefined. */
export type LeafPair = (section: number, id: number, a: Leaf | undefined, b: Leaf | undefined) => void;

/** Walks two trees and skips what they share: sections, groups, leaves. */
export function differingLeaves(a: Tree, b: Tree, sections: readonly number[], visit: LeafPair): void {
  for (const s of sections) {
    const inA = a.sections[s]!;
    const inB = b.sections[s]!;
    if (inA === inB) continue;
    const pair = (number: number, x: Group | undefined, y: Group | undefined): void => {
      if (x === y) return;
      for (let i = 0; i < GROUP_LEAVES; i++) if (x?.[i] !== y?.[i]) visit(s, number * GROUP_LEAVES + i, x?.[i], y?.[i]);
    };
    for (const [number, group] of inA) pair(number, group, inB.get(number));
    for (const [number, group] of inB) if (!inA.has(number)) pair(number, undefined, group);
  }
}

/** Calls `visit` for each word that differs. */
export function differingWords(
  a: Tree,
  b: Tree,
  sections: readonly number[],
  visit: (section: number, word: number, a: number, b: number) => void,
): void {
  differingLeaves(a, b, sections, (s, id, x, y) => {
    for (let i = 0; i < LEAF_WORDS; i++) {
      const va = x?.[i] ?? 0;
      const vb = y?.[i] ?? 0;
      if (va !== vb) visit(s, id * LEAF_WORDS + i, va, vb);
    }
  });
}
