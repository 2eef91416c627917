/**
 * The next tree from the last. immer makes it, where somebody wants to keep a moment, never per event, and leaves are replaced
 * whole, since immer does not draft typed arrays (a change inside one would change the old keyframe too).
 */
import { type Draft, enableMapSet, Immer } from 'immer';
import type { Range } from './ranges.js';
import { type Beside, GROUP_LEAVES, type Group, type Tree } from './tree.js';
import { LEAF_WORDS, type Leaf } from './words.js';

enableMapSet();
// Nothing is frozen: the types say readonly, and a deep freeze of every new leaf's group costs as much as the rest.
const immer = new Immer({ autoFreeze: false });

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
