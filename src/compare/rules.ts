/**
 * How each field of each kind is compared, as data. What is not named here follows from the field's schema.
 *
 *   exact    the same number              word     the same word, by name where the lexicons differ
 *   frame    the same up to the renaming  entry    a page-table entry: its frame so, its other bits exactly
 *   address  by symbol and offset where a symbol is near, else as a number
 *   code     by function: offsets move with every build
 *   value    an argument: anything of the above
 *   change   new - old: what was there before is told by the events before
 *   text     with frames and entries in it renamed
 *   stack    the functions of a call stack, innermost first
 *   skip     volatile, or said already by an event before (old values, a batch's indices)
 */
import { KIND_NAMES, KINDS, type KindName } from '../events/kinds.js';
import type { AnyField } from '../events/schema.js';

export type Rule =
  | 'exact'
  | 'word'
  | 'frame'
  | 'entry'
  | 'address'
  | 'code'
  | 'value'
  | 'change'
  | 'text'
  | 'stack'
  | 'skip';

/** `root` and the tables of a space are frames of that space; m2p and p2m name guest frames, which nobody renames. */
const SPECIAL: Partial<Record<KindName, Readonly<Record<string, Rule>>>> = {
  start: { text: 'skip' },
  idle: { skipped: 'skip' },
  trap: { pc: 'code' },
  trapret: { pc: 'code' },
  interrupt: { pc: 'code' },
  entry: { index: 'skip', queued: 'skip' },
  pte: { new: 'entry' },
  adopt: { entries: 'entry' },
  release: { entries: 'skip' },
  m2p: { new: 'exact' },
  typecount: { new: 'change' },
  total: { new: 'change' },
  p2m: { guest: 'exact' },
  map: { was: 'skip' },
  unmap: { was: 'skip' },
  protect: { was: 'skip' },
  task: { oldName: 'skip' },
};

function usual(f: AnyField, name: string): Rule {
  if (name === 'old' || f.shape === 'derived' || (f.shape === 'pair' && f.show === 'number')) return 'skip';
  if (f.show === 'stack' || f.show === 'text' || f.show === 'word') return f.show;
  if (f.shape === 'u64s') return 'value';
  if (f.shape === 'pair') return f.delta ? 'address' : 'value';
  return f.show === 'hex' && f.delta ? 'frame' : 'exact';
}

/** Of each kind: its fields and how they are compared. */
export const RULES_OF: { readonly [K in KindName]: Readonly<Record<string, Rule>> } = Object.fromEntries(
  KIND_NAMES.map(kind => [
    kind,
    Object.fromEntries(
      Object.entries(KINDS[kind].fields as Record<string, AnyField>).map(([name, f]) => [
        name,
        SPECIAL[kind]?.[name] ?? usual(f, name),
      ]),
    ),
  ]),
) as never;

/** Not compared unless asked for: they differ between details and between builds, and what matters of them is in other events. */
export const ASIDE: readonly KindName[] = ['regs', 'step', 'store', 'fill', 'idle', 'start'];
/** Where the guest and its host meet, and the parts of such a meeting. */
export const LANDMARKS: ReadonlySet<KindName> = new Set<KindName>([
  'call',
  'batch',
  'entry',
  'trap',
  'interrupt',
  'root',
  'console',
  'task',
  'end',
]);
