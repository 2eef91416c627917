import type { State } from '../../src/state/state.js';
import { LEAF_WORDS, SECTIONS } from '../../src/state/words.js';

/** All of a state in one canonical form: every word that is not zero, and what is no word. */
export function dump(state: State): unknown {
  const words: string[] = [];
  for (let s = 0; s < SECTIONS; s++)
    for (const [id, leaf] of state.words.leaves(s))
      leaf.forEach((v, i) => {
        if (v !== 0) words.push(`${s}:${id * LEAF_WORDS + i}=${v.toString(16)}`);
      });
  return {
    words: words.sort(),
    hosts: [...state.words.hosts]
      .flatMap(([pid, r]) => (r.length > 0 ? [[pid, [...r]] as const] : []))
      .sort(([a], [b]) => a - b),
    tasks: [...state.words.tasks].sort(([a], [b]) => a - b),
    ending: state.ending,
    seq: state.seq,
  };
}
