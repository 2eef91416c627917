/**
 * Budgets: how much a run may do of what costs time. A small file says it, and a check says which event was one too many.
 *
 *   { "budgets": [
 *     { "name": "hypercalls of the boot", "count": "hypercalls", "most": 400, "between": ["start", "#48211"] },
 *     { "name": "PTE writes a switch", "count": "pte writes", "most": 12, "per": "switch" },
 *     { "name": "batches in fork", "count": "batches", "most": 9, "function": "dup_mm" } ] }
 *
 * `per` divides by how often something happened: switch (a kernel root was loaded), task (another task runs), fault, or
 * call:NAME. `function` counts only what happened with that function on the stack.
 */
import { Trouble } from '../base/trouble.js';
import type { Work } from '../base/work.js';
import { type Block, causeAt, type LooseColumns } from '../events/block.js';
import { KIND, KIND_NAMES } from '../events/kinds.js';
import { callName } from '../events/lexicon.js';
import type { Source } from '../recording/source.js';
import { NOTHING_IGNORED, Side } from './side.js';

export const COUNTED = {
  hypercalls: KIND.call,
  batches: KIND.batch,
  'batch entries': KIND.entry,
  'pte writes': KIND.pte,
  flushes: KIND.flush,
  faults: KIND.trap,
} as const;
export interface Budget {
  readonly name: string;
  readonly count: keyof typeof COUNTED;
  readonly most: number;
  readonly per?: string | undefined;
  readonly function?: string | undefined;
  /** Positions, the first not included: `start` is before everything. */
  readonly between?: readonly [string, string] | undefined;
}
export interface Spent {
  readonly budget: Budget;
  /** How many there were, divided by how often `per` happened. */
  readonly value: number;
  /** The event that was one too many, -1 if none was; with `per`, the last one. */
  readonly seq: number;
}

const FIELDS = new Set(['name', 'count', 'most', 'per', 'function', 'between']);

/** Reads a budget file. @throws Trouble that names the file, the place and the reason */
export function parseBudgets(file: string, text: string): Budget[] {
  const refuse = (place: string, why: string): never => {
    throw new Trouble(`${file}: ${place}: ${why}`);
  };
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (error) {
    refuse('not JSON', (error as Error).message);
  }
  const list = (whole as { budgets?: unknown } | null)?.budgets;
  if (!Array.isArray(list)) return refuse('budgets', 'a list is expected');
  return list.map((b: Record<string, unknown>, n): Budget => {
    const place = `budgets[${n}]`;
    if (typeof b !== 'object' || b === null) refuse(place, 'an object is expected');
    for (const key of Object.keys(b))
      if (!FIELDS.has(key)) refuse(`${place}.${key}`, `there is ${[...FIELDS].join(', ')}`);
    const { name, count, most, per, function: inside, between } = b;
    if (typeof name !== 'string' || name === '') refuse(`${place}.name`, 'a text is expected');
    if (typeof count !== 'string' || !Object.hasOwn(COUNTED, count))
      refuse(`${place}.count`, `one of ${Object.keys(COUNTED).join(', ')} is expected`);
    if (typeof most !== 'number' || !(most >= 0)) refuse(`${place}.most`, 'a number from 0 on is expected');
    if (per !== undefined && !/^(switch|task|fault|call:.+)$/.test(String(per)))
      refuse(`${place}.per`, 'switch, task, fault or call:NAME is expected');
    if (inside !== undefined && typeof inside !== 'string') refuse(`${place}.function`, 'a name is expected');
    if (
      between !== undefined &&
      !(Array.isArray(between) && between.length === 2 && between.every(p => typeof p === 'string'))
    )
      refuse(`${place}.between`, 'two positions are expected');
    return b as unknown as Budget;
  });
}

/** True if event i is one that `per` counts. */
function isUnit(source: Source, per: string, block: Block, i: number): boolean {
  const row = block.row[i]!;
  switch (block.kind[i]) {
    case KIND.root:
      return per === 'switch' && block.col.root.role[row] === 0;
    case KIND.task:
      return per === 'task';
    case KIND.trap:
      return per === 'fault';
    case KIND.call: {
      const c = block.col.call;
      return per.startsWith('call:') && callName(source.lexicon, c.class[row]!, c.number[row]!) === per.slice(5);
    }
    default:
      return false;
  }
}

const CAUSES_MAX = 8;
/** True if the event, or what it happened inside, has the function on its stack. */
function isInside(side: Side, name: string, block: Block, i: number): boolean {
  for (let n = 0; n < CAUSES_MAX; n++) {
    const columns = block.col[KIND_NAMES[block.kind[i]!]!] as unknown as LooseColumns;
    const id = columns.stack?.[block.row[i]!] ?? 0;
    if (id !== 0) return side.stack(id).names.includes(name);
    const cause = causeAt(block, i);
    if (cause < 0) return false;
    if (cause < block.first) block = side.source.chunk(side.source.chunkOf(cause));
    i = cause - block.first;
  }
  return false;
}

/** What each budget comes to. @param position finds a position's event, for `between` */
export function* spend(source: Source, budgets: readonly Budget[], position: (text: string) => number): Work<Spent[]> {
  const side = new Side(source, NOTHING_IGNORED);
  const counts = budgets.map(budget => {
    const [from, to] = budget.between ?? ['start', 'end'];
    return {
      budget,
      kind: COUNTED[budget.count],
      n: 0,
      units: 0,
      over: -1,
      last: -1,
      from: position(from),
      to: position(to),
    };
  });
  for (const [n, info] of source.chunks.entries()) {
    const block = source.chunk(n);
    for (let i = 0; i < block.count; i++) {
      const seq = block.first + i;
      for (const c of counts) {
        if (seq <= c.from || seq > c.to) continue;
        const { per, function: inside, most } = c.budget;
        if (per !== undefined && isUnit(source, per, block, i)) c.units++;
        if (block.kind[i] !== c.kind || (inside !== undefined && !isInside(side, inside, block, i))) continue;
        c.last = seq;
        if (++c.n > most && c.over < 0) c.over = seq;
      }
    }
    yield { done: info.first, total: source.count };
  }
  return counts.map(({ budget, n, units, over, last }) => {
    if (budget.per === undefined) return { budget, value: n, seq: over };
    const value = units === 0 ? n : n / units;
    return { budget, value, seq: value > budget.most ? last : -1 };
  });
}
