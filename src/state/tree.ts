/**
 * A keyframe: the whole state of one moment, as an immutable tree.
 *
 *   tree -> section -> group of 64 leaves -> leaf of 64 words
 *
 * Two keyframes share every group and leaf that did not change between them, so one more costs what changed, and
 * comparing two skips what is the same object. next-tree.ts makes one from the last.
 */
import type { Range } from './ranges.js';
import { LEAF_WORDS, type Leaf, SECTIONS } from './words.js';

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
